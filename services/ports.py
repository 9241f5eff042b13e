"""What the services need from outside: prices, a store, a notifier and a clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 -- receipts are written as JSON by reading these types at run time
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from services.domain.decide import RuleState
from services.domain.episode import Alert, Entry  # noqa: TC001 -- as above
from services.domain.notice import Notice  # noqa: TC001 -- as above

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, timedelta

    from services.domain.actions import Action, Declared
    from services.domain.channel import ChannelSettings
    from services.domain.episode import Channel, LegStamp
    from services.domain.holdings import Holdings
    from services.domain.installation import Installation
    from services.domain.mention import Mention
    from services.domain.network import Network
    from services.domain.network_past import NetworkPast
    from services.domain.notice import Content, Posted
    from services.domain.prices import Bars, Closes, Pair, Quote, Symbol
    from services.domain.rule import Rule


class Clock(Protocol):
    """The only source of the present moment."""

    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPrices:
    """One answer of an equity vendor: session closes, the last trade where it knows one, and what it declares.

    The close of the session that is still open may be among them: its price is live, and the quote's time tells.
    `actions` are the dividends and splits of the time that was asked for; empty also at a vendor that tells none.
    """

    closes: Closes
    quote: Quote | None
    actions: tuple[Action, ...] = ()


class EquitySource(Protocol):
    """A vendor of ETF prices. Every method raises SourceError where there is no usable answer.

    `spacing` is how long after it was asked about a share it is left alone about that one, so that what it allows
    lasts through a session; zero where that is enough for every tick.
    """

    name: str
    simulated: bool
    spacing: timedelta

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the session closes from `since` on and what was declared since, and the last trade."""
        ...


class CryptoSource(Protocol):
    """A vendor of cryptocurrency prices in US dollars. Every method raises SourceError.

    `reach` is how far back its hourly bars go; None where they go back as far as anyone asks.
    """

    name: str
    simulated: bool
    reach: timedelta | None

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch the complete bars that open at or after `start` and end at or before `end`; gaps stay gaps."""
        ...

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade; None where the source has none."""
        ...


@runtime_checkable
class Rests(Protocol):
    """A source that leaves its vendor alone for a while where that fails or asks for it."""

    def rests_until(self, now: datetime) -> datetime | None:
        """Tell until when the vendor is left alone; None where it would be asked now."""
        ...


class NetworkSource(Protocol):
    """A witness of the bitcoin network. Every method raises SourceError."""

    name: str
    simulated: bool

    async def network(self) -> Network:
        """Fetch what it knows of the network's present state; what it does not know is None."""
        ...


@runtime_checkable
class NetworkPastSource(Protocol):
    """A source that also remembers the network. Every method raises SourceError."""

    async def past(self) -> NetworkPast:
        """Fetch what it remembers of the last three years."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A close that its source has changed after it was final, noticed at `at`."""

    symbol: Symbol
    source: str
    session: date
    old: float
    new: float
    at: datetime


class HistoryStore(Protocol):
    """Price history that survives a restart."""

    async def save_closes(self, closes: Closes, at: datetime, declared: Declared | None = None) -> None:
        """Insert or overwrite session closes by (symbol, source, session), in one transaction.

        A price that takes the place of another is noted as a revision made at `at`. What the same source has `declared`
        of the share is saved with them, in place of all that it declared for the days from `declared.since` on.
        """
        ...

    async def replace_closes(self, closes: Closes, at: datetime, declared: Declared | None = None) -> None:
        """Let session closes take the place of every one of their symbol and source, in one transaction.

        What is `declared` is saved with them, as `save_closes` does.
        """
        ...

    async def load_declared(self, symbol: Symbol, source: str) -> Declared | None:
        """Load what one source declares of a share; None where nothing was ever saved of that."""
        ...

    async def load_closes(self, symbol: Symbol, source: str, since: date) -> Closes:
        """Load one source's session closes from `since` on; empty where there are none."""
        ...

    async def revisions(self, symbol: Symbol, limit: int) -> list[Revision]:
        """List the last revisions of a symbol's closes, newest first."""
        ...

    async def save_bars(self, bars: Bars) -> None:
        """Insert or overwrite bars by (symbol, source, interval, opening time), in one transaction."""
        ...

    async def load_bars(self, symbol: Symbol, source: str, interval: timedelta, since: datetime) -> Bars:
        """Load one source's bars that open at or after `since`; empty where there are none."""
        ...


