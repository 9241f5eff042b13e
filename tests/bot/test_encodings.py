"""The output of every command is readable in any encoding."""

import io
import sys
from pathlib import Path

import pytest

from bot.cli import COMMANDS, run_cli
from bot.streams import prepare_streams
from tests.bot.files import price_options
from tests.bot.test_cli import SIMULATED, run_program
from tests.fakes.legs import random_legs

LEGS = random_legs(300)
FIRST = "2022-02-08"
FILES = ["--etf", "etf.csv", "--btc", "btc.csv"]
ON_FILES = {
    "pulse": ["pulse", *FILES],
    "drawdown": ["drawdown", *FILES],
    "replay": ["replay", *FILES, "--rule", "1d 8pp"],
    "backtest": ["backtest", "1d 8pp", *FILES],
    "tune": ["tune", "5d 2/month", *FILES],
    "chart": ["chart", *FILES, "-o", "out.png"],
    "report": ["report", *FILES, "-o", "out.html"],
}
ON_THE_SIMULATED_MARKET = {
    "rehearse": ["rehearse", "--no-prompt", "--to", "2025-01-04"],
    "explain": ["explain", "60d"],
    "network": ["network"],
    "doctor": ["doctor"],
}
WITHOUT_DATA = {  # these print an error
    "miners": ["miners"],
    "why": ["why"],
    "holdings": ["holdings", "list"],
    "forget": ["forget", "U1"],
    "run": ["run"],
    "health": ["health"],
    "rules": ["rules", "check", "rules.yaml"],
    "backup": ["backup"],
    "restore": ["restore", "backup.db"],
    "move": ["move", "--to", "sqlite:///other.db"],
    "export": ["export", "alerts"],
}
OTHERS = {
    "migrate": ["migrate", "--dry-run"],
    "sinks": ["sinks", "list"],
    "keys": ["keys", "new"],
    "manifest": ["manifest", "--socket"],
    "help": ["help"],
    "completion": ["completion", "zsh"],
}
ALL = ON_FILES | ON_THE_SIMULATED_MARKET | WITHOUT_DATA | OTHERS


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("name", ALL)
def test_the_output_of_a_command_is_in_the_encoding_and_lacks_no_character(
    clean: Path, monkeypatch: pytest.MonkeyPatch, name: str, encoding: str
) -> None:
    outputs = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
    for stream, output in zip(("stdout", "stderr"), outputs, strict=True):
        monkeypatch.setattr(sys, stream, output)
    for variable, value in SIMULATED.items():
        monkeypatch.setenv(variable, value)
    write_files(clean, name)

    prepare_streams()
    code = run_cli(ALL[name])

    check(name, code, b"".join(map(written, outputs)), encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_process_writes_in_the_encoding_of_its_streams(clean: Path, encoding: str) -> None:
    write_files(clean, "pulse")

    result = run_program(clean, *ALL["pulse"], PYTHONIOENCODING=encoding)

    check("pulse", result.returncode, result.stdout + result.stderr, encoding)


def write_files(folder: Path, name: str) -> None:
    if name in ON_FILES:
        price_options(folder, LEGS.aligned.etf.tolist(), LEGS.aligned.crypto.tolist(), FIRST)


def written(output: io.TextIOWrapper) -> bytes:
    output.flush()
    buffer = output.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def check(name: str, code: int, output: bytes, encoding: str) -> None:
    """Check the exit code of a command, and that each character of its output can be read."""
    shown = output.decode(encoding)
    assert shown
    assert "Traceback" not in shown
    assert (code == 0) is (name not in WITHOUT_DATA)
    assert "?" not in shown.replace("${", "").partition("#compdef")[0]
    if encoding == "ascii":
        assert "\N{NO-BREAK SPACE}" not in shown


def test_every_command_is_among_them() -> None:
    assert set(COMMANDS) == set(ALL)
