"""What the services need from outside: prices, a store, a notifier and a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 -- receipts are written as JSON by reading these types at run time
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from services.domain.episode import Alert, Entry  # noqa: TC001 -- as above

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, timedelta

    from services.domain.actions import Action, Declared
    from services.domain.decide import RuleState
    from services.domain.episode import Channel
    from services.domain.holdings import Holdings
    from services.domain.network import Network
    from services.domain.network_past import NetworkPast
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
    """A vendor of ETF prices. Every method raises SourceError where there is no usable answer."""

    name: str
    simulated: bool

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
    """A rule in its channel, with its state; `id` is what people call it by within that channel."""

    id: int
    channel: Channel
    rule: Rule
    state: RuleState
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWatch:
    """A rule that stands in its channel but whose row cannot be read; `rule` is what the row says."""

    id: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A rule's move from one state to the next; recorded only where `before` is still what the store holds."""

    rule_id: int
    before: RuleState
    after: RuleState


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

    `revision` grows with every change of any rule or rule state. `watches` are by id; `removed` are numbers of rules,
    and `unreadable` those of rules that stand although nobody can watch them.
    """

    revision: int
    watches: tuple[Watch, ...] = ()
    removed: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()


class Claim(Enum):
    """Whose a tick is: ours to do, done already, or in the hands of another who has not finished."""

    OURS = "ours"
    DONE = "done"
    TAKEN = "taken"


class MonitorStore(Protocol):
    """What one tick reads and writes."""

    async def claim_tick(self, pair: Pair, boundary: datetime, at: datetime) -> Claim:
        """Claim one tick of one pair; a claim that was made a minute ago and is not done is taken over."""
        ...

    async def finish_tick(self, pair: Pair, boundary: datetime) -> None:
        """Note that a tick is done."""
        ...

    async def release_tick(self, pair: Pair, boundary: datetime, at: datetime) -> None:
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

    async def record(self, states: Sequence[StateChange], alerts: Sequence[AlertChange], at: datetime) -> None:
        """Record a tick in one transaction: states, alerts, timeline entries and the messages to deliver.

        Raises ConflictError, with nothing written, where a state or an alert has changed since it was read.
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
    """

    key: str
    entry: Entry | None
    message_id: str | None
    delivered: bool
    given_up_at: datetime | None
    next_at: datetime
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """All that is known of an alert: what it rests on, every decision in order, and every message with its fate."""

    alert: Alert
    entries: tuple[Entry, ...]
    postings: tuple[Posting, ...]


class DeskStore(Protocol):
    """What people's commands read and write."""

    async def rules(self, channel: Channel) -> list[Watch]:
        """Load a channel's rules by id; those that cannot be read are left out."""
        ...

    async def add_rules(self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime) -> list[Watch]:
        """Add rules to a channel in one transaction; a rule that stands there already is returned as it is."""
        ...

    async def rule(self, channel: Channel, rule_id: int) -> Watch | LostWatch:
        """Load one rule of this channel. Raises NotFoundError."""
        ...

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def receipt(self, channel: Channel | None, alert_id: int | None) -> Receipt:
        """Load all that is known of an alert, of this channel or of any; of the newest one without a number.

        Raises NotFoundError, and StoreError where its rows cannot be read.
        """
        ...

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first."""
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
        removed: Sequence[Watch | LostWatch] = (),
    ) -> None:
        """Record changes in one transaction, as MonitorStore does, together with the rules that were removed.

        Raises ConflictError also where a rule is no longer as it was read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that Slack must be made to show: the alert itself (`entry` None), or one line of its thread.

    `key` names the message for ever. `version` is the newest wording, `sent_version` the one that was delivered (0
    for none) and `message_id` where it stands once posted. `thread_id` is the alert's own message, for entries.
    `attempts` counts the failures in a row that were the message's own; `attempting` tells that an attempt may have
    posted it without anyone knowing: a crash cut it off, or its answer was lost.
    """

    id: int
    key: str
    alert: Alert
    entry: Entry | None
    version: int
    sent_version: int
    message_id: str | None
    thread_id: str | None
    attempts: int
    attempting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many messages wait and how many have been given up, and how long the oldest that waits has done so."""

    waiting: int
    dead: int
    oldest: timedelta | None


class OutboxStore(Protocol):
    """What delivery reads and writes."""

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load of each channel the first message that is not as it should be and whose time has come, oldest first.

        An entry is due only once its alert's message stands, and nothing is while its channel rests. A message whose
        attempt was cut off comes up again a minute after that attempt began, whoever had begun it. One that cannot be
        read is given up.
        """
        ...

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> bool:
        """Note, before the call, that delivery is being tried, and keep others from trying it for a minute.

        False, with nothing noted, where the message is not as it was read, or another process tries it.
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

        With `gone` an alert's own message is posted anew; for a line of its thread, that message is edited once more,
        which shows whether it stands. A failure that does not count, such as being asked to wait, leaves `attempts` as
        it is.
        """
        ...

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Note that only a person can mend this; it is not tried again until its wording changes."""
        ...

    async def hold(self, channel: Channel, until: datetime) -> None:
        """Let a channel rest at least until then: none of its messages is due before, whenever it is recorded."""
        ...

    async def next_due_at(self) -> datetime | None:
        """Tell when the next undelivered message may be tried; None where all is delivered."""
        ...

    async def backlog(self, now: datetime) -> Backlog:
        """Count what is not delivered."""
        ...


class Store(HistoryStore, HoldingsStore, DeskStore, MonitorStore, OutboxStore, Protocol):
    """Everything that is remembered; one transaction for each method."""


class Notifier(Protocol):
    """Where alerts are told. Every method raises DeliveryError; an edit of a lost message, MessageGoneError."""

    async def post(self, alert: Alert, *, key: str) -> str:
        """Post an alert in its channel; return the message's id."""
        ...

    async def edit(self, alert: Alert, message_id: str) -> None:
        """Make a posted alert say what `alert` says."""
        ...

    async def reply(self, alert: Alert, entry: Entry, thread_id: str, *, key: str) -> str:
        """Add a line to the alert's thread; return the message's id."""
        ...

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Look for a message by its key, among those posted since then in the channel or in that thread.

        None where it is surely not there. Raises HistoryClosedError where nobody can tell.
        """
        ...
