"""The rule editor: opens without I/O, previews the rule as it is edited, and saves it."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from handlers.add_rule import add_rule
from handlers.form import Form
from handlers.render.markup import code
from handlers.render.message import Message, stack, text_message
from handlers.render.responses import error_message
from handlers.render.rule_form import (
    editor_modal,
    preview_message,
    preview_pending_message,
    result_modal,
    unreadable_fields_message,
)
from handlers.render.rules import rule_edited_message
from handlers.request import Reply, Request
from handlers.rule_form import FormContext, RuleForm, default_form
from handlers.slack_errors import translate_slack_error
from services.core.errors import DataError, DeliveryError, MinerPulseError, NotAllowedError, UserInputError
from services.rules.grammar import parse_rule

EXAMPLE = "5d 15pp"
RULE_GONE = "Nothing was changed. `/minerpulse rules` lists what is watched, and `/minerpulse rule add` adds one anew."
log = logging.getLogger(__name__)


async def open_editor(request: Request, text: str = "", rule_id: int | None = None) -> Reply | None:
    """Open the editor with a rule, or the usual one, then preview it.

    If Slack doesn't open it, usually because the trigger expired after three seconds, return the command to type
    instead.
    """
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


async def update(form: Form) -> None:
    """Preview the rule in the fields; the newest input wins."""
    rule_form = RuleForm.from_values(form.values)
    await form.request.view_updates.update(
        form.request.client, form.view_id, form.hash, _preview_view(form.request, rule_form, form.context)
    )


def validate(form: Form) -> dict[str, str]:
    """Return the errors of the fields, without I/O."""
    return RuleForm.from_values(form.values).errors(form.request.commands.pair)


async def submit(form: Form) -> Reply:
    """Add or edit the rule; if that fails, the reply contains the rule, because the form is closed."""
    text = str(parse_rule(RuleForm.from_values(form.values).text, form.request.commands.pair))
    try:
        return Reply(message=await _save(form, text))
    except MinerPulseError as error:
        hint = f"Nothing was changed. The form is closed; the rule in it was {code(text)}."
        return Reply(message=stack(error_message(error), text_message(hint)))


async def _save(form: Form, text: str) -> Message:
    request, rule_id = form.request, form.context.rule_id
    if rule_id is None:
        return await add_rule(request, text)
    return rule_edited_message(await request.commands.edit_rule(request.channel, rule_id, text, request.user_id))


def _command_hint(text: str, rule_id: int | None) -> Message:
    """Return the command that does the same without the form."""
    line = f"rule add {EXAMPLE}" if rule_id is None else f"rule edit {rule_id} {text}"
    return text_message(f"Without the form: type {code(f'/minerpulse {line}')}, changed as you want it.")


async def _initial_view(request: Request, rule_form: RuleForm, context: FormContext, text: str) -> dict[str, Any]:
    """Check that this person may save the form before they fill it in."""
    try:
        await request.commands.check_editor(request.channel, request.user_id)
    except NotAllowedError as error:
        return result_modal(error_message(error))
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
            text_message(f"Rule {context.rule_id} {code(text)} does not stand here any more.", RULE_GONE)
        )
    if current != text:
        changed = text_message(f"Rule {context.rule_id} reads {code(current)} by now; saving puts this in its place.")
        return editor_modal(rule_form, context, request.commands.pair, changed)
    return await _preview_view(request, rule_form, context)


async def _preview_view(request: Request, rule_form: RuleForm, context: FormContext) -> dict[str, Any]:
    """Return the form with a preview of its rule, or with what can't be parsed."""
    render = partial(editor_modal, rule_form, context, request.commands.pair)
    if errors := rule_form.errors(request.commands.pair):
        return render(unreadable_fields_message(errors))
    try:
        return render(preview_message(await request.commands.preview(rule_form.text)))
    except (UserInputError, DataError) as error:
        return render(error_message(error))
