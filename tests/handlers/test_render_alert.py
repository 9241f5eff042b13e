from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from handlers.render.alert import alert_message
from handlers.render.alert_text import thread_reply
from services.alerting.alert import ActorStamp, Alert, EntryKind, HitEnd, TimelineEntry, close, without_rule
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
from tests.fakes.alerts import AT, a_measurement, a_rule_hit, a_stamp, an_alert, an_alert_chart, an_entry
from tests.fakes.blockkit import checked
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
ACKNOWLEDGED = ActorStamp(by="U2", at=AT + timedelta(minutes=3))


def test_a_firing_alert(golden: Golden) -> None:
    hits = [a_rule_hit(track_record=RECORD, attribution=ATTRIBUTION)]
    golden("alert_firing", alert_message(an_alert(id=12, hits=hits, chart=an_alert_chart()), AT))


def test_the_attribution_is_shown_only_while_the_alert_is_open() -> None:
    alert = an_alert(hits=[a_rule_hit(attribution=ATTRIBUTION)])
    closed = close(alert, AT, "cleared")
    expected_line = (
        "Of WGMI's +3.1% over 1 day when it fired: bitcoin −2.9 pp ± 0.4, AI +1.6 pp ± 0.2 by SMH from Yahoo, "
        "the rest +4.4 pp ± 0.5."
    )
    assert expected_line in alert_message(alert, AT).text
    assert expected_line not in alert_message(closed, AT).text


def test_the_chart_comes_after_the_buttons_with_a_text_summary() -> None:
    message = alert_message(an_alert(chart=an_alert_chart()), AT)

    assert ["actions", "context", "data_visualization"] == [block["type"] for block in message.blocks[-3:]]
    expected_line = "Over 20 days: WGMI +12.8%, bitcoin −6.8%; furthest apart +19.6 pp, Tue 17 Nov."
    assert (expected_line, message.blocks[-2]["elements"][0]["text"]) == (message.text.splitlines()[-1], expected_line)


def test_a_chart_ends_at_the_alerts_prices_at_any_render_time() -> None:
    alert = an_alert(chart=an_alert_chart())
    charts = [alert_message(alert, at).blocks[-1] for at in (AT, AT + timedelta(hours=3))]
    assert "17 Nov 26 10:40" == charts[0]["chart"]["axis_config"]["categories"][-1]
    assert charts[0] == charts[1]


def test_an_alert_with_the_track_record_of_its_rule(golden: Golden) -> None:
    golden("alert_record", alert_message(an_alert(id=12, hits=[a_rule_hit(track_record=RECORD)]), AT))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            replace(RECORD, episodes=1, median_length=2),
            "The 2nd episode of `1d 8pp` in 2 years, decided at closes.\nThe one before lasted 2 sessions.\n5 sessions "
            "later the gap had closed in 16 of 36 earlier cases since 9 Feb 2022 (44%; 32–58%). Chance alone: 32%. No "
            "clear difference.",
            id="one before",
        ),
        pytest.param(
            replace(RECORD, sessions=120, episodes=0, median_length=None, follow_up=None),
            "The first episode of `1d 8pp` in 120 sessions, decided at closes.",
            id="none before",
        ),
        pytest.param(
            replace(RECORD, was_open=True),
            "The 23rd episode of `1d 8pp` in 2 years, besides one that was open when they began, decided at closes.\n"
            "The 22 before had a median length of 1.5 sessions.\n",
            id="one was open at the start",
        ),
        pytest.param(
            replace(RECORD, open_side=Side.ABOVE),
            "The 23rd episode of `1d 8pp` in 2 years, decided at closes.",
            id="its own",
        ),
        pytest.param(
            replace(RECORD, open_side=Side.BELOW),
            "The 24th episode of `1d 8pp` in 2 years, decided at closes.\n"
            "The 22 before that had ended had a median length of 1.5 sessions.",
            id="one on the other side lasted until now",
        ),
        pytest.param(
            replace(RECORD, episodes=0, median_length=None, open_side=Side.BELOW),
            "The 2nd episode of `1d 8pp` in 2 years, decided at closes.\n",
            id="only one on the other side",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, cases=62, closed=22, chance=0.246)),
            "in 22 of 62 earlier cases since 9 Feb 2022 (35%; 26–46%). Chance alone: 25%.\n",
            id="more often than by chance",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, chance=None)),
            "in 16 of 36 earlier cases since 9 Feb 2022 (44%; 32–58%).\n",
            id="chance unknown",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, cases=9, closed=0)),
            "5 sessions later the gap had closed in 0 of 9 earlier cases since 9 Feb 2022.\n",
            id="too few cases for a share",
        ),
        pytest.param(
            replace(RECORD, follow_up=replace(FOLLOW_UP, cases=1, closed=1)),
            "5 sessions later the gap had closed in 1 of 1 earlier case since 9 Feb 2022.\n",
            id="one case",
        ),
        pytest.param(
            replace(RECORD, follow_up_since=None),
            "in 16 of 36 earlier cases (44%; 32–58%). Chance alone: 32%.",
            id="of an earlier release",
        ),
    ],
)
def test_a_track_record_shows_what_is_known(record: TrackRecord, expected: str) -> None:
    assert expected in alert_message(an_alert(hits=[a_rule_hit(track_record=record)]), AT).text


