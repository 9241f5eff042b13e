"""Channels with very many rules and alerts: nothing is refused, no line is cut, and what is left out is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handlers.render.alert import alert_message
from handlers.render.board import board_message
from handlers.render.history import audit_message, history_message
from handlers.render.home import home_view
from handlers.render.message import Message
from handlers.render.notices import notice_message
from handlers.render.rules import rules_message
from services.alerting.alert import ActorStamp, EntryKind
from services.alerting.notice import Digest, Notice
from services.alerting.records import AlertAudit, RuleAudit, RuleAuditKind
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.channels.rule_commands import Listing
from services.core.prices import Pair, Symbol
from tests.fakes.alerts import AT, DESK, a_fact, a_measurement, an_alert, an_entry
from tests.fakes.blockkit import checked, view_problems
from tests.handlers.boards import OPEN_AT, a_board, a_watch, open_view

PAIRS = [Pair(etf=Symbol(f"E{n:02}ABCDEFG"), crypto=Symbol(f"C{n:02}ABCDEFG")) for n in range(60)]
LONG = "252d residual {}.5pp above clear 7.25pp for 350m keep 350m repeat 23h on {}"
WATCHES = [a_watch(LONG.format(300 + n, PAIRS[n % 60]), id=1_000 + n) for n in range(200)]
ALERTS = [
    an_alert(
        id=100 + n,
        pair=pair,
        facts=[a_fact(rule_id=n, measurement=a_measurement(pair=pair), rule=f"1d 8pp on {pair}")],
        acknowledged=ActorStamp(by="U0123456789", at=AT),
    )
    for n, pair in enumerate(PAIRS)
]
FACTS = [a_fact(rule_id=watch.id, rule=str(watch.rule)) for watch in WATCHES[:60]]
ACTS = [
    RuleAudit(
        kind=RuleAuditKind.EDITED,
        rule_id=n,
        by="U1",
        at=AT,
        before=str(WATCHES[n].rule),
        after=str(WATCHES[n + 1].rule),
    )
    for n in range(3)
]
LISTED = rules_message(Listing(watches=tuple(WATCHES), acts=tuple(ACTS)), AT)
BOARD = board_message(a_board(open_view(problems=["p" * 800] * 9), alerts=ALERTS, watches=WATCHES), OPEN_AT)


def sections(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["text"]["text"] for block in blocks if block["type"] == "section"]


MANY = [
    pytest.param(LISTED, ["… and ", " more\nAdd one with", "edited by <@U1>"], id="rules"),
    pytest.param(BOARD, [" more open alerts, which began before\nOpen alert: E", "Rules here: `252d"], id="board"),
    pytest.param(
        alert_message(an_alert(id=9, facts=FACTS), AT),
        [" more rules\nOpen since", "Prices of", "Data ok."],
        id="alert",
    ),
    pytest.param(
        history_message([replace(an_alert(id=n, facts=FACTS), closed_at=AT) for n in range(10)], {}),
        ["#0 WGMI above its beta", "#9 WGMI above its beta", "… and 59 more"],
        id="history",
    ),
    pytest.param(
        notice_message(
            Notice(
                id=1,
                channel=DESK,
                name="digest",
                content=Digest(since=AT, until=AT + timedelta(hours=8), why="quiet hours", alerts=tuple(ALERTS)),
                opened_at=AT,
            )
        ),
        ["Silent from", "(alert 100).", "… and "],
        id="digest",
    ),
    pytest.param(
        audit_message(
            AlertAudit(
                alert=an_alert(id=9, facts=FACTS),
                entries=tuple(an_entry(kind=EntryKind.CHANGED, by="U1", reason="r " * 200) for _ in range(20)),
                postings=(),
            ),
            AT,
        ),
        ["8 earlier decisions."],
        id="receipt",
    ),
]


@pytest.mark.parametrize(("message", "told"), MANY)
def test_a_long_list_is_not_refused_and_counts_what_it_leaves_out(message: Message, told: list[str]) -> None:
    checked({"text": message.text, "blocks": message.blocks})
    assert [] == [part for part in told if part not in message.text]


@pytest.mark.parametrize(("message", "told"), MANY)
def test_no_line_of_a_long_list_is_cut(message: Message, told: list[str]) -> None:
    assert told
    assert [] == [text for text in sections(message.blocks) if text.endswith("…")]


def test_a_choice_has_no_option_that_slack_refuses() -> None:
    tiny = [a_watch(f"1d 0.{'0' * 200}1pp"), a_watch("1d 9pp", id=2)]
    message = rules_message(Listing(watches=tuple(tiny)), AT)
    checked({"text": message.text, "blocks": message.blocks})
    (row,) = [block for block in message.blocks if block["type"] == "actions"]
    assert ["2:1d 9pp"] == [option["value"] for option in row["elements"][1]["options"]]


def test_a_choice_of_nothing_is_left_out() -> None:
    tiny = [a_watch(f"1d 0.{'0' * (200 + n)}1pp", id=n) for n in range(2)]
    (row,) = [block for block in rules_message(Listing(watches=tuple(tiny)), AT).blocks if block["type"] == "actions"]
    assert ["add_rule"] == [element["action_id"] for element in row["elements"]]


def test_home_has_room_for_ten_busy_channels() -> None:
    place = ChannelSummary(channel=DESK, alerts=tuple(ALERTS), watches=tuple(WATCHES))
    view = home_view(Overview(view=open_view(), problem="", places=(place,) * 10), OPEN_AT)
    assert [] == view_problems(view)
    last = view["blocks"][-1]["text"]["text"]
    assert " more open alerts, which began before\nOpen alert 157" in last
    assert "Open alert 159" in last
    assert last.endswith(" more.")
