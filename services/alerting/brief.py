"""When each brief is due, and what it covers."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

import numpy as np

from services.alerting.channel_settings import Occasion
from services.alerting.notice import DayKind, SpecialDay
from services.core.prices import (
    to_datetime,
)
from services.core.sessions import Sessions
from services.market.measure import Window

NEW_YORK = ZoneInfo("America/New_York")
OPEN_LEAD = timedelta(minutes=30)
BRIEF_GRACE = timedelta(minutes=30)  # after the open, if the app was down before; after the close, to await its price


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBrief:
    """A brief that is due.

    Attributes:
        session: The session that the brief is about.
        since: Time from which it is due.
    """

    occasion: Occasion
    session: date
    since: datetime

    @property
    def name(self) -> str:
        """Name of the notice, unique in its channel."""
        return f"brief:{self.occasion.value}:{self.session}"


def brief_windows(occasion: Occasion) -> tuple[Window, ...]:
    """Return the windows that a brief measures."""
    match occasion:
        case Occasion.OPEN:
            return Window.D1, Window.D5
        case Occasion.CLOSE | Occasion.NOW:
            return Window.D1, Window.D5, Window.D20, Window.YTD
        case Occasion.WEEKLY:
            return Window.D5, Window.D20, Window.D60, Window.YTD
        case _:
            assert_never(occasion)


def due_briefs(sessions: Sessions, now: datetime) -> tuple[DueBrief, ...]:
    """Return the briefs that are due at `now`, for any channel.

    1. The brief before the open is due from 30 minutes before the open until 30 minutes after it.
    2. The brief at the close is due from the close until 30 minutes before the next open. After the last session of a
       week, so is the weekly brief.
    """
    state = sessions.state_at(now)
    if state.is_open:
        late = now - state.opens_at < BRIEF_GRACE
        return (_opening_brief(state.session, state.opens_at),) if late else ()
    if now >= state.next_open_at - OPEN_LEAD:
        return (_opening_brief(sessions.state_at(state.next_open_at).session, state.next_open_at),)
    occasions = [Occasion.CLOSE]
    if sessions.state_at(state.next_open_at).session - state.session >= timedelta(days=7 - state.session.weekday()):
        occasions.append(Occasion.WEEKLY)
    return tuple(DueBrief(occasion=one, session=state.session, since=state.closes_at) for one in occasions)


def alerts_since(occasion: Occasion, sessions: Sessions, now: datetime) -> datetime:
    """Return the close from which on alerts are listed in a brief.

    Before the open that is the last close, at the close the one before it, and for a week the last close of the week
    before.
    """
    last = sessions.last_closed(now)
    if occasion is Occasion.WEEKLY:
        monday = sessions.days[last] - np.timedelta64(sessions.days[last].astype(object).weekday(), "D")
        last = int(np.searchsorted(sessions.days, monday)) - 1
    elif occasion is not Occasion.OPEN and not sessions.state_at(now).is_open:
        last -= 1
    return to_datetime(sessions.closes_at[last])


def special_days(sessions: Sessions, occasion: Occasion, now: datetime) -> tuple[SpecialDay, ...]:
    """Return the half-days and holidays of the next four days, or of the next eight at the end of a week.

    Today counts until its session has closed.
    """
    state, today = sessions.state_at(now), now.astimezone(NEW_YORK).date()
    first = today if state.is_open or state.session < today else today + timedelta(days=1)
    span = np.arange(
        np.datetime64(first), np.datetime64(today + timedelta(days=9 if occasion is Occasion.WEEKLY else 5))
    )
    found = [_special_day(sessions, day) for day in span if np.is_busday(day)]
    return tuple(one for one in found if one is not None)


def _special_day(sessions: Sessions, day: np.datetime64) -> SpecialDay | None:
    row = sessions.index_of(day)
    if row is None:
        return SpecialDay(day=day.astype(object), kind=DayKind.SHUT)
    if not sessions.is_half_day(row):
        return None
    return SpecialDay(day=day.astype(object), kind=DayKind.HALF, closes_at=to_datetime(sessions.closes_at[row]))


def _opening_brief(session: date, opens_at: datetime) -> DueBrief:
    return DueBrief(occasion=Occasion.OPEN, session=session, since=opens_at - OPEN_LEAD)