@pytest.mark.parametrize("rule", ["60d beta 0.5 below", "60d correlation 0.4 below"])
def test_an_alert_on_a_level_shows_the_correlation_and_r2_behind_it(rule: str) -> None:
    measurement = replace(a_measurement(window=Window.D60), latest_correlation=Correlation(value=0.358015, pairs=60))
    before = a_measurement(window=Window.D60)  # of an earlier release

    texts = [
        alert_message(an_alert(hits=[a_rule_hit(rule=rule, measurement=one)]), AT).text for one in (measurement, before)
    ]

    expected = "WGMI and bitcoin over 60 sessions: correlation 0.36 (90% interval 0.16 to 0.53), R² 0.13."
    assert [True, False] == [expected in text.splitlines() for text in texts]
    assert "R²" not in texts[1]


def test_a_resolved_alert_has_no_track_record() -> None:
    closed = close(an_alert(hits=[a_rule_hit(track_record=RECORD)]), AT, "back inside")
    assert "episode of" not in alert_message(closed, AT).text


def test_a_hashprice_alert_shows_mining_figures_and_no_spread(golden: Golden) -> None:
    hit = a_rule_hit(rule="20d hashprice 15% below", value=MINING.hashprice_change, measurement=NETWORK_MEASUREMENT)
    alert = replace(
        an_alert(id=12, side=Side.BELOW, hits=[hit], reason="-18.15% is past 15%, held for 5m"),
        subject=HASHPRICE.subject,
        trust=Trust(
            verdict=Verdict.DEGRADED,
            reasons=("the difficulty is mempool.space's alone, of 2026-11-17 15:38 UTC",),
        ),
    )
    golden("alert_hashprice", alert_message(alert, AT))


def test_a_weekend_network_alert_shows_the_age_of_bitcoins_price_and_the_etfs_last_price() -> None:
    hit = a_rule_hit(rule="20d hashprice 15% below", value=MINING.hashprice_change, measurement=NETWORK_MEASUREMENT)
    alert = an_alert(side=Side.BELOW, hits=[hit])
    alert = replace(alert, etf=replace(alert.etf, at=AT - timedelta(hours=18)), crypto=replace(alert.crypto, at=AT))
    text = alert_message(alert, AT + timedelta(minutes=2)).text
    assert "WGMI *−21.0%* to $41.27, its price of Mon 16 Nov 16:40 New York\n" in text
    assert (
        "Prices of Tue 17 Nov 10:40 New York (15:40 UTC), 2 min old when this was written: bitcoin from Coinbase"
        in text
    )
    assert "; WGMI from Yahoo of Mon 16 Nov 16:40 New York (21:40 UTC).\n" in text


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [
        pytest.param(91.3, "The 20-day change of difficulty is larger than 91% of the last 252 sessions.", id="known"),
        pytest.param(
            None,
            "No percentile yet: the 20-day change of difficulty has too little history.",
            id="unknown",
        ),
    ],
)
def test_a_difficulty_alert_shows_its_change_and_percentile(percentile: float | None, expected: str) -> None:
    measurement = replace(NETWORK_MEASUREMENT, mining=replace(MINING, difficulty_percentile=percentile), live=False)
    hit = a_rule_hit(rule="20d difficulty 5% at close", value=MINING.difficulty_change, measurement=measurement)
    alert = an_alert(hits=[hit])
    text = alert_message(alert, AT).text
    closed = alert_message(close(alert, AT, "2% is back inside"), AT).text
    assert text.startswith("Difficulty up 6.0% over 20 days, Tue 17 Nov")
    assert expected in text
    assert closed.startswith("Resolved after 5 min: difficulty up, peak +6.0% over 20 days")


