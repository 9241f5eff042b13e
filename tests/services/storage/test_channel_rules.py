from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerting.ports import AlertChange, ChannelRule, Rulebook, StateChange
from services.core.errors import ConflictError, NotFoundError
from services.core.identity import Channel
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert, removal
from tests.services.storage.conftest import Start, active_rules

OTHER_CHANNELS = [
    pytest.param(Channel(team="T1", id="C2"), id="another channel"),
    pytest.param(Channel(team="T2", id="C1"), id="the same channel id in another team"),
]
PENDING = RuleState(breach=Side.BELOW, breach_at=AT, breach_seen_at=AT + timedelta(minutes=1))
FIRING = RuleState(firing=Side.ABOVE, fired_at=AT, nodata_since=AT + timedelta(microseconds=1))


async def add(store: SqlStore, *texts: str, channel: Channel = CHANNEL) -> list[ChannelRule]:
    return await store.add_rules(channel, [parse_rule(text) for text in texts], "U1", AT)


async def test_added_rules_start_in_a_clean_state(store: SqlStore) -> None:
    added = await add(store, "1d 8pp", "5d 15pp above clear 10pp for 10m")

    assert ["1d 8pp", "5d 15pp above clear 10pp for 10m"] == [str(rule.rule) for rule in added]
    assert [(CHANNEL, RuleState(), "U1", AT)] * 2 == [
        (rule.channel, rule.state, rule.created_by, rule.created_at) for rule in added
    ]
    assert added == await store.rules(CHANNEL)
    assert added == await active_rules(store)


async def test_a_rule_that_exists_already_is_returned_unchanged(store: SqlStore) -> None:
    (first,) = await add(store, "1d 8pp")

    again = await store.add_rules(
        CHANNEL, [parse_rule("5d 15pp"), parse_rule("1D  8pp either")], "U2", AT + timedelta(days=1)
    )

    assert ["5d 15pp", "1d 8pp"] == [str(rule.rule) for rule in again]
    assert first == again[1]
    assert len(await store.rules(CHANNEL)) == 2


async def test_the_same_rule_given_twice_is_one_rule(store: SqlStore) -> None:
    first, second = await add(store, "1d 8pp", "1d 8pp")

    assert first == second
    assert [first] == await store.rules(CHANNEL)


@pytest.mark.parametrize("other_channel", OTHER_CHANNELS)
async def test_channels_do_not_see_each_others_rules(store: SqlStore, other_channel: Channel) -> None:
    (here,) = await add(store, "1d 8pp")
    (there,) = await add(store, "1d 8pp", channel=other_channel)

    assert [here] == await store.rules(CHANNEL)
    assert [there] == await store.rules(other_channel)
    assert [here, there] == await active_rules(store)


@pytest.mark.parametrize("other_channel", OTHER_CHANNELS)
async def test_a_rule_of_another_channel_is_not_found(store: SqlStore, other_channel: Channel) -> None:
    (here,) = await add(store, "1d 8pp")

    with pytest.raises(NotFoundError, match=f"No rule {here.id} in this channel."):
        await store.rule(other_channel, here.id)

    assert here == await store.rule(CHANNEL, here.id)


async def test_a_removed_rule_is_no_longer_loaded(store: SqlStore) -> None:
    first, second = await add(store, "1d 8pp", "5d 15pp")

    await store.record([], [], AT, rules=[removal(first)])

    assert [second] == await store.rules(CHANNEL)
    assert [second] == await active_rules(store)
    with pytest.raises(NotFoundError):
        await store.rule(CHANNEL, first.id)
    with pytest.raises(ConflictError):
        await store.record([], [], AT, rules=[removal(first)])


async def test_a_rule_that_changed_since_it_was_read_is_not_removed_and_nothing_else_is_saved(store: SqlStore) -> None:
    (read,) = await add(store, "1d 8pp")
    await store.record([StateChange(rule_id=read.id, before=RuleState(), after=FIRING)], [], AT)

    with pytest.raises(ConflictError):
        await store.record([], [AlertChange(alert=an_alert(), revision=0)], AT, rules=[removal(read)])

    assert ([replace(read, state=FIRING)], []) == (await store.rules(CHANNEL), await store.open_alerts())


async def test_a_removed_rule_can_be_added_again_with_a_new_number(store: SqlStore) -> None:
    (first,) = await add(store, "1d 8pp")
    await store.record([StateChange(rule_id=first.id, before=RuleState(), after=FIRING)], [], AT)
    await store.record([], [], AT, rules=[removal(one) for one in await store.rules(CHANNEL)])

    (second,) = await add(store, "1d 8pp")

    assert first.id < second.id
    assert RuleState() == second.state


