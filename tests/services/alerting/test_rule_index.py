from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.alerting.records import ChannelRule, Rulebook, StateChange
from services.alerting.rule_index import PairRules, RuleIndex
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, DESK, removal
from tests.fakes.market import random_market
from tests.fakes.views import a_view

MARA = Pair(etf=Symbol("MARA"), crypto=Symbol("BTC"))
PENDING = RuleState(breach=Side.ABOVE, breach_at=AT, breach_seen_at=AT)


class Counting(SqlStore):
    """Remembers how many rules were read each time."""

    read: list[int]

    async def rulebook(self, since: int = 0) -> Rulebook:
        news = await super().rulebook(since)
        self.read.append(len(news.watches))
        return news

    async def write(self, statement: str) -> None:
        """Write past the store, and turn the rulebook's page."""
        async with self._database.write() as tx:
            await tx.exec_driver_sql(statement)
            await tx.exec_driver_sql("UPDATE rulebook SET revision = (SELECT max(revision) FROM rules)")


@pytest.fixture
async def store() -> AsyncIterator[Counting]:
    store = await Counting.open("sqlite://")
    store.read = []
    yield store
    await store.aclose()


async def add(store: SqlStore, *texts: str) -> list[ChannelRule]:
    return await store.add_rules(DESK, [parse_rule(text) for text in texts], "U1", AT)


def numbers(pairs: dict[Pair, PairRules]) -> dict[Pair, list[int]]:
    return {pair: sorted(watch.id for watch in watches.watches) for pair, watches in pairs.items()}


async def test_only_rules_that_have_changed_are_read_again(store: Counting) -> None:
    watchlist = RuleIndex(store)
    first, *_ = await add(store, "1d 800pp", "5d 900pp", "20d 900pp")
    (before,) = (await watchlist.pairs()).values()

    await store.record([StateChange(rule_id=first.id, before=first.state, after=PENDING)], [], AT)
    (after,) = (await watchlist.pairs()).values()
    await watchlist.pairs()

    assert [3, 1, 0] == store.read
    assert before is after
    assert [(first.id, PENDING)] == [(watch.id, watch.state) for watch, _ in after.observed(a_view(random_market(400)))]


async def test_rules_that_are_added_and_removed_elsewhere_come_and_go(store: Counting) -> None:
    watchlist = RuleIndex(store)
    first, second = await add(store, "1d 8pp", "5d 15pp")
    await watchlist.pairs()

    (third,) = await add(store, "1d 8pp on MARA/BTC")
    await store.record([], [], AT, rules=[removal(first)])
    both = numbers(await watchlist.pairs())
    (fourth,) = await add(store, "1d 9pp")
    await store.record([], [], AT, rules=[removal(third)])
    (fleeting,) = await add(store, "1d 7pp")
    await store.record([], [], AT, rules=[removal(fleeting)])

    assert {WGMI_BTC: [second.id], MARA: [third.id]} == both
    assert {WGMI_BTC: [second.id, fourth.id]} == numbers(await watchlist.pairs())
    assert [False, True] == [(await watchlist.of(WGMI_BTC)).stands(one.id) for one in (first, second)]
    assert [] == (await watchlist.of(MARA)).watches


async def test_a_rule_that_cannot_be_read_stands_unwatched_until_it_is_restored_or_removed(store: Counting) -> None:
    watchlist = RuleIndex(store)
    first, second, third = await add(store, "1d 8pp", "5d 15pp", "20d 30pp")
    await watchlist.pairs()
    seen = [await standing(watchlist, first, second, third)]

    for statement in (
        "UPDATE rules SET rule = '1d 8 furlongs', revision = 90 WHERE id = 1",
        "UPDATE rules SET firing = 'sideways', revision = 91 WHERE id = 2",
        "UPDATE rules SET rule = '1d 8pp', revision = 92 WHERE id = 1",
        "UPDATE rules SET removed_at = '2026-03-04 20:00:00', revision = 93 WHERE id = 2",
    ):
        await store.write(statement)
        seen.append(await standing(watchlist, first, second, third))

    assert [
        ([1, 2, 3], [True, True, True]),
        ([2, 3], [True, True, True]),
        ([3], [True, True, True]),
        ([1, 3], [True, True, True]),
        ([1, 3], [True, False, True]),
    ] == seen


async def standing(watchlist: RuleIndex, *watches: ChannelRule) -> tuple[list[int], list[bool]]:
    """The numbers of the rules that are watched, and whether each of these stands."""
    of_pair = await watchlist.of(WGMI_BTC)
    return sorted(of_pair.rows), [of_pair.stands(watch.id) for watch in watches]


async def test_a_state_that_is_taken_over_in_place_is_screened_as_one_that_was_laid_out(store: Counting) -> None:
    watchlist, view = RuleIndex(store), a_view(random_market(400))
    watches = await add(store, "1d 800pp", "5d 900pp below", "20d 900pp above")
    await watchlist.pairs()
    states = [PENDING, RuleState(firing=Side.BELOW, fired_at=AT), RuleState(dark_at=AT + timedelta(hours=1))]

    for watch, state in zip(watches, states, strict=True):
        await store.record([StateChange(rule_id=watch.id, before=watch.state, after=state)], [], AT)
    kept, fresh = await watchlist.of(WGMI_BTC), await RuleIndex(store).of(WGMI_BTC)

    assert 3 == len(kept.observed(view))
    assert fresh.observed(view) == kept.observed(view)
    assert fresh.unobserved(AT, "nothing") == kept.unobserved(AT, "nothing")
