"""Tiingo: session closes at the end of the day, and the last trade at IEX, a small exchange. Official, with a key."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from functools import partial
from operator import attrgetter
from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import FailFast, Field, TypeAdapter

from services.core.clock import Clock
from services.core.prices import Quote, Symbol
from services.market.consensus.corporate_actions import Action, Kind
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient, HttpStatusError
from services.market.sources.http.daily_bars import Day, final_closes, in_session, read_opening, read_volume
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import CHEAPEST, DEAREST, Instant, Price, Wire
from services.market.sources.http.vendor import ThrottledError, VendorClient, VendorSource

BASE_URL = "https://api.tiingo.com"
REST = timedelta(minutes=15)
LIMITS = (Limit(calls=50, per=timedelta(hours=1)), Limit(calls=1000, per=timedelta(days=1)))
NOT_FOUND = 404
BIGGEST_SPLIT = 1e6  # of all splits together

T = TypeVar("T")


class _Day(Wire):
    date: Instant
    close: Price
    volume: object = None
    open: object = None
    split_factor: Annotated[float, Field(gt=0, lt=BIGGEST_SPLIT, allow_inf_nan=False)] = 1.0
    div_cash: Annotated[float, Field(allow_inf_nan=False)] = 0.0


class _Last(Wire):
    ticker: str
    last: Price | None = None
    last_sale_timestamp: Instant | None = None


class _Complaint(Wire):
    detail: str


_DAYS = TypeAdapter(Annotated[list[_Day], FailFast()])
_LASTS = TypeAdapter(Annotated[list[_Last], FailFast()])


class Tiingo(VendorSource):
    """An EquitySource over Tiingo's end-of-day prices and its IEX feed, for any ETF or share that is listed in the US.

    Closes are there from 17:30 New York and corrected until 20:00. IEX has a few percent of the volume, and its last
    trade of a thin ETF may be old; the quote's source says so, and it is None where IEX is shut or tells nothing. A
    free key has about 50 calls an hour and 1,000 a day, and `prices` makes two, which is too few for every tick. Terms:
    tiingo.com/about/terms.
    """

    name = "Tiingo"
    simulated = False
    spacing = timedelta(minutes=3)  # 40 of the 50 calls an hour

    def __init__(self, client: HttpClient, clock: Clock, key: str, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(
            client,
            clock,
            source=self.name,
            base_url=base_url,
            rest=REST,
            limits=LIMITS,
            headers={"Authorization": f"Token {key}"},
            secrets=[key],
        )
        self._clock = clock

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch closes of finished sessions from `since` on, what was declared, and IEX's last trade of regular hours.

        Tiingo sends closes as they were, and closes adjusted for splits and dividends; adjusted for splits alone, as
        ours are, they are made here. Until the evening of its first day a split or dividend is not known.
        """
        ticker, explain = quote(symbol.lower(), safe=""), partial(_explain, symbol)
        params = {"startDate": f"{since}"}
        days, actions = await self._vendor.get(
            f"/tiingo/daily/{ticker}/prices",
            params,
            symbol=symbol,
            read=partial(self._read_days, symbol),
            explain=explain,
        )
        lasts = await self._vendor.get(
            f"/iex/{ticker}", {}, symbol=symbol, read=partial(self._read, _LASTS, symbol), explain=explain
        )
        closes = final_closes(symbol, self.name, days, since, self._clock.now())
        return EquityPrices(closes=closes, quote=self._quote(lasts, symbol), actions=_since(since, actions))

    def _read(self, shape: TypeAdapter[T], symbol: Symbol, body: bytes) -> T:
        """Read a list; an object in its place is a complaint, which comes with status 200 too."""
        if not body.lstrip().startswith(b"{"):
            return shape.validate_json(body)
        complaint = _Complaint.model_validate_json(body).detail
        if "request allocation" in complaint:
            raise ThrottledError
        raise self._vendor.error(symbol, f"refused the request: “{complaint[:200]}”", retryable=False)

    def _read_days(self, symbol: Symbol, body: bytes) -> tuple[dict[date, Day], tuple[Action, ...]]:
        """Read the closes, adjusted for splits, and what was declared."""
        days = self._read(_DAYS, symbol, body)
        return self._adjusted(days, symbol), _actions(days)

    def _adjusted(self, days: list[_Day], symbol: Symbol) -> dict[date, Day]:
        """Divide each close by the splits after it; a split's factor stands on its first day."""
        closes, factor = {}, 1.0
        for day in sorted(days, key=attrgetter("date"), reverse=True):
            price, opening = day.close / factor, read_opening(day.open)
            closes[day.date.astimezone(UTC).date()] = Day(price, read_volume(day.volume), opening and opening / factor)
            factor *= day.split_factor
            if not (CHEAPEST <= price < DEAREST and 1 / BIGGEST_SPLIT < factor < BIGGEST_SPLIT):
                raise self._vendor.error(symbol, "sent splits beyond all measure", retryable=True)
        return closes

    def _quote(self, lasts: list[_Last], symbol: Symbol) -> Quote | None:
        for last in lasts:
            at = last.last_sale_timestamp
            if last.ticker.upper() == symbol.upper() and last.last and at and in_session(at, self._clock.now()):
                return Quote(symbol=symbol, price=last.last, at=at.astimezone(UTC), source="Tiingo IEX")
        return None


def _actions(days: list[_Day]) -> tuple[Action, ...]:
    """Take what stands on its ex-date, oldest first; a dividend is in the shares of that day."""
    told = [
        Action(session=day.date.astimezone(UTC).date(), kind=kind, value=value)
        for day in days
        for kind, value, nothing in ((Kind.DIVIDEND, day.div_cash, 0.0), (Kind.SPLIT, day.split_factor, 1.0))
        if value != nothing
    ]
    return tuple(sorted(told, key=attrgetter("session")))


def _since(since: date, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple(one for one in actions if one.session >= since)


def _explain(symbol: Symbol, refusal: HttpStatusError) -> str | None:
    if refusal.status == NOT_FOUND:
        return f"knows no symbol {symbol}; check its spelling, and whether it was renamed"
    return None
