"""/minerpulse rules: what is watched in the channel."""

from __future__ import annotations

from handlers.render.rules import Proposal, rules_message
from handlers.request import Reply, Request
from services.channels.rule_commands import Listing


async def answer(ask: Request) -> Reply:
    """List the rules of the channel, with a proposal for the noisiest."""
    listing = await ask.desk.listing(ask.channel)
    return Reply(message=rules_message(listing, ask.now, await _proposal(ask, listing)))


async def _proposal(ask: Request, listing: Listing) -> Proposal | None:
    """Propose less of the rule that was noise most often; None where none was often, or nothing is known to propose."""
    noise = listing.noise
    own = [watch for watch in listing.watches if watch.rule.pair == ask.study.pair]
    much = [watch for watch in own if watch.id in noise and noise[watch.id].is_much]
    if not much:
        return None
    watch = max(much, key=lambda one: noise[one.id].noise / noise[one.id].judged)
    gentler = await ask.study.gentler(watch.rule, ask.now)
    return None if gentler is None else Proposal(watch=watch, gentler=gentler)
