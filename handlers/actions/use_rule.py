"""Use this rule: put what tuning has found among the channel's rules, as its preview said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.actions.payload import wish_and_mark
from handlers.add_rule import add
from handlers.request import Audience, Reply
from handlers.tune_preview import previewed
from services.channels.rule_placement import find_placement
from services.rules.grammar import parse_rule

if TYPE_CHECKING:
    from handlers.render import Message
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Change or add the rule in the place of its preview; where rules have changed since, show a new preview there."""
    mark, text, wish = wish_and_mark(ask.value)
    slot = find_placement(await ask.desk.rules(ask.channel), parse_rule(text, ask.study.pair))
    if slot.standing is not None:
        return Reply(message=render.stands(slot.standing), place=Audience.SAME)
    if slot.mark != mark:
        return Reply(message=render.together(render.stale(), await previewed(ask, wish)), place=Audience.SAME)
    return Reply(message=await _used(ask, slot.target.id if slot.target else None, str(slot.rule)), place=Audience.SAME)


async def _used(ask: Request, target: int | None, text: str) -> Message:
    if target is None:
        return await add(ask, text)
    return render.edited(await ask.desk.edit_rule(ask.channel, target, text, ask.by))
