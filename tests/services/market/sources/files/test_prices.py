from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.core.errors import PriceFileError, SourceError
from services.core.prices import Bars, Closes, Symbol
from services.market.ports import CryptoSource
from services.market.sources.files.prices import (
    DAILY_BITCOIN_WARNING,
    FileCrypto,
    FileEquity,
    daily_warning,
    read_crypto_csv,
    read_etf_csv,
)

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def save(folder: Path, *lines: str) -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def january(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["Date,Close", "2026-01-02,38.5", "2026-01-05,40"], id="plain"),
        pytest.param(
            ["date,open,high,low,close,adjclose,volume", "2026-01-02,1,2,3,38.5,9,7", "2026-01-05,1,2,3,40,9,7"],
            id="ohlcv-lower-case",
        ),
        pytest.param(
            ["Adj Close,CLOSE,DATE", "9,38.5,2026-01-02", "9,40.00,2026-01-05"], id="any-order-with-adj-close"
        ),
        pytest.param(
            ["Date,Close", "2026-01-02 00:00:00-05:00,38.5", "2026-01-05T05:00:00Z,4e1"], id="dates-with-times"
        ),
    ],
)
def test_etf_closes_are_read(tmp_path: Path, lines: list[str]) -> None:
    closes = read_etf_csv(save(tmp_path, *lines), WGMI)

    assert ["2026-01-02", "2026-01-05"] == closes.sessions.astype(str).tolist()
    assert [38.5, 40.0] == closes.prices.tolist()
    assert (WGMI, "prices.csv") == (closes.symbol, closes.source)


def test_openings_are_read_if_present(tmp_path: Path) -> None:
    days = ["05,20,21", "06,,21", "07,n/a,21", "08,0,21", "09,-20,21", "12,inf,21", "13,25,20"]
    closes = read_etf_csv(save(tmp_path, "Date,Open,Close", *(f"2026-01-{day}" for day in days)), WGMI)

    np.testing.assert_allclose(closes.known_open_to_close, [0.05, *[np.nan] * 5, -0.2], rtol=1e-12)


async def test_a_file_source_has_open_to_close_returns(tmp_path: Path) -> None:
    path = save(tmp_path, "Date,Open,Close", "2026-01-05,20,21", "2026-01-06,25,20")
    prices = await FileEquity(read_etf_csv(path, WGMI)).prices(WGMI, date(2026, 1, 6))

    np.testing.assert_allclose(prices.closes.known_open_to_close, [-0.2])


def test_a_date_is_used_as_written(tmp_path: Path) -> None:
    closes = read_etf_csv(save(tmp_path, "Date,Close", "2026-01-02T00:00:00.000Z,38.5"), WGMI)

    assert ["2026-01-02"] == closes.sessions.astype(str).tolist()


def test_future_dates_are_allowed(tmp_path: Path) -> None:
    assert 1 == len(read_etf_csv(save(tmp_path, "Date,Close", "2126-01-02,38.5"), WGMI))


