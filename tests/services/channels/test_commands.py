import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.alerting.alert import EntryKind
from services.alerting.ports import StoredAlert
from services.alerting.snooze import SnoozeUntil
from services.core.errors import ConflictError, DatabaseUnavailableError, NoHistoryError, NotFoundError, RuleError
from services.core.identity import Channel
from services.core.prices import Pair, Symbol
from services.core.reason import Code
from services.storage import SqlStore
from tests.fakes.harness import CHANNEL, OPEN, OTHER_CHANNEL, Harness
from tests.fakes.reasons import reason, reason_with

IREN = Pair(etf=Symbol("IREN"), crypto=Symbol("BTC"))


async def test_a_new_channel_gets_the_default_rules_once(harness: Harness) -> None:
    await harness.commands.add_default_rules(CHANNEL, "U1")
    await harness.commands.add_default_rules(CHANNEL, "U2")

    assert ["1d 8pp", "5d 15pp", "20d 30pp"] == [str(watch.rule) for watch in await harness.commands.rules(CHANNEL)]
    assert [] == await harness.commands.rules(OTHER_CHANNEL)


async def test_rules_without_a_pair_use_the_boards_pair(harness: Harness) -> None:
    desk = replace(harness.commands, pair=IREN)

    started = await desk.add_default_rules(CHANNEL, "U1")
    added = await desk.add_rule(CHANNEL, "1d 9pp", "U1")

    assert {IREN} == {watch.rule.pair for watch in [*started, added.channel_rule]}


async def test_an_existing_rule_is_not_added_again(harness: Harness) -> None:
    first = await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    again = await harness.commands.add_rule(CHANNEL, " 1D 8% either ", "U2")

    assert (True, False, first.channel_rule.id) == (first.created, again.created, again.channel_rule.id)


async def test_a_pair_without_prices_raises_the_reason(harness: Harness) -> None:
    harness.vendors.faults["yahoo"] = [httpx.Response(404)]

    with pytest.raises(NoHistoryError) as error:
        await harness.commands.add_rule(CHANNEL, "1d 8pp on WGMX/BTC", "U1")
    assert reason_with(Code.NO_PRICES_YET, symbol="WGMX") == error.value.reason
    assert [] == await harness.commands.rules(CHANNEL)


