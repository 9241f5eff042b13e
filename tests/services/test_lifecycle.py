"""An open alert over its lifetime: corrected closes, widening, repeats, and rules that people change."""

from datetime import timedelta

import pytest

from handlers.render.reasons import sentence
from services.alerting.alert import EntryKind, TimelineEntry
from services.alerting.ports import RuleAuditKind, StateChange
from services.alerting.snooze import SnoozeUntil
from services.core.errors import ConflictError, NotFoundError
from services.rules.decide import RuleState, RuleStatus, Side
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, OTHER_CHANNEL, TODAY, Harness

BEGIN = OPEN + timedelta(minutes=30)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
TOMORROW = TODAY + DAY


async def timeline(harness: Harness) -> list[tuple[EntryKind, str]]:
    return [(entry.kind, text_of(entry)) for entry in await harness.deliver_all()]


def text_of(entry: TimelineEntry) -> str:
    return sentence(entry.reason).replace("\u00a0", " ")


async def next_open(harness: Harness, close: float, last: float) -> None:
    """Tick after the next opening, when the vendor serves today's final close."""
    harness.vendors.etf_moves[TODAY] = close
    harness.vendors.etf_last = (last, OPEN + DAY + MINUTE)
    await harness.tick(OPEN + DAY + 2 * MINUTE)


async def test_a_close_that_is_corrected_into_the_band_retracts_its_alert(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 21.68
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + timedelta(minutes=20))
    await harness.deliver_all()

    await next_open(harness, 21.42, 21.5)
    (alert,) = await harness.commands.history(CHANNEL)
    (watch,) = await harness.commands.rules(CHANNEL)

    assert (True, 21.42) == (alert.retracted, alert.etf.price)
    assert (None, RuleStatus.OK) == (watch.state.firing, watch.state.status(harness.clock.at))
    assert [
        (EntryKind.RETRACTED, "`1d 8pp at close` was +8.4 pp, now +7.1 pp, which doesn't cross the 8 pp threshold")
    ] == await timeline(harness)


async def test_a_close_before_the_last_one_retracts_the_alert_that_it_opened(harness: Harness) -> None:
    harness.vendors.etf_moves |= {TODAY: 21.68, TOMORROW: 20.0 * 1.07 * 1.02}
    await harness.commands.add_rule(CHANNEL, "5d 8pp clear 1pp at close", "U1")
    await harness.tick(CLOSE + timedelta(minutes=20))
    await harness.tick(CLOSE + DAY + timedelta(minutes=20))
    (opened,) = await harness.open_alerts()
    (fact,) = opened.hits
    assert 2 == len(fact.closes)
    await harness.deliver_all()

    shift = 21.68 - 20.7
    harness.vendors.etf_moves |= {TODAY: 21.68 - shift, TOMORROW: 20.5}
    harness.vendors.etf_last = (20.5, OPEN + 2 * DAY + MINUTE)
    await harness.tick(OPEN + 2 * DAY + 2 * MINUTE)

    (alert,) = await harness.commands.history(CHANNEL)
    ((kind, reason),) = await timeline(harness)
    assert (True, EntryKind.RETRACTED) == (alert.retracted, kind)
    assert "at the Mar 4, 2026 close was +8.5 pp, now +3.5 pp" in reason


async def test_an_alert_that_a_later_close_would_have_opened_is_corrected(harness: Harness) -> None:
    harness.vendors.etf_moves |= {TODAY: 21.7, TOMORROW: 24.0}
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + timedelta(minutes=20))
    await harness.tick(CLOSE + DAY + timedelta(minutes=20))
    await harness.deliver_all()

    harness.vendors.etf_moves[TODAY] = 21.0
    harness.vendors.etf_last = (24.0, OPEN + 2 * DAY + MINUTE)
    await harness.tick(OPEN + 2 * DAY + 2 * MINUTE)

    (alert,) = await harness.open_alerts()
    ((kind, reason),) = await timeline(harness)
    assert EntryKind.CORRECTED is kind
    assert (
        "`1d 8pp at close` at the Mar 4, 2026 close was +8.5 pp, now +5.0 pp; "
        "at the Mar 5, 2026 close was +10.6 pp, now +14.3 pp; the peak is now +14.3 pp"
    ) == reason
    assert pytest.approx(24 / 21 - 1) == alert.lead.peak


