"""The rule editor: opens at once from memory, follows what is typed, and adds or changes the rule."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from handlers.add_rule import add
from handlers.form import Form
from handlers.render.markup import code
from handlers.render.message import Message, stacked, text_message
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
from handlers.rule_form import About, RuleForm, empty
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError, MinerPulseError, NoHistoryError, NotAllowedError, RuleError
from services.rules.grammar import parse_rule

EXAMPLE = "5d 15pp"
GONE = "Nothing was changed. `/minerpulse rules` lists what is watched, and `/minerpulse rule add` adds one anew."
log = logging.getLogger(__name__)


async def open_editor(ask: Request, text: str = "", rule_id: int | None = None) -> Reply | None:
    """Open the editor with a rule, or with the usual one, then show what it would have done.

    Where Slack does not open it, above all as its three seconds for that are over, gives what to type instead.
    """
    pair = ask.desk.pair
    draft = RuleForm.of(parse_rule(text), usual=pair) if text else empty()
    about = About(channel=ask.channel.id, answers_to=ask.answers_to, rule_id=rule_id)
    view = editor_modal(draft, about, pair, preview_pending_message())
    try:
        with translate_slack_error():
            opened = await ask.client.views_open(trigger_id=ask.trigger, view=view)
    except DeliveryError as error:
        log.warning("the rule editor did not open: %s", error)
        return Reply(message=stacked(error_message(error), _typed(text, rule_id)))
    shown: dict[str, Any] = opened.get("view") or {}
    await ask.newest.show(ask.client, str(shown.get("id")), str(shown.get("hash")), _opened(ask, draft, about, text))
    return None


async def follow(form: Form) -> None:
    """Show what the rule in the fields would have done; of several inputs the newest."""
    draft = RuleForm.read(form.values)
    await form.ask.newest.show(form.ask.client, form.view_id, form.hash, _tried(form.ask, draft, form.about))


def check(form: Form) -> dict[str, str]:
    """Say which fields cannot be read, from memory alone."""
    return RuleForm.read(form.values).faults(form.ask.desk.pair)


async def save(form: Form) -> Reply:
    """Add or change the rule; where that cannot be, the answer has the rule in it, as the form is closed."""
    text = str(parse_rule(RuleForm.read(form.values).text, form.ask.desk.pair))
    try:
        return Reply(message=await _save(form, text))
    except MinerPulseError as error:
        lost = f"Nothing was changed. The form is closed; the rule in it was {code(text)}."
        return Reply(message=stacked(error_message(error), text_message(lost)))


async def _save(form: Form, text: str) -> Message:
    ask, number = form.ask, form.about.rule_id
    if number is None:
        return await add(ask, text)
    return rule_edited_message(await ask.desk.edit_rule(ask.channel, number, text, ask.by))


def _typed(text: str, rule_id: int | None) -> Message:
    """Tell what does the same without the form."""
    line = f"rule add {EXAMPLE}" if rule_id is None else f"rule edit {rule_id} {text}"
    return text_message(f"Without the form: type {code(f'/minerpulse {line}')}, changed as you want it.")


async def _opened(ask: Request, draft: RuleForm, about: About, text: str) -> dict[str, Any]:
    """See, now that the form is open, whether this person may save it, before they fill it in."""
    try:
        await ask.desk.check_editor(ask.channel, ask.by)
    except NotAllowedError as error:
        return result_modal(error_message(error))
    return await (_tried(ask, draft, about) if about.rule_id is None else _found(ask, draft, about, text))


async def _found(ask: Request, draft: RuleForm, about: About, text: str) -> dict[str, Any]:
    """See whether the rule to edit still stands, and as the form shows it, before it is tried."""
    rules = {watch.id: str(watch.rule) for watch in await ask.desk.rules(ask.channel)}
    stands = rules.get(about.rule_id or 0)
    if stands is None:
        return result_modal(text_message(f"Rule {about.rule_id} {code(text)} does not stand here any more.", GONE))
    if stands != text:
        changed = text_message(f"Rule {about.rule_id} reads {code(stands)} by now; saving puts this in its place.")
        return editor_modal(draft, about, ask.desk.pair, changed)
    return await _tried(ask, draft, about)


async def _tried(ask: Request, draft: RuleForm, about: About) -> dict[str, Any]:
    """Make the form with what its rule would have done, or with what cannot be read."""
    show = partial(editor_modal, draft, about, ask.desk.pair)
    if faults := draft.faults(ask.desk.pair):
        return show(unreadable_fields_message(faults))
    try:
        return show(preview_message(await ask.desk.trial(draft.text)))
    except (NoHistoryError, RuleError) as error:
        return show(error_message(error))
