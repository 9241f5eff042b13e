"""Past episodes of a rule from a replay: duration, what followed, and forward returns beside those of any session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

import numpy as np

from services.core.statistics import LOOKBACK_SESSIONS
from services.market.align import Aligned
from services.market.measure import Window, anchors
from services.research.follow_up import FOLLOW_UP_SESSIONS, FollowUp, GapFollower, Outcome, summarize_outcomes
from services.rules.decide import Change, Side
from services.rules.replay import RuleReplay, Step, replay
from services.rules.rule import Rule

HORIZONS = (FOLLOW_UP_SESSIONS, 20)  # sessions after a firing
RECORD_SESSIONS = 504  # sessions (two years) in an alert's track record


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
class ForwardBenchmark:
    """Medians over `sessions` from every close of the same history, as fractions: what happens without an alert.

    Attributes:
        spread_change: Of the spread's widening in the direction of the episodes, in their proportion of both sides.
        grew: The share of those in which it widened.
    """

    sessions: int
    etf: float
    crypto: float
    spread_change: float
    grew: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEpisode:
    """One past episode of a rule.

    Attributes:
        fired_on: Session of the firing.
        value: Value at the firing, in the rule's unit.
        peak: Largest value, in the rule's unit.
        ended_on: Session of the end; None while the episode is open.
        length: Duration in sessions.
        outcome: Whether the gap was closed 5 sessions later; None if unknown, or if the rule is not on the gap itself.
        started_before: The history begins inside the episode, so that its start is unknown.
        forward_returns: Returns per horizon; horizons with missing prices are left out.
        non_overlapping: True if its window shares no session with that of the previous non-overlapping episode.
    """

    side: Side
    fired_on: date
    value: float
    peak: float
    ended_on: date | None
    length: int
    outcome: Outcome | None
    forward_returns: tuple[ForwardReturn, ...]
    non_overlapping: bool
    started_before: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """Summary of the episodes of a rule that fired in the last 504 sessions; the alert's own is in none of the counts.

    Attributes:
        since: First of these sessions at which the rule could be measured.
        sessions: Measured sessions from `since` on.
        episodes: Number of episodes that fired and ended.
        median_length: Their median duration in sessions.
        open_side: Side of an episode that is still open: the alert's own, or the one that the alert ends.
        was_open: An earlier episode lasted into these sessions; it is not counted.
        follow_up: How often the gap was closed 5 sessions after earlier alerts, over the whole history.
        follow_up_since: First session of that history at which the rule could be measured; None in older records.
    """

    since: date
    sessions: int
    episodes: int
    median_length: float | None
    open_side: Side | None = None
    was_open: bool = False
    follow_up: FollowUp | None = None
    follow_up_since: date | None = None

    @property
    def per_year(self) -> float:
        """Ended episodes a year."""
        return self.episodes / self.sessions * LOOKBACK_SESSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """A rule's replay over all sessions of a history, with each episode; `benchmarks` has one row per horizon."""

    replay: RuleReplay
    episodes: tuple[PastEpisode, ...]
    benchmarks: tuple[ForwardBenchmark, ...] = ()

    @property
    def follow_up(self) -> FollowUp | None:
        """How often the gap was closed 5 sessions later; None if that is known of no episode."""
        return _follow_up(self.episodes)

    @property
    def non_overlapping(self) -> int:
        """Largest number of episodes whose windows share no session."""
        return sum(episode.non_overlapping for episode in self.episodes)

    def benchmark(self, sessions: int) -> ForwardBenchmark | None:
        """Return what any sessions of this number brought; None if the history is too short."""
        return next((benchmark for benchmark in self.benchmarks if benchmark.sessions == sessions), None)

    def forward_returns(self, sessions: int) -> list[tuple[Side, ForwardReturn]]:
        """Return the side and the forward return of each episode that has one for this number of sessions."""
        return [
            (episode.side, forward)
            for episode in self.episodes
            for forward in episode.forward_returns
            if forward.sessions == sessions
        ]


def backtest(aligned: Aligned, rule: Rule) -> Backtest:
    """Replay a rule on all sessions of a history, decided at each close. Raises ReplayError."""
    return build_backtest(aligned, replay(aligned, [rule]).rules[0])


def build_backtest(aligned: Aligned, replayed: RuleReplay) -> Backtest:
    """Build a backtest from a replay that ends with the last row of `aligned`."""
    episodes = tuple(_past_episodes(aligned, replayed))
    above = sum(episode.side is Side.ABOVE for episode in episodes)
    benchmarks = [_benchmark(aligned, horizon, above, len(episodes) - above) for horizon in HORIZONS]
    return Backtest(
        replay=replayed, episodes=episodes, benchmarks=tuple(benchmark for benchmark in benchmarks if benchmark)
    )


