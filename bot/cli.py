"""The `minerpulse` command line: a table of lazily imported commands, and error handling."""

import difflib
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from bot.streams import prepare_streams
from services.core.errors import InvalidSettingsError, MinerPulseError, RuleError
from services.core.text import escape_control

COMMANDS = {
    "run": "Connect to Slack, with the tokens that are set.",
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
    "forget": "Erase a person's data from the database.",
    "migrate": "Bring the database up to this version's schema.",
    "keys": "Draw a key that seals tokens, or seal them anew.",
    "manifest": "Print the manifest to create the Slack app from.",
}
MODULES = {  # of commands that share a module; any other is in the module of its name
    **dict.fromkeys(("miners", "drawdown", "network"), "studies"),
    **dict.fromkeys(("forget", "migrate", "keys", "manifest"), "setup"),
}
EXIT_INTERRUPTED = 130
EXIT_USAGE = 2
EXIT_FAILURE = 1


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
        suggestions = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and suggestions:
            ctx.fail(f"There is no command “{args[0]}”; did you mean “{suggestions[0]}”?")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="minerpulse")
def cli() -> None:
    """Tell a trading desk when bitcoin miners stop moving with bitcoin."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")  # commands print anything less severe themselves


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
        return cli.main(arguments, prog_name="minerpulse", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except MinerPulseError as error:
        click.echo(escape_control(as_typed(_error_text(error))), err=True)
        return EXIT_USAGE if isinstance(error, RuleError | InvalidSettingsError) else EXIT_FAILURE


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
            click.echo(
                f"SSLKEYLOGFILE names {path}, which cannot be written ({error.strerror}); it is ignored.", err=True
            )
