"""Past episodes of a rule from a replay: duration, how they closed, and forward returns."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from statistics import median

import numpy as np
from numpy.typing import NDArray

from services.market.align import Aligned
from services.market.measure import Window, anchors
from services.rules.decide import Change, Side, is_cleared
from services.rules.replay import RuleReplay, Step, replay
from services.rules.rule import Rule

HORIZONS = (5, 20)  # sessions after a firing
FALSE_ALARM_SESSIONS = HORIZONS[0]
RECORD_SESSIONS = 504  # sessions (two years) in an alert's track record


class ClosedBy(Enum):
    """How an episode closed: by a leg that closed the gap, or because the opening move rolled out of the window."""

    CRYPTO = "crypto"
    ETF = "etf"
    ROLLED_OFF = "aged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardReturn:
    """Returns of both legs over the `sessions` after a firing, as fractions from the close at which it fired.

    Attributes:
        non_overlapping: True if the previous non-overlapping episode ended its forward span before this window began.
    """

    sessions: int
    etf: float
    crypto: float
    non_overlapping: bool

    def spread_change(self, side: Side) -> float:
        """Return how far the spread widened in the direction of the episode; negative if it narrowed."""
        return side.sign * (self.etf - self.crypto)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEpisode:
    """One past episode of a rule.

    Attributes:
        fired_on: Session of the firing.
        value: Value at the firing, in the rule's unit.
        peak: Largest value, in the rule's unit.
        ended_on: Session of the end; None while the episode is open.
        length: Duration in sessions.
        closed_by: How it closed; None while open, and for a metric that is not a divergence.
        false_alarm: True if the metric was below its clear level 5 sessions after the firing, measured from the first
            close of the window. None if that is unknown.
        forward_returns: Returns per horizon; horizons with missing prices are left out.
        non_overlapping: True if its window shares no session with that of the previous non-overlapping episode.
    """

    side: Side
    fired_on: date
    value: float
    peak: float
    ended_on: date | None
    length: int
    closed_by: ClosedBy | None
    false_alarm: bool | None
    forward_returns: tuple[ForwardReturn, ...]
    non_overlapping: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """Summary of a rule's earlier episodes; an open episode is in none of the counts.

    Attributes:
        since: First session at which the rule could be measured.
        sessions: Sessions from `since` on.
        episodes: Number of closed episodes.
        median_length: Median duration in sessions.
        closings: Number of episodes closed by bitcoin, by the ETF, and by neither.
        open_side: Side of an episode that is still open.
    """

    since: date
    sessions: int
    episodes: int
    median_length: float | None
    closings: tuple[int, int, int] | None
    open_side: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """A rule's replay over all history, with each episode."""

    replay: RuleReplay
    episodes: tuple[PastEpisode, ...]

    @property
    def false_alarms(self) -> tuple[int, int]:
        """Number of false alarms, and number of episodes for which that is known."""
        known = [episode.false_alarm for episode in self.episodes if episode.false_alarm is not None]
        return sum(known), len(known)

    @property
    def non_overlapping(self) -> int:
        """Largest number of episodes whose windows share no session."""
        return sum(episode.non_overlapping for episode in self.episodes)

    @property
    def closings(self) -> tuple[int, int, int] | None:
        """Number of episodes closed by bitcoin, by the ETF and by neither; None if there are none."""
        return _count_closings(self.episodes)

    def forward_returns(self, sessions: int) -> list[tuple[Side, ForwardReturn]]:
        """Return the side and the forward return of each episode that has one for this number of sessions."""
        return [
            (episode.side, forward)
            for episode in self.episodes
            for forward in episode.forward_returns
            if forward.sessions == sessions
        ]


def backtest(aligned: Aligned, rule: Rule) -> Backtest:
    """Replay a rule on all history, decided at each close. Raises ReplayError."""
    return build_backtest(aligned, replay(aligned, [rule]).rules[0])


def build_backtest(aligned: Aligned, replayed: RuleReplay) -> Backtest:
    """Build a backtest from a replay that ends with the last row of `aligned`."""
    return Backtest(replay=replayed, episodes=tuple(_past_episodes(aligned, replayed)))


def compute_track_record(aligned: Aligned, rule: Rule) -> TrackRecord | None:
    """Summarize the last two years of a rule, up to the last row, for one of its alerts.

    An episode that is open at the last row is the alert's own; on the other side, it is the one that the alert ends.
    Return None if the rule could never be measured. Raises ReplayError.
    """
    first = aligned.sessions[max(0, len(aligned) - RECORD_SESSIONS)].astype(object)
    replayed = replay(aligned, [rule], first=first).rules[0]
    if replayed.measured_range is None:
        return None
    episodes = _past_episodes(aligned, replayed)
    closed = [episode for episode in episodes if episode.ended_on is not None]
    since = replayed.measured_range[0]
    return TrackRecord(
        since=since,
        sessions=int((aligned.sessions >= np.datetime64(since)).sum()),
        episodes=len(closed),
        median_length=median(episode.length for episode in closed) if closed else None,
        closings=_count_closings(closed),
        open_side=episodes[-1].side if len(episodes) > len(closed) else None,
    )


