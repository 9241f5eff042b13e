"""/minerpulse channel, mute, stop and digest: a channel's settings, and its monitoring report."""

from collections.abc import Sequence

from handlers.addressees import parse_addressee
from handlers.command import Command
from handlers.render.channel import channel_message, page_tested_message, sinks_message
from handlers.render.help import expects, stop_message
from handlers.render.message import Message
from handlers.render.notices import coverage_message
from handlers.render.responses import no_close_message
from handlers.request import Reply, Request
from services.alerting.setting_syntax import Addressee
from services.core.errors import MarketClosedError


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
