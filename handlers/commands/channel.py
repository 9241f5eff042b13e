"""/minerpulse channel, mute, stop and digest: a channel's settings, and its monitoring report."""

from collections.abc import Sequence
from dataclasses import replace

from handlers.command import Command
from handlers.render.channel import channel_message, page_tested_message, sinks_message
from handlers.render.help import expects, stop_message
from handlers.render.markup import Reference, parse_reference
from handlers.render.message import Message
from handlers.render.notices import coverage_message
from handlers.render.responses import no_close_message
from handlers.request import Reply, Request
from services.alerting.setting_syntax import Addressee
from services.core.errors import MarketClosedError
from services.core.identity import Channel, Mention
from services.core.scan import DIGITS, UPPERCASE, consists_of

EVERYONE = ("here", "channel", "everyone")
MIN_BARE_ID = 8  # characters of an ID without brackets, so that a word isn't taken for one
_GROUP = "subteam^"
_KINDS = {"U": "@", "W": "@", "S": f"!{_GROUP}", "C": "#", "G": "#"}  # of a reference, by the first letter of an ID


async def show_or_set(request: Request) -> Reply:
    """Show the channel's settings, after changing one if it was typed."""
    settings, words = request.commands.settings, request.value.lower().split()
    match words:
        case []:
            return Reply(message=channel_message(await settings.show(request.channel)))
        case ["page", "list"]:
            view = await settings.show(request.channel)
            return Reply(message=sinks_message(view.settings.pages, await settings.sink_names(request.channel.team)))
        case ["page", "test", sink]:
            reference = await settings.test_page(request.channel, sink, request.user_id)
            return Reply(message=page_tested_message(sink, reference))

    def parse(text: str) -> Addressee | None:
        return parse_addressee(text, request.channel.team)

    view = await request.commands.settings.set(request.channel, request.value, request.user_id, parse)
    return Reply(message=channel_message(view, request.value))


def parse_addressee(text: str, team: str) -> Addressee | None:
    """Parse a person, group or channel, escaped by Slack or as a bare ID; None if the text is ambiguous.

    Unescaped text is plain text and identifies no one, except for `@here` and the like.
    """
    reference = _reference(text.strip())
    match reference:
        case Reference(kind="@", id=person):
            return replace(_mention(reference), person=person)
        case Reference(kind="#", id=channel):
            return Channel(team=team, id=channel)
        case Reference(kind="!", id=name) if name.lower() in EVERYONE:
            return Mention(text=f"<!{name.lower()}>", name=f"@{name.lower()}")
        case Reference(kind="!", id=group) if group.startswith(_GROUP) and _is_id(group.removeprefix(_GROUP), "S"):
            return _mention(reference)
    return None


def _reference(text: str) -> Reference | None:
    """Parse one reference: in brackets, as a bare ID, or `@here` and the like."""
    if text.startswith("<") and text.endswith(">"):
        return parse_reference(text[1:-1])
    if text[:1] == "@" and text[1:].lower() in EVERYONE:
        return Reference("!", text[1:])
    if len(text) >= MIN_BARE_ID and text[0] in _KINDS and _is_id(text, text[0]):
        return parse_reference(f"{_KINDS[text[0]]}{text}")
    return None


def _is_id(text: str, first: str) -> bool:
    return text.startswith(first) and consists_of(text, UPPERCASE | DIGITS)


def _mention(reference: Reference) -> Mention:
    text, label = str(reference._replace(label="")), reference.label
    return Mention(text=text, name=f"@{label.removeprefix('@')}" if label else text)


validate_mute = expects(
    bool, "For how long? Type 2h, until open, until close, while closed, while open or off:", "mute"
)


async def mute(request: Request) -> Reply:
    """Mute or unmute the channel."""
    try:
        view = await request.commands.settings.mute(request.channel, request.value, request.user_id)
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return Reply(message=channel_message(view, f"mute {request.value}"))


def offer_stop(_argument: str, _commands: Sequence[Command]) -> Message:
    """Return the ways to get fewer alerts; change nothing."""
    return stop_message()


async def show_digest(request: Request) -> Reply:
    """Show the checks of this session, or of the last one, which show that no alert was missed."""
    return Reply(message=coverage_message(await request.commands.coverage(request.channel)))
