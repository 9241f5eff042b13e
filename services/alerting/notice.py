"""Notices: messages for a channel that belong to no alert of it."""

from __future__ import annotations

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
from services.core.trust import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A pair without usable prices since `since`; `prices` are the last that could be used, where any is known.

    `back_at` is when prices could be used again, None while they cannot. What is out may also be the bitcoin `network`
    alone, of which some rules on the pair are.
    """

    pair: Pair
    since: datetime
    reason: str
    prices: tuple[PriceStamp, ...] = ()
    simulated: bool = False
    back_at: datetime | None = None
    network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What happened while a channel was silent: alerts, of which some are still open, and outages that are over."""

    since: datetime
    until: datetime
    why: str
    alerts: tuple[Alert, ...] = ()
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestMiss:
    """How near the rule came to its threshold that came nearest without an alert: 0.87 at `at` is 87% of it."""

    rule: str
    share: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDay:
    """The ticks of one pair in a session: those expected by then, those done, and those done by verdict.

    `trouble` is why its prices cannot be used at the moment; `problems` are what its sources report.
    """

    pair: Pair
    expected: int
    done: int
    verdicts: tuple[tuple[str, int], ...]
    sources: tuple[str, ...] = ()
    trouble: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> int:
        """How many ticks had prices on which rules could fire and resolve."""
        usable = {verdict.value for verdict in Verdict if verdict.usable}
        return sum(count for verdict, count in self.verdicts if verdict in usable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The messages of a channel: delivered since the open, waiting, and given up."""

    delivered: int
    waiting: int
    given_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """Proof of silence: what was looked at in a session up to `at`, and what came of it."""

    session: date
    at: datetime
    final: bool
    rules: int
    pairs: tuple[PairDay, ...]
    alerts: int
    miss: NearestMiss | None
    posted: Posted
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """An alert of another channel that nobody there has acknowledged for `after`."""

    alert: Alert
    after: timedelta


Content: TypeAlias = Outage | Digest | CoverageReport | Escalation | Brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice as its message tells it; `id` is 0 until it is recorded.

    `name` is what it is about, once for ever in its channel: who tells it a second time changes nothing. One that is
    over has `closed_at`; one that tells a single fact is over from the beginning.
    """

    id: int
    channel: Channel
    name: str
    content: Content
    opened_at: datetime
    closed_at: datetime | None = None
