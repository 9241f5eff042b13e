"""Replies to the user who ran a command or pressed a button."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from handlers.render import fmt
from handlers.render.alert_text import alert_subject, mark_alert
from handlers.render.markup import escape, user_mention
from handlers.render.message import Message, compose, context, text_message
from handlers.render.reasons import error_text
from services.alerting.alert import Alert, Votes
from services.core import errors

MAX_BLOCKS = 50  # of a message
BUSY = "MinerPulse is busy, so nothing was changed. Try again in a minute."


def error_message(error: errors.MinerPulseError) -> Message:
    """Return an error as one or two sentences."""
    if isinstance(error, errors.NotAllowedError):
        return text_message(error.describe(user_mention))
    return text_message(escape(user_message(error)))


def user_message(error: errors.MinerPulseError) -> str:
    """Return what went wrong and what to do; details that only an operator can fix stay in the log."""
    match error:
        case errors.UserInputError() | errors.ReplayError():
            text = error_text(error)
        case errors.SourceError() | errors.NoHistoryError():
            text = _data_message(error)
        case errors.ConflictError():
            text = "Nothing was changed: someone else, or a new price, changed this at the same moment. Try again."
        case errors.DatabaseBusyError():
            text = BUSY
        case errors.DatabaseUnavailableError():
            text = "The database can't be reached, so nothing was changed. Try again in a minute."
        case errors.DeliveryError():
            text = _delivery_message(error)
        case errors.InvalidSettingsError() | errors.PriceFileError():
            text = "MinerPulse isn't set up correctly. Ask your MinerPulse administrator. The log has the reason."
        case _:
            text = error_text(error)
    return text


def _data_message(error: errors.SourceError | errors.NoHistoryError) -> str:
    match error:
        case errors.NoHistoryError():
            return f"{error_text(error)} {error.remedy}".strip()
        case errors.SourceError(retryable=True):
            return f"The price source failed ({error}). Try again in a minute."
        case _:
            return f"The price source returned no usable response ({error}). Check the symbols."


def _delivery_message(error: errors.DeliveryError) -> str:
    match error:
        case errors.MessageGoneError():
            return "That message was deleted in Slack, so it can't be changed."
        case errors.DeliveryError(permanent=True):
            return str(error)
        case _:
            return f"{error} Try again in a minute."


def untracked_message(shown: Mapping[str, Any]) -> Message:
    """Return the message of an alert that the database does not have, as it is shown now but without its buttons."""
    note = "No longer tracked: MinerPulse's database doesn't have this alert, so nothing here is updated."
    blocks = [block for block in shown.get("blocks") or () if block.get("type") != "actions"]
    return compose([*blocks[: MAX_BLOCKS - 1], context(note)], [str(shown.get("text") or ""), note])


def unchanged_message(alert: Alert) -> Message:
    """Return why an action changed nothing."""
    if alert.closed_at is not None:
        return text_message(f"Alert {alert.id} was closed {fmt.instant(alert.closed_at)}. Nothing was changed.")
    if alert.acknowledged is None:
        return text_message(f"Alert {alert.id} isn't acknowledged. Nothing was changed.")
    stamp = alert.acknowledged
    return text_message(
        f"Alert {alert.id} was already acknowledged by {user_mention(stamp.by)}, {fmt.instant(stamp.at)}."
    )


def not_snoozed_message(alert: Alert) -> Message:
    """Return why there was no snooze to end."""
    if alert.closed_at is not None:
        return unchanged_message(alert)
    return text_message(f"Alert {alert.id} isn't snoozed. Nothing was changed.")


def done_message(what: str, alert: Alert) -> Message:
    """Return what a typed command did; the channel sees it in the alert and its thread."""
    number = fmt.alert_link(alert.id, alert.permalink)
    return text_message(f"{what}: alert {number}, {mark_alert(alert_subject(alert), alert)}.")


def snoozed_message(alert: Alert) -> Message:
    """Return until when the alert is snoozed."""
    until = f" until {fmt.instant(alert.snoozed.until)}" if alert.snoozed and alert.snoozed.until else ""
    return done_message(f"Snoozed{until}", alert)


def vote_message(votes: Votes, *, noise: bool) -> Message:
    """Return that the vote counts, and the alert's votes so far."""
    vote, other = ("noise", "Useful") if noise else ("useful", "Noise")
    return text_message(
        f"Your vote: {vote}. Votes on this alert: {vote_counts(votes)}. *Mark {other}* changes yours. "
        "`/minerpulse rules` shows the false-alarm rate of each rule."
    )


def vote_counts(votes: Votes) -> str:
    """Return the votes: `2 useful, 1 noise`."""
    return f"{votes.useful} useful, {votes.noise} noise"


def no_close_message(next_open_at: datetime) -> Message:
    """Return that there is no close to snooze until."""
    opens = fmt.instant(next_open_at)
    return text_message(
        f"Nothing was changed: the market is closed, so there is no close to wait for. It opens {opens}."
    )
