"""What is played to the processes under test: a fast clock, and a seesaw of prices that each of them computes alike."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np

from services.core.identity import Channel
from services.core.prices import Bars, Closes, Quote, Symbol, to_datetime64
from services.market.ports import EquityPrices
from services.rules.grammar import parse_rule
from services.rules.rule import Rule
from tests.fakes.market import CALENDAR

OPEN = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
TICK_S = 15  # the shortest that the settings allow
ETF, BITCOIN = 20.0, 50_000.0
LEVELS_PP = (10.0, 20.0, 0.0)  # of each cycle: the first rule of every channel fires, the second joins, both clear


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`cycles` of a spread that goes up in two steps and back to nothing, over `channels` with two rules each.

    Each step waits until every rule has done what it should, so that a cycle is one alert for each channel however
    slow the machine is; its thread tells that the second rule joined, that one left, and that it is resolved. Time runs
    `speed` times as fast as the wall's, for every wait and every process alike, from `since` on (seconds since 1970).
    `lever` is the file that has the spread.
    """

    lever: str
    since: float
    speed: float
    channels: int
    cycles: int

    @classmethod
    def now(cls, lever: Path, *, speed: float, channels: int, cycles: int) -> Self:
        """Begin at this moment."""
        return cls(lever=str(lever), since=time.time(), speed=speed, channels=channels, cycles=cycles)

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

    def rules(self) -> dict[Channel, list[Rule]]:
        """The two rules of each channel: one that the first step fires, and one that the second does."""
        return {
            Channel(team="T1", id=f"C{number}"): [
                parse_rule(f"1d {low + 6 * number / self.channels:.2f}pp for 0s") for low in (3, 12)
            ]
            for number in range(self.channels)
        }

    def pull(self, level_pp: float) -> None:
        """Set the spread."""
        staged = Path(f"{self.lever}.new")
        staged.write_text(f"{level_pp}")
        staged.replace(self.lever)

    def spread(self) -> float:
        """How far the ETF's return is above bitcoin's at this moment."""
        return float(Path(self.lever).read_text()) / 100


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
    history_limit: timedelta | None = None
    min_interval: timedelta = timedelta(0)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        now = self.clock.now()
        days = CALENDAR.days[: CALENDAR.last_closed(now) + 1]
        days = days[days >= np.datetime64(since, "D")]
        closes = Closes(symbol=symbol, sessions=days, prices=np.full(len(days), ETF), source=self.name)
        price = ETF * (1 + self.scene.spread())
        return EquityPrices(closes=closes, quote=Quote(symbol=symbol, price=price, at=now, source=self.name))

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        opened_at = np.arange(to_datetime64(start), to_datetime64(end), np.timedelta64(interval)).astype(
            "datetime64[s]"
        )
        closes = np.full(len(opened_at), BITCOIN)
        return Bars(symbol=symbol, interval=interval, opened_at=opened_at, closes=closes, source=self.name)

    async def quote(self, symbol: Symbol) -> Quote:
        return Quote(symbol=symbol, price=BITCOIN, at=self.clock.now(), source=self.name)