def test_an_alert_joined_by_a_second_rule(golden: Golden) -> None:
    hits = [a_rule_hit(peak=0.091), a_rule_hit(rule_id=2, rule="5d 15pp", measurement=FIVE_DAYS)]
    golden(
        "alert_joined",
        alert_message(an_alert(id=12, hits=hits, reason="16.1pp is past 15pp, held for 5m"), AT),
    )


def test_an_alert_with_a_corrected_close(golden: Golden) -> None:
    hit = a_rule_hit(rule="1d 8pp at close", corrected_from=0.097, measurement=a_measurement(live=False))
    golden(
        "alert_corrected",
        alert_message(an_alert(id=12, hits=[hit], reason="9.7pp is past 8pp at the close"), AT),
    )


def test_a_retracted_alert(golden: Golden) -> None:
    corrected = a_measurement(etf_return=0.019, live=False)
    hit = a_rule_hit(rule="1d 8pp at close", corrected_from=0.084, measurement=corrected)
    why = "1d 8pp at close: corrected from 8.4pp to 7.1pp, not past 8pp any more"
    closed = close(an_alert(id=12, hits=[replace(hit, retracted=True)]), AT + timedelta(hours=17), why)
    golden("alert_retracted", alert_message(closed, AT + timedelta(hours=17)))


def test_a_recovering_alert(golden: Golden) -> None:
    calmer = a_measurement(etf_return=-0.012)
    hit = a_rule_hit(rule="1d 8pp keep 10m", peak=0.091, measurement=calmer)
    golden("alert_recovering", alert_message(an_alert(id=12, hits=[hit]), AT))


def test_an_alert_on_the_negative_side(golden: Golden) -> None:
    hits = [a_rule_hit(measurement=BELOW)]
    alert = an_alert(id=13, side=Side.BELOW, hits=hits, reason="-8.5pp is past 8pp, held for 5m")
    golden("alert_below", alert_message(alert, AT))


def test_an_acknowledged_alert(golden: Golden) -> None:
    message = alert_message(an_alert(id=12, acknowledged=ACKNOWLEDGED), AT)
    golden("alert_acknowledged", message)
    assert ["unacknowledge", "snooze", "resolve", "chart", "why", "edit_rule"] == [
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
        "1d 8pp: 4.1pp is back inside the clear level of 4.8pp",
    )
    message = alert_message(closed, AT + timedelta(hours=3))
    golden("alert_resolved", message)
    (buttons,) = [block for block in message.blocks if block["type"] == "actions"]
    assert ["useful", "noise", "chart", "why", "edit_rule"] == [element["action_id"] for element in buttons["elements"]]


def test_an_alert_that_a_person_resolved_names_them_and_does_not_say_that_it_cleared() -> None:
    ended = Reason.of(Code.ENDED_BY_HAND, note="earnings, see <@U2>")
    both = an_alert(hits=[a_rule_hit(), a_rule_hit(rule_id=2, rule="5d 15pp")])
    closed = close(without_rule(both, 2, HitEnd.CLEARED), AT, ended, "U7")
    text = alert_message(closed, AT).text

    assert "`1d 8pp` at +8.3 pp, threshold 8 pp, peak +8.3 pp, resolved by <@U7>\n" in text
    assert "`5d 15pp` at +8.3 pp, threshold 15 pp, peak +8.3 pp, cleared\n" in text
    who = "esolved by <@U7>: earnings, see <@U2>. Its rules fire again after they have cleared."
    assert f"Why it ended: r{who}\n" in text
    assert thread_reply(an_entry(kind=EntryKind.RESOLVED, by="U7", reason=ended), closed).text.endswith(f" R{who}")


def test_a_rule_that_ended_before_causes_were_recorded_does_not_say_that_it_cleared() -> None:
    hit = replace(a_rule_hit(active=False), ended=None)
    assert "peak +8.3 pp, ended\n" in alert_message(an_alert(hits=[hit, a_rule_hit(rule_id=2)]), AT).text


def test_an_alert_on_simulated_prices(golden: Golden) -> None:
    message = alert_message(an_alert(id=12, simulated=True, chart=an_alert_chart()), AT)
    golden("alert_simulated", message)
    assert message.text.startswith("SIMULATED: ")


