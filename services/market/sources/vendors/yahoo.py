"""Yahoo chart API: session closes and last trade of an ETF in one GET. Unofficial API; no key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import partial
from math import prod
from operator import attrgetter, itemgetter
from typing import Annotated, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from services.core.prices import MAX_PRICE, MIN_PRICE, Quote, Symbol
from services.market.consensus.corporate_actions import MAX_SPLIT_RATIO, UNUSABLE, Action, ActionKind
from services.market.ports import EquityPrices
from services.market.sources.http.daily_bars import NEW_YORK, NOT_US_LISTED, DailyBar, closes_of
from services.market.sources.http.odd_values import MAX_ODD, Droppable
from services.market.sources.http.payload import EpochSeconds, Payload, Price, epoch_time
from services.market.sources.http.vendor import VendorSource

RESULT, NO_TIME = "chart.result.0", 0
NO_AMOUNT = {"date": None, "amount": None}
NO_RATIO = {"date": None, "numerator": None, "denominator": None}
DROPPABLE: Droppable = {
    f"{RESULT}.meta.regularMarketPrice": None,
    f"{RESULT}.meta.regularMarketTime": None,
    f"{RESULT}.timestamp.*": NO_TIME,
    f"{RESULT}.indicators.quote.0.open": [],
    f"{RESULT}.indicators.quote.0.volume": [],
    f"{RESULT}.indicators.quote.0.close.*": None,
    f"{RESULT}.events": None,
    **{f"{RESULT}.events.{kind}": {} for kind in ("dividends", "splits", "capitalGains")},
    **{f"{RESULT}.events.{kind}.*": NO_AMOUNT for kind in ("dividends", "capitalGains")},
    f"{RESULT}.events.splits.*": NO_RATIO,
    **{f"{RESULT}.events.{kind}.*.date": None for kind in ("dividends", "splits", "capitalGains")},
    **{f"{RESULT}.events.{kind}.*.amount": None for kind in ("dividends", "capitalGains")},
    **{f"{RESULT}.events.splits.*.{name}": None for name in ("numerator", "denominator")},
}


class _YahooMeta(Payload):
    symbol: str
    currency: str | None = None
    exchange_timezone_name: str
    regular_market_price: Price | None = None
    regular_market_time: EpochSeconds | None = None


class _YahooColumns(Payload):
    open: Annotated[tuple[object, ...], Field(fail_fast=True)] = ()
    close: Annotated[tuple[float | None, ...], Field(fail_fast=True)] = ()
    volume: Annotated[tuple[object, ...], Field(fail_fast=True)] = ()


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
    unknown_symbol = (
        "doesn't know the symbol {symbol}, or has no prices for it; check the spelling, and whether it was renamed"
    )

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch closes, dividends, distributions of capital gains and splits from `since` on, and the last trade.

        The close of an open session is live. Closes are adjusted for splits but not dividends: `adjclose` would rewrite
        history at each dividend.
        """
        path = f"/v8/finance/chart/{quote(symbol, safe='')}"
        params: dict[str, str | int] = {
            "interval": "1d",
            "period1": int(datetime.combine(since, time(), NEW_YORK).timestamp()),
            "period2": int((self._clock.now() + timedelta(days=1)).timestamp()),
            "events": "div,splits,capitalGains",
            "includePrePost": "false",
        }
        parse = partial(self._parse, symbol=symbol, since=since)
        return await self._get(path, params, symbol, parse, droppable=DROPPABLE)

    def _parse(self, body: bytes, symbol: Symbol, since: date) -> EquityPrices:
        result = self._result(_YahooBody.model_validate_json(body).chart, symbol)
        self._check_newest_bar(result, symbol)
        rows = {day: row for day, row in self._daily_bars(result, symbol).items() if day >= since}
        return EquityPrices(
            closes=closes_of(symbol, self.name, rows),
            quote=self._quote(result.meta, symbol),
            actions=result.events.actions(since) if result.events else (),
            answered_at=self._vendor.answered_at,
        )

    def _result(self, chart: _YahooChart, symbol: Symbol) -> _YahooResult:
        """Return the single result. Raises SourceError unless it is of this symbol, in US dollars and New York time."""
        if chart.error is not None and chart.error.code != "Not Found":
            raise self._vendor.error(symbol, "returned an error; MinerPulse retries", retryable=True)
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
        stamps = [stamp for stamp in result.timestamp if stamp != NO_TIME]
        if at is None or not stamps or _new_york_date(at) != today:
            return
        newest = _new_york_date(max(stamps))
        if newest < today:
            problem = f"sent a trade from today, but its newest bar is from {newest}; MinerPulse retries"
            raise self._vendor.error(symbol, problem, retryable=True)

    def _daily_bars(self, result: _YahooResult, symbol: Symbol) -> dict[date, DailyBar]:
        """Return the bars by New York date, oldest first; bars without a usable price are dropped.

        A finished bar is stamped with its opening, the newest one with its last trade. The last two may share a date;
        then the later one wins.
        """
        stamps, columns = result.timestamp, result.indicators.quote[0]
        if len(stamps) != len(columns.close):
            problem = f"sent {len(stamps)} times but {len(columns.close)} closes; MinerPulse retries"
            raise self._vendor.error(symbol, problem, retryable=True)
        missing = (None,) * len(stamps)
        volumes = columns.volume if len(columns.volume) == len(stamps) else missing
        openings = columns.open if len(columns.open) == len(stamps) else missing
        rows = zip(stamps, columns.close, volumes, openings, strict=True)
        bars = sorted((row for row in rows if row[0] != NO_TIME), key=itemgetter(0))
        usable = [bar for bar in bars if bar[1] is None or MIN_PRICE <= bar[1] < MAX_PRICE]
        odd = [f"{_new_york_date(bar[0])} {bar[1]}" for bar in bars if bar not in usable]
        self._vendor.record_odd(symbol, "closes", tuple(odd[:MAX_ODD]))
        return {
            _new_york_date(stamp): DailyBar.parse(close, volume, opening)
            for stamp, close, volume, opening in usable
            if close is not None
        }

    def _quote(self, meta: _YahooMeta, symbol: Symbol) -> Quote | None:
        price, at = meta.regular_market_price, meta.regular_market_time
        if price is None or at is None:
            return None
        return self._last_trade(symbol, price, epoch_time(at))


