from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from handlers.render.alert import alert_message
from handlers.render.alert_text import clear_text
from handlers.render.alert_thread import thread_reply
from handlers.render.markup import plain
from handlers.render.message import Message
from services.alerting.alert import (
    ActorStamp,
    Alert,
    EntryKind,
    HitEnd,
    TimelineEntry,
    Widening,
    close,
    without_rule,
)
from services.core.identity import Person
from services.core.prices import Symbol
from services.core.reason import Code, Reason
from services.core.trust import Trust, Verdict
from services.market.measure import Correlation, Window
from services.market.metrics import HASHPRICE
from services.market.mining_economics import MiningEconomics
from services.research.attribution import AlertAttribution, Part
from services.research.follow_up import FollowUp
from services.research.track_record import TrackRecord
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from tests.fakes.alerts import (
    AT,
    CLEARED,
    RETRACTED,
    a_measurement,
    a_rule_hit,
    a_stamp,
    an_alert,
    an_alert_chart,
    an_entry,
)
from tests.fakes.blockkit import checked, shown
from tests.handlers.conftest import Golden

FIVE_DAYS = a_measurement(window=Window.D5, etf_return=0.12, crypto_return=-0.041, z=2.6, percentile=97.4)
BELOW = a_measurement(etf_return=-0.091, crypto_return=-0.006, z=-3.9, percentile=0.4)
FOLLOW_UP = FollowUp(alerts=44, alerts_closed=18, cases=36, closed=16, chance=0.318)
RECORD = TrackRecord(
    since=date(2024, 11, 13),
    sessions=504,
    episodes=22,
    median_length=1.5,
    follow_up=FOLLOW_UP,
    follow_up_since=date(2022, 2, 9),
)
MINING = MiningEconomics(
    source="mempool.space",
    difficulty=106e12,
    difficulty_before=100e12,
    hashprice=36.02,
    hashprice_before=44.01,
    difficulty_percentile=91.3,
    hashprice_percentile=2.4,
)
NETWORK_MEASUREMENT = replace(a_measurement(window=Window.D20, etf_return=-0.21, crypto_return=-0.132), mining=MINING)
ATTRIBUTION = AlertAttribution(
    window=Window.D1,
    session=date(2026, 11, 17),
    etf_return=0.031,
    crypto=Part(amount=-0.029, error=0.004),
    ai=Part(amount=0.016, error=0.002),
    residual=Part(amount=0.044, error=0.005),
    proxy=Symbol("SMH"),
    source="Yahoo",
)
CLOSE = datetime(2026, 11, 17, 21, 5, tzinfo=UTC)
CORRECTED_AT = datetime(2026, 11, 18, 14, 30, tzinfo=UTC)
ACKNOWLEDGED = ActorStamp(by="U2", at=AT + timedelta(minutes=3))
ANN, DANA = Person("U1", "ann"), Person("U2", "dana")
PAST_15 = Reason.of(Code.RULE_PAST_THRESHOLD, value=0.161, threshold=0.15, unit="pp", held_s=300.0, at_close=False)
CORRECTED = Reason.of(
    Code.RULE_CORRECTED,
    rule="1d 8pp at close",
    corrections=[Reason.of(Code.CORRECTION, session=None, old=0.097, new=0.083, threshold=0.08, unit="pp")],
    peak=None,
    unit="pp",
)
WIDER = a_measurement(etf_return=0.073)
WORSENED = Reason.of(Code.RULE_WORSENED, rule="1d 8pp", growth=0.042, peak=0.125, unit="pp")
REPEATED = Reason.of(Code.RULE_REPEATED, rule="1d 8pp", value=0.09, peak=0.124, unit="pp")
EDITED = Reason.of(Code.RULE_EDITED, before="1d 8pp", after="1d 10pp")


def test_a_firing_alert(golden: Golden) -> None:
    hits = [a_rule_hit(track_record=RECORD, attribution=ATTRIBUTION)]
    golden("alert_firing", alert_message(an_alert(id=12, hits=hits, chart=an_alert_chart()), AT))