def compute_track_record(aligned: Aligned, rule: Rule) -> TrackRecord | None:
    """Summarize what fired in the last two years, up to the last row, for one of a rule's alerts.

    The rule is replayed over the whole history, so that none of its episodes begins at the edge of the two years. An
    episode that is open at the last row is the alert's own; on the other side, it is the one that the alert ends.
    Return None if the rule could not be measured in these sessions. Raises ReplayError.
    """
    replayed = replay(aligned, [rule]).rules[0]
    window, series = rule.window or Window.D1, rule.metric.series
    first = max(0, len(aligned) - RECORD_SESSIONS)
    known = np.flatnonzero(np.isfinite(series(aligned, window))) if series else np.array([])
    measured = known[known >= first]
    if not len(measured):
        return None
    edge = aligned.sessions[first].item()
    episodes = _past_episodes(aligned, replayed)
    inside = [episode for episode in episodes if episode.fired_on >= edge and not episode.started_before]
    ended = [episode for episode in inside if episode.ended_on is not None]
    follow_up = _follow_up(episodes)
    return TrackRecord(
        since=aligned.sessions[measured[0]].item(),
        sessions=len(measured),
        episodes=len(ended),
        median_length=median(episode.length for episode in ended) if ended else None,
        open_side=episodes[-1].side if episodes and episodes[-1].ended_on is None else None,
        was_open=any(
            episode.fired_on < edge and (episode.ended_on is None or episode.ended_on > edge) for episode in episodes
        ),
        follow_up=follow_up,
        follow_up_since=aligned.sessions[known[0]].item() if follow_up else None,
    )


def _follow_up(episodes: Sequence[PastEpisode]) -> FollowUp | None:
    return summarize_outcomes([episode.outcome for episode in episodes if episode.outcome])


def _benchmark(aligned: Aligned, horizon: int, above: int, below: int) -> ForwardBenchmark | None:
    """Return the medians over every `horizon` sessions, with sides in the proportion of the episodes."""
    etf, crypto = (prices[horizon:] / prices[:-horizon] - 1 for prices in (aligned.etf, aligned.crypto))
    known = np.isfinite(etf) & np.isfinite(crypto)
    if not known.any() or not above + below:
        return None
    change = (etf - crypto)[known]
    signed = np.concatenate([change] * above + [-change] * below)
    return ForwardBenchmark(
        sessions=horizon,
        etf=float(np.median(etf[known])),
        crypto=float(np.median(crypto[known])),
        spread_change=float(np.median(signed)),
        grew=float((signed > 0).mean()),
    )


def _past_episodes(aligned: Aligned, replayed: RuleReplay) -> list[PastEpisode]:
    """Pair each firing with its end, and measure the rows between and after."""
    fired = [step for step in replayed.steps if step.change is Change.FIRING]
    resolved = [step for step in replayed.steps if step.change is Change.RESOLVED]
    ends: list[Step | None] = [*resolved, *[None] * (len(fired) - len(resolved))]
    window = replayed.rule.window or Window.D1
    start, series = anchors(aligned, window), replayed.rule.metric.series
    values = series(aligned, window) if series else np.full(len(aligned), np.nan)
    follower = GapFollower(aligned, replayed.rule)
    episodes, blocked_until = list[PastEpisode](), dict.fromkeys((0, *HORIZONS), -1)
    first_measured = int(np.argmax(np.isfinite(values)))
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
                outcome=follower.follow(row, int(start[row]), step.side),
                forward_returns=tuple(
                    ForwardReturn(sessions=horizon, etf=etf, crypto=crypto, non_overlapping=non_overlapping[horizon])
                    for horizon, (etf, crypto) in forward.items()
                ),
                non_overlapping=non_overlapping[0],
                started_before=row == first_measured,
            )
        )
    return episodes


def _row(aligned: Aligned, step: Step) -> int:
    return int(np.searchsorted(aligned.sessions, np.datetime64(step.session)))


def _forward_return(aligned: Aligned, row: int, horizon: int) -> tuple[float, float] | None:
    later = row + horizon
    if later >= len(aligned) or not (aligned.complete[row] and aligned.complete[later]):
        return None
    return float(aligned.etf[later] / aligned.etf[row] - 1), float(aligned.crypto[later] / aligned.crypto[row] - 1)
