"""Tune for a wish, held against the channel's own rules; typed, or from a button that was out of date."""

from __future__ import annotations

from handlers.render.message import Message
from handlers.render.tune import Using, tune_message
from handlers.request import Request
from services.channels.rule_placement import find_placement
from services.research.rate_target import parse_target
from services.rules.grammar import parse_rule
from services.rules.rule import EXAMPLE


async def previewed(ask: Request, typed: str) -> Message:
    """Find the rule, and tell what it would change here, with a button that does so."""
    wish = parse_target(typed, parse_rule(EXAMPLE, ask.study.pair))
    watches = await ask.desk.rules(ask.channel)
    told = await ask.study.tune(wish, [watch.rule for watch in watches], ask.now)
    return tune_message(told, Using(slot=find_placement(watches, told.tuned.rule), wish=typed))
