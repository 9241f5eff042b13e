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
from tests.fakes.blockkit import problems, shown
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
                "*Before the Nov 17 open: WGMI 1.0 pp ahead of BTC over 5 sessions*",
                "BTC *+2.1%* since WGMI's close",
                "Implied WGMI gap *+2.7%*, 90% interval −3.0 to +8.5%",
                "*Unusual:* none of 1 spread checked",
            ],
            id="before the open",
        ),
        pytest.param(
            {"occasion": Occasion.WEEKLY, "measurements": (replace(CALM, percentile=2.0, spread=-0.1),), "alerts": ()},
            [
                "*Weekly, Nov 17: WGMI 10.0 pp behind BTC over 5 sessions*",
                "*Unusual:* 5-session spread, 2nd percentile of 252 sessions (1 of 1 spread checked)",
                "*Alerts:* none since <!date^1794861600^{date_short_pretty} at {time}|Nov 16, 3:40 PM ET>",
            ],
            id="of a week",
        ),
        pytest.param(
            {"occasion": Occasion.CLOSE, "measurements": (replace(CALM, percentile=97.0), LONG, CALM)},
            [
                "*Unusual:* 252-session spread, +2.6σ for 252 sessions (1 of 3 spreads checked)",
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
                (
                    "SIMULATED · Now: no spread for WGMI/BTC. No window can be measured: a price is missing. "
                    "1 open alert (#12). Data OK."
                ),
                "*SIMULATED · Now: no spread for WGMI/BTC*",
                "*Unusual:* unknown, not enough history",
                "*Next:* difficulty retarget unknown",
                (
                    "no WGMI price · BTC $87,412, Coinbase, "
                    "<!date^1794930000^{date_short_pretty} at {time}|Nov 17, 10:40 AM ET> · Data OK"
                ),
                ":warning: No WGMI prices yet.",
            ],
            id="of what is not known",
        ),
    ],
)
def test_a_brief_shows_its_occasion_and_what_is_missing(changes: dict[str, object], lines: list[str]) -> None:
    message = brief_message(replace(BRIEF, **changes))  # type: ignore[arg-type]
    assert [] == [line for line in lines if line not in shown(message).splitlines()]
    assert [] == problems({"text": message.text, "blocks": message.blocks})


def test_a_weekly_brief_has_the_power_draw_with_its_assumptions(golden: Golden) -> None:
    message = brief_message(replace(BRIEF, occasion=Occasion.WEEKLY, power=POWER))
    golden("brief_weekly", message)
    assert "*Bitcoin network*\n*Power draw* 22.3 GW, range 9.7 GW to 48.6 GW\n" in shown(message)
    assert "Lower bound: Antminer S23 Hyd, 9.5 J/TH, PUE 1.01, the most efficient of 88 on the market." in shown(
        message
    )


def test_a_weekly_brief_names_what_the_power_draw_needs() -> None:
    text = shown(brief_message(replace(BRIEF, occasion=Occasion.WEEKLY)))
    assert "*Bitcoin network*\n*Power draw* unknown: it needs the hash rate" in text
    assert "*Bitcoin network*" not in shown(brief_message(BRIEF))


def test_many_alerts_are_cut_and_counted() -> None:
    message = brief_message(replace(BRIEF, alerts=tuple(an_alert(id=n) for n in range(13))))
    assert "… and 3 more: `/minerpulse history`" in shown(message)
