import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from services.alerting.alert import EntryKind
from services.alerting.records import AlertChange, RuleChange, StateChange, StoredAlert
from services.alerting.snooze import SnoozeUntil
from services.alerting.tick_log import Tick
from services.core.errors import ConflictError, NoHistoryError, NotFoundError, RuleError, StoreError
from services.core.identity import Channel
from services.core.prices import Pair, Symbol
from services.storage import SqlStore
from tests.fakes.floor import DESK, OPEN, OTHER_DESK, Floor, trading_floor

IREN = Pair(etf=Symbol("IREN"), crypto=Symbol("BTC"))


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with trading_floor() as floor:
        yield floor


async def test_a_new_channel_gets_the_usual_rules_once(floor: Floor) -> None:
    await floor.desk.start(DESK, "U1")
    await floor.desk.start(DESK, "U2")

    assert ["1d 8pp", "5d 15pp", "20d 30pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]
    assert [] == await floor.desk.rules(OTHER_DESK)


async def test_rules_are_about_the_pair_of_the_board_unless_they_name_another(floor: Floor) -> None:
    desk = replace(floor.desk, pair=IREN)

    started = await desk.start(DESK, "U1")
    added = await desk.add_rule(DESK, "1d 9pp", "U1")

    assert {IREN} == {watch.rule.pair for watch in [*started, added.watch]}


async def test_a_rule_that_stands_is_not_added_again(floor: Floor) -> None:
    first = await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    again = await floor.desk.add_rule(DESK, " 1D 8% either ", "U2")

    assert (True, False, first.watch.id) == (first.new, again.new, again.watch.id)


async def test_a_pair_without_prices_is_refused_with_the_reason(floor: Floor) -> None:
    floor.vendors.faults["yahoo"] = [httpx.Response(404)]

    with pytest.raises(NoHistoryError, match="No WGMX prices yet"):
        await floor.desk.add_rule(DESK, "1d 8pp on WGMX/BTC", "U1")
    assert [] == await floor.desk.rules(DESK)


async def test_what_cannot_be_read_or_is_not_there_changes_nothing(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    with pytest.raises(RuleError):
        await floor.desk.add_rule(DESK, "1d 8", "U1")
    with pytest.raises(NotFoundError):
        await floor.desk.remove_rule(OTHER_DESK, added.watch.id, "U1")
    assert [added.watch] == await floor.desk.rules(DESK)


async def test_the_board_shows_what_is_open_and_watched_in_its_channel(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(floor.clock.at.replace(hour=15), 0.10)

    here, there = await floor.desk.board(DESK), await floor.desk.board(OTHER_DESK)

    assert (1, 1, 0, 0) == (len(here.alerts), len(here.watches), len(there.alerts), len(there.watches))
    assert here.view is there.view


async def test_whatever_a_person_changes_wakes_the_delivery(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(OPEN + timedelta(minutes=30), 0.10)
    (alert,) = await floor.open_alerts()
    floor.nudges.clear()

    await floor.desk.acknowledge(DESK, alert.id, "U1")
    await floor.desk.snooze(DESK, alert.id, "U1", SnoozeUntil.HOUR)
    await floor.desk.remove_rule(DESK, added.watch.id, "U1")

    assert 3 == len(floor.nudges)


async def test_an_acknowledgement_that_meets_a_tick_is_tried_again(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(OPEN + timedelta(minutes=30), 0.10)
    (alert,) = await floor.open_alerts()

    done = await asyncio.gather(
        floor.tick(OPEN + timedelta(minutes=35), 0.14),
        floor.desk.acknowledge(DESK, alert.id, "U1"),
        floor.desk.acknowledge(DESK, alert.id, "U2"),
        floor.desk.snooze(DESK, alert.id, "U3", SnoozeUntil.HOUR),
    )
    (after,) = await floor.open_alerts()

    assert [False, True] == sorted(one.changed for one in done[1:3])
    assert after.acknowledged is not None
    assert after.snoozed is not None
    await floor.tick(OPEN + timedelta(minutes=40), 0.15)
    (peaked,) = await floor.open_alerts()
    assert 0.15 == pytest.approx(peaked.facts[0].peak)
    assert after.acknowledged == peaked.acknowledged


async def test_a_person_gives_up_after_a_few_conflicts_and_is_told(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(OPEN + timedelta(minutes=30), 0.10)
    (alert,) = await floor.open_alerts()
    stale = await floor.store.alert(DESK, alert.id)
    await floor.desk.snooze(DESK, alert.id, "U1", SnoozeUntil.HOUR)

    class Outdated(SqlStore):
        async def alert(self, _channel: Channel, _alert_id: int) -> StoredAlert:
            return stale

    floor.desk.store = Outdated(floor.store._database)  # noqa: SLF001

    with pytest.raises(ConflictError):
        await floor.desk.acknowledge(DESK, alert.id, "U1")


async def test_removing_a_rule_that_a_tick_has_just_moved_is_tried_again_and_closes_its_alert(floor: Floor) -> None:
    """Only one rule stands, so no later tick has a rule to look at the alert for."""
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")

    class Late(SqlStore):
        """Lets a tick fire the rule between what is read of it and its removal."""

        async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
            read = await super().open_alerts(channel, pair=pair)
            await floor.tick(OPEN + timedelta(minutes=30), 0.10)
            return read

    floor.desk.store = Late(floor.store._database)  # noqa: SLF001
    await floor.desk.remove_rule(DESK, added.watch.id, "U7")

    (closed,) = await floor.desk.history(DESK)
    assert ("the rule was removed", []) == (closed.reason, await floor.open_alerts())


async def test_a_removal_that_the_database_refuses_removes_nothing(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(OPEN + timedelta(minutes=30), 0.10)

    class Refusing(SqlStore):
        """Has no room for alerts."""

        async def record(
            self,
            states: Sequence[StateChange],
            alerts: Sequence[AlertChange],
            at: datetime,
            *,
            rules: Sequence[RuleChange] = (),
            tick: Tick | None = None,
        ) -> None:
            if alerts:
                raise StoreError("The disk is full.")
            await super().record(states, alerts, at, rules=rules, tick=tick)

    floor.desk.store = Refusing(floor.store._database)  # noqa: SLF001
    with pytest.raises(StoreError):
        await floor.desk.remove_rule(DESK, added.watch.id, "U7")

    assert (1, 1) == (len(await floor.desk.rules(DESK)), len(await floor.open_alerts()))


async def test_who_removed_a_rule_is_told_in_the_thread(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(OPEN + timedelta(minutes=30), 0.10)

    await floor.desk.remove_rule(DESK, added.watch.id, "U7")

    assert [(EntryKind.RESOLVED, "the rule was removed", "U7")] == [
        (entry.kind, entry.reason, entry.by) for entry in await floor.told()
    ]


async def test_a_rule_that_cleared_long_ago_does_not_leave_its_alert_again_when_it_is_removed(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    added = await floor.desk.add_rule(DESK, "1d 12pp for 0s", "U1")
    await floor.ticks(OPEN + timedelta(minutes=30), [0.13, 0.07])
    await floor.told()

    await floor.desk.remove_rule(DESK, added.watch.id, "U7")

    assert [(EntryKind.CHANGED, "1d 12pp for 0s was removed")] == [
        (entry.kind, entry.reason) for entry in await floor.told()
    ]
    assert 1 == len(await floor.open_alerts())


async def test_a_pair_that_no_vendor_tells_of_any_more_is_refused_with_the_reason(floor: Floor) -> None:
    """What is known of it is too old to measure anything."""
    await floor.market.view(IREN, floor.clock.at)
    floor.clock.advance(timedelta(days=3))
    floor.vendors.faults = {"yahoo": [httpx.Response(404)], "coinbase": [httpx.Response(404)] * 9}

    with pytest.raises(NoHistoryError, match="No prices for IREN/BTC: Yahoo on IREN: knows no symbol"):
        await floor.desk.add_rule(DESK, "1d 8pp on IREN/BTC", "U1")
    assert [] == await floor.desk.rules(DESK)
