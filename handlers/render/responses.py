"""What went wrong, for the person who asked."""

from __future__ import annotations

from datetime import datetime

from handlers.error_messages import user_message
from handlers.render import fmt
from handlers.render.alert_text import topic
from handlers.render.markup import block, escape, person
from handlers.render.message import Message, text_message
from services.alerting.alert import Alert
from services.alerting.feedback import Votes
from services.core.errors import MinerPulseError, NotAllowedError, RuleError

LONGEST_POINTER = 200


def error_message(error: MinerPulseError) -> Message:
    """Tell an error in one sentence; a rule that cannot be read is shown with the offending word marked."""
    if isinstance(error, NotAllowedError):
        may = ", ".join(map(person, error.people))
        return text_message(f"Nothing was changed: rules are changed here by {may} only; ask one of them.")
    told = escape(user_message(error))
    if isinstance(error, RuleError) and 0 < len(error.text) <= LONGEST_POINTER:
        return text_message(block(error.pointer), told)
    return text_message(told)


def unchanged_message(alert: Alert) -> Message:
    """Tell why there was nothing left to do."""
    if alert.closed_at is not None:
        return text_message(f"This alert ended {fmt.moment(alert.closed_at)}; nothing was changed.")
    if alert.acknowledged is None:
        return text_message("Nobody has acknowledged this alert; nothing was changed.")
    mark = alert.acknowledged
    return text_message(f"Already acknowledged by {person(mark.by)}, {fmt.moment(mark.at)}.")


def done_message(what: str, alert: Alert) -> Message:
    """Tell the person who typed a command what it did; the channel sees it in the alert and its thread."""
    return text_message(f"{what}: alert {alert.id}, {topic(alert)}.")


def snoozed_message(alert: Alert) -> Message:
    """Tell the person who typed it until when an alert's thread is silent."""
    until = f" until {fmt.moment_utc(alert.snoozed.until)}" if alert.snoozed and alert.snoozed.until else ""
    return done_message(f"Snoozed{until}", alert)


def vote_message(votes: Votes, *, noise: bool) -> Message:
    """Tell a person that their vote counts, and how all have voted."""
    said, other = ("noise", "Useful") if noise else ("useful", "Noise")
    return text_message(
        f"Noted as {said}. All votes on this alert: {counted(votes)}. *{other}* changes yours; "
        "`/minerpulse rules` tells how much of each rule was noise."
    )


def counted(votes: Votes) -> str:
    """Count votes: `2 useful, 1 noise`."""
    return f"{votes.useful} useful, {votes.noise} noise"


def no_close_message(next_open_at: datetime) -> Message:
    """Tell that there is no close to snooze until."""
    opens = fmt.moment_utc(next_open_at)
    return text_message(f"The market is shut, so there is no close to wait for. The next open is {opens}.")