def context_of(alert: Alert) -> str:
    """Everything that the first reply in the alert's thread says."""
    return shown(thread_reply(an_entry(), alert))


def test_the_first_reply_has_the_context_and_the_message_has_not(golden: Golden) -> None:
    hits = [a_rule_hit(track_record=RECORD, attribution=ATTRIBUTION)]
    alert = an_alert(id=12, hits=hits, chart=an_alert_chart())
    golden("thread_context", thread_reply(an_entry(), alert))
    kinds = {block["type"] for block in alert_message(alert, AT).blocks}
    assert {"header", "section", "context", "actions"} == kinds


def test_the_context_attributes_the_move_when_the_rule_fired() -> None:
    text = context_of(an_alert(id=12, hits=[a_rule_hit(attribution=ATTRIBUTION)]))
    assert "*What drove WGMI's +3.1%*\nFactor | Contribution pp | ± 1 SE\nBTC | −2.9 | 0.4\n" in text
    assert "AI (SMH) | +1.6 | 0.2\nResidual | +4.4 | 0.5\nWGMI | +3.1 | –" in text
    assert "Factor |" not in context_of(an_alert())


def test_the_context_repeats_what_its_chart_shows() -> None:
    text = context_of(an_alert(chart=an_alert_chart()))
    assert "*Last 20 sessions:* WGMI +12.8%, BTC −6.8%. Widest spread +19.6 pp, Nov 17." in text


def test_the_buttons_come_after_six_lines_at_most() -> None:
    message = alert_message(an_alert(id=12), AT)
    *above, buttons = message.blocks
    assert "actions" == buttons["type"]
    assert 6 >= sum(line.count("\n") + 1 for line in (shown_block(block) for block in above) if line)


def shown_block(block: dict[str, Any]) -> str:
    return shown(Message(blocks=[block], text="")).strip()


@pytest.mark.parametrize(
    ("rule", "side", "expected"),
    [
        ("1d 8pp", Side.ABOVE, "clears below 4.8 pp"),
        ("1d 8pp keep 10m", Side.BELOW, "clears above −4.8 pp for 10 min"),
        ("1d z3.5", Side.BELOW, "clears above z −2.1"),
        ("drawdown 60%", Side.ABOVE, "clears below 36%"),
        ("60d correlation 0.4 below", Side.BELOW, "clears above 0.5"),
    ],
)
def test_the_clear_level_is_on_the_side_that_fired(rule: str, side: Side, expected: str) -> None:
    assert expected == clear_text(parse_rule(rule), side).replace("\u00a0", " ")


