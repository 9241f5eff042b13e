"""`minerpulse run`: connect to Slack, or rehearse without tokens."""

import asyncio
import logging

import click
from rich.console import Console

from bot.logs import configure_logging
from bot.serve import Role, serve
from bot.settings import load_settings

NOT_CONNECTED = (
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
def run_command(context: click.Context, role: str) -> None:
    """Connect to Slack where tokens are set, else rehearse a simulated market here."""
    settings = load_settings()
    if not settings.has_slack:
        from bot.commands import rehearse  # noqa: PLC0415 -- a connected process needs no prompt

        Console(highlight=False).print(NOT_CONNECTED)  # wraps at word boundaries
        context.invoke(rehearse.rehearse_command, web=rehearse.is_browser_usable())
        return
    configure_logging(settings.log_level, settings.log_format)
    _silence_bolt()
    asyncio.run(serve(settings, Role(role)))


def _silence_bolt() -> None:
    """Filter Bolt's wrong warning that the `token` in the environment is unused or ignored."""
    logging.getLogger("slack_bolt.AsyncApp").addFilter(lambda record: "`token`" not in record.getMessage())