async def test_a_closed_alert_is_retracted_by_a_later_correction(harness: Harness) -> None:
    harness.vendors.etf_moves |= {TODAY: 21.68, TOMORROW: 21.7}
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + timedelta(minutes=20))
    await harness.tick(CLOSE + DAY + timedelta(minutes=20))
    (ended,) = await harness.commands.history(CHANNEL)
    await harness.deliver_all()

    harness.vendors.etf_moves[TODAY] = 21.42
    harness.vendors.etf_last = (21.7, OPEN + 2 * DAY + MINUTE)
    await harness.ticks(OPEN + 2 * DAY + 2 * MINUTE, [None, None])

    (alert,) = await harness.commands.history(CHANNEL)
    assert (CLOSE + DAY, False) == (ended.closed_at, ended.retracted)
    assert (ended.closed_at, True) == (alert.closed_at, alert.retracted)
    assert [
        (
            EntryKind.RETRACTED,
            (
                "`1d 8pp at close` at the Mar 4, 2026 close was +8.4 pp, now +7.1 pp; "
                "at the Mar 5, 2026 close was +0.1 pp, now +1.3 pp, which doesn't cross the 8 pp threshold"
            ),
        )
    ] == await timeline(harness)


async def test_the_close_that_resolved_an_alert_is_corrected_in_its_message(harness: Harness) -> None:
    harness.vendors.etf_moves |= {TODAY: 21.68, TOMORROW: 21.7}
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + timedelta(minutes=20))
    await harness.tick(CLOSE + DAY + timedelta(minutes=20))
    (ended,) = await harness.commands.history(CHANNEL)
    await harness.deliver_all()

    harness.vendors.etf_moves[TOMORROW] = 22.0
    harness.vendors.etf_last = (22.0, OPEN + 2 * DAY + MINUTE)
    await harness.tick(OPEN + 2 * DAY + 2 * MINUTE)

    (alert,) = await harness.commands.history(CHANNEL)
    assert (False, 22.0) == (alert.retracted, alert.etf.price)
    ends = [one.chart.points[-1] for one in (ended, alert) if one.chart]
    assert 22.0 / 21.7 == pytest.approx((1 + ends[1].etf) / (1 + ends[0].etf))
    assert [(EntryKind.CORRECTED, "`1d 8pp at close` was +0.1 pp, now +1.5 pp")] == await timeline(harness)