class HoldingsStore(Protocol):
    """What funds hold, day by day."""

    async def save_holdings(self, snapshots: Sequence[Holdings]) -> list[date]:
        """Save holdings in one transaction, each in place of all that was kept for its fund and day.

        Gives the days of which something was replaced.
        """
        ...

    async def load_holdings(self, fund: Symbol) -> list[Holdings]:
        """Load every day's holdings of a fund, oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A rule in its channel, with its state; `id` is what people call it by within that channel.

    `edition` counts how often people have changed it. A paused rule is not watched.
    """

    id: int
    channel: Channel
    rule: Rule
    state: RuleState
    created_by: str
    created_at: datetime
    paused_at: datetime | None = None
    edition: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWatch:
    """A rule that stands in its channel but whose row cannot be read; `rule` is what the row says."""

    id: int
    channel: Channel
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A rule's move from one state to the next.

    Recorded only where `before` is still what the store holds, of the edition that it was decided on.
    """

    rule_id: int
    before: RuleState
    after: RuleState
    edition: int = 0


class ActKind(Enum):
    """What a person did to a rule."""

    ADDED = "added"
    EDITED = "edited"
    PAUSED = "paused"
    RESUMED = "resumed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person did to a rule, as it is kept: the rule's text `before` and `after`, None where there was none."""

    kind: ActKind
    rule_id: int
    by: str
    at: datetime
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A person's change of a rule, recorded only where `watch` is still what the store holds.

    `rule` and `state` are those that it has from then on; both are of no meaning for a rule that is removed, and a rule
    whose row cannot be read begins anew.
    """

    kind: ActKind
    watch: Watch | LostWatch
    by: str
    rule: Rule | None = None
    state: RuleState = field(default_factory=RuleState)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert as it is to be told from now on, with the entries that its timeline gains.

    `alert.id` is 0 for an episode that opens; the store gives it its number. `revision` is that of the alert when
    it was read, 0 for a new one. The store records the change only where it still holds.
    """

    alert: Alert
    revision: int
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert with the revision that the next change must name."""

    alert: Alert
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What has changed among the rules of every channel, up to a revision.

    `revision` grows with every change of any rule or rule state. `watches`, paused ones among them, are by id;
    `removed` are numbers of rules, and `unreadable` those of rules that stand although nobody can watch them.
    """

    revision: int
    watches: tuple[Watch, ...] = ()
    removed: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()


Job: TypeAlias = "Pair | str"  # the ticks of a pair, or a chore by its name


class Claim(Enum):
    """Whose a tick is: ours to do, done already, or in the hands of another who has not finished."""

    OURS = "ours"
    DONE = "done"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A round of a job as one process has claimed it: its own until another takes it over or begins a later one."""

    job: Job
    boundary: datetime
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The value of what some rules look at, in their unit, at `at` in a session."""

    look: str
    session: date
    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a tick at `at` saw of its pair: how far its prices can be used, which they are, and what rules read in them.

    `reason` is None where prices can be used. `waiting` tells that there is nothing to see yet and nothing was lost.
    """

    pair: Pair
    at: datetime
    verdict: str
    reason: str | None
    waiting: bool = False
    prices: tuple[LegStamp, ...] = ()
    readings: tuple[Reading, ...] = ()
    simulated: bool = False

    @property
    def usable(self) -> bool:
        """Whether rules could fire and resolve on it."""
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was last seen of a pair, at `at`: its last usable prices, and since when there are none."""

    pair: Pair
    at: datetime
    reason: str | None
    usable_at: datetime | None
    dark_at: datetime | None
    prices: tuple[LegStamp, ...]
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """How far a value went in a session, and when."""

    high: float
    high_at: datetime
    low: float
    low_at: datetime


