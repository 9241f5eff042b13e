"""The market as it is, and four sources of it that go wrong as the plan says."""

from __future__ import annotations

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
from tests.simulate.plan import Plan, Trouble

HOUR_S = 3_600
SHARES = {Symbol("WGMI"): 1.0, Symbol("IBIT"): 1.5}  # against the first one's price
LONG_AGO, EASY = datetime(2024, 4, 24, 12, tzinfo=UTC), 100e12
LATE_BY, OLD_CACHE, FUTURE = timedelta(minutes=25), timedelta(minutes=50), timedelta(minutes=5)


@lru_cache(maxsize=1)
def usual_closes() -> NDArray[np.float64]:
    """Give each session's close in dollars as it would be if nothing moved."""
    return 20 * (1 + 0.01 * np.cos(CALENDAR.days.astype(np.int64)))


def usual_coin(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give bitcoin's price in dollars at seconds since 1970, as it would be if nothing moved."""
    wave: NDArray[np.float64] = 50_000 * (1 + 0.01 * np.sin(at_s / HOUR_S / 7))
    return wave


@dataclass(frozen=True)
class Tape:
    """What the market truly does in a run."""

    plan: Plan

    @cached_property
    def _times(self) -> list[float]:
        return [move.at.timestamp() for move in self.plan.moves]

    def share(self, symbol: Symbol, at: datetime) -> float:
        """Give a share's price as traded at an instant of a session, or at the close before it."""
        row = self._row(at)
        return float(usual_closes()[row] * self._factor(at)[0]) * SHARES[symbol] / self._new_shares(row)

    def coin(self, at: datetime) -> float:
        """Give bitcoin's price at an instant."""
        return float(usual_coin(np.array([at.timestamp()]))[0]) * self._factor(at)[1]

    def coins(self, ended_s: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give bitcoin's price at each of these seconds since 1970."""
        factors = np.array([1.0, *(move.coin for move in self.plan.moves)])
        moved: NDArray[np.float64] = (
            usual_coin(ended_s.astype(np.float64)) * factors[np.searchsorted(self._times, ended_s, side="right")]
        )
        return moved

    def closes(self, symbol: Symbol, first: int, last: int, *, told_of_split: bool) -> NDArray[np.float64]:
        """Give the closes of sessions by their rows; before a split in its new shares where that is known."""
        prices = usual_closes()[first:last] * SHARES[symbol]
        begin = self._row(self.plan.begin)
        for row in range(max(first, begin), last):
            prices[row - first] *= self._factor(to_datetime(CALENDAR.closes_at[row]))[0] / self._new_shares(row)
        if told_of_split and self.plan.split is not None:
            before = CALENDAR.days[first:last] < np.datetime64(self.plan.split.session)
            prices[before] /= self.plan.split.ratio
        return prices

    def difficulties(self, at: datetime) -> tuple[list[datetime], list[float]]:
        """Give every retarget up to an instant, and the difficulty from then on."""
        done = [(LONG_AGO, 1.0), *(one for one in self.plan.network.retargets if one[0] <= at)]
        return [one[0] for one in done], [EASY * one[1] for one in done]

    def _factor(self, at: datetime) -> tuple[float, float]:
        index = bisect_right(self._times, at.timestamp()) - 1
        return (1.0, 1.0) if index < 0 else (self.plan.moves[index].etf, self.plan.moves[index].coin)

    def _new_shares(self, row: int) -> float:
        split = self.plan.split
        return split.ratio if split is not None and CALENDAR.days[row] >= np.datetime64(split.session) else 1.0

    def _row(self, at: datetime) -> int:
        return int(np.searchsorted(CALENDAR.opens_at, to_datetime64(at), side="right")) - 1


@dataclass(slots=True)
class _Source:
    """What all sources share: the tape, the true time, and what is wrong with this one."""

    name: str
    tape: Tape
    now: Callable[[], datetime]
    simulated: bool = False
    history_limit: timedelta | None = None
    _asked: int = field(default=0)

    async def _wrong(self, symbol: Symbol) -> set[object]:
        """Take a moment to answer, and tell what is wrong. Raises SourceError where there is no answer."""
        self._asked += 1
        await asyncio.sleep(0.03 + 0.01 * (self._asked % 7))
        wrong: set[object] = set(self.tape.plan.wrong(self.name, self.now()))
        if Trouble.OUT in wrong:
            raise SourceError("no answer", source=self.name, symbol=symbol, retryable=True)
        if Trouble.BACKWARDS in wrong and self._asked % 2:
            wrong.remove(Trouble.BACKWARDS)
        return wrong

    def _seen_at(self, wrong: set[object]) -> datetime:
        """Tell as of when this source knows the last trade."""
        now = self.now()
        if Trouble.STALE in wrong:
            plan = self.tape.plan
            return max(
                s.begin for s in plan.all_spells if s.what is Trouble.STALE and s.who == self.name and s.begin <= now
            )
        late = (LATE_BY if Trouble.LATE in wrong else 0 * LATE_BY) + (
            OLD_CACHE if Trouble.BACKWARDS in wrong else 0 * LATE_BY
        )
        return now - late

    def _quote(self, symbol: Symbol, price: float, at: datetime, wrong: set[object]) -> Quote:
        factor = (10.0 if Trouble.TENFOLD in wrong else 1.0) * (1.03 if Trouble.OFF in wrong else 1.0)
        ahead = FUTURE if Trouble.AHEAD in wrong else 0 * FUTURE
        return Quote(symbol=symbol, price=price * factor, at=at.replace(microsecond=0) + ahead, source=self.name)


@dataclass(slots=True)
class Vendor(_Source):
    """A source of shares."""

    min_interval = timedelta(0)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Tell the closes, today's row included, the last trade and a split."""
        wrong = await self._wrong(symbol)
        if symbol not in SHARES:
            raise SourceError("unknown symbol", source=self.name, symbol=symbol, retryable=False)
        seen_at = self._seen_at(wrong)
        state = CALENDAR.state_at(seen_at)
        traded_at = min(seen_at, state.closes_at)
        quote = self._quote(symbol, self.tape.share(symbol, traded_at), traded_at, wrong)
        told = self._knows_split(self.now())
        closes = self._closes(symbol, since, seen_at, quote, wrong, told=told)
        split = self.tape.plan.split
        actions = (Action(session=split.session, kind=ActionKind.SPLIT, value=split.ratio),) if split and told else ()
        return EquityPrices(closes=closes, quote=None if Trouble.MISSING in wrong else quote, actions=actions)

    def _closes(
        self, symbol: Symbol, since: date, seen_at: datetime, quote: Quote, wrong: set[object], *, told: bool
    ) -> Closes:
        end = CALENDAR.last_closed(seen_at) + 1
        finished = end - (Trouble.MISSING in wrong)
        first = min(int(np.searchsorted(CALENDAR.days, np.datetime64(since))), finished)
        days, prices = CALENDAR.days[first:finished], self.tape.closes(symbol, first, finished, told_of_split=told)
        if Trouble.WRONG_CLOSE in wrong and len(prices):
            prices[-1] *= 1.03
        if Trouble.MISSING not in wrong and CALENDAR.state_at(seen_at).is_open:
            days, prices = np.append(days, CALENDAR.days[end]), np.append(prices, quote.price)
        return Closes(symbol=symbol, sessions=days, prices=prices, source=self.name)

    def _knows_split(self, now: datetime) -> bool:
        split = self.tape.plan.split
        if split is None:
            return False
        opens_at = to_datetime(CALENDAR.opens_at[int(np.searchsorted(CALENDAR.days, np.datetime64(split.session)))])
        return now >= opens_at - timedelta(hours=1) + split.known_after[self.name] + timedelta(
            hours=bool(split.known_after[self.name])
        )


@dataclass(slots=True)
class Venue(_Source):
    """A source of bitcoin."""

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Tell the complete bars of a span."""
        wrong = await self._wrong(symbol)
        step = int(interval.total_seconds())
        last = min(end, self._seen_at(wrong - {Trouble.STALE})).timestamp()
        opened = np.arange(-(-start.timestamp() // step) * step, last - step + 1, step).astype(np.int64)
        if Trouble.MISSING in wrong:
            opened = opened[:-1]
        closes = self.tape.coins(opened + step)
        if step < HOUR_S:
            closes = closes * (10.0 if Trouble.TENFOLD in wrong else 1.0) * (1.03 if Trouble.OFF in wrong else 1.0)
        return Bars(
            symbol=symbol, interval=interval, opened_at=opened.astype("datetime64[s]"), closes=closes, source=self.name
        )

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Tell the last trade."""
        wrong = await self._wrong(symbol)
        at = self._seen_at(wrong)
        return None if Trouble.MISSING in wrong else self._quote(symbol, self.tape.coin(at), at, wrong)


@dataclass(slots=True)
class Pool(_Source):
    """A source of the bitcoin network."""

    async def network(self) -> Network:
        """Tell the network of now."""
        at = self._seen_at(await self._wrong(NETWORK))
        hard = self.tape.difficulties(at)[1][-1]
        return Network(
            at=at,
            source=self.name,
            hashrate=hard * HASHES / BLOCK_S,
            difficulty=hard,
            retarget=Retarget(change=0.01, height=977_760, at=at + timedelta(days=7)),
            reward=Reward(blocks=144, total=3.2, fees=0.075),
        )

    async def history(self) -> NetworkHistory:
        """Tell every retarget; where the newest is missing, the difficulty of now is of none."""
        wrong = await self._wrong(NETWORK)
        begun, hard = self.tape.difficulties(self._seen_at(wrong))
        known = len(hard) - (Trouble.MISSING in wrong and len(hard) > 1)
        return NetworkHistory(
            source=self.name,
            days=np.empty(0, "datetime64[D]"),
            hashrates=np.empty(0),
            retargets_at=np.array([to_datetime64(at) for at in begun[:known]]),
            difficulties=np.array(hard[:known]),
            heights=840_672 + 2016 * np.arange(known),
        )
