"""Use This Rule button: apply a tuned rule to the channel's rules as previewed."""

from __future__ import annotations

from handlers.actions.payload import parse_use_rule
from handlers.add_rule import add_rule
from handlers.render.message import Message, stack
from handlers.render.rules import rule_edited_message
from handlers.render.tune import rule_exists_message, stale_tune_message
from handlers.request import Audience, Reply, Request
from handlers.tune_preview import preview_tuning
from services.channels.rule_placement import find_placement
from services.rules.grammar import parse_rule


async def run(request: Request) -> Reply:
    """Edit or add the rule in place of its preview; if the rules changed since, show a new preview instead."""
    version, text, rate = parse_use_rule(request.value)
    placement = find_placement(await request.commands.rules(request.channel), parse_rule(text, request.research.pair))
    if placement.existing is not None:
        return Reply(message=rule_exists_message(placement.existing), audience=Audience.REPLACE_ORIGINAL)
    if placement.version != version:
        return Reply(
            message=stack(stale_tune_message(), await preview_tuning(request, rate)), audience=Audience.REPLACE_ORIGINAL
        )
    return Reply(
        message=await _apply(request, placement.target.id if placement.target else None, str(placement.rule)),
        audience=Audience.REPLACE_ORIGINAL,
    )


async def _apply(request: Request, target: int | None, text: str) -> Message:
    if target is None:
        return await add_rule(request, text)
    return rule_edited_message(await request.commands.edit_rule(request.channel, target, text, request.user_id))
