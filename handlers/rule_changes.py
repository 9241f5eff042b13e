"""Change a channel's rules: typed, tuned, or in the rule editor, which previews a rule as it is edited."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from handlers.render.form_fields import result_modal
from handlers.render.markup import code
from handlers.render.message import Message, stack, text_message
from handlers.render.responses import error_message
from handlers.render.rule_form import (
    editor_modal,
    editor_offer,
    preview_message,
    preview_notes,
    preview_pending_message,
    unreadable_fields_message,
)
from handlers.render.rules import alerts_started_message, rule_added_message, rule_edited_message
from handlers.render.tune import TuneOffer, tune_message
from handlers.request import Form, Reply, Request
from handlers.rule_form import FormContext, RuleForm, default_form
from handlers.slack_errors import translate_slack_error
from services.channels.rule_commands import overlaps_of
from services.channels.rule_placement import find_placement
from services.core.errors import DeliveryError, MinerPulseError
from services.core.prices import Pair
from services.research.service import RulePreview
from services.research.tune import parse_target
from services.rules.grammar import parse_rule
from services.rules.rule import EXAMPLE

EDITOR_EXAMPLE = "5d 15pp"
RULE_GONE = "Nothing was changed. `/minerpulse rules` shows the rules, and `/minerpulse rule add` adds a new one."
log = logging.getLogger(__name__)


async def add_rule(request: Request, text: str) -> Message:
    """Add the rule and return the confirmation, with how often the rule would have fired.

    The first rule of a channel is announced there, which proves that the app can post. If that fails, the confirmation
    says why.
    """
    added = await request.commands.add_rule(request.channel, text, request.user_id)
    if not added.created:
        return rule_added_message(added)
    message = rule_added_message(added, await _preview_of(request, str(added.channel_rule.rule)))
    if len(await request.commands.rules(request.channel)) > 1:
        return message
    try:
        await announce_alerts(request, [str(added.channel_rule.rule)], added.channel_rule.rule.pair)
    except DeliveryError as error:
        return stack(message, _announcement_failed(error))
    return message


async def _preview_of(request: Request, text: str) -> RulePreview | None:
    """Return how often a rule would have fired; None if there are no prices, as the rule is saved all the same."""
    try:
        return await request.commands.preview(text)
    except MinerPulseError as error:
        log.warning("no preview of an added rule: %s", error)
        return None


async def edit_rule_text(request: Request, rule_id: int, text: str) -> Message:
    """Replace a rule by the given text, and return the confirmation."""
    return rule_edited_message(await request.commands.edit_rule(request.channel, rule_id, text, request.user_id))


def _announcement_failed(error: DeliveryError) -> Message:
    """Return why the channel wasn't notified; a transient error needs no action because the rule is stored."""
    if error.permanent:
        return error_message(error)
    return text_message(f"The rule is saved, but the channel wasn't notified: {error} You don't need to do anything.")


async def announce_alerts(request: Request, rules: Sequence[str], pair: Pair) -> None:
    """Post that rules on a pair start here. Raises DeliveryError, which says who can help if the app can't post."""
    simulated = request.commands.market.history.simulated
    await request.post(alerts_started_message(pair, rules, request.user_id, simulated=simulated))


async def preview_tuning(request: Request, rate: str) -> Message:
    """Find the rule for a target rate; return what it would change here, with a button that applies it."""
    target = parse_target(rate, parse_rule(EXAMPLE, request.research.pair))
    rules = await request.commands.rules(request.channel)
    result = await request.research.tune(target, [rule.rule for rule in rules], request.now)
    return tune_message(result, TuneOffer(placement=find_placement(rules, result.tuned.rule), target=rate))


async def open_editor(request: Request, text: str = "", rule_id: int | None = None) -> Reply | None:
    """Open the editor with a rule, or the usual one, then preview it.

    If Slack doesn't open it, usually because the trigger expired after three seconds, return the command to type
    instead. A mention of the app has no trigger; its reply is a button that opens the editor.
    """
    if not request.trigger_id:
        return Reply(message=editor_offer(text, rule_id))
    pair = request.commands.pair
    rule_form = RuleForm.from_rule(parse_rule(text), default_pair=pair) if text else default_form()
    context = FormContext(channel=request.channel.id, response_url=request.response_url, rule_id=rule_id)
    view = editor_modal(rule_form, context, pair, preview_pending_message())
    try:
        with translate_slack_error():
            opened = await request.client.views_open(trigger_id=request.trigger_id, view=view)
    except DeliveryError as error:
        log.warning("the rule editor did not open: %s", error)
        return Reply(message=stack(error_message(error), _command_hint(text, rule_id)))
    opened_view: dict[str, Any] = opened.get("view") or {}
    await request.view_updates.update(
        request.client,
        str(opened_view.get("id")),
        str(opened_view.get("hash")),
        _initial_view(request, rule_form, context, text),
    )
    return None


