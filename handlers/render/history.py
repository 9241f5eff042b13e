"""The last alerts of a channel, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.limits import LIST_FALLBACK, fitting
from handlers.render.markup import code, person, simulated
from handlers.render.message import compose, header, paragraphs, say
from handlers.render.outcome import counted
from handlers.render.topic import peak_over, topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handlers.render.message import Message
    from services.domain.episode import Alert
    from services.domain.noise import Votes

A_LINE = 120  # characters of rules


def history(alerts: Sequence[Alert], votes: Mapping[int, Votes]) -> Message:
    """List alerts, one line each, with what people said of them."""
    if not alerts:
        return say("No alerts in this channel so far.", "`/minerpulse rules` lists what is watched here.")
    title = "The last alert here" if len(alerts) == 1 else f"The last {len(alerts)} alerts here"
    lines = [_line(alert, votes.get(alert.id)) for alert in alerts]
    return compose([header(title), *paragraphs(*lines)], [f"{title}:", *fitting(lines, LIST_FALLBACK)])


def _line(alert: Alert, votes: Votes | None) -> str:
    parts = [
        f"*{words.moment(alert.opened_at)}*  #{alert.id} {topic(alert)}",
        f"peak {peak_over(alert.lead)}",
        _end(alert),
        " ".join(fitting([code(fact.rule) for fact in alert.facts], A_LINE)),
    ]
    if alert.acknowledged:
        parts.append(f"acknowledged by {person(alert.acknowledged.by)}")
    if votes:
        parts.append(f"votes: {counted(votes)}")
    return simulated(", ".join(parts), when=alert.simulated)


def _end(alert: Alert) -> str:
    if alert.closed_at is None:
        return "still open"
    lasted = words.duration(alert.closed_at - alert.opened_at)
    return f"retracted after {lasted}" if alert.retracted else f"lasted {lasted}"