async def test_an_invalid_command_changes_nothing(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    with pytest.raises(RuleError):
        await harness.commands.add_rule(CHANNEL, "1d 8", "U1")
    with pytest.raises(NotFoundError):
        await harness.commands.remove_rule(OTHER_CHANNEL, added.channel_rule.id, "U1")
    assert [added.channel_rule] == await harness.commands.rules(CHANNEL)


async def test_the_board_shows_alerts_and_rules_of_its_channel(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(harness.clock.at.replace(hour=15), 0.10)

    here, there = await harness.commands.board(CHANNEL), await harness.commands.board(OTHER_CHANNEL)

    assert (1, 1, 0, 0) == (len(here.alerts), len(here.rules), len(there.alerts), len(there.rules))
    assert here.view is there.view


async def test_every_command_wakes_the_dispatcher(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(OPEN + timedelta(minutes=30), 0.10)
    (alert,) = await harness.open_alerts()
    harness.wake_ups.clear()

    await harness.commands.acknowledge(CHANNEL, alert.id, "U1")
    await harness.commands.snooze(CHANNEL, alert.id, "U1", SnoozeUntil.HOUR)
    await harness.commands.remove_rule(CHANNEL, added.channel_rule.id, "U1")

    assert 3 == len(harness.wake_ups)


async def test_an_acknowledgement_that_conflicts_with_a_tick_is_retried(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(OPEN + timedelta(minutes=30), 0.10)
    (alert,) = await harness.open_alerts()

    done = await asyncio.gather(
        harness.tick(OPEN + timedelta(minutes=35), 0.14),
        harness.commands.acknowledge(CHANNEL, alert.id, "U1"),
        harness.commands.acknowledge(CHANNEL, alert.id, "U2"),
        harness.commands.snooze(CHANNEL, alert.id, "U3", SnoozeUntil.HOUR),
    )
    (after,) = await harness.open_alerts()

    assert [False, True] == sorted(outcome.changed for outcome in done[1:3])
    assert after.acknowledged is not None
    assert after.snoozed is not None
    await harness.tick(OPEN + timedelta(minutes=40), 0.15)
    (peaked,) = await harness.open_alerts()
    assert 0.15 == pytest.approx(peaked.hits[0].peak)
    assert after.acknowledged == peaked.acknowledged


async def test_repeated_conflicts_raise(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(OPEN + timedelta(minutes=30), 0.10)
    (alert,) = await harness.open_alerts()
    stale = await harness.store.alert(CHANNEL, alert.id)
    await harness.commands.snooze(CHANNEL, alert.id, "U1", SnoozeUntil.HOUR)

    class Outdated(SqlStore):
        async def alert(self, _channel: Channel, _alert_id: int) -> StoredAlert:
            return stale

    harness.commands.store = Outdated(harness.store._database)  # noqa: SLF001

    with pytest.raises(ConflictError):
        await harness.commands.acknowledge(CHANNEL, alert.id, "U1")


async def test_a_removal_that_conflicts_with_a_tick_is_retried_and_closes_the_alert(harness: Harness) -> None:
    """The channel has only one rule, so no later tick would check the alert."""
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")

    class ConcurrentTick(SqlStore):
        """A store on which a tick fires the rule between the read and the removal."""

        async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
            read = await super().open_alerts(channel, pair=pair)
            await harness.tick(OPEN + timedelta(minutes=30), 0.10)
            return read

    harness.commands.store = ConcurrentTick(harness.store._database)  # noqa: SLF001
    await harness.commands.remove_rule(CHANNEL, added.channel_rule.id, "U7")

    (closed,) = await harness.commands.history(CHANNEL)
    assert (reason(Code.RULE_GONE), []) == (closed.reason, await harness.open_alerts())


async def test_a_failed_removal_removes_nothing(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(OPEN + timedelta(minutes=30), 0.10)

    class Failing(SqlStore):
        """A store that fails to record alerts."""

        async def record(self, states: Any, alerts: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401 -- forwarded
            if alerts:
                raise DatabaseUnavailableError("The disk is full.")
            await super().record(states, alerts, *args, **options)

    harness.commands.store = Failing(harness.store._database)  # noqa: SLF001
    with pytest.raises(DatabaseUnavailableError):
        await harness.commands.remove_rule(CHANNEL, added.channel_rule.id, "U7")

    assert (1, 1) == (len(await harness.commands.rules(CHANNEL)), len(await harness.open_alerts()))


async def test_the_thread_names_who_removed_a_rule(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(OPEN + timedelta(minutes=30), 0.10)
    await harness.deliver_all()

    await harness.commands.remove_rule(CHANNEL, added.channel_rule.id, "U7")

    assert [(EntryKind.RESOLVED, reason(Code.RULE_GONE), "U7")] == [
        (entry.kind, entry.reason, entry.by) for entry in await harness.deliver_all()
    ]


async def test_removing_a_cleared_rule_adds_only_a_note_to_the_thread(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    added = await harness.commands.add_rule(CHANNEL, "1d 12pp for 0s", "U1")
    await harness.ticks(OPEN + timedelta(minutes=30), [0.13, 0.07])
    await harness.deliver_all()

    await harness.commands.remove_rule(CHANNEL, added.channel_rule.id, "U7")

    assert [(EntryKind.CHANGED, reason(Code.RULE_REMOVED, rule="1d 12pp for 0s"))] == [
        (entry.kind, entry.reason) for entry in await harness.deliver_all()
    ]
    assert 1 == len(await harness.open_alerts())


async def test_a_pair_with_only_outdated_prices_raises_the_reason(harness: Harness) -> None:
    """Known prices are too old to measure anything."""
    await harness.market.view(IREN, harness.clock.at)
    harness.clock.advance(timedelta(days=3))
    harness.vendors.faults = {"yahoo": [httpx.Response(404)], "coinbase": [httpx.Response(404)] * 9}

    with pytest.raises(NoHistoryError, match=r"Yahoo \(IREN\): doesn't know the symbol") as error:
        await harness.commands.add_rule(CHANNEL, "1d 8pp on IREN/BTC", "U1")
    assert reason_with(Code.NO_PAIR_PRICES, pair="IREN/BTC") == error.value.reason
    assert [] == await harness.commands.rules(CHANNEL)
