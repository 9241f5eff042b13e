"""What is played to the processes under test: a fast clock, and a seesaw of prices that each of them computes alike."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

import numpy as np

from services.domain.episode import Channel
from services.domain.prices import Bars, Closes, Quote, Symbol, instant
from services.domain.rule import Rule, parse_rule
from services.ports import EquityPrices
from tests.fakes.market import CALENDAR

OPEN = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
TICK_S = 15  # the shortest that the settings allow
ETF, BITCOIN = 20.0, 50_000.0
PEAK_PP = 20.0
LOWEST_PP, HIGHEST_PP, APART_PP = 3.0, 17.0, 1.5  # thresholds of the channels, and of the second rule of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`cycles` of a spread that goes up to 20 pp, stays there and comes back, over `channels` with two rules each.

    Every cycle is one alert for each channel; the lines in its thread tell that another rule joined or left, where no
    tick saw both move together, and that it is resolved.
    Time runs `speed` times as fast as the wall's, for every wait and every process alike, from `since` on (seconds
    since 1970); `cycle_s` are seconds on the wall.
    """

    since: float
    speed: float
    channels: int
    cycles: int
    cycle_s: float

    @classmethod
    def now(cls, *, speed: float, channels: int, cycles: int, cycle_s: float) -> Self:
        """Begin at this moment."""
        return cls(since=time.time(), speed=speed, channels=channels, cycles=cycles, cycle_s=cycle_s)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` has written, in another process."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def clock(self) -> FastClock:
        """The scene's time."""
        return FastClock(self)

    @property
    def alerts(self) -> int:
        """How many alerts there will have been."""
        return self.channels * self.cycles

    @property
    def lasts_s(self) -> float:
        """How many seconds on the wall are left of it."""
        return self.since + self.cycles * self.cycle_s - time.time()

    def rules(self) -> dict[Channel, list[Rule]]:
        """The two rules of each channel; the thresholds are spread, so that alerts come one after the other."""
        step = (HIGHEST_PP - LOWEST_PP) / self.channels
        return {
            Channel(team="T1", id=f"C{number}"): [
                parse_rule(f"1d {LOWEST_PP + number * step + more:.2f}pp for 0s") for more in (0, APART_PP)
            ]
            for number in range(self.channels)
        }

    def spread(self) -> float:
        """How far the ETF's return is above bitcoin's at this moment: half of each cycle is a high plain."""
        cycle, place = divmod((time.time() - self.since) / self.cycle_s, 1)
        if not 0 <= cycle < self.cycles:
            return 0.0
        return PEAK_PP / 100 * min(1.0, max(0.0, min(place, 0.6 - place) / 0.1))


@dataclass(frozen=True, slots=True)
class FastClock:
    """The scene's time."""

    scene: Scene

    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        return OPEN + timedelta(seconds=(time.time() - self.scene.since) * self.scene.speed)


@dataclass(slots=True)
class Seesaw:
    """An EquitySource and a CryptoSource: bitcoin stands still, and the ETF goes up and down."""

    scene: Scene
    clock: FastClock
    name: str = "SEESAW"
    simulated: bool = True
    reach: timedelta | None = None

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        now = self.clock.now()
        days = CALENDAR.days[: CALENDAR.last_closed(now) + 1]
        days = days[days >= np.datetime64(since, "D")]
        closes = Closes(symbol=symbol, sessions=days, prices=np.full(len(days), ETF), source=self.name)
        price = ETF * (1 + self.scene.spread())
        return EquityPrices(closes=closes, quote=Quote(symbol=symbol, price=price, at=now, source=self.name))

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        opened_at = np.arange(instant(start), instant(end), np.timedelta64(interval)).astype("datetime64[s]")
        closes = np.full(len(opened_at), BITCOIN)
        return Bars(symbol=symbol, interval=interval, opened_at=opened_at, closes=closes, source=self.name)

    async def quote(self, symbol: Symbol) -> Quote:
        return Quote(symbol=symbol, price=BITCOIN, at=self.clock.now(), source=self.name)
