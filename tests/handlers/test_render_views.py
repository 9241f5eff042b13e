from datetime import date

from handlers.render.home import home_view, market_modal, welcome_message
from handlers.render.rule_form import editor_modal, preview_message, preview_pending_message
from handlers.rule_form import FormContext, RuleForm, default_form
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.core.prices import WGMI_BTC
from services.core.reason import Code, Reason
from services.research.service import RulePreview
from services.rules.decide import Change, Side
from services.rules.grammar import parse_rule
from services.rules.replay import Step
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.handlers.boards import OPEN_AT, a_channel_rule, open_view
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
    firings=9,
    last_firing=LAST,
    simulated=False,
)


def test_the_editor_with_its_preview(golden_view: GoldenView) -> None:
    golden_view("editor_new", editor_modal(default_form(), CONTEXT, WGMI_BTC, preview_message(PREVIEW)))


def test_the_editor_of_a_rule_with_every_field_filled_in(golden_view: GoldenView) -> None:
    rule = parse_rule("20d residual 10pp below clear 7pp for 10m on MARA/BTC")
    form_context = FormContext(channel="C1", response_url="", rule_id=3)
    golden_view(
        "editor_edit",
        editor_modal(
            RuleForm.from_rule(rule, default_pair=WGMI_BTC), form_context, WGMI_BTC, preview_pending_message()
        ),
    )


def test_a_preview_shows_the_firings_as_words() -> None:
    texts = [
        preview_message(RulePreview(rule=PREVIEW.rule, since=PREVIEW.since, until=PREVIEW.until, firings=fired)).text
        for fired in (0, 1, 2)
    ]
    assert ["*not once*", "*once*", "*2 times*"] == [text.split("fired ")[1].split(" from")[0] for text in texts]


def test_a_simulated_preview_is_marked() -> None:
    message = preview_message(RulePreview(rule=PREVIEW.rule, since=PREVIEW.since, until=PREVIEW.until, simulated=True))
    assert "SIMULATED: Would have fired" in message.text


def test_the_home_tab_of_a_user_with_channels(golden_view: GoldenView) -> None:
    summary = ChannelSummary(
        channel=CHANNEL, alerts=(an_alert(id=12),), rules=(a_channel_rule(), a_channel_rule("5d 15pp", id=2))
    )
    golden_view("home", home_view(Overview(view=open_view(), problem="", channels=(summary,)), OPEN_AT))


def test_the_home_tab_without_prices_says_why_and_how_to_start(golden_view: GoldenView) -> None:
    view = home_view(Overview(view=None, problem="No WGMI prices yet. Yahoo: answered 503.", channels=()), AT)
    golden_view("home_first", view)


def test_the_welcome_message(golden: Golden) -> None:
    golden("welcome", welcome_message(WGMI_BTC, [], simulated=False))


def test_the_board_by_shortcut_marks_simulated_prices(golden_view: GoldenView) -> None:
    view = market_modal(open_view(simulated=True), OPEN_AT)
    golden_view("board_by_shortcut", view)
    assert view["blocks"][0]["text"]["text"].startswith("SIMULATED: ")
