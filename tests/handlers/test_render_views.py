from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from handlers.render.home import home_view, market_modal, welcome_message
from handlers.render.message import Message
from handlers.render.rule_form import editor_modal, preview_message, preview_pending_message
from handlers.rule_form import About, RuleForm, empty
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.core.prices import WGMI_BTC
from services.research.preview import RulePreview
from services.rules.decide import Change, Side
from services.rules.grammar import parse_rule
from services.rules.replay import Step
from tests.fakes.alerts import AT, DESK, an_alert
from tests.handlers.boards import OPEN_AT, a_watch, open_view

GoldenView = Callable[[str, dict[str, Any]], None]


ABOUT = About(channel="C1", answers_to="https://hooks.slack.com/commands/1", rule_id=None)
LAST = Step(
    session=date(2026, 3, 2),
    to=Change.FIRING,
    side=Side.ABOVE,
    value=0.091,
    spread=0.091,
    etf_return=0.08,
    crypto_return=-0.011,
    reason="9.1pp is past 8pp",
)
TRIED = RulePreview(
    rule=parse_rule("1d 8pp"), since=date(2024, 11, 18), until=date(2026, 11, 16), fired=9, last=LAST, simulated=False
)


def test_the_editor_with_its_preview(golden_view: GoldenView) -> None:
    golden_view("editor_new", editor_modal(empty(), ABOUT, WGMI_BTC, preview_message(TRIED)))


def test_the_editor_of_a_rule_with_every_field_filled_in(golden_view: GoldenView) -> None:
    rule = parse_rule("20d residual 10pp below clear 7pp for 10m on MARA/BTC")
    about = About(channel="C1", answers_to="", rule_id=3)
    golden_view(
        "editor_edit",
        editor_modal(RuleForm.of(rule, usual=WGMI_BTC), about, WGMI_BTC, preview_pending_message()),
    )


def test_a_preview_counts_as_people_do() -> None:
    told = [
        preview_message(RulePreview(rule=TRIED.rule, since=TRIED.since, until=TRIED.until, fired=fired)).text
        for fired in (0, 1, 2)
    ]
    assert ["*not once*", "*once*", "*2 times*"] == [text.split("fired ")[1].split(" from")[0] for text in told]


def test_a_simulated_preview_says_so() -> None:
    told = preview_message(RulePreview(rule=TRIED.rule, since=TRIED.since, until=TRIED.until, simulated=True))
    assert "SIMULATED: Would have fired" in told.text


def test_home_of_someone_with_channels(golden_view: GoldenView) -> None:
    place = ChannelSummary(channel=DESK, alerts=(an_alert(id=12),), watches=(a_watch(), a_watch("5d 15pp", id=2)))
    golden_view("home", home_view(Overview(view=open_view(), problem="", places=(place,)), OPEN_AT))


def test_home_before_any_prices_says_why_and_how_to_begin(golden_view: GoldenView) -> None:
    told = home_view(Overview(view=None, problem="No WGMI prices yet. Yahoo: answered 503.", places=()), AT)
    golden_view("home_first", told)


def test_a_welcome(golden: Callable[[str, Message], None]) -> None:
    golden("welcome", welcome_message(WGMI_BTC, [], is_simulated=False))


def test_a_board_by_shortcut_says_when_it_is_simulated(golden_view: GoldenView) -> None:
    view = market_modal(open_view(simulated=True), OPEN_AT)
    golden_view("board_by_shortcut", view)
    assert view["blocks"][0]["text"]["text"].startswith("SIMULATED: ")