def test_a_widened_alert_says_by_how_much_and_when(golden: Golden) -> None:
    hit = replace(a_rule_hit(measurement=WIDER), widened=Widening(by=0.042, at=AT))
    alert = an_alert(id=12, hits=[hit])
    golden("alert_widened", alert_message(alert, AT))
    assert ":chart_with_upwards_trend: Widened by *4.2 pp* at " in shown(alert_message(alert, AT))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            replace(RECORD, episodes=1, median_length=2),
            "2nd alert from `1d 8pp` in 2 years, about 1 a year.\n*What followed the earlier alert*\n"
            "1 alert in 2 years: 2 sessions to clear.\n5 sessions later, the gap was closed in 16 of 36 separate cases "
            "since Feb 9, 2022 (90% interval 32–58%; chance 32%). No clear difference from chance.",
            id="one before",
        ),
        pytest.param(
            replace(RECORD, sessions=120, episodes=0, median_length=None, follow_up=None),
            "First alert from `1d 8pp` in 120 sessions.",
            id="none before",
        ),
        pytest.param(
            RECORD,
            "23rd alert from `1d 8pp` in 2 years, about 12 a year.\n*What followed earlier alerts*\n"
            "22 alerts in 2 years: median 1.5 sessions to clear.\n",
            id="many before",
        ),
        pytest.param(replace(RECORD, open_side=Side.ABOVE), "23rd alert from `1d 8pp` in 2 years", id="its own"),
        pytest.param(
            replace(RECORD, open_side=Side.BELOW),
            "24th alert from `1d 8pp` in 2 years",
            id="one on the other side until now",
        ),
        pytest.param(
            replace(RECORD, episodes=0, median_length=None, open_side=Side.BELOW),
            "2nd alert from `1d 8pp` in 2 years",
            id="only one on the other side",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, cases=62, closed=22, chance=0.246)),
            "in 22 of 62 separate cases since Feb 9, 2022 (90% interval 26–46%; chance 25%).\n",
            id="more often than by chance",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, chance=None)),
            "in 16 of 36 separate cases since Feb 9, 2022 (90% interval 32–58%).\n",
            id="chance unknown",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, cases=9, closed=0)),
            "5 sessions later, the gap was closed in 0 of 9 separate cases since Feb 9, 2022.\n",
            id="too few cases for a share",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, cases=1, closed=1)),
            "in 1 of 1 separate case since Feb 9, 2022.\n",
            id="one case",
        ),
        pytest.param(
            replace(RECORD, follow_up_since=None),
            "in 16 of 36 separate cases (90% interval 32–58%; chance 32%).",
            id="of an earlier release",
        ),
    ],
)
def test_a_track_record_shows_what_is_known(record: TrackRecord, expected: str) -> None:
    assert expected in context_of(an_alert(hits=[a_rule_hit(track_record=record)]))


@pytest.mark.parametrize("rule", ["60d beta 0.5 below", "60d correlation 0.4 below"])
def test_an_alert_on_a_level_shows_the_correlation_and_r2_behind_it(rule: str) -> None:
    measurement = replace(a_measurement(window=Window.D60), latest_correlation=Correlation(value=0.358015, pairs=60))
    before = a_measurement(window=Window.D60)  # of an earlier release

    texts = [
        shown(alert_message(an_alert(hits=[a_rule_hit(rule=rule, measurement=one)]), AT))
        for one in (measurement, before)
    ]

    expected = "Correlation 0.36 (90% interval 0.16 to 0.53), R² 0.13"
    assert [True, False] == [expected in text.splitlines() for text in texts]
    assert "R²" not in texts[1]


def test_a_hashprice_alert_shows_mining_figures_and_no_spread(golden: Golden) -> None:
    hit = a_rule_hit(rule="20d hashprice 15% below", value=MINING.hashprice_change, measurement=NETWORK_MEASUREMENT)
    alert = replace(
        an_alert(id=12, side=Side.BELOW, hits=[hit]),
        subject=HASHPRICE.subject,
        trust=Trust(
            verdict=Verdict.DEGRADED,
            reasons=(Reason.of(Code.DIFFICULTY_FROM_ONE_SOURCE, source="mempool.space", at=AT),),
        ),
    )
    golden("alert_hashprice", alert_message(alert, AT))


def test_a_weekend_network_alert_shows_the_time_of_bitcoins_price() -> None:
    hit = a_rule_hit(rule="20d hashprice 15% below", value=MINING.hashprice_change, measurement=NETWORK_MEASUREMENT)
    alert = an_alert(side=Side.BELOW, hits=[hit])
    alert = replace(alert, etf=replace(alert.etf, at=AT - timedelta(hours=18)), crypto=replace(alert.crypto, at=AT))
    assert f"Data OK, BTC as of <!date^{AT.timestamp():.0f}^" in shown(alert_message(alert, AT + timedelta(minutes=2)))


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [
        pytest.param(91.3, True, id="known"),
        pytest.param(None, False, id="unknown"),
    ],
)
def test_a_difficulty_alert_shows_its_change_and_percentile(percentile: float | None, *, expected: bool) -> None:
    measurement = replace(NETWORK_MEASUREMENT, mining=replace(MINING, difficulty_percentile=percentile), live=False)
    hit = a_rule_hit(rule="20d difficulty 5% at close", value=MINING.difficulty_change, measurement=measurement)
    alert = an_alert(hits=[hit])
    text = shown(alert_message(alert, AT))
    closed = shown(alert_message(close(alert, AT, CLEARED), AT))
    assert text.startswith("Firing: difficulty +6.0% over 20 sessions (alert 0). Hashprice −18.2% to $36.02/PH/s/day. ")
    assert ("*91st percentile* of 252 sessions" in text) is expected
    assert closed.startswith("Resolved: difficulty +6.0%, peak 6.0% (alert 0). Was open for 5 min.")


