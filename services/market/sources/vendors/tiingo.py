"""Tiingo: session closes after the end of the day, and the last trade at IEX. Official API; needs a key."""

from datetime import UTC, date, timedelta
from functools import partial
from operator import attrgetter
from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import Field, TypeAdapter

from services.core.prices import MAX_PRICE, MIN_PRICE, Quote, Symbol
from services.market.consensus.corporate_actions import UNUSABLE, Action, ActionKind
from services.market.ports import EquityPrices
from services.market.sources.http.daily_bars import DailyBar, final_closes, in_session
from services.market.sources.http.odd_values import DROP, Droppable
from services.market.sources.http.payload import Payload, Price, Rows, Timestamp
from services.market.sources.http.vendor import NOT_FOUND, Limit, ThrottledError, VendorSource, refusal

HEADERS = {"Authorization": "Token {0}"}
MAX_SPLIT_PRODUCT = 1e6  # product of all split ratios

T = TypeVar("T")


DROPPABLE_DAYS: Droppable = {"*": DROP, "*.divCash": None, "*.splitFactor": None}
DROPPABLE_TRADES: Droppable = {"*.last": None, "*.lastSaleTimestamp": None, "*.ticker": ""}


class _TiingoDay(Payload):
    date: Timestamp
    close: Price
    volume: object = None
    open: object = None
    split_factor: Annotated[float, Field(gt=0, lt=MAX_SPLIT_PRODUCT, allow_inf_nan=False)] | None = 1.0
    div_cash: Annotated[float, Field(allow_inf_nan=False)] | None = 0.0


class _TiingoLastTrade(Payload):
    ticker: str
    last: Price | None = None
    last_sale_timestamp: Timestamp | None = None


class _TiingoError(Payload):
    detail: str


_DAYS = TypeAdapter(Rows[_TiingoDay])
_LAST_TRADES = TypeAdapter(Rows[_TiingoLastTrade])


class Tiingo(VendorSource):
    """An EquitySource over Tiingo's end-of-day prices and IEX feed, for US-listed ETFs and shares.

    Closes are available from 17:30 New York and corrected until 20:00. IEX is a small exchange with a few percent of
    the volume, so its last trade of a thin ETF may be old; the quote's source names IEX. The quote is None if IEX is
    closed or has no trade. A free key allows about 50 calls an hour and 1,000 a day. `prices` makes two calls, too many
    for every tick. Terms: tiingo.com/about/terms.
    """

    name = "Tiingo"
    base_url = "https://api.tiingo.com"
    backoff = timedelta(minutes=15)
    limits = (Limit(calls=50, per=timedelta(hours=1)), Limit(calls=1000, per=timedelta(days=1)))
    headers = HEADERS
    unknown_symbol_statuses = (NOT_FOUND,)
    min_interval = timedelta(minutes=3, seconds=15)  # 37 of the 50 calls an hour; 12 are for questions

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch finished closes, dividends and splits from `since` on, and IEX's last trade in regular hours.

        Tiingo sends raw closes, and closes adjusted for splits and dividends. Ours are adjusted for splits only, so
        they are computed from the raw ones. A split or dividend is unknown until the evening of its ex-date.
        """
        ticker, params = quote(symbol.lower(), safe=""), {"startDate": f"{since}"}
        path = f"/tiingo/daily/{ticker}/prices"
        parse_days, parse_trades = partial(self._parse_days, symbol), partial(self._parse, _LAST_TRADES, symbol)
        days, actions = await self._get(path, params, symbol, parse_days, droppable=DROPPABLE_DAYS)
        at = self._vendor.answered_at
        last_trades = await self._get(f"/iex/{ticker}", {}, symbol, parse_trades, droppable=DROPPABLE_TRADES)
        return EquityPrices(
            closes=final_closes(symbol, self.name, days, since, at),
            quote=self._quote(last_trades, symbol),
            actions=_since(since, actions),
            answered_at=at,
        )

    def _parse(self, adapter: TypeAdapter[T], symbol: Symbol, body: bytes) -> T:
        """Parse a list. An object instead of a list is an error message, which is also sent with status 200."""
        if not body.lstrip().startswith(b"{"):
            return adapter.validate_json(body)
        message = _TiingoError.model_validate_json(body).detail
        if "request allocation" in message:
            raise ThrottledError
        raise self._vendor.error(symbol, refusal(message), retryable=False)

    def _parse_days(self, symbol: Symbol, body: bytes) -> tuple[dict[date, DailyBar], tuple[Action, ...]]:
        """Return the split-adjusted daily bars, and the dividends and splits."""
        days = self._parse(_DAYS, symbol, body)
        return self._split_adjusted(days, symbol), _actions(days)

    def _split_adjusted(self, days: list[_TiingoDay], symbol: Symbol) -> dict[date, DailyBar]:
        """Divide each price by all later splits; the row of a split's first day holds its factor."""
        closes, factor = {}, 1.0
        for day in sorted(days, key=attrgetter("date"), reverse=True):
            bar = DailyBar.parse(day.close / factor, day.volume, day.open)
            closes[day.date.astimezone(UTC).date()] = bar._replace(opening=bar.opening and bar.opening / factor)
            factor *= day.split_factor or 1.0
            if not (MIN_PRICE <= bar.close < MAX_PRICE and 1 / MAX_SPLIT_PRODUCT < factor < MAX_SPLIT_PRODUCT):
                raise self._vendor.error(symbol, "sent implausible splits", retryable=True)
        return closes

    def _quote(self, last_trades: list[_TiingoLastTrade], symbol: Symbol) -> Quote | None:
        for last in last_trades:
            at = last.last_sale_timestamp
            if last.ticker.upper() == symbol.upper() and last.last and at and in_session(at, self._vendor.answered_at):
                return Quote(symbol=symbol, price=last.last, at=at.astimezone(UTC), source="Tiingo IEX")
        return None


def _actions(days: list[_TiingoDay]) -> tuple[Action, ...]:
    """Return the dividends and splits by ex-date, oldest first; dividends are per share of their day.

    One without a usable amount has the value UNUSABLE.
    """
    actions = [
        Action(session=day.date.astimezone(UTC).date(), kind=kind, value=value or UNUSABLE)
        for day in days
        for kind, value, neutral in (
            (ActionKind.DIVIDEND, day.div_cash, 0.0),
            (ActionKind.SPLIT, day.split_factor, 1.0),
        )
        if value != neutral
    ]
    return tuple(sorted(actions, key=attrgetter("session")))


def _since(since: date, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple(action for action in actions if action.session >= since)
