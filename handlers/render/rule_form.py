"""The rule editor as a modal, with a preview of what the rule would have done."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from handlers.render import fmt
from handlers.render.form_fields import modal, select_field, text_field
from handlers.render.markup import channel_link, code
from handlers.render.message import Message, actions, button, compose, context, section, text_message
from handlers.render.reasons import reason
from handlers.render.rules import overlap_sentence, record_lines, record_warning
from handlers.rule_form import AT_CLOSE, FIELDS_WITHOUT_ERRORS, LIVE, FormContext, RuleForm
from services.alerting.ports import ChannelRule
from services.core.prices import Pair
from services.core.rows import complete
from services.core.text import counted
from services.market.measure import Window
from services.market.metrics import METRICS, Direction, Unit
from services.research.service import RulePreview
from services.research.tune import RuleDiff
from services.rules.rule import DEFAULT_CLEAR_RATIO, DEFAULT_HOLD, levels_of

PERCENT = 100
WINDOW_LABELS = complete(
    "WINDOW_LABELS",
    [window.value for window in Window],
    {
        Window.D1.value: "1 session (since the prior close)",
        Window.D5.value: "5 sessions",
        Window.D20.value: "20 sessions",
        Window.D60.value: "60 sessions",
        Window.D252.value: "252 sessions",
        Window.YTD.value: "Year to date",
    },
)
DIRECTION_LABELS = complete(
    "DIRECTION_LABELS",
    [direction.value for direction in Direction],
    {
        Direction.EITHER.value: "Either",
        Direction.ABOVE.value: "Above: ETF outperforms, or value is higher",
        Direction.BELOW.value: "Below: ETF underperforms, or value is lower",
    },
)
EVALUATE_LABELS = {LIVE: "Live, after a hold", AT_CLOSE: "Once, at the session close"}
FIELD_LABELS = complete(
    "FIELD_LABELS",
    [one.name for one in fields(RuleForm) if one.name not in FIELDS_WITHOUT_ERRORS],
    {"threshold": "Threshold", "direction": "Direction", "evaluate": "Evaluate", "options": "Options"},
)


def editor_offer(text: str, rule_id: int | None) -> Message:
    """Return a button that opens the editor, for a new rule or for one with its text."""
    if rule_id is None:
        line, open_button = "Add a rule in the editor.", button("add_rule", "Open Editor", "new", primary=True)
    else:
        line = f"Edit rule {rule_id} {code(text)} in the editor."
        open_button = button("edit_rule", "Open Editor", f"{rule_id}:{text}", primary=True)
    return compose([section(line), actions(open_button)], [line])


def editor_modal(
    form: RuleForm, form_context: FormContext, pair: Pair, preview: Message, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the editor; `pair` is the default of rules that name none.

    The preview and its notes come first: on a phone, nothing below the fields is visible while they are filled in.
    """
    editing = form_context.rule_id is not None
    facts = [*notes, f"posts to {channel_link(form_context.channel)}"]
    small_print = context(" · ".join([f"{facts[0][:1].upper()}{facts[0][1:]}", *facts[1:]]))
    return modal(
        "rule_editor",
        f"Edit rule {form_context.rule_id}" if editing else "Add rule",
        [block for block in (*preview.blocks, small_print, *_fields(form, pair)) if block is not None],
        submit="Save Rule" if editing else "Add Rule",
        private_metadata=form_context.to_json(),
    )


def preview_pending_message() -> Message:
    """Return that the preview is being computed."""
    return text_message("*Preview:* running the backtest…")


def unreadable_fields_message(errors: Mapping[str, str]) -> Message:
    """Return which fields cannot be parsed yet, and why."""
    return text_message(*(f"*{FIELD_LABELS[field]}:* {reason(error).rstrip('.')}." for field, error in errors.items()))


def preview_message(preview: RulePreview, overlaps: Sequence[ChannelRule] = ()) -> Message:
    """Return how often a rule would have fired, its value at the last close, and which other rules it overlaps."""
    first, *rest = record_lines(preview)
    return text_message(
        f"*Preview:* {code(str(preview.rule))}",
        " ".join([first, *rest, *_latest(preview)]),
        record_warning(preview),
        *([overlap_sentence(overlaps)] if overlaps else []),
    )


def preview_notes(preview: RulePreview) -> list[str]:
    """Return what a preview rests on, and how the rule differs from the saved one."""
    if preview.since is None:
        return []
    differs = [] if preview.against is None else [_difference(preview.against)]
    return [*differs, "tested on session closes"]


def _latest(preview: RulePreview) -> list[str]:
    if preview.value is None:
        return []
    levels = levels_of(preview.rule)
    is_past = levels.is_above(preview.value) or levels.is_below(preview.value)
    state = "past the threshold" if is_past else "OK"
    return [f"Latest close: {fmt.metric_value(preview.value, preview.rule.unit)}, {state}."]


def _difference(diff: RuleDiff) -> str:
    """Return how many alerts more and fewer than the saved rule a rule would have had."""
    more, fewer, saved = len(diff.added), len(diff.removed), code(str(diff.against))
    if not more and not fewer:
        return f"the same alerts as the saved rule {saved}"
    added = counted(more, "alert") if more else "no alerts"
    return f"compared with the saved rule {saved}: {added} added, {fewer or 'none'} dropped"


def _fields(form: RuleForm, pair: Pair) -> list[dict[str, Any]]:
    return [
        select_field("metric", "Metric", {one.name: one.label for one in METRICS.values()}, form.metric),
        select_field("window", "Window", WINDOW_LABELS, form.window, hint=_window_hint()),
        text_field("threshold", "Threshold", form.threshold, hint=_threshold_hint()),
        select_field("direction", "Direction", DIRECTION_LABELS, form.direction),
        select_field("evaluate", "Evaluate", EVALUATE_LABELS, form.evaluate),
        text_field("options", "Options", form.options, optional=True, hint=_options_hint(pair)),
    ]


def _window_hint() -> str:
    return f"Not used for {_listed([metric.name for metric in METRICS.values() if not metric.windowed], 'and')}."


def _threshold_hint() -> str:
    """Return what to type in each unit, as in `8pp for spread or residual, 5% for the others`."""
    by_unit: dict[Unit, list[str]] = {}
    for metric in METRICS.values():
        by_unit.setdefault(metric.unit, []).append(metric.name)
    commonest = max(by_unit, key=lambda unit: len(by_unit[unit]))
    rest = [f"{unit.example} for {_listed(names, 'or')}" for unit, names in by_unit.items() if unit is not commonest]
    return f"{', '.join(rest)}, {commonest.example} for the others."


def _options_hint(pair: Pair) -> str:
    share = f"{PERCENT * DEFAULT_CLEAR_RATIO:.0f}%"
    hold = fmt.duration(DEFAULT_HOLD)
    return (
        "For example: clear 7pp for 10m keep 15m repeat 1h on MARA/BTC. "
        f"Defaults: clear at {share} of the threshold (0.1 from it for correlation and beta), hold {hold}, {pair}."
    )


def _listed(names: Sequence[str], word: str) -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last
