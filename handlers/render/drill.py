"""The answer to a request for a test alert: what happens next, by the channel's settings."""

from datetime import timedelta

from handlers.render import fmt
from handlers.render.markup import channel_link
from handlers.render.message import Message, compose, section
from handlers.render.reasons import sentence
from services.alerting.channel_settings import DRILL_ESCALATION, DRILL_REMINDER, ChannelSettings
from services.alerting.quiet_hours import Silence
from services.channels.drill import DRILL_LENGTH, DrillStart
from services.core.identity import Channel

HELD_BACK = "the mention, reminders and escalation"


def drill_message(started: DrillStart) -> Message:
    """Return whether a test alert is open, and whom it notifies and when; in a silent channel, what is held back."""
    silence = [] if started.silence is None else [_silence_line(started.silence)]
    if started.alert is None:
        return _message(["No test alert was posted: this channel is muted or in quiet hours.", *silence])
    number, ends_at = started.alert.id, fmt.instant(started.alert.opened_at + DRILL_LENGTH)
    if not started.is_new:
        return _message([f"Test alert #{number} is still open. It resolves automatically {ends_at}.", *silence])
    opening = (
        f"Test alert #{number} is posted here. It resolves automatically {ends_at} and isn't part of any track record."
    )
    return _message([opening, *_notification_lines(started.settings)])


def _message(lines: list[str]) -> Message:
    return compose([section(*lines)], lines)


def _silence_line(silence: Silence) -> str:
    until, why = fmt.instant(silence.until), sentence(silence.reason)
    held = f"A real alert is held back until then, with {HELD_BACK}; a digest follows."
    return f"No new messages until {until}: {why}. {held}"


def _notification_lines(settings: ChannelSettings) -> list[str]:
    mention = settings.mention.text if settings.mention else "none; set one with `/minerpulse channel mention @WHO`"
    return [
        f"Mention: {mention}",
        f"Reminder: {_wait(settings.remind_every, DRILL_REMINDER)}",
        f"Escalation{_addressee(settings)}: {_wait(settings.escalate_after, DRILL_ESCALATION)}",
    ]


def _addressee(settings: ChannelSettings) -> str:
    match settings.escalate_to:
        case None:
            return ""
        case Channel() as channel:
            return f" to {channel_link(channel.id)}"
        case mention:
            return f" to {mention.text}"


def _wait(wait: timedelta | None, longest_in_drill: timedelta) -> str:
    """Return after how long a test alert that no one acknowledges notifies, and a real one if that takes longer."""
    if wait is None:
        return "off"
    if wait <= longest_in_drill:
        return f"after {fmt.duration(wait)} without an acknowledgement"
    real = fmt.duration(wait)
    return f"after {fmt.duration(longest_in_drill)} without an acknowledgement; {real} for a real alert"