BAD_PRICES = {
    "": "the close is missing",
    "  ": "the close is missing",
    "0": "the close 0 isn't above zero",
    "-1.5": "the close -1.5 isn't above zero",
    "-inf": "the close -inf isn't above zero",
    "n/a": "the close “n/a” isn't a number",
    "nan": "the close “nan” isn't a number",
    "inf": "the close “inf” isn't a number",
    "1e999": "the close “1e999” isn't a number",
    "1e300": "the close “1e300” isn't a possible price",
    "1e-320": "the close “1e-320” isn't a possible price",
    "x" * 5_000: f"the close “{'x' * 199}…” isn't a number",
    "$38.50": "the close “$38.50” isn't a number",
    '"1,234.5"': "the close “1,234.5” isn't a number",
    "1_000": "the close “1_000” isn't a number",
    "True": "the close “True” isn't a number",
}
PRICE_REMEDY = "Write prices as plain numbers above zero"
NOT_DATES = (
    *("", "today", "2026", "2026-01", "20260105", "05/01/2026", "2026-1-5", "2026-02-30", "2026-01-05 25:00", "NaT"),
    *("0202-02-08", "1926-02-08"),
)
FIRST, ORDER = "2026-01-02,38.5", "on the line above. Sort the rows by time, oldest first"
COLUMNS = "Name the columns date and close in the first line"


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        *(
            pytest.param(
                ["Date,Close", FIRST, f"2026-01-05,{cell}", "2026-01-06,oops"], 3, f"{message}. {PRICE_REMEDY}"
            )
            for cell, message in BAD_PRICES.items()
        ),
        *(
            pytest.param(
                ["Date,Close", FIRST, f"{cell},40"],
                3,
                f"“{cell}” isn't a valid date. Write dates as in 2026-06-01.",
            )
            for cell in NOT_DATES
        ),
        (["Date,Close", "2026-01-05,1", "2026-01-05,4"], 3, f"“2026-01-05” repeats “2026-01-05” {ORDER}"),
        (["Date,Close", "2026-01-05,1", "2026-01-02,4"], 3, f"“2026-01-02” is earlier than “2026-01-05” {ORDER}"),
        (["Date,Adj Close", "1,1"], 1, f"has no close column; its first line reads “date, adj close”. {COLUMNS}"),
        (["Day,Close", "1,1"], 1, f"has no date column; its first line reads “day, close”. {COLUMNS}"),
        (["Day;Close", "1"], 1, f"has no date column; its first line reads “day;close”. {COLUMNS}"),
        pytest.param(
            ["Date,Close", "2026-01-02,1", "2026-01-05,0", "soon,1", "2026-01-05,1,1"], 3, "", id="the first of several"
        ),
    ],
)
def test_a_bad_etf_file_reports_its_line(tmp_path: Path, lines: list[str], line: int, message: str) -> None:
    path = save(tmp_path, *lines)

    with pytest.raises(PriceFileError) as caught:
        read_etf_csv(path, WGMI)

    assert line == caught.value.line
    assert f"line {line}: {message}" in str(caught.value)


