from dataclasses import replace
from datetime import date, timedelta

import pytest

from handlers.render.alert import alert_message
from handlers.render.alert_thread import thread_reply
from handlers.render.board import delivery_problem_lines
from handlers.render.message import Message
from handlers.render.notices import notice_message
from services.alerting.alert import ActorStamp, EntryKind
from services.alerting.notice import (
    ChannelChange,
    Content,
    CoverageReport,
    Digest,
    Escalation,
    EscalationSource,
    MessageCounts,
    NearestMiss,
    Notice,
    Outage,
    PairCoverage,
)
from services.core.identity import Channel, Mention
from services.core.prices import WGMI_BTC
from services.core.reason import Code, Reason
from services.delivery.ports import DeliveryProblem
from services.rules.decide import Side
from tests.fakes.alerts import AT, CHANNEL, a_measurement, a_rule_hit, a_stamp, an_alert, an_entry
from tests.handlers.conftest import Golden

HOUR = timedelta(hours=1)
ON_CALL = Mention(text="<!subteam^S1>", name="@oncall")
OUTAGE = Outage(
    pair=WGMI_BTC,
    since=AT,
    reason="the last WGMI trade from Yahoo is 21 min old",
    prices=(a_stamp(at=AT - HOUR), a_stamp(symbol="BTC", source="Coinbase", price=87_412.5, at=AT - HOUR)),
)
NETWORK_OUTAGE = Outage(
    pair=WGMI_BTC,
    since=AT,
    reason=Reason.of(Code.FIGURES_TOO_OLD, source="mempool.space", at=AT - HOUR),
    network=True,
)
BELOW = a_rule_hit(measurement=a_measurement(etf_return=-0.091, crypto_return=-0.006))
DAY = PairCoverage(
    pair=WGMI_BTC,
    expected=390,
    done=389,
    verdicts=(("degraded", 12), ("ok", 372), ("stale", 5)),
    sources=("Yahoo", "Coinbase"),
)
COVERAGE = CoverageReport(
    session=date(2026, 11, 17),
    at=AT + 5 * HOUR + timedelta(minutes=20),
    final=True,
    rules=3,
    pairs=(DAY,),
    alerts=0,
    nearest_miss=NearestMiss(rule="1d 8pp", share=0.874, at=AT + 3 * HOUR),
    message_counts=MessageCounts(delivered=4, waiting=0, dead_lettered=0),
)


def message_for(content: Content) -> Message:
    return notice_message(Notice(id=1, channel=CHANNEL, name="any", content=content, opened_at=AT))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("notice_outage", OUTAGE, id="an outage"),
        pytest.param("notice_outage_unknown", replace(OUTAGE, prices=(), reason="No WGMI prices yet"), id="no price"),
        pytest.param("notice_network", NETWORK_OUTAGE, id="the network"),
        pytest.param(
            "notice_network_over", replace(NETWORK_OUTAGE, recovered_at=AT + 2 * HOUR), id="the network is back"
        ),
        pytest.param("notice_outage_over", replace(OUTAGE, recovered_at=AT + 2 * HOUR), id="prices are back"),
        pytest.param(
            "notice_digest",
            Digest(
                since=AT - 8 * HOUR,
                until=AT + HOUR,
                reason="quiet hours",
                alerts=(
                    an_alert(id=12, closed_at=AT + HOUR / 2),
                    an_alert(id=13, side=Side.BELOW, hits=[BELOW]),
                ),
                outages=(replace(OUTAGE, recovered_at=AT + HOUR / 2),),
            ),
            id="a digest",
        ),
        pytest.param("notice_daily", COVERAGE, id="a silent day"),
        pytest.param(
            "notice_daily_troubled",
            replace(
                COVERAGE,
                pairs=(replace(DAY, unusable_reason="the last WGMI trade from Yahoo is 21 min old"),),
                alerts=1,
                nearest_miss=None,
                message_counts=MessageCounts(delivered=1, waiting=2, dead_lettered=1),
                final=False,
            ),
            id="a troubled day so far",
        ),
        pytest.param(
            "notice_change",
            ChannelChange(by="U2", change=Reason.of(Code.SETTING_CHANGED, setting="mention <!channel>")),
            id="a change of the channel",
        ),
        pytest.param(
            "notice_escalation_source", EscalationSource(source=Channel(team="T1", id="C9")), id="who escalates here"
        ),
        pytest.param("notice_escalation", Escalation(alert=an_alert(id=12), after=HOUR / 2), id="an escalation"),
        pytest.param(
            "notice_escalation_seen",
            Escalation(alert=an_alert(id=12, acknowledged=ActorStamp(by="U2", at=AT)), after=HOUR / 2),
            id="an escalation that someone sees to",
        ),
        pytest.param(
            "notice_escalation_over",
            Escalation(alert=an_alert(id=12, closed_at=AT + HOUR), after=HOUR / 2),
            id="an escalation that is over",
        ),
    ],
)
def test_each_notice(golden: Golden, name: str, content: Content) -> None:
    golden(name, message_for(content))


def test_an_alert_mentions_on_call(golden: Golden) -> None:
    golden("alert_calling", alert_message(an_alert(id=12), AT, mention=ON_CALL))


@pytest.mark.parametrize(
    ("name", "kind", "calls", "to"),
    [
        pytest.param("entry_reminded", EntryKind.REMINDED, ON_CALL, None, id="a reminder"),
        pytest.param("entry_escalated", EntryKind.ESCALATED, ON_CALL, None, id="to a person"),
        pytest.param("entry_escalated_away", EntryKind.ESCALATED, None, Channel(team="T1", id="C2"), id="to a channel"),
    ],
)
def test_reminders_and_escalations_are_self_contained(
    golden: Golden, name: str, kind: EntryKind, calls: Mention | None, to: Channel | None
) -> None:
    entry = replace(an_entry(kind=kind, reason="firing for 30 min, not acknowledged"), mention=calls, to=to)
    golden(name, thread_reply(entry, an_alert(id=12)))


def test_a_reminder_of_a_closed_alert_mentions_nobody() -> None:
    entry = replace(an_entry(kind=EntryKind.REMINDED, reason="firing for 30 min, not acknowledged"), mention=ON_CALL)

    assert "subteam" not in thread_reply(entry, an_alert(id=12, closed_at=AT)).text


def test_a_delivery_problem_says_how_to_fix_it() -> None:
    problem = "The channel is archived: unarchive it, or start alerts in another one. (is_archived)"
    (entry,) = delivery_problem_lines(
        [DeliveryProblem(channel=CHANNEL, problem=problem, messages=2, since=AT, dead_lettered=False)]
    )

    assert entry == (
        ":warning: *Delivery retrying* in <#C1>: 2 messages since "
        "<!date^1794930000^{date_short_pretty} at {time}|Nov 17, 10:40 AM ET>. "
        "The channel is archived: unarchive it, or start alerts in another one. (is_archived)."
    )
