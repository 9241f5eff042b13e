"""Tune for a wish, held against the channel's own rules; typed, or from a button that was out of date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from services.channels.rule_placement import find_placement
from services.research.rate_target import parse_target
from services.rules.grammar import parse_rule
from services.rules.rule import EXAMPLE

if TYPE_CHECKING:
    from handlers.render import Message
    from handlers.request import Request


async def previewed(ask: Request, typed: str) -> Message:
    """Find the rule, and tell what it would change here, with a button that does so."""
    wish = parse_target(typed, parse_rule(EXAMPLE, ask.study.pair))
    watches = await ask.desk.rules(ask.channel)
    told = await ask.study.tune(wish, [watch.rule for watch in watches], ask.now)
    return render.tuned(told, render.Using(slot=find_placement(watches, told.tuned.rule), wish=typed))
