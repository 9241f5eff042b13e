from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from services.alerting.alert import Entry, EntryKind, Subject
from services.alerting.enrichment import TrackRecordEnricher
from services.alerting.records import AlertChange, RuleChange, StateChange, StoredAlert
from services.alerting.rule_index import RuleIndex
from services.alerting.snooze import SnoozeUntil
from services.alerting.tick_log import Tick
from services.core.errors import ConflictError, NotFoundError, StoreError
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Closes, Pair, Symbol
from services.core.trust import Verdict
from services.market.feeds.equities import EquityFeed
from services.rules.decide import Side, Status
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import removal
from tests.fakes.floor import CLOSE, DESK, OPEN, OTHER_DESK, TODAY, YESTERDAY, Floor, trading_floor

BEGIN = OPEN + timedelta(minutes=30)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with trading_floor() as floor:
        yield floor


async def timeline(floor: Floor) -> list[tuple[EntryKind, str]]:
    return [(entry.kind, entry.reason) for entry in await floor.told()]


async def test_a_breach_that_holds_opens_one_alert_and_clearing_closes_it(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    await floor.ticks(BEGIN, [0.05, 0.09])
    assert [] == await floor.open_alerts()
    fired_at = await floor.ticks(BEGIN + timedelta(minutes=10), [0.10])
    (alert,) = await floor.open_alerts(DESK)
    resolved_at = await floor.ticks(BEGIN + timedelta(minutes=15), [0.06, 0.047])
    (closed,) = await floor.desk.history(DESK)

    assert (Side.ABOVE, fired_at, None) == (alert.side, alert.opened_at, alert.closed_at)
    assert "10pp is past 8pp, held for 5m" == alert.reason
    assert pytest.approx(0.10) == alert.lead.measurement.spread
    assert [20.0 * 1.1, 50_000.0] == pytest.approx([alert.etf.price, alert.crypto.price])
    assert ("Yahoo", "Coinbase", False) == (alert.etf.source, alert.crypto.source, alert.simulated)
    assert [] == await floor.open_alerts()
    assert (resolved_at, alert.id) == (closed.closed_at, closed.id)
    assert pytest.approx(0.10) == closed.facts[0].peak
    assert [(EntryKind.RESOLVED, "1d 8pp: 4.7pp is back inside the clear level of 4.8pp")] == await timeline(floor)


async def test_an_alert_carries_the_record_of_its_rule_to_its_end(floor: Floor) -> None:
    floor.monitor.records = TrackRecordEnricher(floor.market.history)
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    await floor.ticks(BEGIN, [0.09, 0.10])
    (alert,) = await floor.open_alerts(DESK)
    await floor.ticks(BEGIN + timedelta(minutes=10), [0.12, 0.01])
    (closed,) = await floor.desk.history(DESK)

    expected = (await floor.monitor.records.of([parse_rule("1d 8pp")], BEGIN))[parse_rule("1d 8pp")]
    assert 504 == expected.sessions
    assert [expected, expected] == [alert.lead.record, closed.lead.record]


async def test_the_chart_of_an_alert_ends_with_its_prices_and_asks_for_no_edit(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    fired_at = await floor.ticks(BEGIN, [0.09, 0.10])
    (fired,) = await floor.open_alerts(DESK)

    await floor.ticks(fired_at + 5 * MINUTE, [0.094, 0.096])
    await floor.desk.acknowledge(DESK, fired.id, "U1")
    (seen,) = await floor.open_alerts(DESK)
    renewed_at = await floor.ticks(fired_at + 15 * MINUTE, [0.095])
    (renewed,) = await floor.open_alerts(DESK)

    assert fired.course is not None
    assert renewed.course is not None
    assert fired.course == seen.course
    assert [fired_at, renewed_at] == [one.points[-1].at for one in (fired.course, renewed.course)]
    assert fired.course.points[:-1] == renewed.course.points[:-1]


async def test_a_blip_shorter_than_the_hold_wakes_nobody(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    await floor.ticks(BEGIN, [0.09, 0.05, 0.09, 0.05])

    assert ([], []) == (await floor.open_alerts(), await floor.desk.history(DESK))


async def test_a_hold_does_not_count_an_outage_of_the_app(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.tick(BEGIN, 0.10)

    await floor.tick(BEGIN + timedelta(hours=1), 0.10)
    nothing = await floor.open_alerts()
    await floor.tick(BEGIN + timedelta(hours=1, minutes=5), 0.10)

    assert [] == nothing
    assert ["10pp is past 8pp, held for 5m"] == [alert.reason for alert in await floor.open_alerts()]


async def test_a_breach_that_every_slow_tick_sees_on_older_and_newer_prices_fires(floor: Floor) -> None:
    floor.monitor.every = timedelta(minutes=15)
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    for number, age in enumerate([0, 19, 0]):
        at = BEGIN + number * floor.monitor.every
        floor.vendors.etf_last = (22.0, at - age * MINUTE)
        await floor.tick(at)

    assert ["10pp is past 8pp, held for 30m"] == [alert.reason for alert in await floor.open_alerts()]


async def test_a_hold_does_not_count_an_outage_of_the_vendor(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.tick(BEGIN, 0.10)
    floor.vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})]
    await floor.tick(BEGIN + 2 * MINUTE, 0.10)

    await floor.tick(BEGIN + 6 * MINUTE, 0.10)

    assert [] == await floor.open_alerts()


async def test_rules_that_breach_together_are_one_alert_and_a_second_desk_has_its_own(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "1d 12pp for 0s", "U1")
    await floor.desk.add_rule(OTHER_DESK, "1d 8pp for 0s", "U2")

    await floor.ticks(BEGIN, [0.09, 0.13, 0.07, 0.01])

    (closed,) = await floor.desk.history(DESK)
    (other,) = await floor.desk.history(OTHER_DESK)
    assert (2, 1) == (len(closed.facts), len(other.facts))
    assert [
        (EntryKind.JOINED, "1d 12pp for 0s: 13pp is past 12pp"),
        (EntryKind.LEFT, "1d 12pp for 0s: 7pp is back inside the clear level of 7.2pp"),
        (EntryKind.WORSENED, "by 4pp to 13pp (1d 8pp for 0s)"),
        (EntryKind.RESOLVED, "1d 8pp for 0s: 1pp is back inside the clear level of 4.8pp"),
        (EntryKind.RESOLVED, "1d 8pp for 0s: 1pp is back inside the clear level of 4.8pp"),
    ] == sorted(await timeline(floor), key=lambda entry: list(EntryKind).index(entry[0]))


async def test_a_flip_ends_one_alert_and_opens_the_other(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")

    await floor.ticks(BEGIN, [0.09, -0.09])

    (alert,) = await floor.open_alerts()
    assert Side.BELOW is alert.side
    assert [Side.BELOW, Side.ABOVE] == [one.side for one in await floor.desk.history(DESK)]


async def test_an_open_alert_follows_its_peak_and_ages_no_more_than_a_quarter_of_an_hour(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.ticks(BEGIN, [0.10, 0.14])
    (peaked,) = await floor.open_alerts()
    await floor.ticks(BEGIN + timedelta(minutes=10), [0.12])
    (unchanged,) = await floor.open_alerts()
    await floor.ticks(BEGIN + timedelta(minutes=15), [0.12, 0.12])
    (refreshed,) = await floor.open_alerts()

    assert pytest.approx(0.14) == peaked.facts[0].peak
    assert BEGIN + timedelta(minutes=5) == peaked.as_of
    assert peaked == unchanged
    assert [0.14, 0.12] == pytest.approx([refreshed.facts[0].peak, refreshed.facts[0].value])
    assert BEGIN + timedelta(minutes=20) == refreshed.as_of


async def test_at_the_close_no_hold_is_needed_and_the_night_changes_nothing(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 22.0
    await floor.desk.add_rule(DESK, "1d 8pp for 1h", "U1")

    await floor.tick(CLOSE + timedelta(minutes=20))
    (alert,) = await floor.open_alerts()
    night = [await floor.tick(CLOSE + timedelta(hours=hour)) for hour in range(1, 12)]

    assert (CLOSE, "10pp is past 8pp at the close") == (alert.opened_at, alert.reason)
    assert [0] * 11 == night
    assert [alert] == await floor.open_alerts()


async def test_a_rule_at_close_ignores_the_session_and_decides_at_its_end(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    floor.vendors.etf_moves[TODAY] = 18.0

    await floor.ticks(BEGIN, [0.2, 0.2, 0.2])
    during = await floor.open_alerts()
    floor.vendors.etf_last = None  # the last trade is the close
    await floor.tick(CLOSE + timedelta(minutes=20))

    assert [] == during
    assert [Side.BELOW] == [alert.side for alert in await floor.open_alerts()]


async def corrected_overnight(floor: Floor, close: float) -> None:
    """The vendor corrects today's close; it is seen when the next session opens."""
    floor.vendors.etf_moves[TODAY] = close
    floor.vendors.etf_last = (20.2, OPEN + timedelta(days=1, minutes=1))
    await floor.tick(OPEN + timedelta(days=1, minutes=2))


async def test_a_corrected_close_is_told_in_the_message_and_in_its_thread(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 22.0
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.desk.add_rule(DESK, "1d 9pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))
    await floor.told()
    floor.nudges.clear()

    await corrected_overnight(floor, 21.84)
    await floor.tick(OPEN + timedelta(days=1, minutes=3))
    (alert,) = await floor.open_alerts()

    assert [
        (EntryKind.CORRECTED, "1d 8pp at close: from 10pp to 9.2pp, 1d 9pp at close: from 10pp to 9.2pp")
    ] == await timeline(floor)
    assert [0.092, 0.092, 0.10] == pytest.approx([alert.lead.value, alert.lead.peak, alert.lead.corrected_from])
    assert (21.84, CLOSE) == (alert.etf.price, alert.as_of)
    assert 1 == len(floor.nudges)


async def test_a_corrected_close_ends_the_alert_that_it_would_not_have_opened(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 22.0
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))

    await corrected_overnight(floor, 20.1)

    (closed,) = await floor.desk.history(DESK)
    assert closed.closed_at is not None
    assert 0.005 == pytest.approx(closed.facts[0].peak)
    assert closed.retracted
    assert [
        (EntryKind.RETRACTED, "1d 8pp at close: corrected from 10pp to 0.5pp, not past 8pp any more"),
    ] == await timeline(floor)


async def test_a_snoozed_alert_tells_a_correction_in_its_message_alone(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 22.0
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))
    (alert,) = await floor.open_alerts()
    floor.clock.at = OPEN + timedelta(days=1, minutes=-10)
    await floor.desk.snooze(DESK, alert.id, "U1", SnoozeUntil.HOUR)
    await floor.told()

    await corrected_overnight(floor, 21.84)

    (alert,) = await floor.open_alerts()
    assert [] == await floor.told()
    assert 0.092 == pytest.approx(alert.lead.value)


async def test_the_close_takes_the_place_of_the_live_price_that_it_follows(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(CLOSE - 5 * MINUTE, 0.10)
    floor.vendors.etf_moves[TODAY] = 21.9

    await floor.tick(CLOSE + 20 * MINUTE)

    (alert,) = await floor.open_alerts()
    assert (CLOSE, 21.9, False) == (alert.as_of, alert.etf.price, alert.lead.measurement.live)
    assert [] == await timeline(floor)


async def test_stale_prices_neither_fire_nor_resolve_and_end_in_nodata(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    floor.vendors.faults["yahoo"] = [httpx.Response(429)]

    await floor.tick(BEGIN + timedelta(minutes=25))
    (watch,) = await floor.desk.rules(DESK)
    later = BEGIN + timedelta(minutes=56)

    assert (Status.FIRING, Status.NODATA) == (watch.state.status(floor.clock.at), watch.state.status(later))
    assert 1 == len(await floor.open_alerts())
    await floor.tick(later, 0.10)
    (again,) = await floor.desk.rules(DESK)
    assert Status.FIRING is again.state.status(later)


async def test_without_any_prices_every_rule_learns_that_there_is_nothing_to_see() -> None:
    async with trading_floor(warm=False) as floor:
        floor.vendors.faults["yahoo"] = [httpx.Response(404)] * 5
        await floor.desk.add_rule(DESK, "1d 8pp", "U1")

        changed = [await floor.tick(BEGIN + minute * MINUTE) for minute in (0, 1, 31)]
        (watch,) = await floor.desk.rules(DESK)

    assert [1, 0, 0] == changed
    assert Status.ERROR is watch.state.status(BEGIN + 31 * MINUTE)


async def test_a_removed_rule_closes_the_alert_that_it_alone_kept_open(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "1d 9pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)

    await floor.desk.remove_rule(DESK, added.watch.id, "U7")
    (alert,) = await floor.open_alerts()
    (kept,) = await floor.desk.rules(DESK)
    await floor.desk.remove_rule(DESK, kept.id, "U7")

    assert [False, True] == [fact.active for fact in alert.facts]
    assert [] == await floor.open_alerts()
    assert [EntryKind.LEFT, EntryKind.RESOLVED] == [kind for kind, _ in await timeline(floor)]


async def test_a_rule_that_was_removed_behind_our_back_is_dropped_by_the_next_tick(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "5d 90pp", "U1")
    await floor.tick(BEGIN, 0.10)
    await floor.store.record([], [], BEGIN, rules=[removal(await floor.store.rule(DESK, added.watch.id))])

    await floor.tick(BEGIN + 5 * MINUTE, 0.10)

    (closed,) = await floor.desk.history(DESK)
    assert ("the rule was removed", []) == (closed.reason, await floor.open_alerts())


async def test_a_tick_is_done_once_however_often_it_is_called(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")

    done = [await floor.tick(BEGIN + timedelta(seconds=second), 0.10) for second in (0, 20, 59)]

    assert [1, 0, 0] == done


async def test_delivery_is_woken_only_where_there_is_something_to_tell(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")

    await floor.ticks(BEGIN, [0.01, 0.02, 0.10])

    assert [BEGIN + timedelta(minutes=10)] == floor.nudges


async def test_acknowledging_and_snoozing_mark_the_alert_once(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    (alert,) = await floor.open_alerts()

    first = await floor.desk.acknowledge(DESK, alert.id, "U1")
    second = await floor.desk.acknowledge(DESK, alert.id, "U2")
    snoozed = await floor.desk.snooze(DESK, alert.id, "U2", SnoozeUntil.HOUR)

    assert (True, False, True) == (first.changed, second.changed, snoozed.changed)
    assert second.alert.acknowledged is not None
    assert "U1" == second.alert.acknowledged.by
    assert snoozed.alert.is_snoozed(BEGIN + timedelta(minutes=59))
    with pytest.raises(NotFoundError):
        await floor.desk.acknowledge(OTHER_DESK, alert.id, "U3")


async def test_a_snoozed_alert_stays_silent_but_tells_its_end(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "1d 12pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    (alert,) = await floor.open_alerts()
    await floor.desk.snooze(DESK, alert.id, "U1", SnoozeUntil.HOUR)

    await floor.ticks(BEGIN + timedelta(minutes=5), [0.13, 0.07, 0.01])

    assert [EntryKind.SNOOZED, EntryKind.RESOLVED] == [kind for kind, _ in await timeline(floor)]


async def test_an_alert_that_is_over_cannot_be_acknowledged(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.ticks(BEGIN, [0.10, 0.01])
    (closed,) = await floor.desk.history(DESK)

    acknowledged = await floor.desk.acknowledge(DESK, closed.id, "U1")
    snoozed = await floor.desk.snooze(DESK, closed.id, "U1", SnoozeUntil.HOUR)

    assert (False, False) == (acknowledged.changed, snoozed.changed)


async def test_a_restart_goes_on_with_what_was_open(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/floor.db"
    async with trading_floor(url) as floor:
        await floor.desk.add_rule(DESK, "1d 8pp", "U1")
        await floor.ticks(BEGIN, [0.10, 0.10])
        (alert,) = await floor.open_alerts()

    async with trading_floor(url, floor.clock) as floor:
        await floor.ticks(BEGIN + timedelta(minutes=10), [0.06, 0.01])
        (closed,) = await floor.desk.history(DESK)

    assert (alert.id, alert.opened_at) == (closed.id, closed.opened_at)
    assert BEGIN + timedelta(minutes=15) == closed.closed_at


async def test_a_hold_goes_on_over_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/floor.db"
    async with trading_floor(url) as floor:
        await floor.desk.add_rule(DESK, "1d 8pp", "U1")
        await floor.tick(BEGIN, 0.10)

    async with trading_floor(url, floor.clock) as floor:
        await floor.tick(BEGIN + timedelta(minutes=5), 0.10)

        assert 1 == len(await floor.open_alerts())


async def test_another_pair_is_watched_on_the_same_machinery(floor: Floor) -> None:
    floor.vendors.etf_moves[YESTERDAY] = 20.0
    await floor.desk.add_rule(DESK, "1d 8pp for 0s on MARA/BTC", "U1")

    await floor.tick(BEGIN, 0.10)

    assert ["MARA/BTC"] == [str(alert.pair) for alert in await floor.open_alerts()]


async def test_a_pair_that_fails_does_not_keep_another_from_being_watched(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s on MARA/BTC", "U1")
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    mistake: Any = object()
    floor.market.history._shares[0]._known[Symbol("MARA")] = mistake  # noqa: SLF001 -- what a mistake of ours leaves behind

    with pytest.raises(AttributeError):
        await floor.tick(BEGIN, 0.10)

    assert ["WGMI/BTC"] == [str(alert.pair) for alert in await floor.open_alerts()]


async def test_a_long_drawdown_does_not_swallow_a_divergence(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "drawdown 1% for 0s", "U1")
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    floor.vendors.crypto_moves[BEGIN] = 49_000.0

    await floor.tick(BEGIN, 0.03)
    await floor.tick(BEGIN + 5 * MINUTE, 0.10)

    assert [Subject.DRAWDOWN, Subject.DIVERGENCE] == [alert.subject for alert in await floor.open_alerts()]


async def test_an_alert_lasts_from_the_prices_that_opened_it_to_those_that_ended_it(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 22.0
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))

    next_close = CLOSE + timedelta(days=1)
    floor.vendors.etf_moves[next_close.date()] = 22.0
    await floor.tick(next_close + timedelta(minutes=20))

    (closed,) = await floor.desk.history(DESK)
    assert (CLOSE, next_close) == (closed.opened_at, closed.closed_at)


async def test_a_rule_that_joins_brings_newer_prices_and_the_end_shows_what_ended_it(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "1d 12pp for 0s", "U1")
    await floor.ticks(BEGIN, [0.10, 0.13])
    (joined,) = await floor.open_alerts()
    await floor.ticks(BEGIN + timedelta(minutes=10), [0.01])
    (closed,) = await floor.desk.history(DESK)

    assert BEGIN + timedelta(minutes=5) == joined.as_of
    assert 22.6 == pytest.approx(joined.etf.price)
    assert [0.01, 0.01] == pytest.approx([fact.value for fact in closed.facts])
    assert BEGIN + timedelta(minutes=10) == closed.as_of


async def test_a_rule_that_has_cleared_is_not_followed_any_more(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "1d 12pp for 0s", "U1")
    refreshed_at = await floor.ticks(BEGIN, [0.13, 0.07, 0.11, 0.11, 0.11])

    (alert,) = await floor.open_alerts()

    assert refreshed_at == alert.as_of
    assert [("1d 8pp for 0s", True, 0.11), ("1d 12pp for 0s", False, 0.07)] == [
        (fact.rule, fact.active, round(fact.value, 6)) for fact in alert.facts
    ]


async def test_a_rule_at_close_that_joins_does_not_put_older_prices_into_the_alert(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    floor.vendors.etf_moves[YESTERDAY] = 20.0
    await floor.desk.add_rule(DESK, "5d 0.1pp at close", "U1")

    await floor.tick(BEGIN + 5 * MINUTE, 0.10)

    (alert,) = [one for one in await floor.open_alerts() if one.side is Side.ABOVE]
    assert BEGIN <= alert.as_of


async def test_an_episode_that_one_rule_hands_to_another_does_not_end_in_between(floor: Floor) -> None:
    """At the close the live rule clears while the rule at close fires, on the same side."""
    floor.vendors.etf_moves[TODAY] = 20.6
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    await floor.desk.add_rule(DESK, "1d 2pp at close", "U1")
    floor.vendors.etf_last = None  # the last trade is the close

    await floor.tick(CLOSE + timedelta(minutes=20))

    assert 1 == len(await floor.desk.history(DESK))
    (alert,) = await floor.open_alerts()
    assert "1d 2pp at close" == alert.lead.rule


async def test_the_pairs_of_two_alerts_are_followed_each_with_its_own_prices(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s on MARA/BTC", "U1")
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")

    await floor.ticks(BEGIN, [0.10, 0.14])

    assert {"MARA/BTC": "MARA", "WGMI/BTC": "WGMI"} == {
        str(alert.pair): alert.etf.symbol for alert in await floor.open_alerts()
    }
    assert [True, True] == [alert.facts[0].active for alert in await floor.open_alerts()]


async def test_the_pair_of_the_board_is_looked_at_without_any_rule(floor: Floor) -> None:
    await floor.tick(BEGIN, 0.01)

    assert ["/v8/finance/chart/WGMI"] * 2 == [request.url.path for request in floor.vendors.calls("chart")]


class Meddled(SqlStore):
    """Lets something happen each time between what a tick has read of the alerts and what it records."""

    meddle: Callable[[], Awaitable[object]]

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        read = await super().open_alerts(channel, pair=pair)
        await self.meddle()
        return read


def meddled(floor: Floor, meddle: Callable[[], Awaitable[object]]) -> Meddled:
    store = Meddled(floor.store._database)  # noqa: SLF001
    store.meddle = meddle
    return store


async def test_a_click_in_one_channel_does_not_cost_another_its_alert(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    await floor.desk.add_rule(OTHER_DESK, "1d 12pp for 0s", "U2")
    (alert,) = await floor.open_alerts()
    floor.monitor.store = meddled(floor, lambda: floor.desk.acknowledge(DESK, alert.id, "U1"))

    changed = await floor.tick(BEGIN + MINUTE, 0.13)

    here, there = await floor.open_alerts()
    assert (1, OTHER_DESK) == (changed, there.channel)
    assert here.acknowledged is not None
    assert 0.13 == pytest.approx(here.lead.peak)


async def test_a_rule_that_is_removed_while_it_fires_opens_nothing(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(OTHER_DESK, "1d 8pp for 0s", "U2")

    class Late(SqlStore):
        async def record(
            self,
            states: Sequence[StateChange],
            alerts: Sequence[AlertChange],
            at: datetime,
            *,
            rules: Sequence[RuleChange] = (),
            tick: Tick | None = None,
        ) -> None:
            if await floor.desk.rules(DESK):
                await floor.desk.remove_rule(DESK, added.watch.id, "U1")
            await super().record(states, alerts, at, rules=rules, tick=tick)

    floor.monitor.store = Late(floor.store._database)  # noqa: SLF001
    await floor.tick(BEGIN, 0.10)

    assert [OTHER_DESK] == [alert.channel for alert in await floor.open_alerts()]


async def test_a_tick_that_meets_one_conflict_after_another_fails_and_can_be_done_in_the_same_round(
    floor: Floor,
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    (alert,) = await floor.open_alerts()
    floor.monitor.store = meddled(floor, lambda: floor.desk.snooze(DESK, alert.id, "U1", SnoozeUntil.HOUR))

    with pytest.raises(ConflictError):
        await floor.tick(BEGIN + MINUTE, 0.14)
    floor.monitor.store = floor.store
    await floor.tick(BEGIN + MINUTE + timedelta(seconds=10), 0.14)

    (peaked,) = await floor.open_alerts()
    assert 0.14 == pytest.approx(peaked.lead.peak)


@pytest.mark.parametrize(
    "every",
    [pytest.param(5 * MINUTE, id="it was taken over"), pytest.param(MINUTE, id="the next one has begun")],
)
async def test_a_tick_that_was_frozen_changes_nothing_once_another_process_has_gone_on(
    floor: Floor, caplog: pytest.LogCaptureFixture, every: timedelta
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    floor.monitor.every = every
    other = replace(floor.monitor, watchlist=RuleIndex(floor.store))

    async def freeze() -> None:
        frozen.meddle = floor.store.open_alerts  # only once
        floor.clock.at = BEGIN + MINUTE
        floor.vendors.etf_last = (20.0 * 1.02, floor.clock.at)
        assert 0 == await other.tick(floor.clock.at)

    floor.monitor.store = frozen = meddled(floor, freeze)
    late = await floor.tick(BEGIN, 0.10)

    assert (None, []) == (late, await floor.open_alerts())
    assert "came too late. Another process has gone on." in caplog.text


class Broken(SqlStore):
    """Cannot record."""

    async def record(self, *_args: object, **_options: object) -> None:
        raise StoreError("The disk is full.")


async def test_a_tick_that_could_not_be_recorded_is_tried_again_in_the_same_round(floor: Floor) -> None:
    floor.monitor.every = timedelta(minutes=15)
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    floor.monitor.store = Broken(floor.store._database)  # noqa: SLF001

    with pytest.raises(StoreError):
        await floor.tick(BEGIN, 0.10)
    floor.monitor.store = floor.store
    again = await floor.tick(BEGIN + timedelta(seconds=30), 0.10)

    assert (1, 1) == (again, len(await floor.open_alerts()))


async def test_a_tick_whose_process_died_is_taken_over_after_a_minute(floor: Floor) -> None:
    floor.monitor.every = timedelta(minutes=15)
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.store.claim_tick(WGMI_BTC, BEGIN, BEGIN)

    done = [await floor.tick(BEGIN + timedelta(seconds=second), 0.10) for second in (0, 59, 60, 75)]

    assert [None, None, 1, 0] == done


async def test_every_pair_that_fails_is_told(floor: Floor) -> None:
    mistake: Any = object()
    for etf in ("MARA", "RIOT"):
        await floor.desk.add_rule(DESK, f"1d 8pp for 0s on {etf}/BTC", "U1")
        floor.market.history._shares[0]._known[Symbol(etf)] = mistake  # noqa: SLF001 -- what a mistake of ours leaves behind

    with pytest.raises(ExceptionGroup, match="several pairs failed") as failed:
        await floor.tick(BEGIN, 0.10)

    assert [AttributeError, AttributeError] == [type(error) for error in failed.value.exceptions]


async def test_a_rule_that_cannot_be_read_silences_no_other_and_keeps_its_alert_until_it_is_removed(
    floor: Floor,
) -> None:
    lost = await floor.desk.add_rule(OTHER_DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    await floor.desk.add_rule(DESK, "1d 9pp for 0s", "U1")
    async with floor.store._database.write() as tx:  # noqa: SLF001 -- as another version, or a bad disk, may write
        await tx.exec_driver_sql("UPDATE rules SET rule = '1d 8 furlongs' WHERE id = 1")
    floor.monitor.watchlist = RuleIndex(floor.store)

    await floor.tick(BEGIN + MINUTE, 0.10)
    opened = [alert.channel for alert in await floor.open_alerts()]
    listed = await floor.desk.rules(OTHER_DESK)
    removed = await floor.desk.remove_rule(OTHER_DESK, lost.watch.id, "U7")
    (closed,) = await floor.desk.history(OTHER_DESK)

    assert ([OTHER_DESK, DESK], []) == (opened, listed)
    assert (1, "1d 8 furlongs") == (removed.id, removed.rule)
    assert "the rule was removed" == closed.reason
    assert [DESK] == [alert.channel for alert in await floor.open_alerts()]


@pytest.mark.parametrize("prices", [pytest.param(True, id="with prices"), pytest.param(False, id="without prices")])
async def test_an_alert_that_no_rule_keeps_open_any_more_is_closed_by_the_next_tick(
    floor: Floor, *, prices: bool
) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s on MARA/BTC", "U1")
    await floor.tick(BEGIN, 0.10)
    await floor.store.record([], [], BEGIN, rules=[removal(await floor.store.rule(DESK, added.watch.id))])
    if not prices:
        nothing = Closes(symbol=Symbol("MARA"), sessions=np.array([], "datetime64[D]"), prices=np.array([]), source="")
        floor.market.history._shares[0]._known[Symbol("MARA")] = EquityFeed(closes=nothing)  # noqa: SLF001
        floor.vendors.faults["yahoo"] = [httpx.Response(404)] * 9

    await floor.tick(BEGIN + MINUTE)

    (closed,) = await floor.desk.history(DESK)
    assert ("the rule was removed", []) == (closed.reason, await floor.open_alerts())


async def test_a_breach_that_only_begins_wakes_no_delivery(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    changed = await floor.tick(BEGIN, 0.10)

    assert (1, []) == (changed, floor.nudges)


async def test_ticks_more_often_than_each_minute_are_claimed_one_by_one(floor: Floor) -> None:
    floor.monitor.every = timedelta(seconds=15)
    await floor.desk.add_rule(DESK, "1d 8pp for 15s", "U1")

    done = [await floor.tick(BEGIN + timedelta(seconds=second), 0.10) for second in (0, 5, 30)]

    assert [1, 0, 1] == done


async def test_a_simulated_leg_makes_the_alert_simulated(floor: Floor) -> None:
    floor.market.history.cryptos[0].simulated = True
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")

    await floor.tick(BEGIN, 0.10)

    assert [True] == [alert.simulated for alert in await floor.open_alerts()]


async def test_an_alert_whose_prices_become_simulated_says_so_at_once_and_to_its_end(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    simulated = []

    for minute, made_up in ((5, True), (25, False)):
        floor.market.history.cryptos[0].simulated = made_up
        await floor.tick(BEGIN + minute * MINUTE, 0.10)
        simulated += [alert.simulated for alert in await floor.open_alerts()]

    assert [True, True] == simulated


async def test_the_history_of_an_alert_begins_with_why_it_fired_though_its_thread_does_not(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    recorded: list[AlertChange] = []

    class Listening(SqlStore):
        async def record(
            self,
            states: Sequence[StateChange],
            alerts: Sequence[AlertChange],
            at: datetime,
            *,
            rules: Sequence[RuleChange] = (),
            tick: Tick | None = None,
        ) -> None:
            recorded.extend(alerts)
            await super().record(states, alerts, at, rules=rules, tick=tick)

    floor.monitor.store = Listening(floor.store._database)  # noqa: SLF001
    await floor.tick(BEGIN, 0.10)

    fired = Entry(kind=EntryKind.FIRED, at=BEGIN, reason="10pp is past 8pp", silent=True)
    assert [(fired,)] == [change.entries for change in recorded]
    assert [] == await timeline(floor)


async def test_a_jump_that_one_source_alone_tells_fires_nothing_until_a_second_one_agrees() -> None:
    async with trading_floor(witnessed=True) as floor:
        await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
        await floor.ticks(BEGIN, [0.6, 0.6, 0.6])
        quiet = await floor.open_alerts()
        (watch,) = await floor.store.rules(DESK)
        floor.vendors.etf_moves[TODAY] = 32.0
        floor.vendors.etf_last = None
        await floor.tick(CLOSE + timedelta(minutes=20))
        alone = await floor.open_alerts()
        await floor.tick(CLOSE + timedelta(hours=2))  # Nasdaq's closes are taken from 17:00 on
        (alert,) = await floor.open_alerts()

    assert ([], []) == (quiet, alone)
    assert watch.state.dark_at is not None
    assert "1d 8pp for 0s" == alert.lead.rule
    assert (Verdict.OK, "Yahoo and Nasdaq") == (alert.trust.verdict, alert.etf.source)


async def test_an_alert_on_one_source_alone_says_so() -> None:
    async with trading_floor(witnessed=True) as floor:
        await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
        await floor.tick(BEGIN, 0.09)
        (alert,) = await floor.open_alerts()

    assert (Verdict.DEGRADED, ("WGMI's last trade is from Yahoo alone",)) == (alert.trust.verdict, alert.trust.reasons)
    assert "Coinbase and Bitstamp" == alert.crypto.source


async def test_venues_that_dispute_bitcoin_neither_fire_nor_resolve() -> None:
    async with trading_floor(witnessed=True) as floor:
        await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
        await floor.tick(BEGIN, 0.09)
        floor.vendors.tilts["bitstamp"] = 1.2
        await floor.tick(BEGIN + 5 * MINUTE, 0.01)
        (kept,) = await floor.open_alerts()
        floor.vendors.tilts.clear()
        await floor.tick(BEGIN + 10 * MINUTE, 0.01)

        assert kept.closed_at is None
        assert [] == await floor.open_alerts()


async def test_venues_that_dispute_bitcoin_in_the_night_open_no_gap() -> None:
    async with trading_floor(witnessed=True) as floor:
        await floor.desk.add_rule(DESK, "gap 0.5% for 0s", "U1")
        await floor.tick(CLOSE + timedelta(hours=3))
        floor.vendors.tilts["coinbase"] = 1.2
        await floor.tick(CLOSE + timedelta(hours=4))
        disputed, (watch,) = await floor.open_alerts(), await floor.store.rules(DESK)
        floor.vendors.tilts["bitstamp"] = 1.2
        await floor.tick(CLOSE + timedelta(hours=5))

        assert ([], CLOSE + timedelta(hours=4)) == (disputed, watch.state.dark_at)
        assert ["gap 0.5% for 0s"] == [alert.lead.rule for alert in await floor.open_alerts()]


async def test_a_gap_alert_tells_how_far_bitcoins_last_price_can_be_trusted() -> None:
    async with trading_floor(witnessed=True) as floor:
        await floor.desk.add_rule(DESK, "gap 0.08% for 0s", "U1")
        await floor.tick(CLOSE + timedelta(hours=3))
        floor.vendors.crypto_moves[CLOSE + timedelta(hours=3, minutes=30)] = 52_000.0
        floor.vendors.faults["bitstamp"] = [httpx.Response(404)] * 9
        floor.clock.advance(timedelta(minutes=2))
        await floor.tick(CLOSE + timedelta(hours=4))
        (alert,) = await floor.open_alerts()

    assert Verdict.DEGRADED is alert.trust.verdict
    assert "BTC's last trade is from Coinbase alone" in alert.trust.reasons
