"""Plans: everything that a seed decides beforehand, in plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from random import Random

import numpy as np

from handlers.find_message import CLOCK_SKEW
from services.core.prices import to_datetime
from tests.fakes.market import CALENDAR

PASSAGES = 1_200  # about as many as a busy run has
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CHANNELS, QUIET = ("C1", "C2"), "C3"  # nobody ever has a rule in the quiet one
DAYS = (
    date(2026, 3, 3),  # an ordinary one
    date(2026, 3, 6),  # then the clocks go forward
    date(2026, 10, 30),  # then they go back
    date(2026, 11, 25),  # then a holiday, and half a day
    date(2026, 11, 27),  # half a day
)
REPEATING = "1d 8pp above clear 5pp for 0s keep 10m repeat 30m"  # the only one, so that its lines can be told apart
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


class Trouble(Enum):
    """What can be wrong with a source of prices."""

    OUT = "out"
    LATE = "late"
    STALE = "repeats an old trade"
    BACKWARDS = "answers from an older cache now and then"
    TENFOLD = "ten times too high"
    OFF = "3% off"
    MISSING = "leaves the newest out"
    AHEAD = "of the future"
    WRONG_CLOSE = "a close that it corrects later"


class Weather(Enum):
    """What can be wrong with Slack."""

    LIMITED = "429"
    DOWN = "503, and not taken"
    TAKEN = "500, and taken"
    LOST = "taken, and never answered"
    CUT = "connection cut, taken or not"
    SLOW = "connection cut, and taken seconds later"
    REFUSING = "no connection"
    ARCHIVED = "is_archived"
    REVOKED = "token_revoked"
    TOO_LONG = "msg_too_long"
    STRANGE = "an error code that nobody knows"
    BLOCKS = "invalid_blocks"


class Act(Enum):
    """What people do."""

    ADD = "adds a rule"
    REMOVE = "removes a rule"
    EDIT = "edits a rule"
    PAUSE = "pauses a rule"
    RESUME = "resumes a rule"
    ACKNOWLEDGE = "acknowledges"
    UNACKNOWLEDGE = "unacknowledges"
    SNOOZE = "snoozes"
    RESOLVE = "resolves by hand"
    DELETE = "deletes a message"
    MUTE = "mutes"
    HEAR = "unmutes"
    QUIET = "sets quiet hours"
    CALL = "sets whom to call"
    TELL = "sets what is told"


SETTING = (Act.MUTE, Act.QUIET, Act.CALL, Act.TELL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Something that is wrong with `who` from `begin` to `end`."""

    what: Trouble | Weather
    who: str
    begin: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.who}: {self.what.value} {self.begin:%d %H:%M} to {self.end:%d %H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """From `at` on both legs stand at this many times what they usually would."""

    at: datetime
    etf: float
    coin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """New shares for one old one from the session on; a vendor tells of it so long after the opening."""

    session: date
    ratio: float
    known_after: dict[str, timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A machine's clock is `off` from `at` on."""

    at: datetime
    machine: int
    off: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """The network's retargets, from when on and to how many times the usual difficulty; rules on it; faults."""

    retargets: tuple[tuple[datetime, float], ...] = ()
    rules: tuple[tuple[str, str], ...] = ()
    spells: tuple[Spell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run, from `begin`: the market, what goes wrong until `calm_at`, and what people do.

    `looks` are the instants of ticks. A process dies at each of the passages of `deaths`, counted over all of them, and
    stands still at those of `stops` for so long. `closes_at` is the last close before the end.
    Where it `hears`, every silence is ended by hand once all is calm. What is drawn of the bitcoin `network` is drawn
    apart.
    """

    seed: int
    begin: datetime
    looks: tuple[datetime, ...]
    calm_at: datetime
    moves: tuple[Move, ...]
    spells: tuple[Spell, ...]
    split: Split | None
    machines: int
    skews: tuple[timedelta, ...]
    jumps: tuple[Jump, ...]
    deaths: frozenset[int]
    stops: dict[int, float]
    bad_commits: float
    slack_faults: float
    readable: bool
    rules: tuple[tuple[str, str], ...]
    acts: tuple[tuple[datetime, Act, str], ...]
    hears: bool
    closes_at: datetime
    network: NetworkPlan

    @property
    def looks_up(self) -> bool:
        """Whether a lost answer can be cleared up: history may be read, and no clock is ahead of where it looks."""
        return self.readable and self.agrees and all(jump.off <= CLOCK_SKEW for jump in self.jumps)

    @property
    def agrees(self) -> bool:
        """Whether no machine that shares its work has a clock which is behind: others would not wait long enough."""
        return self.machines == 1 or all(jump.off >= 0 * MINUTE for jump in self.jumps)

    def wrong(self, who: str, at: datetime) -> set[Trouble | Weather]:
        """Tell what is wrong with somebody at an instant."""
        return {spell.what for spell in self.all_spells if spell.who == who and spell.begin <= at < spell.end}

    @property
    def all_spells(self) -> tuple[Spell, ...]:
        """Everything that is wrong, the network's source included."""
        return (*self.spells, *self.network.spells)


POOL = "Pool"
VENDORS, VENUES = ("Alpha", "Beta"), ("Gamma", "Delta")
LIES = frozenset({Trouble.TENFOLD, Trouble.OFF})
LIARS = (("Alpha",), ("Gamma",))  # what two sources agree on is believed, so that no two tell the same lie


def draw(seed: int) -> Plan:
    """Draw a plan; the same seed gives the same one for ever."""
    rng = Random(seed)  # noqa: S311 -- to be drawn again
    row = int(np.searchsorted(CALENDAR.days, np.datetime64(rng.choice(DAYS))))
    opens, closes = to_datetime(CALENDAR.opens_at[row]), to_datetime(CALENDAR.closes_at[row])
    opens_next, closes_next = to_datetime(CALENDAR.opens_at[row + 1]), to_datetime(CALENDAR.closes_at[row + 1])
    restless, calm = _looks(rng, opens, closes, opens_next, closes_next)
    machines = rng.choice((1, 1, 2))
    begin, calm_at = restless[0] - 10 * MINUTE, calm[0] - 2 * MINUTE
    return Plan(
        seed=seed,
        begin=begin,
        looks=(*restless, *calm),
        calm_at=calm_at,
        moves=_moves(rng, restless, closes),
        spells=(
            *_spells(rng, begin, calm_at),
            *(_wrong_closes(rng, closes, opens_next, calm_at) if rng.random() < 0.3 else ()),
        ),
        split=_split(rng, CALENDAR.days[row + 1].astype(object)) if rng.random() < 0.1 else None,
        machines=machines,
        skews=tuple(timedelta(seconds=rng.uniform(-2, 2)) for _ in range(machines)),
        jumps=_jumps(rng, begin, calm_at, machines) if rng.random() < 0.25 else (),
        deaths=frozenset(rng.randrange(PASSAGES) for _ in range(rng.choice((0, 0, 1, 1, 2, 4)))),
        stops={rng.randrange(PASSAGES): rng.choice((5.0, 70.0, 200.0)) for _ in range(rng.choice((0, 0, 0, 1, 2)))},
        bad_commits=rng.choice((0.0, 0.0, 0.0, 0.01)),
        slack_faults=rng.choice((0.0, 0.1, 0.3)),
        readable=rng.random() < 0.8,
        rules=tuple((channel, text) for channel in CHANNELS for text in rng.sample(RULES, rng.choice((1, 2, 4)))),
        acts=tuple(sorted(_acts(rng, begin, calm_at), key=lambda act: act[0])),
        hears=rng.random() < 0.5,
        closes_at=closes_next,
        network=_network(seed, begin, calm_at),
    )


def _network(seed: int, begin: datetime, end: datetime) -> NetworkPlan:
    """Let half of all runs have rules on the network, most of them a retarget, and some a source that fails."""
    rng = Random(f"{seed} network")  # noqa: S311 -- to be drawn again
    if rng.random() < 0.5:
        return NetworkPlan()
    rules = [(channel, text) for channel in CHANNELS for text in rng.sample(NETWORK_RULES, rng.choice((0, 1, 2)))]
    at = begin + (2 * HOUR if rng.random() < 0.6 else end - begin) * rng.random()
    spells = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        what, span = rng.choice((Trouble.OUT, Trouble.STALE, Trouble.LATE, Trouble.MISSING)), _span(rng, begin, end)
        spells.append(Spell(what=what, who=POOL, begin=span[0], end=span[1]))
    return NetworkPlan(
        retargets=((at, rng.choice((0.94, 0.97, 1.03, 1.06, 1.08))),) if rng.random() < 0.8 else (),
        rules=tuple(rules),
        spells=tuple(spells),
    )


def _looks(
    rng: Random, opens: datetime, closes: datetime, opens_next: datetime, closes_next: datetime
) -> tuple[list[datetime], list[datetime]]:
    """Choose when to look: some of the first session, perhaps its end and the night, and the next one to its end."""
    morning = [opens + (2 + 5 * n) * MINUTE for n in range(rng.choice((3, 5, 8)))]
    close = [closes + n * MINUTE for n in (-10, -5, 1, 20, 70)] if rng.random() < 0.7 else []
    night = [closes + n * HOUR for n in (3, 9)] if rng.random() < 0.5 else []
    again = [opens_next + (5 * n - 4) * MINUTE for n in range(rng.choice((2, 4)))]
    begin = again[-1]
    calm = [begin + 5 * n * MINUTE for n in (1, 2, 7)] + [closes_next + n * MINUTE for n in (20, 70)]
    jitter = timedelta(seconds=rng.uniform(0, 3))
    return [at + jitter for at in (*morning, *close, *night, *again)], [at + jitter for at in calm]


def _moves(rng: Random, restless: list[datetime], closes: datetime) -> tuple[Move, ...]:
    """Move the legs a minute before a look; at the end both stand as they did at the first close."""
    spread, coin, moves = 0.0, 1.0, list[Move]()
    for at in restless:
        if rng.random() < 0.45:
            spread = rng.choice(SPREADS)
        if rng.random() < 0.2:
            coin = rng.choice((0.94, 0.97, 1.0, 1.02, 1.05))
        moves.append(Move(at=at - MINUTE, etf=coin * (1 + spread), coin=coin))
    settled = max((move for move in moves if move.at <= closes), key=lambda move: move.at)
    return (*moves, Move(at=restless[-1] + MINUTE, etf=settled.etf, coin=settled.coin))


def _spells(rng: Random, begin: datetime, end: datetime) -> tuple[Spell, ...]:
    spells = []
    for _ in range(rng.choice((0, 1, 2, 4))):
        what = rng.choice(list(Trouble))
        who = rng.choice((VENDORS, VENUES, VENDORS + VENUES, *((one,) for one in VENDORS + VENUES)))
        if what in LIES:
            who = rng.choice(LIARS)
        span = _span(rng, begin, end)
        spells += [Spell(what=what, who=one, begin=span[0], end=span[1]) for one in who]
    for _ in range(rng.choice((0, 0, 1, 2))):
        what_slack, span = rng.choice(list(Weather)), _span(rng, begin, end)
        everywhere = what_slack is Weather.REVOKED or rng.random() < 0.3
        for channel in CHANNELS if everywhere else (rng.choice(CHANNELS),):
            spells.append(Spell(what=what_slack, who=channel, begin=span[0], end=span[1]))
    return tuple(spells)


def _wrong_closes(rng: Random, closes: datetime, opens_next: datetime, calm_at: datetime) -> tuple[Spell, ...]:
    """Let every vendor tell a close that it corrects an hour or a night later: alone, one is not believed."""
    end = min(rng.choice((closes + HOUR, opens_next + 4 * MINUTE, opens_next + 9 * MINUTE)), calm_at)
    return tuple(Spell(what=Trouble.WRONG_CLOSE, who=who, begin=closes, end=end) for who in VENDORS)


def _span(rng: Random, begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    length = rng.choice((3 * MINUTE, 15 * MINUTE, 45 * MINUTE, 3 * HOUR, 20 * HOUR))
    first = begin + rng.random() * (end - begin) if rng.random() < 0.3 else begin + rng.random() * 2 * HOUR
    return first, min(first + length, end)


def _split(rng: Random, session: date) -> Split:
    late = {name: rng.choice((0, 0, 10, 40)) * MINUTE for name in VENDORS}
    ratio = rng.choice((10.0, 0.1))  # a finer one, with its day's move, passes for a move as long as nobody declares it
    return Split(session=session, ratio=ratio, known_after=late)


def _jumps(rng: Random, begin: datetime, end: datetime, machines: int) -> tuple[Jump, ...]:
    """Set a clock wrong, and right again before the calm; the zone tells nothing to a clock that counts in UTC."""
    machine, off = rng.randrange(machines), rng.choice((-90, -10, -1, 1, 4, 90)) * MINUTE
    wrong, right = _span(rng, begin, end)
    return Jump(at=wrong, machine=machine, off=off), Jump(at=right, machine=machine, off=0 * MINUTE)


def _acts(rng: Random, begin: datetime, end: datetime) -> list[tuple[datetime, Act, str]]:
    """Let people set something in some channels at the beginning, and do anything at any time."""
    acts, length = list(Act), end - begin
    times = [begin + (rng.random() * 2 * HOUR if rng.random() < 0.7 else rng.random() * length) for _ in range(20)]
    first = [(begin + rng.random() * MINUTE, act, rng.choice(CHANNELS)) for act in SETTING if rng.random() < 0.3]
    return [*first, *((at, rng.choice(acts), rng.choice(CHANNELS)) for at in times[: rng.choice((0, 6, 12, 20))])]
