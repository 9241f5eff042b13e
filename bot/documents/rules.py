"""The documents of `minerpulse replay`, `backtest` and `tune` with `--json`: what rules would have done."""

from datetime import date
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import (
    About,
    Count,
    Document,
    Fraction,
    LeftOut,
    Quality,
    RuleText,
    RuleValue,
    Share,
    close_of,
    if_known,
    left_out,
    quality,
    schema_id,
)
from services.core.intervals import CountRange
from services.core.statistics import finite_or_none
from services.market.metrics import SPREAD
from services.research.follow_up import FollowUp, Outcome
from services.research.service import BacktestResult, TuneResult
from services.research.track_record import Backtest, ForwardBenchmark, ForwardReturn, PastEpisode
from services.research.tune import OutOfSampleCheck, TunedRule
from services.rules.decide import Change, Side
from services.rules.replay import Replay, RuleReplay, Step

PerYear = Annotated[float, About("episodes per 252 sessions at which the rule can be measured")]


class Transition(TypedDict):
    """A rule fired or resolved at a session's close."""

    session: date
    to: Change
    direction: Side
    spread_pp: Annotated[
        float | None,
        About("the spread in percentage points; null for rules on another metric, and without a price"),
    ]
    etf_return: Fraction | None
    btc_return: Fraction | None


class ValueTransition(Transition):
    """A rule on a metric other than the spread fired or resolved at a session's close."""

    value: RuleValue


class ReplayedRuleFields(TypedDict):
    """What one rule would have done."""

    rule: RuleText
    episodes: Count
    per_year: PerYear
    transitions: list[Transition | ValueTransition]


class ReplayDocument(Document):
    """What rules would have done on price files; `as_of` is the close of the last session."""

    sessions: Annotated[Count, About("sessions with both prices")]
    left_out: list[LeftOut]
    rules: list[ReplayedRuleFields]


class OutcomeFields(TypedDict):
    """Whether the gap of an alert had closed 5 sessions later."""

    closed: bool
    chance: Annotated[Share | None, About("probability from 0 to 1 that it closes by chance alone")]
    non_overlapping: Annotated[bool, About("whether it shares no session with an earlier non-overlapping case")]


class ForwardReturnFields(TypedDict):
    """The returns of both legs over the `sessions` after the rule fired."""

    sessions: Count
    etf_return: Fraction
    btc_return: Fraction
    spread_change: Annotated[Fraction, About("fraction: how much the spread widened in the episode's direction")]
    non_overlapping: Annotated[bool, About("whether it shares no session with an earlier non-overlapping case")]


class EpisodeFields(TypedDict):
    """One past episode of the rule."""

    side: Side
    fired_on: date
    ended_on: Annotated[date | None, About("null while the episode is open")]
    sessions: Annotated[Count, About("length")]
    value: Annotated[RuleValue, About("value when it fired, in the unit of the metric")]
    peak: Annotated[RuleValue, About("largest value, in the unit of the metric")]
    started_before: Annotated[bool, About("whether the history begins inside the episode")]
    non_overlapping: Annotated[bool, About("whether its window shares no session with an earlier non-overlapping one")]
    outcome: Annotated[OutcomeFields | None, About("null if it is not known yet")]
    forward: list[ForwardReturnFields]


class FollowUpFields(TypedDict):
    """How many gaps were closed 5 sessions later, with a 90% interval for the share among non-overlapping cases."""

    alerts: Annotated[Count, About("alerts with 5 sessions after them")]
    alerts_closed: Count
    cases: Annotated[Count, About("alerts that don't overlap")]
    closed: Annotated[Count, About("cases that closed")]
    low: Annotated[Share | None, About("low end of the interval, from 0 to 1; null below 10 cases")]
    high: Annotated[Share | None, About("high end of the interval, from 0 to 1; null below 10 cases")]
    chance: Annotated[Share | None, About("share from 0 to 1 expected to close by chance alone")]


