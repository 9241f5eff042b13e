"""Plans: everything that a seed decides in advance, as plain values."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from random import Random

import numpy as np

from handlers.slack_notifier import CLOCK_SKEW
from services.core.prices import to_datetime
from tests.fakes.market import CALENDAR

MAX_STEPS = 1_200  # about as many steps as a busy run has
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CHANNELS, QUIET = ("C1", "C2"), "C3"  # QUIET never has a rule
DAYS = (
    date(2026, 3, 3),  # an ordinary session
    date(2026, 3, 6),  # before daylight saving time starts
    date(2026, 10, 30),  # before daylight saving time ends
    date(2026, 11, 25),  # before a holiday and an early close
    date(2026, 11, 27),  # an early close
)
# the only repeating rule, so that its entries are unique
REPEATING = "1d 8pp above clear 5pp for 0s keep 10m repeat 30m"
RULES = (
    "1d 8pp",
    "1d 8pp for 0s",
    "1d 12pp for 10m",
    "1d 6pp below for 0s",
    "1d 9pp above clear 7pp for 0s",
    "5d 10pp for 0s",
    "1d 8pp at close",
    "5d 9pp at close",
    "1d residual 9pp for 0s",
    "gap 4% for 0s",
    "5d 9pp for 0s keep 10m",
    REPEATING,
)
NETWORK_RULES = (
    "1d difficulty 4% for 0s",
    "1d difficulty 4% at close",
    "5d difficulty 4% for 0s keep 10m",
    "1d hashprice 4% for 0s",
    "1d hashprice 6% below",
    "5d hashprice 5% at close",
)
SPREADS = (0.0, 0.03, 0.05, 0.07, 0.085, 0.095, 0.11, 0.13, 0.14, -0.07, -0.09, -0.13)


class SourceFault(Enum):
    """A fault of a price source."""

    OUT = "outage"
    LATE = "late"
    STALE = "repeats an old trade"
    BACKWARDS = "sometimes responds from an old cache"
    TENFOLD = "ten times too high"
    OFF = "3% off"
    MISSING = "omits the newest"
    AHEAD = "in the future"
    WRONG_CLOSE = "a close that is corrected later"


class SlackFault(Enum):
    """A fault of Slack."""

    LIMITED = "429"
    DOWN = "503, not accepted"
    ACCEPTED = "500, accepted"
    LOST = "accepted, no response"
    CUT = "connection cut, accepted or not"
    SLOW = "connection cut, accepted seconds later"
    REFUSING = "connection refused"
    ARCHIVED = "is_archived"
    REVOKED = "token_revoked"
    TOO_LONG = "msg_too_long"
    UNKNOWN = "unknown error code"
    BLOCKS = "invalid_blocks"


class Action(Enum):
    """An action of a person."""

    ADD = "adds a rule"
    REMOVE = "removes a rule"
    EDIT = "edits a rule"
    PAUSE = "pauses a rule"
    RESUME = "resumes a rule"
    ACKNOWLEDGE = "acknowledges"
    UNACKNOWLEDGE = "unacknowledges"
    SNOOZE = "snoozes"
    UNSNOOZE = "ends a snooze"
    RESOLVE = "resolves"
    DELETE = "deletes a message"
    MUTE = "mutes"
    UNMUTE = "unmutes"
    QUIET = "sets quiet hours"
    SET_MENTIONS = "sets mentions"
    SET_NOTIFICATIONS = "sets notifications"


SETTING_ACTIONS = (Action.MUTE, Action.QUIET, Action.SET_MENTIONS, Action.SET_NOTIFICATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPeriod:
    """A fault of a source or channel, `who`, from `begin` to `end`."""

    what: SourceFault | SlackFault
    who: str
    begin: datetime
    end: datetime

    def covers(self, who: str, at: datetime) -> bool:
        return self.who == who and self.begin <= at < self.end

    def __str__(self) -> str:
        return f"{self.who}: {self.what.value} {self.begin:%d %H:%M} to {self.end:%d %H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """From `at` on, both legs are at this multiple of their base prices."""

    at: datetime
    etf: float
    crypto: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A split from `session` on; each vendor reports it after a delay from the open."""

    session: date
    ratio: float
    known_after: dict[str, timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJump:
    """From `at` on, a machine's clock is off by `offset`."""

    at: datetime
    machine: int
    offset: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """The bitcoin network: retargets with their time and multiple of the base difficulty, rules, and faults."""

    retargets: tuple[tuple[datetime, float], ...] = ()
    rules: tuple[tuple[str, str], ...] = ()
    fault_periods: tuple[FaultPeriod, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run, from `begin`: the market, the faults until `faults_end_at`, and the actions of people.

    Attributes:
        tick_times: The true times of ticks.
        crashes: The steps, counted over all processes, at which a process crashes.
        pauses: The seconds for which a process pauses, by step.
        unmutes: Whether people end every quiet period after the faults.
        closes_at: The last close before the end.
        network: What is drawn for the bitcoin network, from its own random numbers.
    """

    seed: int
    begin: datetime
    tick_times: tuple[datetime, ...]
    faults_end_at: datetime
    moves: tuple[Move, ...]
    fault_periods: tuple[FaultPeriod, ...]
    split: Split | None
    machines: int
    clock_offsets: tuple[timedelta, ...]
    jumps: tuple[ClockJump, ...]
    crashes: frozenset[int]
    pauses: dict[int, float]
    database_fault_rate: float
    slack_fault_rate: float
    readable: bool
    rules: tuple[tuple[str, str], ...]
    actions: tuple[tuple[datetime, Action, str], ...]
    unmutes: bool
    closes_at: datetime
    network: NetworkPlan

    @property
    def can_find_posts(self) -> bool:
        """Whether a post can be found after a lost response: history is readable, and no clock is too far ahead."""
        return self.readable and self.clocks_agree and all(jump.offset <= CLOCK_SKEW for jump in self.jumps)

    @property
    def clocks_agree(self) -> bool:
        """Whether no machine that shares its work has a slow clock, by which others would not wait long enough."""
        return self.machines == 1 or all(jump.offset >= 0 * MINUTE for jump in self.jumps)

    def faults_at(self, who: str, at: datetime) -> set[SourceFault | SlackFault]:
        """Return the faults of a source or channel at a time."""
        return {period.what for period in self.all_fault_periods if period.covers(who, at)}

    @property
    def all_fault_periods(self) -> tuple[FaultPeriod, ...]:
        """All faults, including those of the network source."""
        return (*self.fault_periods, *self.network.fault_periods)


NETWORK_SOURCE = "Pool"
ETF_SOURCES, CRYPTO_SOURCES = ("Alpha", "Beta"), ("Gamma", "Delta")
WRONG_PRICES = frozenset({SourceFault.TENFOLD, SourceFault.OFF})
WRONG_SOURCES = (("Alpha",), ("Gamma",))  # two sources that agree are trusted, so no two have the same wrong price


def draw_plan(seed: int) -> Plan:
    """Draw the plan of a seed; the same seed always has the same plan."""
    rng = Random(seed)  # noqa: S311 -- reproducible
    row = int(np.searchsorted(CALENDAR.days, np.datetime64(rng.choice(DAYS))))
    opens, closes = to_datetime(CALENDAR.opens_at[row]), to_datetime(CALENDAR.closes_at[row])
    opens_next, closes_next = to_datetime(CALENDAR.opens_at[row + 1]), to_datetime(CALENDAR.closes_at[row + 1])
    faulty, calm = _tick_times(rng, opens, closes, opens_next, closes_next)
    machines = rng.choice((1, 1, 2))
    begin, faults_end_at = faulty[0] - 10 * MINUTE, calm[0] - 2 * MINUTE
    return Plan(
        seed=seed,
        begin=begin,
        tick_times=(*faulty, *calm),
        faults_end_at=faults_end_at,
        moves=_moves(rng, faulty, closes),
        fault_periods=(
            *_fault_periods(rng, begin, faults_end_at),
            *(_wrong_closes(rng, closes, opens_next, faults_end_at) if rng.random() < 0.3 else ()),
        ),
        split=_split(rng, CALENDAR.days[row + 1].astype(object)) if rng.random() < 0.1 else None,
        machines=machines,
        clock_offsets=tuple(timedelta(seconds=rng.uniform(-2, 2)) for _ in range(machines)),
        jumps=_jumps(rng, begin, faults_end_at, machines) if rng.random() < 0.25 else (),
        crashes=frozenset(rng.randrange(MAX_STEPS) for _ in range(rng.choice((0, 0, 1, 1, 2, 4)))),
        pauses={rng.randrange(MAX_STEPS): rng.choice((5.0, 70.0, 200.0)) for _ in range(rng.choice((0, 0, 0, 1, 2)))},
        database_fault_rate=rng.choice((0.0, 0.0, 0.0, 0.01)),
        slack_fault_rate=rng.choice((0.0, 0.1, 0.3)),
        readable=rng.random() < 0.8,
        rules=tuple((channel, text) for channel in CHANNELS for text in rng.sample(RULES, rng.choice((1, 2, 4)))),
        actions=tuple(sorted(_actions(rng, begin, faults_end_at), key=lambda action: action[0])),
        unmutes=rng.random() < 0.5,
        closes_at=closes_next,
        network=_network(seed, begin, faults_end_at),
    )


def _network(seed: int, begin: datetime, end: datetime) -> NetworkPlan:
    """Draw rules on the network in half of all runs, mostly with a retarget, and some with a failing source."""
    rng = Random(f"{seed} network")  # noqa: S311 -- reproducible
    if rng.random() < 0.5:
        return NetworkPlan()
    rules = [(channel, text) for channel in CHANNELS for text in rng.sample(NETWORK_RULES, rng.choice((0, 1, 2)))]
    at = begin + (2 * HOUR if rng.random() < 0.6 else end - begin) * rng.random()
    periods = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        what = rng.choice((SourceFault.OUT, SourceFault.STALE, SourceFault.LATE, SourceFault.MISSING))
        span = _span(rng, begin, end)
        periods.append(FaultPeriod(what=what, who=NETWORK_SOURCE, begin=span[0], end=span[1]))
    return NetworkPlan(
        retargets=((at, rng.choice((0.94, 0.97, 1.03, 1.06, 1.08))),) if rng.random() < 0.8 else (),
        rules=tuple(rules),
        fault_periods=tuple(periods),
    )


def _tick_times(
    rng: Random, opens: datetime, closes: datetime, opens_next: datetime, closes_next: datetime
) -> tuple[list[datetime], list[datetime]]:
    """Draw tick times: some of the first session, perhaps its end and the night, and the next session to its end."""
    morning = [opens + (2 + 5 * n) * MINUTE for n in range(rng.choice((3, 5, 8)))]
    close = [closes + n * MINUTE for n in (-10, -5, 1, 20, 70)] if rng.random() < 0.7 else []
    night = [closes + n * HOUR for n in (3, 9)] if rng.random() < 0.5 else []
    next_morning = [opens_next + (5 * n - 4) * MINUTE for n in range(rng.choice((2, 4)))]
    begin = next_morning[-1]
    calm = [begin + 5 * n * MINUTE for n in (1, 2, 7)] + [closes_next + n * MINUTE for n in (20, 70)]
    jitter = timedelta(seconds=rng.uniform(0, 3))
    return [at + jitter for at in (*morning, *close, *night, *next_morning)], [at + jitter for at in calm]


def _moves(rng: Random, faulty: list[datetime], closes: datetime) -> tuple[Move, ...]:
    """Move the legs a minute before a tick; at the end both are as they were at the first close."""
    spread, crypto, moves = 0.0, 1.0, list[Move]()
    for at in faulty:
        if rng.random() < 0.45:
            spread = rng.choice(SPREADS)
        if rng.random() < 0.2:
            crypto = rng.choice((0.94, 0.97, 1.0, 1.02, 1.05))
        moves.append(Move(at=at - MINUTE, etf=crypto * (1 + spread), crypto=crypto))
    settled = max((move for move in moves if move.at <= closes), key=lambda move: move.at)
    return (*moves, Move(at=faulty[-1] + MINUTE, etf=settled.etf, crypto=settled.crypto))


def _fault_periods(rng: Random, begin: datetime, end: datetime) -> tuple[FaultPeriod, ...]:
    periods = []
    all_sources = ETF_SOURCES + CRYPTO_SOURCES
    for _ in range(rng.choice((0, 1, 2, 4))):
        what = rng.choice(list(SourceFault))
        who = rng.choice((ETF_SOURCES, CRYPTO_SOURCES, all_sources, *((one,) for one in all_sources)))
        if what in WRONG_PRICES:
            who = rng.choice(WRONG_SOURCES)
        span = _span(rng, begin, end)
        periods += [FaultPeriod(what=what, who=one, begin=span[0], end=span[1]) for one in who]
    for _ in range(rng.choice((0, 0, 1, 2))):
        what_slack, span = rng.choice(list(SlackFault)), _span(rng, begin, end)
        everywhere = what_slack is SlackFault.REVOKED or rng.random() < 0.3
        for channel in CHANNELS if everywhere else (rng.choice(CHANNELS),):
            periods.append(FaultPeriod(what=what_slack, who=channel, begin=span[0], end=span[1]))
    return tuple(periods)


def _wrong_closes(
    rng: Random, closes: datetime, opens_next: datetime, faults_end_at: datetime
) -> tuple[FaultPeriod, ...]:
    """Return a wrong close at every vendor, corrected an hour or a night later; a single one would not be trusted."""
    end = min(rng.choice((closes + HOUR, opens_next + 4 * MINUTE, opens_next + 9 * MINUTE)), faults_end_at)
    return tuple(FaultPeriod(what=SourceFault.WRONG_CLOSE, who=who, begin=closes, end=end) for who in ETF_SOURCES)


def _span(rng: Random, begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    length = rng.choice((3 * MINUTE, 15 * MINUTE, 45 * MINUTE, 3 * HOUR, 20 * HOUR))
    first = begin + rng.random() * (end - begin) if rng.random() < 0.3 else begin + rng.random() * 2 * HOUR
    return first, min(first + length, end)


def _split(rng: Random, session: date) -> Split:
    late = {name: rng.choice((0, 0, 10, 40)) * MINUTE for name in ETF_SOURCES}
    ratio = rng.choice((10.0, 0.1))  # a smaller ratio would look like a price move until it is declared
    return Split(session=session, ratio=ratio, known_after=late)


def _jumps(rng: Random, begin: datetime, end: datetime, machines: int) -> tuple[ClockJump, ...]:
    """Set a clock wrong, and right again before the faults end; time zones don't matter to a clock in UTC."""
    machine, offset = rng.randrange(machines), rng.choice((-90, -10, -1, 1, 4, 90)) * MINUTE
    wrong_at, right_at = _span(rng, begin, end)
    return (
        ClockJump(at=wrong_at, machine=machine, offset=offset),
        ClockJump(at=right_at, machine=machine, offset=0 * MINUTE),
    )


def _actions(rng: Random, begin: datetime, end: datetime) -> list[tuple[datetime, Action, str]]:
    """Draw some settings at the beginning, and any actions at any time."""
    actions, length = list(Action), end - begin
    times = [begin + (rng.random() * 2 * HOUR if rng.random() < 0.7 else rng.random() * length) for _ in range(20)]
    first = [
        (begin + rng.random() * MINUTE, action, rng.choice(CHANNELS))
        for action in SETTING_ACTIONS
        if rng.random() < 0.3
    ]
    return [*first, *((at, rng.choice(actions), rng.choice(CHANNELS)) for at in times[: rng.choice((0, 6, 12, 20))])]
