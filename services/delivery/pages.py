"""Pages to deliver, and what their delivery needs from storage and from a sink."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.alerting.alert import Alert
from services.alerting.notice import Notice
from services.alerting.paging import Severity, Stage, stage_of
from services.core.identity import Channel

GIVE_UP_OPENING = timedelta(hours=6)  # a page that comes later wakes someone for nothing
GIVE_UP_ENDING = timedelta(hours=24)  # after the alert has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The state of an alert that a sink must show.

    Attributes:
        key: The same for every page of one alert at one sink; a receiver recognizes repeats by it.
        version: Rises with every change of the alert.
        is_first: Whether the sink has accepted no page of this alert.
        link: Address of the alert's message in Slack; empty while that is unknown.
    """

    alert: Alert
    stage: Stage
    key: str
    version: int
    severity: Severity
    is_first: bool
    before: Stage | None = None
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDelivery:
    """The page of one alert at one sink, as the outbox stores it.

    Attributes:
        sink: Name of the sink.
        config: Version of the sink's configuration that opened it, which must end it too.
        version: The newest version of the alert.
        sent_version: The version that the sink accepted; 0 for none.
        sent_stage: The stage that the sink accepted; None for none.
        maybe_sent: An attempt may have arrived although no answer came.
        since: When the alert opened.
        attempts: Consecutive failures.
        leased_until: End of this process's attempt.
    """

    id: int
    channel: Channel
    alert: Alert
    sink: str
    config: str
    severity: Severity
    version: int
    sent_version: int
    sent_stage: Stage | None
    maybe_sent: bool
    since: datetime
    attempts: int
    leased_until: datetime | None = None

    @property
    def key(self) -> str:
        """The page's key at the sink. A restored database reuses numbers of alerts, but not the time of a page."""
        return f"minerpulse/{self.channel.team}/alert/{self.alert.id}/{self.since.timestamp():.0f}"

    @property
    def lane(self) -> tuple[Channel, str]:
        """Pages of one lane are delivered one after another; a hanging sink delays no other lane, nor Slack."""
        return self.channel, self.sink

    @property
    def stage(self) -> Stage:
        """What the sink should show."""
        return stage_of(self.alert)

    @property
    def page(self) -> Page:
        """The page as its sink shows it."""
        return Page(
            alert=self.alert,
            stage=self.stage,
            key=self.key,
            version=self.version,
            severity=self.severity,
            is_first=self.sent_stage is None,
            before=self.sent_stage,
            link=self.alert.permalink,
        )

    def is_too_late(self, now: datetime) -> bool:
        """Return whether delivering it now would do more harm than good."""
        if self.alert.closed_at is not None:
            return now - self.alert.closed_at > GIVE_UP_ENDING
        return self.sent_stage is None and now - self.since > GIVE_UP_OPENING


class Sink(Protocol):
    """A service that pages people.

    Attributes:
        kind: Its type, as in `pagerduty`.
        stages: What it shows; other stages are skipped.
        shows_changes: Whether it shows every change of an open alert, not only a new stage.
        repeats_safely: Whether it recognizes a repeated page by its key, so that an unclear one is simply sent again.
    """

    @property
    def kind(self) -> str:
        """Its type."""
        ...

    @property
    def stages(self) -> frozenset[Stage]:
        """What it shows."""
        ...

    @property
    def shows_changes(self) -> bool:
        """Whether it shows every change."""
        ...

    @property
    def repeats_safely(self) -> bool:
        """Whether it recognizes repeats."""
        ...

    async def show(self, page: Page) -> str:
        """Show the page's stage; return the sink's reference. Raises DeliveryError."""
        ...

    async def test(self, key: str, channel_name: str) -> str:
        """Open and resolve a page titled TEST; return the sink's reference. Raises DeliveryError."""
        ...


class SinkDirectory(Protocol):
    """The sinks of each workspace, by name and version of their configuration."""

    async def find(self, team: str, name: str, config: str | None = None) -> tuple[str, Sink] | None:
        """Return a sink with the version of its configuration: the newest one, or the given one; None if it is gone."""
        ...

    async def names(self, team: str) -> Mapping[str, str]:
        """Return the type of each sink of a workspace by name."""
        ...


class PageStore(Protocol):
    """The pages that the outbox stores."""

    async def due_pages(self, now: datetime, exclude: Collection[int] = ()) -> list[PageDelivery]:
        """Load pages that are due, at most one per lane, oldest first; none that quiet hours hold."""
        ...

    async def next_page_due_at(self) -> datetime | None:
        """Return when the next page is due; None if none waits."""
        ...

    async def lease_page(self, delivery: PageDelivery, at: datetime) -> PageDelivery | None:
        """Lease a page and record the attempt; None if another process has it, or it has changed."""
        ...

    async def page_sent(self, delivery: PageDelivery, reference: str, at: datetime, *, note: str = "") -> None:
        """Record that the sink shows this version, or with a `note` that it needed no call."""
        ...

    async def page_failed(self, delivery: PageDelivery, problem: str, retry_at: datetime, *, maybe_sent: bool) -> None:
        """Record a failure; the page is due again at `retry_at`."""
        ...

    async def page_dead(
        self, delivery: PageDelivery, problem: str, at: datetime, notice: Notice | None, *, maybe_sent: bool
    ) -> None:
        """Dead-letter a page and, in the same transaction, notify its channel."""
        ...

    async def hold_sink(self, team: str, sink: str, until: datetime, problem: str) -> None:
        """Hold every page of a sink, as it accepts nothing until a person acts."""
        ...
