"""Ask the wired services once, from the terminal, and keep the prices that this fetched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from bot.app import App, build
from bot.settings import Settings
from services.core.errors import StoreError

MEMORY = "sqlite://"
Told = TypeVar("Told")


async def live(settings: Settings, ask: Callable[[App], Awaitable[Told]]) -> Told:
    """Ask now, keeping the history in the database; made-up prices, and any that cannot be kept, are forgotten."""
    if not settings.simulated:
        try:
            return await _asked(settings, ask)
        except StoreError as error:
            click.echo(f"{error} The prices are not kept.", err=True)
    return await _asked(settings.model_copy(update={"database_url": MEMORY}), ask)


async def _asked(settings: Settings, ask: Callable[[App], Awaitable[Told]]) -> Told:
    async with build(settings) as app:
        return await ask(app)
