"""What each part of the services asks of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.ports.channels import ChannelStore, NoticeStore
from services.ports.delivery import OutboxStore
from services.ports.looks import LookStore
from services.ports.prices import HistoryStore, HoldingsStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.domain.episode import Alert, Channel
    from services.domain.installation import Installation
    from services.domain.noise import Votes
    from services.domain.notice import Posted
    from services.domain.prices import Pair
    from services.domain.rule import Rule
    from services.ports.alerts import AlertChange, Receipt, StoredAlert
    from services.ports.delivery import Trouble
    from services.ports.looks import Claim, Job, Look, Tick
    from services.ports.rules import Act, LostWatch, Rulebook, RuleChange, StateChange, Watch


class MonitorStore(Protocol):
    """What one tick reads and writes."""

    async def claim_tick(self, job: Job, boundary: datetime, at: datetime) -> Claim:
        """Claim one round of a job; a claim that was made a minute ago and is not done is taken over."""
        ...

    async def finish_tick(self, tick: Tick, look: Look | None = None) -> None:
        """Note that a round is done, where nobody has taken it over, together with what it saw of its pair."""
        ...

    async def release_tick(self, job: Job, boundary: datetime, at: datetime) -> None:
        """Give back a claim that was made at `at`, so that the tick can be tried again."""
        ...

    async def rulebook(self, since: int = 0) -> Rulebook:
        """Load the rules that have changed after a revision, with their states; every one that stands after 0."""
        ...

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        ...

    async def ended_alerts(self, pair: Pair, since: datetime) -> list[StoredAlert]:
        """Load the alerts on a pair that have ended since then, oldest first."""
        ...

    async def alerted_pairs(self) -> list[Pair]:
        """List the pairs that have open alerts."""
        ...

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        tick: Tick | None = None,
    ) -> None:
        """Record a tick in one transaction: states, alerts, timeline entries and the messages to deliver.

        Raises, with nothing written, ConflictError where a state or an alert has changed since it was read, and
        OvertakenError where `tick` is not this process's any more, as after it was frozen.
        """
        ...


class ProofStore(LookStore, Protocol):
    """What the proof of a silent day is made of."""

    async def rules(self, channel: Channel) -> list[Watch]:
        """Load a channel's rules by id; those that cannot be read are left out."""
        ...

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first."""
        ...

    async def posted(self, channel: Channel, since: datetime) -> Posted:
        """Count a channel's messages: those delivered since then, those that wait, and those given up."""
        ...


class DeskStore(ProofStore, ChannelStore, Protocol):
    """What people's commands read and write."""

    async def troubles(self, team: str | None = None) -> list[Trouble]:
        """List what only a person can mend, of one workspace or of all: channels at rest first, then dead letters."""
        ...

    async def add_rules(
        self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime, *, alerts: Sequence[AlertChange] = ()
    ) -> list[Watch]:
        """Add rules to a channel in one transaction; a rule that stands there already is returned as it is.

        Where one is new, the `alerts` that tell it are recorded with it. Raises ConflictError where one has changed.
        """
        ...

    async def rule(self, channel: Channel, rule_id: int) -> Watch | LostWatch:
        """Load one rule of this channel. Raises NotFoundError."""
        ...

    async def channels_of(self, team: str, person: str) -> list[Channel]:
        """List the channels of a workspace in which a person has changed a rule or acted on an alert."""
        ...

    async def lost_rules(self, channel: Channel) -> list[LostWatch]:
        """Load the rules of a channel that stand although they cannot be read."""
        ...

    async def acts(self, channel: Channel, limit: int) -> list[Act]:
        """Load what people last did to a channel's rules, newest first."""
        ...

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def vote(self, channel: Channel, alert_id: int, by: str, at: datetime, *, noise: bool) -> Votes:
        """Keep what a person says of an alert, in place of what they said before; give all votes on it.

        Raises NotFoundError.
        """
        ...

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Count the votes on each alert of a channel that has any, by the alert's number."""
        ...

    async def receipt(self, channel: Channel | None, alert_id: int | None) -> Receipt:
        """Load all that is known of an alert, of this channel or of any; of the newest one without a number.

        Raises NotFoundError, and StoreError where its rows cannot be read.
        """
        ...

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        ...

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
    ) -> None:
        """Record changes in one transaction, as MonitorStore does, together with what a person did to rules.

        Raises ConflictError also where a rule is no longer as it was read, or now stands in the channel already.
        """
        ...


class UpkeepStore(ProofStore, ChannelStore, NoticeStore, MonitorStore, Protocol):
    """What upkeep reads and writes."""

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def unposted(self) -> frozenset[int]:
        """Give the numbers of the alerts of which a message waits to be posted; edits do not count."""
        ...


class InstallationStore(Protocol):
    """Where the app is installed, and what it may speak with there. Every method raises StoreError."""

    async def save(self, installation: Installation) -> None:
        """Keep an installation, in place of the one that its home had."""
        ...

    async def find(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Load the installation that holds for a workspace: its own, or else that of its organization."""
        ...

    async def expiring(self, before: datetime) -> list[str]:
        """List the homes whose tokens expire before then."""
        ...

    async def claim(self, home: str, at: datetime, *, before: datetime) -> Installation | None:
        """Claim the renewal of a token that expires before then, for a minute; None where another is at it, or was."""
        ...

    async def leave(self, team: str | None, enterprise: str | None, at: datetime) -> list[str]:
        """Forget the installation of a workspace or an organization that ended `at`, with all data of its workspaces.

        Gives the workspaces; none where the app was installed anew since, or never.
        """
        ...

    async def expel(self, teams: Sequence[str], at: datetime) -> list[str]:
        """Forget workspaces that their organization lets the app into no more, with all their data; give which."""
        ...

    async def begin(self, state: str, at: datetime, until: datetime) -> None:
        """Note that somebody is on the way to install the app, and forget those who have not arrived."""
        ...

    async def arrive(self, state: str, at: datetime) -> bool:
        """Tell whether somebody with this state was on the way, and is not too late; a state is good for once."""
        ...


class Store(HistoryStore, HoldingsStore, DeskStore, UpkeepStore, OutboxStore, Protocol):
    """Everything that is remembered; one transaction for each method."""

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        tick: Tick | None = None,
    ) -> None:
        """Record a tick or a person's act; see MonitorStore and DeskStore."""
        ...
