"""`minerpulse migrate`: migrate the database to this version's schema."""

import asyncio

import click

from bot.settings import load_settings
from services.storage import migrate, schema_is_current


@click.command()
def command() -> None:
    """Bring the database up to this version's schema; harmless where it is there already."""
    asyncio.run(_migrate(load_settings().database_url))


async def _migrate(url: str) -> None:
    if await schema_is_current(url):
        click.echo("The database has this version's schema already.")
        return
    await migrate(url)
    click.echo("The database has been brought up to this version's schema.")
