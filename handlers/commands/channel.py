"""/minerpulse channel and mute: what a channel has set, and its silence."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.mentions import read_addressee
from handlers.render.channel import channel_message
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.responses import no_close_message
from handlers.request import Reply, Request
from services.alerting.setting_syntax import Addressee
from services.core.errors import MarketShutError


async def answer(ask: Request) -> Reply:
    """Show how the channel is set, or set what was typed and show that."""
    if not ask.value:
        return Reply(message=channel_message(await ask.desk.channels.show(ask.channel)))

    def who(text: str) -> Addressee | None:
        return read_addressee(text, ask.channel.team)

    return Reply(
        message=channel_message(await ask.desk.channels.set(ask.channel, ask.value, ask.by, who), just_set=True)
    )


def how_long(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse to mute without being told for how long."""
    if argument:
        return None
    rows = [command for command in commands if command.words == ("mute",)]
    return usage_message(rows, "For how long? As in 2h, until open, until close, while shut, while open, or off:")


async def mute(ask: Request) -> Reply:
    """Silence the channel, or end that."""
    try:
        return Reply(
            message=channel_message(await ask.desk.channels.mute(ask.channel, ask.value, ask.by), just_set=True)
        )
    except MarketShutError as error:
        return Reply(message=no_close_message(error.next_open_at))
