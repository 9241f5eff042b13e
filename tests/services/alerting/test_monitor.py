from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from services.alerting.alert import EntryKind, TimelineEntry
from services.alerting.enrichment import TrackRecordEnricher
from services.alerting.feedback import NoiseRate
from services.alerting.ports import StoredAlert
from services.alerting.rule_index import RuleIndex
from services.alerting.snooze import SnoozeUntil
from services.core.errors import ConflictError, DatabaseUnavailableError, NotFoundError
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Closes, Pair, Symbol
from services.core.reason import Code, Reason
from services.core.trust import Verdict
from services.market.feeds.equities import EquityFeed
from services.market.measure import Window
from services.market.metrics import DIVERGENCE, DRAWDOWN
from services.rules.chart_series import IndexedReturns
from services.rules.decide import Change, RuleStatus, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import removal
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, OTHER_CHANNEL, TODAY, YESTERDAY, Harness, open_harness
from tests.fakes.reasons import reason, reason_with

BEGIN = OPEN + timedelta(minutes=30)
MINUTE = timedelta(minutes=1)


def past_threshold(value: float, *, held_s: float = 0.0, threshold: float = 0.08, at_close: bool = False) -> Any:  # noqa: ANN401 -- stands for a Reason
    return reason(
        Code.RULE_PAST_THRESHOLD, at_close=at_close, held_s=held_s, threshold=threshold, unit="pp", value=value
    )


def cleared(value: float, *, clear: float = 0.048) -> Any:  # noqa: ANN401 -- as above
    return reason(Code.RULE_CLEARED, clear=clear, kept_s=0.0, unit="pp", value=value)


def of_rule(rule: str, why: object) -> Any:  # noqa: ANN401 -- as above
    return reason(Code.OF_RULE, reason=why, rule=rule)


async def timeline(harness: Harness) -> list[tuple[EntryKind, Reason | str]]:
    return [(entry.kind, entry.reason) for entry in await harness.deliver_all()]


