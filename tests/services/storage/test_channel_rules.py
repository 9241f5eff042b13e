from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerting.records import AlertChange, ChannelRule, Rulebook, StateChange
from services.channels.ports import Store
from services.core.errors import ConflictError, NotFoundError
from services.core.identity import Channel
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from tests.fakes.alerts import AT, DESK, an_alert, removal
from tests.services.storage.conftest import Start, standing

ELSEWHERE = [
    pytest.param(Channel(team="T1", id="C2"), id="another channel"),
    pytest.param(Channel(team="T2", id="C1"), id="the same channel id in another team"),
]
PENDING = RuleState(breach=Side.BELOW, breach_at=AT, breach_seen_at=AT + timedelta(minutes=1))
FIRING = RuleState(firing=Side.ABOVE, fired_at=AT, dark_at=AT + timedelta(microseconds=1))


async def add(store: Store, *texts: str, channel: Channel = DESK) -> list[ChannelRule]:
    return await store.add_rules(channel, [parse_rule(text) for text in texts], "U1", AT)


async def test_added_rules_are_watched_from_a_clean_state(store: Store) -> None:
    added = await add(store, "1d 8pp", "5d 15pp above clear 10pp for 10m")

    assert ["1d 8pp", "5d 15pp above clear 10pp for 10m"] == [str(watch.rule) for watch in added]
    assert [(DESK, RuleState(), "U1", AT)] * 2 == [
        (watch.channel, watch.state, watch.created_by, watch.created_at) for watch in added
    ]
    assert added == await store.rules(DESK)
    assert added == await standing(store)


async def test_a_rule_that_stands_already_is_returned_as_it_is(store: Store) -> None:
    (first,) = await add(store, "1d 8pp")

    again = await store.add_rules(
        DESK, [parse_rule("5d 15pp"), parse_rule("1D  8pp either")], "U2", AT + timedelta(days=1)
    )

    assert ["5d 15pp", "1d 8pp"] == [str(watch.rule) for watch in again]
    assert first == again[1]
    assert len(await store.rules(DESK)) == 2


async def test_the_same_rule_given_twice_is_one_rule(store: Store) -> None:
    first, second = await add(store, "1d 8pp", "1d 8pp")

    assert first == second
    assert [first] == await store.rules(DESK)


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_channels_do_not_see_each_others_rules(store: Store, elsewhere: Channel) -> None:
    (here,) = await add(store, "1d 8pp")
    (there,) = await add(store, "1d 8pp", channel=elsewhere)

    assert [here] == await store.rules(DESK)
    assert [there] == await store.rules(elsewhere)
    assert [here, there] == await standing(store)


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_a_rule_cannot_be_reached_from_elsewhere(store: Store, elsewhere: Channel) -> None:
    (here,) = await add(store, "1d 8pp")

    with pytest.raises(NotFoundError, match=f"No rule {here.id} in this channel."):
        await store.rule(elsewhere, here.id)

    assert here == await store.rule(DESK, here.id)


async def test_a_removed_rule_is_watched_no_more(store: Store) -> None:
    first, second = await add(store, "1d 8pp", "5d 15pp")

    await store.record([], [], AT, rules=[removal(first)])

    assert [second] == await store.rules(DESK)
    assert [second] == await standing(store)
    with pytest.raises(NotFoundError):
        await store.rule(DESK, first.id)
    with pytest.raises(ConflictError):
        await store.record([], [], AT, rules=[removal(first)])


async def test_a_rule_that_has_changed_since_it_was_read_is_not_removed_nor_anything_with_it(store: Store) -> None:
    (read,) = await add(store, "1d 8pp")
    await store.record([StateChange(rule_id=read.id, before=RuleState(), after=FIRING)], [], AT)

    with pytest.raises(ConflictError):
        await store.record([], [AlertChange(alert=an_alert(), revision=0)], AT, rules=[removal(read)])

    assert ([replace(read, state=FIRING)], []) == (await store.rules(DESK), await store.open_alerts())


async def test_a_removed_rule_can_be_added_anew_under_a_new_number(store: Store) -> None:
    (first,) = await add(store, "1d 8pp")
    await store.record([StateChange(rule_id=first.id, before=RuleState(), after=FIRING)], [], AT)
    await store.record([], [], AT, rules=[removal(one) for one in await store.rules(DESK)])

    (second,) = await add(store, "1d 8pp")

    assert first.id < second.id
    assert RuleState() == second.state


