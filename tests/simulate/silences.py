"""Silences: what channels have set, and what is kept back in them, told and attempted, after each commit."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.channel_settings import ChannelSettings, ThreadDetail
from services.alerting.notice import Digest, Notice
from services.alerting.ports import StoredChannel
from services.alerting.records import AlertChange
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Delivery

CALLER: ContextVar[asyncio.Task[Any] | None] = ContextVar("CALLER")  # who called the store
ACTS = frozenset({EntryKind.ACKNOWLEDGED, EntryKind.UNACKNOWLEDGED, EntryKind.SNOOZED, EntryKind.CHANGED})
STEPS = frozenset(EntryKind) - ACTS
ENDS = frozenset({EntryKind.RESOLVED, EntryKind.RETRACTED, EntryKind.REMINDED, EntryKind.ESCALATED})
HEARS = {ThreadDetail.ALL: frozenset(EntryKind), ThreadDetail.STEPS: STEPS, ThreadDetail.ENDS: ENDS}
Named = tuple["Channel", str, str, str, "datetime"]
Line = tuple["Channel", EntryKind, "datetime", str, str | None, bool]


def named(alert: Alert) -> Named:
    """Name an alert also before the store has given it a number."""
    return alert.channel, str(alert.pair), alert.subject.value, alert.side.value, alert.opened_at


def line(channel: Channel, entry: TimelineEntry, *, told: bool) -> Line:
    """Name a line, and whether its thread hears it."""
    return channel, entry.kind, entry.at, entry.reason, entry.by, told


@dataclass(slots=True)
class Silences:
    """Every channel that has set something; `ended` counts its silences, `lines` has all that timelines gained.

    `late` has those of alerts that were `over`: one that a digest has told has no thread to tell them in.
    """

    expect: Callable[..., None]
    channels: dict[Channel, StoredChannel] = field(default_factory=dict)
    notices: dict[tuple[Channel, str], Notice] = field(default_factory=dict)
    ended: Counter[Channel] = field(default_factory=Counter)
    lines: Counter[Line] = field(default_factory=Counter)
    over: set[int] = field(default_factory=set)
    late: dict[int, list[Line]] = field(default_factory=lambda: defaultdict(list))
    _opened: defaultdict[Channel, set[Named]] = field(default_factory=lambda: defaultdict(set))
    _asked: dict[tuple[object, Channel], frozenset[Named]] = field(default_factory=dict)
    _in_silence: dict[str, bool] = field(default_factory=dict)

    def of(self, channel: Channel) -> StoredChannel:
        """Give what a channel has set."""
        return self.channels.get(channel) or StoredChannel(channel=channel, settings=ChannelSettings(), revision=0)

    def note(self, name: str, asked: tuple[Any, ...], more: dict[str, Any], result: Any) -> None:  # noqa: ANN401 -- whatever the store has
        """Take note of a call to the store that has been done."""
        match name:
            case "change_channel" | "schedule_silence":
                self._change(asked[0])
            case "withheld_messages":
                self._asked[CALLER.get(), asked[0]] = frozenset(self._opened[asked[0]])
            case "end_silence":
                self._end(*asked[:3], alerts=frozenset(more.get("alerts", ())))
            case "add_notices":
                self.notices |= {
                    (one.channel, one.name): one for one in asked[0] if (one.channel, one.name) not in self.notices
                }
            case "mark_attempting" if result is not None:
                self._attempt(result, asked[1])

    def record(self, alerts: Sequence[AlertChange], at: datetime) -> None:
        """Take over one commit."""
        for one in alerts:
            channel = self.of(one.alert.channel)
            if one.alert.id == 0 and channel.is_silent(at):
                self._opened[channel.channel].add(named(one.alert))
            for entry in one.entries:
                told = not entry.silent and entry.kind in HEARS[channel.settings.thread]
                gained = line(channel.channel, entry, told=told)
                if one.alert.id in self.over:
                    self.late[one.alert.id].append(gained)
                else:
                    self.lines[gained] += 1
            if one.alert.closed_at is not None:
                self.over.add(one.alert.id)

    def posted(self, key: str) -> None:
        """Take note that Slack takes a new message."""
        self.expect(not self._in_silence.get(key, True), "nothing new is posted into a silent channel", key)

    def _change(self, after: StoredChannel) -> None:
        known = self.of(after.channel)
        self.expect(known.revision == after.revision, "a channel is compared and set", after, known)
        self.channels[after.channel] = replace(after, revision=after.revision + 1)

    def _end(self, after: StoredChannel, digest: Notice | None, at: datetime, *, alerts: frozenset[int]) -> None:
        """Hold against a digest that it names what happened by the time when that was asked for."""
        channel = after.channel
        self.expect(self.of(channel).is_silent(at), "a silence ends once", after, at)
        told = digest.content.alerts if digest is not None and isinstance(digest.content, Digest) else ()
        asked = self._asked.pop((CALLER.get(), channel))
        missing = asked - {named(alert) for alert in told}
        self.expect(not missing, "a digest names every alert of its silence", channel.id, at, missing)
        in_its_stead = alerts <= {alert.id for alert in told if alert.closed_at is not None}
        self.expect(in_its_stead, "a digest stands only for what it names and what is over", channel.id, at, alerts)
        if digest is not None:
            self.notices.setdefault((channel, digest.name), digest)
        self._opened[channel] -= asked
        self.ended[channel] += 1
        self._change(after)

    def _attempt(self, delivery: Delivery, at: datetime) -> None:
        """Remember of an attempt whether it began in a silence: one that began before may still arrive in it."""
        self._in_silence[delivery.key] = delivery.message_id is None and self.of(delivery.channel).is_silent(at)
        if isinstance(delivery.message, AlertMessage):  # by a clock that is behind it is not silent yet
            self._opened[delivery.channel].discard(named(delivery.message.alert))
