"""The rule editor as a form, with what its rule would have done below the fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handlers.render import fmt
from handlers.render.alert_text import meaning
from handlers.render.form_fields import choice_field, modal, text_field, tick_field
from handlers.render.limits import OPTION_TEXT, OPTION_VALUE, OPTIONS, OPTIONS_TEXT, clip
from handlers.render.markup import code, conversation, reason, simulated
from handlers.render.message import Block, Message, button, choice, note, text_message
from handlers.rule_form import About, RuleForm
from services.core.prices import Pair
from services.market.measure import METRICS, Metric, Window
from services.research.preview import RulePreview
from services.rules.rule import Direction

ADD, EDIT = "Add a rule", "Edit rule"

WINDOWS = {
    Window.D1.value: "1d: since the prior close",
    Window.D5.value: "5d: 5 sessions",
    Window.D20.value: "20d: 20 sessions",
    Window.D60.value: "60d: 60 sessions",
    Window.D252.value: "252d: 252 sessions",
    Window.YTD.value: "ytd: since the last close of the prior year",
}
METRIC = {
    Metric.SPREAD.value: "spread: the ETF's return less bitcoin's",
    Metric.RESIDUAL.value: "residual: less beta times bitcoin's",
    Metric.Z.value: "z: the spread in robust standard deviations",
    Metric.GAP.value: "gap: implied for the next open",
    Metric.DRAWDOWN.value: "drawdown: bitcoin below its highest close",
    Metric.HASHPRICE.value: "hashprice: its change, without fees",
    Metric.DIFFICULTY.value: "difficulty: its change",
}
DIRECTIONS = {
    Direction.EITHER.value: "either side",
    Direction.ABOVE.value: "above: only where the ETF is ahead, or it rose",
    Direction.BELOW.value: "below: only where it is behind, or it fell",
}
NAMES = {
    "threshold": "Threshold",
    "direction": "Direction",
    "clear": "Clear level",
    "hold": "Hold",
    "at_close": "At close",
    "more": "More",
    "pair": "Pair",
}


def editor_modal(draft: RuleForm, about: About, pair: Pair, preview: Message) -> dict[str, Any]:
    """Make the form; `pair` is what a rule is about that names none.

    The preview comes first: on a phone, what is below nine fields is not seen while they are filled in.
    """
    editing = about.rule_id is not None
    where = [note(f"Alerts of this rule come to {conversation(about.channel)}.")]
    return modal(
        "rule_editor",
        f"Edit rule {about.rule_id}" if editing else "Add a rule",
        [block for block in (*preview.blocks, *where, *_fields(draft, pair)) if block is not None],
        submit="Save" if editing else "Add",
        carries=about.written(),
    )


def result_modal(told: Message) -> dict[str, Any]:
    """Make what stands in the place of a form that is of no more use."""
    return modal("outcome", "MinerPulse", told.blocks, close="Close")


def preview_pending_message() -> Message:
    """Tell that the preview is on its way."""
    return text_message("Trying it on the last two years …")


def unreadable_fields_message(faults: Mapping[str, str]) -> Message:
    """Tell which fields cannot be read yet."""
    return text_message(*(f"{NAMES[field]}: {reason(fault)}." for field, fault in faults.items()))


def preview_message(told: RulePreview) -> Message:
    """Tell how a rule reads, and how often it would have fired."""
    return text_message(f"{code(str(told.rule))} {meaning(told.rule)}.", simulated(_past(told), when=told.simulated))


def _past(told: RulePreview) -> str:
    if told.since is None or told.until is None:
        return f"What it would have done cannot be told: {reason(told.reason)}."
    times = {0: "not once", 1: "once"}.get(told.fired, f"{told.fired} times")
    span = f"from {fmt.full_day(told.since)} to {fmt.full_day(told.until)}"
    fired = f"Would have fired *{times}* {span}, at session closes"
    if told.last is None:
        return f"{fired}."
    value = fmt.reading(told.last.value, METRICS[told.rule.metric].unit)
    return f"{fired}; last on {fmt.full_day(told.last.session)}, at {value}."


def _fields(draft: RuleForm, pair: Pair) -> list[Block]:
    return [
        choice_field("window", "Window", WINDOWS, draft.window, hint="Gap and drawdown have none."),
        choice_field("metric", "Metric", METRIC, draft.metric),
        text_field(
            "threshold", "Threshold", draft.threshold, hint="8pp for spread and residual, 3.5 for z, 5% for the others."
        ),
        choice_field("direction", "Direction", DIRECTIONS, draft.direction),
        text_field("clear", "Ends below", draft.clear, optional=True, hint="60% of the threshold where it is empty."),
        text_field("hold", "Held for", draft.hold, optional=True, hint="As in 90s, 10m or 1h; 5m where it is empty."),
        tick_field("at_close", "Decide", "at close", "Once, at the session's close; nothing is held.", draft.at_close),
        text_field(
            "pair", "Pair", draft.pair, optional=True, typing=False, hint=f"{pair} where it is empty; as in MARA/BTC."
        ),
        text_field("more", "More", draft.more, optional=True, hint="What else the grammar of rules knows."),
    ]


def add_button() -> Block:
    """Make the button for a new rule."""
    return button("add_rule", ADD, "rule")


def edit_button(rules: Mapping[int, str]) -> Block | None:
    """Make a button for one rule, a choice of several, by number and text; each carries both. None without any."""
    carried = {f"{number}:{text}": clip(f"{number}: {text}", OPTION_TEXT) for number, text in rules.items()}
    match list(carried):
        case []:
            return None
        case [alone]:
            return button("edit_rule", EDIT, alone)
        case several:
            offered = dict(_fitting(several, carried))
            return choice("edit_rule", EDIT, offered) if offered else None


def _fitting(values: list[str], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Offer what Slack takes of a choice; the others are changed by their number."""
    room = OPTIONS_TEXT
    for value in values[:OPTIONS]:
        room -= len(value) + len(labels[value])
        if room >= 0 and len(value) <= OPTION_VALUE:
            yield value, labels[value]
