"""/minerpulse channel, mute and digest: a channel's settings, and its monitoring report."""

import re
from dataclasses import replace

from handlers.render.channel import channel_message
from handlers.render.help import expects
from handlers.render.notices import coverage_message
from handlers.render.responses import no_close_message
from handlers.request import Reply, Request
from services.alerting.setting_syntax import Addressee
from services.core.errors import MarketClosedError
from services.core.identity import Channel, Mention

EVERYONE = ("here", "channel", "everyone")
_PERSON = re.compile(r"<@(?P<id>[UW][A-Z0-9]+)(?:\|(?P<name>[^>]*))?>|(?P<bare>[UW][A-Z0-9]{7,})", re.ASCII)
_GROUP = re.compile(r"<!subteam\^(?P<id>S[A-Z0-9]+)(?:\|(?P<name>[^>]*))?>|(?P<bare>S[A-Z0-9]{7,})", re.ASCII)
_CHANNEL = re.compile(r"<#(?P<id>[CG][A-Z0-9]+)(?:\|[^>]*)?>|(?P<bare>[CG][A-Z0-9]{7,})", re.ASCII)
_ALL = re.compile(rf"(?:<!|@)(?P<id>{'|'.join(EVERYONE)})(?:\|[^>]*)?>?", re.IGNORECASE)


async def show_or_set(request: Request) -> Reply:
    """Show the channel's settings, after changing one if it was typed."""
    if not request.value:
        return Reply(message=channel_message(await request.commands.settings.show(request.channel)))

    def parse(text: str) -> Addressee | None:
        return parse_addressee(text, request.channel.team)

    view = await request.commands.settings.set(request.channel, request.value, request.user_id, parse)
    return Reply(message=channel_message(view, just_set=True))


def parse_addressee(text: str, team: str) -> Addressee | None:
    """Parse a person, group or channel, escaped by Slack or as a bare ID; None if the text is ambiguous.

    Unescaped text is plain text and identifies nobody, except for `@here` and the like.
    """
    text = text.strip()
    if match := _PERSON.fullmatch(text):
        return replace(_mention(match, "<@{}>"), person=match["id"] or match["bare"])
    if match := _GROUP.fullmatch(text):
        return _mention(match, "<!subteam^{}>")
    if match := _ALL.fullmatch(text):
        everyone = match["id"].lower()
        return Mention(text=f"<!{everyone}>", name=f"@{everyone}")
    if match := _CHANNEL.fullmatch(text):
        return Channel(team=team, id=match["id"] or match["bare"])
    return None


def _mention(match: re.Match[str], template: str) -> Mention:
    text = template.format(match["id"] or match["bare"])
    name = match["name"]
    return Mention(text=text, name=f"@{name.removeprefix('@')}" if name else text)


validate_mute = expects(
    bool, "For how long? As in 2h, until open, until close, while shut, while open, or off:", "mute"
)


async def mute(request: Request) -> Reply:
    """Mute or unmute the channel."""
    try:
        view = await request.commands.settings.mute(request.channel, request.value, request.user_id)
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return Reply(message=channel_message(view, just_set=True))


async def show_digest(request: Request) -> Reply:
    """Show the checks of this session, or of the last one, which show that no alert was missed."""
    return Reply(message=coverage_message(await request.commands.coverage(request.channel)))
