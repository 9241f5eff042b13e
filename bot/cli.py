"""The `minerpulse` command line: a table of lazily imported commands, and error handling."""

import difflib
import errno
import gc
import io
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from bot.commands.base import ExampleGroup
from bot.env_file import env_file
from bot.streams import PlainFormatter, echo, prepare_streams
from services.core.errors import (
    ConfigurationError,
    DataError,
    DeliveryError,
    InvalidSettingsError,
    MinerPulseError,
    RuleError,
    StorageError,
    UserInputError,
)


class Task(Enum):
    """The headings of the list of commands."""

    TRY = "Try it"
    MARKET = "Read the market"
    RULES = "Test and manage rules"
    SLACK = "Run in Slack"
    OPERATE = "Operate and audit"
    HELP = "Get help"


@dataclass(frozen=True, slots=True)
class Row:
    """A command in the list.

    Attributes:
        module: Module under bot/commands, if it isn't the one of the command's name.
    """

    task: Task
    summary: str
    module: str = ""


COMMANDS = {
    "rehearse": Row(Task.TRY, "Try alerts and commands on past or simulated prices, without Slack."),
    "pulse": Row(Task.MARKET, "Show the board: returns and spreads over every window."),
    "chart": Row(Task.MARKET, "Draw both legs and the spread as a PNG."),
    "explain": Row(Task.MARKET, "Attribute the ETF's return to BTC, AI and a residual."),
    "drawdown": Row(Task.MARKET, "Show the drawdown of both legs from their highs.", "studies"),
    "miners": Row(Task.MARKET, "Attribute the fund's return to its holdings.", "studies"),
    "network": Row(Task.MARKET, "Show difficulty, hash rate, fees, hashprice and power.", "studies"),
    "report": Row(Task.MARKET, "Write all studies to one HTML page."),
    "replay": Row(Task.RULES, "Replay rules over price files."),
    "backtest": Row(Task.RULES, "Show how often a rule fired, and what followed."),
    "tune": Row(Task.RULES, "Find the threshold for a target rate of alerts."),
    "rules": Row(Task.RULES, "Manage channel rules and settings in a file."),
    "run": Row(Task.SLACK, "Connect to Slack and evaluate the rules."),
    "manifest": Row(Task.SLACK, "Print the manifest that creates the Slack app.", "setup"),
    "doctor": Row(Task.SLACK, "Check settings, database, sources, Slack and clock."),
    "health": Row(Task.OPERATE, "Show whether the app is ready: ticks, prices, queues, database."),
    "why": Row(Task.OPERATE, "Show the audit log of an alert."),
    "holdings": Row(Task.OPERATE, "Import, fetch and list the fund's holdings."),
    "migrate": Row(Task.OPERATE, "Upgrade the database to this version's schema.", "setup"),
    "sinks": Row(Task.OPERATE, "Define the services that channels can page."),
    "backup": Row(Task.OPERATE, "Copy the SQLite database to a file, even while it is in use.", "copies"),
    "restore": Row(Task.OPERATE, "Replace the SQLite database with a backup.", "copies"),
    "move": Row(Task.OPERATE, "Copy all data to another database, such as PostgreSQL.", "copies"),
    "export": Row(Task.OPERATE, "Export alerts, deliveries or people's actions as a table."),
    "keys": Row(Task.OPERATE, "Generate or rotate the keys that encrypt tokens.", "setup"),
    "forget": Row(Task.OPERATE, "Delete a person's data from the database.", "setup"),
    "completion": Row(Task.HELP, "Print a completion script for bash, zsh or fish.", "help"),
    "help": Row(Task.HELP, "Show help for a command."),
}
EXAMPLES = ("minerpulse rehearse --no-web", "minerpulse pulse --etf wgmi.csv --btc btc_1h.csv")
EXIT_CODES = [
    ("0", "Success. For doctor: no check failed."),
    ("1", "Failure: missing data, an unusable file or database, or a failed check."),
    ("2", "Error in the command line, a rule or the settings."),
    ("3", "run --check: no Slack tokens are set. rules diff --exit-code: something differs."),
    ("130", "Interrupted with Ctrl-C."),
]
VARIABLES = [
    ("NO_COLOR", "Turns colors off. Output to a file or a pipe never has any."),
    ("COLUMNS", "Width of the output in characters."),
    ("MINERPULSE_…", "Settings, explained in .env.example. You can also put them in .env in this folder."),
]
EXIT_INTERRUPTED = 130
EXIT_USAGE = 2
EXIT_FAILURE = 1
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
JSON_FLAG = "--json"
KINDS: tuple[tuple[type[Exception], str], ...] = (  # of errors in JSON; the first match counts
    (click.ClickException, "usage"),
    (UserInputError, "input"),
    (DataError, "data"),
    (StorageError, "storage"),
    (DeliveryError, "delivery"),
    (ConfigurationError, "configuration"),
)

