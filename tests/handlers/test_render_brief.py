from dataclasses import replace
from datetime import date, timedelta

import pytest

from handlers.render.brief import brief_message
from handlers.render.notices import notice_message
from services.alerting.alert import ActorStamp, close
from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, DayKind, Notice, SpecialDay
from services.core.prices import WGMI_BTC
from services.core.trust import TRUSTED
from services.market.gap import Gap
from services.market.measure import Window
from services.market.network import Retarget
from tests.fakes.alerts import AT, CHANNEL, a_measurement, a_stamp, an_alert
from tests.fakes.blockkit import problems
from tests.handlers.conftest import Golden
from tests.handlers.test_render_network import POWER

HOUR = timedelta(hours=1)
DAY = a_measurement(live=False)
CALM = a_measurement(window=Window.D5, etf_return=0.02, crypto_return=0.01, percentile=60.0, live=False)
LONG = replace(CALM, window=Window.D252, percentile=None, sigma=2.6, sessions=252)
BRIEF = Brief(
    occasion=Occasion.CLOSE,
    at=AT + 6 * HOUR,
    session=date(2026, 11, 17),
    since=AT - 19 * HOUR,
    pair=WGMI_BTC,
    measurements=(DAY, CALM),
    gap=None,
    etf=a_stamp(),
    crypto=a_stamp(symbol="BTC", source="Coinbase", price=87_412.5),
    trust=TRUSTED,
    alerts=(
        an_alert(id=12, acknowledged=ActorStamp(by="U2", at=AT)),
        close(an_alert(id=11, opened_at=AT - 3 * HOUR), AT - HOUR, "cleared"),
    ),
    retarget=Retarget(change=-0.025, height=977_760, at=AT + 60 * HOUR),
    network="mempool.space",
    special_days=(
        SpecialDay(day=date(2026, 11, 26), kind=DayKind.SHUT),
        SpecialDay(day=date(2026, 11, 27), kind=DayKind.HALF, closes_at=AT.replace(day=27, hour=18, minute=0)),
    ),
)
OVERNIGHT_GAP = Gap(
    move=0.021,
    beta=1.3,
    beta_error=0.2,
    implied=0.027,
    low=-0.03,
    high=0.085,
    since=AT - 19 * HOUR,
    at=AT,
)


def test_a_brief_at_the_close(golden: Golden) -> None:
    golden("brief_close", notice_message(Notice(id=1, channel=CHANNEL, name="any", content=BRIEF, opened_at=AT)))


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        pytest.param(
            {"occasion": Occasion.OPEN, "gap": OVERNIGHT_GAP, "measurements": (CALM,)},
            [
                "Before the open of Tue 17 Nov: WGMI and bitcoin",
                "Bitcoin *+2.1%* since WGMI's close, as of 10:40 New York (15:40 UTC).",
                "Nothing: 1 spread looked at.",
            ],
            id="before the open",
        ),
        pytest.param(
            {"occasion": Occasion.WEEKLY, "measurements": (replace(CALM, percentile=2.0, spread=-0.1),), "alerts": ()},
            [
                "The week to Tue 17 Nov: WGMI and bitcoin",
                "The 5-day spread is lower than 98% of the last 252 sessions.",
                "Unusual: 1 of 1 spread looked at.",
                "None since Mon 16 Nov 15:40 New York.",
            ],
            id="of a week",
        ),
        pytest.param(
            {"occasion": Occasion.CLOSE, "measurements": (replace(CALM, percentile=97.0), LONG, CALM)},
            [
                "The 252-day spread is +2.6σ for 252 sessions.",
                "Unusual: 1 of 3 spreads looked at.",
            ],
            id="one of several windows is unusual enough",
        ),
        pytest.param(
            {
                "occasion": Occasion.NOW,
                "measurements": (),
                "etf": None,
                "retarget": None,
                "special_days": (),
                "problems": ("No WGMI prices yet",),
                "simulated": True,
            },
            [
                "SIMULATED: WGMI and bitcoin, Tue 17 Nov 16:40 New York",
                "No window can be measured: a price is missing.",
                "Unknown: there is too little history.",
                "The next retarget of the difficulty is not known.",
                "WGMI: no price.",
                "Problem: No WGMI prices yet.",
            ],
            id="of what is not known",
        ),
    ],
)
def test_a_brief_shows_its_occasion_and_what_is_missing(changes: dict[str, object], lines: list[str]) -> None:
    message = brief_message(replace(BRIEF, **changes))  # type: ignore[arg-type]
    assert [] == [line for line in lines if line not in message.text.splitlines()]
    assert [] == problems({"text": message.text, "blocks": message.blocks})


def test_a_weekly_brief_has_the_power_draw_with_its_assumptions(golden: Golden) -> None:
    message = brief_message(replace(BRIEF, occasion=Occasion.WEEKLY, power=POWER))
    golden("brief_weekly", message)
    assert "*What mining takes*\n*Power draw* 22.3 GW, best estimate; between 9.7 GW and 48.6 GW." in message.text
    assert "Lower bound: Antminer S23 Hyd, 9.5 J/TH, PUE 1.01, the most efficient of 88 on the market." in message.text


def test_a_weekly_brief_names_what_the_power_draw_needs() -> None:
    text = brief_message(replace(BRIEF, occasion=Occasion.WEEKLY)).text
    assert "*What mining takes*\n*Power draw* unknown: it needs the hash rate" in text
    assert "*What mining takes*" not in brief_message(BRIEF).text


def test_many_alerts_are_cut_and_counted() -> None:
    message = brief_message(replace(BRIEF, alerts=tuple(an_alert(id=n) for n in range(13))))
    assert "… and 3 more: `/minerpulse history`" in message.text