async def test_a_retracted_rule_leaves_an_alert_that_another_keeps_open(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 21.68
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 7pp at close", "U1")
    await harness.tick(CLOSE + timedelta(minutes=20))
    await harness.deliver_all()

    await next_open(harness, 21.42, 21.5)

    (alert,) = await harness.open_alerts()
    assert ([True, False], False) == ([fact.retracted for fact in alert.hits], alert.retracted)
    assert {EntryKind.LEFT, EntryKind.CORRECTED} == {kind for kind, _ in await timeline(harness)}


async def test_a_widening_is_posted_at_every_half_of_the_threshold(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.082)
    (alert,) = await harness.open_alerts()
    await harness.commands.acknowledge(CHANNEL, alert.id, "U1")
    await harness.deliver_all()

    await harness.ticks(BEGIN + 5 * MINUTE, [0.12, 0.124, 0.09, 0.125, 0.165])

    assert [
        (EntryKind.WORSENED, "`1d 8pp for 0s` at +12.4 pp, 4.2 pp further than last reported"),
        (EntryKind.WORSENED, "`1d 8pp for 0s` at +16.5 pp, 4.1 pp further than last reported"),
    ] == await timeline(harness)


async def test_a_widening_during_a_snooze_is_posted_after_it(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s repeat 15m", "U1")
    await harness.tick(BEGIN, 0.09)
    (alert,) = await harness.open_alerts()
    await harness.commands.snooze(CHANNEL, alert.id, "U1", SnoozeUntil.HOUR)
    await harness.deliver_all()

    await harness.ticks(BEGIN + 5 * MINUTE, [0.14, 0.18, 0.14, 0.14])
    during = await harness.deliver_all()
    await harness.tick(BEGIN + timedelta(minutes=61), 0.15)

    assert [] == during
    assert [
        (EntryKind.WORSENED, "`1d 8pp for 0s repeat 15m` at +18.0 pp, 9.0 pp further than last reported")
    ] == await timeline(harness)


async def test_an_alert_repeats_on_newer_prices_until_it_is_acknowledged(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s repeat 15m", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.deliver_all()
    await harness.ticks(BEGIN + 5 * MINUTE, [0.09, 0.09, 0.09])
    posted = await timeline(harness)
    await harness.tick(BEGIN + 31 * MINUTE)  # with the same price
    same = await harness.deliver_all()
    (alert,) = await harness.open_alerts()
    await harness.commands.acknowledge(CHANNEL, alert.id, "U1")
    await harness.deliver_all()
    await harness.tick(BEGIN + 50 * MINUTE, 0.09)

    assert [(EntryKind.REPEATED, "`1d 8pp for 0s repeat 15m` at +9.0 pp, peak +10.0 pp")] == posted
    assert ([], []) == (same, await harness.deliver_all())


async def test_a_recovering_rule_resolves_its_alert_after_the_keep_time(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s keep 10m", "U1")
    await harness.ticks(BEGIN, [0.10, 0.04, 0.04])
    (watch,) = await harness.commands.rules(CHANNEL)
    (open_still,) = await harness.open_alerts()
    await harness.tick(BEGIN + 15 * MINUTE, 0.04)

    assert RuleStatus.RECOVERING is watch.state.status(harness.clock.at)
    assert pytest.approx(0.04) == open_still.lead.value
    assert [] == await harness.open_alerts()


async def test_an_edited_rule_stays_in_its_alert_and_is_evaluated_again(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    (before,) = await harness.open_alerts()
    await harness.deliver_all()

    edited = await harness.commands.edit_rule(CHANNEL, added.channel_rule.id, "1d 20pp for 0s", "U7")
    (kept,) = await harness.open_alerts()
    posted = await harness.deliver_all()
    await harness.tick(BEGIN + 5 * MINUTE, 0.10)

    assert (True, "1d 8pp for 0s", "1d 20pp for 0s") == (edited.changed, edited.before, str(edited.rule))
    assert (before.id, "1d 20pp for 0s") == (kept.id, kept.lead.rule)
    assert [(EntryKind.EDITED, "changed `1d 8pp for 0s` to `1d 20pp for 0s`", "U7")] == [
        (entry.kind, text_of(entry), entry.by) for entry in posted
    ]
    assert [(EntryKind.RESOLVED, "`1d 20pp for 0s` cleared: +10.0 pp, inside the 12 pp clear level")] == await timeline(
        harness
    )


async def test_an_edit_to_another_metric_is_measured_by_the_next_tick(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)

    await harness.commands.edit_rule(CHANNEL, added.channel_rule.id, "5d 9pp for 0s", "U7")
    (waiting,) = await harness.open_alerts()
    await harness.tick(BEGIN + 5 * MINUTE, 0.10)
    (measured,) = await harness.open_alerts()

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
async def test_a_rule_edited_to_another_subject_leaves_its_alert(harness: Harness, text: str) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.deliver_all()

    await harness.commands.edit_rule(CHANNEL, added.channel_rule.id, text, "U7")
    (watch,) = await harness.commands.rules(CHANNEL)

    assert [(EntryKind.RESOLVED, f"changed `1d 8pp for 0s` to `{text}`")] == await timeline(harness)
    assert (text, RuleState()) == (str(watch.rule), watch.state)


async def test_a_tick_on_the_old_rule_records_nothing_after_an_edit(harness: Harness) -> None:
    watch = (await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")).channel_rule
    await harness.commands.edit_rule(CHANNEL, watch.id, "1d 20pp", "U7")
    fired = RuleState(firing=Side.ABOVE, fired_at=BEGIN)

    with pytest.raises(ConflictError):
        await harness.store.record([StateChange(rule_id=watch.id, before=watch.state, after=fired)], [], BEGIN)


async def test_a_rule_cannot_be_edited_into_an_existing_one(harness: Harness) -> None:
    first = await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    second = await harness.commands.add_rule(CHANNEL, "1d 9pp", "U1")

    edited = await harness.commands.edit_rule(CHANNEL, second.channel_rule.id, "1D 8%", "U1")

    assert (False, first.channel_rule.id) == (edited.changed, edited.rule_id)
    assert [first.channel_rule, second.channel_rule] == await harness.commands.rules(CHANNEL)
    with pytest.raises(NotFoundError):
        await harness.commands.edit_rule(OTHER_CHANNEL, second.channel_rule.id, "1d 7pp", "U1")


async def test_a_paused_rule_leaves_its_alert_and_is_not_evaluated_until_resumed(harness: Harness) -> None:
    watch = (await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")).channel_rule
    await harness.tick(BEGIN, 0.10)
    await harness.deliver_all()

    paused = [(await harness.commands.pause_rule(CHANNEL, watch.id, "U7")).changed for _ in range(2)]
    posted = await timeline(harness)
    await harness.tick(BEGIN + 5 * MINUTE, 0.12)
    quiet = await harness.open_alerts()
    resumed = [(await harness.commands.resume_rule(CHANNEL, watch.id, "U7")).changed for _ in range(2)]
    await harness.tick(BEGIN + 10 * MINUTE, 0.12)

    assert ([True, False], [True, False]) == (paused, resumed)
    assert [(EntryKind.RESOLVED, "paused `1d 8pp for 0s`")] == posted
    assert ([], 1) == (quiet, len(await harness.open_alerts()))


async def test_a_rule_paused_in_a_shared_alert_is_posted_to_its_thread(harness: Harness) -> None:
    watch = (await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")).channel_rule
    await harness.commands.add_rule(CHANNEL, "1d 9pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.deliver_all()

    await harness.commands.pause_rule(CHANNEL, watch.id, "U7")

    assert [(EntryKind.PAUSED, "paused `1d 8pp for 0s`")] == await timeline(harness)


async def test_rule_changes_are_saved_with_their_author(harness: Harness) -> None:
    watch = (await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")).channel_rule
    await harness.commands.edit_rule(CHANNEL, watch.id, "1d 9pp", "U2")
    await harness.commands.pause_rule(CHANNEL, watch.id, "U3")
    await harness.commands.resume_rule(CHANNEL, watch.id, "U4")
    await harness.commands.remove_rule(CHANNEL, watch.id, "U5")

    assert [
        (RuleAuditKind.REMOVED, "U5", "1d 9pp", None),
        (RuleAuditKind.RESUMED, "U4", "1d 9pp", "1d 9pp"),
        (RuleAuditKind.PAUSED, "U3", "1d 9pp", "1d 9pp"),
        (RuleAuditKind.EDITED, "U2", "1d 8pp", "1d 9pp"),
        (RuleAuditKind.ADDED, "U1", None, "1d 8pp"),
    ] == [(act.kind, act.by, act.before, act.after) for act in await harness.store.rule_audits(CHANNEL, 9)]
    assert [] == await harness.store.rule_audits(OTHER_CHANNEL, 9)


async def test_an_unreadable_rule_is_listed_and_fixed_by_an_edit(harness: Harness) -> None:
    watch = (await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")).channel_rule
    async with harness.store._database.write() as tx:  # noqa: SLF001 -- a damaged row
        await tx.exec_driver_sql("UPDATE rules SET rule = '1d 8 furlongs'")

    listing = await harness.commands.rule_list(CHANNEL)
    with pytest.raises(NotFoundError, match="can't be read"):
        await harness.commands.pause_rule(CHANNEL, watch.id, "U1")
    await harness.commands.edit_rule(CHANNEL, watch.id, "1d 9pp", "U1")

    assert ((), ["1d 8 furlongs"]) == (listing.rules, [lost.rule for lost in listing.unreadable])
    assert ["1d 9pp"] == [str(one.rule) for one in await harness.commands.rules(CHANNEL)]


async def test_each_rule_change_is_posted_once_in_the_open_alert(harness: Harness) -> None:
    fired_rule = (await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")).channel_rule
    await harness.tick(BEGIN, 0.10)
    await harness.deliver_all()

    other = (await harness.commands.add_rule(CHANNEL, "5d 30pp", "U2")).channel_rule
    await harness.commands.add_rule(CHANNEL, "5d 30pp", "U2")
    await harness.commands.edit_rule(CHANNEL, other.id, "5d 40pp", "U3")
    await harness.commands.pause_rule(CHANNEL, other.id, "U4")
    await harness.commands.resume_rule(CHANNEL, other.id, "U5")
    await harness.commands.remove_rule(CHANNEL, other.id, "U6")
    await harness.commands.edit_rule(CHANNEL, fired_rule.id, "1d 9pp for 0s", "U7")
    await harness.commands.add_rule(OTHER_CHANNEL, "5d 30pp", "U8")

    assert [
        (EntryKind.CHANGED, "U2", "added the rule `5d 30pp`"),
        (EntryKind.CHANGED, "U3", "changed `5d 30pp` to `5d 40pp`"),
        (EntryKind.CHANGED, "U4", "paused `5d 40pp`"),
        (EntryKind.CHANGED, "U5", "resumed `5d 40pp`"),
        (EntryKind.CHANGED, "U6", "removed the rule `5d 40pp`"),
        (EntryKind.EDITED, "U7", "changed `1d 8pp for 0s` to `1d 9pp for 0s`"),
    ] == [(entry.kind, entry.by, text_of(entry)) for entry in await harness.deliver_all()]


async def test_a_change_is_posted_in_the_newest_alert_that_is_not_snoozed(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "drawdown 1% for 0s", "U1")
    harness.vendors.crypto_moves[BEGIN - timedelta(hours=1)] = 45_000.0
    await harness.tick(BEGIN, 0.10)
    first, second = await harness.open_alerts()

    await harness.commands.add_rule(CHANNEL, "5d 30pp", "U2")
    await harness.commands.snooze(CHANNEL, second.id, "U1", timedelta(hours=1))
    await harness.commands.add_rule(CHANNEL, "5d 40pp", "U2")
    await harness.commands.snooze(CHANNEL, first.id, "U1", timedelta(hours=1))
    await harness.commands.add_rule(CHANNEL, "5d 50pp", "U2")

    posted = {one.id: (await harness.store.alert_audit(CHANNEL, one.id)).entries for one in (first, second)}
    changes = {
        number: [(text_of(entry), entry.silent) for entry in entries if entry.kind is EntryKind.CHANGED]
        for number, entries in posted.items()
    }
    assert {
        first.id: [("added the rule `5d 40pp`", False)],
        second.id: [("added the rule `5d 30pp`", False), ("added the rule `5d 50pp`", True)],
    } == changes
