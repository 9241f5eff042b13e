"""Run one query on the wired services from the terminal."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from bot.app import App, build
from bot.settings import Settings
from services.core.errors import DatabaseUnavailableError

IN_MEMORY = "sqlite://"
Result = TypeVar("Result")


async def query_live(settings: Settings, query: Callable[[App], Awaitable[Result]]) -> Result:
    """Run a query and store fetched prices in the database.

    Simulated prices are not stored. If the database is unavailable, a database in memory is used.
    """
    if not settings.simulated:
        try:
            return await _query(settings, query)
        except DatabaseUnavailableError as error:
            click.echo(f"{error} The prices are not kept.", err=True)
    return await _query(settings.model_copy(update={"database_url": IN_MEMORY}), query)


async def _query(settings: Settings, query: Callable[[App], Awaitable[Result]]) -> Result:
    async with build(settings) as app:
        return await query(app)
