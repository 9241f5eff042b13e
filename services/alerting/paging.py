"""Pages: which alerts of a channel notify someone outside Slack, where, and how urgently."""

from dataclasses import dataclass
from enum import Enum

from services.alerting.alert import Alert

MAX_SINK_NAME = 40
SINK_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


class Severity(Enum):
    """Urgency of a page, as PagerDuty names it. It comes from the route, never from the size of the move."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Stage(Enum):
    """What a page shows about its alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoute:
    """One sink that a channel's alerts page.

    Attributes:
        sink: Name of the sink, as its operator chose it.
        rule_id: The only rule whose alerts page; None for all.
        always: Whether quiet hours and mutes don't hold its pages.
    """

    sink: str
    severity: Severity = Severity.ERROR
    rule_id: int | None = None
    always: bool = False

    def matches(self, alert: Alert) -> bool:
        """Return whether the alert pages this sink. Simulated prices page no one."""
        return not alert.simulated and (self.rule_id is None or any(hit.rule_id == self.rule_id for hit in alert.hits))


def stage_of(alert: Alert) -> Stage:
    """Return what pages of an alert show now. A snooze counts as an acknowledgement: someone has seen it."""
    if alert.closed_at is not None:
        return Stage.ENDED
    is_seen = alert.acknowledged is not None or (alert.snoozed is not None and alert.snoozed.until is not None)
    return Stage.ACKNOWLEDGED if is_seen else Stage.OPEN


def is_sink_name(name: str) -> bool:
    """Return whether a text can name a sink: lowercase letters, digits, hyphens and underscores."""
    return 0 < len(name) <= MAX_SINK_NAME and SINK_NAME.issuperset(name)
