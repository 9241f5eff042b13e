"""/minerpulse channel and mute: what a channel has set, and its silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.mentions import read_addressee
from handlers.request import Reply
from services.core.errors import MarketShutError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.command import Command
    from handlers.render import Message
    from handlers.request import Request
    from services.alerting.setting_syntax import Addressee


async def answer(ask: Request) -> Reply:
    """Show how the channel is set, or set what was typed and show that."""
    if not ask.value:
        return Reply(message=render.channel(await ask.desk.channels.show(ask.channel)))

    def who(text: str) -> Addressee | None:
        return read_addressee(text, ask.channel.team)

    return Reply(
        message=render.channel(await ask.desk.channels.set(ask.channel, ask.value, ask.by, who), just_set=True)
    )


def how_long(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse to mute without being told for how long."""
    if argument:
        return None
    rows = [command for command in commands if command.words == ("mute",)]
    return render.usage(rows, "For how long? As in 2h, until open, until close, while shut, while open, or off:")


async def mute(ask: Request) -> Reply:
    """Silence the channel, or end that."""
    try:
        return Reply(
            message=render.channel(await ask.desk.channels.mute(ask.channel, ask.value, ask.by), just_set=True)
        )
    except MarketShutError as error:
        return Reply(message=render.no_close(error.next_open_at))