@pytest.mark.parametrize("state", [pytest.param(PENDING, id="pending"), pytest.param(FIRING, id="firing and dark")])
async def test_a_state_comes_back_as_it_was_recorded(store: Store, state: RuleState) -> None:
    (watch,) = await add(store, "1d 8pp")

    await store.record([StateChange(rule_id=watch.id, before=RuleState(), after=state)], [], AT)

    assert [replace(watch, state=state)] == await standing(store)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(RuleState(), id="nothing where something is"),
        pytest.param(replace(PENDING, breach=Side.ABOVE), id="another side"),
        pytest.param(replace(PENDING, breach_at=AT + timedelta(microseconds=1)), id="another instant"),
        pytest.param(replace(PENDING, dark_at=AT), id="something where nothing is"),
    ],
)
async def test_a_state_that_has_changed_since_it_was_read_is_not_overwritten(store: Store, before: RuleState) -> None:
    first, second = await add(store, "1d 8pp", "5d 15pp")
    await store.record([StateChange(rule_id=first.id, before=RuleState(), after=PENDING)], [], AT)
    read = await standing(store)
    moves = [
        StateChange(rule_id=second.id, before=RuleState(), after=FIRING),
        StateChange(rule_id=first.id, before=before, after=FIRING),
    ]

    with pytest.raises(ConflictError):
        await store.record(moves, [], AT)

    assert read == await standing(store)


async def test_the_state_of_a_removed_rule_cannot_be_recorded(store: Store) -> None:
    (watch,) = await add(store, "1d 8pp")
    await store.record([], [], AT, rules=[removal(one) for one in await store.rules(DESK)])

    with pytest.raises(ConflictError):
        await store.record([StateChange(rule_id=watch.id, before=RuleState(), after=PENDING)], [], AT)


async def test_thousands_of_rules_make_the_same_move_together(store: Store) -> None:
    texts = [f"1d {tenth / 10}pp" for tenth in range(10, 2_110)]
    watches = await add(store, *texts)
    dark = RuleState(dark_at=AT)

    await store.record([StateChange(rule_id=watch.id, before=RuleState(), after=dark) for watch in watches], [], AT)

    assert {dark} == {watch.state for watch in await standing(store)}


async def test_the_revision_grows_with_every_change_of_rules_and_states_and_only_then(store: Store) -> None:
    seen = [(await store.rulebook()).revision]

    (watch,) = await add(store, "1d 8pp")
    seen.append((await store.rulebook()).revision)
    await store.record([StateChange(rule_id=watch.id, before=RuleState(), after=PENDING)], [], AT)
    seen.append((await store.rulebook()).revision)
    await store.record([], [], AT, rules=[removal(one) for one in await store.rules(DESK)])
    seen.append((await store.rulebook()).revision)
    (watch,) = await add(store, "5d 15pp")
    settled = (await store.rulebook()).revision
    await add(store, "5d 15pp")
    await store.record([], [], AT)
    with pytest.raises(ConflictError):
        await store.record([StateChange(rule_id=watch.id, before=PENDING, after=FIRING)], [], AT)

    assert sorted(set(seen)) == seen
    assert settled == (await store.rulebook()).revision


async def test_two_processes_that_read_the_same_state_cannot_both_change_it(start: Start) -> None:
    one, other = await start(), await start()
    (watch,) = await add(one, "1d 8pp")

    await one.record([StateChange(rule_id=watch.id, before=watch.state, after=FIRING)], [], AT)
    with pytest.raises(ConflictError):
        await other.record([StateChange(rule_id=watch.id, before=watch.state, after=PENDING)], [], AT)

    assert [FIRING] == [watch.state for watch in await standing(other)]


async def test_a_change_by_one_process_is_seen_by_another(start: Start) -> None:
    one, other = await start(), await start()
    before = (await other.rulebook()).revision

    added = await add(one, "1d 8pp", "gap 5%", "1d z3.5 on MNRS/ETH")

    assert added == await standing(other)
    assert before < (await other.rulebook()).revision


async def test_only_what_has_changed_after_a_revision_is_read(store: Store) -> None:
    kept, moved, removed = await add(store, "1d 8pp", "5d 15pp", "20d 30pp")
    since = (await store.rulebook()).revision

    await store.record([StateChange(rule_id=moved.id, before=RuleState(), after=PENDING)], [], AT)
    await store.record([], [], AT, rules=[removal(removed)])
    (new,) = await add(store, "gap 5%", channel=Channel(team="T2", id="C9"))
    news = await store.rulebook(since)

    assert ((replace(moved, state=PENDING), new), frozenset({removed.id})) == (news.watches, news.removed)
    assert Rulebook(revision=news.revision) == await store.rulebook(news.revision)
    assert [kept, replace(moved, state=PENDING), new] == await standing(store)


async def test_a_change_that_was_undone_by_a_conflict_is_no_news(store: Store) -> None:
    first, second = await add(store, "1d 8pp", "5d 15pp")
    since = (await store.rulebook()).revision
    moves = [StateChange(rule_id=first.id, before=RuleState(), after=PENDING)]

    with pytest.raises(ConflictError):
        await store.record([*moves, StateChange(rule_id=second.id, before=FIRING, after=PENDING)], [], AT)

    assert Rulebook(revision=since) == await store.rulebook(since)
