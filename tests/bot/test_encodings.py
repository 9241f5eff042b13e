"""The output of every command is readable in any encoding."""

from pathlib import Path

import pytest

from bot.cli import COMMANDS
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
    clean: Path, name: str, encoding: str
) -> None:
    if name in ON_FILES:
        price_options(clean, LEGS.aligned.etf.tolist(), LEGS.aligned.crypto.tolist(), FIRST)

    result = run_program(clean, *ALL[name], PYTHONIOENCODING=encoding, **SIMULATED)

    shown = (result.stdout + result.stderr).decode(encoding)
    assert shown
    assert "Traceback" not in shown
    assert (result.returncode == 0) is (name not in WITHOUT_DATA)
    assert "?" not in shown.replace("${", "").partition("#compdef")[0]
    if encoding == "ascii":
        assert "\N{NO-BREAK SPACE}" not in shown


def test_every_command_is_among_them() -> None:
    assert set(COMMANDS) == set(ALL)