log = logging.getLogger(__name__)


class Commands(ExampleGroup):
    """A command group over COMMANDS. Each command is `NAME_command` in a module under bot/commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's
        """Return the names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        name = f"bot.commands.{COMMANDS[cmd_name].module or cmd_name}"
        module = sys.modules.get(name) or _import_without_gc(name)
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that was typed; for an unknown one, fail with the nearest name."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            suggestions = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean “{suggestions[0]}”?" if suggestions else ""
            ctx.fail(f"Unknown command “{args[0]}”.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's
        """Write the commands of each task without importing any of them, then variables and exit codes."""
        width = max(map(len, COMMANDS))
        for task in Task:
            with formatter.section(task.value):
                formatter.write_dl(
                    [(f"{name:{width}}", row.summary) for name, row in COMMANDS.items() if row.task is task]
                )
        with formatter.section("Environment"):
            formatter.write_dl(VARIABLES)
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)


def _import_without_gc(name: str) -> ModuleType:
    """Import a module without garbage collection, a fifth of the time, and exclude what it loads from collection."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


@click.group(
    cls=Commands,
    examples=EXAMPLES,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]…",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("-q", "--quiet", is_flag=True, help="Print results and errors, but no notes or warnings.")
@click.option("-v", "--verbose", is_flag=True, help="Log progress to stderr.")
@click.option("--debug", is_flag=True, help="Log every detail to stderr, including tracebacks.")
@click.option(
    "--env-file",
    "settings_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings file to read instead of .env in this folder.",
)
@click.version_option(package_name="minerpulse", help="Print the version.")
@click.pass_context
def cli(ctx: click.Context, *, quiet: bool, verbose: bool, debug: bool, settings_file: Path | None) -> None:
    """Alert a trading desk when the returns of a bitcoin-miner ETF and bitcoin diverge."""
    if settings_file is not None:
        token = env_file.set(settings_file)
        ctx.call_on_close(lambda: env_file.reset(token))
    if quiet and (verbose or debug):
        raise click.UsageError("-q/--quiet can't be combined with -v/--verbose or --debug.")
    if ctx.invoked_subcommand is None:
        echo(_short_help(ctx))
    elif verbose or debug:
        logs = import_module("bot.logs")  # masks secrets
        logs.configure_logging("DEBUG" if debug else "INFO", logs.LogFormat.TEXT)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(PlainFormatter())
        logging.basicConfig(level=logging.ERROR, handlers=[handler])  # commands print anything less severe themselves


def _short_help(ctx: click.Context) -> str:
    formatter = ctx.make_formatter()
    cli.format_usage(ctx, formatter)
    cli.format_help_text(ctx, formatter)
    formatter.write_paragraph()
    formatter.write_text("`minerpulse --help` lists all commands, and `minerpulse help COMMAND` explains one.")
    return formatter.getvalue().rstrip("\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    prepare_streams()
    _check_key_log()
    sys.exit(run_cli(arguments))


def run_cli(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code, one of EXIT_CODES.

    Errors are printed on stderr, with `--json` as one JSON document.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(words, prog_name="minerpulse", standalone_mode=False) or 0
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message())
        return 0
    except click.ClickException as error:
        _print_error(error, error.format_message(), _click_text(error), error.exit_code, words)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except MinerPulseError as error:
        log.debug("the command failed", exc_info=True)
        code = EXIT_USAGE if isinstance(error, RuleError | InvalidSettingsError) else EXIT_FAILURE
        sentence = as_typed(_error_text(error))
        text = f"{sentence}\n{error.pointer}" if isinstance(error, RuleError) else sentence
        _print_error(error, sentence, text, code, words)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        text = f"The output can't be written: {error.strerror}. Free some space, or write to another disk."
        _print_error(error, text, text, EXIT_FAILURE, words)
        return EXIT_FAILURE
    return code


def _print_error(error: Exception, message: str, text: str, code: int, words: Sequence[str]) -> None:
    """Print an error on stderr: as text, or as JSON if `--json` was typed."""
    if JSON_FLAG in words:
        kind = next((name for branch, name in KINDS if isinstance(error, branch)), "system")
        documents, options = import_module("bot.documents.errors"), import_module("bot.commands.options")
        options.print_document(documents.error_document(kind, message, code), err=True)
    else:
        echo(text, err=True)


def _click_text(error: click.ClickException) -> str:
    shown = io.StringIO()
    error.show(shown)
    return shown.getvalue().removesuffix("\n")


def _error_text(error: MinerPulseError) -> str:
    if isinstance(error, RuleError):
        return str(error)
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
            echo(f"SSLKEYLOGFILE is ignored: {path} can't be written ({error.strerror}).", err=True)
