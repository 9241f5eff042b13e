"""Price files of vendors on the command line: each is named with the column and the order that are read."""

import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bot.conftest import RunCli
from tests.bot.files import FIRST, btc_file, etf_file, price_options
from tests.fakes.market import session_days

PRICES = [20.0, 18.0, 22.0, 21.0, 25.0]
BITCOIN = [50_000.0] * 5


def vendor_file(folder: Path, header: str, row: str, date_format: str = "%Y-%m-%d") -> Path:
    """Write closes of the first sessions, newest first; the row has a {day} and a {price}."""
    days = session_days(FIRST, len(PRICES))
    rows = [row.format(day=f"{day:{date_format}}", price=price) for day, price in zip(days, PRICES, strict=True)]
    path = folder / "WGMI.csv"
    path.write_text("\n".join([header, *reversed(rows)]), encoding="utf-8")
    return path


def numbers(text: str) -> str:
    return text.replace("WGMI.csv", "etf.csv")


@pytest.mark.parametrize(
    ("header", "row", "date_format", "named"),
    [
        pytest.param(
            "Date,Open,High,Low,Close,Adj Close,Volume",
            "{day},1,1,1,40,{price},7",
            "%Y-%m-%d",
            "Yahoo Finance CSV. Prices: Adj Close, adjusted for splits and dividends. Newest first.",
            id="yahoo",
        ),
        pytest.param(
            "Date,Close/Last,Volume,Open,High,Low",
            "{day},${price},7,$1,$1,$1",
            "%m/%d/%Y",
            "Nasdaq CSV. Prices: Close/Last; the file doesn't say whether they are adjusted for splits and dividends. "
            "Newest first, dates month first.",
            id="nasdaq",
        ),
        pytest.param(
            "timestamp,open,high,low,close,volume",
            "{day},1,1,1,{price},7",
            "%Y-%m-%d",
            "Alpha Vantage CSV. Prices: close, as traded, not adjusted for splits or dividends. Newest first.",
            id="alpha-vantage",
        ),
    ],
)
@pytest.mark.parametrize("command", [["pulse"], ["replay", "--rule", "1d 8pp"], ["drawdown"]])
def test_a_download_gives_the_answer_of_a_plain_file_and_is_named(
    minerpulse: RunCli, clean: Path, command: list[str], header: str, row: str, date_format: str, named: str
) -> None:
    expected = minerpulse(*command, *price_options(clean, PRICES, BITCOIN))

    path = vendor_file(clean, header, row, date_format)
    result = minerpulse(*command, "--etf", path, "--btc", clean / "btc.csv")

    assert (0, expected.out.split()) == (result.code, numbers(result.out).split())
    assert f"Read WGMI.csv as: {named}\n" == result.err


def test_bitcoin_needs_no_adjustment_and_its_symbol_is_named(minerpulse: RunCli, clean: Path) -> None:
    etf, btc = etf_file(clean, PRICES), btc_file(clean, BITCOIN)
    rows = [line.split(",") for line in btc.read_text().splitlines()[1:]]
    lines = [f"{_epoch(at)},{at}:00,BTC/USD,1,1,1,{price},1,1" for at, price in reversed(rows)]
    btc.write_text(
        "\n".join(["https://www.example.com", "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD", *lines])
    )

    result = minerpulse("pulse", "--etf", etf, "--btc", btc)

    assert 0 == result.code
    assert (
        "Read btc.csv as: CryptoDataDownload CSV in dollars of BTC/USD. Prices: close. Newest first.\n"
    ) == result.err


def _epoch(at: str) -> int:
    return int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())


def test_dates_of_either_order_are_asked_about_and_answered(minerpulse: RunCli, clean: Path) -> None:
    path = vendor_file(clean, "Date,Price,Open,High,Low,Vol.,Change %", "{day},{price},1,1,1,1M,1%", "%m/%d/%Y")
    options = ["--etf", path, "--btc", btc_file(clean, BITCOIN)]

    asked, answered = minerpulse("pulse", *options), minerpulse("pulse", *options, "--dates", "mdy")

    assert (1, "") == (asked.code, asked.out)
    assert "“03/06/2026” is Mar 6, 2026 if the month is first, or Jun 3, 2026 if the day is" in asked.err
    assert "Add --dates mdy or --dates dmy." in asked.err
    assert 0 == answered.code
    assert "Read WGMI.csv as: Investing.com CSV. " in answered.err
    assert "Newest first, dates month first." in answered.err


def test_a_file_of_no_known_format_is_refused_with_the_list(minerpulse: RunCli, clean: Path) -> None:
    path = vendor_file(clean, "Day,Price", "{day},{price}")

    result = minerpulse("pulse", "--etf", path, "--btc", btc_file(clean, BITCOIN))

    assert (1, "") == (result.code, result.out)
    assert "line 1: has no date column; its first line reads “day, price”." in result.err
    assert all(name in result.err for name in ("Nasdaq CSV", "Kraken OHLCVT", "CoinMarketCap CSV"))


def test_adjusted_closes_of_an_unknown_file_are_said_not_to_be_used(minerpulse: RunCli, clean: Path) -> None:
    etf = etf_file(clean, PRICES)
    etf.write_text(
        "\n".join(f"{line},{'adjclose' if at == 0 else 1}" for at, line in enumerate(etf.read_text().split()))
    )

    result = minerpulse("pulse", "--etf", etf, "--btc", btc_file(clean, BITCOIN))

    assert (0, "Read etf.csv: prices from close. Not used: adjclose.\n") == (result.code, result.err)


def test_the_standard_input_can_be_compressed(minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = price_options(clean, PRICES, BITCOIN)
    packed = gzip.compress((clean / "etf.csv").read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(packed)))

    expected, result = (
        minerpulse("drawdown", "--json", *options),
        minerpulse("drawdown", "--json", "--etf", "-", *options[2:]),
    )

    assert (0, json.loads(expected.out.replace("etf.csv", "stdin"))) == (result.code, json.loads(result.out))


def test_quiet_names_no_format(minerpulse: RunCli, clean: Path) -> None:
    path = vendor_file(clean, "timestamp,open,high,low,close,volume", "{day},1,1,1,{price},7")

    assert "" == minerpulse("--quiet", "pulse", "--etf", path, "--btc", btc_file(clean, BITCOIN)).err


def test_the_file_of_the_ai_proxy_is_named_too(minerpulse: RunCli, clean: Path) -> None:
    options = price_options(clean, PRICES, BITCOIN)
    path = vendor_file(clean, "timestamp,open,high,low,close,volume", "{day},1,1,1,{price},7")

    assert "Read WGMI.csv as: Alpha Vantage CSV." in minerpulse("explain", "5d", *options, "--ai", path).err