@pytest.mark.parametrize("read", [read_etf_csv, read_crypto_csv])
def test_a_short_first_row_is_reported(tmp_path: Path, read: Callable[[Path, Symbol], Closes | Bars]) -> None:
    with pytest.raises(PriceFileError, match="line 2: has 1 columns, but the first line names 2"):
        read(save(tmp_path, "date,close", "2026-01-02"), WGMI)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        pytest.param("Date,Adj Close", "has no close column; its first line reads “date, adj close”", id="adjusted"),
        pytest.param("Day,Close", "has no date column; its first line reads “day, close”", id="no-date"),
        pytest.param("Day;Close", "has no date column; its first line reads “day;close”", id="semicolons"),
    ],
)
def test_missing_columns_are_reported_with_the_existing_ones(tmp_path: Path, header: str, message: str) -> None:
    row = ",".join("1" for _ in header.split(","))
    path = save(tmp_path, header, row)

    with pytest.raises(PriceFileError) as caught:
        read_etf_csv(path, WGMI)

    assert 1 == caught.value.line
    assert f"{message}. Name the columns date and close in the first line" in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["date,close", "2026-01-01 14:00:00,1", "2026-01-01 15:00:00,2"], id="naive-is-utc"),
        pytest.param(["Datetime,Close", "2026-01-01T14:00,1", "2026-01-01T15:00,2"], id="without-seconds"),
        pytest.param(["TIMESTAMP,Close", "2026-01-01T14:00:00Z,1", "2026-01-01T15:00:00.000Z,2"], id="zulu"),
        pytest.param(["time,close", "2026-01-01 09:00:00-05:00,1", "2026-01-01 16:00+01:00,2"], id="offsets"),
        pytest.param(["open_time,close", "1767276000,1", "1767279600,2"], id="epoch-seconds"),
        pytest.param(["open_time,close", "1767276000000,1", "1767279600000,2"], id="epoch-milliseconds"),
        pytest.param(["open_time,close", "1767276000000000,1", "1767279600000000,2"], id="epoch-microseconds"),
        pytest.param(["Date,Time,Close", "2026-01-01,14:00:00,1", "2026-01-01,15:00:00,2"], id="date-and-time"),
        pytest.param(
            ["date,open_time,close", "later,1767276000,1", "later,1767279600,2"], id="the-most-specific-column"
        ),
    ],
)
def test_bars_are_read_with_utc_opening_times(tmp_path: Path, lines: list[str]) -> None:
    bars = read_crypto_csv(save(tmp_path, *lines), BTC)

    assert ["2026-01-01T14:00:00", "2026-01-01T15:00:00"] == bars.opened_at.astype(str).tolist()
    assert [1.0, 2.0] == bars.closes.tolist()
    assert (BTC, HOUR, "prices.csv") == (bars.symbol, bars.interval, bars.source)


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        *(
            pytest.param(["2026-01-02 00:00,9", f"2026-01-02 01:00,{cell}", "2026-01-02 02:00,oops"], 3, message)
            for cell, message in BAD_PRICES.items()
        ),
        *(
            pytest.param(
                [f"{first},1", f"{second},2"],
                3,
                f"“{second}” isn't a time in whole seconds. Write opening times in UTC",
                id=name,
            )
            for first, second, name in (
                ("2026-01-01 14:00", "1767279600", "iso-then-epoch"),
                ("1767276000", "2026-01-01 15:00", "epoch-then-iso"),
                ("1767276000", "176727960", "a-digit-short"),
                ("1767276000000", "1767279600500", "half-a-second"),
                ("2026-01-01 14:00", "2026-01-01 15:00:00.5", "half-a-second-in-iso"),
                ("2026-01-01 14:00", "2026-01-01 24:00", "no-such-hour"),
                ("2026-01-01 14:00", "2026-13-01 15:00", "no-such-month"),
                ("2026-01-01 14:00", "now", "now"),
                ("2026-01-01 14:00", "", "empty"),
            )
        ),
        (
            ["2026-01-01 14:00,1", "2026-01-01 15:00,2", "2026-01-01 14:00,3"],
            4,
            "“2026-01-01 14:00” is earlier than “2026-01-01 15:00”",
        ),
    ],
)
def test_a_bad_bitcoin_file_reports_its_line(tmp_path: Path, lines: list[str], line: int, message: str) -> None:
    path = save(tmp_path, "date,close", *lines)

    with pytest.raises(PriceFileError) as caught:
        read_crypto_csv(path, BTC)

    assert line == caught.value.line
    assert f"line {line}: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("hours", "interval"),
    [
        pytest.param([0, 1, 2, 3], HOUR, id="hourly"),
        pytest.param([0, 1, 2, 6, 7], HOUR, id="hourly-with-a-gap"),
        pytest.param([0, 0.25, 0.5, 3], 15 * MINUTE, id="quarters"),
        pytest.param([0, 24, 48], DAY, id="daily"),
        pytest.param([0, 24, 96], DAY, id="daily-with-a-gap"),
    ],
)
def test_the_most_common_spacing_is_the_bar_length(tmp_path: Path, hours: list[float], interval: timedelta) -> None:
    rows = [f"{january(1) + hour * HOUR:%Y-%m-%d %H:%M},1" for hour in hours]

    bars = read_crypto_csv(save(tmp_path, "date,close", *rows), BTC)

    assert (interval, len(hours)) == (bars.interval, len(bars))