async def update_editor(form: Form) -> None:
    """Preview the rule in the fields; the newest input wins."""
    rule_form = RuleForm.from_values(form.values)
    await form.request.view_updates.update(
        form.request.client, form.view_id, form.hash, _preview_view(form.request, rule_form, form.context)
    )


async def show_in_editor(form: Form, message: Message) -> None:
    """Show a message in place of the preview."""
    rule_form, request = RuleForm.from_values(form.values), form.request
    view = editor_modal(rule_form, form.context, request.commands.pair, message)
    await request.view_updates.update(request.client, form.view_id, form.hash, _ready(view))


async def _ready(view: dict[str, Any]) -> dict[str, Any]:
    return view


def validate_editor(form: Form) -> dict[str, str]:
    """Return the errors of the fields, without I/O; in a form of an earlier release, all below the threshold."""
    errors = RuleForm.from_values(form.values).errors(form.request.commands.pair)
    if not errors or "evaluate" in form.values:
        return errors
    return {"threshold": " ".join(errors.values())}


async def submit_editor(form: Form) -> Reply:
    """Add or edit the rule; if that fails, the reply contains the rule, because the form is closed."""
    text = str(parse_rule(RuleForm.from_values(form.values).text, form.request.commands.pair))
    try:
        return Reply(message=await _save(form, text))
    except MinerPulseError as error:
        hint = f"Nothing was changed. The rule in the form was {code(text)}."
        return Reply(message=stack(error_message(error), text_message(hint)))


async def _save(form: Form, text: str) -> Message:
    request, rule_id = form.request, form.context.rule_id
    if rule_id is None:
        return await add_rule(request, text)
    return await edit_rule_text(request, rule_id, text)


def _command_hint(text: str, rule_id: int | None) -> Message:
    line = f"rule add {EDITOR_EXAMPLE}" if rule_id is None else f"rule edit {rule_id} {text}"
    return text_message(f"Without the form, type a command such as {code(f'/minerpulse {line}')}.")


async def _initial_view(request: Request, rule_form: RuleForm, context: FormContext, text: str) -> dict[str, Any]:
    """Return the form with a preview of its rule, if that rule still exists."""
    return await (
        _preview_view(request, rule_form, context)
        if context.rule_id is None
        else _existing_rule_view(request, rule_form, context, text)
    )


async def _existing_rule_view(request: Request, rule_form: RuleForm, context: FormContext, text: str) -> dict[str, Any]:
    """Check that the rule still exists and matches the form, then preview it."""
    rules = {rule.id: str(rule.rule) for rule in await request.commands.rules(request.channel)}
    current = rules.get(context.rule_id or 0)
    if current is None:
        return result_modal(
            text_message(f"Rule {context.rule_id} {code(text)} no longer exists in this channel.", RULE_GONE)
        )
    if current != text:
        changed = text_message(f"Rule {context.rule_id} was changed to {code(current)}. *Save Rule* replaces it.")
        return editor_modal(rule_form, context, request.commands.pair, changed)
    return await _preview_view(request, rule_form, context)


async def _preview_view(request: Request, rule_form: RuleForm, context: FormContext) -> dict[str, Any]:
    """Return the form with a preview of its rule, or with what can't be parsed."""
    render = partial(editor_modal, rule_form, context, request.commands.pair)
    if errors := rule_form.errors(request.commands.pair):
        return render(unreadable_fields_message(errors))
    try:
        rules = await request.commands.rules(request.channel)
        saved = next((one.rule for one in rules if one.id == context.rule_id), None)
        preview = await request.commands.preview(rule_form.text, saved)
        overlaps = overlaps_of(rules, preview.rule, context.rule_id)
        return render(preview_message(preview, overlaps), preview_notes(preview))
    except MinerPulseError as error:
        return render(error_message(error))
