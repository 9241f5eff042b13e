"""What the services need from outside: prices, a store, a notifier and a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta

    from services.domain.decide import RuleState
    from services.domain.episode import Alert, Channel, Entry
    from services.domain.network import Network
    from services.domain.prices import Bars, Closes, Pair, Quote, Symbol
    from services.domain.rule import Rule


class Clock(Protocol):
    """The only source of the present moment."""

    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPrices:
    """One answer of an equity vendor: session closes, and the last trade where it knows one.

    The close of the session that is still open may be among them: its price is live, and the quote's time tells.
    """

    closes: Closes
    quote: Quote | None


class EquitySource(Protocol):
    """A vendor of ETF prices. Every method raises SourceError where there is no usable answer."""

    name: str
    simulated: bool

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the session closes from `since` on, and the last trade."""
        ...


class CryptoSource(Protocol):
    """A vendor of cryptocurrency prices in US dollars. Every method raises SourceError."""

    name: str
    simulated: bool

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


class HistoryStore(Protocol):
    """Price history that survives a restart."""

    async def save_closes(self, closes: Closes) -> None:
        """Insert or overwrite session closes by (symbol, session), in one transaction."""
        ...

    async def load_closes(self, symbol: Symbol, since: date) -> Closes:
        """Load session closes from `since` on; empty where there are none. Its source is that of the last close."""
        ...

    async def save_bars(self, bars: Bars) -> None:
        """Insert or overwrite bars by (symbol, interval, opening time), in one transaction."""
        ...

    async def load_bars(self, symbol: Symbol, interval: timedelta, since: datetime) -> Bars:
        """Load bars that open at or after `since`; empty where there are none."""
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


class MonitorStore(Protocol):
    """What one tick reads and writes."""

    async def claim_tick(self, pair: Pair, boundary: datetime) -> bool:
        """Claim one tick of one pair; False where it has been claimed before."""
        ...

    async def revision(self) -> int:
        """Give a number that grows with every change of any rule or rule state."""
        ...

    async def watches(self) -> list[Watch]:
        """Load every rule of every channel with its state, by id."""
        ...

    async def open_alerts(self, channel: Channel | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, oldest first."""
        ...

    async def record(self, states: Sequence[StateChange], alerts: Sequence[AlertChange], at: datetime) -> None:
        """Record a tick in one transaction: states, alerts, timeline entries and the messages to deliver.

        Raises ConflictError, with nothing written, where a state or an alert has changed since it was read.
        """
        ...


class DeskStore(Protocol):
    """What people's commands read and write."""

    async def rules(self, channel: Channel) -> list[Watch]:
        """Load a channel's rules by id."""
        ...

    async def add_rules(self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime) -> list[Watch]:
        """Add rules to a channel in one transaction; a rule that stands there already is returned as it is."""
        ...

    async def remove_rule(self, channel: Channel, rule_id: int, at: datetime) -> Watch:
        """Remove a rule of this channel. Raises NotFoundError."""
        ...

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first."""
        ...

    async def open_alerts(self, channel: Channel | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, oldest first."""
        ...

    async def record(self, states: Sequence[StateChange], alerts: Sequence[AlertChange], at: datetime) -> None:
        """Record changes in one transaction; see MonitorStore."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that Slack must be made to show: the alert itself (`entry` None), or one line of its thread.

    `key` names the message for ever. `version` is the newest wording, `sent_version` the one that was delivered (0
    for none) and `message_id` where it stands once posted. `thread_id` is the alert's own message, for entries.
    `attempts` counts failures in a row; `attempting` tells that an attempt began whose end is not known.
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


class OutboxStore(Protocol):
    """What delivery reads and writes."""

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load messages whose newest version is not delivered and whose time has come, oldest first.

        An entry is due only once its alert's message stands. Rows found `attempting` are among them.
        """
        ...

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> None:
        """Note, before the call, that delivery is being tried."""
        ...

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Note that this version stands at `message_id`."""
        ...

    async def mark_failed(
        self, delivery: Delivery, problem: str, retry_at: datetime, *, gone: bool = False, counts: bool = True
    ) -> None:
        """Note a failure that a later attempt may mend; with `gone` the message is posted anew.

        A failure that does not count, such as being asked to wait, leaves `attempts` as it is.
        """
        ...

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime) -> None:
        """Note that only a person can mend this; it is not tried again until its wording changes."""
        ...

    async def hold(self, channel: Channel, until: datetime) -> None:
        """Let every undelivered message of a channel wait at least until then; nothing else about them changes."""
        ...

    async def next_due_at(self) -> datetime | None:
        """Tell when the next undelivered message may be tried; None where all is delivered."""
        ...


class Store(HistoryStore, MonitorStore, DeskStore, OutboxStore, Protocol):
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