class BenchmarkFields(TypedDict):
    """Median changes over `sessions` from every close in the same history, with or without an alert."""

    sessions: Count
    etf_return: Fraction
    btc_return: Fraction
    spread_change: Annotated[
        Fraction, About("fraction: how much the spread widened, in the directions of the episodes")
    ]
    grew: Annotated[Share, About("share from 0 to 1 of those periods in which the spread widened")]


class BacktestFields(TypedDict):
    """The episodes of one rule, and what followed them."""

    rule: RuleText
    measured_from: Annotated[date | None, About("first session at which the rule can be measured")]
    measured_to: Annotated[date | None, About("last session at which the rule can be measured")]
    per_year: PerYear
    median_sessions: Annotated[float | None, About("median length of the episodes")]
    non_overlapping: Annotated[Count, About("largest number of episodes whose windows share no session")]
    follow_up: Annotated[FollowUpFields | None, About("null if the outcome of no episode is known")]
    benchmarks: list[BenchmarkFields]
    episodes: list[EpisodeFields]


class BacktestDocument(Document, BacktestFields, Quality):
    """The backtest of a rule on all sessions that `history` counts; `as_of` is the close of the last one."""

    left_out: list[LeftOut]


class CountRangeFields(TypedDict):
    """The 90% range of a count, both ends included."""

    low: Count
    high: Count


class OutOfSampleFields(TypedDict):
    """The rule found in the first half of the history, and how often it fired in the second."""

    rule: RuleText
    since: Annotated[date, About("first session of the second half")]
    episodes: Count
    per_year: PerYear
    years: float
    promised: Annotated[CountRangeFields | None, About("range that the first half gave for the second")]


class YearFields(TypedDict):
    """The episodes in one calendar year."""

    year: int
    episodes: Count


class DiffFields(TypedDict):
    """The alerts that only the tuned rule fires (`gained`), and those that only the other rule fires (`lost`)."""

    rule: RuleText
    gained: list[date]
    lost: list[date]


class TunedFields(TypedDict):
    """A rule whose threshold gives the target rate of alerts."""

    rule: RuleText
    per_year: PerYear
    episodes: Count
    years: Annotated[float, About("number of measured sessions divided by 252")]
    half_years: Annotated[Count, About("complete half-years that the dispersion comes from")]
    dispersion: Annotated[float, About("variance of half-yearly counts over their mean; about 1 if alerts are random")]
    next_12_months: Annotated[CountRangeFields | None, About("null with fewer than 4 half-years")]
    calendar_years: list[YearFields]
    check: Annotated[OutOfSampleFields | None, About("null if half the history is too short for one alert")]


class TuneDocument(Document, TunedFields, Quality):
    """The rule with the target rate of alerts; `as_of` is the close of the last session that was measured."""

    wanted_per_year: float
    scaled: Annotated[TunedFields | None, About("a rule on the volatility-scaled move with the same rate")]
    against: list[DiffFields]
    left_out: list[LeftOut]


def replay_document(result: Replay) -> ReplayDocument:
    """Return the document of a replay."""
    return {
        "schema": schema_id("replay"),
        "as_of": close_of(result.last),
        "sessions": result.sessions,
        "left_out": left_out(result.left_out),
        "rules": [_rule_fields(rule_result) for rule_result in result.rules],
    }


def _rule_fields(result: RuleReplay) -> ReplayedRuleFields:
    return {
        "rule": str(result.rule),
        "episodes": result.episodes,
        "per_year": result.per_year,
        "transitions": [_transition(step, result) for step in result.steps],
    }


def _transition(step: Step, result: RuleReplay) -> Transition | ValueTransition:
    transition: Transition = {
        "session": step.session,
        "to": step.change,
        "direction": step.side,
        "spread_pp": finite_or_none(100 * step.spread) if result.rule.metric is SPREAD else None,
        "etf_return": finite_or_none(step.etf_return),
        "btc_return": finite_or_none(step.crypto_return),
    }
    if result.rule.metric is SPREAD:
        return transition
    return {**transition, "value": step.value}


