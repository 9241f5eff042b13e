"""The command line: help, input errors, exit codes and interruption."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from bot import cli
from bot.cli import COMMANDS
from services.core.errors import InvalidSettingsError, MinerPulseError, RuleError, SourceError
from tests.bot.conftest import MINERPULSE, ROOT, RunCli
from tests.bot.files import btc_file, etf_file

HEAVY = ("pydantic", "sqlalchemy", "slack_bolt", "starlette", "prompt_toolkit")


def test_help_lists_every_command_in_the_order_of_the_table(minerpulse: RunCli) -> None:
    result = minerpulse("--help")
    listed = [line.split()[0] for line in result.out.partition("Commands:")[2].strip().splitlines()]
    assert (result.code, listed) == (0, list(COMMANDS))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(minerpulse: RunCli, name: str) -> None:
    result = minerpulse(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: minerpulse {name}")


def test_the_version_is_that_of_the_package(minerpulse: RunCli) -> None:
    assert minerpulse("--version") == (0, f"minerpulse, version {version('minerpulse')}\n", "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("repaly", "did you mean “replay”?", id="a-slip"),
        pytest.param("dance", "No such command 'dance'", id="nothing-like-it"),
    ],
)
def test_an_unknown_command_names_the_nearest(minerpulse: RunCli, typed: str, expected: str) -> None:
    result = minerpulse(typed)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        pytest.param(InvalidSettingsError("Set it."), 2, "Set it.\n", id="settings"),
        pytest.param(
            RuleError("1d 8pq", word="8pq", offset=3, expected="8pp"),
            2,
            "Cannot read “8pq”: expected 8pp.\n1d 8pq\n   ^^^\n",
            id="rule-with-its-pointer",
        ),
        pytest.param(
            SourceError("down", source="yahoo", symbol="WGMI", retryable=True), 1, "yahoo on WGMI: down\n", id="source"
        ),
        pytest.param(click.Abort(), 130, "", id="aborted"),
        pytest.param(KeyboardInterrupt(), 130, "\n", id="interrupted"),
    ],
)
def test_errors_print_one_sentence_and_set_the_exit_code(
    minerpulse: RunCli,
    monkeypatch: pytest.MonkeyPatch,
    error: MinerPulseError | click.Abort | KeyboardInterrupt,
    code: int,
    expected: str,
) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(cli.Commands, "get_command", lambda *_: command)
    assert minerpulse("replay") == (code, "", expected)


@pytest.mark.parametrize("command", ["pulse", "rehearse"])
@pytest.mark.parametrize(("given", "missing"), [("--etf", "--btc"), ("--btc", "--etf")])
def test_a_single_price_file_is_rejected(
    minerpulse: RunCli, clean: Path, command: str, given: str, missing: str
) -> None:
    result = minerpulse(command, given, etf_file(clean, [20.0]))
    assert result.code == 2
    assert f"{missing} is missing: both legs come from files, or neither." in result.err


def test_python_runs_the_package_as_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bot", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("minerpulse, version ")


def test_a_replay_imports_no_slack_library_database_or_prompt(clean: Path) -> None:
    program = (
        "import sys; from bot.cli import run_cli; code = run_cli(sys.argv[1:]); "
        f"sys.exit(code or ' '.join(m for m in {HEAVY} if m in sys.modules) or None)"
    )
    etf, btc = etf_file(clean, [20.0, 22.0]), btc_file(clean, [50_000.0, 50_000.0])
    result = subprocess.run(  # noqa: S603 -- this very Python
        [sys.executable, "-c", program, "replay", "--etf", str(etf), "--btc", str(btc), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_closed_pipe_prints_no_error(clean: Path) -> None:
    etf, btc = etf_file(clean, [20.0, 24.0] * 40), btc_file(clean, [50_000.0] * 80)
    command = [MINERPULSE, "replay", "--etf", str(etf), "--btc", str(btc), "--rule", "1d 8pp"]
    with subprocess.Popen(  # noqa: S603 -- our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
