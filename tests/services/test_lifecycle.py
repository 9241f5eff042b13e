"""An open alert over its life: corrected closes, worsening, repeats, and rules that people change."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.alerting.alert import EntryKind
from services.alerting.records import RuleAuditKind, StateChange
from services.alerting.snooze import SnoozeUntil
from services.core.errors import ConflictError, NotFoundError
from services.rules.decide import RuleState, Side, Status
from tests.fakes.floor import CLOSE, DESK, OPEN, OTHER_DESK, TODAY, Floor, trading_floor

BEGIN = OPEN + timedelta(minutes=30)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
TOMORROW = TODAY + DAY


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with trading_floor() as floor:
        yield floor


async def timeline(floor: Floor) -> list[tuple[EntryKind, str]]:
    return [(entry.kind, entry.reason) for entry in await floor.told()]


async def next_open(floor: Floor, close: float, last: float) -> None:
    """Today's close as its vendor tells it by the next morning."""
    floor.vendors.etf_moves[TODAY] = close
    floor.vendors.etf_last = (last, OPEN + DAY + MINUTE)
    await floor.tick(OPEN + DAY + 2 * MINUTE)


async def test_a_close_that_is_corrected_into_the_band_retracts_its_alert(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 21.68
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))

    await next_open(floor, 21.42, 21.5)
    (alert,) = await floor.desk.history(DESK)
    (watch,) = await floor.desk.rules(DESK)

    assert (True, 21.42) == (alert.retracted, alert.etf.price)
    assert (None, Status.OK) == (watch.state.firing, watch.state.status(floor.clock.at))
    assert [
        (EntryKind.RETRACTED, "1d 8pp at close: corrected from 8.4pp to 7.1pp, not past 8pp any more")
    ] == await timeline(floor)


async def test_a_close_before_the_last_one_retracts_the_alert_that_it_opened(floor: Floor) -> None:
    floor.vendors.etf_moves |= {TODAY: 21.68, TOMORROW: 20.0 * 1.07 * 1.02}
    await floor.desk.add_rule(DESK, "5d 8pp clear 1pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))
    await floor.tick(CLOSE + DAY + timedelta(minutes=20))
    (opened,) = await floor.open_alerts()
    (fact,) = opened.facts
    assert 2 == len(fact.closes)
    await floor.told()

    shift = 21.68 - 20.7
    floor.vendors.etf_moves |= {TODAY: 21.68 - shift, TOMORROW: 20.5}
    floor.vendors.etf_last = (20.5, OPEN + 2 * DAY + MINUTE)
    await floor.tick(OPEN + 2 * DAY + 2 * MINUTE)

    (alert,) = await floor.desk.history(DESK)
    ((kind, reason),) = await timeline(floor)
    assert (True, EntryKind.RETRACTED) == (alert.retracted, kind)
    assert "corrected at the close of Wed 4 Mar from" in reason


async def test_an_alert_that_a_later_close_would_have_opened_stands_corrected(floor: Floor) -> None:
    floor.vendors.etf_moves |= {TODAY: 21.7, TOMORROW: 24.0}
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))
    await floor.tick(CLOSE + DAY + timedelta(minutes=20))
    await floor.told()

    floor.vendors.etf_moves[TODAY] = 21.0
    floor.vendors.etf_last = (24.0, OPEN + 2 * DAY + MINUTE)
    await floor.tick(OPEN + 2 * DAY + 2 * MINUTE)

    (alert,) = await floor.open_alerts()
    ((kind, reason),) = await timeline(floor)
    assert EntryKind.CORRECTED is kind
    assert "at the close of Wed 4 Mar from 8.5pp to 5pp; at the close of Thu 5 Mar from 10.6pp to 14.29pp" in reason
    assert reason.endswith("peak now 14.29pp")
    assert pytest.approx(24 / 21 - 1) == alert.lead.peak


async def test_an_alert_that_has_ended_is_retracted_by_a_later_correction(floor: Floor) -> None:
    floor.vendors.etf_moves |= {TODAY: 21.68, TOMORROW: 21.7}
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))
    await floor.tick(CLOSE + DAY + timedelta(minutes=20))
    (ended,) = await floor.desk.history(DESK)
    await floor.told()

    floor.vendors.etf_moves[TODAY] = 21.42
    floor.vendors.etf_last = (21.7, OPEN + 2 * DAY + MINUTE)
    await floor.ticks(OPEN + 2 * DAY + 2 * MINUTE, [None, None])

    (alert,) = await floor.desk.history(DESK)
    assert (CLOSE + DAY, False) == (ended.closed_at, ended.retracted)
    assert (ended.closed_at, True) == (alert.closed_at, alert.retracted)
    assert [
        (
            EntryKind.RETRACTED,
            (
                "1d 8pp at close: corrected at the close of Wed 4 Mar from 8.4pp to 7.1pp; "
                "at the close of Thu 5 Mar from 0.09pp to 1.31pp, not past 8pp any more"
            ),
        )
    ] == await timeline(floor)


