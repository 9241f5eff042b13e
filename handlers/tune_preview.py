"""Preview of a tuned rule against the channel's own rules."""

from __future__ import annotations

from handlers.render.message import Message
from handlers.render.tune import TuneOffer, tune_message
from handlers.request import Request
from services.channels.rule_placement import find_placement
from services.research.rate_target import parse_target
from services.rules.grammar import parse_rule
from services.rules.rule import EXAMPLE


async def preview_tuning(request: Request, rate: str) -> Message:
    """Find the rule for a target rate; return what it would change here, with a button that applies it."""
    target = parse_target(rate, parse_rule(EXAMPLE, request.research.pair))
    rules = await request.commands.rules(request.channel)
    result = await request.research.tune(target, [rule.rule for rule in rules], request.now)
    return tune_message(result, TuneOffer(placement=find_placement(rules, result.tuned.rule), target=rate))
