"""A simulated market: both legs at any minute from 2021 to 2040, a pure function of seed, symbol and time."""

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.clock import Clock
from services.core.errors import SourceError
from services.core.prices import AI_PROXY, WGMI_BTC, Bars, Closes, Quote, Symbol, to_datetime, to_datetime64
from services.core.sessions import sessions_between
from services.market.consensus.closes import open_to_close_returns
from services.market.ports import EquityPrices
from services.market.sources.simulated.scenario import (
    BETA,
    DAILY_NOISE,
    FIRST_DAY,
    LAST_DAY,
    crypto_path,
    etf_path,
    proxy_path,
    random_stream,
    session_years,
)

STARTS_AT, ENDS_AT = datetime(2021, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC)
SEED = 1
MINUTE = np.timedelta64(60, "s")
MINUTE_NOISE = DAILY_NOISE / math.sqrt(24 * 60)
SESSION_NOISE = 0.018
NEWS_MOVE, NEWS_SHARE_AT_OPEN, CALM_SHARE_AT_OPEN = (
    0.08,
    0.8,
    0.35,
)  # size of a day's own move that counts as news, and the share of it that is in the opening price


class SimulatedMarket:
    """An EquitySource and a CryptoSource for any symbol. Returns nothing later than the clock.

    Bars, closes and quotes come from the same minute prices, rounded to cents. ETFs follow the simulated BTC. The name
    includes any seed but the default one, so that two markets are never confused.
    """

    simulated = True
    min_interval = timedelta(0)
    history_limit: timedelta | None = None

    def __init__(self, clock: Clock, *, seed: int = SEED) -> None:
        self.name = source_name(seed)
        self._clock, self._seed = clock, seed
        self._sessions = sessions_between(FIRST_DAY, LAST_DAY)
        self._years = session_years(self._sessions)
        self._crypto_paths: dict[Symbol, NDArray[np.float64]] = {}
        self._etf_paths: dict[Symbol, NDArray[np.float64]] = {}
        self._bitcoin_part_ends: dict[int, tuple[float, float]] = {}

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Return the closes of finished sessions from `since` on, and the price of the last whole minute of trading."""
        now = self._now(symbol)
        days = self._sessions.days
        first = int(np.searchsorted(days, max(np.datetime64(since, "D"), np.datetime64(STARTS_AT.date(), "D"))))
        stop = max(first, self._sessions.last_closed(now) + 1)
        prices = _cents(self._etf_path(symbol)[first:stop])
        closes = Closes(
            symbol=symbol,
            sessions=days[first:stop],
            prices=prices,
            source=self.name,
            open_to_close=open_to_close_returns(prices, self._openings(symbol, range(first, stop))),
        )
        return EquityPrices(closes=closes, quote=self._last_trade(symbol, now))

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return all bars from `start` to `end`, without gaps. Bars shorter than a minute repeat the last minute."""
        end = min(end, self._now(symbol))
        step = int(interval.total_seconds())
        first = math.ceil(max(start, STARTS_AT).timestamp() / step) * step
        opened_at = np.arange(first, math.floor(end.timestamp()) - step + 1, step)
        return Bars(
            symbol=symbol,
            interval=interval,
            opened_at=opened_at.astype("datetime64[s]"),
            closes=self._crypto_at(symbol, (opened_at + step).astype("datetime64[s]")),
            source=self.name,
        )

    async def quote(self, symbol: Symbol) -> Quote:
        """Return the price of the last whole minute."""
        at = _minute(self._now(symbol))
        price = float(self._crypto_at(symbol, np.array([at]))[0])
        return Quote(symbol=symbol, price=price, at=to_datetime(at), source=self.name)

    def _now(self, symbol: Symbol) -> datetime:
        return require_supported_time(self._clock.now(), self.name, symbol)

    def _etf_path(self, symbol: Symbol) -> NDArray[np.float64]:
        """Return the log prices of an ETF at the closes of all sessions."""
        if symbol not in self._etf_paths:
            bitcoin = self._crypto_path(WGMI_BTC.crypto)
            if symbol == AI_PROXY:
                miners = self._etf_path(WGMI_BTC.etf)
                self._etf_paths[symbol] = proxy_path(self._seed, symbol, self._years, bitcoin, miners)
            else:
                self._etf_paths[symbol] = etf_path(self._seed, symbol, self._years, bitcoin)
        return self._etf_paths[symbol]

    def _crypto_path(self, symbol: Symbol) -> NDArray[np.float64]:
        """Return the log prices of a coin at the closes of all sessions."""
        if symbol not in self._crypto_paths:
            self._crypto_paths[symbol] = crypto_path(self._seed, symbol, self._years)
        return self._crypto_paths[symbol]

    def _crypto_at(self, symbol: Symbol, instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Return the prices at ascending instants, computed session by session."""
        closes_at = self._sessions.closes_at
        ends = np.searchsorted(closes_at, instants)
        prices = np.empty(len(instants))
        for day in np.unique(ends).tolist():
            first, stop = np.searchsorted(ends, [day, day + 1])
            minutes = (instants[first:stop] - closes_at[day - 1]) // MINUTE
            prices[first:stop] = self._crypto_minutes(symbol, day)[minutes]
        return _cents(prices)

    def _crypto_minutes(self, symbol: Symbol, day: int) -> NDArray[np.float64]:
        """Return log prices for each minute from one session's close to the next, both included."""
        path, closes_at = self._crypto_path(symbol), self._sessions.closes_at
        minutes = int((closes_at[day] - closes_at[day - 1]) // MINUTE)
        rng = random_stream(self._seed, symbol, "minutes", str(self._sessions.days[day]))
        return _bridge(rng, path[day - 1], path[day], minutes, MINUTE_NOISE)

    def _etf_minutes(self, symbol: Symbol, day: int) -> NDArray[np.float64]:
        """Return log prices for each minute of a session: bitcoin's moves since the last close, plus the ETF's own."""
        path, bitcoin_part = self._etf_path(symbol), self._bitcoin_part(day)
        minutes, own_move = len(bitcoin_part) - 1, path[day] - path[day - 1] - bitcoin_part[-1]
        rng = random_stream(self._seed, symbol, "minutes", str(self._sessions.days[day]))
        own_path = _bridge(rng, _move_at_open(own_move), own_move, minutes, SESSION_NOISE / math.sqrt(minutes))
        prices: NDArray[np.float64] = path[day - 1] + bitcoin_part + own_path
        prices[-1] = path[day]
        return prices

    def _openings(self, symbol: Symbol, days: range) -> NDArray[np.float64]:
        """Return the opening prices of sessions, each the price of its first minute."""
        path, openings = self._etf_path(symbol), []
        for day in days:
            if day not in self._bitcoin_part_ends:
                self._bitcoin_part_ends[day] = tuple(self._bitcoin_part(day)[[0, -1]].tolist())
            first, last = self._bitcoin_part_ends[day]
            openings.append(path[day - 1] + first + _move_at_open(path[day] - path[day - 1] - last))
        return _cents(np.array(openings))

    def _bitcoin_part(self, day: int) -> NDArray[np.float64]:
        """Return the ETF's share of bitcoin's log move since the last close, at each minute of a session."""
        minutes = int((self._sessions.closes_at[day] - self._sessions.opens_at[day]) // MINUTE)
        bitcoin = self._crypto_minutes(WGMI_BTC.crypto, day)
        bitcoin_part: NDArray[np.float64] = BETA * (bitcoin[-minutes - 1 :] - bitcoin[0])
        return bitcoin_part

    def _last_trade(self, symbol: Symbol, now: datetime) -> Quote:
        day = int(np.searchsorted(self._sessions.opens_at, to_datetime64(now), side="right")) - 1
        at = min(_minute(now), self._sessions.closes_at[day])
        minute = int((at - self._sessions.opens_at[day]) // MINUTE)
        price = float(_cents(self._etf_minutes(symbol, day))[minute])
        return Quote(symbol=symbol, price=price, at=to_datetime(at), source=self.name)


def source_name(seed: int) -> str:
    """Return the source name, unique for each seed."""
    return "SIMULATED" if seed == SEED else f"SIMULATED {seed}"


def require_supported_time(now: datetime, source: str, symbol: Symbol) -> datetime:
    """Return `now` if the simulated market covers it. Raises SourceError."""
    if not STARTS_AT <= now < ENDS_AT:
        problem = "the simulated market runs from 2021 to 2040; set the clock to a time in that range"
        raise SourceError(problem, source=source, symbol=symbol, retryable=False)
    return now


def _move_at_open(own_move: float) -> float:
    """Return the part of a session's own move that is already in its opening price."""
    return own_move * (NEWS_SHARE_AT_OPEN if abs(own_move) > NEWS_MOVE else CALM_SHARE_AT_OPEN)


def _bridge(rng: np.random.Generator, start: float, end: float, steps: int, noise: float) -> NDArray[np.float64]:
    """Return a random walk from exactly `start` to exactly `end`, with `noise` per step."""
    walk = np.append(0.0, np.cumsum(rng.normal(0, noise, steps)))
    path: NDArray[np.float64] = start + walk + np.linspace(0, 1, steps + 1) * (end - start - walk[-1])
    path[-1] = end
    return path


def _minute(at: datetime) -> np.datetime64:
    return to_datetime64(at.replace(second=0))


def _cents(log_prices: NDArray[np.float64]) -> NDArray[np.float64]:
    prices: NDArray[np.float64] = np.exp(log_prices).round(2)
    return prices
