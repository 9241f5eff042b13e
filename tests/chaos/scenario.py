"""The scenario that all processes under test share: a fast clock, and prices that follow one spread."""

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
WORKSPACES = 20  # of the channels: a 429 pauses a whole workspace
TICK_S = 15  # the shortest that the settings allow
ETF, BITCOIN = 20.0, 50_000.0
LEVELS_PP = (10.0, 20.0, 0.0)  # per cycle: each channel's first rule fires, the second joins, both clear


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Cycles of a spread that rises in two steps and returns to zero, over channels with two rules each.

    Each step waits until every rule has followed. So a cycle is one alert per channel on any machine; its thread shows
    that the second rule joined, that one left, and that the alert is resolved.

    Attributes:
        spread_file: The file that contains the spread.
        since: The start, in seconds since 1970.
        speed: How many times faster than real time, for every process and every wait.
        channels: The number of channels.
        cycles: The number of cycles.
    """

    spread_file: str
    since: float
    speed: float
    channels: int
    cycles: int

    @classmethod
    def start(cls, spread_file: Path, *, speed: float, channels: int, cycles: int) -> Self:
        return cls(spread_file=str(spread_file), since=time.time(), speed=speed, channels=channels, cycles=cycles)

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse the text of `str`, in another process."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def clock(self) -> FastClock:
        return FastClock(self)

    @property
    def alerts(self) -> int:
        """The number of alerts at the end."""
        return self.channels * self.cycles

    def rules(self) -> dict[Channel, list[Rule]]:
        """Return the two rules of each channel; the first fires at the first step, the second at the second."""
        return {
            Channel(team=f"T{number % WORKSPACES}", id=f"C{number}"): [
                parse_rule(f"1d {low + 6 * number / self.channels:.2f}pp for 0s") for low in (3, 12)
            ]
            for number in range(self.channels)
        }

    def set_spread(self, level_pp: float) -> None:
        staged = Path(f"{self.spread_file}.new")
        staged.write_text(f"{level_pp}")
        staged.replace(self.spread_file)

    def spread(self) -> float:
        """Return the ETF's return minus bitcoin's, as a fraction."""
        return float(Path(self.spread_file).read_text()) / 100


@dataclass(frozen=True, slots=True)
class FastClock:
    """A clock in the scenario's time, aware UTC."""

    scenario: Scenario

    def now(self) -> datetime:
        return OPEN + timedelta(seconds=(time.time() - self.scenario.since) * self.scenario.speed)


@dataclass(slots=True)
class SpreadSource:
    """An EquitySource and a CryptoSource: bitcoin doesn't move, and the ETF follows the spread."""

    scenario: Scenario
    clock: FastClock
    name: str = "SPREAD"
    simulated: bool = True
    history_limit: timedelta | None = None
    min_interval: timedelta = timedelta(0)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        now = self.clock.now()
        days = CALENDAR.days[: CALENDAR.last_closed(now) + 1]
        days = days[days >= np.datetime64(since, "D")]
        closes = Closes(symbol=symbol, sessions=days, prices=np.full(len(days), ETF), source=self.name)
        price = ETF * (1 + self.scenario.spread())
        return EquityPrices(closes=closes, quote=Quote(symbol=symbol, price=price, at=now, source=self.name))

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        opened_at = np.arange(to_datetime64(start), to_datetime64(end), np.timedelta64(interval)).astype(
            "datetime64[s]"
        )
        closes = np.full(len(opened_at), BITCOIN)
        return Bars(symbol=symbol, interval=interval, opened_at=opened_at, closes=closes, source=self.name)

    async def quote(self, symbol: Symbol) -> Quote:
        return Quote(symbol=symbol, price=BITCOIN, at=self.clock.now(), source=self.name)
