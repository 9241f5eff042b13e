"""Every format of price files: recognized, named, and read as the vendor means it, or refused with the reason."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from services.core.errors import PriceFileError
from services.core.prices import Symbol
from services.market.sources.files.cells import DateOrder
from services.market.sources.files.formats import FORMATS, PLAIN, recognize
from services.market.sources.files.prices import Reading, load_bars, load_closes
from tests.services.market.sources.conftest import SHARED

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
SAMPLES = SHARED / "reference/integrations/price_files"
DAYS, PRICES = ["2026-06-01", "2026-06-02", "2026-06-23"], [20.1, 20.71, 1020.42]
HOURS, BITCOIN = ["2026-06-01T00:00:00", "2026-06-01T01:00:00", "2026-06-01T02:00:00"], [68010.5, 68120.0, 67990.75]
MIDNIGHTS = ["2026-06-01T00:00:00", "2026-06-02T00:00:00", "2026-06-03T00:00:00"]
YFINANCE = ["Price,Adj Close,Close,Open", "Ticker,WGMI,WGMI,WGMI", "Date,,,"]
SEMICOLONS = "CSV with semicolons, as spreadsheets in Europe write it"
LIST = "; ".join(row.title for row in FORMATS)


class Example(NamedTuple):
    """A short file of a format, and what it says."""

    title: str
    lines: list[str]
    times: list[str] = DAYS
    prices: list[float] = PRICES
    column: str = "Close"
    newest_first: bool = False
    order: DateOrder | None = None
    delimiter: str = ","

    @property
    def is_bitcoin(self) -> bool:
        return "T" in self.times[0]


EXAMPLES = [
    Example(
        "Nasdaq CSV",
        [
            "Date,Close/Last,Volume,Open,High,Low",
            '06/23/2026,"$1,020.42",7,"$1,020.00",$0,$0',
            "06/02/2026,$20.71,7,$20.16,$0,$0",
            "06/01/2026,$20.10,7,$19.88,$0,$0",
        ],
        column="Close/Last",
        newest_first=True,
        order=DateOrder.MONTH_FIRST,
    ),
    Example(
        "Investing.com CSV",
        [
            '"Date","Price","Open","High","Low","Vol.","Change %"',
            '"23/06/2026","1,020.42","1,020.00","1","1","1.20M","1.86%"',
            '"02/06/2026","20.71","20.16","1","1","998.12K","2.60%"',
            '"01/06/2026","20.10","19.88","1","1","","-1.40%"',
        ],
        column="Price",
        newest_first=True,
        order=DateOrder.DAY_FIRST,
    ),
    Example(
        "TradingView CSV",
        [
            "time,open,high,low,close,Volume,MA,MA",
            "1780320600,19.88,1,1,20.10,7,1,1",
            "1780407000,20.16,1,1,20.71,7,1,NaN",
            "1782221400,1020,1,1,1020.42,7,1,1",
        ],
        column="close",
    ),
    Example(
        "CSV with Date, Open, High, Low, Close and Volume, as from Stooq",
        [
            "Date,Open,High,Low,Close,Volume",
            *(f"{day},19,1,1,{price},7" for day, price in zip(DAYS, PRICES, strict=True)),
        ],
    ),
    Example(
        "Stooq bulk text",
        [
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
            "MARA.US,D,20260601,000000,1,1,1,5,7,0",
            "WGMI.US,D,20260601,000000,19.88,1,1,20.10,7,0",
            "WGMI.US,D,20260602,000000,20.16,1,1,20.71,7,0",
            "WGMI.US,D,20260623,000000,1020,1,1,1020.42,7,0",
        ],
        column="<CLOSE>",
    ),
    Example(
        "Yahoo Finance CSV",
        [
            "Date,Open,High,Low,Close,Adj Close,Volume",
            *(f"{day},19,1,1,21,{price},7" for day, price in zip(DAYS, PRICES, strict=True)),
        ],
        column="Adj Close",
    ),
    Example(
        "yfinance download",
        [
            "Price,Close,Close,High,High",
            "Ticker,SMH,WGMI,SMH,WGMI",
            "Date,,,,",
            *(f"{day},300,{price},1,1" for day, price in zip(DAYS, PRICES, strict=True)),
        ],
    ),
    Example(
        "yfinance history",
        [
            "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
            *(f"{day} 00:00:00-04:00,19,1,1,{price},7,0.0,0.0" for day, price in zip(DAYS, PRICES, strict=True)),
        ],
    ),
    Example(
        "Tiingo CSV",
        [
            "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor",
            *(f"{day},40,1,1,39,7,{price},1,1,19,7,0.0,1.0" for day, price in zip(DAYS, PRICES, strict=True)),
        ],
        column="adjClose",
    ),
    Example(
        "Alpha Vantage CSV",
        [
            "timestamp,open,high,low,close,volume",
            *reversed([f"{day},19,1,1,{price},7" for day, price in zip(DAYS, PRICES, strict=True)]),
        ],
        column="close",
        newest_first=True,
    ),
    Example(
        "CryptoDataDownload CSV in dollars",
        [
            "https://www.CryptoDataDownload.com",
            "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
            "1780279200,2026-06-01 02:00:00,BTC/USD,1,1,1,67990.75,1,1",
            "1780275600,2026-06-01 01:00:00,BTC/USD,1,1,1,68120,1,1",
            "1780272000,2026-06-01 00:00:00,BTC/USD,1,1,1,68010.5,1,1",
        ],
        HOURS,
        BITCOIN,
        "close",
        newest_first=True,
    ),
    Example(
        "CryptoDataDownload CSV in USDT",
        [
            "https://www.CryptoDataDownload.com",
            "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount",
            "1780279200000,2026-06-01 02:00:00,BTCUSDT,1,1,1,67990.75,1,1,5",
            "1780275600000,2026-06-01 01:00:00,BTCUSDT,1,1,1,68120,1,1,5",
            "1780272000000,2026-06-01 00:00:00,BTCUSDT,1,1,1,68010.5,1,1,5",
        ],
        HOURS,
        BITCOIN,
        newest_first=True,
    ),
    Example(
        "Binance klines",
        [
            "1780272000000,1,1,1,68010.50000000,1,1780275599999,1,5,1,1,0",
            "1780275600000000,1,1,1,68120.00000000,1,1780279199999999,1,5,1,1,0",
            "1780279200000000,1,1,1,67990.75000000,1,1780282799999999,1,5,1,1,0",
        ],
        HOURS,
        BITCOIN,
        "close",
    ),
    Example(
        "Kraken OHLCVT",
        ["1780272000,1,1,1,68010.5,1,5", "1780275600,1,1,1,68120.0,1,5", "1780279200,1,1,1,67990.75,1,5"],
        HOURS,
        BITCOIN,
        "close",
    ),
    Example(
        "CoinGecko CSV",
        [
            "snapped_at,price,market_cap,total_volume",
            "2026-06-02 00:00:00 UTC,68010.5,1,1",
            "2026-06-03 00:00:00 UTC,68120.0,1,1",
            "2026-06-04 00:00:00 UTC,67990.75,1,1",
        ],
        MIDNIGHTS,
        BITCOIN,
        "price",
    ),
    Example(
        "CoinMarketCap CSV",
        [
            "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;circulatingSupply;timestamp",
            *reversed(
                [
                    f'"{at}.000Z";"{at[:10]}T23:59:59.999Z";"";"";"2781";1;1;1;{price};1;1;1;"{at[:10]}T23:59:59.999Z"'
                    for at, price in zip(MIDNIGHTS, BITCOIN, strict=True)
                ]
            ),
        ],
        MIDNIGHTS,
        BITCOIN,
        "close",
        newest_first=True,
        delimiter=";",
    ),
    Example(
        SEMICOLONS,
        ["Date;Open;Close", "01.06.2026;19,88;20,10", "02.06.2026;20,16;20,71", "23.06.2026;1.020;1.020,42"],
        delimiter=";",
    ),
]
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)


def save(folder: Path, content: str | bytes, name: str = "prices.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def written(folder: Path, *lines: str) -> Path:
    return save(folder, "\n".join([*lines, ""]))


def read(
    path: Path, order: DateOrder | None = None, *, bitcoin: bool = False
) -> tuple[list[str], list[float], Reading]:
    if bitcoin:
        bars, reading = load_bars(path, BTC, order)
        return bars.opened_at.astype(str).tolist(), bars.closes.tolist(), reading
    closes, reading = load_closes(path, WGMI, order)
    return closes.sessions.astype(str).tolist(), closes.prices.tolist(), reading


def refusal(path: Path, order: DateOrder | None = None, *, bitcoin: bool = False) -> str:
    with pytest.raises(PriceFileError) as caught:
        read(path, order, bitcoin=bitcoin)
    return str(caught.value).removeprefix(str(path)).lstrip(":, ")


def zipped(content: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("__MACOSX/._prices.csv", "prices/", "prices/prices.csv"):
            archive.writestr(name, b"" if name.endswith("/") or "MACOSX" in name else content)
    return file.getvalue()


def quoted(example: Example) -> bytes:
    rows = [[cell.strip('"') for cell in line.split(example.delimiter)] for line in example.lines if '"' not in line]
    whole = [example.delimiter.join(f'"{cell}"' for cell in row) for row in rows]
    kept = iter(whole)
    return "\n".join(line if '"' in line else next(kept) for line in example.lines).encode()


def plain(example: Example) -> bytes:
    return "\n".join(example.lines).encode()


VARIANTS: dict[str, Callable[[Example], bytes]] = {
    "plain": plain,
    "crlf": lambda example: "\r\n".join([*example.lines, ""]).encode(),
    "byte-order-mark": lambda example: b"\xef\xbb\xbf" + plain(example),
    "blank-lines-at-the-end": lambda example: plain(example) + b"\n\n\n",
    "quotes": quoted,
    "gzip": lambda example: gzip.compress(plain(example)),
    "two-gzip-members": lambda example: gzip.compress(plain(example)[:30]) + gzip.compress(plain(example)[30:]),
    "zip": lambda example: zipped(plain(example)),
}


def test_every_format_has_an_example_here() -> None:
    assert [row.title for row in FORMATS] == [example.title for example in EXAMPLES]


@pytest.mark.parametrize("variant", VARIANTS)
@every_example
def test_a_format_is_recognized_and_read_however_it_is_packed(tmp_path: Path, example: Example, variant: str) -> None:
    path = save(tmp_path, VARIANTS[variant](example))

    times, prices, reading = read(path, bitcoin=example.is_bitcoin)

    assert (example.times, example.prices) == (times, prices)
    assert (example.title, example.column) == (reading.format.title, reading.column)
    assert (example.newest_first, example.order) == (reading.newest_first, reading.order)


@every_example
def test_no_file_has_two_formats(example: Example) -> None:
    assert [example.title] == [row.title for row in recognize(plain(example).decode())]


@pytest.mark.parametrize(
    ("name", "title", "last"),
    [
        ("nasdaq_etf_daily.csv", "Nasdaq CSV", 21.34),
        ("investing_com_daily.csv", "Investing.com CSV", 21.34),
        ("tradingview_etf_daily_unix.csv", "TradingView CSV", 21.34),
        ("stooq_daily.csv", "CSV with Date, Open, High, Low, Close and Volume, as from Stooq", 21.34),
        ("stooq_bulk_daily.txt", "Stooq bulk text", 21.34),
        ("yahoo_site_daily.csv", "Yahoo Finance CSV", 21.29),
        ("yfinance_download_daily.csv", "yfinance download", 21.3400001526),
        ("yfinance_history_daily.csv", "yfinance history", 21.34),
        ("tiingo_daily.csv", "Tiingo CSV", 21.29),
        ("alphavantage_daily.csv", "Alpha Vantage CSV", 21.34),
        ("tradingview_btc_1h_unix.csv", "TradingView CSV", 68150.5),
        ("cryptodatadownload_bitstamp_1h.csv", "CryptoDataDownload CSV in dollars", 68150.5),
        ("binance_vision_klines_1h.csv", "Binance klines", 68150.5),
        ("kraken_ohlcvt_XBTUSD_60.csv", "Kraken OHLCVT", 68150.5),
        ("coingecko_daily.csv", "CoinGecko CSV", 67990.75),
    ],
)
def test_the_samples_of_downloads_are_read(name: str, title: str, last: float) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the samples of vendors' downloads are not kept in the repository")
    bitcoin = last > 1_000

    times, prices, reading = read(path, DateOrder.MONTH_FIRST, bitcoin=bitcoin)

    if not bitcoin:
        assert ["2026-06-01", "2026-06-02", "2026-06-03", "2026-06-05"] == [day for day in times if day != "2026-06-04"]
    assert (title, last) == (reading.format.title, prices[-1])


@pytest.mark.parametrize(
    ("cells", "order", "days"),
    [
        pytest.param(["06/01/2026", "06/13/2026"], None, ["2026-06-01", "2026-06-13"], id="a-part-above-12"),
        pytest.param(["6/1/2026", "13/1/2026"], None, ["2026-01-06", "2026-01-13"], id="day-first-without-zeros"),
        pytest.param(["06/06/2026", "07/07/2026"], None, ["2026-06-06", "2026-07-07"], id="equal-in-both-orders"),
        pytest.param(["01.06.2026", "02.06.2026"], None, ["2026-06-01", "2026-06-02"], id="dots-are-day-first"),
        pytest.param(["Jun 01, 2026", "Jun 02, 2026"], None, ["2026-06-01", "2026-06-02"], id="named-months"),
        pytest.param(
            ["06/01/2026", "07/01/2026"], DateOrder.MONTH_FIRST, ["2026-06-01", "2026-07-01"], id="stated-mdy"
        ),
        pytest.param(["06-01-2026", "07-01-2026"], DateOrder.DAY_FIRST, ["2026-01-06", "2026-01-07"], id="stated-dmy"),
        pytest.param(
            ["06/01/2026", "06/13/2026"], DateOrder.DAY_FIRST, ["2026-06-01", "2026-06-13"], id="the-file-is-the-proof"
        ),
    ],
)
def test_dates_are_read_in_the_order_that_the_file_proves(
    tmp_path: Path, cells: list[str], order: DateOrder | None, days: list[str]
) -> None:
    rows = [f'"{cell}","20","19","1","1","1M","1%"' for cell in cells]

    assert days == read(written(tmp_path, "Date,Price,Open,High,Low,Vol.,Change %", *rows), order)[0]


def test_dates_of_either_order_are_asked_about_with_both_readings(tmp_path: Path) -> None:
    path = written(tmp_path, "Date;Close", "05.05.2026;1", "06/05/2026;20", "07/05/2026;20")

    assert refusal(path) == (
        "line 3: “06/05/2026” is Jun 5, 2026 if the month is first, or May 6, 2026 if the day is, and no date in the "
        f"file ({SEMICOLONS}) shows which. Add --dates mdy or --dates dmy."
    )


@pytest.mark.parametrize(
    ("cells", "prices"),
    [
        pytest.param(["20", "1.020,42"], [20, 1020.42], id="comma"),
        pytest.param(["20", "1,020.42"], [20, 1020.42], id="point"),
        pytest.param(["20", "21"], [20, 21], id="neither"),
        pytest.param(["68.010", "68.010,5"], [68010, 68010.5], id="thousands-before-the-proof"),
    ],
)
def test_the_decimal_sign_is_the_one_that_the_file_proves(
    tmp_path: Path, cells: list[str], prices: list[float]
) -> None:
    rows = [f"2026-06-0{day};{cell}" for day, cell in enumerate(cells, 1)]

    assert prices == read(written(tmp_path, "Date;Close", *rows))[1]


def test_numbers_of_either_decimal_sign_are_asked_about_with_both_readings(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, "Date;Close", "2026-06-01;7", "2026-06-02;20.125")) == (
        "line 3: “20.125” is 20.125 with a decimal point, or 20125 with a decimal comma, and no “close” in the file "
        "shows which. Save the file with commas between the columns and decimal points."
    )


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        pytest.param("2026-06-01T09:30:00-04:00", "2026-06-01", id="new-york"),
        pytest.param("2026-06-01T13:30:00Z", "2026-06-01", id="utc"),
        pytest.param("2026-06-02T01:30:00+12:00", "2026-06-01", id="auckland-is-a-day-ahead"),
        pytest.param("2026-06-01", "2026-06-01", id="date-alone"),
    ],
)
def test_an_opening_belongs_to_the_session_of_its_day_in_new_york(tmp_path: Path, cell: str, day: str) -> None:
    assert [day] == read(written(tmp_path, "time,open,high,low,close", f"{cell},1,1,1,20"))[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(
            ["2026-06-01T09:30:00,1,1,1,20"],
            "line 2: “2026-06-01T09:30:00” isn't a time in whole seconds. Write times as in 2026-06-01T09:30:00-04:00.",
            id="no-time-zone",
        ),
        pytest.param(
            ["1780272000,1,1,1,20"],
            "line 2: “1780272000” is 2026-05-31 20:00 in New York, when no session opens. "
            "Use daily bars of a US-listed ETF or stock.",
            id="midnight-in-utc",
        ),
        pytest.param(
            ["1780320600,1,1,1,20", "1780324200,1,1,1,20"],
            "line 3: “1780324200” is a second price for the date or time on the line above. Sort the rows by time, "
            "oldest first, with each time only once.",
            id="hourly-bars",
        ),
    ],
)
def test_openings_that_are_no_session_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    path = written(tmp_path, "time,open,high,low,close", *lines)

    assert f"{message} The file was read as: TradingView CSV." == refusal(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(
            ["06/03/2026,$1,7,1,1,1", "06/01/2026,$1,7,1,1,1", "06/02/2026,$1,7,1,1,1", "05/29/2026,$1,7,1,1,1"],
            "line 4: “06/02/2026” is later than “06/01/2026” on the line above. Sort the rows by time",
            id="mixed-order",
        ),
        pytest.param(
            ["06/02/2026,$1,7,1,1,1", "2026-06-01,$1,7,1,1,1"],
            "line 3: “2026-06-01” isn't a valid date. Write dates as in 06/25/2026.",
            id="another-date-format",
        ),
        pytest.param(
            ["06/02/2026,€1,7,1,1,1"],
            "line 2: the close “€1” isn't a number. Write prices as numbers above zero with a decimal point, such as",
            id="another-currency",
        ),
        pytest.param(
            ["06/02/2026,20,71,7,1,1,1"],
            "line 2: has 7 columns, but the first line names 6: “06/02/2026,20,71,7,1,1,1”. Fix or delete the line.",
            id="decimal-comma",
        ),
        pytest.param(
            ["06/02/2026,$1;7;1;1,1"],
            "line 2: has 3 columns, but the first line names 6: “06/02/2026,$1;7;1;1,1”",
            id="other-delimiter",
        ),
    ],
)
def test_the_first_line_that_does_not_fit_is_shown_with_the_format(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    error = refusal(written(tmp_path, "Date,Close/Last,Volume,Open,High,Low", *lines))

    assert error.startswith(message)
    assert error.endswith(". The file was read as: Nasdaq CSV.")


@pytest.mark.parametrize("bitcoin", [False, True])
def test_a_file_of_no_known_format_is_refused_with_the_list_of_formats(tmp_path: Path, *, bitcoin: bool) -> None:
    error = refusal(written(tmp_path, "Datum,Zuletzt", "1,1"), bitcoin=bitcoin)

    assert error == (
        "line 1: has no date column; its first line reads “datum, zuletzt”. Name the columns date and close in the "
        f"first line, with commas between them, or use a file in one of these formats: {LIST}."
    )


def test_a_file_of_two_formats_is_refused_with_both(tmp_path: Path) -> None:
    header = "unix,date,symbol,open,high,low,close,Volume USD,Volume USDT,tradecount"
    path = written(tmp_path, "https://www.CryptoDataDownload.com", header, "1780272000,,BTC,1,1,1,1,1,1,1")

    assert refusal(path, bitcoin=True) == (
        "line 1: can be read as CryptoDataDownload CSV in dollars or as CryptoDataDownload CSV in USDT, which differ. "
        "Remove the columns of the other format."
    )


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["date,close", "2026-06-02,1", "2026-06-01,1"], id="sorted-only-if-known"),
        pytest.param(
            ["timestamp,open,high,low,close,volume", "1780272000,1,1,1,5,7", "1780268400,1,1,1,5,7"], id="epochs"
        ),
    ],
)
def test_a_file_of_no_known_format_must_be_sorted(tmp_path: Path, lines: list[str]) -> None:
    assert "is earlier than" in refusal(written(tmp_path, *lines), bitcoin=True)


def test_returns_inside_sessions_do_not_mix_adjusted_and_traded_prices(tmp_path: Path) -> None:
    path = written(tmp_path, "Date,Open,High,Low,Close,Adj Close,Volume", "2026-06-01,20,1,1,21,10,7")

    closes, _ = load_closes(path, WGMI)

    np.testing.assert_allclose(closes.known_open_to_close, [0.05])
    assert [10.0] == closes.prices.tolist()


def test_returns_inside_sessions_follow_their_sessions_when_rows_are_reversed(tmp_path: Path) -> None:
    path = written(tmp_path, "timestamp,open,high,low,close,volume", "2026-06-02,20,1,1,10,7", "2026-06-01,20,1,1,21,7")

    np.testing.assert_allclose(load_closes(path, WGMI)[0].known_open_to_close, [0.05, -0.5])


def test_adjusted_closes_that_are_not_used_are_known(tmp_path: Path) -> None:
    *_, reading = read(written(tmp_path, "date,close,adjclose", "2026-06-01,1,2"))

    assert (PLAIN, "close", ("adjclose",)) == (reading.format, reading.column, reading.unused)


@pytest.mark.parametrize(
    ("lines", "price", "ticker"),
    [
        pytest.param([*YFINANCE, "2026-06-01,20,21,19"], 20, "WGMI", id="adjusted"),
        pytest.param(
            ["Ticker,WGMI,SMH", "Price,Close,Close", "Date,,", "2026-06-01,20,300"], 20, "WGMI", id="grouped-by-ticker"
        ),
        pytest.param(["Price,Close", "Ticker,MARA", "Date,", "2026-06-01,20"], 20, "MARA", id="the-only-ticker"),
    ],
)
def test_the_ticker_of_a_yfinance_download_is_found(
    tmp_path: Path, lines: list[str], price: float, ticker: str
) -> None:
    _, prices, reading = read(written(tmp_path, *lines))

    assert ([price], ticker) == (prices, reading.ticker)


def test_hourly_bars_of_yfinance_are_read(tmp_path: Path) -> None:
    rows = [f"{at.replace('T', ' ')}+00:00,{price}" for at, price in zip(HOURS, BITCOIN, strict=True)]
    path = written(tmp_path, "Price,Close", "Ticker,BTC-USD", "Datetime,", *rows)

    assert (HOURS, BITCOIN) == read(path, bitcoin=True)[:2]


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        pytest.param(["MARA", "SMH"], "has prices of MARA, SMH, none of which can be WGMI", id="none"),
        pytest.param(["WGMI", "WGMI.US"], "has prices of WGMI, WGMI.US, several of which can be WGMI", id="several"),
        pytest.param([f"T{at}" for at in range(11)], "T9, …, none of which can be WGMI", id="many"),
    ],
)
def test_a_file_of_several_tickers_needs_ours_once(tmp_path: Path, symbols: list[str], message: str) -> None:
    names = ",".join("Close" for _ in symbols)
    path = written(tmp_path, f"Price,{names}", f"Ticker,{','.join(symbols)}", f"Date{',' * len(symbols)}", "x")

    error = refusal(path)

    assert message in error
    assert error.endswith("Use a file with the prices of one symbol.")


def test_bars_within_a_day_of_unknown_time_zone_are_refused(tmp_path: Path) -> None:
    header = EXAMPLES[4].lines[0]

    assert refusal(written(tmp_path, header, "BTCUSD,60,20260601,010000,1,1,1,1,1,0"), bitcoin=True) == (
        "line 2: is a bar of period “60”, whose time zone the file doesn't state. "
        "Use daily bars, or hourly bars from another source."
    )


@pytest.mark.parametrize(
    "example",
    [example for example in EXAMPLES if example.is_bitcoin],
    ids=lambda example: example.title,
)
def test_prices_of_cryptocurrency_are_no_closes(tmp_path: Path, example: Example) -> None:
    assert refusal(save(tmp_path, plain(example))) == (
        f"has prices of cryptocurrency ({example.title}), not closes of New York sessions. "
        "Use the closes of an ETF or stock."
    )


def test_a_quote_that_is_not_closed_in_the_first_line_is_reported(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, '"Date,Close', "2026-06-01,1")).startswith("line 1: a quote isn't closed")


def test_an_address_alone_is_no_format(tmp_path: Path) -> None:
    assert "its first line reads “https://www.example.com”" in refusal(
        written(tmp_path, "https://www.example.com", "1")
    )
