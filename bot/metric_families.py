"""The table of the metrics: names, types, labels and help. docs/how-to/monitor.md lists them."""

from collections.abc import Iterable
from enum import Enum
from itertools import product
from typing import NamedTuple

from services.alerting.alert import EntryKind
from services.delivery.ports import AttemptOutcome
from services.market.metrics import METRICS
from services.rules.decide import RuleStatus

PREFIX = "minerpulse_"
SINKS = ("slack", "pagerduty", "webhook", "email")
PAUSED = "paused"
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0)
SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WAITS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 21_600.0)
ANSWERS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


class Kind(Enum):
    """Prometheus' types of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class SlackKind(Enum):
    """What Slack's request is about."""

    COMMAND = "command"
    ACTION = "action"
    VIEW = "view"
    EVENT = "event"
    OTHER = "other"


class SlackResult(Enum):
    """How a request of Slack was answered: in time, refused, after three seconds, or as a repeat."""

    OK = "ok"
    REFUSED = "refused"
    LATE = "late"
    REPLAYED = "replayed"


class Family(NamedTuple):
    """One family of metrics.

    Attributes:
        labels: The label names; no label names a workspace, channel, rule, alert or person.
        values: The values of each label, if all are known; their series start at 0.
        buckets: Upper bounds of a histogram.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()
    buckets: tuple[float, ...] = ()

    def known_labels(self) -> Iterable[tuple[str, ...]]:
        """Return the known combinations of label values; none if a label has any other values."""
        return product(*self.values) if self.values else ()


def _values(*enums: Iterable[Enum]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(one.value) for one in values) for values in enums)


C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
BUILD = Family("build_info", G, "Versions of the running program; always 1.", ("version", "python", "database"))
TICKS = Family("ticks_total", C, "Ticks that this process claimed, by pair and result.", ("pair", "result"))
TICK_DURATION = Family("tick_duration_seconds", H, "Duration of one tick over all pairs.", buckets=SLOW)
LAST_TICK = Family("last_tick_timestamp_seconds", G, "Time of the last tick that succeeded; 0 before the first.")
VERDICT = Family("price_verdict", G, "1 for the current data quality of a pair's prices, else 0.", ("pair", "verdict"))
LAST_QUOTE = Family("last_quote_timestamp_seconds", G, "Time of the last usable price of a symbol.", ("symbol",))
REQUESTS = Family("source_requests_total", C, "Requests to each price source, by result.", ("source", "result"))
REQUEST_DURATION = Family(
    "source_request_duration_seconds", H, "Duration of requests to a price source.", ("source",), buckets=ANSWERS
)
SOURCE_UP = Family("source_up", G, "1 if a price source can be called, 0 while its requests are paused.", ("source",))
QUARANTINED = Family("prices_quarantined", G, "Closes and bars of a symbol that are quarantined now.", ("symbol",))
MARKET_OPEN = Family("market_open", G, "1 while the New York session is open.")
SPREAD = Family("spread_ratio", G, "ETF return minus bitcoin return over a window, as a fraction.", ("pair", "window"))
RULES = Family("rules", G, "Rules by state.", ("state",), ((*(one.value for one in RuleStatus), PAUSED),))
EVALUATIONS = Family("rule_evaluations_total", C, "Rules that this process has evaluated.")
SUBJECTS = tuple(dict.fromkeys(metric.subject for metric in METRICS.values()))
ALERTS_OPEN = Family("alerts_open", G, "Open alerts by subject.", ("subject",), (SUBJECTS,))
EVENTS = Family(
    "alert_events_total",
    C,
    "Alert events, excluding test alerts.",
    ("event",),
    _values(EntryKind),
)
DELIVERIES = Family(
    "deliveries_total", C, "Delivery attempts by result.", ("sink", "result"), (SINKS, *_values(AttemptOutcome))
)
DELIVERY_DURATION = Family(
    "delivery_duration_seconds", H, "Duration of a delivery attempt.", ("sink",), (SINKS,), buckets=SLOW
)
DELIVERY_LATENCY = Family(
    "delivery_latency_seconds",
    H,
    "Time from saving a message until its delivery is accepted.",
    ("sink",),
    (SINKS,),
    buckets=WAITS,
)
WAITING = Family("deliveries_waiting", G, "Waiting messages.", ("sink",), (SINKS,))
OLDEST = Family("deliveries_oldest_waiting_seconds", G, "Age of the oldest waiting message.", ("sink",), (SINKS,))
DEAD_LETTERED = Family(
    "deliveries_dead_lettered", G, "Dead-lettered messages that still need a fix.", ("sink",), (SINKS,)
)
SLACK_REQUESTS = Family(
    "slack_requests_total", C, "Requests from Slack, by result.", ("kind", "result"), _values(SlackKind, SlackResult)
)
ACK_DURATION = Family("slack_ack_duration_seconds", H, "Time until a request from Slack is acknowledged.", buckets=FAST)
TOKEN_VALID = Family("slack_token_valid", G, "0 if Slack rejected the token at the last check, else 1.")
INSTALLATIONS = Family("installations", G, "Workspaces and organizations that have the app.")
DATABASE_UP = Family("database_up", G, "1 if the database responded to the last check, else 0.")
FAMILIES = (
    BUILD,
    TICKS,
    TICK_DURATION,
    LAST_TICK,
    VERDICT,
    LAST_QUOTE,
    REQUESTS,
    REQUEST_DURATION,
    SOURCE_UP,
    QUARANTINED,
    MARKET_OPEN,
    SPREAD,
    RULES,
    EVALUATIONS,
    ALERTS_OPEN,
    EVENTS,
    DELIVERIES,
    DELIVERY_DURATION,
    DELIVERY_LATENCY,
    WAITING,
    OLDEST,
    DEAD_LETTERED,
    SLACK_REQUESTS,
    ACK_DURATION,
    TOKEN_VALID,
    INSTALLATIONS,
    DATABASE_UP,
)
