"""Price files that people have, one row per format: how to recognize it, and how to read its times and prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.core.scan import DIGITS, consists_of
from services.market.sources.files.csv_table import CsvRow, split_rows

HEAD_CHARACTERS, HEAD_ROWS = 20_000, 4  # what recognition looks at
EPOCH_DIGITS = frozenset({10, 13, 16})  # seconds, milliseconds or microseconds
PLAUSIBLE_EPOCH = "0", "1", "2", "3"  # first digits of 10, 13 or 16 for the years 1970 to 2096


class Layout(Enum):
    """Which lines precede the prices."""

    HEADER = "column names in the first line"
    TITLE = "an address in the first line, column names in the second"
    TICKERS = "names, tickers and the time column in three lines"
    NONE = "no column names"


class Times(Enum):
    """How times are written."""

    ISO = "2026-06-01"
    OPENING = "2026-06-01T09:30:00-04:00"  # or epochs: the session is the day in New York
    MONTH_FIRST = "06/25/2026"
    EITHER_ORDER = "06/25/2026, 25/06/2026, 25.06.2026, 2026-06-25 or Jun 25, 2026"
    COMPACT = "20260625"
    SNAPSHOT = "2026-06-01 00:00:00 UTC"  # the price at this time, not of a bar that opens at it
    EPOCH = "1780272000"


class Numbers(Enum):
    """How prices are written."""

    PLAIN = "plain numbers above zero, without currency signs or thousands separators"
    GROUPED = "numbers above zero with a decimal point, such as 21.34 or $68,010.50"
    EITHER_DECIMAL = "numbers above zero with a decimal comma or a decimal point, the same in all rows"


class Adjustment(Enum):
    """What the closes of a file are adjusted for."""

    TOTAL = "adjusted for splits and dividends"
    TRADED = "as traded, not adjusted for splits or dividends"
    UNKNOWN = "the file doesn't say whether they are adjusted for splits and dividends"
    NOT_NEEDED = "cryptocurrency has neither splits nor dividends"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFormat:
    """One format of price files.

    Attributes:
        title: Name that users see.
        columns: The columns in the file's own spelling. Letter case and order don't matter to recognition.
        time: Column of times; the first that the file has.
        close: Column of closes; `open`, if the file has it, is adjusted like it.
        adjusted: Column of adjusted closes, used instead of `close` if the file has it.
        optional: Columns that a file may have besides.
        extra: Whether a file may have any other columns.
        leading: Whether `columns` come first and in this order, so that other files with these columns don't match.
        ticker: Column that names the symbol of each row.
        period: Column with the length of each row's bar, which must be a day.
        crypto_only: Whether it has no closes of New York sessions.
    """

    title: str
    columns: str
    time: tuple[str, ...]
    close: str = "close"
    open: str = "open"
    adjusted: str = ""
    adjustment: Adjustment = Adjustment.UNKNOWN
    times: Times = Times.ISO
    numbers: Numbers = Numbers.PLAIN
    layout: Layout = Layout.HEADER
    delimiter: str = ","
    optional: tuple[str, ...] = ()
    extra: bool = False
    leading: bool = False
    ticker: str = ""
    period: str = ""
    crypto_only: bool = False

    @property
    def names(self) -> list[str]:
        """The columns in lower case."""
        return [name.strip().lower() for name in self.columns.split(self.delimiter)]

    def matches(self, rows: Sequence[CsvRow]) -> bool:
        """Return whether the first rows of a file have this format."""
        match self.layout:
            case Layout.HEADER:
                return self._has_columns(rows, 0)
            case Layout.TITLE:
                return len(rows[0].cells) == 1 and "://" in rows[0].cells[0] and self._has_columns(rows, 1)
            case Layout.TICKERS:
                return _is_ticker_header(rows) and self.close in {cell.strip().lower() for cell in fields(rows)}
            case Layout.NONE:
                cells = rows[0].cells
                return len(cells) == len(self.names) and is_epoch(cells[0])

    def _has_columns(self, rows: Sequence[CsvRow], at: int) -> bool:
        """Return whether a row has the format's column names, and the row below a time as the format writes it."""
        if len(rows) <= at:
            return False
        header = [name.strip().lower() for name in rows[at].cells]
        if self.leading:
            return header[: len(self.names)] == self.names
        required, others = {*self.names}.difference(self.time), {*header}.difference(self.names, self.time)
        times = [header.index(name) for name in self.time if name in header]
        if not times or not required.issubset(header) or not (self.extra or others <= {*map(str.lower, self.optional)}):
            return False
        first = rows[at + 1].cells if len(rows) > at + 1 else []
        return not (self.times is Times.ISO and times[0] < len(first) and is_epoch(first[times[0]]))

    def spelling(self, column: str) -> str:
        """Return a column's name, which is in lower case, as the vendor writes it."""
        names = (*self.columns.split(self.delimiter), *self.optional)
        return next((name for name in names if name.lower() == column), column)


def is_epoch(cell: str) -> bool:
    """Return whether a cell can be seconds, milliseconds or microseconds since 1970."""
    text = cell.strip()
    return len(text) in EPOCH_DIGITS and consists_of(text, DIGITS) and text[0] in PLAUSIBLE_EPOCH


def fields(rows: Sequence[CsvRow]) -> list[str]:
    """Return the row of a yfinance download that names the columns; the other one names their tickers."""
    return rows[0].cells if rows[0].cells[0].strip().lower() == "price" else rows[1].cells


def tickers(rows: Sequence[CsvRow]) -> list[str]:
    """Return the row of a yfinance download that names the tickers."""
    return rows[1].cells if rows[0].cells[0].strip().lower() == "price" else rows[0].cells


