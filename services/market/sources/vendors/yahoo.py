"""Yahoo chart API: session closes and last trade of an ETF in one GET. Unofficial API; no key."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from math import prod
from operator import attrgetter, itemgetter
from typing import Annotated, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from services.core.prices import Quote, Symbol
from services.market.consensus.corporate_actions import Action, ActionKind
from services.market.ports import EquityPrices
from services.market.sources.http.daily_bars import NEW_YORK, NOT_US_LISTED, DailyBar, closes_of, parse_opening
from services.market.sources.http.payload import MAX_PRICE, MIN_PRICE, EpochSeconds, Payload, Price, epoch_time
from services.market.sources.http.vendor import VendorSource


class _YahooMeta(Payload):
    symbol: str
    currency: str | None = None
    exchange_timezone_name: str
    regular_market_price: Price | None = None
    regular_market_time: EpochSeconds | None = None


class _YahooColumns(Payload):
    open: Annotated[tuple[object, ...], Field(fail_fast=True)] = ()
    close: Annotated[tuple[float | None, ...], Field(fail_fast=True)] = ()
    volume: Annotated[tuple[float | None, ...], Field(fail_fast=True)] = ()


class _YahooIndicators(Payload):
    quote: tuple[_YahooColumns]


class _YahooResult(Payload):
    meta: _YahooMeta
    timestamp: Annotated[
        tuple[EpochSeconds, ...], Field(fail_fast=True)
    ] = ()  # Yahoo omits the key if there are no bars
    indicators: _YahooIndicators
    events: YahooEvents | None = None


class _YahooError(Payload):
    code: str


class _YahooChart(Payload):
    result: tuple[_YahooResult] | None
    error: _YahooError | None


class _YahooBody(Payload):
    chart: _YahooChart


class Yahoo(VendorSource):
    """An EquitySource over Yahoo's chart v8, the one endpoint that needs neither a cookie nor a crumb."""

    name = "Yahoo"
    base_url = "https://query2.finance.yahoo.com"
    backoff = timedelta(minutes=15)
    unknown_symbol_statuses = (400, 404, 422)
    unknown_symbol = "knows no symbol {symbol}, or has no prices of it; check its spelling, and whether it was renamed"

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch closes, dividends and splits from `since` on, and the last trade.

        The close of an open session is live. Closes are adjusted for splits but not dividends: `adjclose` would rewrite
        history at each dividend.
        """
        path = f"/v8/finance/chart/{quote(symbol, safe='')}"
        params: dict[str, str | int] = {
            "interval": "1d",
            "period1": int(datetime.combine(since, time(), NEW_YORK).timestamp()),
            "period2": int((self._clock.now() + timedelta(days=1)).timestamp()),
            "events": "div,splits",
            "includePrePost": "false",
        }
        return await self._get(path, params, symbol, lambda body: self._parse(body, symbol, since))

    def _parse(self, body: bytes, symbol: Symbol, since: date) -> EquityPrices:
        result = self._result(_YahooBody.model_validate_json(body).chart, symbol)
        self._check_newest_bar(result, symbol)
        rows = {day: row for day, row in self._daily_bars(result, symbol).items() if day >= since}
        return EquityPrices(
            closes=closes_of(symbol, self.name, rows),
            quote=self._quote(result.meta, symbol),
            actions=result.events.actions(since) if result.events else (),
        )

    def _result(self, chart: _YahooChart, symbol: Symbol) -> _YahooResult:
        """Return the single result. Raises SourceError unless it is of this symbol, in US dollars and New York time."""
        if chart.error is not None and chart.error.code != "Not Found":
            raise self._vendor.error(symbol, "answered with an error; it will be asked again", retryable=True)
        if chart.error is not None or chart.result is None:
            raise self._unknown_symbol(symbol)
        meta = chart.result[0].meta
        self._check_symbol(symbol, meta.symbol)
        if (meta.currency, meta.exchange_timezone_name) != ("USD", NEW_YORK.key):
            raise self._vendor.error(symbol, NOT_US_LISTED, retryable=False)
        return chart.result[0]

    def _check_newest_bar(self, result: _YahooResult, symbol: Symbol) -> None:
        """Raise SourceError for a trade of today without a bar of today: an old response with a new timestamp."""
        at, today = result.meta.regular_market_time, self._clock.now().astimezone(NEW_YORK).date()
        if at is None or not result.timestamp or _new_york_date(at) != today:
            return
        newest = _new_york_date(max(result.timestamp))
        if newest < today:
            problem = f"tells a trade of today, but its newest bar is of {newest}; it will be asked again"
            raise self._vendor.error(symbol, problem, retryable=True)

    def _daily_bars(self, result: _YahooResult, symbol: Symbol) -> dict[date, DailyBar]:
        """Return the bars by New York date, oldest first; bars without a usable price are dropped.

        A finished bar is stamped with its opening, the newest one with its last trade. The last two may share a date;
        then the later one wins.
        """
        stamps, columns = result.timestamp, result.indicators.quote[0]
        if len(stamps) != len(columns.close):
            problem = f"sent {len(stamps)} times but {len(columns.close)} closes; it will be asked again"
            raise self._vendor.error(symbol, problem, retryable=True)
        missing = (None,) * len(stamps)
        volumes = columns.volume if len(columns.volume) == len(stamps) else missing
        openings = columns.open if len(columns.open) == len(stamps) else missing
        bars = sorted(zip(stamps, columns.close, volumes, openings, strict=True), key=itemgetter(0))
        return {
            _new_york_date(stamp): DailyBar(close, volume, parse_opening(opening))
            for stamp, close, volume, opening in bars
            if close is not None and MIN_PRICE <= close < MAX_PRICE
        }

    def _quote(self, meta: _YahooMeta, symbol: Symbol) -> Quote | None:
        price, at = meta.regular_market_price, meta.regular_market_time
        if price is None or at is None:
            return None
        return self._last_trade(symbol, price, epoch_time(at))


MAX_SPLIT_PRODUCT = 1e12  # product of all split ratios

Amount = Annotated[float, Field(gt=-1e9, lt=1e9, allow_inf_nan=False)]
Shares = Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)]


class _YahooDividend(Payload):
    date: EpochSeconds
    amount: Amount


class _YahooSplit(Payload):
    date: EpochSeconds
    numerator: Shares
    denominator: Shares

    @property
    def ratio(self) -> float:
        """New shares per old share."""
        return self.numerator / self.denominator


class YahooEvents(Payload):
    """The events of a chart by timestamp; Yahoo omits a key without events."""

    dividends: dict[str, _YahooDividend] = Field(default_factory=dict)
    splits: dict[str, _YahooSplit] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_splits(self) -> Self:
        """Reject extreme splits, alone or combined, that would make dividend conversion meaningless."""
        ratios = [max(split.ratio, split.denominator / split.numerator) for split in self.splits.values()]
        if not prod(ratios) < MAX_SPLIT_PRODUCT:
            raise ValueError("splits beyond all measure")
        return self

    def actions(self, since: date) -> tuple[Action, ...]:
        """Return the dividends and splits from `since` on, oldest first.

        Yahoo sends dividends per share of today, like its closes; they are converted to shares of their own day. Events
        are stamped with the opening of their session.
        """
        splits = {_new_york_date(split.date): split.ratio for split in self.splits.values()}
        dividends = {_new_york_date(dividend.date): dividend.amount for dividend in self.dividends.values()}
        actions = [Action(session=day, kind=ActionKind.SPLIT, value=ratio) for day, ratio in splits.items()]
        for day, amount in dividends.items():
            later = prod(ratio for at, ratio in splits.items() if at > day)
            actions.append(Action(session=day, kind=ActionKind.DIVIDEND, value=amount * later))
        return tuple(sorted((action for action in actions if action.session >= since), key=attrgetter("session")))


def _new_york_date(stamp: int) -> date:
    return datetime.fromtimestamp(stamp, NEW_YORK).date()
