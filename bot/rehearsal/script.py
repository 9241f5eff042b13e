"""Rehearsal scripts: two price files or the simulated market, with the times of each session's ticks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from bot.price_files import CALENDAR_MARGIN, final_at, read_price_files
from services.core.errors import ReplayError
from services.core.prices import to_datetime
from services.core.sessions import sessions_between
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.sources.files.prices import FileCrypto, FileEquity
from services.market.sources.simulated.market import ENDS_AT, STARTS_AT, SimulatedMarket
from services.market.sources.simulated.network import SimulatedNetwork
from services.rules.rule import DEFAULT_HOLD

Instants = tuple[datetime, ...]


DEFAULT_START = date(2026, 1, 1)  # in every even year bitcoin falls by 60% while miners gain 90%
TICK_INTERVAL = timedelta(minutes=90)
SETTLE_AFTER = timedelta(minutes=16)  # after the close, when its price is final


@dataclass(slots=True)
class VirtualClock:
    """A clock that changes only when it is set."""

    at: datetime

    def now(self) -> datetime:
        """Return the virtual time."""
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A market, its clock, and the tick times of each session. Files have no network sources."""

    title: str
    equity: EquitySource
    crypto: CryptoSource
    clock: VirtualClock
    sessions: tuple[Instants, ...]
    network_sources: tuple[NetworkSource, ...] = ()


def script_from_files(etf: Path, btc: Path, first: date | None, last: date | None) -> Script:
    """Tick once per session of two files, when its prices are final. Raises PriceFileError, ReplayError."""
    files = read_price_files(etf, btc)
    first = max(first or date.min, files.closes.sessions[0].item())
    last = min(last or date.max, files.closes.sessions[-1].item())
    sessions = _build_sessions(first, last, lambda _opens_at, closes_at: (final_at(closes_at, files.bars),))
    return Script(
        title=f"{etf.name} and {btc.name}",
        equity=FileEquity(files.closes),
        crypto=FileCrypto(files.bars),
        clock=VirtualClock(sessions[0][0]),
        sessions=sessions,
    )


def simulated_script(seed: int, first: date | None, last: date | None) -> Script:
    """Tick every 90 minutes of each simulated session, again after the hold time, and after the close.

    The default period is the calendar year in which miners outperform bitcoin. Raises ReplayError.
    """
    first = first or (last or DEFAULT_START).replace(month=1, day=1)
    last = last or _one_year_later(first)
    if not STARTS_AT.date() <= first <= last < ENDS_AT.date():
        raise ReplayError(
            f"No simulated market from {first} to {last}: it runs from {STARTS_AT.year} to {ENDS_AT.year - 1}."
        )
    sessions = _build_sessions(first, last, _intraday_times)
    clock = VirtualClock(sessions[0][0])
    market = SimulatedMarket(clock, seed=seed)
    return Script(
        title=f"SIMULATED market {seed}",
        equity=market,
        crypto=market,
        clock=clock,
        sessions=sessions,
        network_sources=(SimulatedNetwork(clock, seed=seed),),
    )


def _build_sessions(
    first: date, last: date, tick_times: Callable[[datetime, datetime], Instants]
) -> tuple[Instants, ...]:
    if last < first:
        raise ReplayError(f"No session from {first} to {last}: choose dates that the prices cover.")
    calendar = sessions_between(first - CALENDAR_MARGIN, last + CALENDAR_MARGIN)
    sessions = tuple(
        tick_times(to_datetime(opens_at), to_datetime(closes_at))
        for day, opens_at, closes_at in zip(calendar.days, calendar.opens_at, calendar.closes_at, strict=True)
        if first <= day.item() <= last
    )
    if not sessions:
        raise ReplayError(f"No session from {first} to {last}: the New York market is closed on these days.")
    return sessions


def _intraday_times(opens_at: datetime, closes_at: datetime) -> Instants:
    steps = math.ceil((closes_at - opens_at) / TICK_INTERVAL)
    first = [opens_at + TICK_INTERVAL * step for step in range(1, steps)]
    return *sorted([*first, *(at + DEFAULT_HOLD for at in first)]), closes_at + SETTLE_AFTER


def _one_year_later(first: date) -> date:
    return first.replace(day=1, month=first.month, year=first.year + 1) + timedelta(days=first.day - 2)