@pytest.mark.parametrize(
    ("minutes", "line"),
    [
        pytest.param([0, 60, 120, 180, 210, 270], 6, id="a-bar-off-the-hour"),
        pytest.param([*range(0, 180, 5), *range(180, 20 * 60, 60)], 39, id="longer-bars-after-the-usual-ones"),
        pytest.param([*range(0, 20 * 60, 60), *range(20 * 60, 24 * 60, 5)], 3, id="longer-bars-before-the-usual-ones"),
    ],
)
def test_mixed_bar_lengths_report_the_line(tmp_path: Path, minutes: list[int], line: int) -> None:
    rows = [f"{january(1) + minute * MINUTE:%Y-%m-%d %H:%M},1" for minute in minutes]

    with pytest.raises(PriceFileError, match=r"nor a whole number of bars\. Keep bars of one length in the") as caught:
        read_crypto_csv(save(tmp_path, "date,close", *rows), BTC)

    assert line == caught.value.line


def test_repeated_gaps_are_not_mixed_lengths(tmp_path: Path) -> None:
    hours = [hour for day in range(30) for hour in range(24 * day, 24 * day + 20)]
    rows = [f"{january(1) + hour * HOUR:%Y-%m-%d %H:%M},1" for hour in hours]

    assert HOUR == read_crypto_csv(save(tmp_path, "date,close", *rows), BTC).interval


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(["2026-01-01 00:00,1"], "has only one bar, so the bar length is unknown", id="one-bar"),
        pytest.param(["2026-01-01 00:00,1", "2026-01-01 04:00,1"], "has bars of 4:00:00", id="four-hours"),
        pytest.param(["2026-01-01,1", "2026-01-08,1"], "has bars of 7 days", id="weekly"),
    ],
)
def test_bars_too_coarse_for_a_close_are_rejected(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(PriceFileError, match=message):
        read_crypto_csv(save(tmp_path, "date,close", *rows), BTC)


def test_daily_bitcoin_bars_give_a_warning_with_its_measured_cost(tmp_path: Path) -> None:
    bars = read_crypto_csv(save(tmp_path, "date,close", "2026-01-01,1", "2026-01-02,2"), BTC)

    warning = daily_warning(bars)

    assert DAILY_BITCOIN_WARNING == warning
    assert "29%" in DAILY_BITCOIN_WARNING
    assert "18%" in DAILY_BITCOIN_WARNING


def test_hourly_bitcoin_bars_give_no_warning(tmp_path: Path) -> None:
    assert daily_warning(read_crypto_csv(save(tmp_path, "time,close", "1767276000,1", "1767279600,2"), BTC)) is None


async def test_a_file_of_closes_is_an_equity_source(tmp_path: Path) -> None:
    source = FileEquity(
        read_etf_csv(save(tmp_path, "Date,Close", "2026-01-02,1", "2026-01-05,2", "2026-01-06,3"), WGMI)
    )

    prices = await source.prices(WGMI, date(2026, 1, 5))

    assert ("prices.csv", False) == (source.name, source.simulated)
    assert [2.0, 3.0] == prices.closes.prices.tolist()
    assert prices.quote is None


async def test_a_file_of_closes_serves_only_its_own_symbol(tmp_path: Path) -> None:
    source = FileEquity(read_etf_csv(save(tmp_path, "Date,Close", "2026-01-02,1"), WGMI))

    with pytest.raises(SourceError, match=r"prices.csv \(MARA\): holds prices of WGMI only"):
        await source.prices(Symbol("MARA"), date(2026, 1, 2))


@pytest.fixture
def quarters(tmp_path: Path) -> FileCrypto:
    """Bars of 15 minutes from 00:00, each closing at its number; those from 01:15 to 01:45 are missing."""
    rows = [f"{january(1) + quarter * 15 * MINUTE:%Y-%m-%d %H:%M},{quarter + 1}" for quarter in range(15)]
    return FileCrypto(read_crypto_csv(save(tmp_path, "date,close", *rows[:5], *rows[8:]), BTC))


async def test_a_file_of_bars_is_a_crypto_source(quarters: FileCrypto) -> None:
    source: CryptoSource = quarters

    bars = await source.bars(BTC, 15 * MINUTE, january(1, 0, 15), january(1, 1))

    assert ("prices.csv", False) == (source.name, source.simulated)
    assert [2.0, 3.0, 4.0] == bars.closes.tolist()
    assert await source.quote(BTC) is None


async def test_a_file_of_bars_serves_only_its_own_symbol(quarters: FileCrypto) -> None:
    with pytest.raises(SourceError, match="holds prices of BTC only"):
        await quarters.bars(Symbol("ETH"), HOUR, january(1), january(2))
    with pytest.raises(SourceError, match="holds prices of BTC only"):
        await quarters.quote(Symbol("ETH"))


async def test_finer_bars_are_resampled_without_the_unfinished_one(quarters: FileCrypto) -> None:
    bars = await quarters.bars(BTC, HOUR, january(1), january(2))

    assert HOUR == bars.interval
    assert {"00": 4.0, "01": 5.0, "02": 12.0} == {
        str(opened)[11:13]: close for opened, close in zip(bars.opened_at, bars.closes.tolist(), strict=True)
    }


async def test_resampled_bars_do_not_look_past_the_end(quarters: FileCrypto) -> None:
    bars = await quarters.bars(BTC, HOUR, january(1), january(1, 2, 59))

    assert [4.0, 5.0] == bars.closes.tolist()


async def test_coarser_bars_are_unchanged(tmp_path: Path) -> None:
    daily = FileCrypto(read_crypto_csv(save(tmp_path, "date,close", "2026-01-01,1", "2026-01-02,2"), BTC))

    bars = await daily.bars(BTC, HOUR, january(1), january(3))

    assert (DAY, [1.0, 2.0]) == (bars.interval, bars.closes.tolist())


@pytest.mark.parametrize(
    ("name", "count", "interval", "last"),
    [
        pytest.param("btcusdt_binance_1h.csv", 55052, HOUR, ("2026-04-14T03:00:00", 74332.91), id="binance-hourly"),
        pytest.param("btcusdt_binance_daily.csv", 3243, DAY, ("2026-07-03T00:00:00", 62583.26), id="binance-daily"),
        pytest.param(
            "btc_usd_yahoo_hourly_2026-06.csv", 118, HOUR, ("2026-06-05T21:00:00", 61488.44921875), id="yahoo-hourly"
        ),
        pytest.param("btc_usd_yahoo_daily.csv", 4280, DAY, ("2026-06-05T00:00:00", 61488.44921875), id="yahoo-daily"),
    ],
)
def test_real_bitcoin_files_load(
    data: Path, name: str, count: int, interval: timedelta, last: tuple[str, float]
) -> None:
    bars = read_crypto_csv(data / "btc" / name, BTC)

    assert (count, interval, last) == (len(bars), bars.interval, (str(bars.opened_at[-1]), bars.closes[-1]))


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        pytest.param("WGMI.csv", 1124, ("2026-08-03", 54.060001373291016), id="closes"),
        pytest.param("WGMI_ohlcv_2026-07_2026-10.csv", 68, ("2026-10-07", 42.98), id="lower-case-with-adjclose"),
        pytest.param("WGMI_ohlcv_adj_2023-12_2025-09.csv", 440, ("2025-09-10", 35.4900016784668), id="ohlcv"),
    ],
)
def test_real_wgmi_files_load(data: Path, name: str, count: int, last: tuple[str, float]) -> None:
    closes = read_etf_csv(data / "equities" / name, WGMI)

    assert (count, last) == (len(closes), (str(closes.sessions[-1]), closes.prices[-1]))


def test_every_real_equity_file_loads(data: Path) -> None:
    paths = [*(data / "equities").glob("*.csv"), *(data / "badfeed").glob("*.csv")]

    assert all(len(read_etf_csv(path, Symbol(path.stem))) > 60 for path in paths)
