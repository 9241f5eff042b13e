from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerting.alert import ActorStamp, Alert, EntryKind, TimelineEntry
from services.alerting.ports import AlertChange, StateChange, StoredAlert
from services.core.errors import ConflictError, NotFoundError
from services.core.identity import Channel
from services.core.prices import Pair, Symbol
from services.market.measure import Window
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, a_measurement, a_rule_hit, an_alert, an_entry, removal
from tests.services.storage.conftest import Start, active_rules

OTHER_CHANNELS = [
    pytest.param(Channel(team="T1", id="C2"), id="another channel"),
    pytest.param(Channel(team="T2", id="C1"), id="the same channel id in another team"),
]
FIRING = RuleState(firing=Side.ABOVE, fired_at=AT)


async def open_alert(store: SqlStore, alert: Alert | None = None, *entries: TimelineEntry) -> StoredAlert:
    await store.record([], [AlertChange(alert=alert or an_alert(), revision=0, entries=entries)], AT)
    return (await store.open_alerts())[-1]


async def close(store: SqlStore, known: StoredAlert) -> None:
    closed = replace(known.alert, closed_at=AT + timedelta(hours=1))
    await store.record([], [AlertChange(alert=closed, revision=known.revision)], AT)


async def test_an_alert_gets_its_number_and_is_loaded_as_it_was_saved(store: SqlStore) -> None:
    alert = an_alert(
        hits=[
            a_rule_hit(rule_id=7, rule="1d 8pp", peak=0.1 + 0.2),
            a_rule_hit(rule_id=8, rule="ytd 30pp", measurement=a_measurement(window=Window.YTD, beta=None, z=None)),
        ],
        acknowledged=ActorStamp(by="U1", at=AT),
        snoozed=ActorStamp(by="U2", at=AT, until=AT + timedelta(hours=1)),
    )

    stored = await open_alert(store, alert)

    assert stored.alert.id > 0
    assert replace(alert, id=stored.alert.id) == stored.alert
    assert stored == await store.alert(CHANNEL, stored.alert.id)


async def test_open_alerts_are_loaded_oldest_first(store: SqlStore) -> None:
    first = await open_alert(store, an_alert(side=Side.ABOVE))
    second = await open_alert(store, an_alert(side=Side.BELOW))
    third = await open_alert(store, an_alert(pair=Pair(etf=Symbol("MNRS"), crypto=Symbol("BTC"))))
    await close(store, second)

    assert [first, third] == await store.open_alerts()


async def test_open_alerts_can_be_loaded_by_pair(store: SqlStore) -> None:
    other = Pair(etf=Symbol("MNRS"), crypto=Symbol("ETH"))
    first = await open_alert(store, an_alert(side=Side.ABOVE))
    second = await open_alert(store, an_alert(pair=other, side=Side.ABOVE))
    third = await open_alert(store, an_alert(pair=other, side=Side.BELOW))
    await close(store, first)

    assert [second, third] == await store.open_alerts(pair=other)
    assert [] == await store.open_alerts(pair=first.alert.pair)
    assert [other] == await store.alerted_pairs()


@pytest.mark.parametrize("other_channel", OTHER_CHANNELS)
async def test_channels_do_not_see_each_others_alerts(store: SqlStore, other_channel: Channel) -> None:
    here = await open_alert(store)
    there = await open_alert(store, an_alert(channel=other_channel))

    assert [here] == await store.open_alerts(CHANNEL)
    assert [there] == await store.open_alerts(other_channel)
    assert [here, there] == await store.open_alerts()
    assert [here.alert] == await store.history(CHANNEL, 10)
    with pytest.raises(NotFoundError, match=f"No alert {there.alert.id} in this channel."):
        await store.alert(CHANNEL, there.alert.id)


async def test_history_is_newest_first_and_has_closed_alerts(store: SqlStore) -> None:
    numbers = []
    for _ in range(3):
        opened = await open_alert(store)
        await close(store, opened)
        numbers.append(opened.alert.id)

    assert numbers[::-1] == [alert.id for alert in await store.history(CHANNEL, 10)]
    assert numbers[:0:-1] == [alert.id for alert in await store.history(CHANNEL, 2)]


async def test_a_closed_alert_can_still_be_read(store: SqlStore) -> None:
    opened = await open_alert(store)
    await close(store, opened)

    assert AT + timedelta(hours=1) == (await store.alert(CHANNEL, opened.alert.id)).alert.closed_at


