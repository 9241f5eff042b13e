"""Useful, and Noise: what a person says of an alert that has ended."""

from __future__ import annotations

from handlers.actions.payload import alert_id
from handlers.render.responses import vote_message
from handlers.request import Reply, Request


async def useful(ask: Request) -> Reply:
    """Keep the vote, and tell the person how all have voted."""
    return await _vote(ask, noise=False)


async def noise(ask: Request) -> Reply:
    """Do the same for the other vote."""
    return await _vote(ask, noise=True)


async def _vote(ask: Request, *, noise: bool) -> Reply:
    votes = await ask.desk.vote(ask.channel, alert_id(ask.value), ask.by, noise=noise)
    return Reply(message=vote_message(votes, noise=noise))