class LookStore(Protocol):
    """What ticks saw."""

    async def sights(self) -> list[Sight]:
        """Load what was last seen of each pair."""
        ...

    async def verdicts(self, pair: Pair, begin: datetime, end: datetime) -> dict[str, int]:
        """Count the ticks of a pair that were done from `begin` until before `end`, by the verdict on their prices."""
        ...

    async def extremes(self, pair: Pair, session: date) -> dict[str, Extreme]:
        """Load how far each look at a pair went in a session."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChannel:
    """What a channel has set, with the revision that the next change must name; 0 where it has set nothing.

    No new message goes out into it from `silent_from` on. `released_at` is when its last silence ended.
    """

    channel: Channel
    settings: ChannelSettings
    revision: int
    silent_from: datetime | None = None
    released_at: datetime | None = None

    def is_silent(self, now: datetime) -> bool:
        """Tell whether new messages are kept back."""
        return self.silent_from is not None and self.silent_from <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """Who has set what in a channel, and when."""

    by: str
    at: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBack:
    """What has happened in a silent channel: alerts, and notices that wait.

    The message of an `unposted` alert, by number, surely stands nowhere.
    """

    alerts: tuple[Alert, ...]
    unposted: frozenset[int]
    notices: tuple[Notice, ...]


class ChannelStore(Protocol):
    """What channels set, and their silences."""

    async def channel(self, channel: Channel) -> StoredChannel:
        """Load what a channel has set; the defaults, at revision 0, where it has set nothing."""
        ...

    async def channels(self) -> list[StoredChannel]:
        """Load every channel that has set something."""
        ...

    async def change_channel(self, after: StoredChannel, change: SettingChange) -> None:
        """Record what a person has set, with who and when. Raises ConflictError, with nothing written."""
        ...

    async def channel_changes(self, channel: Channel, limit: int) -> list[SettingChange]:
        """Load who has set what in a channel, newest first."""
        ...

    async def expect_silence(self, after: StoredChannel) -> None:
        """Note when a channel falls silent next. Raises ConflictError."""
        ...

    async def kept_back(self, channel: Channel, since: datetime) -> KeptBack:
        """Load what has happened in a channel since it fell silent, and what was kept back."""
        ...

    async def end_silence(
        self,
        after: StoredChannel,
        digest: Notice | None,
        at: datetime,
        *,
        alerts: Collection[int] = (),
        notices: Collection[int] = (),
    ) -> None:
        """End a channel's silence in one transaction: what was kept back is due, after the digest.

        The messages of these `alerts` and `notices`, by number, are told in the digest in their stead. Raises
        ConflictError, with nothing written, where the channel has changed since it was read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """A notice with the revision that the next change must name."""

    notice: Notice
    revision: int


class NoticeStore(Protocol):
    """Messages for a channel that belong to no alert of it."""

    async def open_notices(self, kind: type[Content]) -> list[StoredNotice]:
        """Load the notices of one kind that may still change, oldest first."""
        ...

    async def add_notices(self, notices: Sequence[Notice], at: datetime) -> int:
        """Record new notices in one transaction; give how many there were that nobody had recorded yet."""
        ...

    async def has_notice(self, channel: Channel, name: str) -> bool:
        """Tell whether a channel has a notice of that name."""
        ...

    async def amend_notice(self, stored: StoredNotice, at: datetime) -> None:
        """Let a notice tell something else from now on. Raises ConflictError where it has changed since it was read."""
        ...


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to make Slack show a message: `outcome` is None where it was never learned."""

    at: datetime
    version: int
    outcome: str | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One message of an alert, its own (`entry` None) or a line of its thread, with every try to deliver it.

    `delivered` tells that Slack shows its newest wording; where not, it is tried again at `next_at`, or was given up.
    `digest_at` is when a digest told it in its stead, `silent_from` when its channel falls silent, or has done so, and
    `stuck` what a person must mend before anything reaches that.
    """

    key: str
    entry: Entry | None
    message_id: str | None
    delivered: bool
    given_up_at: datetime | None
    next_at: datetime
    attempts: tuple[Attempt, ...]
    digest_at: datetime | None = None
    silent_from: datetime | None = None
    stuck: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """All that is known of an alert: what it rests on, every decision in order, and every message with its fate."""

    alert: Alert
    entries: tuple[Entry, ...]
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Messages of a channel that do not arrive for a reason that a person must mend: they wait, or were `given_up`."""

    channel: Channel
    problem: str
    messages: int
    since: datetime
    given_up: bool


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

    async def add_rules(self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime) -> list[Watch]:
        """Add rules to a channel in one transaction; a rule that stands there already is returned as it is."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTold:
    """An alert's own message; where it is posted, and only then, it calls whom `calls` names."""

    alert: Alert
    calls: Mention | None = None

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"alert {self.alert.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.alert.closed_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTold:
    """One line of an alert's thread, which never changes; a `broadcast` one is shown in the channel too."""

    alert: Alert
    entry: Entry
    broadcast: bool = False

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"alert {self.alert.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeTold:
    """A notice."""

    notice: Notice

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"notice {self.notice.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.notice.closed_at is not None


