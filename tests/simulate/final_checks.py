"""Checks of the final state, after faults have ended and everything is delivered."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from handlers.render.alert import alert_message
from handlers.render.notices import notice_message
from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.notice import CoverageReport, Escalation, Notice, Outage
from services.alerting.ports import AlertAudit, Posting
from services.core.identity import Channel
from tests.fakes.slack import ChannelMessage
from tests.simulate.channel_model import entry_key
from tests.simulate.disk import NoticeRow
from tests.simulate.people import ON_CALL, TEAM
from tests.simulate.plan import CHANNELS, QUIET, Plan, SourceFault
from tests.simulate.world import World

REMINDER_INTERVAL, REPEAT_INTERVAL = timedelta(minutes=15), timedelta(minutes=30)  # the only values that people set
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
            case EntryKind.SNOOZED | EntryKind.UNSNOOZED:
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


LIMIT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcome:
    """The final state of a message: listed in a digest, held back by a quiet period that hasn't ended, or neither."""

    channel: Channel
    key: str
    message_id: str | None
    delivered: bool
    dead: bool
    in_digest: bool
    withheld: bool


async def check_final_state(world: World) -> None:
    """Compare the store with Slack and with the reference model; violations go to the model."""
    store, model = world.disk.store(), world.model
    backlog = await store.backlog(world.now())
    model.expect(not world.slack.messages.get(QUIET), "nothing is posted in a channel without rules")
    await _check_states(world)
    audits = [
        await store.alert_audit(alert.channel, alert.id)
        for name in CHANNELS
        for alert in await store.history(Channel(team=TEAM, id=name), LIMIT)
    ]
    notices = await world.disk.notices()
    outcomes = [_outcome(world, audit, posting) for audit in audits for posting in audit.postings]
    outcomes += [_notice_outcome(world, row) for row in notices]
    for outcome in outcomes:
        _check_outcome(world, outcome)
    for audit in audits:
        _check_alert(world, audit)
    _check_entries(world, audits)
    _check_notices(world, audits, notices)
    model.expect(backlog.waiting == 0, "every message is sent or dead-lettered", backlog)
    for action in world.people.reported:
        audit = await store.alert_audit(action.channel, action.alert_id)
        found = any(entry.kind is action.kind and entry.by == action.by for entry in audit.entries)
        model.expect(found, "a change reported to a person is in the timeline", action)


async def _check_states(world: World) -> None:
    store, model = world.disk.store(), world.model
    known = {rule.id: rule for rule in (await store.rulebook()).rules}
    model.expect(known == model.rules, "the store has every rule and its state", known, model.rules)
    channels = {one.channel: one for one in await store.channels()}
    model.expect(channels == model.channel_model.channels, "the store has the settings of every channel", channels)
    stored = [one.alert for one in await store.open_alerts()]
    expected = {(one.channel, one.subject, one.side, one.opened_at) for one in model.open_alerts.values()}
    model.expect(
        {(one.channel, one.subject, one.side, one.opened_at) for one in stored} == expected,
        "the store has every open alert",
    )
    for rule in model.rules.values() if not _may_lack_data(world.plan) else ():
        model.expect(rule.state.nodata_since is None, "after the faults, rules have data again", rule)


def _may_lack_data(plan: Plan) -> bool:
    """Return whether a split coincides with a corrected close, so that a source is excluded as another symbol.

    A source that repeats an old trade has also given a close that it corrects.
    """
    wrong = {SourceFault.WRONG_CLOSE, SourceFault.STALE}
    return plan.split is not None and any(period.what in wrong for period in plan.fault_periods)


def _outcome(world: World, audit: AlertAudit, posting: Posting) -> DeliveryOutcome:
    attempted = posting if posting.attempts else audit.postings[0]  # a reply is dead-lettered with its alert's message
    return DeliveryOutcome(
        channel=audit.alert.channel,
        key=posting.key,
        message_id=posting.message_id,
        delivered=posting.delivered,
        dead=posting.given_up_at is not None and bool(attempted.attempts[-1].problem),
        in_digest=posting.digest_at is not None,
        withheld=posting.given_up_at is None
        and _is_withheld(world, audit.alert.channel, posting.message_id, delivered=posting.delivered),
    )


def _notice_outcome(world: World, row: NoticeRow) -> DeliveryOutcome:
    return DeliveryOutcome(
        channel=row.notice.channel,
        key=row.key,
        message_id=row.message_id,
        delivered=row.delivered,
        dead=row.dead and bool(row.problem),
        in_digest=row.digest_id is not None,
        withheld=not row.dead and _is_withheld(world, row.notice.channel, row.message_id, delivered=row.delivered),
    )


def _is_withheld(world: World, channel: Channel, message_id: str | None, *, delivered: bool) -> bool:
    silent = world.model.channel_model.stored(channel).is_silent(world.now())
    return silent and message_id is None and not delivered


