"""Buttons that add and edit rules: on the welcome, an alert, the list of rules or a tuned rule."""

from handlers.actions.payload import parse_rule_reference, parse_use_rule
from handlers.render.message import Message, stack, text_message
from handlers.render.rules import alerts_started_message, rule_edited_message
from handlers.render.tune import rule_exists_message, stale_tune_message
from handlers.request import Audience, Reply, Request
from handlers.rule_changes import add_rule, open_editor, preview_tuning
from services.channels.rule_placement import find_placement
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES


async def begin(request: Request) -> Reply:
    """Add the default rules if there are none, and replace the welcome with the announcement."""
    async with request.locks.of(request.channel):
        if await request.commands.rules(request.channel):
            return Reply(message=text_message("Alerts come here already. `/minerpulse rules` lists what is watched."))
        await request.commands.add_default_rules(request.channel, request.user_id)
    simulated = request.commands.market.history.simulated
    message = alerts_started_message(request.commands.pair, DEFAULT_RULES, request.user_id, simulated=simulated)
    return Reply(message=message, audience=Audience.REPLACE_ORIGINAL)


async def open_empty_editor(request: Request) -> Reply | None:
    """Open the editor for a new rule."""
    return await open_editor(request)


async def edit_rule(request: Request) -> Reply | None:
    """Open the editor with the rule as the message shows it; the editor then checks that it still exists."""
    rule_id, text = parse_rule_reference(request.value)
    return await open_editor(request, text, rule_id)


async def use_rule(request: Request) -> Reply:
    """Edit or add the tuned rule in place of its preview; if the rules changed since, show a new preview instead."""
    return Reply(message=await _use_rule(request), audience=Audience.REPLACE_ORIGINAL)


async def _use_rule(request: Request) -> Message:
    version, text, rate = parse_use_rule(request.value)
    placement = find_placement(await request.commands.rules(request.channel), parse_rule(text, request.research.pair))
    rule = str(placement.rule)
    if placement.existing is not None:
        return rule_exists_message(placement.existing)
    if placement.version != version:
        return stack(stale_tune_message(), await preview_tuning(request, rate))
    if placement.target is None:
        return await add_rule(request, rule)
    edited = await request.commands.edit_rule(request.channel, placement.target.id, rule, request.user_id)
    return rule_edited_message(edited)
