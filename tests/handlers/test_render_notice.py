from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from handlers.render.alert import alert_message
from handlers.render.alert_text import thread_line
from handlers.render.channel import delivery_problem_lines
from handlers.render.message import Message
from handlers.render.notices import notice_message
from services.alerting.alert import ActorStamp, EntryKind
from services.alerting.notice import (
    Content,
    CoverageReport,
    Digest,
    Escalation,
    NearestMiss,
    Notice,
    Outage,
    PairDay,
    Posted,
)
from services.core.identity import Channel, Mention
from services.core.prices import WGMI_BTC
from services.delivery.ports import DeliveryProblem
from services.rules.decide import Side
from tests.fakes.alerts import AT, DESK, a_fact, a_measurement, a_stamp, an_alert, an_entry

Golden = Callable[[str, "Message"], None]
HOUR = timedelta(hours=1)
ONCALL = Mention(text="<!subteam^S1>", name="@oncall")
OUTAGE = Outage(
    pair=WGMI_BTC,
    since=AT,
    reason="the last WGMI trade at Yahoo is 21 min old",
    prices=(a_stamp(at=AT - HOUR), a_stamp(symbol="BTC", source="Coinbase", price=87_412.5, at=AT - HOUR)),
)
NETWORK = Outage(
    pair=WGMI_BTC, since=AT, reason="the last figures of mempool.space are of 2026-11-17 09:30 UTC", network=True
)
BELOW = a_fact(measurement=a_measurement(etf_return=-0.091, crypto_return=-0.006))
DAY = PairDay(
    pair=WGMI_BTC,
    expected=390,
    done=389,
    verdicts=(("degraded", 12), ("ok", 372), ("stale", 5)),
    sources=("Yahoo", "Coinbase"),
)
DAILY = CoverageReport(
    session=date(2026, 11, 17),
    at=AT + 5 * HOUR + timedelta(minutes=20),
    final=True,
    rules=3,
    pairs=(DAY,),
    alerts=0,
    miss=NearestMiss(rule="1d 8pp", share=0.874, at=AT + 3 * HOUR),
    posted=Posted(delivered=4, waiting=0, given_up=0),
)


def told(content: Content) -> Message:
    return notice_message(Notice(id=1, channel=DESK, name="any", content=content, opened_at=AT))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("notice_outage", OUTAGE, id="an outage"),
        pytest.param("notice_outage_unknown", replace(OUTAGE, prices=(), reason="No WGMI prices yet"), id="no price"),
        pytest.param("notice_network", NETWORK, id="the network"),
        pytest.param("notice_network_over", replace(NETWORK, back_at=AT + 2 * HOUR), id="the network is back"),
        pytest.param("notice_outage_over", replace(OUTAGE, back_at=AT + 2 * HOUR), id="prices are back"),
        pytest.param(
            "notice_digest",
            Digest(
                since=AT - 8 * HOUR,
                until=AT + HOUR,
                why="quiet hours",
                alerts=(
                    an_alert(id=12, closed_at=AT + HOUR / 2),
                    an_alert(id=13, side=Side.BELOW, facts=[BELOW]),
                ),
                outages=(replace(OUTAGE, back_at=AT + HOUR / 2),),
            ),
            id="a digest",
        ),
        pytest.param("notice_daily", DAILY, id="a silent day"),
        pytest.param(
            "notice_daily_troubled",
            replace(
                DAILY,
                pairs=(replace(DAY, trouble="the last WGMI trade at Yahoo is 21 min old"),),
                alerts=1,
                miss=None,
                posted=Posted(delivered=1, waiting=2, given_up=1),
                final=False,
            ),
            id="a troubled day so far",
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
def test_each_notice_looks_as_it_should(golden: Golden, name: str, content: Content) -> None:
    golden(name, told(content))


def test_an_alert_calls_its_mention_where_it_is_posted(golden: Golden) -> None:
    golden("alert_calling", alert_message(an_alert(id=12), AT, calls=ONCALL))


@pytest.mark.parametrize(
    ("name", "kind", "calls", "to"),
    [
        pytest.param("entry_reminded", EntryKind.REMINDED, ONCALL, None, id="a reminder"),
        pytest.param("entry_escalated", EntryKind.ESCALATED, ONCALL, None, id="to a person"),
        pytest.param("entry_escalated_away", EntryKind.ESCALATED, None, Channel(team="T1", id="C2"), id="to a channel"),
    ],
)
def test_a_call_can_be_read_by_itself(
    golden: Golden, name: str, kind: EntryKind, calls: Mention | None, to: Channel | None
) -> None:
    line = replace(an_entry(kind=kind, reason="nobody has acknowledged it for 30m"), calls=calls, to=to)
    golden(name, thread_line(line, an_alert(id=12)))


def test_a_call_that_comes_too_late_calls_nobody() -> None:
    line = replace(an_entry(kind=EntryKind.REMINDED, reason="nobody has acknowledged it for 30m"), calls=ONCALL)

    assert "subteam" not in thread_line(line, an_alert(id=12, closed_at=AT)).text


def test_what_does_not_arrive_says_what_the_admin_can_do() -> None:
    archived = "The channel is archived: unarchive it, or start alerts in another one. (is_archived)"
    (line,) = delivery_problem_lines(
        [DeliveryProblem(channel=DESK, problem=archived, messages=2, since=AT, given_up=False)]
    )

    assert line == (
        "*Not delivered* in <#C1>: 2 messages waiting to be delivered since Tue 17 Nov 10:40 New York (15:40 UTC). "
        "The channel is archived: unarchive it, or start alerts in another one. (is_archived)."
    )
