"""Results of ticks: what a tick found for its pair, in a form that can be stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TypeAlias

from services.core.errors import NoHistoryError
from services.core.prices import Pair, PriceStamp
from services.core.reason import Reason
from services.core.trust import Verdict
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from services.rules.rule import DEFAULT_RULES, Rule

MISSING, WAITING = "missing", "waiting"

Job: TypeAlias = "Pair | str"  # the ticks of a pair, or a maintenance job by its name

PROBE_RULE = DEFAULT_RULES[0]  # measurable whenever any rule is


def summarize_tick(pair: Pair, view: MarketView | NoHistoryError, rules: Iterable[Rule], now: datetime) -> TickResult:
    """Return how far a pair's prices can be used, and the value of each distinct metric of the rules."""
    if isinstance(view, NoHistoryError):
        return TickResult(pair=pair, at=now, verdict=MISSING, reason=view.reason)
    rule = parse_rule(PROBE_RULE, pair)
    observation, trust = view.observe(rule), view.trust_for(rule)
    usable = observation.value is not None
    verdict = trust.verdict if usable or not trust.verdict.usable else Verdict.STALE
    return TickResult(
        pair=pair,
        at=now,
        verdict=WAITING if observation.awaiting_trade else verdict.value,
        reason=None if usable else observation.reason,
        waiting=observation.awaiting_trade,
        prices=view.price_stamps(rule) if usable else (),
        metric_values=tuple(_metric_values(view, rules)),
        simulated=view.simulated,
    )


def metric_key(rule: Rule) -> str:
    """Return the key of a rule's metric and window; rules with the same key have the same value."""
    window = "" if rule.window is None else f"{rule.window.value} "
    return f"{window}{rule.metric.name}{' at close' if rule.at_close else ''}"


def _metric_values(view: MarketView, rules: Iterable[Rule]) -> Iterable[MetricValue]:
    for rule in rules:
        observation, measured = view.observe(rule), view.snapshot_for(rule)
        if observation.value is not None and measured is not None:
            yield MetricValue(
                metric=metric_key(rule), session=measured.session, value=observation.value, at=observation.at
            )


class Claim(Enum):
    """State of a tick: claimed by this process, already done, or claimed by another process that isn't done."""

    OURS = "ours"
    DONE = "done"
    TAKEN = "taken"


class TickOutcome(Enum):
    """How a tick of a pair ended: saved, failed, or taken over by another process because it was too late."""

    DONE = "done"
    FAILED = "failed"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A tick as claimed by one process, until another takes it over or starts a later one."""

    job: Job
    boundary: datetime
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTick:
    """The last tick of a pair that is done: when it ran, and the verdict on its prices."""

    at: datetime
    verdict: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """The value of a metric key, in the rules' unit, at `at` in a session."""

    metric: str
    session: date
    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TickResult:
    """What a tick at `at` found for its pair.

    Attributes:
        verdict: Trust in the prices, `missing` or `waiting`.
        reason: Why the prices can't be used, None if they can.
        waiting: There is nothing to measure yet, and nothing was missed.
    """

    pair: Pair
    at: datetime
    verdict: str
    reason: Reason | str | None
    waiting: bool = False
    prices: tuple[PriceStamp, ...] = ()
    metric_values: tuple[MetricValue, ...] = ()
    simulated: bool = False

    @property
    def usable(self) -> bool:
        """Whether rules could fire and resolve on the prices."""
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStatus:
    """The last tick of a pair, at `at`.

    Attributes:
        usable_at: When prices were last usable.
        nodata_since: Since when there are no usable prices, None if there are.
        prices: The last usable prices.
    """

    pair: Pair
    at: datetime
    reason: Reason | str | None
    usable_at: datetime | None
    nodata_since: datetime | None
    prices: tuple[PriceStamp, ...]
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """Highest and lowest value in a session, with their times."""

    high: float
    high_at: datetime
    low: float
    low_at: datetime
