"""The verdict: what must be true once faults have stopped and all has come to rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from handlers.render.alert import alert_message
from handlers.render.notices import notice_message
from services.alerting.notice import Notice
from services.alerting.records import AlertAudit, Posting
from services.core.identity import Channel
from tests.fakes.slack import ChannelMessage
from tests.simulate.disk import Noted
from tests.simulate.people import ON_CALL, TEAM
from tests.simulate.plan import CHANNELS, QUIET, Plan, Trouble
from tests.simulate.silences import line
from tests.simulate.telling import dailies_told_twice, escalations_of, has_daily, overlapping, waits_begun, wrong_calls
from tests.simulate.world import World

MANY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a message: `told` in a digest, `kept` back by a silence that has not ended, or neither."""

    channel: Channel
    key: str
    message_id: str | None
    delivered: bool
    given_up: bool
    told: bool
    kept: bool


async def judge(world: World) -> None:
    """Hold what Slack shows and what the ledger says against the store; breaches go to the ledger."""
    store, ledger = world.disk.store(), world.ledger
    backlog = await store.backlog(world.now())
    ledger.expect(not world.slack.messages.get(QUIET), "nothing is posted where there are no rules")
    await _judge_states(world)
    receipts = [
        await store.alert_audit(alert.channel, alert.id)
        for name in CHANNELS
        for alert in await store.history(Channel(team=TEAM, id=name), MANY)
    ]
    notices = await world.disk.notices()
    fates = [_fate(world, receipt, posting) for receipt in receipts for posting in receipt.postings]
    fates += [_fate_of_notice(world, noted) for noted in notices]
    for fate in fates:
        _judge_fate(world, fate)
    for receipt in receipts:
        _judge_alert(world, receipt)
    _judge_lines(world, receipts)
    _judge_notices(world, receipts, notices)
    ledger.expect(backlog.waiting == 0, "every message ends sent or given up", backlog)
    for done in world.people.done:
        receipt = await store.alert_audit(done.channel, done.alert_id)
        kept = any(entry.kind is done.kind and entry.by == done.by for entry in receipt.entries)
        ledger.expect(kept, "what a person was told is done is kept", done)


async def _judge_states(world: World) -> None:
    store, ledger = world.disk.store(), world.ledger
    known = {watch.id: watch for watch in (await store.rulebook()).rules}
    ledger.expect(known == ledger.rules, "the store holds every rule and its state", known, ledger.rules)
    channels = {one.channel: one for one in await store.channels()}
    ledger.expect(channels == ledger.silences.channels, "the store holds what every channel has set", channels)
    stored = [one.alert for one in await store.open_alerts()]
    in_ledger = {(one.channel, one.subject, one.side, one.opened_at) for one in ledger.open.values()}
    ledger.expect(
        {(one.channel, one.subject, one.side, one.opened_at) for one in stored} == in_ledger,
        "the store holds every open episode",
    )
    for watch in ledger.rules.values() if not _may_stay_dark(world.plan) else ():
        ledger.expect(watch.state.nodata_since is None, "once all is well, rules see prices again", watch)


def _may_stay_dark(plan: Plan) -> bool:
    """Tell of a split while a close is corrected: that source is taken for one of another symbol, and left out.

    Whoever repeats an old trade has told a close that it corrects, too.
    """
    wrong = {Trouble.WRONG_CLOSE, Trouble.STALE}
    return plan.split is not None and any(spell.what in wrong for spell in plan.spells)


def _fate(world: World, receipt: AlertAudit, posting: Posting) -> Fate:
    tried = posting if posting.attempts else receipt.postings[0]  # a line is given up with its alert's own message
    return Fate(
        channel=receipt.alert.channel,
        key=posting.key,
        message_id=posting.message_id,
        delivered=posting.delivered,
        given_up=posting.given_up_at is not None and bool(tried.attempts[-1].problem),
        told=posting.digest_at is not None,
        kept=posting.given_up_at is None
        and _is_kept(world, receipt.alert.channel, posting.message_id, delivered=posting.delivered),
    )


def _fate_of_notice(world: World, noted: Noted) -> Fate:
    return Fate(
        channel=noted.notice.channel,
        key=noted.key,
        message_id=noted.message_id,
        delivered=noted.delivered,
        given_up=noted.given_up and bool(noted.problem),
        told=noted.told_in is not None,
        kept=not noted.given_up and _is_kept(world, noted.notice.channel, noted.message_id, delivered=noted.delivered),
    )


def _is_kept(world: World, channel: Channel, message_id: str | None, *, delivered: bool) -> bool:
    silent = world.ledger.silences.of(channel).is_silent(world.now())
    return silent and message_id is None and not delivered


