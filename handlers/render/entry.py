"""One line of an alert's timeline, as its thread tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from handlers.render import words
from handlers.render.markup import person, place, reason, said, simulated, typed
from handlers.render.message import say
from handlers.render.topic import peak_over, topic
from services.domain.episode import EntryKind

if TYPE_CHECKING:
    from handlers.render.message import Message
    from services.domain.episode import Alert, Entry

OPENINGS = {
    EntryKind.FIRED: "Fired.",
    EntryKind.JOINED: "Another rule fired.",
    EntryKind.LEFT: "One rule less keeps this alert open.",
    EntryKind.CORRECTED: "A close was corrected.",
    EntryKind.EDITED: "A rule was changed.",
    EntryKind.PAUSED: "One rule less keeps this alert open.",
}


def entry(line: Entry, alert: Alert) -> Message:
    """Render a line of the timeline, with the reason that it was written."""
    return say(simulated(_line(line, alert), when=alert.simulated))


def _line(line: Entry, alert: Alert) -> str:
    who = f" by {person(line.by)}" if line.by else ""
    why = _sentence(f"{said(line.reason) if line.by else reason(line.reason)}{who}")
    match line.kind:
        case EntryKind.WORSENED | EntryKind.REPEATED:
            return _going_on(line, alert)
        case EntryKind.ACKNOWLEDGED | EntryKind.UNACKNOWLEDGED | EntryKind.SNOOZED:
            return _act(line, who, why)
        case EntryKind.REMINDED | EntryKind.ESCALATED:
            return _call(line, alert)
        case EntryKind.CHANGED:
            return f"Changed in this channel: {typed(line.reason)}{who}."
        case EntryKind.RESOLVED | EntryKind.RETRACTED:
            return f"{_end(line, alert)}. {why}"
        case (
            EntryKind.FIRED
            | EntryKind.JOINED
            | EntryKind.LEFT
            | EntryKind.CORRECTED
            | EntryKind.EDITED
            | EntryKind.PAUSED
        ):
            return f"{OPENINGS[line.kind]} {why}"
        case _:
            assert_never(line.kind)


def _act(line: Entry, who: str, why: str) -> str:
    if line.kind is EntryKind.ACKNOWLEDGED:
        return f"Acknowledged{who}, {words.moment(line.at)}."
    if line.kind is EntryKind.UNACKNOWLEDGED:
        return f"No longer acknowledged: {why[:1].lower()}{why[1:]}"
    until = f" until {words.moment_utc(line.until)}" if line.until else ""
    return f"Snoozed{who}{until}. Only the end of this alert is told here till then."


def _going_on(line: Entry, alert: Alert) -> str:
    if line.kind is EntryKind.WORSENED:
        return f"Worsened {reason(line.reason)}."
    lasted = words.duration(line.at - alert.opened_at)
    return f"Still open after {lasted}: {reason(line.reason)}. Nobody has acknowledged it yet."


def _end(line: Entry, alert: Alert) -> str:
    lasted = words.duration((alert.closed_at or line.at) - alert.opened_at)
    if line.kind is EntryKind.RETRACTED:
        return f"Retracted after {lasted}: {topic(alert)}, which the corrected close would not have fired"
    return f"Resolved after {lasted}: {topic(alert)}, peak {peak_over(alert.lead)}"


def _call(line: Entry, alert: Alert) -> str:
    """Call someone again, or others, about an alert that nobody sees to; the line can be read by itself.

    One that is told late, when the alert is over or someone sees to it, calls nobody any more.
    """
    needed = alert.closed_at is None and alert.acknowledged is None
    called = f"{line.calls.text}: " if line.calls and needed else ""
    what = "Reminder" if line.kind is EntryKind.REMINDED else "Escalated"
    where = f" It is told in {place(line.to)} too." if line.to else ""
    seen = f"{topic(alert)}, peak {peak_over(alert.lead)}, {reason(line.reason)}"
    return f"{called}{what}: {seen}. Acknowledge it to end these calls.{where}"


def _sentence(why: str) -> str:
    return f"{why[:1].upper()}{why[1:]}."
