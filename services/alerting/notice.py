"""Notices: messages in a channel that belong to none of its alerts."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from services.alerting.alert import Alert
from services.alerting.brief import Brief
from services.core.identity import Channel
from services.core.prices import (
    Pair,
    PriceStamp,
)
from services.core.reason import Reason
from services.core.trust import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A pair, or only its bitcoin network data, without usable data.

    Attributes:
        prices: The last usable prices, if known.
        recovered_at: When data was usable again, None while it isn't.
        network: Whether only the bitcoin network data is missing, which some rules on the pair use.
    """

    pair: Pair
    since: datetime
    reason: Reason | str
    prices: tuple[PriceStamp, ...] = ()
    simulated: bool = False
    recovered_at: datetime | None = None
    network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Summary of a quiet period: its alerts, some of which may still be open, and the outages that are over."""

    since: datetime
    until: datetime
    reason: Reason | str
    alerts: tuple[Alert, ...] = ()
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestMiss:
    """The rule that came nearest to its threshold without an alert. A `share` of 0.87 is 87% of the threshold."""

    rule: str
    share: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCoverage:
    """The ticks of one pair in a session.

    Attributes:
        expected: Ticks expected until now.
        done: Ticks done.
        verdicts: Ticks done by verdict.
        sources: Names of the pair's sources.
        unusable_reason: Why its prices can't be used now, None if they can.
        problems: Problems reported by its sources.
    """

    pair: Pair
    expected: int
    done: int
    verdicts: tuple[tuple[str, int], ...]
    sources: tuple[str, ...] = ()
    unusable_reason: Reason | str | None = None
    problems: tuple[Reason | str, ...] = ()

    @property
    def usable(self) -> int:
        """How many ticks had prices on which rules could fire and resolve."""
        usable = {verdict.value for verdict in Verdict if verdict.usable}
        return sum(count for verdict, count in self.verdicts if verdict in usable)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCounts:
    """Messages of a channel: delivered since the open, waiting, and dead-lettered."""

    delivered: int
    waiting: int
    dead_lettered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """Monitoring report: the checks of a session up to `at`, and their result. `final` once the session has closed."""

    session: date
    at: datetime
    final: bool
    rules: int
    pairs: tuple[PairCoverage, ...]
    alerts: int
    nearest_miss: NearestMiss | None
    message_counts: MessageCounts
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """An alert of another channel that nobody there has acknowledged for `after`."""

    alert: Alert
    after: timedelta


Content: TypeAlias = Outage | Digest | CoverageReport | Escalation | Brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice, as its message shows it.

    Attributes:
        id: 0 until the notice is saved.
        name: Unique in its channel forever; adding a second notice with the same name changes nothing.
        closed_at: When it became final, None while it may change. A notice of a single fact is final from the start.
    """

    id: int
    channel: Channel
    name: str
    content: Content
    opened_at: datetime
    closed_at: datetime | None = None
