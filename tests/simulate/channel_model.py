"""Reference model of channels: settings, quiet periods, notices and timelines after each commit."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.channel_settings import ChannelSettings, ThreadDetail
from services.alerting.notice import ChannelChange, Digest, Notice
from services.alerting.ports import AlertChange, StoredChannel
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Delivery, NoticeMessage

CALLER: ContextVar[asyncio.Task[Any] | None] = ContextVar("CALLER")  # the task that called the store
ACTION_KINDS = frozenset(
    {
        EntryKind.ACKNOWLEDGED,
        EntryKind.UNACKNOWLEDGED,
        EntryKind.SNOOZED,
        EntryKind.UNSNOOZED,
        EntryKind.CHANGED,
    }
)
STEP_KINDS = frozenset(EntryKind) - ACTION_KINDS
END_KINDS = frozenset({EntryKind.RESOLVED, EntryKind.RETRACTED, EntryKind.REMINDED, EntryKind.ESCALATED})
POSTED_KINDS = {ThreadDetail.ALL: frozenset(EntryKind), ThreadDetail.STEPS: STEP_KINDS, ThreadDetail.ENDS: END_KINDS}
AlertKey = tuple["Channel", str, str, str, "datetime"]
EntryKey = tuple["Channel", EntryKind, "datetime", object, str | None, bool]


def alert_key(alert: Alert) -> AlertKey:
    """Return a key for an alert that may not have an ID yet."""
    return alert.channel, str(alert.pair), alert.subject, alert.side.value, alert.opened_at


def entry_key(channel: Channel, entry: TimelineEntry, *, posted: bool) -> EntryKey:
    """Return a key for a timeline entry and whether it is posted in the thread."""
    return channel, entry.kind, entry.at, entry.reason, entry.by, posted


@dataclass(slots=True)
class ChannelModel:
    """What channels have set, and what their quiet periods hold back.

    Attributes:
        channels: Every channel with a setting.
        notices: Every notice by channel and name.
        silences_ended: The number of quiet periods that ended.
        entries: The entries of timelines, counted.
        closed: The IDs of closed alerts.
        late_entries: The entries of closed alerts by alert ID. An alert in a digest has no thread to post them in.
    """

    expect: Callable[..., None]
    channels: dict[Channel, StoredChannel] = field(default_factory=dict)
    notices: dict[tuple[Channel, str], Notice] = field(default_factory=dict)
    silences_ended: Counter[Channel] = field(default_factory=Counter)
    entries: Counter[EntryKey] = field(default_factory=Counter)
    closed: set[int] = field(default_factory=set)
    late_entries: dict[int, list[EntryKey]] = field(default_factory=lambda: defaultdict(list))
    _withheld: defaultdict[Channel, set[AlertKey]] = field(default_factory=lambda: defaultdict(set))
    _queried: dict[tuple[object, Channel], frozenset[AlertKey]] = field(default_factory=dict)
    _sent_in_silence: dict[str, bool] = field(default_factory=dict)

    def stored(self, channel: Channel) -> StoredChannel:
        """Return the settings of a channel."""
        return self.channels.get(channel) or StoredChannel(channel=channel, settings=ChannelSettings(), revision=0)

    def observe_call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> None:  # noqa: ANN401 -- any method
        """Apply a completed call to the store."""
        match name:
            case "change_channel" | "schedule_silence":
                for after in (arguments[0], *(one.after for one in keywords.get("others", ()))):
                    self._change(after)
            case "withheld_messages":
                self._queried[CALLER.get(), arguments[0]] = frozenset(self._withheld[arguments[0]])
            case "end_silence":
                self._end(*arguments[:3], alerts=frozenset(keywords.get("alerts", ())))
            case "add_notices":
                self.add_notices(arguments[0])
            case "mark_attempting" if result is not None:
                self._attempt(result, arguments[1])

    def record(self, alerts: Sequence[AlertChange], at: datetime) -> None:
        """Apply one commit."""
        for one in alerts:
            channel = self.stored(one.alert.channel)
            if one.alert.id == 0 and channel.is_silent(at):
                self._withheld[channel.channel].add(alert_key(one.alert))
            for entry in one.entries:
                posted = not entry.silent and entry.kind in POSTED_KINDS[channel.settings.thread]
                key = entry_key(channel.channel, entry, posted=posted)
                if one.alert.id in self.closed:
                    self.late_entries[one.alert.id].append(key)
                else:
                    self.entries[key] += 1
            if one.alert.closed_at is not None:
                self.closed.add(one.alert.id)

    def add_notices(self, notices: Sequence[Notice]) -> None:
        """Apply notices that are not known by their name yet."""
        for one in notices:
            self.notices.setdefault((one.channel, one.name), one)

    def check_post(self, key: str) -> None:
        """Check that a new message in Slack isn't posted in a quiet period."""
        self.expect(not self._sent_in_silence.get(key, True), "no new message is posted in a quiet period", key)

    def _change(self, after: StoredChannel) -> None:
        known = self.stored(after.channel)
        self.expect(known.revision == after.revision, "a channel change is a compare-and-set", after, known)
        self.channels[after.channel] = replace(after, revision=after.revision + 1)

    def _end(self, after: StoredChannel, digest: Notice | None, at: datetime, *, alerts: frozenset[int]) -> None:
        """Check that a digest names every alert that was held back when the digest was built."""
        channel = after.channel
        self.expect(self.stored(channel).is_silent(at), "a quiet period ends once", after, at)
        listed = digest.content.alerts if digest is not None and isinstance(digest.content, Digest) else ()
        withheld = self._queried.pop((CALLER.get(), channel))
        missing = withheld - {alert_key(alert) for alert in listed}
        self.expect(not missing, "a digest names every alert of its quiet period", channel.id, at, missing)
        is_named = alerts <= {alert.id for alert in listed if alert.closed_at is not None}
        self.expect(is_named, "a digest replaces only closed alerts that it names", channel.id, at, alerts)
        if digest is not None:
            self.notices.setdefault((channel, digest.name), digest)
        self._withheld[channel] -= withheld
        self.silences_ended[channel] += 1
        self._change(after)

    def _attempt(self, delivery: Delivery, at: datetime) -> None:
        """Record whether an attempt began in a quiet period; one that began before may still arrive in it."""
        message = delivery.message
        at_once = isinstance(message, NoticeMessage) and isinstance(message.notice.content, ChannelChange)
        is_silent = self.stored(delivery.channel).is_silent(at) and not at_once
        self._sent_in_silence[delivery.key] = delivery.message_id is None and is_silent
        if isinstance(delivery.message, AlertMessage):  # not quiet yet by a clock that is behind
            self._withheld[delivery.channel].discard(alert_key(delivery.message.alert))
