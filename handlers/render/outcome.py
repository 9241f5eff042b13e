"""What a button could not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import person
from handlers.render.message import say
from handlers.render.topic import topic

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.render.message import Message
    from services.domain.episode import Alert
    from services.domain.noise import Votes


def unchanged(alert: Alert) -> Message:
    """Tell why there was nothing left to do."""
    if alert.closed_at is not None:
        return say(f"This alert ended {words.moment(alert.closed_at)}; nothing was changed.")
    if alert.acknowledged is None:
        return say("Nobody has acknowledged this alert; nothing was changed.")
    mark = alert.acknowledged
    return say(f"Already acknowledged by {person(mark.by)}, {words.moment(mark.at)}.")


def done(what: str, alert: Alert) -> Message:
    """Tell the person who typed a command what it did; the channel sees it in the alert and its thread."""
    return say(f"{what}: alert {alert.id}, {topic(alert)}.")


def snoozed(alert: Alert) -> Message:
    """Tell the person who typed it until when an alert's thread is silent."""
    until = f" until {words.moment_utc(alert.snoozed.until)}" if alert.snoozed and alert.snoozed.until else ""
    return done(f"Snoozed{until}", alert)


def voted(votes: Votes, *, noise: bool) -> Message:
    """Tell a person that their vote counts, and how all have voted."""
    said, other = ("noise", "Useful") if noise else ("useful", "Noise")
    return say(
        f"Noted as {said}. All votes on this alert: {counted(votes)}. *{other}* changes yours; "
        "`/minerpulse rules` tells how much of each rule was noise."
    )


def counted(votes: Votes) -> str:
    """Count votes: `2 useful, 1 noise`."""
    return f"{votes.useful} useful, {votes.noise} noise"


def no_close(next_open_at: datetime) -> Message:
    """Tell that there is no close to snooze until."""
    opens = words.moment_utc(next_open_at)
    return say(f"The market is shut, so there is no close to wait for. The next open is {opens}.")
