"""Slack events by type; a new one is a function and a row of EVENTS. Those that end an installation delete its data."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from slack_bolt.async_app import AsyncApp, AsyncBoltContext

from handlers.home_tab import publish_home
from handlers.render.home import welcome_message
from handlers.request import Request

UNINSTALL_EVENTS = ("app_uninstalled", "team_access_revoked", "tokens_revoked")
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


class InstallationRemover(Protocol):
    """Deletes installations; each method deletes all data of the workspaces."""

    async def uninstall(self, team: str | None, enterprise: str | None, at: datetime) -> None:
        """Delete a workspace, or an organization with all of its workspaces, that uninstalled the app `at`."""
        ...

    async def revoke(self, teams: Sequence[str], at: datetime) -> None:
        """Delete workspaces whose organization revoked the app's access `at`."""
        ...


def register_uninstall(app: AsyncApp, remover: InstallationRemover) -> None:
    """Register listeners for the events that end an installation.

    They are acknowledged after everything is deleted: if that fails, Slack sends the event again.
    """

    async def on_uninstalled(body: dict[str, Any], context: AsyncBoltContext) -> None:
        await remover.uninstall(context.team_id, context.enterprise_id, _event_time(body))

    async def on_access_revoked(event: dict[str, Any], body: dict[str, Any]) -> None:
        await remover.revoke([str(team) for team in event["team_ids"]], _event_time(body))

    async def on_tokens_revoked(event: dict[str, Any], body: dict[str, Any], context: AsyncBoltContext) -> None:
        if (event.get("tokens") or {}).get("bot"):  # a user's token is not ours
            await on_uninstalled(body, context)

    for name, listener in zip(UNINSTALL_EVENTS, (on_uninstalled, on_access_revoked, on_tokens_revoked), strict=True):
        app.event(name)(listener)


def _event_time(body: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(body["event_time"]), UTC)