def _judge_fate(world: World, fate: Fate) -> None:
    ledger, shown = world.ledger, _shown(world, fate.channel, fate.key)
    standing = [one for one in shown if _stands(world, fate.channel, one)]
    posted = fate.delivered and not fate.told
    ends = [posted, fate.told, fate.given_up, fate.kept]
    ledger.expect(ends.count(True) == 1, "every message ends in one way", fate)
    if world.plan.looks_up:  # else a post whose answer was lost may stand twice, and one of the two be known
        ledger.expect(len(standing) <= 1, "one post for each key", fate.key, [one.ts for one in standing])
        ledger.expect(not (fate.told and standing), "what a digest tells does not stand by itself too", fate)
    if posted:
        mine = [one for one in shown if one.ts == fate.message_id]
        ledger.expect(len(mine) == 1, "what is noted as sent is in Slack", fate)


def _stands(world: World, channel: Channel, message: ChannelMessage) -> bool:
    """Tell whether a message can be read where it belongs: a line is told again where its thread is gone."""
    messages = world.slack.messages[channel.id]
    above = next((one for one in messages if one.ts == message.thread_ts), None)
    return not message.deleted and (above is None or not above.deleted)


def _shown(world: World, channel: Channel, key: str) -> list[ChannelMessage]:
    return [one for one in world.slack.messages.get(channel.id, []) if one.key == key]


def _judge_alert(world: World, receipt: AlertAudit) -> None:
    ledger, alert = world.ledger, receipt.alert
    told = sum(not entry.silent for entry in receipt.entries)
    ledger.expect(told == len(receipt.postings) - 1, "every line that is to be told has a message", alert.id)
    own = receipt.postings[0]
    for message in _shown(world, alert.channel, own.key):
        if own.delivered and not message.deleted and message.ts == own.message_id:
            called = ON_CALL if not message.edits else None
            expected = {alert_message(alert, message.sent_at, mention=calls).text for calls in (None, called)}
            ledger.expect(message.text in expected, "Slack shows what the store says", own, message.text, expected)
    _judge_order(world, receipt, world.slack.messages.get(alert.channel.id, []))
    for wrong in wrong_calls(receipt.entries):
        ledger.expect(False, "nobody is called without need", alert.id, wrong)  # noqa: FBT003 -- it is one


def _judge_order(world: World, receipt: AlertAudit, messages: list[ChannelMessage]) -> None:
    """Lines stand in the order of what they tell, in each thread."""
    place = {posting.key: number for number, posting in enumerate(receipt.postings)}
    threads: dict[str, list[int]] = {}
    for message in messages:
        if message.key in place and message.thread_ts is not None:
            threads.setdefault(message.thread_ts, []).append(place[message.key])
    for lines in threads.values():
        in_order = not world.plan.agrees or lines == sorted(lines)
        world.ledger.expect(in_order, "lines of a thread stand in their order", receipt.alert.id, lines)


def _judge_lines(world: World, receipts: list[AlertAudit]) -> None:
    """Each thread has heard what its channel wanted to hear when it happened, and nothing else."""
    lines = Counter(
        line(receipt.alert.channel, entry, told=not entry.silent) for receipt in receipts for entry in receipt.entries
    )
    wanted = Counter(world.ledger.silences.lines)
    for receipt in receipts:
        untold = receipt.postings[0].digest_at is not None
        for one in world.ledger.silences.late[receipt.alert.id]:
            wanted[(*one[:-1], False) if untold and one not in lines else one] += 1
    world.ledger.expect(lines == wanted, "threads tell what their channel wants", lines - wanted, wanted - lines)


def _judge_notices(world: World, receipts: list[AlertAudit], noted: list[Noted]) -> None:
    ledger, silences, notices = world.ledger, world.ledger.silences, [one.notice for one in noted]
    names = {(one.channel, one.name) for one in notices}
    ledger.expect(names == silences.notices.keys(), "the store holds every notice", names ^ silences.notices.keys())
    for one in noted:
        for message in _shown(world, one.notice.channel, one.key):
            if one.delivered and not message.deleted and message.ts == one.message_id:
                expected = notice_message(one.notice).text
                ledger.expect(message.text == expected, "Slack shows what the store says", one, message.text)
    if not world.plan.jumps:  # by a clock that is wrong prices may be back before they went
        ledger.expect(not (twice := list(overlapping(notices))), "an outage is told once", twice)
    ledger.expect(not (days := dailies_told_twice(notices)), "a session is told of once", days)
    for channel, stored in silences.channels.items():
        since = stored.settings.daily_since
        told = since is None or since > world.plan.closes_at or has_daily(channel, notices, world.plan.closes_at)
        ledger.expect(told, "whoever wants it is told of the last session", channel)
    for receipt in receipts:
        _judge_escalations(world, receipt, notices)


def _judge_escalations(world: World, receipt: AlertAudit, notices: list[Notice]) -> None:
    ledger, alert = world.ledger, receipt.alert
    escalations = escalations_of(alert, notices)
    waits = waits_begun(receipt.entries, world.ledger.silences.ended[alert.channel])
    ledger.expect(len(escalations) <= waits, "an alert is escalated once", alert.id, escalations)
    for one in escalations:
        same = (one.alert.closed_at, one.alert.acknowledged) == (alert.closed_at, alert.acknowledged)
        ledger.expect(same, "another channel is told how it goes on", alert.id, one)