@pytest.mark.parametrize(
    ("rule", "value", "measurement_fields", "expected"),
    [
        pytest.param("1d 8pp", 0.083, {}, "WGMI 8.3 pp above bitcoin over 1 day", id="spread"),
        pytest.param("1d z3.5", 3.6, {}, "WGMI 8.3 pp above bitcoin over 1 day", id="z"),
        pytest.param(
            "20d residual 10pp",
            0.114,
            {"window": Window.D20},
            "WGMI 11.4 pp above its beta to bitcoin over 20 days",
            id="residual",
        ),
        pytest.param(
            "20d residual 10pp",
            -0.114,
            {"window": Window.D20},
            "WGMI 11.4 pp below its beta to bitcoin over 20 days",
            id="residual below",
        ),
        pytest.param("gap 5%", 0.062, {}, "Bitcoin implies WGMI +6.2% at the open", id="gap"),
        pytest.param(
            "drawdown 60%", 0.604, {}, "Bitcoin 60.4% below its highest close", id="drawdown of an earlier release"
        ),
        pytest.param(
            "drawdown 60%",
            0.604,
            {"crypto_since": date(2015, 7, 20)},
            "Bitcoin 60.4% below its highest close since 20 Jul 2015",
            id="drawdown",
        ),
        pytest.param("ytd 30pp", 0.31, {"window": Window.YTD}, "WGMI 8.3 pp above bitcoin in 2026", id="year to date"),
    ],
)
def test_the_title_says_what_the_rule_measured(
    rule: str, value: float, measurement_fields: dict[str, Any], expected: str
) -> None:
    hit = a_rule_hit(rule=rule, value=value, measurement=a_measurement(**measurement_fields))
    assert expected == title_of(an_alert(hits=[hit]))


@pytest.mark.parametrize(
    ("rule", "side", "value", "expected"),
    [
        pytest.param("1d 8pp", Side.BELOW, -0.09, "WGMI below bitcoin, peak −9.0 pp over 1 day", id="spread"),
        pytest.param("1d z3.5", Side.ABOVE, 3.6, "WGMI above bitcoin, peak z +3.6 over 1 day", id="z"),
        pytest.param(
            "20d residual 10pp",
            Side.ABOVE,
            0.11,
            "WGMI above its beta to bitcoin, peak +11.0 pp over 1 day",
            id="residual",
        ),
        pytest.param("gap 5%", Side.BELOW, -0.06, "bitcoin implies WGMI down at the open, peak −6.0%", id="gap down"),
        pytest.param("gap 5%", Side.ABOVE, 0.06, "bitcoin implies WGMI up at the open, peak +6.0%", id="gap up"),
        pytest.param("drawdown 60%", Side.ABOVE, 0.61, "bitcoin below its highest close, peak +61.0%", id="drawdown"),
    ],
)
def test_a_resolved_alert_names_its_subject_and_peak(rule: str, side: Side, value: float, expected: str) -> None:
    alert = an_alert(side=side, hits=[a_rule_hit(rule=rule, value=value)])
    closed = close(alert, alert.opened_at + timedelta(minutes=45), "back inside")
    assert f"Resolved after 45 min: {expected}" == title_of(closed)


def test_prices_from_different_times_each_show_their_time() -> None:
    alert = an_alert(
        etf=a_stamp(at=AT - timedelta(hours=16)), crypto=a_stamp(symbol="BTC", source="Coinbase", price=94_050.0)
    )
    expected = (
        "Prices, 16 h old when this was written: WGMI from Yahoo of Mon 16 Nov 18:40 New York (23:40 UTC), "
        "bitcoin from Coinbase of Tue 17 Nov 10:40 New York (15:40 UTC)."
    )
    assert expected in alert_message(alert, AT).text


def test_without_enough_history_there_is_no_percentile() -> None:
    alert = an_alert(hits=[a_rule_hit(measurement=a_measurement(z=None, percentile=None))])
    assert "the 1-day spread has too little history" in alert_message(alert, AT).text


