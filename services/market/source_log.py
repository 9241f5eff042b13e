"""What each source answered lately: its last success and its failures in a row, for `minerpulse health` and /readyz."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from services.core.clock import Clock
from services.market.ports import RequestMeter, RequestOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """The requests to one source.

    Attributes:
        source: The name of the source as people see it.
        last_success_at: When it last answered as it should; None if it never has.
        failures: Failed requests since then.
        failing_since: The first of them.
        problem: The last of them, without secrets.
    """

    source: str
    last_success_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    problem: str | None = None

    def then(self, later: "SourceRecord") -> "SourceRecord":
        """Return the record of these requests and later ones."""
        if later.last_success_at is not None:
            return later
        return replace(
            later,
            last_success_at=self.last_success_at,
            failures=self.failures + later.failures,
            failing_since=self.failing_since or later.failing_since,
        )


class SourceRecordStore(Protocol):
    """Stored records of the sources."""

    async def add_source_records(self, records: Sequence[SourceRecord]) -> None:
        """Add the requests since the last call to the stored records, which other processes change, too."""
        ...

    async def source_records(self) -> list[SourceRecord]:
        """Return the record of each source that was ever asked."""
        ...


@dataclass(slots=True, kw_only=True)
class SourceLog:
    """Collects the results of requests, and saves them on request; implements RequestMeter.

    Attributes:
        meter: Counts the requests, too.
    """

    store: SourceRecordStore
    clock: Clock
    meter: RequestMeter | None = None
    _unsaved: dict[str, SourceRecord] = field(default_factory=dict)

    def count_request(self, source: str, outcome: RequestOutcome, seconds: float, problem: str | None = None) -> None:
        """Record a request; see RequestMeter."""
        if self.meter is not None:
            self.meter.count_request(source, outcome, seconds, problem)
        now = self.clock.now()
        if outcome is RequestOutcome.OK:
            self._add(SourceRecord(source=source, last_success_at=now))
        elif problem is not None:
            self._add(SourceRecord(source=source, failures=1, failing_since=now, problem=problem))

    def _add(self, record: SourceRecord) -> None:
        earlier = self._unsaved.get(record.source)
        self._unsaved[record.source] = record if earlier is None else earlier.then(record)

    async def save(self) -> None:
        """Save what is new; what can't be saved stays for the next time. Raises DatabaseUnavailableError."""
        saving, self._unsaved = self._unsaved, {}
        if not saving:
            return
        try:
            await self.store.add_source_records([*saving.values()])
        except BaseException:
            newer, self._unsaved = self._unsaved, saving
            for record in newer.values():
                self._add(record)
            raise
