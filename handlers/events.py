"""Slack events by type; a new one is a function and a row of EVENTS."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from handlers.home_tab import publish_home
from handlers.render.home import welcome_message
from handlers.request import Request

log = logging.getLogger(__name__)


async def on_home_opened(request: Request, body: dict[str, Any]) -> None:
    """Publish the Home tab; Slack renders the other tabs itself."""
    if body["event"].get("tab", "home") == "home":
        await publish_home(request)


async def on_joined(request: Request, body: dict[str, Any]) -> None:
    """Welcome a channel that the app was added to; alerts from before may still be open. Raises DeliveryError."""
    if body["event"].get("user") not in _bot_user_ids(body):
        return
    await request.commands.rejoin(request.channel)
    rules = [str(rule.rule) for rule in await request.commands.rules(request.channel)]
    simulated = request.commands.market.history.simulated
    await request.post(welcome_message(request.commands.pair, rules, simulated=simulated))


async def on_left(request: Request, body: dict[str, Any]) -> None:
    """Remove the rules of a channel that the app can no longer read, end its alerts, and cancel its pending messages.

    The rules are logged, so that they can be added again.
    """
    event = body["event"]
    removed = await request.commands.leave(request.channel, str(event.get("actor_id") or request.user_id))
    if removed:
        rules = "; ".join(str(rule.rule) for rule in removed)
        log.warning("%s: removed %d rules of channel %s: %s", event["type"], len(removed), request.channel.id, rules)


def _bot_user_ids(body: dict[str, Any]) -> set[str]:
    """Return the app's own user ids, from the event's authorizations."""
    authorizations = body.get("authorizations") or ()
    return {str(authorization["user_id"]) for authorization in authorizations if authorization.get("is_bot")}


EVENTS: dict[str, Callable[[Request, dict[str, Any]], Awaitable[None]]] = {
    "app_home_opened": on_home_opened,
    "channel_deleted": on_left,
    "channel_left": on_left,
    "group_deleted": on_left,
    "group_left": on_left,
    "member_joined_channel": on_joined,
}
