"""Use this rule: put what tuning has found among the channel's rules, as its preview said."""

from __future__ import annotations

from handlers.actions.payload import wish_and_mark
from handlers.add_rule import add
from handlers.render.message import Message, stacked
from handlers.render.rules import rule_edited_message
from handlers.render.tune import rule_exists_message, stale_tune_message
from handlers.request import Audience, Reply, Request
from handlers.tune_preview import previewed
from services.channels.rule_placement import find_placement
from services.rules.grammar import parse_rule


async def answer(ask: Request) -> Reply:
    """Change or add the rule in the place of its preview; where rules have changed since, show a new preview there."""
    mark, text, wish = wish_and_mark(ask.value)
    slot = find_placement(await ask.desk.rules(ask.channel), parse_rule(text, ask.study.pair))
    if slot.standing is not None:
        return Reply(message=rule_exists_message(slot.standing), place=Audience.SAME)
    if slot.mark != mark:
        return Reply(message=stacked(stale_tune_message(), await previewed(ask, wish)), place=Audience.SAME)
    return Reply(message=await _used(ask, slot.target.id if slot.target else None, str(slot.rule)), place=Audience.SAME)


async def _used(ask: Request, target: int | None, text: str) -> Message:
    if target is None:
        return await add(ask, text)
    return rule_edited_message(await ask.desk.edit_rule(ask.channel, target, text, ask.by))