def test_an_alert_joined_by_a_second_rule(golden: Golden) -> None:
    hits = [a_rule_hit(peak=0.091), a_rule_hit(rule_id=2, rule="5d 15pp", measurement=FIVE_DAYS)]
    golden(
        "alert_joined",
        alert_message(an_alert(id=12, hits=hits), AT),
    )


def test_an_alert_with_a_corrected_close(golden: Golden) -> None:
    hit = a_rule_hit(rule="1d 8pp at close", corrected_from=0.097, measurement=a_measurement(live=False))
    alert = an_alert(id=12, opened_at=CLOSE, as_of=CLOSE, hits=[hit])
    golden("alert_corrected", alert_message(alert, CORRECTED_AT))


def test_a_retracted_alert(golden: Golden) -> None:
    corrected = a_measurement(etf_return=0.019, live=False)
    hit = a_rule_hit(rule="1d 8pp at close", corrected_from=0.084, measurement=corrected)
    alert = an_alert(id=12, opened_at=CLOSE, as_of=CLOSE, hits=[replace(hit, retracted=True)])
    golden("alert_retracted", alert_message(close(alert, CORRECTED_AT, RETRACTED), CORRECTED_AT))


def test_a_recovering_alert(golden: Golden) -> None:
    calmer = a_measurement(etf_return=-0.012)
    hit = a_rule_hit(rule="1d 8pp keep 10m", peak=0.091, measurement=calmer)
    golden("alert_recovering", alert_message(an_alert(id=12, hits=[hit]), AT))


def test_an_alert_on_the_negative_side(golden: Golden) -> None:
    hits = [a_rule_hit(measurement=BELOW)]
    alert = an_alert(id=13, side=Side.BELOW, hits=hits)
    golden("alert_below", alert_message(alert, AT))


def test_an_acknowledged_alert(golden: Golden) -> None:
    message = alert_message(an_alert(id=12, acknowledged=ACKNOWLEDGED), AT)
    golden("alert_acknowledged", message)
    assert ["unacknowledge", "snooze", "details"] == [
        element["action_id"] for element in message.blocks[-1]["elements"]
    ]


def test_a_snoozed_alert(golden: Golden) -> None:
    snoozed = ActorStamp(by="U3", at=AT, until=AT + timedelta(hours=1))
    golden("alert_snoozed", alert_message(an_alert(id=12, acknowledged=ACKNOWLEDGED, snoozed=snoozed), AT))


def test_an_expired_snooze_is_not_shown() -> None:
    alert = an_alert(snoozed=ActorStamp(by="U3", at=AT, until=AT + timedelta(hours=1)))
    assert "Snoozed" not in alert_message(alert, AT + timedelta(hours=1)).text


def test_a_resolved_alert(golden: Golden) -> None:
    hits = [a_rule_hit(peak=0.091, measurement=a_measurement(etf_return=0.021, crypto_return=-0.02))]
    alert = an_alert(id=12, hits=hits, acknowledged=ACKNOWLEDGED, chart=an_alert_chart(hits[0].measurement))
    closed = close(
        without_rule(alert, 1, HitEnd.CLEARED),
        AT + timedelta(hours=2, minutes=5),
        CLEARED,
    )
    message = alert_message(closed, AT + timedelta(hours=3))
    golden("alert_resolved", message)
    (buttons,) = [block for block in message.blocks if block["type"] == "actions"]
    assert ["useful", "noise", "details"] == [element["action_id"] for element in buttons["elements"]]


