"""The command line: help, input errors, exit codes and interruption."""

import io
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from bot import cli
from services.core.errors import InvalidSettingsError, MinerPulseError, RuleError, SourceError
from tests.bot.conftest import MINERPULSE, ROOT, RunCli
from tests.bot.files import btc_file, etf_file

HEAVY = ("pydantic", "sqlalchemy", "slack_bolt", "starlette", "prompt_toolkit")


def test_the_version_is_that_of_the_package(minerpulse: RunCli) -> None:
    assert minerpulse("--version") == (0, f"minerpulse, version {version('minerpulse')}\n", "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("repaly", "Did you mean “replay”?", id="a-slip"),
        pytest.param("dance", "Unknown command “dance”.", id="nothing-like-it"),
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
            "“8pq” isn't allowed here. Use 8pp.\n1d 8pq\n   ^^^\n",
            id="rule-with-its-pointer",
        ),
        pytest.param(
            SourceError("down", source="yahoo", symbol="WGMI", retryable=True), 1, "yahoo (WGMI): down\n", id="source"
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


@pytest.mark.parametrize("command", ["pulse", "rehearse", "chart", "drawdown", "backtest 1d 8pp", "tune 1d 2/month"])
@pytest.mark.parametrize(("given", "missing"), [("--etf", "--btc"), ("--btc", "--etf")])
def test_a_single_price_file_is_rejected(
    minerpulse: RunCli, clean: Path, command: str, given: str, missing: str
) -> None:
    result = minerpulse(*command.split(), given, etf_file(clean, [20.0]))
    assert result.code == 2
    assert f"{missing} is missing. Pass files for both legs, or for neither." in result.err


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


def test_a_rehearsal_whose_output_nobody_reads_ends_without_an_error(clean: Path) -> None:
    """Messages are printed inside the tasks of a server, which would log what ends them."""
    command = [MINERPULSE, "rehearse", "--no-web", "--no-prompt"]
    environment = {"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(clean)}
    with subprocess.Popen(  # noqa: S603 -- our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=clean, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        title = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert title.startswith("Rehearsing SIMULATED market 1: ")
    assert (1, "") == (process.returncode, errors)


def run_program(clean: Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the installed command in an environment of its own."""
    return subprocess.run(  # noqa: S603 -- our own command
        [MINERPULSE, *map(str, arguments)],
        cwd=clean,
        env={"PATH": os.environ["PATH"], "COLUMNS": "100", "XDG_DATA_HOME": str(clean)} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


HOSTILE = {
    "NO_PROXY": "::1/128,[::1",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "HTTPS_PROXY": "http://[bad",
    "SSL_CERT_FILE": "/missing.pem",
    "SSLKEYLOGFILE": "/missing/keys.log",
}
SIMULATED = {"MINERPULSE_ETF_SOURCES": "simulated", "MINERPULSE_CRYPTO_SOURCES": "simulated"}


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        pytest.param(["rehearse", "--no-prompt", "--to", "2025-01-04"], {}, id="rehearsal"),
        pytest.param(["pulse"], SIMULATED, id="simulated board"),
        pytest.param(["pulse", "--etf", "etf.csv", "--btc", "btc.csv"], {}, id="board of files"),
        pytest.param(["replay", "--etf", "etf.csv", "--btc", "btc.csv"], {}, id="replay of files"),
        pytest.param(["migrate"], {}, id="migration"),
    ],
)
def test_a_command_without_network_calls_runs_in_any_environment(
    clean: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    variables: dict[str, str],
) -> None:
    etf_file(clean, [20.0, 22.0]), btc_file(clean, [50_000.0, 50_000.0])
    for name, value in (HOSTILE | variables).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main(command)

    check_output_in_a_hostile_environment(*capsys.readouterr())


def test_a_process_without_network_calls_runs_in_any_environment(clean: Path) -> None:
    result = run_program(clean, "pulse", **HOSTILE, **SIMULATED)

    assert 0 == result.returncode
    check_output_in_a_hostile_environment(result.stdout.decode(), result.stderr.decode())


def check_output_in_a_hostile_environment(out: str, err: str) -> None:
    assert out
    assert ["SSLKEYLOGFILE is ignored: /missing/keys.log can't be written"] == [
        line.partition(" (")[0] for line in err.splitlines()
    ]


@pytest.mark.parametrize("command", ["pulse", "network", "chart", "holdings fetch"])
@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        pytest.param("ALL_PROXY", "socks5://127.0.0.1:9", "ALL_PROXY names a SOCKS proxy", id="SOCKS"),
        pytest.param("SSL_CERT_FILE", "/missing.pem", "SSL_CERT_FILE names /missing.pem, which", id="certificates"),
    ],
)
def test_a_command_with_network_calls_names_the_variable_that_keeps_it_from_them(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch, command: str, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)

    result = minerpulse(*command.split())

    assert (2, "", 1) == (result.code, result.out, len(result.err.splitlines()))
    assert result.err.startswith(expected)


@pytest.mark.usefixtures("simulated")
def test_a_document_is_the_same_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = []
    for encoding in ("ascii", "utf-8"):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
        with pytest.raises(SystemExit, match=r"^0$"):
            cli.main(["explain", "--json"])
        documents.append(json.loads(written.getvalue()))

    assert documents[0].keys() == documents[1].keys()


def test_a_similar_character_is_printed_where_the_encoding_lacks_one(clean: Path) -> None:
    etf_file(clean, [20.0, 18.0]), btc_file(clean, [50_000.0, 50_000.0])

    result = run_program(
        clean, "replay", "--etf", "etf.csv", "--btc", "btc.csv", "--rule", "1d 8pp", PYTHONIOENCODING="ascii"
    )

    assert b"-10" in result.stdout
    assert b"?" not in result.stdout


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("is_empty", [False, True], ids=["missing", "empty"])
@pytest.mark.parametrize("command", ["why", "forget U1", "holdings list", "pulse", "doctor"])
def test_a_command_that_reads_creates_no_database_and_writes_nothing_into_an_empty_file(
    minerpulse: RunCli, clean: Path, command: str, *, is_empty: bool
) -> None:
    database = clean / "minerpulse.db"
    if is_empty:
        database.touch()

    result = minerpulse(*command.split())

    assert "Traceback" not in result.err
    assert [("minerpulse.db", 0)] * is_empty == [(path.name, path.stat().st_size) for path in clean.iterdir()]


def test_a_command_in_a_message_runs_as_it_is_written(clean: Path) -> None:
    on_path = run_program(clean, "why", PATH=f"{Path(MINERPULSE).parent}:/usr/bin:/bin")
    off_path = run_program(clean, "why", PATH="/usr/bin:/bin")

    assert b"`minerpulse run` creates it" in on_path.stderr
    assert f"`{MINERPULSE} run` creates it".encode() in off_path.stderr


def test_env_file_replaces_the_file_in_this_folder_for_one_command(minerpulse: RunCli, clean: Path) -> None:
    (clean / ".env").write_text("MINERPULSE_DATABASE_URL=sqlite:///here.db\n")
    (clean / "desk.env").write_text("MINERPULSE_DATABASE_URL=sqlite:///desk.db\n")
    codes = minerpulse("--env-file", "desk.env", "migrate").code, minerpulse("migrate").code

    assert (0, 0) == codes
    assert ["desk.db", "here.db"] == sorted(path.name for path in clean.glob("*.db"))


def test_an_env_file_that_is_missing_or_wrong_is_named(minerpulse: RunCli, clean: Path) -> None:
    (clean / "desk.env").write_text("MINERPULSE_ETF=WGMI\nnonsense\n")

    assert "missing.env" in minerpulse("--env-file", "missing.env", "migrate").err
    assert "Line 2 of desk.env has no value." in minerpulse("--env-file", "desk.env", "migrate").err
