"""/minerpulse rules: the channel's rules."""

from __future__ import annotations

from handlers.render.rules import Proposal, rules_message
from handlers.request import Reply, Request
from services.channels.rule_commands import RuleList


async def run(request: Request) -> Reply:
    """List the channel's rules, with a proposal for the noisiest one."""
    rule_list = await request.commands.rule_list(request.channel)
    return Reply(message=rules_message(rule_list, request.now, await _proposal(request, rule_list)))


async def _proposal(request: Request, rule_list: RuleList) -> Proposal | None:
    """Propose a looser version of the noisiest rule; None if no rule is noisy or no looser one is found."""
    noise = rule_list.noise
    candidates = [rule for rule in rule_list.rules if rule.rule.pair == request.research.pair]
    noisy = [rule for rule in candidates if rule.id in noise and noise[rule.id].is_high]
    if not noisy:
        return None
    rule = max(noisy, key=lambda candidate: noise[candidate.id].noise / noise[candidate.id].judged)
    gentler = await request.research.half_rate_rule(rule.rule, request.now)
    return None if gentler is None else Proposal(rule=rule, looser=gentler)
