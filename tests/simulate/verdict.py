"""The verdict: what must be true once faults have stopped and all has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from services.domain.episode import Channel
from tests.simulate.people import TEAM
from tests.simulate.plan import CHANNELS, QUIET, Trouble

if TYPE_CHECKING:
    from services.ports import Posting, Receipt
    from tests.simulate.plan import Plan
    from tests.simulate.slack import Message
    from tests.simulate.world import World

MANY = 10_000


async def judge(world: World) -> None:
    """Hold what Slack shows and what the ledger says against the store; breaches go to the ledger."""
    store, ledger = world.disk.store(), world.ledger
    backlog = await store.backlog(world.now())
    ledger.expect(not world.slack.messages.get(QUIET), "nothing is posted where there are no rules")
    known = {watch.id: watch.state for watch in (await store.rulebook()).watches}
    ledger.expect(known == {watch.id: watch.state for watch in ledger.rules.values()}, "the store holds every state")
    stored = [one.alert for one in await store.open_alerts()]
    in_ledger = {(one.channel, one.subject, one.side, one.opened_at) for one in ledger.open.values()}
    ledger.expect(
        {(one.channel, one.subject, one.side, one.opened_at) for one in stored} == in_ledger,
        "the store holds every open episode",
    )
    for watch in ledger.rules.values() if not _may_stay_dark(world.plan) else ():
        ledger.expect(watch.state.dark_at is None, "once all is well, rules see prices again", watch)
    receipts = [
        await store.receipt(alert.channel, alert.id)
        for name in CHANNELS
        for alert in await store.history(Channel(team=TEAM, id=name), MANY)
    ]
    for receipt in receipts:
        _judge_alert(world, receipt)
    kept_back = sum(_waits_for_ever(receipt, posting) for receipt in receipts for posting in receipt.postings)
    ledger.expect(backlog.waiting == kept_back, "every message ends sent or given up", backlog)
    for done in world.people.done:
        receipt = await store.receipt(done.channel, done.alert_id)
        kept = any(entry.kind is done.kind and entry.by == done.by for entry in receipt.entries)
        ledger.expect(kept, "what a person was told is done is kept", done)


def _may_stay_dark(plan: Plan) -> bool:
    """Tell of a split while a close is corrected: that source is taken for one of another symbol, and left out."""
    return plan.split is not None and any(spell.what is Trouble.WRONG_CLOSE for spell in plan.spells)


def _judge_alert(world: World, receipt: Receipt) -> None:
    ledger, alert = world.ledger, receipt.alert
    messages = world.slack.messages.get(alert.channel.id, [])
    told = sum(not entry.silent for entry in receipt.entries)
    ledger.expect(told == len(receipt.postings) - 1, "every line that is to be told has a message", alert.id)
    for posting in receipt.postings:
        _judge_posting(world, receipt, posting, [one for one in messages if one.key == posting.key])
    _judge_order(world, receipt, messages)


def _judge_posting(world: World, receipt: Receipt, posting: Posting, shown: list[Message]) -> None:
    ledger, standing = world.ledger, [one for one in shown if one.standing]
    reasoned = posting.given_up_at is not None and bool(posting.attempts[-1].problem)
    ended = posting.delivered or reasoned or _waits_for_ever(receipt, posting)
    ledger.expect(ended, "every message ends sent or given up with a reason", posting)
    if world.plan.looks_up:
        ledger.expect(len(standing) <= 1, "one post for each key", posting.key, [one.ts for one in standing])
    if not posting.delivered:
        return
    mine = [one for one in shown if one.ts == posting.message_id]
    ledger.expect(len(mine) == 1, "what is noted as sent is in Slack", posting)
    if posting.entry is None and mine and mine[0].standing:
        expected = render.alert(receipt.alert, mine[0].made_at).text
        ledger.expect(mine[0].text == expected, "Slack shows what the store says", posting, mine[0].text, expected)


def _waits_for_ever(receipt: Receipt, posting: Posting) -> bool:
    """Tell of a line whose thread was given up with the alert's own message: it goes on only if the alert changes."""
    return posting.entry is not None and not posting.delivered and receipt.postings[0].given_up_at is not None


def _judge_order(world: World, receipt: Receipt, messages: list[Message]) -> None:
    """Lines stand in the order of what they tell, in each thread."""
    place = {posting.key: number for number, posting in enumerate(receipt.postings)}
    threads: dict[str, list[int]] = {}
    for message in messages:
        if message.key in place and message.thread_ts is not None:
            threads.setdefault(message.thread_ts, []).append(place[message.key])
    for lines in threads.values():
        world.ledger.expect(lines == sorted(lines), "lines of a thread stand in their order", receipt.alert.id, lines)
