"""What is rehearsed: two price files or the simulated market, and when each session of it is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from bot.price_files import WEEK, known_at, read_files
from services.core.errors import ReplayError
from services.core.prices import WGMI_BTC, moment
from services.core.sessions import sessions_between
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.sources.files.prices import FileCrypto, FileEquity
from services.market.sources.simulated.market import BEGINS, ENDS, Simulated
from services.market.sources.simulated.network import SimulatedNetwork
from services.rules.rule import DEFAULT_HOLD

Instants = tuple[datetime, ...]


STORY = date(2026, 1, 1)  # of any even year: bitcoin falls by 60% while the miners gain 90%
EVERY = timedelta(minutes=90)
SETTLED = timedelta(minutes=16)  # after the close, when a close is final


@dataclass(slots=True)
class VirtualClock:
    """A clock that stands still until it is set."""

    at: datetime

    def now(self) -> datetime:
        """Tell the virtual time."""
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A market, its clock, and the instants at which each session is looked at; files know no network."""

    title: str
    equity: EquitySource
    crypto: CryptoSource
    clock: VirtualClock
    sessions: tuple[Instants, ...]
    networks: tuple[NetworkSource, ...] = ()


def from_files(etf: Path, btc: Path, first: date | None, last: date | None) -> Script:
    """Look at each session of two files once, when its prices are known. Raises PriceFileError, ReplayError."""
    files = read_files(etf, btc)
    first = max(first or date.min, files.closes.sessions[0].item())
    last = min(last or date.max, files.closes.sessions[-1].item())
    sessions = _sessions(first, last, lambda _opens_at, closes_at: (known_at(closes_at, files.bars),))
    return Script(
        title=f"{etf.name} and {btc.name}",
        equity=FileEquity(etf, WGMI_BTC.etf),
        crypto=FileCrypto(btc, WGMI_BTC.crypto),
        clock=VirtualClock(sessions[0][0]),
        sessions=sessions,
    )


def simulated(seed: int, first: date | None, last: date | None) -> Script:
    """Look at each simulated session every 90 minutes, once more when a hold is over, and after its close.

    By default that is one calendar year, the one in which miners leave bitcoin behind. Raises ReplayError.
    """
    first = first or (last or STORY).replace(month=1, day=1)
    last = last or _a_year_from(first)
    if not BEGINS.date() <= first <= last < ENDS.date():
        raise ReplayError(f"No simulated market from {first} to {last}: it runs from {BEGINS.year} to {ENDS.year - 1}.")
    sessions = _sessions(first, last, _every_so_often)
    clock = VirtualClock(sessions[0][0])
    market = Simulated(clock, seed=seed)
    return Script(
        title=f"SIMULATED market {seed}",
        equity=market,
        crypto=market,
        clock=clock,
        sessions=sessions,
        networks=(SimulatedNetwork(clock, seed=seed),),
    )


def _sessions(first: date, last: date, look: Callable[[datetime, datetime], Instants]) -> tuple[Instants, ...]:
    if last < first:
        raise ReplayError(f"No session from {first} to {last}: choose dates that the prices have.")
    calendar = sessions_between(first - WEEK, last + WEEK)
    found = tuple(
        look(moment(opens_at), moment(closes_at))
        for day, opens_at, closes_at in zip(calendar.days, calendar.opens_at, calendar.closes_at, strict=True)
        if first <= day.item() <= last
    )
    if not found:
        raise ReplayError(f"No session from {first} to {last}: New York does not trade on these days.")
    return found


def _every_so_often(opens_at: datetime, closes_at: datetime) -> Instants:
    looks = math.ceil((closes_at - opens_at) / EVERY)
    first = [opens_at + EVERY * look for look in range(1, looks)]
    return *sorted([*first, *(at + DEFAULT_HOLD for at in first)]), closes_at + SETTLED


def _a_year_from(first: date) -> date:
    return first.replace(day=1, month=first.month, year=first.year + 1) + timedelta(days=first.day - 2)
