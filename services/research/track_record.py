"""Precedents: past episodes of a rule, as the replay finds them: how long they were, how they ended, what followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from statistics import median

import numpy as np
from numpy.typing import NDArray

from services.market.align import Aligned
from services.market.measure import DIVERGENCES, METRICS, Metric, Window, anchors, beta_series
from services.rules.decide import Change, Side
from services.rules.replay import RuleReplay, Step, replay
from services.rules.rule import Rule

HORIZONS = (5, 20)  # sessions after an episode began
SHORTLY = HORIZONS[0]
RECENT = 504  # sessions, two years, that an alert's record goes back


class ClosedBy(Enum):
    """What ended an episode: the leg that closed the gap, or the move that opened it leaving the window."""

    CRYPTO = "crypto"
    ETF = "etf"
    AGED = "aged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardReturn:
    """Both legs' returns over the `sessions` after an episode began, fractions from its first close on.

    `apart` tells that from its window's first session to the last of these it shares none with the last episode of
    which this holds.
    """

    sessions: int
    etf: float
    crypto: float
    apart: bool

    def gap(self, side: Side) -> float:
        """How far the legs parted further, in the direction of the episode; below zero where they came together."""
        return side.sign * (self.etf - self.crypto)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEpisode:
    """One episode: `value` when it fired and the largest, `peak`, in the rule's unit; `length` in sessions.

    `ended` and `closing` are None while it lasts; closing too for a rule on anything but how far the legs part.
    `given_back` tells whether, 5 sessions on, what the rule watches, from the close that the window began with, was
    below its clear level: a false start. It is None, as parts of `followed` are missing, where prices are.
    `apart` tells that its window shares no session with that of the last episode of which this holds.
    """

    side: Side
    fired: date
    value: float
    peak: float
    ended: date | None
    length: int
    closing: ClosedBy | None
    given_back: bool | None
    followed: tuple[ForwardReturn, ...]
    apart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How earlier episodes of a rule went, in the `sessions` from `since` on at which it could be measured.

    `closings` counts how they ended: bitcoin's doing, the ETF's, and neither's. One that lasts, on the side `lasts`, is
    in none of the numbers.
    """

    since: date
    sessions: int
    episodes: int
    median_length: float | None
    closings: tuple[int, int, int] | None
    lasts: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """A rule's whole past: the replay's findings, and each of its episodes."""

    found: RuleReplay
    episodes: tuple[PastEpisode, ...]

    @property
    def false_starts(self) -> tuple[int, int]:
        """How many episodes were given back within 5 sessions, and of how many that is known."""
        known = [one.given_back for one in self.episodes if one.given_back is not None]
        return sum(known), len(known)

    @property
    def apart(self) -> int:
        """The most episodes that can be picked whose windows share no session."""
        return sum(one.apart for one in self.episodes)

    @property
    def closings(self) -> tuple[int, int, int] | None:
        """How the episodes that have ended did so; None for a rule of which that cannot be said."""
        return _closings(self.episodes)

    def followed(self, sessions: int) -> list[tuple[Side, ForwardReturn]]:
        """Give what followed after that many sessions, of each episode of which it is known."""
        return [(one.side, after) for one in self.episodes for after in one.followed if after.sessions == sessions]


def backtest(aligned: Aligned, rule: Rule) -> Backtest:
    """Put a rule to all of history, decided at each close. Raises ReplayError."""
    return looked_at(aligned, replay(aligned, [rule]).rules[0])


def looked_at(aligned: Aligned, found: RuleReplay) -> Backtest:
    """Look at each episode of a replay that ends with the last row of `aligned`."""
    return Backtest(found=found, episodes=tuple(_precedents(aligned, found)))


def record(aligned: Aligned, rule: Rule) -> Record | None:
    """Sum up the last two years of a rule for an alert of it, up to the last row.

    An episode that lasts there is the alert's own, or the one that it ends where its side is the other. None where the
    rule could never be measured. Raises ReplayError.
    """
    first = aligned.sessions[max(0, len(aligned) - RECENT)].astype(object)
    found = replay(aligned, [rule], first=first).rules[0]
    if found.measured is None:
        return None
    every = _precedents(aligned, found)
    past = [one for one in every if one.ended is not None]
    since = found.measured[0]
    return Record(
        since=since,
        sessions=int((aligned.sessions >= np.datetime64(since)).sum()),
        episodes=len(past),
        median_length=median(one.length for one in past) if past else None,
        closings=_closings(past),
        lasts=every[-1].side if len(every) > len(past) else None,
    )


