"""A dash is standard input, for one file of any command that reads one."""

import io
from pathlib import Path

import pytest

from tests.bot.conftest import CliResult, RunCli
from tests.bot.files import price_options

PRICES = [20.0, 18.0, 22.0, 21.0, 25.0]


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize("leg", ["--etf", "--btc"])
@pytest.mark.parametrize(
    "command", [["pulse"], ["replay", "--rule", "1d 8pp"], ["backtest", "1d", "8pp"], ["drawdown"]]
)
def test_a_leg_from_the_standard_input_is_read_like_a_file(
    minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], leg: str
) -> None:
    options = price_options(clean, PRICES, [50_000.0] * 5)
    path = Path(options[options.index(leg) + 1])
    expected = minerpulse(*command, *options)

    pipe(monkeypatch, path.read_bytes())
    result = minerpulse(*command, *["-" if option == path else option for option in options])

    assert 0 == result.code == expected.code
    assert _numbers(expected) == _numbers(result)


def _numbers(result: CliResult) -> str:
    return result.out.replace("etf.csv", "stdin").replace("btc.csv", "stdin").replace(" ", "").replace("\n", "")


def test_only_one_option_reads_the_standard_input(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"Date,Close\n")

    result = minerpulse("pulse", "--etf", "-", "--btc", "-")

    assert (2, "") == (result.code, result.out)
    assert "'--etf' already reads standard input. Name a file." in result.err


def test_holdings_are_imported_from_the_standard_input(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"Ticker,Weight\nIREN,60%\n")

    result = minerpulse("holdings", "import", "-", "--as-of", "2026-07-07")

    assert (0, "") == (result.code, result.err)
    assert result.out.startswith("WGMI as of 2026-07-07: 1 holding. ")


def test_an_error_names_the_standard_input_and_the_line(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"Ticker,Weight\nIREN,much\n")

    assert "stdin, line 2: " in minerpulse("holdings", "import", "-", "--as-of", "2026-07-07").err
