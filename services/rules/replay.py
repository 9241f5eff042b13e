"""Replay: put rules to history, once at each session's close, with the same `decide` as the live tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

import numpy as np

from services.core.errors import ReplayError
from services.core.prices import moment
from services.core.statistics import UNUSUAL_SESSIONS
from services.market.align import Aligned, LeftOut
from services.market.measure import METRICS, Window, anchors, returns, why_missing
from services.rules.decide import Change, Observation, RuleState, Side, decide
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A rule fired or resolved at one session's close, on `value` in its own unit (a fraction for pp and %).

    The returns (fractions) are over the rule's own window, or over one day for a rule without one.
    """

    session: date
    to: Change
    side: Side
    value: float
    spread: float
    etf_return: float
    crypto_return: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReplay:
    """What one rule would have done: its changes, and the length of each episode in sessions.

    An episode that is still open at the end counts up to the last session. `measured` are the first and the
    last session at which its metric could be taken, None where there is none; `per_year` counts such sessions only.
    """

    rule: Rule
    steps: tuple[Step, ...]
    lengths: tuple[int, ...]
    measured: tuple[date, date] | None
    per_year: float

    @property
    def episodes(self) -> int:
        """How many times the rule fired."""
        return len(self.lengths)

    @property
    def median_length(self) -> float | None:
        """The median episode in sessions; None where there was none."""
        return median(self.lengths) if self.lengths else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What each rule would have done from the session `first` to `last`; `sessions` counts those with both prices."""

    first: date
    last: date
    sessions: int
    left_out: tuple[LeftOut, ...]
    rules: tuple[RuleReplay, ...]


def replay(aligned: Aligned, rules: Sequence[Rule], *, first: date | None = None, last: date | None = None) -> Replay:
    """Decide every rule at every session's close from `first` to `last`, with no hold times.

    Sessions before `first` still feed the look-backs. Raises ReplayError where no session has both prices, and where
    a rule is about another pair or is measured only while the ETF is shut.
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
            raise ReplayError(f"“{rule}” names {rule.pair}, but the prices are of {aligned.pair}; leave the pair out.")
    days = aligned.sessions[begin:end]
    sessions = int(aligned.complete[begin:end].sum())
    if not sessions:
        raise ReplayError(f"No session from {days[0]} to {days[-1]} has both prices: {why_missing(aligned, begin)}.")
    return Replay(
        first=days[0].astype(object),
        last=days[-1].astype(object),
        sessions=sessions,
        left_out=tuple(out for out in aligned.left_out if days[0] <= np.datetime64(out.session) <= days[-1]),
        rules=tuple(_replay_rule(aligned, rule, begin, end) for rule in rules),
    )


def check_network(aligned: Aligned, rule: Rule) -> None:
    """Raise ReplayError where a rule is about the bitcoin network, and its past is not there."""
    if METRICS[rule.metric].of_network and aligned.network is None:
        raise ReplayError(f"“{rule}” needs the past of the bitcoin network, which no source here tells.")


def _replay_rule(aligned: Aligned, rule: Rule, begin: int, end: int) -> RuleReplay:
    window = rule.window or Window.D1
    series = METRICS[rule.metric].series
    if series is None:
        raise ReplayError(f"“{rule}” is measured only while the ETF is shut; a replay decides at session closes.")
    check_network(aligned, rule)
    column = series(aligned, window)
    measured = begin + np.flatnonzero(np.isfinite(column[begin:end]))
    values = column.tolist()
    start = anchors(aligned, window)
    etf, crypto = returns(aligned.etf, start), returns(aligned.crypto, start)
    decided = np.cumsum(aligned.complete)  # lengths count the sessions that could be decided
    quiet = state = RuleState()
    steps, lengths, opened = list[Step](), list[int](), begin
    for row in range(begin, end):
        value = values[row]
        if state == quiet and abs(value) < rule.threshold:
            continue  # `decide` would leave it quiet
        at = moment(aligned.at[row])
        if value != value:  # noqa: PLR0124 -- NaN, the only number that differs from itself
            observation = Observation(at=at, value=None, reason="no price", closing=True)
        else:
            observation = Observation(at=at, value=value, closing=True)
        decision = decide(state, observation, rule, at)
        state = decision.state
        for transition in decision.transitions:
            if transition.to is Change.RESOLVED:
                lengths.append(int(decided[row] - decided[opened]))
            else:
                opened = row
            steps.append(
                Step(
                    session=aligned.sessions[row].astype(object),
                    to=transition.to,
                    side=transition.side,
                    value=value,
                    spread=float(etf[row] - crypto[row]),
                    etf_return=float(etf[row]),
                    crypto_return=float(crypto[row]),
                    reason=decision.reason,
                )
            )
    if state.firing is not None:
        lengths.append(int(decided[end - 1] - decided[opened]) + 1)
    return RuleReplay(
        rule=rule,
        steps=tuple(steps),
        lengths=tuple(lengths),
        measured=tuple(aligned.sessions[measured[[0, -1]]].tolist()) if len(measured) else None,
        per_year=len(lengths) * UNUSUAL_SESSIONS / max(1, len(measured)),
    )