def _precedents(aligned: Aligned, found: RuleReplay) -> list[PastEpisode]:
    """Pair each firing with its end, and look at the rows between and after."""
    fired = [step for step in found.steps if step.to is Change.FIRING]
    resolved = [step for step in found.steps if step.to is Change.RESOLVED]
    ends: list[Step | None] = [*resolved, *[None] * (len(fired) - len(resolved))]
    window = found.rule.window or Window.D1
    start, series = anchors(aligned, window), METRICS[found.rule.metric].series
    values = series(aligned, window) if series else np.full(len(aligned), np.nan)
    betas = beta_series(aligned) if found.rule.metric is Metric.RESIDUAL else np.ones(len(aligned))
    past, shared_until, of_both = (
        list[PastEpisode](),
        dict.fromkeys((0, *HORIZONS), -1),
        found.rule.metric in DIVERGENCES,
    )
    for step, end, length in zip(fired, ends, found.lengths, strict=True):
        row, last = _row(aligned, step), _row(aligned, end) if end else len(aligned) - 1
        after = {ahead: moved for ahead in HORIZONS if (moved := _moved(aligned, row, ahead))}
        apart = {ahead: int(start[row]) >= shared_until[ahead] for ahead in (0, *after)}
        shared_until |= {ahead: row + ahead for ahead, is_apart in apart.items() if is_apart}
        seen = step.side.sign * values[row : last + (end is None)]
        peak = row + int(np.nanargmax(seen))
        past.append(
            PastEpisode(
                side=step.side,
                fired=step.session,
                value=step.value,
                peak=float(values[peak]),
                ended=end.session if end else None,
                length=length,
                closing=_closing(aligned, start, step.side, peak, last) if end and of_both else None,
                given_back=_given_back(
                    aligned, found.rule, row, step.side, (int(start[row]), float(betas[start[row]]))
                ),
                followed=tuple(
                    ForwardReturn(sessions=ahead, etf=etf, crypto=crypto, apart=apart[ahead])
                    for ahead, (etf, crypto) in after.items()
                ),
                apart=apart[0],
            )
        )
    return past


def _row(aligned: Aligned, step: Step) -> int:
    return int(np.searchsorted(aligned.sessions, np.datetime64(step.session)))


def _closing(aligned: Aligned, start: NDArray[np.intp], side: Side, peak: int, end: int) -> ClosedBy:
    """Tell what narrowed the gap most from its peak to its end, in logs, of which the gap's change is the sum.

    The ETF by coming back, bitcoin by going after it, or neither: the window began with the move, and has left it.
    """
    etf, crypto = np.log(aligned.etf), np.log(aligned.crypto)
    gap = etf - crypto
    narrowed = {
        ClosedBy.ETF: -side.sign * (etf[end] - etf[peak]),
        ClosedBy.CRYPTO: side.sign * (crypto[end] - crypto[peak]),
        ClosedBy.AGED: side.sign * (gap[start[end]] - gap[start[peak]]),
    }
    return max(narrowed, key=narrowed.__getitem__)


def _given_back(aligned: Aligned, rule: Rule, row: int, side: Side, since: tuple[int, float]) -> bool | None:
    """Tell whether the gap was small again shortly after; None where that cannot be told.

    `since` is the row that the window began with, and how much of bitcoin's return since then the gap leaves out.
    """
    later, (anchor, beta) = row + SHORTLY, since
    if rule.metric not in {Metric.SPREAD, Metric.RESIDUAL} or later >= len(aligned) or not aligned.complete[later]:
        return None
    etf, crypto = (prices[later] / prices[anchor] - 1 for prices in (aligned.etf, aligned.crypto))
    return bool(side.sign * (etf - beta * crypto) < rule.clear)


def _moved(aligned: Aligned, row: int, ahead: int) -> tuple[float, float] | None:
    later = row + ahead
    if later >= len(aligned) or not (aligned.complete[row] and aligned.complete[later]):
        return None
    return float(aligned.etf[later] / aligned.etf[row] - 1), float(aligned.crypto[later] / aligned.crypto[row] - 1)


def _closings(past: Sequence[PastEpisode]) -> tuple[int, int, int] | None:
    counts = Counter(one.closing for one in past if one.closing)
    return (counts[ClosedBy.CRYPTO], counts[ClosedBy.ETF], counts[ClosedBy.AGED]) if counts else None
