"""Telling: what timelines and notices as a whole must keep to, however they came about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.notice import CoverageReport, Escalation, Notice, Outage
from services.core.identity import Channel

REMINDS_EVERY, REPEATS_EVERY = timedelta(minutes=15), timedelta(minutes=30)  # the only ones that people set
OVER = frozenset({EntryKind.RESOLVED, EntryKind.RETRACTED})
CALLS = frozenset({EntryKind.REMINDED, EntryKind.ESCALATED})


def wrong_calls(entries: Sequence[TimelineEntry]) -> Iterator[str]:
    """Tell what of a timeline should not be there: calls of those who were not to be called, or too often."""
    last: dict[EntryKind, datetime] = {}
    marked, snoozed_until = False, None
    edited = any(one.kind is EntryKind.EDITED for one in entries)  # which may hand on a repetition of another rule
    for entry in entries:
        quiet = marked or (snoozed_until is not None and entry.at < snoozed_until)
        match entry.kind:
            case EntryKind.ACKNOWLEDGED | EntryKind.RESOLVED | EntryKind.RETRACTED:
                marked = True
            case EntryKind.UNACKNOWLEDGED:
                marked = False
                last.pop(EntryKind.ESCALATED, None)
            case EntryKind.SNOOZED:
                snoozed_until = entry.until
            case EntryKind.REMINDED | EntryKind.REPEATED | EntryKind.ESCALATED if quiet:
                yield f"{entry.kind.value} although seen to, put off or over"
            case EntryKind.REMINDED if _too_soon(last, entry, REMINDS_EVERY):
                yield "reminded twice in an interval"
            case EntryKind.REPEATED if _too_soon(last, entry, REPEATS_EVERY) and not edited:
                yield "repeated twice in an interval"
            case EntryKind.ESCALATED if EntryKind.ESCALATED in last:
                yield "escalated twice"
            case _:
                pass
        if entry.kind in CALLS | {EntryKind.REPEATED}:
            last[entry.kind] = entry.at


def _too_soon(last: dict[EntryKind, datetime], entry: TimelineEntry, every: timedelta) -> bool:
    return entry.kind in last and entry.at - last[entry.kind] < every


def waits_begun(entries: Iterable[TimelineEntry], ended: int) -> int:
    """Count how often a wait for a person may have begun: a mark taken off, a snooze or a silence begin it anew."""
    anew = {EntryKind.UNACKNOWLEDGED, EntryKind.SNOOZED}
    return 1 + sum(entry.kind in anew for entry in entries) + ended


def overlapping(notices: Iterable[Notice]) -> Iterator[str]:
    """Tell of outages that were told twice: of two on a pair in a channel, prices were back between them."""
    told: defaultdict[object, list[Outage]] = defaultdict(list)
    for one in notices:
        if isinstance(one.content, Outage):
            told[one.channel, one.content.pair, one.content.network].append(one.content)
    for outages in told.values():
        ordered = sorted(outages, key=lambda outage: outage.since)
        for first, second in pairwise(ordered):
            if first.recovered_at is None or first.recovered_at > second.since:
                yield f"{first.since} to {first.recovered_at}, and {second.since}"


def dailies_told_twice(notices: Iterable[Notice]) -> list[tuple[str, date]]:
    """List the sessions of channels that were told of more than once."""
    told = [(one.channel.id, one.content.session) for one in notices if isinstance(one.content, CoverageReport)]
    return sorted({one for one in told if told.count(one) > 1})


def escalations_of(alert: Alert, notices: Iterable[Notice]) -> list[Escalation]:
    """List what another channel was told about an alert."""
    told = [one.content for one in notices if isinstance(one.content, Escalation)]
    return [one for one in told if (one.alert.channel, one.alert.id) == (alert.channel, alert.id)]


def has_daily(channel: Channel, notices: Iterable[Notice], since: datetime) -> bool:
    """Tell whether a channel was told of a session at or after an instant."""
    return any(
        one.channel == channel and isinstance(one.content, CoverageReport) and one.opened_at >= since for one in notices
    )
