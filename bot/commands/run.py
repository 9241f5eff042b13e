"""`minerpulse run`: connect to Slack."""

import asyncio

import click

from bot.logs import configure_logging
from bot.serve import Role, serve
from bot.settings import load_settings
from services.core.errors import InvalidSettingsError

EXIT_NO_TOKENS = 3
NO_TOKENS = (
    "No Slack tokens are set. Create the app from `minerpulse manifest`, set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET "
    "(or SLACK_APP_TOKEN for Socket Mode) in the environment or in .env, and run this again. "
    "`minerpulse rehearse` needs no tokens."
)


@click.command()
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ALL.value,
    show_default=True,
    help="web answers Slack, worker ticks and delivers; several processes need one database.",
)
@click.option("--check", is_flag=True, help="Only read the settings: exit 0 if tokens are set, 3 if none are.")
def run_command(*, role: str, check: bool) -> int:
    """Connect to Slack, with the tokens that are set in the environment or in .env."""
    settings = load_settings()
    if check:
        return 0 if settings.has_slack else EXIT_NO_TOKENS
    if not settings.has_slack:
        raise InvalidSettingsError(NO_TOKENS)
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(serve(settings, Role(role)))
    return 0
