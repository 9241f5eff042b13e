"""A simulated market: both legs at any minute of 2021 to 2040, a pure function of seed, symbol and time."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.clock import Clock
from services.core.errors import SourceError
from services.core.prices import AI_PROXY, WGMI_BTC, Bars, Closes, Quote, Symbol, instant, moment
from services.core.sessions import sessions_between
from services.market.consensus.closes import since_opening
from services.market.ports import EquityPrices
from services.market.sources.simulated.scenario import (
    BETA,
    DAILY_NOISE,
    FIRST_DAY,
    LAST_DAY,
    crypto_path,
    etf_path,
    proxy_path,
    stream,
    years_of,
)

BEGINS, ENDS = datetime(2021, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC)
SEED = 1
MINUTE = np.timedelta64(60, "s")
MINUTE_NOISE = DAILY_NOISE / math.sqrt(24 * 60)
SESSION_NOISE = 0.018
NEWS, NEWS_BY_THE_OPEN, CALM_BY_THE_OPEN = 0.08, 0.8, 0.35  # a day's own move, and what the opening has of it


class Simulated:
    """An EquitySource and a CryptoSource in which any symbol trades; nothing later than the clock is told.

    Bars, closes and quotes are read off the same minutes, to the cent. ETFs follow the simulated BTC. The name tells
    any seed but the usual one, so that two markets are never taken for one.
    """

    simulated = True
    spacing = timedelta(0)
    reach: timedelta | None = None

    def __init__(self, clock: Clock, *, seed: int = SEED) -> None:
        self.name = name_of(seed)
        self._clock, self._seed = clock, seed
        self._sessions = sessions_between(FIRST_DAY, LAST_DAY)
        self._years = years_of(self._sessions)
        self._crypto: dict[Symbol, NDArray[np.float64]] = {}
        self._etfs: dict[Symbol, NDArray[np.float64]] = {}
        self._ends: dict[int, tuple[float, float]] = {}

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Give the closes of finished sessions from `since` on, and the price of the last whole minute of trading."""
        now = self._now(symbol)
        days = self._sessions.days
        first = int(np.searchsorted(days, max(np.datetime64(since, "D"), np.datetime64(BEGINS.date(), "D"))))
        stop = max(first, self._sessions.last_closed(now) + 1)
        prices = _cents(self._etf(symbol)[first:stop])
        closes = Closes(
            symbol=symbol,
            sessions=days[first:stop],
            prices=prices,
            source=self.name,
            inside=since_opening(prices, self._openings(symbol, range(first, stop))),
        )
        return EquityPrices(closes=closes, quote=self._last_trade(symbol, now))

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Give every bar between the two; there are no gaps. Bars shorter than a minute repeat the last minute."""
        end = min(end, self._now(symbol))
        step = int(interval.total_seconds())
        first = math.ceil(max(start, BEGINS).timestamp() / step) * step
        opened_at = np.arange(first, math.floor(end.timestamp()) - step + 1, step)
        return Bars(
            symbol=symbol,
            interval=interval,
            opened_at=opened_at.astype("datetime64[s]"),
            closes=self._crypto_at(symbol, (opened_at + step).astype("datetime64[s]")),
            source=self.name,
        )

    async def quote(self, symbol: Symbol) -> Quote:
        """Give the price of the last whole minute."""
        at = _minute(self._now(symbol))
        price = float(self._crypto_at(symbol, np.array([at]))[0])
        return Quote(symbol=symbol, price=price, at=moment(at), source=self.name)

    def _now(self, symbol: Symbol) -> datetime:
        return within_its_years(self._clock.now(), self.name, symbol)

    def _etf(self, symbol: Symbol) -> NDArray[np.float64]:
        """Give log prices at the closes of all sessions."""
        if symbol not in self._etfs:
            bitcoin = self._coin(WGMI_BTC.crypto)
            if symbol == AI_PROXY:
                miners = self._etf(WGMI_BTC.etf)
                self._etfs[symbol] = proxy_path(self._seed, symbol, self._years, bitcoin, miners)
            else:
                self._etfs[symbol] = etf_path(self._seed, symbol, self._years, bitcoin)
        return self._etfs[symbol]

    def _coin(self, symbol: Symbol) -> NDArray[np.float64]:
        """Give log prices at the closes of all sessions."""
        if symbol not in self._crypto:
            self._crypto[symbol] = crypto_path(self._seed, symbol, self._years)
        return self._crypto[symbol]

    def _crypto_at(self, symbol: Symbol, instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Read prices at ascending instants, one path from close to close after the other."""
        closes_at = self._sessions.closes_at
        ends = np.searchsorted(closes_at, instants)
        prices = np.empty(len(instants))
        for day in np.unique(ends).tolist():
            first, stop = np.searchsorted(ends, [day, day + 1])
            minutes = (instants[first:stop] - closes_at[day - 1]) // MINUTE
            prices[first:stop] = self._coin_minutes(symbol, day)[minutes]
        return _cents(prices)

    def _coin_minutes(self, symbol: Symbol, day: int) -> NDArray[np.float64]:
        """Draw log prices for each minute from one session's close to the next, both included."""
        path, closes_at = self._coin(symbol), self._sessions.closes_at
        minutes = int((closes_at[day] - closes_at[day - 1]) // MINUTE)
        rng = stream(self._seed, symbol, "minutes", str(self._sessions.days[day]))
        return _bridge(rng, path[day - 1], path[day], minutes, MINUTE_NOISE)

    def _etf_minutes(self, symbol: Symbol, day: int) -> NDArray[np.float64]:
        """Draw log prices for each minute of a session: bitcoin's moves since the last close, and the ETF's own."""
        path, followed = self._etf(symbol), self._followed(day)
        minutes, own = len(followed) - 1, path[day] - path[day - 1] - followed[-1]
        rng = stream(self._seed, symbol, "minutes", str(self._sessions.days[day]))
        apart = _bridge(rng, _by_the_open(own), own, minutes, SESSION_NOISE / math.sqrt(minutes))
        prices: NDArray[np.float64] = path[day - 1] + followed + apart
        prices[-1] = path[day]
        return prices

    def _openings(self, symbol: Symbol, days: range) -> NDArray[np.float64]:
        """Give the prices with which sessions open, each the first of its minutes."""
        path, openings = self._etf(symbol), []
        for day in days:
            if day not in self._ends:
                self._ends[day] = tuple(self._followed(day)[[0, -1]].tolist())
            first, last = self._ends[day]
            openings.append(path[day - 1] + first + _by_the_open(path[day] - path[day - 1] - last))
        return _cents(np.array(openings))

    def _followed(self, day: int) -> NDArray[np.float64]:
        """Give what an ETF takes over of bitcoin's move since the last close, at each minute of a session."""
        minutes = int((self._sessions.closes_at[day] - self._sessions.opens_at[day]) // MINUTE)
        bitcoin = self._coin_minutes(WGMI_BTC.crypto, day)
        followed: NDArray[np.float64] = BETA * (bitcoin[-minutes - 1 :] - bitcoin[0])
        return followed

    def _last_trade(self, symbol: Symbol, now: datetime) -> Quote:
        day = int(np.searchsorted(self._sessions.opens_at, instant(now), side="right")) - 1
        at = min(_minute(now), self._sessions.closes_at[day])
        minute = int((at - self._sessions.opens_at[day]) // MINUTE)
        price = float(_cents(self._etf_minutes(symbol, day))[minute])
        return Quote(symbol=symbol, price=price, at=moment(at), source=self.name)


def name_of(seed: int) -> str:
    """Name a simulated market, so that two of them are never taken for one."""
    return "SIMULATED" if seed == SEED else f"SIMULATED {seed}"


def within_its_years(now: datetime, source: str, symbol: Symbol) -> datetime:
    """Give an instant back that the simulated market has. Raises SourceError."""
    if not BEGINS <= now < ENDS:
        problem = "the simulated market runs from 2021 to 2040; set the clock within it"
        raise SourceError(problem, source=source, symbol=symbol, retryable=False)
    return now


def _by_the_open(own: float) -> float:
    """Give what the opening has already of a session's own move."""
    return own * (NEWS_BY_THE_OPEN if abs(own) > NEWS else CALM_BY_THE_OPEN)


def _bridge(rng: np.random.Generator, start: float, end: float, steps: int, noise: float) -> NDArray[np.float64]:
    """Walk from `start` to `end` at random, `noise` a step, and arrive exactly."""
    walk = np.append(0.0, np.cumsum(rng.normal(0, noise, steps)))
    path: NDArray[np.float64] = start + walk + np.linspace(0, 1, steps + 1) * (end - start - walk[-1])
    path[-1] = end
    return path


def _minute(at: datetime) -> np.datetime64:
    return instant(at.replace(second=0))


def _cents(log_prices: NDArray[np.float64]) -> NDArray[np.float64]:
    prices: NDArray[np.float64] = np.exp(log_prices).round(2)
    return prices