async def test_the_close_that_ended_an_alert_is_corrected_in_its_message(floor: Floor) -> None:
    floor.vendors.etf_moves |= {TODAY: 21.68, TOMORROW: 21.7}
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))
    await floor.tick(CLOSE + DAY + timedelta(minutes=20))
    (ended,) = await floor.desk.history(DESK)
    await floor.told()

    floor.vendors.etf_moves[TOMORROW] = 22.0
    floor.vendors.etf_last = (22.0, OPEN + 2 * DAY + MINUTE)
    await floor.tick(OPEN + 2 * DAY + 2 * MINUTE)

    (alert,) = await floor.desk.history(DESK)
    assert (False, 22.0) == (alert.retracted, alert.etf.price)
    ends = [one.course.points[-1] for one in (ended, alert) if one.course]
    assert 22.0 / 21.7 == pytest.approx((1 + ends[1].etf) / (1 + ends[0].etf))
    assert [(EntryKind.CORRECTED, "1d 8pp at close: from 0.09pp to 1.48pp")] == await timeline(floor)


async def test_a_retracted_rule_leaves_an_alert_that_another_keeps_open(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 21.68
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.desk.add_rule(DESK, "1d 7pp at close", "U1")
    await floor.tick(CLOSE + timedelta(minutes=20))

    await next_open(floor, 21.42, 21.5)

    (alert,) = await floor.open_alerts()
    assert ([True, False], False) == ([fact.retracted for fact in alert.facts], alert.retracted)
    assert {EntryKind.LEFT, EntryKind.CORRECTED} == {kind for kind, _ in await timeline(floor)}


async def test_an_alert_that_worsens_is_told_at_every_half_of_its_threshold(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.082)
    (alert,) = await floor.open_alerts()
    await floor.desk.acknowledge(DESK, alert.id, "U1")
    await floor.told()

    await floor.ticks(BEGIN + 5 * MINUTE, [0.12, 0.124, 0.09, 0.125, 0.165])

    assert [
        (EntryKind.WORSENED, "by 4.2pp to 12.4pp (1d 8pp for 0s)"),
        (EntryKind.WORSENED, "by 4.1pp to 16.5pp (1d 8pp for 0s)"),
    ] == await timeline(floor)


async def test_what_worsens_while_snoozed_is_told_once_the_snooze_is_over(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s repeat 15m", "U1")
    await floor.tick(BEGIN, 0.09)
    (alert,) = await floor.open_alerts()
    await floor.desk.snooze(DESK, alert.id, "U1", SnoozeUntil.HOUR)
    await floor.told()

    await floor.ticks(BEGIN + 5 * MINUTE, [0.14, 0.18, 0.14, 0.14])
    during = await floor.told()
    await floor.tick(BEGIN + timedelta(minutes=61), 0.15)

    assert [] == during
    assert [(EntryKind.WORSENED, "by 9pp to 18pp (1d 8pp for 0s repeat 15m)")] == await timeline(floor)


async def test_a_repeated_alert_is_told_again_on_newer_prices_until_someone_acknowledges_it(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s repeat 15m", "U1")
    await floor.ticks(BEGIN, [0.10, 0.09, 0.09, 0.09])
    told = await timeline(floor)
    await floor.tick(BEGIN + 31 * MINUTE)  # on the same price
    same = await floor.told()
    (alert,) = await floor.open_alerts()
    await floor.desk.acknowledge(DESK, alert.id, "U1")
    await floor.told()
    await floor.tick(BEGIN + 50 * MINUTE, 0.09)

    assert [(EntryKind.REPEATED, "1d 8pp for 0s repeat 15m at 9pp, peak 10pp")] == told
    assert ([], []) == (same, await floor.told())


async def test_a_rule_that_recovers_ends_its_alert_only_when_it_has_lasted(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s keep 10m", "U1")
    await floor.ticks(BEGIN, [0.10, 0.04, 0.04])
    (watch,) = await floor.desk.rules(DESK)
    (open_still,) = await floor.open_alerts()
    await floor.tick(BEGIN + 15 * MINUTE, 0.04)

    assert Status.RECOVERING is watch.state.status(floor.clock.at)
    assert pytest.approx(0.04) == open_still.lead.value
    assert [] == await floor.open_alerts()


async def test_an_edited_rule_keeps_its_alert_and_is_decided_anew(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)
    (before,) = await floor.open_alerts()

    edited = await floor.desk.edit_rule(DESK, added.watch.id, "1d 20pp for 0s", "U7")
    (kept,) = await floor.open_alerts()
    told = await floor.told()
    await floor.tick(BEGIN + 5 * MINUTE, 0.10)

    assert (True, "1d 8pp for 0s", "1d 20pp for 0s") == (edited.changed, edited.before, str(edited.rule))
    assert (before.id, "1d 20pp for 0s") == (kept.id, kept.lead.rule)
    assert [(EntryKind.EDITED, "1d 8pp for 0s is now 1d 20pp for 0s", "U7")] == [
        (entry.kind, entry.reason, entry.by) for entry in told
    ]
    assert [(EntryKind.RESOLVED, "1d 20pp for 0s: 10pp is back inside the clear level of 12pp")] == await timeline(
        floor
    )


async def test_an_edit_to_another_metric_is_measured_by_the_next_tick(floor: Floor) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)

    await floor.desk.edit_rule(DESK, added.watch.id, "5d 9pp for 0s", "U7")
    (waiting,) = await floor.open_alerts()
    await floor.tick(BEGIN + 5 * MINUTE, 0.10)
    (measured,) = await floor.open_alerts()

    assert ("1d 8pp for 0s", "5d 9pp for 0s") == (waiting.lead.rule, measured.lead.rule)
    assert measured.lead.measurement.window.value == "5d"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1d 8pp for 0s on MARA/BTC", id="another pair"),
        pytest.param("drawdown 60%", id="another subject"),
        pytest.param("1d 8pp below for 0s", id="the other side alone"),
    ],
)
async def test_a_rule_that_is_about_something_else_now_leaves_its_alert(floor: Floor, text: str) -> None:
    added = await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)

    await floor.desk.edit_rule(DESK, added.watch.id, text, "U7")
    (watch,) = await floor.desk.rules(DESK)

    assert [(EntryKind.RESOLVED, f"1d 8pp for 0s is now {text}")] == await timeline(floor)
    assert (text, RuleState()) == (str(watch.rule), watch.state)