def _check_outcome(world: World, outcome: DeliveryOutcome) -> None:
    model, shown = world.model, _messages_of(world, outcome.channel, outcome.key)
    visible = [one for one in shown if _is_visible(world, outcome.channel, one)]
    posted = outcome.delivered and not outcome.in_digest
    results = [posted, outcome.in_digest, outcome.dead, outcome.withheld]
    model.expect(results.count(True) == 1, "every message has one outcome", outcome)
    if world.plan.can_find_posts:  # else a post may be repeated after a lost response
        model.expect(len(visible) <= 1, "one post per key", outcome.key, [one.ts for one in visible])
        model.expect(not (outcome.in_digest and visible), "an alert in a digest has no message of its own", outcome)
    if posted:
        stored = [one for one in shown if one.ts == outcome.message_id]
        model.expect(len(stored) == 1, "a message stored as sent is in Slack", outcome)


def _is_visible(world: World, channel: Channel, message: ChannelMessage) -> bool:
    """Return whether a message is visible in its place; a reply is posted again if its thread was deleted."""
    messages = world.slack.messages[channel.id]
    root = next((one for one in messages if one.ts == message.thread_ts), None)
    return not message.deleted and (root is None or not root.deleted)


def _messages_of(world: World, channel: Channel, key: str) -> list[ChannelMessage]:
    return [one for one in world.slack.messages.get(channel.id, []) if one.key == key]


def _check_alert(world: World, audit: AlertAudit) -> None:
    model, alert = world.model, audit.alert
    posted = sum(not entry.silent for entry in audit.entries)
    model.expect(posted == len(audit.postings) - 1, "every entry to post has a message", alert.id)
    own = audit.postings[0]
    for message in _messages_of(world, alert.channel, own.key):
        if own.delivered and not message.deleted and message.ts == own.message_id:
            mentioned = ON_CALL if not message.edits else None
            expected = {alert_message(alert, message.sent_at, mention=mention).text for mention in (None, mentioned)}
            model.expect(message.text in expected, "Slack shows what the store has", own, message.text, expected)
    _check_order(world, audit, world.slack.messages.get(alert.channel.id, []))
    for wrong in invalid_entries(audit.entries):
        model.expect(False, "nobody is mentioned without need", alert.id, wrong)  # noqa: FBT003 -- a violation


def _check_order(world: World, audit: AlertAudit, messages: list[ChannelMessage]) -> None:
    """Check that replies are in timeline order in each thread."""
    position = {posting.key: number for number, posting in enumerate(audit.postings)}
    threads: dict[str, list[int]] = {}
    for message in messages:
        if message.key in position and message.thread_ts is not None:
            threads.setdefault(message.thread_ts, []).append(position[message.key])
    for positions in threads.values():
        in_order = not world.plan.clocks_agree or positions == sorted(positions)
        world.model.expect(in_order, "thread replies are in order", audit.alert.id, positions)


def _check_entries(world: World, audits: list[AlertAudit]) -> None:
    """Check that each thread has the replies that its channel wanted at that time, and no others."""
    actual = Counter(
        entry_key(audit.alert.channel, entry, posted=not entry.silent) for audit in audits for entry in audit.entries
    )
    expected = Counter(world.model.channel_model.entries)
    for audit in audits:
        in_digest = audit.postings[0].digest_at is not None
        for one in world.model.channel_model.late_entries[audit.alert.id]:
            expected[(*one[:-1], False) if in_digest and one not in actual else one] += 1
    world.model.expect(
        actual == expected, "threads have the replies that their channel wants", actual - expected, expected - actual
    )


def _check_notices(world: World, audits: list[AlertAudit], rows: list[NoticeRow]) -> None:
    model, channel_model, notices = world.model, world.model.channel_model, [one.notice for one in rows]
    names = {(one.channel, one.name) for one in notices}
    model.expect(
        names == channel_model.notices.keys(), "the store has every notice", names ^ channel_model.notices.keys()
    )
    for one in rows:
        for message in _messages_of(world, one.notice.channel, one.key):
            if one.delivered and not message.deleted and message.ts == one.message_id:
                expected = notice_message(one.notice).text
                model.expect(message.text == expected, "Slack shows what the store has", one, message.text)
    if not world.plan.jumps:  # with a wrong clock, prices may return before they went missing
        model.expect(not (twice := list(overlapping_outages(notices))), "an outage is reported once", twice)
    model.expect(not (days := repeated_reports(notices)), "a session is reported once", days)
    for channel, stored in channel_model.channels.items():
        since = stored.settings.daily_since
        reported = since is None or since > world.plan.closes_at or has_report(channel, notices, world.plan.closes_at)
        model.expect(reported, "a channel with daily reports gets that of the last session", channel)
    for audit in audits:
        _check_escalations(world, audit, notices)


def _check_escalations(world: World, audit: AlertAudit, notices: list[Notice]) -> None:
    model, alert = world.model, audit.alert
    escalations = escalations_of(alert, notices)
    waits = escalation_waits(audit.entries, world.model.channel_model.silences_ended[alert.channel])
    model.expect(len(escalations) <= waits, "an alert is escalated once", alert.id, escalations)
    for one in escalations:
        same = (one.alert.closed_at, one.alert.acknowledged) == (alert.closed_at, alert.acknowledged)
        model.expect(same, "an escalation shows the latest state", alert.id, one)
