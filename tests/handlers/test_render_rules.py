"""The list of a channel's rules, in every state."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from handlers.render.rules import ROWS_WITH_MENU, rules_message
from services.alerting.channel_settings import ChannelSettings
from services.alerting.feedback import NoiseRate
from services.alerting.ports import RuleAudit, RuleAuditKind, UnreadableRule
from services.channels.commands import RuleFigures
from services.channels.rule_commands import RuleList
from services.core.identity import Mention
from services.research.service import RulePreview
from services.rules.decide import NODATA_GRACE, RuleState, Side
from services.rules.grammar import parse_rule
from tests.fakes.alerts import CHANNEL, an_alert
from tests.fakes.blockkit import checked, shown
from tests.handlers.boards import OPEN_AT, a_channel_rule
from tests.handlers.conftest import Golden

LINK = "https://desk.slack.com/archives/C1/p1794929700000100"
SINCE = OPEN_AT - timedelta(minutes=5)
LONG_AGO = OPEN_AT - NODATA_GRACE - timedelta(minutes=1)
FIRED = RuleState(firing=Side.ABOVE, fired_at=SINCE)
ALERT = replace(an_alert(id=128), permalink=LINK)


def figures(text: str, value: float | None, fired: int, sessions: int = 504) -> RuleFigures:
    days = (date(2026, 9, 1),) * fired
    since = date(2024, 11, 18) if sessions else None
    return RuleFigures(
        value=value, preview=RulePreview(rule=parse_rule(text), since=since, sessions=sessions, fired_on=days)
    )


RULES = (
    a_channel_rule(state=FIRED),
    a_channel_rule("5d 15pp", id=2),
    replace(a_channel_rule("20d 30pp", id=3), paused_at=SINCE),
)
LISTING = RuleList(
    rules=RULES,
    alerts={1: ALERT},
    noise={1: NoiseRate(noise=1, judged=6)},
    audits=(
        RuleAudit(kind=RuleAuditKind.PAUSED, rule_id=3, by="U2", at=SINCE, before="20d 30pp", after="20d 30pp"),
        RuleAudit(kind=RuleAuditKind.ADDED, rule_id=3, by="U1", at=SINCE, before=None, after="20d 30pp"),
    ),
    settings=ChannelSettings(mention=Mention(text="<!subteam^S1>", name="@mining-desk")),
)
FIGURES = {
    1: figures("1d 8pp", 0.083, 23),
    2: figures("5d 15pp", 0.112, 18),
    3: figures("20d 30pp", 0.05, 1),
}


def test_each_rule_has_a_row_with_its_state_record_and_menu(golden: Golden) -> None:
    message = rules_message(LISTING, OPEN_AT, None, FIGURES)
    golden("rules", message)
    text = shown(message)

    assert (
        f"*1*  `1d 8pp` – :red_circle: Firing, <{LINK}|#128>, +8.3 pp (104%)\n±8 pp · hold 5 min · clear 4.8 pp" in text
    )
    assert "23 alerts in 2 years (backtest) · false-alarm rate 1 of 6" in text
    assert "*2*  `5d 15pp` – OK, +11.2 pp (75%)" in text
    assert "*3*  `20d 30pp` – Paused by <@U2>, <!date^" in text
    assert "1 alert in 2 years (backtest)" in text
    assert "Rules 1–3 added by <@U1>, " in text
    assert "· quiet hours off · mentions @mining-desk" in text
    menus = [block["accessory"]["options"] for block in message.blocks if "accessory" in block]
    assert [["edit:1", "backtest:1", "pause:1", "remove:1"], "resume:3"] == [
        [option["value"] for option in menus[0]],
        menus[2][2]["value"],
    ]
    assert message.text == (
        "3 rules in this channel. 1: 1d 8pp, firing (alert 128). 2: 5d 15pp, OK. 3: 20d 30pp, paused."
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(RuleState(), "OK, +3.0 pp (38%)", id="OK"),
        pytest.param(
            RuleState(breach=Side.ABOVE, breach_at=SINCE), "Pending, past its threshold since <!date^", id="Pending"
        ),
        pytest.param(FIRED, ":red_circle: Firing, since <!date^", id="Firing, resolved manually"),
        pytest.param(replace(FIRED, clear_at=SINCE), "Recovering, +3.0 pp (38%)", id="Recovering"),
        pytest.param(RuleState(nodata_since=LONG_AGO), "No data since <!date^", id="No data"),
        pytest.param(
            RuleState(nodata_since=LONG_AGO, error_since=LONG_AGO),
            "Error: no source has recognized WGMI/BTC since <!date^",
            id="Error",
        ),
    ],
)
def test_each_state_begins_with_its_word(state: RuleState, expected: str) -> None:
    listing = RuleList(rules=(a_channel_rule(state=state),))

    assert f"*1*  `1d 8pp` – {expected}" in shown(
        rules_message(listing, OPEN_AT, None, {1: figures("1d 8pp", 0.03, 2)})
    )


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        pytest.param("1d 8pp below", 0.03, "OK, +3.0 pp\n", id="the other side has no share"),
        pytest.param("1d 8pp below", -0.03, "OK, −3.0 pp (38%)\n", id="its own side"),
        pytest.param("drawdown 60%", 0.3, "OK, +30.0% (50%)\n", id="a depth"),
        pytest.param("60d beta 0.5 below", 1.1, "OK, 1.10\n", id="a level"),
        pytest.param("gap 5%", None, "OK\n", id="unknown"),
    ],
)
def test_a_value_has_its_share_of_the_threshold_on_a_watched_side(
    text: str, value: float | None, expected: str
) -> None:
    listing = RuleList(rules=(a_channel_rule(text),))
    message = rules_message(listing, OPEN_AT, None, {1: figures(text, value, 0, sessions=0)})

    assert f"`{text}` – {expected}" in shown(message)
    assert "Backtest:" not in shown(message)


def test_an_unreadable_rule_is_an_error_and_says_what_to_do() -> None:
    broken = UnreadableRule(id=7, channel=CHANNEL, rule="1d banana")
    text = shown(rules_message(RuleList(rules=RULES[:1], unreadable=(broken,)), OPEN_AT))

    assert "*7*  `1d banana` – Error: this rule can't be read, so it isn't evaluated." in text
    assert "`/minerpulse rule remove 7`" in text
    assert "2 rules in this channel" in text


def test_the_people_who_added_rules_and_the_latest_changes_are_named() -> None:
    others = replace(a_channel_rule("5d 15pp", id=4), created_by="U2")
    edited = RuleAudit(kind=RuleAuditKind.EDITED, rule_id=4, by="U2", at=SINCE, before="5d 14pp", after="5d 15pp")
    text = shown(rules_message(RuleList(rules=(RULES[0], RULES[2], others), audits=(edited,)), OPEN_AT))

    assert "Rules 1, 3 added by <@U1>, " in text
    assert "rule 4 added by <@U2>, " in text
    assert "Rule 4 `5d 14pp` → `5d 15pp` edited by <@U2>, " in text


def test_a_channel_without_rules_says_that_nothing_is_monitored() -> None:
    message = rules_message(RuleList(rules=()), OPEN_AT)

    assert message.text.startswith("No rules in this channel, so nothing is monitored. Add one, ")
    assert ["Add Rule", "Show Channel Settings"] == [one["text"]["text"] for one in message.blocks[1]["elements"]]


def test_rules_beyond_the_menus_follow_in_lines_and_every_rule_is_counted() -> None:
    rules = tuple(a_channel_rule(f"1d {n}pp", id=n) for n in range(1, ROWS_WITH_MENU + 21))
    message = rules_message(RuleList(rules=rules), OPEN_AT)
    checked({"text": message.text, "blocks": message.blocks})

    assert ROWS_WITH_MENU == sum("accessory" in block for block in message.blocks)
    assert [] == [one for one in rules if f"*{one.id}*  `{one.rule}`" not in shown(message)]
    assert f"`/minerpulse rule edit {rules[-1].id}`" in shown(message)
