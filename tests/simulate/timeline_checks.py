"""Invariants of whole timelines and notices."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.notice import CoverageReport, Escalation, Notice, Outage
from services.core.identity import Channel

REMINDER_INTERVAL, REPEAT_INTERVAL = timedelta(minutes=15), timedelta(minutes=30)  # the only values that people set
OVER = frozenset({EntryKind.RESOLVED, EntryKind.RETRACTED})
MENTION_KINDS = frozenset({EntryKind.REMINDED, EntryKind.ESCALATED})


def invalid_entries(entries: Sequence[TimelineEntry]) -> Iterator[str]:
    """Yield each entry that should not exist: a mention when nobody should be mentioned, or too soon after the last."""
    last: dict[EntryKind, datetime] = {}
    is_handled, snoozed_until = False, None
    # an edited rule may take over another rule's repetition
    edited = any(one.kind is EntryKind.EDITED for one in entries)
    for entry in entries:
        is_quiet = is_handled or (snoozed_until is not None and entry.at < snoozed_until)
        match entry.kind:
            case EntryKind.ACKNOWLEDGED | EntryKind.RESOLVED | EntryKind.RETRACTED:
                is_handled = True
            case EntryKind.UNACKNOWLEDGED:
                is_handled = False
                last.pop(EntryKind.ESCALATED, None)
            case EntryKind.SNOOZED:
                snoozed_until = entry.until
            case EntryKind.REMINDED | EntryKind.REPEATED | EntryKind.ESCALATED if is_quiet:
                yield f"{entry.kind.value} although acknowledged, snoozed or closed"
            case EntryKind.REMINDED if _too_soon(last, entry, REMINDER_INTERVAL):
                yield "reminded twice in an interval"
            case EntryKind.REPEATED if _too_soon(last, entry, REPEAT_INTERVAL) and not edited:
                yield "repeated twice in an interval"
            case EntryKind.ESCALATED if EntryKind.ESCALATED in last:
                yield "escalated twice"
            case _:
                pass
        if entry.kind in MENTION_KINDS | {EntryKind.REPEATED}:
            last[entry.kind] = entry.at


def _too_soon(last: dict[EntryKind, datetime], entry: TimelineEntry, every: timedelta) -> bool:
    return entry.kind in last and entry.at - last[entry.kind] < every


def escalation_waits(entries: Iterable[TimelineEntry], silences_ended: int) -> int:
    """Return the maximum number of escalations; unacknowledging, snoozes and quiet periods restart the wait."""
    restarting = {EntryKind.UNACKNOWLEDGED, EntryKind.SNOOZED}
    return 1 + sum(entry.kind in restarting for entry in entries) + silences_ended


def overlapping_outages(notices: Iterable[Notice]) -> Iterator[str]:
    """Yield outages of one pair and channel that overlap, so that an outage was reported twice."""
    by_pair: defaultdict[object, list[Outage]] = defaultdict(list)
    for one in notices:
        if isinstance(one.content, Outage):
            by_pair[one.channel, one.content.pair, one.content.network].append(one.content)
    for outages in by_pair.values():
        ordered = sorted(outages, key=lambda outage: outage.since)
        for first, second in pairwise(ordered):
            if first.recovered_at is None or first.recovered_at > second.since:
                yield f"{first.since} to {first.recovered_at}, and {second.since}"


def repeated_reports(notices: Iterable[Notice]) -> list[tuple[str, date]]:
    """Return the sessions whose report a channel got more than once."""
    reports = [(one.channel.id, one.content.session) for one in notices if isinstance(one.content, CoverageReport)]
    return sorted({one for one in reports if reports.count(one) > 1})


def escalations_of(alert: Alert, notices: Iterable[Notice]) -> list[Escalation]:
    """Return the escalations of an alert to another channel."""
    escalations = [one.content for one in notices if isinstance(one.content, Escalation)]
    return [one for one in escalations if (one.alert.channel, one.alert.id) == (alert.channel, alert.id)]


def has_report(channel: Channel, notices: Iterable[Notice], since: datetime) -> bool:
    """Return whether a channel got a report at or after a time."""
    return any(
        one.channel == channel and isinstance(one.content, CoverageReport) and one.opened_at >= since for one in notices
    )