def _is_ticker_header(rows: Sequence[CsvRow]) -> bool:
    heads = [row.cells[0].strip().lower() if row.cells else "" for row in rows[:3]]
    return len(heads) == 3 and {*heads[:2]} == {"price", "ticker"} and heads[2] in {"date", "datetime"}  # noqa: PLR2004 -- lines


DATE = "date", "datetime"
KLINES = "open time,open,high,low,close,volume,close time,quote volume,trades,taker volume,taker quote volume,ignore"

FORMATS = (
    PriceFormat(
        title="Nasdaq CSV",
        columns="Date,Close/Last,Volume,Open,High,Low",
        time=("date",),
        close="close/last",
        times=Times.MONTH_FIRST,
        numbers=Numbers.GROUPED,
    ),
    PriceFormat(
        title="Investing.com CSV",
        columns="Date,Price,Open,High,Low,Vol.,Change %",
        time=("date",),
        close="price",
        times=Times.EITHER_ORDER,
        numbers=Numbers.GROUPED,
    ),
    PriceFormat(
        title="TradingView CSV",
        columns="time,open,high,low,close",
        time=("time",),
        times=Times.OPENING,
        extra=True,
        leading=True,
    ),
    PriceFormat(
        title="CSV with Date, Open, High, Low, Close and Volume, as from Stooq",
        columns="Date,Open,High,Low,Close,Volume",
        time=("date",),
    ),
    PriceFormat(
        title="Stooq bulk text",
        columns="<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
        time=("<date>",),
        close="<close>",
        open="<open>",
        times=Times.COMPACT,
        ticker="<ticker>",
        period="<per>",
    ),
    PriceFormat(
        title="Yahoo Finance CSV",
        columns="Date,Open,High,Low,Close,Adj Close,Volume",
        time=("date",),
        adjusted="adj close",
        adjustment=Adjustment.TOTAL,
    ),
    PriceFormat(
        title="yfinance download",
        columns="Price,Close,High,Low,Open,Volume",
        time=DATE,
        adjusted="adj close",
        adjustment=Adjustment.TOTAL,
        optional=("Adj Close",),
        layout=Layout.TICKERS,
    ),
    PriceFormat(
        title="yfinance history",
        columns="Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
        time=DATE,
        adjusted="adj close",
        adjustment=Adjustment.TOTAL,
        optional=("Adj Close", "Capital Gains"),
    ),
    PriceFormat(
        title="Tiingo CSV",
        columns=("date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor"),
        time=("date",),
        adjusted="adjclose",
        adjustment=Adjustment.TOTAL,
    ),
    PriceFormat(
        title="Alpha Vantage CSV",
        columns="timestamp,open,high,low,close,volume",
        time=("timestamp",),
        adjustment=Adjustment.TRADED,
    ),
    PriceFormat(
        title="CryptoDataDownload CSV in dollars",
        columns="unix,date,symbol,open,high,low,close,Volume USD",
        time=("unix",),
        times=Times.EPOCH,
        adjustment=Adjustment.NOT_NEEDED,
        layout=Layout.TITLE,
        extra=True,
        ticker="symbol",
        crypto_only=True,
    ),
    PriceFormat(
        title="CryptoDataDownload CSV in USDT",
        columns="Unix,Date,Symbol,Open,High,Low,Close,Volume USDT,tradecount",
        time=("unix",),
        times=Times.EPOCH,
        adjustment=Adjustment.NOT_NEEDED,
        layout=Layout.TITLE,
        extra=True,
        ticker="symbol",
        crypto_only=True,
    ),
    PriceFormat(
        title="Binance klines",
        columns=KLINES,
        time=("open time",),
        times=Times.EPOCH,
        adjustment=Adjustment.NOT_NEEDED,
        layout=Layout.NONE,
        crypto_only=True,
    ),
    PriceFormat(
        title="Kraken OHLCVT",
        columns="time,open,high,low,close,volume,trades",
        time=("time",),
        times=Times.EPOCH,
        adjustment=Adjustment.NOT_NEEDED,
        layout=Layout.NONE,
        crypto_only=True,
    ),
    PriceFormat(
        title="CoinGecko CSV",
        columns="snapped_at,price,market_cap,total_volume",
        time=("snapped_at",),
        close="price",
        times=Times.SNAPSHOT,
        adjustment=Adjustment.NOT_NEEDED,
        crypto_only=True,
    ),
    PriceFormat(
        title="CoinMarketCap CSV",
        columns=(
            "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;circulatingSupply;timestamp"
        ),
        time=("timeopen",),
        adjustment=Adjustment.NOT_NEEDED,
        delimiter=";",
        crypto_only=True,
    ),
    PriceFormat(
        title="CSV with semicolons, as spreadsheets in Europe write it",
        columns="Date;Close",
        time=DATE,
        times=Times.EITHER_ORDER,
        numbers=Numbers.EITHER_DECIMAL,
        delimiter=";",
        extra=True,
    ),
)
PLAIN = PriceFormat(
    title="CSV with a time and a close",
    columns="date,close",
    time=("open_time", "timestamp", "datetime", "date", "time"),  # the most specific name first
)


def recognize(text: str) -> list[PriceFormat]:
    """Return the formats that the first lines of a text match: none, one, or several that can't be told apart."""
    head, found = text[:HEAD_CHARACTERS], list[PriceFormat]()
    for delimiter in dict.fromkeys(row.delimiter for row in FORMATS):
        rows = split_rows(head, delimiter)[0][:HEAD_ROWS]
        if rows and rows[0].cells:
            found += [row for row in FORMATS if row.delimiter == delimiter and row.matches(rows)]
    return found
