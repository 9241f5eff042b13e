"""Yahoo's chart: one GET gives an ETF's session closes and its last trade. Unofficial, and without a key."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from math import prod
from operator import itemgetter
from typing import Annotated, Self
from urllib.parse import quote

import numpy as np
from pydantic import Field, model_validator

from services.core.clock import Clock
from services.core.prices import Closes, Quote, Symbol
from services.market.consensus.closes import since_opening
from services.market.consensus.corporate_actions import Action, Kind
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient
from services.market.sources.http.daily_bars import NEW_YORK, NOT_NEW_YORK, Day, read_opening, telling
from services.market.sources.http.payload import CHEAPEST, DEAREST, EpochSeconds, Price, Wire
from services.market.sources.http.vendor import VendorClient, VendorSource

BASE_URL = "https://query2.finance.yahoo.com"
REST = timedelta(minutes=15)
NO_SUCH_SYMBOL = {400, 404, 422}


class _Meta(Wire):
    symbol: str
    currency: str | None = None
    exchange_timezone_name: str
    regular_market_price: Price | None = None
    regular_market_time: EpochSeconds | None = None


class _Columns(Wire):
    open: Annotated[tuple[object, ...], Field(fail_fast=True)] = ()
    close: Annotated[tuple[float | None, ...], Field(fail_fast=True)] = ()
    volume: Annotated[tuple[float | None, ...], Field(fail_fast=True)] = ()


class _Indicators(Wire):
    quote: tuple[_Columns]


class _Result(Wire):
    meta: _Meta
    timestamp: Annotated[
        tuple[EpochSeconds, ...], Field(fail_fast=True)
    ] = ()  # the key is missing where the window is empty
    indicators: _Indicators
    events: Events | None = None


class _Fault(Wire):
    code: str


class _Chart(Wire):
    result: tuple[_Result] | None
    error: _Fault | None


class _Body(Wire):
    chart: _Chart


class Yahoo(VendorSource):
    """An EquitySource over Yahoo's chart v8, the one endpoint that wants neither cookie nor crumb."""

    name = "Yahoo"
    simulated = False
    spacing = timedelta(0)

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(client, clock, source=self.name, base_url=base_url, rest=REST)
        self._clock = clock

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch closes from `since` on, what was declared since, and the last trade; the open session's close is live.

        Closes are adjusted for splits, not for dividends: `adjclose` would rewrite history at each dividend.
        """
        params: dict[str, str | int] = {
            "interval": "1d",
            "period1": int(datetime.combine(since, time(), NEW_YORK).timestamp()),
            "period2": int((self._clock.now() + timedelta(days=1)).timestamp()),
            "events": "div,splits",
            "includePrePost": "false",
        }
        return await self._vendor.get(
            f"/v8/finance/chart/{quote(symbol, safe='')}",
            params,
            symbol=symbol,
            read=lambda body: self._read(body, symbol, since),
            explain=lambda refusal: _unknown(symbol) if refusal.status in NO_SUCH_SYMBOL else None,
        )

    def _read(self, body: bytes, symbol: Symbol, since: date) -> EquityPrices:
        result = self._result(_Body.model_validate_json(body).chart, symbol)
        self._check_day(result, symbol)
        rows = {day: row for day, row in self._by_day(result, symbol).items() if day >= since}
        prices = np.array([day.close for day in rows.values()], dtype=np.float64)
        volumes = np.array([day.volume for day in rows.values()], dtype=np.float64)  # None becomes NaN
        openings = np.array([day.opening for day in rows.values()], dtype=np.float64)
        return EquityPrices(
            closes=Closes(
                symbol=symbol,
                sessions=np.array(list(rows), dtype="datetime64[D]"),
                prices=prices,
                source=self.name,
                volumes=telling(prices, volumes),
                inside=since_opening(prices, openings),
            ),
            quote=self._quote(result.meta, symbol),
            actions=result.events.actions(since) if result.events else (),
        )

    def _result(self, chart: _Chart, symbol: Symbol) -> _Result:
        """Take the one result, which must be of this symbol, in US dollars and in New York's hours."""
        if chart.error is not None and chart.error.code != "Not Found":
            raise self._vendor.error(symbol, "answered with an error; it will be asked again", retryable=True)
        if chart.error is not None or chart.result is None:
            raise self._vendor.error(symbol, _unknown(symbol), retryable=False)
        meta = chart.result[0].meta
        if meta.symbol.upper() != symbol.upper():
            raise self._vendor.error(symbol, f"answered about {meta.symbol[:20]} instead", retryable=True)
        if (meta.currency, meta.exchange_timezone_name) != ("USD", NEW_YORK.key):
            raise self._vendor.error(symbol, NOT_NEW_YORK, retryable=False)
        return chart.result[0]

    def _check_day(self, result: _Result, symbol: Symbol) -> None:
        """Refuse a trade of today without a bar of today: an old answer under a new stamp."""
        at, today = result.meta.regular_market_time, self._clock.now().astimezone(NEW_YORK).date()
        if at is None or not result.timestamp or datetime.fromtimestamp(at, NEW_YORK).date() != today:
            return
        newest = datetime.fromtimestamp(max(result.timestamp), NEW_YORK).date()
        if newest < today:
            problem = f"tells a trade of today, but its newest bar is of {newest}; it will be asked again"
            raise self._vendor.error(symbol, problem, retryable=True)

    def _by_day(self, result: _Result, symbol: Symbol) -> dict[date, Day]:
        """Key rows by New York's date, oldest first; a bar without a usable price is left out.

        A finished bar is stamped with its opening, the newest one with its last trade, and the last two may share a
        day: the later one counts.
        """
        stamps, columns = result.timestamp, result.indicators.quote[0]
        if len(stamps) != len(columns.close):
            problem = f"sent {len(stamps)} times but {len(columns.close)} closes; it will be asked again"
            raise self._vendor.error(symbol, problem, retryable=True)
        unknown = (None,) * len(stamps)
        volumes = columns.volume if len(columns.volume) == len(stamps) else unknown
        openings = columns.open if len(columns.open) == len(stamps) else unknown
        bars = sorted(zip(stamps, columns.close, volumes, openings, strict=True), key=itemgetter(0))
        return {
            datetime.fromtimestamp(stamp, NEW_YORK).date(): Day(close, volume, read_opening(opening))
            for stamp, close, volume, opening in bars
            if close is not None and CHEAPEST <= close < DEAREST
        }

    def _quote(self, meta: _Meta, symbol: Symbol) -> Quote | None:
        price, at = meta.regular_market_price, meta.regular_market_time
        if price is None or at is None:
            return None
        return Quote(symbol=symbol, price=price, at=datetime.fromtimestamp(at, UTC), source=self.name)


