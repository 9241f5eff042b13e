"""`minerpulse run`: connected to Slack, or rehearsing where no tokens are set."""

from __future__ import annotations

import asyncio
import logging
import time

import click
from rich.console import Console

from bot.app import Role, serve
from bot.commands import rehearse
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
    _log(settings.log_level)
    asyncio.run(serve(settings, Role(role)))


def _log(level: str) -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=level, format="%(asctime)sZ %(levelname)s %(name)s: %(message)s", force=True)
    for chatty in ("apscheduler", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Bolt finds SLACK_BOT_TOKEN in the environment and says that it will not use it; it does, as each request's own
    logging.getLogger("slack_bolt.AsyncApp").addFilter(lambda record: "SLACK_BOT_TOKEN" not in record.getMessage())