Told: TypeAlias = AlertTold | LineTold | NoticeTold


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that Slack must be made to show in `channel`, and what it tells.

    `key` names the message for ever. `version` is the newest wording, `sent_version` the one that was delivered (0
    for none) and `message_id` where it stands once posted. `thread_id` is the alert's own message, for its lines.
    `attempts` counts the failures in a row that were the message's own; `attempting` tells that an attempt may have
    posted it without anyone knowing: a crash cut it off, or its answer was lost. `leased_until` is the end of this
    process's own attempt, None where it has begun none.
    """

    id: int
    key: str
    channel: Channel
    told: Told
    version: int
    sent_version: int
    message_id: str | None
    thread_id: str | None
    attempts: int
    attempting: bool
    leased_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many messages wait and how many have been given up, and how long the oldest that waits has done so.

    `withheld` are kept back by the silence of their channels, and do not count as waiting.
    """

    waiting: int
    dead: int
    oldest: timedelta | None
    withheld: int = 0


class OutboxStore(Protocol):
    """What delivery reads and writes.

    What is noted of a leased message counts only while that lease is the last one: a process that was frozen, and
    comes back after another has taken its message over, changes nothing.
    """

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load of each channel the first message that is not as it should be and whose time has come, oldest first.

        An entry is due only once its alert's message stands, and nothing is while its channel rests. In a silent
        channel only what stands already is due. A message whose attempt was cut off comes up again a minute after that
        attempt began, whoever had begun it. One that cannot be read is given up.
        """
        ...

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        """Note, before the call, that delivery is being tried, and keep others from trying it for a minute.

        Gives the message with its lease; None, with nothing noted, where it is not as it was read, another process
        tries it, or its channel has fallen silent and it stands nowhere yet.
        """
        ...

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Note that this version stands at `message_id`; a newer one is due at once."""
        ...

    async def tried_since(self, delivery: Delivery) -> datetime:
        """Tell when the first attempt began that may have posted this message as it is wanted now."""
        ...

    async def mark_failed(
        self,
        delivery: Delivery,
        problem: str,
        retry_at: datetime,
        *,
        gone: bool = False,
        counts: bool = True,
        unsure: bool = False,
    ) -> None:
        """Note a failure that a later attempt may mend; `unsure` where the message may be there nevertheless.

        With `gone` the message of an alert or a notice is posted anew; for a line of a thread, its alert's message is
        edited once more, which shows whether it stands. A failure that does not count, such as being asked to wait,
        leaves `attempts` as it is.
        """
        ...

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Note that only a person can mend this; it is not tried again until its wording changes."""
        ...

    async def hold(self, channel: Channel, until: datetime, problem: str | None = None) -> None:
        """Let a channel rest at least until then: none of its messages is due before, whenever it is recorded.

        The `problem` is what a person must mend; without one, waiting is enough.
        """
        ...

    async def next_due_at(self, now: datetime) -> datetime | None:
        """Tell when the next undelivered message may be tried; None where none waits but for a silence to end."""
        ...

    async def backlog(self, now: datetime) -> Backlog:
        """Count what is not delivered."""
        ...

    async def troubles(self, team: str | None = None) -> list[Trouble]:
        """List what only a person can mend, of one workspace or of all: channels at rest first, then dead letters."""
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


class Notifier(Protocol):
    """Where alerts and notices are told.

    Every method raises DeliveryError; an edit of a lost message, MessageGoneError.
    """

    async def post(self, channel: Channel, told: Told, *, key: str, thread_id: str | None = None) -> str:
        """Post a message in a channel, a line in its thread; return the message's id."""
        ...

    async def edit(self, channel: Channel, told: Told, message_id: str) -> None:
        """Make a posted message say what `told` says; whom it called is not called again."""
        ...

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Look for a message by its key, among those posted since then in the channel or in that thread.

        None where it is surely not there. Raises HistoryClosedError where nobody can tell.
        """
        ...
