from dataclasses import replace
from datetime import date

import pytest

from handlers.render.home import home_view, market_modal, welcome_message
from handlers.render.rule_form import editor_modal, preview_message, preview_notes, preview_pending_message
from handlers.rule_form import FormContext, RuleForm, default_form
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.reason import Code, Reason
from services.research.service import RulePreview
from services.research.tune import RuleDiff
from services.rules.decide import Change, Side
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from services.rules.replay import Step
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.fakes.blockkit import shown, view_problems
from tests.handlers.boards import OPEN_AT, a_channel_rule, closes, open_view, shut_view
from tests.handlers.conftest import Golden, GoldenView

CONTEXT = FormContext(channel="C1", response_url="https://hooks.slack.com/commands/1", rule_id=None)
LAST = Step(
    session=date(2026, 3, 2),
    change=Change.FIRING,
    side=Side.ABOVE,
    value=0.091,
    spread=0.091,
    etf_return=0.08,
    crypto_return=-0.011,
    reason=Reason.of(Code.RULE_PAST_THRESHOLD, value=0.091, threshold=0.08, unit="pp", held_s=0.0, at_close=False),
)
PREVIEW = RulePreview(
    rule=parse_rule("1d 8pp"),
    since=date(2024, 11, 18),
    until=date(2026, 11, 16),
    sessions=504,
    fired_on=tuple(date(2026, month, 2) for month in range(1, 10)),
    median_length=6,
    last_firing=LAST,
    value=-0.046,
    simulated=False,
)


def test_the_editor_with_its_preview(golden_view: GoldenView) -> None:
    golden_view(
        "editor_new", editor_modal(default_form(), CONTEXT, WGMI_BTC, preview_message(PREVIEW), preview_notes(PREVIEW))
    )


def test_the_editor_of_a_rule_with_every_field_filled_in(golden_view: GoldenView) -> None:
    rule, saved = (parse_rule(f"20d residual {level} clear 7pp on MARA/BTC") for level in ("10pp below", "12pp below"))
    form_context = FormContext(channel="C1", response_url="", rule_id=3)
    diff = RuleDiff(against=saved, added=PREVIEW.fired_on[:3], removed=())
    last = replace(LAST, side=Side.BELOW, value=-0.112)
    preview = replace(PREVIEW, rule=rule, against=diff, last_firing=last)
    form = RuleForm.from_rule(rule, default_pair=WGMI_BTC)
    golden_view(
        "editor_edit", editor_modal(form, form_context, WGMI_BTC, preview_message(preview), preview_notes(preview))
    )


def test_the_editor_waits_for_its_preview() -> None:
    view = editor_modal(default_form(), CONTEXT, WGMI_BTC, preview_pending_message())

    assert [] == view_problems(view)
    assert "running the backtest" in str(view["blocks"][0])
    assert "'Posts to <#C1>'" in str(view["blocks"][1])


def test_a_preview_shows_the_firings_as_words() -> None:
    texts = [shown(preview_message(replace(PREVIEW, fired_on=PREVIEW.fired_on[:fired]))) for fired in (0, 1, 2)]
    expected = ["Would *never* have fired in 2 years", "Would have fired *once*", "Would have fired *2 times*"]
    assert [True] * 3 == [words in text for words, text in zip(expected, texts, strict=True)]


@pytest.mark.parametrize(
    ("fired", "sessions", "expected"),
    [
        pytest.param(0, 504, "This rule may never fire.", id="never"),
        pytest.param(0, 100, "", id="too short a history"),
        pytest.param(9, 504, "", id="usual"),
        pytest.param(201, 504, "That is more than 100 alerts a year.", id="very often"),
    ],
)
def test_an_unusual_rate_is_a_warning(fired: int, sessions: int, expected: str) -> None:
    text = shown(preview_message(replace(PREVIEW, fired_on=(LAST.session,) * fired, sessions=sessions)))

    assert ("warning" in text) == bool(expected)
    assert expected in text


def test_a_saved_rule_with_the_same_alerts_is_named() -> None:
    diff = RuleDiff(against=parse_rule("1d 8.1pp"), added=(), removed=())

    assert "the same alerts as the saved rule `1d 8.1pp`" == preview_notes(replace(PREVIEW, against=diff))[0]
    assert [] == preview_notes(RulePreview(rule=PREVIEW.rule, reason="no prices"))


def test_a_simulated_preview_is_marked() -> None:
    assert "SIMULATED · Would have fired" in preview_message(replace(PREVIEW, simulated=True)).text


def test_the_home_tab_of_a_user_with_channels(golden_view: GoldenView) -> None:
    summary = ChannelSummary(
        channel=CHANNEL,
        alerts=(replace(an_alert(id=12), permalink="https://desk.slack.com/archives/C1/p1794929700000100"),),
        rules=(a_channel_rule(), a_channel_rule("5d 15pp", id=2)),
    )
    golden_view("home", home_view(Overview(view=open_view(), problem="", channels=(summary,)), OPEN_AT))


def test_the_home_tab_without_prices_says_why_and_how_to_start(golden_view: GoldenView) -> None:
    view = home_view(
        Overview(view=None, problem="No WGMI prices yet. Yahoo (WGMI): HTTP 503 Service Unavailable.", channels=()), AT
    )
    golden_view("home_first", view)


def home_texts(view: MarketView) -> str:
    shown = home_view(Overview(view=view, problem="", channels=()), view.now)
    return str(shown["blocks"]).replace("\\xa0", " ")


def test_home_outside_sessions_shows_the_close_and_the_implied_gap() -> None:
    text = home_texts(shut_view())
    assert "Market closed, opens <!date^" in text
    assert "· close of Mon Nov 16 · Data OK" in text
    assert "BTC *+2.0%* since WGMI's close · implied WGMI gap *+" in text


def test_home_in_a_session_without_a_live_spread_says_why() -> None:
    view = replace(open_view(), live=None, live_reason="no WGMI trade yet")
    assert "no live spread: no WGMI trade yet · close of Mon Nov 16" in home_texts(view)


def test_home_with_a_short_history_leaves_windows_empty() -> None:
    assert "*20 sessions*  –" in home_texts(open_view(market=closes(10)))


def test_the_welcome_message(golden: Golden) -> None:
    golden("welcome", welcome_message(WGMI_BTC, [], simulated=False))
    mara = Pair(etf=Symbol("MARA"), crypto=Symbol("BTC"))
    assert "the bitcoin mining ETF" not in shown(welcome_message(mara, [], simulated=False))
    back = shown(welcome_message(WGMI_BTC, ["1d 8pp"], simulated=True))
    assert "SIMULATED · MinerPulse alerts on WGMI and BTC are posted here again." in back
    assert "Rules: `1d 8pp`." in back


def test_the_board_by_shortcut_marks_simulated_prices(golden_view: GoldenView) -> None:
    view = market_modal(open_view(simulated=True))
    golden_view("board_by_shortcut", view)
    assert view["blocks"][0]["text"]["text"].startswith("SIMULATED · ")
