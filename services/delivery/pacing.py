"""How fast each workspace is sent to: as fast as Slack accepts."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

MINUTE = timedelta(minutes=1)
MIN_RATE = 1.0  # messages per second in a workspace that Slack has slowed down
BURST_S = 2  # seconds of a rate that may be sent at once
RAISE_EVERY, RAISE_BY = MINUTE, 1.25  # how a rate grows while Slack accepts everything
UNLIMITED_AFTER = timedelta(minutes=10)
LOOKUPS_PER_MINUTE = 50  # Slack's limit of conversations.history and conversations.replies per workspace
LOOKUPS_SLOW_FOR = timedelta(hours=1)


@dataclass(slots=True)
class _Rate:
    """A rate with a small reserve: `tokens` are what may be sent at once, at `at`."""

    per_second: float
    limited_at: datetime
    at: datetime
    tokens: float
    raised: float = 1.0

    @property
    def current(self) -> float:
        return self.per_second * self.raised

    def refill(self, now: datetime, most: float) -> None:
        if now > self.at:
            gained = (now - self.at).total_seconds() * self.current
            self.tokens, self.at = min(most, self.tokens + gained), now


@dataclass(slots=True)
class WorkspacePacer:
    """Limits the messages of a workspace after Slack has answered 429, and spaces out the look-ups in each.

    After a 429 a workspace is sent what it accepted in the minute before, per minute; the limit grows by a quarter each
    minute and ends after ten minutes without another 429. Look-ups are limited always: to 50 a minute, or to one per
    `Retry-After` for an hour after Slack has refused one.
    """

    _sent: deque[tuple[datetime, str]] = field(default_factory=deque)  # the last minute of all workspaces
    _rates: dict[str, _Rate] = field(default_factory=dict)
    _paused: dict[str, datetime] = field(default_factory=dict)
    _lookups: dict[str, _Rate] = field(default_factory=dict)
    _reserved: dict[str, datetime] = field(default_factory=dict)  # times of look-ups, by the message's key

    def count_sent(self, team: str, now: datetime) -> None:
        """Count a message that Slack has accepted."""
        self._sent.append((now, team))
        while self._sent[0][0] < now - MINUTE:
            self._sent.popleft()

    def slow_down(self, team: str, until: datetime, now: datetime) -> bool:
        """Limit a workspace after a 429; return False if it is paused that long already."""
        if until <= self._paused.get(team, until - MINUTE):
            return False
        recent = sum(team == other and at > now - MINUTE for at, other in self._sent)
        rate = max(MIN_RATE, recent / MINUTE.total_seconds())
        self._paused[team] = until
        self._rates[team] = _Rate(per_second=rate, limited_at=until, at=until, tokens=rate * BURST_S)
        return True

    def take(self, team: str, now: datetime) -> bool:
        """Return whether one more message may be sent to a workspace now, and count it."""
        rate = self._rate(team, now)
        if rate is None:
            return True
        if rate.tokens < 1:
            return False
        rate.tokens -= 1
        return True

    def held_teams(self, now: datetime) -> list[str]:
        """Return the workspaces to which nothing may be sent now."""
        return [team for team in [*self._rates] if (rate := self._rate(team, now)) is not None and rate.tokens < 1]

    def next_at(self, now: datetime) -> datetime | None:
        """Return when something may be sent to a held workspace; None if none is held.

        It is rounded up: a time at which the reserve is still a hair short would be `now`, again and again.
        """
        waits = [
            rate.at + timedelta(milliseconds=ceil(1000 * (1 - rate.tokens) / rate.current))
            for team in self.held_teams(now)
            if (rate := self._rates.get(team))
        ]
        return min(waits, default=None)

    def lookup_at(self, team: str, key: str, now: datetime) -> datetime:
        """Return when the message with this key may be looked up in a workspace: `now`, or a time reserved for it."""
        reserved = self._reserved.pop(key, None)
        if reserved is not None and reserved <= now:
            return now
        rate = self._lookups.get(team)
        if rate is None or (rate.limited_at + LOOKUPS_SLOW_FOR < now and rate.per_second < _LOOKUPS_PER_S):
            rate = _Rate(per_second=_LOOKUPS_PER_S, limited_at=now, at=now, tokens=LOOKUPS_PER_MINUTE)
            self._lookups[team] = rate
        rate.refill(now, LOOKUPS_PER_MINUTE if rate.per_second == _LOOKUPS_PER_S else 1)
        rate.tokens -= 1
        if rate.tokens >= 0:
            return now
        self._reserved[key] = at = now + timedelta(seconds=-rate.tokens / rate.per_second)
        return at

    def slow_lookups(self, team: str, wait: timedelta, now: datetime) -> None:
        """Limit the look-ups in a workspace to one per `wait`, as Slack has refused one."""
        seconds = max(wait.total_seconds(), 1.0)
        self._lookups[team] = _Rate(per_second=1 / seconds, limited_at=now, at=now, tokens=0.0)

    def _rate(self, team: str, now: datetime) -> _Rate | None:
        """Return the limit of a workspace as of `now`; None if it has none."""
        rate = self._rates.get(team)
        if rate is None:
            return None
        if now - rate.limited_at >= UNLIMITED_AFTER or now < rate.at - UNLIMITED_AFTER:
            del self._rates[team]
            self._paused.pop(team, None)
            return None
        rate.raised = RAISE_BY ** max(0, (now - rate.limited_at) // RAISE_EVERY)
        rate.refill(now, max(1.0, rate.current * BURST_S))
        return rate


_LOOKUPS_PER_S = LOOKUPS_PER_MINUTE / MINUTE.total_seconds()
