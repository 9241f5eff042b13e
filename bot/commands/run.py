"""`minerpulse run`: connect to Slack."""

import asyncio

import click

from bot.commands.base import command
from bot.logs import configure_logging
from bot.serve import Role, serve
from bot.settings import load_settings
from services.core.errors import InvalidSettingsError

EXIT_NO_TOKENS = 3
NO_TOKENS = (
    "No Slack tokens are set. Create the app from `minerpulse manifest`. Set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET "
    "(or SLACK_APP_TOKEN for Socket Mode) in the environment or in .env, and run this again. "
    "`minerpulse rehearse` needs no tokens."
)


@command("minerpulse run", "minerpulse run --role worker")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ALL.value,
    show_default=True,
    help="web responds to Slack; worker evaluates rules and delivers messages. All processes share one database.",
)
@click.option("--check", is_flag=True, help="Only check the settings: exit with 0 if tokens are set, 3 if none are.")
@click.pass_context
def run_command(ctx: click.Context, *, role: str, check: bool) -> int:
    """Connect to Slack and evaluate the rules until stopped.

    Tokens come from the environment or from .env. Without tokens, it exits with code 2, and neither simulates
    prices nor downloads anything.
    """
    settings = load_settings()
    if check:
        return 0 if settings.has_slack else EXIT_NO_TOKENS
    if not settings.has_slack:
        raise InvalidSettingsError(NO_TOKENS)
    configure_logging(_log_level(ctx.find_root(), settings.log_level), settings.log_format)
    asyncio.run(serve(settings, Role(role)))
    return 0


def _log_level(root: click.Context, default: str) -> str:
    """Return the log level of `--debug`, `--verbose` or `--quiet`; the setting without these options."""
    levels = {"debug": "DEBUG", "verbose": "INFO", "quiet": "WARNING"}
    return next((level for name, level in levels.items() if root.params.get(name)), default)
