from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.alerting.ports import ChannelRule, Rulebook, StateChange
from services.alerting.rule_index import PairRules, RuleIndex
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, removal
from tests.fakes.market import a_view, random_market

MARA = Pair(etf=Symbol("MARA"), crypto=Symbol("BTC"))
PENDING = RuleState(breach=Side.ABOVE, breach_at=AT, breach_seen_at=AT)


class CountingStore(SqlStore):
    """A store that records how many rules were loaded each time."""

    read: list[int]

    async def rulebook(self, since: int = 0) -> Rulebook:
        rulebook = await super().rulebook(since)
        self.read.append(len(rulebook.rules))
        return rulebook

    async def write(self, statement: str) -> None:
        """Write past the store, and advance the rulebook's revision."""
        async with self._database.write() as tx:
            await tx.exec_driver_sql(statement)
            await tx.exec_driver_sql("UPDATE rules_revision SET revision = (SELECT max(revision) FROM rules)")


@pytest.fixture
async def store() -> AsyncIterator[CountingStore]:
    store = await CountingStore.open("sqlite://")
    store.read = []
    yield store
    await store.aclose()


async def add(store: SqlStore, *texts: str) -> list[ChannelRule]:
    return await store.add_rules(CHANNEL, [parse_rule(text) for text in texts], "U1", AT)


def rule_ids(pairs: dict[Pair, PairRules]) -> dict[Pair, list[int]]:
    return {pair: sorted(rule.id for rule in pair_rules.rules) for pair, pair_rules in pairs.items()}


async def test_only_changed_rules_are_loaded_again(store: CountingStore) -> None:
    index = RuleIndex(store)
    first, *_ = await add(store, "1d 800pp", "5d 900pp", "20d 900pp")
    (before,) = (await index.pairs()).values()

    await store.record([StateChange(rule_id=first.id, before=first.state, after=PENDING)], [], AT)
    (after,) = (await index.pairs()).values()
    await index.pairs()

    assert [3, 1, 0] == store.read
    assert before is after
    assert [(first.id, PENDING)] == [(rule.id, rule.state) for rule, _ in after.observe(a_view(random_market(400)))]


async def test_rules_added_and_removed_by_other_processes_are_indexed(store: CountingStore) -> None:
    index = RuleIndex(store)
    first, second = await add(store, "1d 8pp", "5d 15pp")
    await index.pairs()

    (third,) = await add(store, "1d 8pp on MARA/BTC")
    await store.record([], [], AT, rules=[removal(first)])
    both = rule_ids(await index.pairs())
    (fourth,) = await add(store, "1d 9pp")
    await store.record([], [], AT, rules=[removal(third)])
    (fleeting,) = await add(store, "1d 7pp")
    await store.record([], [], AT, rules=[removal(fleeting)])

    assert {WGMI_BTC: [second.id], MARA: [third.id]} == both
    assert {WGMI_BTC: [second.id, fourth.id]} == rule_ids(await index.pairs())
    assert [False, True] == [(await index.for_pair(WGMI_BTC)).exists(one.id) for one in (first, second)]
    assert [] == (await index.for_pair(MARA)).rules


async def test_an_unreadable_rule_exists_unwatched_until_restored_or_removed(store: CountingStore) -> None:
    index = RuleIndex(store)
    first, second, third = await add(store, "1d 8pp", "5d 15pp", "20d 30pp")
    await index.pairs()
    states_seen = [await watched_and_existing(index, first, second, third)]

    for statement in (
        "UPDATE rules SET rule = '1d 8 furlongs', revision = 90 WHERE id = 1",
        "UPDATE rules SET firing = 'sideways', revision = 91 WHERE id = 2",
        "UPDATE rules SET rule = '1d 8pp', revision = 92 WHERE id = 1",
        "UPDATE rules SET removed_at = '2026-03-04 20:00:00', revision = 93 WHERE id = 2",
    ):
        await store.write(statement)
        states_seen.append(await watched_and_existing(index, first, second, third))

    assert [
        ([1, 2, 3], [True, True, True]),
        ([2, 3], [True, True, True]),
        ([3], [True, True, True]),
        ([1, 3], [True, True, True]),
        ([1, 3], [True, False, True]),
    ] == states_seen


async def watched_and_existing(index: RuleIndex, *rules: ChannelRule) -> tuple[list[int], list[bool]]:
    """Return the ids of the watched rules, and whether each of these rules exists."""
    of_pair = await index.for_pair(WGMI_BTC)
    return sorted(of_pair.rows), [of_pair.exists(rule.id) for rule in rules]


async def test_a_state_updated_in_place_is_prefiltered_like_a_rebuilt_one(store: CountingStore) -> None:
    index, view = RuleIndex(store), a_view(random_market(400))
    rules = await add(store, "1d 800pp", "5d 900pp below", "20d 900pp above")
    await index.pairs()
    states = [PENDING, RuleState(firing=Side.BELOW, fired_at=AT), RuleState(nodata_since=AT + timedelta(hours=1))]

    for rule, state in zip(rules, states, strict=True):
        await store.record([StateChange(rule_id=rule.id, before=rule.state, after=state)], [], AT)
    kept, fresh = await index.for_pair(WGMI_BTC), await RuleIndex(store).for_pair(WGMI_BTC)

    assert 3 == len(kept.observe(view))
    assert fresh.observe(view) == kept.observe(view)
    assert fresh.observe_no_data(AT, "nothing") == kept.observe_no_data(AT, "nothing")
