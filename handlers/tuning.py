"""Tune for a wish, held against the channel's own rules; typed, or from a button that was out of date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from services.domain.grammar import parse_rule
from services.domain.rule import EXAMPLE
from services.domain.wish import parse_wish
from services.slots import slot_of

if TYPE_CHECKING:
    from handlers.ask import Ask
    from handlers.render import Message


async def previewed(ask: Ask, typed: str) -> Message:
    """Find the rule, and tell what it would change here, with a button that does so."""
    wish = parse_wish(typed, parse_rule(EXAMPLE, ask.study.pair))
    watches = await ask.desk.rules(ask.channel)
    told = await ask.study.tune(wish, [watch.rule for watch in watches], ask.now)
    return render.tuned(told, render.Using(slot=slot_of(watches, told.tuned.rule), wish=typed))
