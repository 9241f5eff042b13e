"""Useful and Noise buttons of an ended alert."""

from __future__ import annotations

from handlers.actions.payload import parse_alert_id
from handlers.render.responses import vote_message
from handlers.request import Reply, Request


async def useful(request: Request) -> Reply:
    """Store a useful vote and show all votes."""
    return await _vote(request, noise=False)


async def noise(request: Request) -> Reply:
    """Store a noise vote and show all votes."""
    return await _vote(request, noise=True)


async def _vote(request: Request, *, noise: bool) -> Reply:
    votes = await request.commands.vote(request.channel, parse_alert_id(request.value), request.user_id, noise=noise)
    return Reply(message=vote_message(votes, noise=noise))