def _past_episodes(aligned: Aligned, replayed: RuleReplay) -> list[PastEpisode]:
    """Pair each firing with its end, and measure the rows between and after."""
    fired = [step for step in replayed.steps if step.change is Change.FIRING]
    resolved = [step for step in replayed.steps if step.change is Change.RESOLVED]
    ends: list[Step | None] = [*resolved, *[None] * (len(fired) - len(resolved))]
    window = replayed.rule.window or Window.D1
    start, series = anchors(aligned, window), replayed.rule.metric.series
    values = series(aligned, window) if series else np.full(len(aligned), np.nan)
    weight_of = replayed.rule.metric.crypto_weight
    weights = weight_of(aligned) if weight_of else np.full(len(aligned), np.nan)
    episodes, blocked_until = list[PastEpisode](), dict.fromkeys((0, *HORIZONS), -1)
    is_divergence = replayed.rule.metric.is_divergence
    for step, end, length in zip(fired, ends, replayed.episode_lengths, strict=True):
        row, last = _row(aligned, step), _row(aligned, end) if end else len(aligned) - 1
        forward = {
            horizon: both_returns for horizon in HORIZONS if (both_returns := _forward_return(aligned, row, horizon))
        }
        non_overlapping = {horizon: int(start[row]) >= blocked_until[horizon] for horizon in (0, *forward)}
        blocked_until |= {horizon: row + horizon for horizon, is_free in non_overlapping.items() if is_free}
        signed = step.side.sign * values[row : last + (end is None)]
        peak = row + int(np.nanargmax(signed))
        episodes.append(
            PastEpisode(
                side=step.side,
                fired_on=step.session,
                value=step.value,
                peak=float(values[peak]),
                ended_on=end.session if end else None,
                length=length,
                closed_by=_closed_by(aligned, start, step.side, peak, last) if end and is_divergence else None,
                false_alarm=_is_false_alarm(
                    aligned, replayed.rule, row, step.side, anchor=int(start[row]), beta=float(weights[start[row]])
                ),
                forward_returns=tuple(
                    ForwardReturn(sessions=horizon, etf=etf, crypto=crypto, non_overlapping=non_overlapping[horizon])
                    for horizon, (etf, crypto) in forward.items()
                ),
                non_overlapping=non_overlapping[0],
            )
        )
    return episodes


def _row(aligned: Aligned, step: Step) -> int:
    return int(np.searchsorted(aligned.sessions, np.datetime64(step.session)))


def _closed_by(aligned: Aligned, start: NDArray[np.intp], side: Side, peak: int, end: int) -> ClosedBy:
    """Return what narrowed the gap most from its peak to its end, in log returns, which add up to the gap's change.

    The ETF came back, bitcoin caught up, or the move rolled out of the window.
    """
    etf, crypto = np.log(aligned.etf), np.log(aligned.crypto)
    gap = etf - crypto
    narrowing = {
        ClosedBy.ETF: -side.sign * (etf[end] - etf[peak]),
        ClosedBy.CRYPTO: side.sign * (crypto[end] - crypto[peak]),
        ClosedBy.ROLLED_OFF: side.sign * (gap[start[end]] - gap[start[peak]]),
    }
    return max(narrowing, key=narrowing.__getitem__)


def _is_false_alarm(aligned: Aligned, rule: Rule, row: int, side: Side, *, anchor: int, beta: float) -> bool | None:
    """Return whether the gap was below the clear level 5 sessions later; None if that is unknown.

    Bitcoin's return from `anchor`, the first row of the window, counts with `beta`.
    """
    later = row + FALSE_ALARM_SESSIONS
    if rule.metric.crypto_weight is None or later >= len(aligned) or not aligned.complete[later]:
        return None
    etf, crypto = (prices[later] / prices[anchor] - 1 for prices in (aligned.etf, aligned.crypto))
    return is_cleared(etf - beta * crypto, rule, side)


def _forward_return(aligned: Aligned, row: int, horizon: int) -> tuple[float, float] | None:
    later = row + horizon
    if later >= len(aligned) or not (aligned.complete[row] and aligned.complete[later]):
        return None
    return float(aligned.etf[later] / aligned.etf[row] - 1), float(aligned.crypto[later] / aligned.crypto[row] - 1)


def _count_closings(episodes: Sequence[PastEpisode]) -> tuple[int, int, int] | None:
    counts = Counter(episode.closed_by for episode in episodes if episode.closed_by)
    return (counts[ClosedBy.CRYPTO], counts[ClosedBy.ETF], counts[ClosedBy.ROLLED_OFF]) if counts else None
