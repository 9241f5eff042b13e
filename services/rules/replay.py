"""Replay: evaluate rules over history, once per session close, with the same `decide` as the live tick."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

import numpy as np

from services.core.errors import ReplayError
from services.core.prices import to_datetime
from services.core.reason import Code, Reason
from services.core.statistics import LOOKBACK_SESSIONS
from services.market.align import Aligned, Exclusion
from services.market.measure import Window, anchors, missing_price_reason, returns
from services.rules.decide import Change, Observation, RuleState, Side, decide
from services.rules.rule import Rule, levels_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A rule fired or resolved at a session's close, on `value` in its own unit (a fraction for pp and %).

    The returns (fractions) are over the rule's window, or over one session for a rule without a window.
    """

    session: date
    change: Change
    side: Side
    value: float
    spread: float
    etf_return: float
    crypto_return: float
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReplay:
    """The changes that one rule would have made.

    Attributes:
        episode_lengths: Sessions of each episode; one that is still open counts up to the last session.
        measured_range: First and last session with a measurable metric; None if there is none.
        per_year: Episodes a year of measurable sessions.
    """

    rule: Rule
    steps: tuple[Step, ...]
    episode_lengths: tuple[int, ...]
    measured_range: tuple[date, date] | None
    per_year: float

    @property
    def episodes(self) -> int:
        """How many times the rule fired."""
        return len(self.episode_lengths)

    @property
    def median_length(self) -> float | None:
        """The median episode length in sessions; None without an episode."""
        return median(self.episode_lengths) if self.episode_lengths else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The changes of each rule from session `first` to `last`; `sessions` counts those with both prices."""

    first: date
    last: date
    sessions: int
    left_out: tuple[Exclusion, ...]
    rules: tuple[RuleReplay, ...]


def replay(aligned: Aligned, rules: Sequence[Rule], *, first: date | None = None, last: date | None = None) -> Replay:
    """Evaluate each rule at each session's close from `first` to `last`, without hold times.

    Sessions before `first` still feed the look-backs. Raises ReplayError if no session has both prices, or if a rule
    names another pair or is measured only while the ETF is closed.
    """
    begin = 0 if first is None else int(np.searchsorted(aligned.sessions, np.datetime64(first)))
    end = len(aligned) if last is None else int(np.searchsorted(aligned.sessions, np.datetime64(last), side="right"))
    if begin >= end:
        raise ReplayError(
            f"No session from {first or 'the start'} to {last or 'the end'}: the prices run from "
            f"{aligned.sessions[0]} to {aligned.sessions[-1]}."
        )
    for rule in rules:
        if rule.pair != aligned.pair:
            raise ReplayError(f"“{rule}” is on {rule.pair}, but the prices are for {aligned.pair}. Omit the pair.")
    days = aligned.sessions[begin:end]
    sessions = int(aligned.complete[begin:end].sum())
    if not sessions:
        raise ReplayError(
            Reason.of(
                Code.NO_COMPLETE_SESSION,
                first=days[0].item(),
                last=days[-1].item(),
                reason=missing_price_reason(aligned, begin),
            )
        )
    return Replay(
        first=days[0].astype(object),
        last=days[-1].astype(object),
        sessions=sessions,
        left_out=tuple(out for out in aligned.exclusions if days[0] <= np.datetime64(out.session) <= days[-1]),
        rules=tuple(_replay_rule(aligned, rule, begin, end) for rule in rules),
    )


def check_network(aligned: Aligned, rule: Rule) -> None:
    """Raise ReplayError if a rule needs the bitcoin network and its history is missing."""
    if rule.metric.needs_network and aligned.network is None:
        raise ReplayError(f"“{rule}” needs past bitcoin network data, which no source here has.")


def _replay_rule(aligned: Aligned, rule: Rule, begin: int, end: int) -> RuleReplay:
    window = rule.window or Window.D1
    series = rule.metric.series
    if series is None:
        raise ReplayError(f"“{rule}” is measured only while the market is closed; a replay evaluates session closes.")
    check_network(aligned, rule)
    column, levels = series(aligned, window), levels_of(rule)
    measured = begin + np.flatnonzero(np.isfinite(column[begin:end]))
    values = column.tolist()
    breached = (~np.isfinite(column) | levels.is_above(column) | levels.is_below(column)).tolist()
    start = anchors(aligned, window)
    etf, crypto = returns(aligned.etf, start), returns(aligned.crypto, start)
    measurable = np.cumsum(aligned.complete)  # lengths count the sessions that could be evaluated
    ok_state = state = RuleState()
    steps, lengths, opened_row = list[Step](), list[int](), begin
    for row in range(begin, end):
        value = values[row]
        if state == ok_state and not breached[row]:
            continue  # `decide` would not change it
        at = to_datetime(aligned.at[row])
        if value != value:  # noqa: PLR0124 -- NaN, the only number that differs from itself
            observation = Observation(at=at, value=None, reason=Reason.of(Code.NO_PRICE), at_close=True)
        else:
            observation = Observation(at=at, value=value, at_close=True)
        decision = decide(state, observation, rule, at)
        state = decision.state
        for transition in decision.transitions:
            if transition.change is Change.RESOLVED:
                lengths.append(int(measurable[row] - measurable[opened_row]))
            else:
                opened_row = row
            steps.append(
                Step(
                    session=aligned.sessions[row].astype(object),
                    change=transition.change,
                    side=transition.side,
                    value=value,
                    spread=float(etf[row] - crypto[row]),
                    etf_return=float(etf[row]),
                    crypto_return=float(crypto[row]),
                    reason=transition.reason,
                )
            )
    if state.firing is not None:
        lengths.append(int(measurable[end - 1] - measurable[opened_row]) + 1)
    return RuleReplay(
        rule=rule,
        steps=tuple(steps),
        episode_lengths=tuple(lengths),
        measured_range=tuple(aligned.sessions[measured[[0, -1]]].tolist()) if len(measured) else None,
        per_year=len(lengths) * LOOKBACK_SESSIONS / max(1, len(measured)),
    )