@pytest.mark.parametrize("state", [pytest.param(PENDING, id="pending"), pytest.param(FIRING, id="firing and dark")])
async def test_a_state_is_loaded_as_it_was_saved(store: SqlStore, state: RuleState) -> None:
    (rule,) = await add(store, "1d 8pp")

    await store.record([StateChange(rule_id=rule.id, before=RuleState(), after=state)], [], AT)

    assert [replace(rule, state=state)] == await active_rules(store)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(RuleState(), id="nothing where something is"),
        pytest.param(replace(PENDING, breach=Side.ABOVE), id="another side"),
        pytest.param(replace(PENDING, breach_at=AT + timedelta(microseconds=1)), id="another instant"),
        pytest.param(replace(PENDING, nodata_since=AT), id="something where nothing is"),
    ],
)
async def test_a_state_that_changed_since_it_was_read_is_not_overwritten(store: SqlStore, before: RuleState) -> None:
    first, second = await add(store, "1d 8pp", "5d 15pp")
    await store.record([StateChange(rule_id=first.id, before=RuleState(), after=PENDING)], [], AT)
    read = await active_rules(store)
    changes = [
        StateChange(rule_id=second.id, before=RuleState(), after=FIRING),
        StateChange(rule_id=first.id, before=before, after=FIRING),
    ]

    with pytest.raises(ConflictError):
        await store.record(changes, [], AT)

    assert read == await active_rules(store)


async def test_the_state_of_a_removed_rule_cannot_be_saved(store: SqlStore) -> None:
    (rule,) = await add(store, "1d 8pp")
    await store.record([], [], AT, rules=[removal(one) for one in await store.rules(CHANNEL)])

    with pytest.raises(ConflictError):
        await store.record([StateChange(rule_id=rule.id, before=RuleState(), after=PENDING)], [], AT)


async def test_thousands_of_rules_change_state_together(store: SqlStore) -> None:
    texts = [f"1d {tenth / 10}pp" for tenth in range(10, 2_110)]
    rules = await add(store, *texts)
    dark = RuleState(nodata_since=AT)

    await store.record([StateChange(rule_id=rule.id, before=RuleState(), after=dark) for rule in rules], [], AT)

    assert {dark} == {rule.state for rule in await active_rules(store)}


async def test_the_revision_grows_with_each_change_of_a_rule_or_state_and_only_then(store: SqlStore) -> None:
    seen = [(await store.rulebook()).revision]

    (rule,) = await add(store, "1d 8pp")
    seen.append((await store.rulebook()).revision)
    await store.record([StateChange(rule_id=rule.id, before=RuleState(), after=PENDING)], [], AT)
    seen.append((await store.rulebook()).revision)
    await store.record([], [], AT, rules=[removal(one) for one in await store.rules(CHANNEL)])
    seen.append((await store.rulebook()).revision)
    (rule,) = await add(store, "5d 15pp")
    settled = (await store.rulebook()).revision
    await add(store, "5d 15pp")
    await store.record([], [], AT)
    with pytest.raises(ConflictError):
        await store.record([StateChange(rule_id=rule.id, before=PENDING, after=FIRING)], [], AT)

    assert sorted(set(seen)) == seen
    assert settled == (await store.rulebook()).revision


async def test_two_processes_that_read_the_same_state_cannot_both_change_it(start: Start) -> None:
    one, other = await start(), await start()
    (rule,) = await add(one, "1d 8pp")

    await one.record([StateChange(rule_id=rule.id, before=rule.state, after=FIRING)], [], AT)
    with pytest.raises(ConflictError):
        await other.record([StateChange(rule_id=rule.id, before=rule.state, after=PENDING)], [], AT)

    assert [FIRING] == [rule.state for rule in await active_rules(other)]


async def test_a_change_by_one_process_is_seen_by_another(start: Start) -> None:
    one, other = await start(), await start()
    before = (await other.rulebook()).revision

    added = await add(one, "1d 8pp", "gap 5%", "1d z3.5 on MNRS/ETH")

    assert added == await active_rules(other)
    assert before < (await other.rulebook()).revision


async def test_only_rules_that_changed_after_a_revision_are_loaded(store: SqlStore) -> None:
    unchanged, moved, removed = await add(store, "1d 8pp", "5d 15pp", "20d 30pp")
    since = (await store.rulebook()).revision

    await store.record([StateChange(rule_id=moved.id, before=RuleState(), after=PENDING)], [], AT)
    await store.record([], [], AT, rules=[removal(removed)])
    (new,) = await add(store, "gap 5%", channel=Channel(team="T2", id="C9"))
    news = await store.rulebook(since)

    assert ((replace(moved, state=PENDING), new), frozenset({removed.id})) == (news.rules, news.removed)
    assert Rulebook(revision=news.revision) == await store.rulebook(news.revision)
    assert [unchanged, replace(moved, state=PENDING), new] == await active_rules(store)


async def test_a_change_that_a_conflict_rolled_back_is_not_reported(store: SqlStore) -> None:
    first, second = await add(store, "1d 8pp", "5d 15pp")
    since = (await store.rulebook()).revision
    changes = [StateChange(rule_id=first.id, before=RuleState(), after=PENDING)]

    with pytest.raises(ConflictError):
        await store.record([*changes, StateChange(rule_id=second.id, before=FIRING, after=PENDING)], [], AT)

    assert Rulebook(revision=since) == await store.rulebook(since)
