"""`minerpulse run`: connected to Slack, or rehearsing where no tokens are set."""

from __future__ import annotations

import asyncio
import logging

import click
from rich.console import Console

from bot.commands import rehearse
from bot.logs import set_up
from bot.serve import Role, serve
from bot.settings import load_settings

HOW_TO_CONNECT = (
    "No Slack tokens are set, so this is a rehearsal on a simulated market.\n"
    "To connect: create the app from `minerpulse manifest`, put its tokens into .env as .env.example shows, run again."
)


@click.command()
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ALL.value,
    show_default=True,
    help="web answers Slack, worker ticks and delivers; several processes need one database.",
)
@click.pass_context
def command(context: click.Context, role: str) -> None:
    """Connect to Slack where tokens are set, else rehearse a simulated market here."""
    settings = load_settings()
    if not settings.has_slack:
        Console(highlight=False).print(HOW_TO_CONNECT)  # breaks lines between words
        context.invoke(rehearse.command, web=rehearse.prefers_web())
        return
    set_up(settings.log_level, settings.log_format)
    _silence_bolt()
    asyncio.run(serve(settings, Role(role)))


def _silence_bolt() -> None:
    """Keep Bolt from saying that the `token` it finds in the environment will be unused or ignored; it is used."""
    logging.getLogger("slack_bolt.AsyncApp").addFilter(lambda record: "`token`" not in record.getMessage())
