"""What a button could not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import person
from handlers.render.message import say

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.render.message import Message
    from services.domain.episode import Alert


def unchanged(alert: Alert) -> Message:
    """Tell why there was nothing left to do."""
    if alert.acknowledged and not alert.closed_at:
        mark = alert.acknowledged
        return say(f"Already acknowledged by {person(mark.by)}, {words.moment(mark.at)}.")
    ended = f" {words.moment(alert.closed_at)}" if alert.closed_at else ""
    return say(f"This alert ended{ended}; nothing was changed.")


def no_close(next_open_at: datetime) -> Message:
    """Tell that there is no close to snooze until."""
    opens = words.moment_utc(next_open_at)
    return say(f"The market is shut, so there is no close to wait for. The next open is {opens}.")
