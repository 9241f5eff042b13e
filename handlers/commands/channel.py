"""/minerpulse channel and mute: channel settings and muting."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.mentions import parse_addressee
from handlers.render.channel import channel_message
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.responses import no_close_message
from handlers.request import Reply, Request
from services.alerting.setting_syntax import Addressee
from services.core.errors import MarketClosedError


async def run(request: Request) -> Reply:
    """Show the channel's settings, after changing one if it was typed."""
    if not request.value:
        return Reply(message=channel_message(await request.commands.settings.show(request.channel)))

    def parse(text: str) -> Addressee | None:
        return parse_addressee(text, request.channel.team)

    return Reply(
        message=channel_message(
            await request.commands.settings.set(request.channel, request.value, request.user_id, parse),
            just_set=True,
        )
    )


def validate_mute(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if no duration was typed."""
    if argument:
        return None
    rows = [command for command in commands if command.words == ("mute",)]
    return usage_message(rows, "For how long? As in 2h, until open, until close, while shut, while open, or off:")


async def mute(request: Request) -> Reply:
    """Mute or unmute the channel."""
    try:
        return Reply(
            message=channel_message(
                await request.commands.settings.mute(request.channel, request.value, request.user_id),
                just_set=True,
            )
        )
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
