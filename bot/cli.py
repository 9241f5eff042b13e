"""The `minerpulse` command: a row for each of its commands, imported when it is used, and one way out for errors."""

from __future__ import annotations

import difflib
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from services.core.errors import ConfigurationError, MinerPulseError, RuleError

COMMANDS = {
    "run": "Connect to Slack where tokens are set, else rehearse here.",
    "rehearse": "Play a channel in this terminal, on a clock that runs ahead.",
    "replay": "Tell what rules would have done over history.",
    "pulse": "Show the board: every window of the pair, as of now.",
    "chart": "Draw the ETF, bitcoin and a rule's spread as a PNG.",
    "report": "Write all of it as one page for the browser.",
    "explain": "Tell what came with bitcoin, with AI, and with neither.",
    "tune": "Find the rule that fires as often as you want.",
    "miners": "Part the fund's return between its holdings.",
    "drawdown": "Tell how far both legs are below their highs.",
    "network": "Tell how hard bitcoin is to mine, and what it earns.",
    "holdings": "Import, fetch and list what the fund holds.",
    "why": "Tell what an alert rests on and how its messages went.",
    "doctor": "Check settings, database, sources, Slack and clock.",
    "migrate": "Bring the database up to this version's schema.",
    "keys": "Draw a key that seals tokens, or seal them anew.",
    "manifest": "Print the manifest to create the Slack app from.",
}
INTERRUPTED = 130
USAGE = 2
FAILED = 1


class Commands(click.Group):
    """The rows of COMMANDS; each is `command` in the module of its name under bot/commands."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"bot.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or name the nearest one."""
        near = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and near:
            ctx.fail(f"There is no command “{args[0]}”; did you mean “{near[0]}”?")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="minerpulse")
def cli() -> None:
    """Tell a trading desk when bitcoin miners stop moving with bitcoin."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")  # what is less is told by the commands themselves


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(outcome(arguments))


def outcome(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit code: 2 where what was typed or set is wrong, else 1, and 130 for Ctrl-C.

    Whatever went wrong is told in a clear sentence on stderr.
    """
    try:
        return cli.main(arguments, prog_name="minerpulse", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except MinerPulseError as error:
        click.echo(_told(error), err=True)
        return USAGE if isinstance(error, RuleError | ConfigurationError) else FAILED


def _told(error: MinerPulseError) -> str:
    return f"{error}\n{error.pointer}" if isinstance(error, RuleError) else str(error)