def test_an_alert_that_a_person_resolved_names_them_and_does_not_say_that_it_cleared() -> None:
    ended = Reason.of(Code.ENDED_BY_HAND, note="earnings, see <@U2>")
    both = an_alert(hits=[a_rule_hit(), a_rule_hit(rule_id=2, rule="5d 15pp")])
    closed = close(without_rule(both, 2, HitEnd.CLEARED), AT, ended, "U7")
    entry = an_entry(kind=EntryKind.RESOLVED, by=Person("U7", "dana"), reason=ended)

    assert "\nResolved by <@U7>: earnings, see <@U2>\n" in shown(alert_message(closed, AT))
    assert (
        "*Resolved by @dana*: earnings, see <@U2>. WGMI 8.3 pp ahead of BTC, peak 8.3 pp. Was open for 5 min."
        in shown(thread_reply(entry, closed))
    )
    assert "leared" not in shown(alert_message(closed, AT))


def test_an_alert_on_simulated_prices(golden: Golden) -> None:
    message = alert_message(an_alert(id=12, simulated=True, chart=an_alert_chart()), AT)
    golden("alert_simulated", message)
    assert message.text.startswith("SIMULATED · ")


@pytest.mark.parametrize(
    ("rule", "value", "measurement_fields", "expected"),
    [
        pytest.param("1d 8pp", 0.083, {}, "WGMI 8.3 pp ahead of BTC over 1 session", id="spread"),
        pytest.param("1d 8pp", -0.083, {}, "WGMI 8.3 pp behind BTC over 1 session", id="spread below"),
        pytest.param("1d z3.5", -4.42, {}, "WGMI–BTC spread at z −4.4 over 1 session", id="z"),
        pytest.param("1d 2.2sigma", 2.41, {}, "WGMI–BTC spread at +2.4σ over 1 session", id="sigma"),
        pytest.param(
            "20d residual 10pp",
            0.114,
            {"window": Window.D20},
            "WGMI 11.4 pp ahead of its BTC beta over 20 sessions",
            id="residual",
        ),
        pytest.param(
            "20d residual 10pp",
            -0.114,
            {"window": Window.D20},
            "WGMI 11.4 pp behind its BTC beta over 20 sessions",
            id="residual below",
        ),
        pytest.param("gap 5%", 0.062, {}, "implied WGMI gap +6.2% for the next open", id="gap"),
        pytest.param("drawdown 60%", 0.604, {}, "BTC drawdown 60.4% from its high", id="drawdown"),
        pytest.param("1d btc 5%", -0.052, {}, "BTC −5.2% over 1 session", id="btc"),
        pytest.param("1d etf 5%", 0.052, {}, "WGMI +5.2% over 1 session", id="etf"),
        pytest.param(
            "60d beta 0.5 below", 0.42, {"window": Window.D60}, "WGMI beta to BTC 0.42 over 60 sessions", id="beta"
        ),
        pytest.param(
            "60d correlation 0.4 below",
            0.38,
            {"window": Window.D60},
            "WGMI–BTC correlation 0.38 over 60 sessions",
            id="correlation",
        ),
        pytest.param("ytd 30pp", 0.31, {"window": Window.YTD}, "WGMI 31.0 pp ahead of BTC in 2026", id="year to date"),
    ],
)
def test_the_title_says_what_the_rule_measured(
    rule: str, value: float, measurement_fields: dict[str, Any], expected: str
) -> None:
    hit = a_rule_hit(rule=rule, value=value, measurement=a_measurement(**measurement_fields))
    assert f"Firing: {expected}" == title_of(an_alert(hits=[hit]))