async def test_a_tick_on_the_rule_as_it_was_records_nothing_after_an_edit(floor: Floor) -> None:
    watch = (await floor.desk.add_rule(DESK, "1d 8pp", "U1")).watch
    await floor.desk.edit_rule(DESK, watch.id, "1d 20pp", "U7")
    fired = RuleState(firing=Side.ABOVE, fired_at=BEGIN)

    with pytest.raises(ConflictError):
        await floor.store.record([StateChange(rule_id=watch.id, before=watch.state, after=fired)], [], BEGIN)


async def test_a_rule_cannot_be_edited_into_one_that_stands(floor: Floor) -> None:
    first = await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    second = await floor.desk.add_rule(DESK, "1d 9pp", "U1")

    edited = await floor.desk.edit_rule(DESK, second.watch.id, "1D 8%", "U1")

    assert (False, first.watch.id) == (edited.changed, edited.rule_id)
    assert [first.watch, second.watch] == await floor.desk.rules(DESK)
    with pytest.raises(NotFoundError):
        await floor.desk.edit_rule(OTHER_DESK, second.watch.id, "1d 7pp", "U1")


async def test_a_paused_rule_leaves_its_alert_and_is_not_watched_until_it_is_resumed(floor: Floor) -> None:
    watch = (await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")).watch
    await floor.tick(BEGIN, 0.10)

    paused = [(await floor.desk.pause_rule(DESK, watch.id, "U7")).changed for _ in range(2)]
    told = await timeline(floor)
    await floor.tick(BEGIN + 5 * MINUTE, 0.12)
    quiet = await floor.open_alerts()
    resumed = [(await floor.desk.resume_rule(DESK, watch.id, "U7")).changed for _ in range(2)]
    await floor.tick(BEGIN + 10 * MINUTE, 0.12)

    assert ([True, False], [True, False]) == (paused, resumed)
    assert [(EntryKind.RESOLVED, "1d 8pp for 0s was paused")] == told
    assert ([], 1) == (quiet, len(await floor.open_alerts()))


async def test_a_rule_that_is_paused_beside_another_is_told_as_such(floor: Floor) -> None:
    watch = (await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")).watch
    await floor.desk.add_rule(DESK, "1d 9pp for 0s", "U1")
    await floor.tick(BEGIN, 0.10)

    await floor.desk.pause_rule(DESK, watch.id, "U7")

    assert [(EntryKind.PAUSED, "1d 8pp for 0s was paused")] == await timeline(floor)


async def test_who_changed_which_rule_is_kept(floor: Floor) -> None:
    watch = (await floor.desk.add_rule(DESK, "1d 8pp", "U1")).watch
    await floor.desk.edit_rule(DESK, watch.id, "1d 9pp", "U2")
    await floor.desk.pause_rule(DESK, watch.id, "U3")
    await floor.desk.resume_rule(DESK, watch.id, "U4")
    await floor.desk.remove_rule(DESK, watch.id, "U5")

    assert [
        (RuleAuditKind.REMOVED, "U5", "1d 9pp", None),
        (RuleAuditKind.RESUMED, "U4", "1d 9pp", "1d 9pp"),
        (RuleAuditKind.PAUSED, "U3", "1d 9pp", "1d 9pp"),
        (RuleAuditKind.EDITED, "U2", "1d 8pp", "1d 9pp"),
        (RuleAuditKind.ADDED, "U1", None, "1d 8pp"),
    ] == [(act.kind, act.by, act.before, act.after) for act in await floor.store.acts(DESK, 9)]
    assert [] == await floor.store.acts(OTHER_DESK, 9)


async def test_a_rule_that_cannot_be_read_is_listed_and_mended_by_an_edit(floor: Floor) -> None:
    watch = (await floor.desk.add_rule(DESK, "1d 8pp", "U1")).watch
    async with floor.store._database.write() as tx:  # noqa: SLF001 -- as a bad disk may write
        await tx.exec_driver_sql("UPDATE rules SET rule = '1d 8 furlongs'")

    listing = await floor.desk.listing(DESK)
    with pytest.raises(NotFoundError, match="cannot be read"):
        await floor.desk.pause_rule(DESK, watch.id, "U1")
    await floor.desk.edit_rule(DESK, watch.id, "1d 9pp", "U1")

    assert ((), ["1d 8 furlongs"]) == (listing.watches, [lost.rule for lost in listing.lost])
    assert ["1d 9pp"] == [str(one.rule) for one in await floor.desk.rules(DESK)]


async def test_each_change_of_a_rule_is_told_once_where_an_alert_is_open(floor: Floor) -> None:
    touched = (await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")).watch
    await floor.tick(BEGIN, 0.10)
    await floor.told()

    other = (await floor.desk.add_rule(DESK, "5d 30pp", "U2")).watch
    await floor.desk.add_rule(DESK, "5d 30pp", "U2")
    await floor.desk.edit_rule(DESK, other.id, "5d 40pp", "U3")
    await floor.desk.pause_rule(DESK, other.id, "U4")
    await floor.desk.resume_rule(DESK, other.id, "U5")
    await floor.desk.remove_rule(DESK, other.id, "U6")
    await floor.desk.edit_rule(DESK, touched.id, "1d 9pp for 0s", "U7")
    await floor.desk.add_rule(OTHER_DESK, "5d 30pp", "U8")

    assert [
        (EntryKind.CHANGED, "U2", "5d 30pp was added"),
        (EntryKind.CHANGED, "U3", "5d 30pp is now 5d 40pp"),
        (EntryKind.CHANGED, "U4", "5d 40pp was paused"),
        (EntryKind.CHANGED, "U5", "5d 40pp was resumed"),
        (EntryKind.CHANGED, "U6", "5d 40pp was removed"),
        (EntryKind.EDITED, "U7", "1d 8pp for 0s is now 1d 9pp for 0s"),
    ] == [(entry.kind, entry.by, entry.reason) for entry in await floor.told()]


async def test_a_change_is_told_in_the_newest_alert_that_is_not_put_off(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "drawdown 1% for 0s", "U1")
    floor.vendors.crypto_moves[BEGIN - timedelta(hours=1)] = 45_000.0
    await floor.tick(BEGIN, 0.10)
    first, second = await floor.open_alerts()

    await floor.desk.add_rule(DESK, "5d 30pp", "U2")
    await floor.desk.snooze(DESK, second.id, "U1", timedelta(hours=1))
    await floor.desk.add_rule(DESK, "5d 40pp", "U2")
    await floor.desk.snooze(DESK, first.id, "U1", timedelta(hours=1))
    await floor.desk.add_rule(DESK, "5d 50pp", "U2")

    told = {one.id: (await floor.store.receipt(DESK, one.id)).entries for one in (first, second)}
    changes = {
        number: [(entry.reason, entry.silent) for entry in entries if entry.kind is EntryKind.CHANGED]
        for number, entries in told.items()
    }
    assert {
        first.id: [("5d 40pp was added", False)],
        second.id: [("5d 30pp was added", False), ("5d 50pp was added", True)],
    } == changes
