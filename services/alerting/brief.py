"""Briefs: what a desk is told before the open, at the close and at the end of the week, and when each is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import assert_never
from zoneinfo import ZoneInfo

import numpy as np

from services.alerting.alert import Alert
from services.core.prices import (
    Pair,
    PriceStamp,
    moment,
)
from services.core.sessions import Sessions
from services.core.trust import Trust
from services.market.gap import Gap
from services.market.measure import Measurement, Window
from services.market.network import Retarget

NEW_YORK = ZoneInfo("America/New_York")
BEFORE_OPEN = timedelta(minutes=30)
LATE_BY = timedelta(minutes=30)  # after the open, when nobody was there before it; after the close, for its price
RARE = 95.0  # from this percentile on, or below what is left of 100, a spread is unusual


class Occasion(Enum):
    """When a brief is told; `now` is one that somebody asked for."""

    OPEN = "open"
    CLOSE = "close"
    WEEKLY = "weekly"
    NOW = "now"


SCHEDULED = (Occasion.OPEN, Occasion.CLOSE, Occasion.WEEKLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A brief that is due: what it is about, and the instant that it was due from."""

    occasion: Occasion
    session: date
    since: datetime

    @property
    def name(self) -> str:
        """What it is called, once for ever in its channel."""
        return f"brief:{self.occasion.value}:{self.session}"


class DayKind(Enum):
    """What is special about a day ahead."""

    HALF = "half-day"
    SHUT = "shut"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAhead:
    """A weekday on which New York is shut, or closes early, at `closes_at`."""

    day: date
    kind: DayKind
    closes_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What moved, what of it is unusual, which alerts there were `since` then, and what to watch.

    `measured` are the windows that could be measured; `gap` is what the night implies, while the ETF is shut.
    `retarget` is the next one of the difficulty, as `network` estimates it, None where nobody does.
    """

    occasion: Occasion
    at: datetime
    session: date
    since: datetime
    pair: Pair
    measured: tuple[Measurement, ...]
    gap: Gap | None
    etf: PriceStamp | None
    crypto: PriceStamp | None
    trust: Trust
    alerts: tuple[Alert, ...]
    retarget: Retarget | None
    network: str
    ahead: tuple[DayAhead, ...]
    problems: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def unusual(self) -> tuple[Measurement, ...]:
        """The windows whose spread is beyond nine in ten of the year before, on either side."""
        return tuple(one for one in self.measured if one.percentile is not None and not _common(one.percentile))


def windows(occasion: Occasion) -> tuple[Window, ...]:
    """Choose what a brief measures."""
    match occasion:
        case Occasion.OPEN:
            return Window.D1, Window.D5
        case Occasion.CLOSE | Occasion.NOW:
            return Window.D1, Window.D5, Window.D20, Window.YTD
        case Occasion.WEEKLY:
            return Window.D5, Window.D20, Window.D60, Window.YTD
        case _:
            assert_never(occasion)


def due(sessions: Sessions, now: datetime) -> tuple[Due, ...]:
    """Tell which briefs are due at `now`, whoever has asked for them.

    1. The one before the open from half an hour before it, until half an hour after it.
    2. The one at the close from then until the next open is near, and that of the week after its last session.
    """
    state = sessions.state(now)
    if state.is_open:
        late = now - state.opens_at < LATE_BY
        return (_opening(state.session, state.opens_at),) if late else ()
    if now >= state.next_open_at - BEFORE_OPEN:
        return (_opening(sessions.state(state.next_open_at).session, state.next_open_at),)
    occasions = [Occasion.CLOSE]
    if sessions.state(state.next_open_at).session - state.session >= timedelta(days=7 - state.session.weekday()):
        occasions.append(Occasion.WEEKLY)
    return tuple(Due(occasion=one, session=state.session, since=state.closes_at) for one in occasions)


def told_since(occasion: Occasion, sessions: Sessions, now: datetime) -> datetime:
    """Give the close from which on alerts belong into a brief.

    That is the last one before the open, the one before it at the close, and the last of the week before.
    """
    last = sessions.last_closed(now)
    if occasion is Occasion.WEEKLY:
        monday = sessions.days[last] - np.timedelta64(sessions.days[last].astype(object).weekday(), "D")
        last = int(np.searchsorted(sessions.days, monday)) - 1
    elif occasion is not Occasion.OPEN and not sessions.state(now).is_open:
        last -= 1
    return moment(sessions.closes_at[last])


def days_ahead(sessions: Sessions, occasion: Occasion, now: datetime) -> tuple[DayAhead, ...]:
    """Find the half-days and the holidays of the next four days, or eight at the end of a week.

    Today is one of them until its session has closed.
    """
    state, today = sessions.state(now), now.astimezone(NEW_YORK).date()
    first = today if state.is_open or state.session < today else today + timedelta(days=1)
    span = np.arange(
        np.datetime64(first), np.datetime64(today + timedelta(days=9 if occasion is Occasion.WEEKLY else 5))
    )
    found = [_ahead(sessions, day) for day in span if np.is_busday(day)]
    return tuple(one for one in found if one is not None)


def _ahead(sessions: Sessions, day: np.datetime64) -> DayAhead | None:
    row = sessions.position(day)
    if row is None:
        return DayAhead(day=day.astype(object), kind=DayKind.SHUT)
    if not sessions.is_half_day(row):
        return None
    return DayAhead(day=day.astype(object), kind=DayKind.HALF, closes_at=moment(sessions.closes_at[row]))


def _opening(session: date, opens_at: datetime) -> Due:
    return Due(occasion=Occasion.OPEN, session=session, since=opens_at - BEFORE_OPEN)


def _common(percentile: float) -> bool:
    return 100 - RARE < percentile < RARE
