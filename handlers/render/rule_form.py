"""The rule editor as a modal, with a preview of what the rule would have done."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from handlers.render import fmt
from handlers.render.alert_text import describe_rule
from handlers.render.form_fields import checkbox_field, modal, select_field, text_field
from handlers.render.market import LOADING
from handlers.render.markup import channel_link, code, mark_simulated, reason
from handlers.render.message import Block, Message, context, text_message
from handlers.render.rules import overlap_sentence
from handlers.rule_form import FIELDS_WITHOUT_ERRORS, FormContext, RuleForm
from services.alerting.ports import ChannelRule
from services.core.prices import Pair
from services.core.rows import complete
from services.market.measure import Window
from services.market.metrics import METRICS, Direction, Unit
from services.research.service import RulePreview

WINDOW_LABELS = complete(
    "WINDOW_LABELS",
    [window.value for window in Window],
    {
        Window.D1.value: "1d: since the prior close",
        Window.D5.value: "5d: 5 sessions",
        Window.D20.value: "20d: 20 sessions",
        Window.D60.value: "60d: 60 sessions",
        Window.D252.value: "252d: 252 sessions",
        Window.YTD.value: "ytd: since the last close of the prior year",
    },
)
DIRECTION_LABELS = complete(
    "DIRECTION_LABELS",
    [direction.value for direction in Direction],
    {
        Direction.EITHER.value: "either side",
        Direction.ABOVE.value: "above: only if the ETF is ahead, or it rose",
        Direction.BELOW.value: "below: only if it is behind, or it fell",
    },
)
FIELD_LABELS = complete(
    "FIELD_LABELS",
    [one.name for one in fields(RuleForm) if one.name not in FIELDS_WITHOUT_ERRORS],
    {
        "threshold": "Threshold",
        "direction": "Direction",
        "clear": "Clear level",
        "hold": "Hold",
        "at_close": "At close",
        "more": "More",
        "pair": "Pair",
    },
)


def editor_modal(form: RuleForm, form_context: FormContext, pair: Pair, preview: Message) -> dict[str, Any]:
    """Return the editor; `pair` is the default of rules that name none.

    The preview comes first: on a phone, nothing below nine fields is visible while they are filled in.
    """
    editing = form_context.rule_id is not None
    channel_note = [context(f"Alerts of this rule come to {channel_link(form_context.channel)}.")]
    return modal(
        "rule_editor",
        f"Edit rule {form_context.rule_id}" if editing else "Add a rule",
        [block for block in (*preview.blocks, *channel_note, *_fields(form, pair)) if block is not None],
        submit="Save" if editing else "Add",
        private_metadata=form_context.to_json(),
    )


def preview_pending_message() -> Message:
    """Return that the preview is being computed."""
    return text_message("Trying it on all sessions since the listing …")


def unreadable_fields_message(errors: Mapping[str, str]) -> Message:
    """Return which fields cannot be parsed yet, and why."""
    return text_message(*(f"{FIELD_LABELS[field]}: {reason(error)}." for field, error in errors.items()))


def preview_message(preview: RulePreview, overlaps: Sequence[ChannelRule] = ()) -> Message:
    """Return what a rule means, how often it would have fired, and which other rules it overlaps."""
    return text_message(
        f"{code(str(preview.rule))} {describe_rule(preview.rule)}.",
        mark_simulated(_track_record(preview), when=preview.simulated),
        *([overlap_sentence(overlaps)] if overlaps else []),
    )


def _track_record(preview: RulePreview) -> str:
    if preview.since is None or preview.until is None:
        return f"There is no track record: {reason(preview.reason)}."
    times = {0: "not once", 1: "once"}.get(preview.firings, f"{preview.firings} times")
    span = f"from {fmt.full_day(preview.since)} to {fmt.full_day(preview.until)}"
    span = f"{span} ({LOADING})" if preview.loading else span
    text = f"Would have fired *{times}* {span}, at session closes"
    if preview.last_firing is None:
        return f"{text}."
    value = fmt.metric_value(preview.last_firing.value, preview.rule.metric.unit)
    return f"{text}; last on {fmt.full_day(preview.last_firing.session)}, at {value}."


def _fields(form: RuleForm, pair: Pair) -> list[Block]:
    return [
        select_field("window", "Window", WINDOW_LABELS, form.window, hint=_window_hint()),
        select_field("metric", "Metric", {one.name: one.label for one in METRICS.values()}, form.metric),
        text_field("threshold", "Threshold", form.threshold, hint=_threshold_hint()),
        select_field("direction", "Direction", DIRECTION_LABELS, form.direction),
        text_field(
            "clear",
            "Ends below",
            form.clear,
            optional=True,
            hint="60% of the threshold if empty; a level ends 0.1 behind it.",
        ),
        text_field("hold", "Held for", form.hold, optional=True, hint="As in 90s, 10m or 1h; 5m if empty."),
        checkbox_field(
            "at_close", "Decide", "at close", "Once, at the session's close; nothing is held.", form.at_close
        ),
        text_field(
            "pair",
            "Pair",
            form.pair,
            optional=True,
            per_keystroke=False,
            hint=f"{pair} if empty; as in MARA/BTC.",
        ),
        text_field("more", "More", form.more, optional=True, hint="Anything else that a rule can have."),
    ]


def _window_hint() -> str:
    names = _and([metric.name for metric in METRICS.values() if not metric.windowed])
    return f"{names[:1].upper()}{names[1:]} have none."


def _threshold_hint() -> str:
    """Return what to type in each unit, as in `8pp for spread and residual, 5% for gap`."""
    by_unit: dict[Unit, list[str]] = {}
    for metric in METRICS.values():
        by_unit.setdefault(metric.unit, []).append(metric.name)
    return ", ".join(f"{unit.example} for {_and(names)}" for unit, names in by_unit.items()) + "."


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