MAX_SPLIT_PRODUCT = 1e12  # product of all split ratios
SAME_AMOUNT = 0.005  # Yahoo rounds amounts
_STAMP = re.compile(r"[0-9]{1,10}", re.ASCII)

Amount = Annotated[float, Field(gt=-1e9, lt=1e9, allow_inf_nan=False)]
Shares = Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)]


class _YahooDividend(Payload):
    date: EpochSeconds | None
    amount: Amount | None


class _YahooSplit(Payload):
    date: EpochSeconds | None
    numerator: Shares | None
    denominator: Shares | None

    @property
    def ratio(self) -> float:
        """New shares per old share; UNUSABLE if it is unknown or beyond all measure."""
        ratio = self.numerator / self.denominator if self.numerator and self.denominator else UNUSABLE
        return ratio if 1 / MAX_SPLIT_RATIO <= ratio <= MAX_SPLIT_RATIO else UNUSABLE


class YahooEvents(Payload):
    """The events of a chart by timestamp; Yahoo omits a key without events.

    A field of an event may be unusable. Its date is then the timestamp under which it stands, and its value 0, which no
    source's declaration can have.
    """

    dividends: dict[str, _YahooDividend] = Field(default_factory=dict)
    splits: dict[str, _YahooSplit] = Field(default_factory=dict)
    capital_gains: dict[str, _YahooDividend] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_splits(self) -> Self:
        """Reject extreme splits, alone or combined, that would make dividend conversion meaningless."""
        ratios = [split.ratio or 1.0 for split in self.splits.values()]
        if not prod(max(ratio, 1 / ratio) for ratio in ratios) < MAX_SPLIT_PRODUCT:
            raise ValueError("implausible splits")
        return self

    def actions(self, since: date) -> tuple[Action, ...]:
        """Return the dividends, distributions of capital gains and splits from `since` on, oldest first.

        Yahoo sends dividends per share of today, like its closes; they are converted to shares of their own day. Events
        are stamped with the opening of their session.
        """
        splits = _by_date({stamp: (split.date, split.ratio) for stamp, split in self.splits.items()})
        actions = [Action(session=day, kind=ActionKind.SPLIT, value=ratio) for day, ratio in splits.items()]
        for day, amount in self._distributions().items():
            later = prod(ratio or 1.0 for at, ratio in splits.items() if at > day)
            actions.append(Action(session=day, kind=ActionKind.DIVIDEND, value=amount * later))
        return tuple(sorted((action for action in actions if action.session >= since), key=attrgetter("session")))

    def _distributions(self) -> dict[date, float]:
        """Return the dividends and distributions of capital gains of each day, added up; 0 if one is unusable.

        A distribution that also stands inside the dividend of its day counts once: the dividend is then no smaller.
        """
        dividends, gains = (
            _by_date({stamp: (event.date, event.amount or UNUSABLE) for stamp, event in events.items()})
            for events in (self.dividends, self.capital_gains)
        )
        for day, gain in gains.items():
            dividend = dividends.get(day)
            if dividend is None or UNUSABLE in {dividend, gain}:
                dividends[day] = gain if dividend is None else UNUSABLE
            elif dividend < (1 - SAME_AMOUNT) * gain:
                dividends[day] = dividend + gain
        return dividends


def _by_date(events: Mapping[str, tuple[int | None, float]]) -> dict[date, float]:
    """Return the values of events by New York date; one without any usable date is left out."""
    stamps = {
        stamp: at if at is not None else int(stamp) if _STAMP.fullmatch(stamp) else None
        for stamp, (at, _) in events.items()
    }
    return {_new_york_date(at): events[stamp][1] for stamp, at in stamps.items() if at is not None}


def _new_york_date(stamp: int) -> date:
    return datetime.fromtimestamp(stamp, NEW_YORK).date()
