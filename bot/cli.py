"""The `minerpulse` command line: a table of lazily imported commands, and error handling."""

import difflib
import errno
import io
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from bot.streams import PlainFormatter, echo, prepare_streams
from services.core.errors import InvalidSettingsError, MinerPulseError, RuleError

COMMANDS = {
    "run": "Connect to Slack, with the tokens that are set.",
    "rehearse": "Play a channel over past or simulated prices.",
    "replay": "Test rules on history.",
    "pulse": "Show the board: every window of the pair, as of now.",
    "chart": "Draw the ETF, bitcoin and a rule's spread as a PNG.",
    "report": "Write one page with all studies for the browser.",
    "explain": "Attribute the ETF's return to bitcoin, AI and a residual.",
    "backtest": "Show how a rule would have fired, and what followed.",
    "tune": "Find the rule that fires as often as you want.",
    "miners": "Attribute the fund's return to its holdings.",
    "drawdown": "Show the drawdowns of both legs from their highs.",
    "network": "Show difficulty, hash rate, fees, hashprice and power draw.",
    "holdings": "Import, fetch and list what the fund holds.",
    "why": "Show the prices, decisions and deliveries of an alert.",
    "doctor": "Check settings, database, sources, Slack and clock.",
    "forget": "Erase a person's data from the database.",
    "migrate": "Bring the database up to this version's schema.",
    "keys": "Generate an encryption key for tokens, or rotate keys.",
    "manifest": "Print the manifest that creates the Slack app.",
}
MODULES = {  # of commands that share a module; any other is in the module of its name
    **dict.fromkeys(("miners", "drawdown", "network"), "studies"),
    **dict.fromkeys(("forget", "migrate", "keys", "manifest"), "setup"),
}
EXIT_INTERRUPTED = 130
EXIT_USAGE = 2
EXIT_FAILURE = 1
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class Commands(click.Group):
    """A command group over COMMANDS. Each command is `NAME_command` in a module under bot/commands."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"bot.commands.{MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that was typed; for an unknown one, fail with the nearest name."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            suggestions = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean “{suggestions[0]}”?" if suggestions else "."
            ctx.fail(f"There is no command “{args[0]}”{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="minerpulse")
def cli() -> None:
    """Alert a trading desk when bitcoin miners and bitcoin diverge."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])  # commands print anything less severe themselves


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    prepare_streams()
    _check_key_log()
    sys.exit(run_cli(arguments))


def run_cli(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    The code is 2 for invalid input or settings, 1 for other errors and 130 for Ctrl-C. Errors are printed on stderr.
    """
    try:
        code = cli.main(arguments, prog_name="minerpulse", standalone_mode=False) or 0
        sys.stdout.flush()
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shown.getvalue().removesuffix("\n"), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except MinerPulseError as error:
        echo(as_typed(_error_text(error)), err=True)
        return EXIT_USAGE if isinstance(error, RuleError | InvalidSettingsError) else EXIT_FAILURE
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        echo(f"Cannot write the output: {error.strerror}. Free some space, or write to another place.", err=True)
        return EXIT_FAILURE
    return code


def _error_text(error: MinerPulseError) -> str:
    if isinstance(error, RuleError):
        return f"{error}\n{error.pointer}"
    reasons = import_module("handlers.render.reasons")  # imports NumPy, which `--help` does not need
    return str(reasons.error_text(error))


def as_typed(text: str) -> str:
    """Return a text in which each `minerpulse …` runs as it is written, even if the command isn't on the PATH."""
    if shutil.which("minerpulse"):
        return text
    program = Path(sys.executable).with_name("minerpulse")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    typed = str(program) if program.exists() else f"{sys.executable} -m bot"
    return text.replace("`minerpulse ", f"`{typed} ")


def _check_key_log() -> None:
    """Ignore an SSLKEYLOGFILE that cannot be written: Python would fail to open any TLS connection."""
    path = os.environ.get("SSLKEYLOGFILE")
    if path:
        try:
            with Path(path).open("ab"):
                pass
        except OSError as error:
            del os.environ["SSLKEYLOGFILE"]
            echo(f"SSLKEYLOGFILE names {path}, which cannot be written ({error.strerror}); it is ignored.", err=True)
