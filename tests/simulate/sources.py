"""The true market of a run, and sources of it with the plan's faults."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from services.core.errors import SourceError
from services.core.prices import Bars, Closes, Quote, Symbol, to_datetime, to_datetime64
from services.market.consensus.corporate_actions import Action, ActionKind
from services.market.network import BLOCK_S, HASHES, NETWORK, Network, Retarget, Reward
from services.market.network_history import NetworkHistory
from services.market.ports import EquityPrices
from tests.fakes.market import CALENDAR
from tests.simulate.plan import Plan, SourceFault

HOUR_S = 3_600
RELATIVE_PRICES = {Symbol("WGMI"): 1.0, Symbol("IBIT"): 1.5}  # relative to WGMI's price
FIRST_RETARGET, BASE_DIFFICULTY = datetime(2024, 4, 24, 12, tzinfo=UTC), 100e12
LATE_BY, OLD_CACHE, FUTURE = timedelta(minutes=25), timedelta(minutes=50), timedelta(minutes=5)


@lru_cache(maxsize=1)
def base_closes() -> NDArray[np.float64]:
    """Return each session's close in dollars before the plan's moves."""
    return 20 * (1 + 0.01 * np.cos(CALENDAR.days.astype(np.int64)))


def base_crypto(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return bitcoin's price in dollars at seconds since 1970, before the plan's moves."""
    wave: NDArray[np.float64] = 50_000 * (1 + 0.01 * np.sin(at_s / HOUR_S / 7))
    return wave