async def test_a_held_breach_opens_one_alert_and_clearing_closes_it(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    await harness.ticks(BEGIN, [0.05, 0.09])
    assert [] == await harness.open_alerts()
    fired_at = await harness.ticks(BEGIN + 10 * MINUTE, [0.10])
    (alert,) = await harness.open_alerts(CHANNEL)
    resolved_at = await harness.ticks(BEGIN + 15 * MINUTE, [0.06, 0.047])
    (closed,) = await harness.commands.history(CHANNEL)

    assert (Side.ABOVE, fired_at, None) == (alert.side, alert.opened_at, alert.closed_at)
    assert past_threshold(0.1, held_s=300.0) == alert.reason
    assert pytest.approx(0.10) == alert.lead.measurement.spread
    assert [20.0 * 1.1, 50_000.0] == pytest.approx([alert.etf.price, alert.crypto.price])
    assert ("Yahoo", "Coinbase", False) == (alert.etf.source, alert.crypto.source, alert.simulated)
    assert [] == await harness.open_alerts()
    assert (resolved_at, alert.id) == (closed.closed_at, closed.id)
    assert pytest.approx(0.10) == closed.hits[0].peak
    assert [
        (EntryKind.FIRED, past_threshold(0.1, held_s=300.0)),
        (EntryKind.RESOLVED, of_rule("1d 8pp", cleared(0.047))),
    ] == await timeline(harness)


async def test_an_alert_keeps_the_track_record_of_its_rule(harness: Harness) -> None:
    harness.monitor.track_records = TrackRecordEnricher(harness.market.history)
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    await harness.ticks(BEGIN, [0.09, 0.10])
    (alert,) = await harness.open_alerts(CHANNEL)
    await harness.ticks(BEGIN + 10 * MINUTE, [0.12, 0.01])
    (closed,) = await harness.commands.history(CHANNEL)

    expected = (await harness.monitor.track_records.for_rules([parse_rule("1d 8pp")], BEGIN))[parse_rule("1d 8pp")]
    assert 504 == expected.sessions
    assert [expected, expected] == [alert.lead.track_record, closed.lead.track_record]


async def test_the_chart_ends_at_the_alerts_prices_and_causes_no_edit(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    fired_at = await harness.ticks(BEGIN, [0.09, 0.10])
    (fired,) = await harness.open_alerts(CHANNEL)

    await harness.ticks(fired_at + 5 * MINUTE, [0.094, 0.096])
    await harness.commands.acknowledge(CHANNEL, fired.id, "U1")
    (acknowledged,) = await harness.open_alerts(CHANNEL)
    renewed_at = await harness.ticks(fired_at + 15 * MINUTE, [0.095])
    (renewed,) = await harness.open_alerts(CHANNEL)

    assert fired.chart is not None
    assert renewed.chart is not None
    assert fired.chart == acknowledged.chart
    assert [fired_at, renewed_at] == [one.points[-1].at for one in (fired.chart, renewed.chart)]
    assert fired.chart.points[:-1] == renewed.chart.points[:-1]


async def test_a_breach_shorter_than_the_hold_opens_no_alert(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    await harness.ticks(BEGIN, [0.09, 0.05, 0.09, 0.05])

    assert ([], []) == (await harness.open_alerts(), await harness.commands.history(CHANNEL))


async def test_a_hold_does_not_count_an_outage_of_the_app(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.tick(BEGIN, 0.10)

    await harness.tick(BEGIN + timedelta(hours=1), 0.10)
    nothing = await harness.open_alerts()
    await harness.tick(BEGIN + timedelta(hours=1, minutes=5), 0.10)

    assert [] == nothing
    assert [past_threshold(0.1, held_s=300.0)] == [alert.reason for alert in await harness.open_alerts()]


async def test_a_breach_in_every_slow_tick_fires_on_older_and_newer_prices(harness: Harness) -> None:
    harness.monitor.every = 15 * MINUTE
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    for number, age in enumerate([0, 19, 0]):
        at = BEGIN + number * harness.monitor.every
        harness.vendors.etf_last = (22.0, at - age * MINUTE)
        await harness.tick(at)

    assert [past_threshold(0.1, held_s=1800.0)] == [alert.reason for alert in await harness.open_alerts()]


async def test_a_hold_does_not_count_an_outage_of_the_vendor(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.tick(BEGIN, 0.10)
    harness.vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})]
    await harness.tick(BEGIN + 2 * MINUTE, 0.10)

    await harness.tick(BEGIN + 6 * MINUTE, 0.10)

    assert [] == await harness.open_alerts()


async def test_rules_that_breach_together_share_an_alert_per_channel(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 12pp for 0s", "U1")
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp for 0s", "U2")

    await harness.ticks(BEGIN, [0.09, 0.13, 0.07, 0.01])

    (closed,) = await harness.commands.history(CHANNEL)
    (other,) = await harness.commands.history(OTHER_CHANNEL)
    assert (2, 1) == (len(closed.hits), len(other.hits))
    assert [
        (EntryKind.FIRED, past_threshold(0.09)),
        (EntryKind.FIRED, past_threshold(0.09)),
        (EntryKind.JOINED, of_rule("1d 12pp for 0s", past_threshold(0.13, threshold=0.12))),
        (EntryKind.LEFT, of_rule("1d 12pp for 0s", cleared(0.07, clear=0.072))),
        (EntryKind.WORSENED, reason(Code.RULE_WORSENED, growth=0.04, peak=0.13, rule="1d 8pp for 0s", unit="pp")),
        (EntryKind.RESOLVED, of_rule("1d 8pp for 0s", cleared(0.01))),
        (EntryKind.RESOLVED, of_rule("1d 8pp for 0s", cleared(0.01))),
    ] == sorted(await timeline(harness), key=lambda entry: list(EntryKind).index(entry[0]))


async def test_a_flip_resolves_one_alert_and_opens_the_other(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")

    await harness.ticks(BEGIN, [0.09, -0.09])

    (alert,) = await harness.open_alerts()
    assert Side.BELOW is alert.side
    assert [Side.BELOW, Side.ABOVE] == [one.side for one in await harness.commands.history(CHANNEL)]


async def test_an_open_alert_is_updated_at_new_peaks_and_every_15_minutes(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.ticks(BEGIN, [0.10, 0.14])
    (peaked,) = await harness.open_alerts()
    await harness.ticks(BEGIN + 10 * MINUTE, [0.12])
    (unchanged,) = await harness.open_alerts()
    await harness.ticks(BEGIN + 15 * MINUTE, [0.12, 0.12])
    (refreshed,) = await harness.open_alerts()

    assert pytest.approx(0.14) == peaked.hits[0].peak
    assert BEGIN + 5 * MINUTE == peaked.as_of
    assert peaked == unchanged
    assert [0.14, 0.12] == pytest.approx([refreshed.hits[0].peak, refreshed.hits[0].value])
    assert BEGIN + 20 * MINUTE == refreshed.as_of


async def test_at_the_close_no_hold_is_needed_and_nothing_changes_overnight(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 22.0
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 1h", "U1")

    await harness.tick(CLOSE + 20 * MINUTE)
    (alert,) = await harness.open_alerts()
    night = [await harness.tick(CLOSE + timedelta(hours=hour)) for hour in range(1, 12)]

    assert (CLOSE, past_threshold(0.09997, at_close=True)) == (alert.opened_at, alert.reason)
    assert [0] * 11 == night
    assert [alert] == await harness.open_alerts()


async def test_a_rule_at_close_is_decided_only_at_the_close(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    harness.vendors.etf_moves[TODAY] = 18.0

    await harness.ticks(BEGIN, [0.2, 0.2, 0.2])
    during = await harness.open_alerts()
    harness.vendors.etf_last = None  # the last trade is the close
    await harness.tick(CLOSE + 20 * MINUTE)

    assert [] == during
    assert [Side.BELOW] == [alert.side for alert in await harness.open_alerts()]


async def corrected_overnight(harness: Harness, close: float) -> None:
    """Correct today's close at the vendor; a tick sees it when the next session opens."""
    harness.vendors.etf_moves[TODAY] = close
    harness.vendors.etf_last = (20.2, OPEN + timedelta(days=1, minutes=1))
    await harness.tick(OPEN + timedelta(days=1, minutes=2))


async def test_a_corrected_close_corrects_the_message_and_its_thread(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 22.0
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 9pp at close", "U1")
    await harness.tick(CLOSE + 20 * MINUTE)
    await harness.deliver_all()
    harness.wake_ups.clear()

    await corrected_overnight(harness, 21.84)
    await harness.tick(OPEN + timedelta(days=1, minutes=3))
    (alert,) = await harness.open_alerts()

    corrected = tuple(
        reason(
            Code.RULE_CORRECTED,
            rule=rule,
            corrections=(reason_with(Code.CORRECTION, session=None, old=0.1, new=0.092, threshold=threshold),),
            peak=None,
            threshold=threshold,
            unit="pp",
        )
        for rule, threshold in (("1d 8pp at close", 0.08), ("1d 9pp at close", 0.09))
    )
    assert [(EntryKind.CORRECTED, reason(Code.EACH_OF, reasons=corrected))] == await timeline(harness)
    assert [0.092, 0.092, 0.10] == pytest.approx([alert.lead.value, alert.lead.peak, alert.lead.corrected_from])
    assert (21.84, CLOSE) == (alert.etf.price, alert.as_of)
    assert 1 == len(harness.wake_ups)


async def test_a_corrected_close_retracts_an_alert_that_would_not_have_opened(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 22.0
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + 20 * MINUTE)

    await corrected_overnight(harness, 20.1)

    (closed,) = await harness.commands.history(CHANNEL)
    assert closed.closed_at is not None
    assert 0.005 == pytest.approx(closed.hits[0].peak)
    assert closed.retracted
    assert [
        (EntryKind.FIRED, past_threshold(0.1, at_close=True)),
        (
            EntryKind.RETRACTED,
            reason(
                Code.RULE_RETRACTED,
                corrections=(reason(Code.CORRECTION, new=0.005, old=0.1, session=None, threshold=0.08, unit="pp"),),
                rule="1d 8pp at close",
                threshold=0.08,
                unit="pp",
            ),
        ),
    ] == await timeline(harness)


async def test_a_retracted_alert_counts_in_no_statistic(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 22.0
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + 20 * MINUTE)
    await harness.commands.vote(CHANNEL, 1, "U1", noise=True)
    await harness.commands.resolve(CHANNEL, 1, "U1", "")
    before = await statistics_of(harness, "1d 8pp at close")

    await corrected_overnight(harness, 20.1)

    (closed,) = await harness.commands.history(CHANNEL)
    assert closed.retracted
    assert ({1: NoiseRate(noise=1, judged=1)}, 1, 1) == before
    assert ({}, 0, 0) == await statistics_of(harness, "1d 8pp at close")


async def statistics_of(harness: Harness, rule: str) -> tuple[dict[int, NoiseRate], int, int]:
    """Return the noise shares, the firings that a chart marks, and the number of firings by the closes known now."""
    noise = dict((await harness.commands.rule_list(CHANNEL)).noise)
    curve = (await harness.commands.chart(CHANNEL, Window.D1, parse_rule(rule))).curve
    assert isinstance(curve, IndexedReturns)
    changes = [event.change for series in curve.series for event in series.events]
    return noise, changes.count(Change.FIRING), (await harness.commands.preview(rule)).firings


async def test_a_snoozed_alert_is_corrected_only_in_its_message(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 22.0
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + 20 * MINUTE)
    (alert,) = await harness.open_alerts()
    harness.clock.at = OPEN + timedelta(days=1, minutes=-10)
    await harness.commands.snooze(CHANNEL, alert.id, "U1", SnoozeUntil.HOUR)
    await harness.deliver_all()

    await corrected_overnight(harness, 21.84)

    (alert,) = await harness.open_alerts()
    assert [] == await harness.deliver_all()
    assert 0.092 == pytest.approx(alert.lead.value)


async def test_the_close_replaces_the_last_live_price(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(CLOSE - 5 * MINUTE, 0.10)
    harness.vendors.etf_moves[TODAY] = 21.9

    await harness.tick(CLOSE + 20 * MINUTE)

    (alert,) = await harness.open_alerts()
    assert (CLOSE, 21.9, False) == (alert.as_of, alert.etf.price, alert.lead.measurement.live)
    assert [(EntryKind.FIRED, past_threshold(0.1))] == await timeline(harness)


async def test_stale_prices_neither_fire_nor_resolve_and_lead_to_no_data(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    harness.vendors.faults["yahoo"] = [httpx.Response(429)]

    await harness.tick(BEGIN + 25 * MINUTE)
    (channel_rule,) = await harness.commands.rules(CHANNEL)
    later = BEGIN + 56 * MINUTE

    assert (RuleStatus.FIRING, RuleStatus.NODATA) == (
        channel_rule.state.status(harness.clock.at),
        channel_rule.state.status(later),
    )
    assert 1 == len(await harness.open_alerts())
    await harness.tick(later, 0.10)
    (again,) = await harness.commands.rules(CHANNEL)
    assert RuleStatus.FIRING is again.state.status(later)


async def test_without_any_prices_every_rule_goes_to_error() -> None:
    async with open_harness(warm=False) as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(404)] * 5
        await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

        changed = [await harness.tick(BEGIN + minute * MINUTE) for minute in (0, 1, 31)]
        (channel_rule,) = await harness.commands.rules(CHANNEL)

    assert [1, 0, 0] == changed
    assert RuleStatus.ERROR is channel_rule.state.status(BEGIN + 31 * MINUTE)


async def test_removing_the_last_rule_of_an_alert_closes_it(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 9pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)

    await harness.commands.remove_rule(CHANNEL, added.channel_rule.id, "U7")
    (alert,) = await harness.open_alerts()
    (kept,) = await harness.commands.rules(CHANNEL)
    await harness.commands.remove_rule(CHANNEL, kept.id, "U7")

    assert [False, True] == [hit.active for hit in alert.hits]
    assert [] == await harness.open_alerts()
    assert [EntryKind.FIRED, EntryKind.LEFT, EntryKind.RESOLVED] == [kind for kind, _ in await timeline(harness)]


async def test_a_rule_removed_by_another_process_leaves_at_the_next_tick(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "5d 90pp", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.store.record([], [], BEGIN, rules=[removal(await harness.store.rule(CHANNEL, added.channel_rule.id))])

    await harness.tick(BEGIN + 5 * MINUTE, 0.10)

    (closed,) = await harness.commands.history(CHANNEL)
    assert (reason(Code.RULE_GONE), []) == (closed.reason, await harness.open_alerts())


@pytest.mark.parametrize(
    ("rule", "every_s", "seconds", "expected"),
    [
        pytest.param("1d 8pp for 0s", 60, (0, 20, 59), [1, 0, 0], id="every minute"),
        pytest.param("1d 8pp for 15s", 15, (0, 5, 30), [1, 0, 1], id="more often"),
    ],
)
async def test_a_tick_is_done_once_per_boundary(
    harness: Harness, rule: str, every_s: int, seconds: tuple[int, ...], expected: list[int]
) -> None:
    harness.monitor.every = timedelta(seconds=every_s)
    await harness.commands.add_rule(CHANNEL, rule, "U1")

    assert expected == [await harness.tick(BEGIN + timedelta(seconds=second), 0.10) for second in seconds]


async def test_delivery_is_woken_only_if_an_alert_changes(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    harness.wake_ups.clear()  # of the line in the channel about the new rule

    await harness.ticks(BEGIN, [0.01, 0.02, 0.10])

    assert [BEGIN + 10 * MINUTE] == harness.wake_ups


async def test_acknowledging_and_snoozing_change_the_alert_once(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    (alert,) = await harness.open_alerts()

    first = await harness.commands.acknowledge(CHANNEL, alert.id, "U1")
    second = await harness.commands.acknowledge(CHANNEL, alert.id, "U2")
    snoozed = await harness.commands.snooze(CHANNEL, alert.id, "U2", SnoozeUntil.HOUR)

    assert (True, False, True) == (first.changed, second.changed, snoozed.changed)
    assert second.alert.acknowledged is not None
    assert "U1" == second.alert.acknowledged.by
    assert snoozed.alert.is_snoozed(BEGIN + 59 * MINUTE)
    with pytest.raises(NotFoundError):
        await harness.commands.acknowledge(OTHER_CHANNEL, alert.id, "U3")


async def test_a_snoozed_alert_posts_only_its_resolution(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 12pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    (alert,) = await harness.open_alerts()
    await harness.commands.snooze(CHANNEL, alert.id, "U1", SnoozeUntil.HOUR)

    await harness.ticks(BEGIN + 5 * MINUTE, [0.13, 0.07, 0.01])

    assert [EntryKind.FIRED, EntryKind.SNOOZED, EntryKind.RESOLVED] == [kind for kind, _ in await timeline(harness)]


async def test_a_closed_alert_cannot_be_acknowledged(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.ticks(BEGIN, [0.10, 0.01])
    (closed,) = await harness.commands.history(CHANNEL)

    acknowledged = await harness.commands.acknowledge(CHANNEL, closed.id, "U1")
    snoozed = await harness.commands.snooze(CHANNEL, closed.id, "U1", SnoozeUntil.HOUR)

    assert (False, False) == (acknowledged.changed, snoozed.changed)


async def test_an_open_alert_survives_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/floor.db"
    async with open_harness(url) as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
        await harness.ticks(BEGIN, [0.10, 0.10])
        (alert,) = await harness.open_alerts()

    async with open_harness(url, harness.clock) as harness:
        await harness.ticks(BEGIN + 10 * MINUTE, [0.06, 0.01])
        (closed,) = await harness.commands.history(CHANNEL)

    assert (alert.id, alert.opened_at) == (closed.id, closed.opened_at)
    assert BEGIN + 15 * MINUTE == closed.closed_at


async def test_a_hold_survives_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/floor.db"
    async with open_harness(url) as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
        await harness.tick(BEGIN, 0.10)

    async with open_harness(url, harness.clock) as harness:
        await harness.tick(BEGIN + 5 * MINUTE, 0.10)

        assert 1 == len(await harness.open_alerts())


async def test_rules_on_another_pair_are_watched(harness: Harness) -> None:
    harness.vendors.etf_moves[YESTERDAY] = 20.0
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s on MARA/BTC", "U1")

    await harness.tick(BEGIN, 0.10)

    assert ["MARA/BTC"] == [str(alert.pair) for alert in await harness.open_alerts()]


async def test_a_pair_that_fails_does_not_affect_another(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s on MARA/BTC", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    broken: Any = object()
    harness.market.history._equity_feeds[0]._known[Symbol("MARA")] = broken  # noqa: SLF001 -- what a bug of ours leaves behind

    with pytest.raises(AttributeError):
        await harness.tick(BEGIN, 0.10)

    assert ["WGMI/BTC"] == [str(alert.pair) for alert in await harness.open_alerts()]


async def test_a_drawdown_alert_does_not_absorb_a_divergence(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "drawdown 1% for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    harness.vendors.crypto_moves[BEGIN] = 49_000.0

    await harness.tick(BEGIN, 0.03)
    await harness.tick(BEGIN + 5 * MINUTE, 0.10)

    assert [DRAWDOWN.subject, DIVERGENCE] == [alert.subject for alert in await harness.open_alerts()]


async def test_an_alert_opens_and_closes_at_the_time_of_its_prices(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 22.0
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.tick(CLOSE + 20 * MINUTE)

    next_close = CLOSE + timedelta(days=1)
    harness.vendors.etf_moves[next_close.date()] = 22.0
    await harness.tick(next_close + 20 * MINUTE)

    (closed,) = await harness.commands.history(CHANNEL)
    assert (CLOSE, next_close) == (closed.opened_at, closed.closed_at)


async def test_a_joining_rule_updates_the_prices_and_the_resolution_shows_the_last_ones(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 12pp for 0s", "U1")
    await harness.ticks(BEGIN, [0.10, 0.13])
    (joined,) = await harness.open_alerts()
    await harness.ticks(BEGIN + 10 * MINUTE, [0.01])
    (closed,) = await harness.commands.history(CHANNEL)

    assert BEGIN + 5 * MINUTE == joined.as_of
    assert 22.6 == pytest.approx(joined.etf.price)
    assert [0.01, 0.01] == pytest.approx([hit.value for hit in closed.hits])
    assert BEGIN + 10 * MINUTE == closed.as_of


async def test_a_cleared_rule_is_no_longer_updated(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 12pp for 0s", "U1")
    refreshed_at = await harness.ticks(BEGIN, [0.13, 0.07, 0.11, 0.11, 0.11])

    (alert,) = await harness.open_alerts()

    assert refreshed_at == alert.as_of
    assert [("1d 8pp for 0s", True, 0.11), ("1d 12pp for 0s", False, 0.07)] == [
        (hit.rule, hit.active, round(hit.value, 6)) for hit in alert.hits
    ]


async def test_a_joining_rule_at_close_does_not_bring_older_prices(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    harness.vendors.etf_moves[YESTERDAY] = 20.0
    await harness.commands.add_rule(CHANNEL, "5d 0.1pp at close", "U1")

    await harness.tick(BEGIN + 5 * MINUTE, 0.10)

    (alert,) = [one for one in await harness.open_alerts() if one.side is Side.ABOVE]
    assert BEGIN <= alert.as_of


async def test_an_alert_handed_from_one_rule_to_another_stays_open(harness: Harness) -> None:
    """At the close the live rule clears while the rule at close fires, on the same side."""
    harness.vendors.etf_moves[TODAY] = 20.6
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.commands.add_rule(CHANNEL, "1d 2pp at close", "U1")
    harness.vendors.etf_last = None  # the last trade is the close

    await harness.tick(CLOSE + 20 * MINUTE)

    assert 1 == len(await harness.commands.history(CHANNEL))
    (alert,) = await harness.open_alerts()
    assert "1d 2pp at close" == alert.lead.rule


async def test_alerts_on_two_pairs_each_have_their_own_prices(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s on MARA/BTC", "U1")
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")

    await harness.ticks(BEGIN, [0.10, 0.14])

    assert {"MARA/BTC": "MARA", "WGMI/BTC": "WGMI"} == {
        str(alert.pair): alert.etf.symbol for alert in await harness.open_alerts()
    }
    assert [True, True] == [alert.hits[0].active for alert in await harness.open_alerts()]


async def test_the_default_pair_is_measured_without_any_rule(harness: Harness) -> None:
    await harness.tick(BEGIN, 0.01)

    assert ["/v8/finance/chart/WGMI"] == [request.url.path for request in harness.vendors.calls("chart")]


class InterferingStore(SqlStore):
    """A store in which something else happens between what a tick reads of the alerts and what it saves."""

    interfere: Callable[[], Awaitable[object]]

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        read = await super().open_alerts(channel, pair=pair)
        await self.interfere()
        return read


def interfering_store(harness: Harness, interfere: Callable[[], Awaitable[object]]) -> InterferingStore:
    store = InterferingStore(harness.store._database)  # noqa: SLF001
    store.interfere = interfere
    return store


async def test_a_conflict_in_one_channel_does_not_lose_another_channels_alert(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 12pp for 0s", "U2")
    (alert,) = await harness.open_alerts()
    harness.monitor.store = interfering_store(harness, lambda: harness.commands.acknowledge(CHANNEL, alert.id, "U1"))

    changed = await harness.tick(BEGIN + MINUTE, 0.13)

    here, there = await harness.open_alerts()
    assert (1, OTHER_CHANNEL) == (changed, there.channel)
    assert here.acknowledged is not None
    assert 0.13 == pytest.approx(here.lead.peak)


async def test_a_rule_removed_while_it_fires_opens_no_alert(harness: Harness) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp for 0s", "U2")

    class RemovingStore(SqlStore):
        async def record(self, states: Any, alerts: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401 -- forwarded
            if await harness.commands.rules(CHANNEL):
                await harness.commands.remove_rule(CHANNEL, added.channel_rule.id, "U1")
            await super().record(states, alerts, *args, **options)

    harness.monitor.store = RemovingStore(harness.store._database)  # noqa: SLF001
    await harness.tick(BEGIN, 0.10)

    assert [OTHER_CHANNEL] == [alert.channel for alert in await harness.open_alerts()]


async def test_a_tick_with_repeated_conflicts_fails_and_can_be_retried(
    harness: Harness,
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    (alert,) = await harness.open_alerts()
    harness.monitor.store = interfering_store(
        harness, lambda: harness.commands.snooze(CHANNEL, alert.id, "U1", SnoozeUntil.HOUR)
    )

    with pytest.raises(ConflictError):
        await harness.tick(BEGIN + MINUTE, 0.14)
    harness.monitor.store = harness.store
    await harness.tick(BEGIN + MINUTE + timedelta(seconds=10), 0.14)

    (peaked,) = await harness.open_alerts()
    assert 0.14 == pytest.approx(peaked.lead.peak)


@pytest.mark.parametrize(
    "every",
    [pytest.param(5 * MINUTE, id="taken over"), pytest.param(MINUTE, id="the next tick has started")],
)
async def test_a_frozen_tick_changes_nothing_after_a_takeover(
    harness: Harness, caplog: pytest.LogCaptureFixture, every: timedelta
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    harness.monitor.every = every
    other = replace(harness.monitor, rule_index=RuleIndex(harness.store))

    async def freeze() -> None:
        frozen.interfere = harness.store.open_alerts  # only once
        harness.clock.at = BEGIN + MINUTE
        harness.vendors.etf_last = (20.0 * 1.02, harness.clock.at)
        assert 0 == await other.tick(harness.clock.at)

    harness.monitor.store = frozen = interfering_store(harness, freeze)
    late = await harness.tick(BEGIN, 0.10)

    assert (None, []) == (late, await harness.open_alerts())
    assert "came too late. Another process has taken over." in caplog.text


class FailingStore(SqlStore):
    """A store that cannot save."""

    async def record(self, *_args: object, **_options: object) -> None:
        raise DatabaseUnavailableError("The disk is full.")


async def test_a_tick_that_could_not_be_saved_can_be_retried(harness: Harness) -> None:
    harness.monitor.every = 15 * MINUTE
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    harness.monitor.store = FailingStore(harness.store._database)  # noqa: SLF001

    with pytest.raises(DatabaseUnavailableError):
        await harness.tick(BEGIN, 0.10)
    harness.monitor.store = harness.store
    again = await harness.tick(BEGIN + timedelta(seconds=30), 0.10)

    assert (1, 1) == (again, len(await harness.open_alerts()))


async def test_the_tick_of_a_dead_process_is_taken_over_after_a_minute(harness: Harness) -> None:
    harness.monitor.every = 15 * MINUTE
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.store.claim_tick(WGMI_BTC, BEGIN, BEGIN)

    done = [await harness.tick(BEGIN + timedelta(seconds=second), 0.10) for second in (0, 59, 60, 75)]

    assert [None, None, 1, 0] == done


async def test_the_errors_of_all_failed_pairs_are_raised(harness: Harness) -> None:
    broken: Any = object()
    for etf in ("MARA", "RIOT"):
        await harness.commands.add_rule(CHANNEL, f"1d 8pp for 0s on {etf}/BTC", "U1")
        harness.market.history._equity_feeds[0]._known[Symbol(etf)] = broken  # noqa: SLF001 -- what a bug of ours leaves behind

    with pytest.raises(ExceptionGroup, match="several pairs failed") as failed:
        await harness.tick(BEGIN, 0.10)

    assert [AttributeError, AttributeError] == [type(error) for error in failed.value.exceptions]


async def test_an_unreadable_rule_affects_no_other_and_keeps_its_alert_until_removed(
    harness: Harness,
) -> None:
    unreadable = await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.commands.add_rule(CHANNEL, "1d 9pp for 0s", "U1")
    async with harness.store._database.write() as tx:  # noqa: SLF001 -- as another version, or a bad disk, may write
        await tx.exec_driver_sql("UPDATE rules SET rule = '1d 8 furlongs' WHERE id = 1")
    harness.monitor.rule_index = RuleIndex(harness.store)

    await harness.tick(BEGIN + MINUTE, 0.10)
    opened = [alert.channel for alert in await harness.open_alerts()]
    listed = await harness.commands.rules(OTHER_CHANNEL)
    removed = await harness.commands.remove_rule(OTHER_CHANNEL, unreadable.channel_rule.id, "U7")
    (closed,) = await harness.commands.history(OTHER_CHANNEL)

    assert ([OTHER_CHANNEL, CHANNEL], []) == (opened, listed)
    assert (1, "1d 8 furlongs") == (removed.id, removed.rule)
    assert reason(Code.RULE_GONE) == closed.reason
    assert [CHANNEL] == [alert.channel for alert in await harness.open_alerts()]


@pytest.mark.parametrize("prices", [pytest.param(True, id="with prices"), pytest.param(False, id="without prices")])
async def test_an_alert_without_rules_is_closed_by_the_next_tick(harness: Harness, *, prices: bool) -> None:
    added = await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s on MARA/BTC", "U1")
    await harness.tick(BEGIN, 0.10)
    await harness.store.record([], [], BEGIN, rules=[removal(await harness.store.rule(CHANNEL, added.channel_rule.id))])
    if not prices:
        no_closes = Closes(
            symbol=Symbol("MARA"), sessions=np.array([], "datetime64[D]"), prices=np.array([]), source=""
        )
        harness.market.history._equity_feeds[0]._known[Symbol("MARA")] = EquityFeed(closes=no_closes)  # noqa: SLF001
        harness.vendors.faults["yahoo"] = [httpx.Response(404)] * 9

    await harness.tick(BEGIN + MINUTE)

    (closed,) = await harness.commands.history(CHANNEL)
    assert (reason(Code.RULE_GONE), []) == (closed.reason, await harness.open_alerts())


async def test_a_pending_breach_does_not_wake_delivery(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    harness.wake_ups.clear()  # of the line in the channel about the new rule

    changed = await harness.tick(BEGIN, 0.10)

    assert (1, []) == (changed, harness.wake_ups)


async def test_a_simulated_leg_makes_the_alert_simulated(harness: Harness) -> None:
    harness.market.history.cryptos[0].simulated = True
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")

    await harness.tick(BEGIN, 0.10)

    assert [True] == [alert.simulated for alert in await harness.open_alerts()]


async def test_an_alert_whose_prices_become_simulated_stays_marked_as_simulated(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.10)
    simulated = []

    for minute, is_simulated in ((5, True), (25, False)):
        harness.market.history.cryptos[0].simulated = is_simulated
        await harness.tick(BEGIN + minute * MINUTE, 0.10)
        simulated += [alert.simulated for alert in await harness.open_alerts()]

    assert [True, True] == simulated


async def test_the_firing_reason_is_the_first_entry_and_the_first_reply(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")

    await harness.tick(BEGIN, 0.10)

    fired = TimelineEntry(kind=EntryKind.FIRED, at=BEGIN, reason=past_threshold(0.1))
    audit = await harness.store.alert_audit(CHANNEL, 1)
    assert (fired,) == audit.entries
    assert [fired] == await harness.deliver_all()


async def test_a_jump_from_one_source_fires_nothing_until_a_second_source_agrees() -> None:
    async with open_harness(two_sources=True) as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
        await harness.ticks(BEGIN, [0.6, 0.6, 0.6])
        quiet = await harness.open_alerts()
        (channel_rule,) = await harness.store.rules(CHANNEL)
        harness.vendors.etf_moves[TODAY] = 32.0
        harness.vendors.etf_last = None
        await harness.tick(CLOSE + 20 * MINUTE)
        alone = await harness.open_alerts()
        await harness.tick(CLOSE + timedelta(hours=2))  # Nasdaq's closes are taken from 17:00 on
        (alert,) = await harness.open_alerts()

    assert ([], []) == (quiet, alone)
    assert channel_rule.state.nodata_since is not None
    assert "1d 8pp for 0s" == alert.lead.rule
    assert (Verdict.OK, "Yahoo and Nasdaq") == (alert.trust.verdict, alert.etf.source)


async def test_an_alert_on_a_single_source_is_degraded() -> None:
    async with open_harness(two_sources=True) as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
        await harness.tick(BEGIN, 0.09)
        (alert,) = await harness.open_alerts()

    assert (Verdict.DEGRADED, (reason(Code.TRADE_FROM_ONE_SOURCE, source="Yahoo", symbol="WGMI"),)) == (
        alert.trust.verdict,
        alert.trust.reasons,
    )
    assert "Coinbase and Bitstamp" == alert.crypto.source


async def test_disagreeing_bitcoin_sources_neither_fire_nor_resolve() -> None:
    async with open_harness(two_sources=True) as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
        await harness.tick(BEGIN, 0.09)
        harness.vendors.price_factors["bitstamp"] = 1.2
        await harness.tick(BEGIN + 5 * MINUTE, 0.01)
        (kept,) = await harness.open_alerts()
        harness.vendors.price_factors.clear()
        await harness.tick(BEGIN + 10 * MINUTE, 0.01)

        assert kept.closed_at is None
        assert [] == await harness.open_alerts()


async def test_disagreeing_bitcoin_sources_open_no_overnight_gap_alert() -> None:
    async with open_harness(two_sources=True, warm=False) as harness:
        harness.vendors.openings_known = False  # so that no bitcoin move implies no gap
        await harness.commands.add_rule(CHANNEL, "gap 0.5% for 0s", "U1")
        await harness.tick(CLOSE + timedelta(hours=3))
        harness.vendors.price_factors["coinbase"] = 1.2
        await harness.tick(CLOSE + timedelta(hours=4))
        disputed, (channel_rule,) = await harness.open_alerts(), await harness.store.rules(CHANNEL)
        harness.vendors.price_factors["bitstamp"] = 1.2
        await harness.tick(CLOSE + timedelta(hours=5))

        assert ([], CLOSE + timedelta(hours=4)) == (disputed, channel_rule.state.nodata_since)
        assert ["gap 0.5% for 0s"] == [alert.lead.rule for alert in await harness.open_alerts()]


async def test_a_gap_alert_has_the_trust_of_bitcoins_last_price() -> None:
    async with open_harness(two_sources=True) as harness:
        await harness.commands.add_rule(CHANNEL, "gap 0.08% for 0s", "U1")
        await harness.tick(CLOSE + timedelta(hours=3))
        harness.vendors.crypto_moves[CLOSE + timedelta(hours=3, minutes=30)] = 52_000.0
        harness.vendors.faults["bitstamp"] = [httpx.Response(404)] * 9
        harness.clock.advance(2 * MINUTE)
        await harness.tick(CLOSE + timedelta(hours=4))
        (alert,) = await harness.open_alerts()

    assert Verdict.DEGRADED is alert.trust.verdict
    assert reason(Code.TRADE_FROM_ONE_SOURCE, source="Coinbase", symbol="BTC") in alert.trust.reasons