def _unknown(symbol: Symbol) -> str:
    return f"knows no symbol {symbol}, or has no prices of it; check its spelling, and whether it was renamed"


BIGGEST_SPLIT = 1e12  # of all splits together

Amount = Annotated[float, Field(gt=-1e9, lt=1e9, allow_inf_nan=False)]
Shares = Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)]


class _Dividend(Wire):
    date: EpochSeconds
    amount: Amount


class _Split(Wire):
    date: EpochSeconds
    numerator: Shares
    denominator: Shares

    @property
    def ratio(self) -> float:
        """New shares for one old share."""
        return self.numerator / self.denominator


class Events(Wire):
    """The events of a chart, by their instant; a key is missing where there are none."""

    dividends: dict[str, _Dividend] = Field(default_factory=dict)
    splits: dict[str, _Split] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_measurable(self) -> Self:
        """Refuse splits so large or small, one by one or together, that no amount could be brought over them."""
        if not prod(max(one.ratio, one.denominator / one.numerator) for one in self.splits.values()) < BIGGEST_SPLIT:
            raise ValueError("splits beyond all measure")
        return self

    def actions(self, since: date) -> tuple[Action, ...]:
        """Give what is declared from `since` on, oldest first.

        Yahoo tells dividends in shares of today, as its closes; here they are in the shares of their day. An event is
        stamped with the opening of its session.
        """
        splits = {_day(one.date): one.ratio for one in self.splits.values()}
        paid = {_day(one.date): one.amount for one in self.dividends.values()}
        told = [Action(session=day, kind=Kind.SPLIT, value=ratio) for day, ratio in splits.items()]
        for day, amount in paid.items():
            later = prod(ratio for at, ratio in splits.items() if at > day)
            told.append(Action(session=day, kind=Kind.DIVIDEND, value=amount * later))
        return tuple(sorted((one for one in told if one.session >= since), key=lambda one: one.session))


def _day(stamp: int) -> date:
    return datetime.fromtimestamp(stamp, NEW_YORK).date()