def backtest_document(result: BacktestResult) -> BacktestDocument:
    """Return the document of a backtest."""
    return {
        "schema": schema_id("backtest"),
        "as_of": result.curve.points[-1].at,
        **backtest_fields(result.backtest),
        "left_out": left_out(result.left_out),
        **quality(result.provenance),
    }


def backtest_fields(backtest: Backtest) -> BacktestFields:
    """Return the fields of a backtest."""
    measured_from, measured_to = backtest.replay.measured_range or (None, None)
    return {
        "rule": str(backtest.replay.rule),
        "measured_from": measured_from,
        "measured_to": measured_to,
        "per_year": backtest.replay.per_year,
        "median_sessions": backtest.replay.median_length,
        "non_overlapping": backtest.non_overlapping,
        "follow_up": if_known(backtest.follow_up, _follow_up),
        "benchmarks": [_benchmark(benchmark) for benchmark in backtest.benchmarks],
        "episodes": [_episode(episode) for episode in backtest.episodes],
    }


def _follow_up(follow_up: FollowUp) -> FollowUpFields:
    low, high = follow_up.interval or (None, None)
    return {
        "alerts": follow_up.alerts,
        "alerts_closed": follow_up.alerts_closed,
        "cases": follow_up.cases,
        "closed": follow_up.closed,
        "low": low,
        "high": high,
        "chance": follow_up.chance,
    }


def _benchmark(benchmark: ForwardBenchmark) -> BenchmarkFields:
    return {
        "sessions": benchmark.sessions,
        "etf_return": benchmark.etf,
        "btc_return": benchmark.crypto,
        "spread_change": benchmark.spread_change,
        "grew": benchmark.grew,
    }


def _episode(episode: PastEpisode) -> EpisodeFields:
    return {
        "side": episode.side,
        "fired_on": episode.fired_on,
        "ended_on": episode.ended_on,
        "sessions": episode.length,
        "value": episode.value,
        "peak": episode.peak,
        "started_before": episode.started_before,
        "non_overlapping": episode.non_overlapping,
        "outcome": if_known(episode.outcome, _outcome),
        "forward": [_forward_return(forward, episode.side) for forward in episode.forward_returns],
    }


def _outcome(outcome: Outcome) -> OutcomeFields:
    return {"closed": outcome.closed, "chance": outcome.chance, "non_overlapping": outcome.non_overlapping}


def _forward_return(forward: ForwardReturn, side: Side) -> ForwardReturnFields:
    return {
        "sessions": forward.sessions,
        "etf_return": forward.etf,
        "btc_return": forward.crypto,
        "spread_change": forward.spread_change(side),
        "non_overlapping": forward.non_overlapping,
    }


def tune_document(result: TuneResult) -> TuneDocument:
    """Return the document of a tuned rule."""
    tuned = result.tuned
    return {
        "schema": schema_id("tune"),
        "as_of": close_of(tuned.until),
        **_tuned(tuned),
        "wanted_per_year": tuned.target.per_year,
        "scaled": if_known(tuned.scaled, _tuned),
        "against": [
            {"rule": str(diff.against), "gained": list(diff.added), "lost": list(diff.removed)} for diff in result.diffs
        ],
        "left_out": left_out(result.left_out),
        **quality(result.provenance),
    }


def _tuned(tuned: TunedRule) -> TunedFields:
    return {
        "rule": str(tuned.rule),
        "per_year": tuned.per_year,
        "episodes": tuned.episodes,
        "years": tuned.years,
        "half_years": tuned.dispersion.blocks,
        "dispersion": tuned.dispersion.ratio,
        "next_12_months": if_known(tuned.next_year, _count_range),
        "calendar_years": [{"year": count.year, "episodes": count.episodes} for count in tuned.calendar_years],
        "check": if_known(tuned.check, _check),
    }


def _check(check: OutOfSampleCheck) -> OutOfSampleFields:
    return {
        "rule": str(check.rule),
        "since": check.since,
        "episodes": check.episodes,
        "per_year": check.per_year,
        "years": check.years,
        "promised": if_known(check.promised, _count_range),
    }


def _count_range(count_range: CountRange) -> CountRangeFields:
    return {"low": count_range.low, "high": count_range.high}