def test_a_rule_that_has_cleared_says_so() -> None:
    hits = [a_rule_hit(active=False), a_rule_hit(rule_id=2, rule="5d 15pp", measurement=FIVE_DAYS)]
    message = alert_message(an_alert(hits=hits), AT)
    assert "threshold 8 pp, peak +8.3 pp, cleared" in message.text
    assert "over 5 days" in message.text.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("entry_fired", an_entry()),
        ("entry_joined", an_entry(kind=EntryKind.JOINED, reason="5d 15pp: 16.1pp is past 15pp, held for 5m")),
        ("entry_left", an_entry(kind=EntryKind.LEFT, reason="1d 8pp: 4.1pp is back inside the clear level of 4.8pp")),
        ("entry_corrected", an_entry(kind=EntryKind.CORRECTED, reason="1d 8pp at close: from 8.4pp to -8.1pp")),
        ("entry_worsened", an_entry(kind=EntryKind.WORSENED, reason="by 4.2pp to 12.4pp (1d 8pp)")),
        (
            "entry_repeated",
            an_entry(
                kind=EntryKind.REPEATED, at=AT + timedelta(hours=1), reason="1d 8pp repeat 1h at 9pp, peak 12.4pp"
            ),
        ),
        ("entry_edited", an_entry(kind=EntryKind.EDITED, by="U1", reason="1d 8pp is now 1d 10pp")),
        ("entry_changed", an_entry(kind=EntryKind.CHANGED, by="U1", reason="mention <!channel> was set")),
        ("entry_paused", an_entry(kind=EntryKind.PAUSED, by="U1", reason="1d 8pp was paused")),
        (
            "entry_retracted",
            an_entry(
                kind=EntryKind.RETRACTED,
                at=AT + timedelta(hours=17),
                reason="1d 8pp at close: corrected from 8.4pp to 7.1pp, not past 8pp any more",
            ),
        ),
        ("entry_acknowledged", an_entry(kind=EntryKind.ACKNOWLEDGED, by="U2", reason="a person acknowledged it")),
        (
            "entry_snoozed",
            an_entry(kind=EntryKind.SNOOZED, by="U3", until=AT + timedelta(hours=1), reason="a person snoozed it"),
        ),
        ("entry_unacknowledged", an_entry(kind=EntryKind.UNACKNOWLEDGED, by="U3", reason="no longer acknowledged")),
        (
            "entry_resolved",
            an_entry(
                kind=EntryKind.RESOLVED,
                at=AT + timedelta(hours=2, minutes=5),
                reason="1d 8pp: 4.1pp is back inside the clear level of 4.8pp",
            ),
        ),
        (
            "entry_rule_removed",
            an_entry(kind=EntryKind.RESOLVED, at=AT + timedelta(hours=26), by="U1", reason="the rule was removed"),
        ),
    ],
)
def test_a_thread_reply_per_timeline_entry(golden: Golden, name: str, entry: TimelineEntry) -> None:
    golden(name, thread_reply(entry, an_alert()))


def test_a_thread_reply_on_simulated_prices_is_marked() -> None:
    assert thread_reply(an_entry(), an_alert(simulated=True)).text.startswith("SIMULATED: ")


def test_a_snooze_without_an_end_shows_no_end() -> None:
    reply = thread_reply(an_entry(kind=EntryKind.SNOOZED, by="U3"), an_alert()).text
    assert reply.startswith("Snoozed by <@U3>. ")


def test_external_text_cannot_mention_anyone() -> None:
    alert = an_alert(reason="<!channel> & more", etf=a_stamp(source="ev<il>"))
    message = alert_message(alert, AT)
    checked({"text": message.text, "blocks": message.blocks})
    assert "&lt;!channel&gt; &amp; more" in message.text


def title_of(alert: Alert) -> str:
    message = alert_message(alert, AT)
    title: str = message.blocks[0]["text"]["text"]
    assert message.text.startswith(title)
    return title


def test_an_alert_on_a_close_says_so_with_its_date() -> None:
    alert = an_alert(hits=[a_rule_hit(measurement=a_measurement(live=False))])

    assert "WGMI closed 8.3 pp above bitcoin over 1 day, Tue 17 Nov" == title_of(alert)


@pytest.mark.parametrize(
    ("window", "sessions", "expected"),
    [
        pytest.param(Window.YTD, 3, "The year-to-date spread is +1.5σ for 3 sessions.", id="year to date"),
        pytest.param(Window.D252, 252, "The 252-day spread is +1.5σ for 252 sessions.", id="252 sessions"),
    ],
)
def test_an_alert_on_a_long_window_shows_sigma_and_no_percentile(window: Window, sessions: int, expected: str) -> None:
    measurement = replace(a_measurement(window=window, percentile=None), sigma=1.53, sessions=sessions)
    hit = a_rule_hit(rule=f"{window.value} 8pp", measurement=measurement)
    text = alert_message(an_alert(hits=[hit]), AT).text
    assert expected in text.splitlines()
    assert "of the last 252 sessions" not in text
