"""Notices: messages in a channel that belong to none of its alerts, such as briefs, digests and outages."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import TypeAlias

from services.alerting.alert import Alert
from services.alerting.channel_settings import Occasion
from services.core.identity import Channel, Person
from services.core.prices import (
    Pair,
    PriceStamp,
)
from services.core.reason import Reason
from services.core.trust import Trust, Verdict
from services.market.gap import Gap
from services.market.measure import Measurement
from services.market.mining_power import PowerEstimate
from services.market.network import Retarget


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
    """An alert of another channel, unacknowledged for `after`."""

    alert: Alert
    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChange:
    """What a person changed in the channel, posted at once, in quiet hours and mutes too.

    Attributes:
        by_name: Their name in the payload that caused it; empty if that is unknown.
    """

    by: str
    change: Reason | str
    by_name: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.by, Person) and not self.by_name:
            object.__setattr__(self, "by_name", self.by.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationSource:
    """A channel that escalates its alerts to this one, as set before channels were asked whether they accept that."""

    source: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Untraded:
    """A share without a trade in the last `sessions`: it may have been renamed, halted or delisted.

    Attributes:
        last: The last trade.
        unknown_at: Names of the sources that don't know the symbol any more.
        rules: Ids of the channel's rules on the symbol.
    """

    symbol: str
    sessions: int
    last: PriceStamp
    unknown_at: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredRule:
    """A rule that cannot be added any more, as text, and the closest one that can."""

    id: int
    rule: str
    successor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredRules:
    """A channel's rules of earlier releases that keep running and cannot be added any more."""

    rules: tuple[RetiredRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFailed:
    """A dead-lettered page: a sink doesn't show that an alert opened, or that it `ended`."""

    alert: Alert
    sink: str
    problem: str
    ended: bool


class DayKind(Enum):
    """How a weekday differs from a regular session."""

    HALF = "half-day"
    SHUT = "shut"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialDay:
    """A weekday on which New York is closed, or closes early at `closes_at`."""

    day: date
    kind: DayKind
    closes_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """The content of a brief.

    Attributes:
        since: Alerts from then on are listed.
        measurements: One per window that could be measured.
        gap: Gap implied by the overnight move, None while the ETF trades.
        retarget: Next difficulty adjustment as estimated by `network`, None if unknown.
        special_days: Holidays and half-days ahead.
        problems: What limits the data.
        power: Power draw of the bitcoin network, in the weekly brief; None if unknown.
    """

    occasion: Occasion
    at: datetime
    session: date
    since: datetime
    pair: Pair
    measurements: tuple[Measurement, ...]
    gap: Gap | None
    etf: PriceStamp | None
    crypto: PriceStamp | None
    trust: Trust
    alerts: tuple[Alert, ...]
    retarget: Retarget | None
    network: str
    special_days: tuple[SpecialDay, ...]
    problems: tuple[Reason | str, ...] = ()
    simulated: bool = False
    power: PowerEstimate | None = None

    @property
    def unusual(self) -> tuple[Measurement, ...]:
        """The windows whose spread is unusual, of all that were looked at."""
        ranked = [one for one in self.measurements if one.is_ranked]
        return tuple(one for one in ranked if one.is_unusual(among=self.readings))

    @property
    def readings(self) -> int:
        """How many windows were looked at: those of which it is known how unusual they are."""
        return sum(one.is_ranked for one in self.measurements)


Content: TypeAlias = (
    Outage
    | Digest
    | CoverageReport
    | Escalation
    | EscalationSource
    | ChannelChange
    | Brief
    | Untraded
    | RetiredRules
    | PageFailed
)


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