async def test_every_change_increments_the_revision(store: SqlStore) -> None:
    opened = await open_alert(store)
    changed = replace(opened.alert, reason="worsened")

    await store.record([], [AlertChange(alert=changed, revision=opened.revision)], AT)

    (stored,) = await store.open_alerts()
    assert changed == stored.alert
    assert opened.revision < stored.revision


async def test_an_alert_that_changed_since_it_was_read_is_not_overwritten(store: SqlStore) -> None:
    read = await open_alert(store)
    await store.record([], [AlertChange(alert=replace(read.alert, reason="by one"), revision=read.revision)], AT)

    with pytest.raises(ConflictError, match=f"Alert {read.alert.id} changed after it was read"):
        await store.record([], [AlertChange(alert=replace(read.alert, reason="by two"), revision=read.revision)], AT)

    assert ["by one"] == [stored.alert.reason for stored in await store.open_alerts()]


async def test_a_second_open_alert_of_the_same_pair_and_side_is_a_conflict(store: SqlStore) -> None:
    first = await open_alert(store)

    with pytest.raises(ConflictError, match="already open"):
        await open_alert(store)
    await close(store, first)
    second = await open_alert(store)

    assert [second] == await store.open_alerts()


async def test_an_alert_can_be_closed_and_reopened_in_one_transaction(store: SqlStore) -> None:
    first = await open_alert(store)
    successor = AlertChange(alert=an_alert(reason="reopened"), revision=0)
    closed = AlertChange(alert=replace(first.alert, closed_at=AT), revision=first.revision)

    await store.record([], [successor, closed], AT)

    assert ["reopened"] == [stored.alert.reason for stored in await store.open_alerts()]


async def test_a_closed_alert_cannot_reopen_while_another_is_open(store: SqlStore) -> None:
    first = await open_alert(store)
    await close(store, first)
    await open_alert(store)

    with pytest.raises(ConflictError):
        await store.record([], [AlertChange(alert=first.alert, revision=first.revision + 1)], AT)


async def test_a_conflict_on_an_alert_rolls_back_states_messages_and_entries(store: SqlStore) -> None:
    (rule,) = await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    read = await open_alert(store)
    revision, due = (await store.rulebook()).revision, await store.due(AT)
    change = StateChange(rule_id=rule.id, before=RuleState(), after=FIRING)
    fresh = AlertChange(alert=replace(read.alert, reason="new"), revision=read.revision, entries=(an_entry(),))
    stale = AlertChange(alert=replace(read.alert, reason="old"), revision=read.revision)

    with pytest.raises(ConflictError):
        await store.record([change], [fresh, stale], AT)

    assert [rule] == await active_rules(store)
    assert [read] == await store.open_alerts()
    assert (revision, due) == ((await store.rulebook()).revision, await store.due(AT))


async def test_a_conflict_on_a_state_rolls_back_the_alert(store: SqlStore) -> None:
    (rule,) = await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    change = StateChange(rule_id=rule.id, before=FIRING, after=RuleState())

    with pytest.raises(ConflictError):
        await store.record([change], [AlertChange(alert=an_alert(), revision=0)], AT)

    assert [] == await store.open_alerts()
    assert [] == await store.due(AT)


async def test_an_open_alert_still_names_a_removed_rule(store: SqlStore) -> None:
    (rule,) = await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    opened = await open_alert(store, an_alert(hits=[a_rule_hit(rule_id=rule.id)]))

    await store.record([], [], AT, rules=[removal(rule)])

    assert [opened] == await store.open_alerts(CHANNEL)
    assert [rule.id] == [fact.rule_id for fact in opened.alert.hits]


async def test_a_record_survives_a_restart(start: Start) -> None:
    first = await start()
    (rule,) = await first.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    change = StateChange(rule_id=rule.id, before=RuleState(), after=FIRING)
    entries = (an_entry(), an_entry(kind=EntryKind.JOINED, silent=True))
    await first.record([change], [AlertChange(alert=an_alert(), revision=0, entries=entries)], AT)

    second = await start()

    assert [replace(rule, state=FIRING)] == await active_rules(second)
    assert await first.open_alerts() == await second.open_alerts()
    assert await first.due(AT) == await second.due(AT)


async def test_two_processes_cannot_both_open_an_alert(start: Start) -> None:
    one, other = await start(), await start()

    await open_alert(one)
    with pytest.raises(ConflictError):
        await open_alert(other)

    assert len(await other.open_alerts()) == 1