@pytest.mark.parametrize(
    ("rule", "side", "value", "expected"),
    [
        pytest.param("1d 8pp", Side.BELOW, -0.09, "WGMI 9.0 pp behind BTC, peak 9.0 pp", id="spread"),
        pytest.param("1d z3.5", Side.ABOVE, 3.6, "WGMI–BTC spread at z +3.6, peak z 3.6", id="z"),
        pytest.param(
            "20d residual 10pp", Side.ABOVE, 0.11, "WGMI 11.0 pp ahead of its BTC beta, peak 11.0 pp", id="residual"
        ),
        pytest.param("gap 5%", Side.BELOW, -0.06, "implied WGMI gap −6.0% for the next open, peak 6.0%", id="gap down"),
        pytest.param("drawdown 60%", Side.ABOVE, 0.61, "BTC drawdown 61.0% from its high, peak 61.0%", id="drawdown"),
    ],
)
def test_a_resolved_alert_names_its_subject_and_peak(rule: str, side: Side, value: float, expected: str) -> None:
    alert = an_alert(side=side, hits=[a_rule_hit(rule=rule, value=value)])
    closed = close(alert, alert.opened_at + timedelta(minutes=45), CLEARED)
    assert f"Resolved: {expected}" == title_of(closed)


def test_prices_from_different_times_each_show_their_time() -> None:
    older = AT - timedelta(hours=16)
    alert = an_alert(etf=a_stamp(at=older), crypto=a_stamp(symbol="BTC", source="Coinbase", price=94_050.0))
    text = plain(shown(alert_message(alert, AT)))
    assert "Data OK, WGMI as of Nov 16, 6:40 PM ET, BTC as of 10:40 AM ET" in text


def test_without_enough_history_there_is_no_percentile() -> None:
    alert = an_alert(hits=[a_rule_hit(measurement=a_measurement(z=None, percentile=None))])
    assert "percentile" not in shown(alert_message(alert, AT))


def test_a_rule_that_has_cleared_says_so() -> None:
    hits = [a_rule_hit(active=False), a_rule_hit(rule_id=2, rule="5d 15pp", measurement=FIVE_DAYS)]
    message = alert_message(an_alert(hits=hits), AT)
    assert "Rules `1d 8pp` cleared, `5d 15pp`" in shown(message)
    assert "over 5 sessions" in shown(message).splitlines()[0]


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        (
            "entry_joined",
            an_entry(kind=EntryKind.JOINED, reason=Reason.of(Code.OF_RULE, rule="5d 15pp", reason=PAST_15)),
        ),
        ("entry_left", an_entry(kind=EntryKind.LEFT, reason=CLEARED)),
        ("entry_corrected", an_entry(kind=EntryKind.CORRECTED, reason=CORRECTED)),
        ("entry_worsened", an_entry(kind=EntryKind.WORSENED, at=AT + timedelta(minutes=70), reason=WORSENED)),
        ("entry_repeated", an_entry(kind=EntryKind.REPEATED, at=AT + timedelta(hours=1), reason=REPEATED)),
        ("entry_edited", an_entry(kind=EntryKind.EDITED, by=ANN, reason=EDITED)),
        (
            "entry_changed",
            an_entry(
                kind=EntryKind.CHANGED, by=ANN, reason=Reason.of(Code.SETTING_CHANGED, setting="mention <!channel>")
            ),
        ),
        ("entry_paused", an_entry(kind=EntryKind.PAUSED, by=ANN, reason=Reason.of(Code.RULE_PAUSED, rule="1d 8pp"))),
        ("entry_retracted", an_entry(kind=EntryKind.RETRACTED, at=AT + timedelta(hours=17), reason=RETRACTED)),
        ("entry_acknowledged", an_entry(kind=EntryKind.ACKNOWLEDGED, by=DANA, reason=Reason.of(Code.SEEN))),
        (
            "entry_snoozed",
            an_entry(kind=EntryKind.SNOOZED, by=DANA, until=AT + timedelta(hours=1), reason=Reason.of(Code.SNOOZED)),
        ),
        ("entry_unsnoozed", an_entry(kind=EntryKind.UNSNOOZED, by=DANA, reason=Reason.of(Code.SNOOZED))),
        ("entry_unacknowledged", an_entry(kind=EntryKind.UNACKNOWLEDGED, by=DANA, reason=Reason.of(Code.UNSEEN))),
        ("entry_resolved", an_entry(kind=EntryKind.RESOLVED, at=AT + timedelta(hours=2, minutes=5), reason=CLEARED)),
        (
            "entry_rule_removed",
            an_entry(kind=EntryKind.RESOLVED, at=AT + timedelta(hours=26), by=ANN, reason=Reason.of(Code.RULE_GONE)),
        ),
    ],
)
def test_a_thread_reply_per_timeline_entry(golden: Golden, name: str, entry: TimelineEntry) -> None:
    calmer = a_rule_hit(peak=0.091, measurement=a_measurement(etf_return=0.021, crypto_return=-0.02))
    of_two = [replace(calmer, active=False), a_rule_hit(rule_id=2, rule="5d 15pp", measurement=FIVE_DAYS)]
    wider = [a_rule_hit(measurement=WIDER)]
    hits = {"entry_resolved": [calmer], "entry_left": of_two, "entry_paused": of_two, "entry_worsened": wider}
    golden(name, thread_reply(entry, an_alert(id=12, hits=hits.get(name))))


