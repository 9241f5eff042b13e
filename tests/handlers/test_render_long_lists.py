"""Very long lists and simpler forms of messages: nothing is rejected, no line is cut, and no number is lost."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handlers.render.alert import alert_message
from handlers.render.board import board_message
from handlers.render.history import audit_message, history_message
from handlers.render.home import ALERTS_SHOWN, home_view
from handlers.render.message import Message, fallback_forms, monospaced, text_message
from handlers.render.notices import notice_message
from handlers.render.rules import rules_message
from services.alerting.alert import ActorStamp, EntryKind
from services.alerting.notice import Digest, Notice
from services.alerting.ports import AlertAudit, RuleAudit, RuleAuditKind
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.channels.rule_commands import RuleList
from services.core.identity import Channel
from services.core.prices import Pair, Symbol
from services.rules.decide import RuleState, Side
from tests.fakes.alerts import AT, CHANNEL, a_measurement, a_rule_hit, an_alert, an_entry
from tests.fakes.blockkit import checked, shown, view_problems
from tests.handlers.boards import OPEN_AT, a_board, a_channel_rule, open_view

PAIRS = [Pair(etf=Symbol(f"E{n:02}ABCDEFG"), crypto=Symbol(f"C{n:02}ABCDEFG")) for n in range(60)]
LONG_RULE = "252d residual {}.5pp above clear 7.25pp for 350m keep 350m repeat 23h on {}"
RULES = [a_channel_rule(LONG_RULE.format(300 + n, PAIRS[n % 60]), id=1_000 + n) for n in range(200)]
ALERTS = [
    an_alert(
        id=100 + n,
        pair=pair,
        hits=[a_rule_hit(rule_id=n, measurement=a_measurement(pair=pair), rule=f"1d 8pp on {pair}")],
        acknowledged=ActorStamp(by="U0123456789", at=AT),
    )
    for n, pair in enumerate(PAIRS)
]
HITS = [a_rule_hit(rule_id=rule.id, rule=str(rule.rule)) for rule in RULES[:60]]
AUDITS = [
    RuleAudit(
        kind=RuleAuditKind.EDITED,
        rule_id=n,
        by="U1",
        at=AT,
        before=str(RULES[n].rule),
        after=str(RULES[n + 1].rule),
    )
    for n in range(3)
]
RULES_MESSAGE = rules_message(RuleList(rules=tuple(RULES), audits=tuple(AUDITS)), AT)
BOARD_MESSAGE = board_message(a_board(open_view(problems=["p" * 800] * 9), alerts=ALERTS, rules=RULES), OPEN_AT)


def section_texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["text"]["text"] for block in blocks if block["type"] == "section"]


LONG_MESSAGES = [
    pytest.param(RULES_MESSAGE, ["… and ", " more rules\n", "edited by <@U1>"], id="rules"),
    pytest.param(BOARD_MESSAGE, [" earlier open alerts\n:eyes: #", "\nRules: `252d"], id="board"),
    pytest.param(
        alert_message(an_alert(id=9, hits=HITS), AT),
        [" more rules · vs ", "Data OK, as of "],
        id="alert",
    ),
    pytest.param(
        history_message([replace(an_alert(id=n, hits=HITS), closed_at=AT) for n in range(10)], {}, AT),
        ["#0 WGMI ahead of its BTC beta", "#9 WGMI ahead of its BTC beta", "… and 59 more"],
        id="history",
    ),
    pytest.param(
        notice_message(
            Notice(
                id=1,
                channel=CHANNEL,
                name="digest",
                content=Digest(since=AT, until=AT + timedelta(hours=8), reason="quiet hours", alerts=tuple(ALERTS)),
                opened_at=AT,
            )
        ),
        ["Held back from ", "*#100* ", "… and "],
        id="digest",
    ),
    pytest.param(
        audit_message(
            AlertAudit(
                alert=an_alert(id=9, hits=HITS),
                entries=tuple(an_entry(kind=EntryKind.CHANGED, by="U1", reason="r " * 200) for _ in range(20)),
                postings=(),
            ),
            AT,
        ),
        ["8 earlier decisions."],
        id="audit",
    ),
]


@pytest.mark.parametrize(("message", "expected"), LONG_MESSAGES)
def test_a_long_list_is_valid_and_counts_the_lines_left_out(message: Message, expected: list[str]) -> None:
    checked({"text": message.text, "blocks": message.blocks})
    assert [] == [part for part in expected if part not in shown(message)]


@pytest.mark.parametrize(("message", "expected"), LONG_MESSAGES)
def test_no_line_of_a_long_list_is_cut(message: Message, expected: list[str]) -> None:
    assert expected
    assert [] == [text for text in section_texts(message.blocks) if text.endswith("…")]


def test_the_home_tab_fits_ten_busy_channels() -> None:
    summaries = tuple(
        ChannelSummary(
            channel=channel, alerts=tuple(replace(alert, channel=channel) for alert in ALERTS), rules=tuple(RULES)
        )
        for channel in (Channel(team="T1", id=f"C{number}") for number in range(10))
    )
    view = home_view(Overview(view=open_view(), problem="", channels=summaries), OPEN_AT)
    assert [] == view_problems(view)
    rows = [block for block in view["blocks"] if block["type"] == "section" and "> · acknowledged" in str(block)]
    channels = [block for block in view["blocks"] if "accessory" in block]
    assert (ALERTS_SHOWN, 10) == (len(rows), len(channels))
    assert f"… and {10 * len(ALERTS) - ALERTS_SHOWN} more. Type `/minerpulse` in a channel" in str(view["blocks"])
    assert channels[-1]["text"]["text"].endswith(" more")


def test_a_very_long_list_of_rules_is_cut_and_says_so() -> None:
    fired = RuleState(firing=Side.ABOVE, fired_at=OPEN_AT)
    rules = [a_channel_rule(f"1d {n}.55pp above clear 0.1pp for 10m", id=1000 + n, state=fired) for n in range(1, 80)]
    message = rules_message(RuleList(rules=tuple(rules)), OPEN_AT)
    checked({"text": message.text, "blocks": message.blocks})
    listed = sum(f"*{rule.id}*" in message.full_text for rule in rules)

    assert f"… and {len(rules) - listed} more rules" in message.full_text
    assert "`/minerpulse rule edit 1079`" in message.full_text


def test_one_rule_is_singular() -> None:
    message = rules_message(RuleList(rules=(a_channel_rule(),)), OPEN_AT)

    assert "1 rule in this channel. 1: 1d 8pp, OK." == message.text


def test_a_text_over_slacks_section_limit_is_cut() -> None:
    message = text_message("x" * 5_000)
    checked({"text": message.text, "blocks": message.blocks})
    assert message.blocks[0]["text"]["text"].endswith("…")


def test_a_table_has_a_fixed_width_fallback() -> None:
    board = board_message(a_board(open_view()), OPEN_AT)
    (table,) = [block for block in board.blocks if block["type"] == "table"]
    cells = [[cell["text"] for cell in row] for row in table["rows"]]

    shown = checked(monospaced(board)._asdict())

    (fixed,) = [block["text"]["text"] for block in shown["blocks"] if "```" in str(block)]
    lines = fixed.strip("`").splitlines()
    assert cells == [re.split(" {2,}", line) for line in lines]
    assert len({len(line) for line in lines}) == 1
    assert board.text == shown["text"]


def test_a_board_has_two_fallback_forms() -> None:
    board = board_message(a_board(open_view()), OPEN_AT)

    forms = [{block["type"] for block in checked(form._asdict())["blocks"]} for form in fallback_forms(board)]

    assert [{"header", "section", "context", "actions"}, {"section", "actions"}] == forms
