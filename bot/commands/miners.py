"""`minerpulse miners`: what each holding of the fund added."""

from __future__ import annotations

import asyncio

import click

from bot.app import App  # noqa: TC001 -- of a nested function
from bot.commands.live import live
from bot.commands.options import window
from bot.settings import load_settings
from bot.terminal import print_message
from handlers import render
from handlers.render import Message  # noqa: TC001 -- as above
from services.domain.measure import Window


@click.command()
@window
def command(*, window: str) -> None:
    """Part the fund's return between its holdings and cohorts, by the weights that were imported.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd, which is the default; it ends with the last close.
    """

    async def ask(app: App) -> Message:
        return render.miners(await app.study.constituents.miners(Window(window), app.clock.now()))

    print_message(asyncio.run(live(load_settings(), ask)))
