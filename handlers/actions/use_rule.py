"""Use this rule: put what tuning has found among the channel's rules, as its preview said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.actions.value import wish_and_mark
from handlers.adding import add
from handlers.ask import Place, Reply
from handlers.tuning import previewed
from services.domain.grammar import parse_rule
from services.slots import slot_of

if TYPE_CHECKING:
    from handlers.ask import Ask
    from handlers.render import Message


async def answer(ask: Ask) -> Reply:
    """Change or add the rule in the place of its preview; where rules have changed since, show a new preview there."""
    mark, text, wish = wish_and_mark(ask.value)
    slot = slot_of(await ask.desk.rules(ask.channel), parse_rule(text, ask.study.pair))
    if slot.standing is not None:
        return Reply(message=render.stands(slot.standing), place=Place.SAME)
    if slot.mark != mark:
        return Reply(message=render.together(render.stale(), await previewed(ask, wish)), place=Place.SAME)
    return Reply(message=await _used(ask, slot.target.id if slot.target else None, str(slot.rule)), place=Place.SAME)


async def _used(ask: Ask, target: int | None, text: str) -> Message:
    if target is None:
        return await add(ask, text)
    return render.edited(await ask.desk.edit_rule(ask.channel, target, text, ask.by))