def test_a_line_in_the_thread_names_who_acted_without_notifying_them() -> None:
    entry = an_entry(kind=EntryKind.ACKNOWLEDGED, by=DANA, reason=Reason.of(Code.SEEN))
    nameless = replace(entry, by="U2", by_name="")  # of an earlier release
    assert [":eyes: Acknowledged by @dana.", ":eyes: Acknowledged by <@U2>."] == [
        thread_reply(one, an_alert()).text for one in (entry, nameless)
    ]


def test_a_thread_reply_on_simulated_prices_is_marked() -> None:
    assert thread_reply(an_entry(), an_alert(simulated=True)).text.startswith("SIMULATED · ")


def test_a_snooze_without_an_end_shows_no_end() -> None:
    reply = thread_reply(an_entry(kind=EntryKind.SNOOZED, by="U3"), an_alert()).text
    assert reply.startswith(":zzz: Snoozed by <@U3>. ")


def test_external_text_cannot_mention_anyone() -> None:
    alert = an_alert(reason="<!channel> & more", etf=a_stamp(source="ev<il>"))
    message = thread_reply(an_entry(reason="<!channel> & more"), alert)
    checked({"text": message.text, "blocks": message.blocks})
    assert "&lt;!channel&gt; &amp; more" in shown(message)
    assert "ev&lt;il&gt;" in shown(message)


def title_of(alert: Alert) -> str:
    message = alert_message(alert, AT)
    title: str = message.blocks[0]["text"]["text"]
    assert message.text.startswith(title)
    return title.replace("\u00a0", " ")


def test_an_alert_on_a_close_says_so_with_its_date() -> None:
    alert = an_alert(hits=[a_rule_hit(measurement=a_measurement(live=False))])

    assert "Firing: WGMI closed 8.3 pp ahead of BTC, Nov 17" == title_of(alert)


@pytest.mark.parametrize(
    ("window", "sessions", "expected"),
    [
        pytest.param(Window.YTD, 3, "*+1.5σ* for 3 sessions", id="year to date"),
        pytest.param(Window.D252, 252, "*+1.5σ* for 252 sessions", id="252 sessions"),
    ],
)
def test_an_alert_on_a_long_window_shows_sigma_and_no_percentile(window: Window, sessions: int, expected: str) -> None:
    measurement = replace(a_measurement(window=window, percentile=None), sigma=1.53, sessions=sessions)
    hit = a_rule_hit(rule=f"{window.value} 8pp", measurement=measurement)
    text = shown(alert_message(an_alert(hits=[hit]), AT))
    assert expected in text.splitlines()
    assert "percentile" not in text