@dataclass(frozen=True)
class TrueMarket:
    """The true prices of a run."""

    plan: Plan

    @cached_property
    def _times(self) -> list[float]:
        return [move.at.timestamp() for move in self.plan.moves]

    def etf_price(self, symbol: Symbol, at: datetime) -> float:
        """Return an ETF's price at a time in a session, or at the previous close."""
        row = self._row(at)
        return float(base_closes()[row] * self._factor(at)[0]) * RELATIVE_PRICES[symbol] / self._split_ratio(row)

    def crypto_price(self, at: datetime) -> float:
        return float(base_crypto(np.array([at.timestamp()]))[0]) * self._factor(at)[1]

    def crypto_prices(self, ended_s: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return bitcoin's price at each of these seconds since 1970."""
        factors = np.array([1.0, *(move.crypto for move in self.plan.moves)])
        prices: NDArray[np.float64] = (
            base_crypto(ended_s.astype(np.float64)) * factors[np.searchsorted(self._times, ended_s, side="right")]
        )
        return prices

    def closes(self, symbol: Symbol, first: int, last: int, *, split_known: bool) -> NDArray[np.float64]:
        """Return the closes of sessions by row, adjusted for the split if it is known."""
        prices = base_closes()[first:last] * RELATIVE_PRICES[symbol]
        begin = self._row(self.plan.begin)
        for row in range(max(first, begin), last):
            prices[row - first] *= self._factor(to_datetime(CALENDAR.closes_at[row]))[0] / self._split_ratio(row)
        if split_known and self.plan.split is not None:
            before = CALENDAR.days[first:last] < np.datetime64(self.plan.split.session)
            prices[before] /= self.plan.split.ratio
        return prices

    def difficulties(self, at: datetime) -> tuple[list[datetime], list[float]]:
        """Return the times of all retargets up to a time, and the difficulty from each on."""
        retargets = [(FIRST_RETARGET, 1.0), *(one for one in self.plan.network.retargets if one[0] <= at)]
        return [one[0] for one in retargets], [BASE_DIFFICULTY * one[1] for one in retargets]

    def _factor(self, at: datetime) -> tuple[float, float]:
        index = bisect_right(self._times, at.timestamp()) - 1
        return (1.0, 1.0) if index < 0 else (self.plan.moves[index].etf, self.plan.moves[index].crypto)

    def _split_ratio(self, row: int) -> float:
        split = self.plan.split
        return split.ratio if split is not None and CALENDAR.days[row] >= np.datetime64(split.session) else 1.0

    def _row(self, at: datetime) -> int:
        return int(np.searchsorted(CALENDAR.opens_at, to_datetime64(at), side="right")) - 1


@dataclass(slots=True)
class _Source:
    """A source of the true market with the plan's faults."""

    name: str
    market: TrueMarket
    now: Callable[[], datetime]
    simulated: bool = False
    history_limit: timedelta | None = None
    _requests: int = field(default=0)

    async def _respond(self, symbol: Symbol) -> set[object]:
        """Return the current faults after a short delay. Raises SourceError during an outage."""
        self._requests += 1
        await asyncio.sleep(0.03 + 0.01 * (self._requests % 7))
        faults: set[object] = set(self.market.plan.faults_at(self.name, self.now()))
        if SourceFault.OUT in faults:
            raise SourceError("no response", source=self.name, symbol=symbol, retryable=True)
        if SourceFault.BACKWARDS in faults and self._requests % 2:
            faults.remove(SourceFault.BACKWARDS)
        return faults

    def _data_time(self, faults: set[object]) -> datetime:
        """Return the time of the last trade that this source knows."""
        now = self.now()
        if SourceFault.STALE in faults:
            plan = self.market.plan
            return max(
                s.begin
                for s in plan.all_fault_periods
                if s.what is SourceFault.STALE and s.who == self.name and s.begin <= now
            )
        late = LATE_BY * (SourceFault.LATE in faults) + OLD_CACHE * (SourceFault.BACKWARDS in faults)
        return now - late

    def _quote(self, symbol: Symbol, price: float, at: datetime, faults: set[object]) -> Quote:
        ahead = FUTURE * (SourceFault.AHEAD in faults)
        return Quote(
            symbol=symbol, price=price * _price_factor(faults), at=at.replace(microsecond=0) + ahead, source=self.name
        )


def _price_factor(faults: set[object]) -> float:
    return (10.0 if SourceFault.TENFOLD in faults else 1.0) * (1.03 if SourceFault.OFF in faults else 1.0)


@dataclass(slots=True)
class SimulatedEquity(_Source):
    """A source of ETF prices."""

    min_interval = timedelta(0)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Return the closes, including today's row, the last trade, and a split."""
        faults = await self._respond(symbol)
        if symbol not in RELATIVE_PRICES:
            raise SourceError("unknown symbol", source=self.name, symbol=symbol, retryable=False)
        data_time = self._data_time(faults)
        state = CALENDAR.state_at(data_time)
        traded_at = min(data_time, state.closes_at)
        quote = self._quote(symbol, self.market.etf_price(symbol, traded_at), traded_at, faults)
        split_known = self._is_split_known(self.now())
        closes = self._closes(symbol, since, data_time, quote, faults, split_known=split_known)
        split = self.market.plan.split
        actions: tuple[Action, ...] = ()
        if split and split_known:
            actions = (Action(session=split.session, kind=ActionKind.SPLIT, value=split.ratio),)
        return EquityPrices(closes=closes, quote=None if SourceFault.MISSING in faults else quote, actions=actions)

    def _closes(
        self, symbol: Symbol, since: date, data_time: datetime, quote: Quote, faults: set[object], *, split_known: bool
    ) -> Closes:
        end = CALENDAR.last_closed(data_time) + 1
        end_of_closes = end - (SourceFault.MISSING in faults)
        first = min(int(np.searchsorted(CALENDAR.days, np.datetime64(since))), end_of_closes)
        days = CALENDAR.days[first:end_of_closes]
        prices = self.market.closes(symbol, first, end_of_closes, split_known=split_known)
        if SourceFault.WRONG_CLOSE in faults and len(prices):
            prices[-1] *= 1.03
        if SourceFault.MISSING not in faults and CALENDAR.state_at(data_time).is_open:
            days, prices = np.append(days, CALENDAR.days[end]), np.append(prices, quote.price)
        return Closes(symbol=symbol, sessions=days, prices=prices, source=self.name)

    def _is_split_known(self, now: datetime) -> bool:
        split = self.market.plan.split
        if split is None:
            return False
        opens_at = to_datetime(CALENDAR.opens_at[int(np.searchsorted(CALENDAR.days, np.datetime64(split.session)))])
        return now >= opens_at - timedelta(hours=1) + split.known_after[self.name] + timedelta(
            hours=bool(split.known_after[self.name])
        )


@dataclass(slots=True)
class SimulatedCrypto(_Source):
    """A source of bitcoin prices."""

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return the complete bars of a span."""
        faults = await self._respond(symbol)
        step = int(interval.total_seconds())
        last = min(end, self._data_time(faults - {SourceFault.STALE})).timestamp()
        opened = np.arange(-(-start.timestamp() // step) * step, last - step + 1, step).astype(np.int64)
        if SourceFault.MISSING in faults:
            opened = opened[:-1]
        closes = self.market.crypto_prices(opened + step)
        if step < HOUR_S:
            closes = closes * _price_factor(faults)
        return Bars(
            symbol=symbol, interval=interval, opened_at=opened.astype("datetime64[s]"), closes=closes, source=self.name
        )

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Return the last trade."""
        faults = await self._respond(symbol)
        at = self._data_time(faults)
        return None if SourceFault.MISSING in faults else self._quote(symbol, self.market.crypto_price(at), at, faults)


@dataclass(slots=True)
class SimulatedNetwork(_Source):
    """A source of bitcoin network data."""

    async def network(self) -> Network:
        at = self._data_time(await self._respond(NETWORK))
        difficulty = self.market.difficulties(at)[1][-1]
        return Network(
            at=at,
            source=self.name,
            hashrate=difficulty * HASHES / BLOCK_S,
            difficulty=difficulty,
            retarget=Retarget(change=0.01, height=977_760, at=at + timedelta(days=7)),
            reward=Reward(blocks=144, total=3.2, fees=0.075),
        )

    async def history(self) -> NetworkHistory:
        """Return every retarget; without the newest, the current difficulty belongs to none of them."""
        faults = await self._respond(NETWORK)
        times, difficulty = self.market.difficulties(self._data_time(faults))
        known = len(difficulty) - (SourceFault.MISSING in faults and len(difficulty) > 1)
        return NetworkHistory(
            source=self.name,
            days=np.empty(0, "datetime64[D]"),
            hashrates=np.empty(0),
            retargets_at=np.array([to_datetime64(at) for at in times[:known]]),
            difficulties=np.array(difficulty[:known]),
            heights=840_672 + 2016 * np.arange(known),
        )
