"""Slack events by type; a new one is a function and a row of EVENTS. Those that end an installation delete its data."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.home_tab import publish_busy_home, publish_home
from handlers.mention import app_user_ids
from handlers.render.home import messages_hint, welcome_message
from handlers.request import Request

ENDED_TOKENS = frozenset({"account_inactive", "invalid_auth", "token_expired", "token_revoked"})
UNINSTALL_EVENTS = ("app_uninstalled", "team_access_revoked", "tokens_revoked")
MENTION_EVENT = "app_mention"  # answered like a command, not with a row of EVENTS
log = logging.getLogger(__name__)


async def on_home_opened(request: Request, body: dict[str, Any]) -> None:
    """Publish the Home tab. On the Messages tab, post once how to ask; Slack renders the rest. Raises DeliveryError."""
    match body["event"].get("tab", "home"):
        case "home":
            await publish_home(request)
        case "messages":
            await _post_messages_hint(request)


async def _post_messages_hint(request: Request) -> None:
    team, person = request.channel.team, request.user_id
    if await request.commands.claim_messages_hint(team, person):
        try:
            await request.post(messages_hint())
        except BaseException:
            await request.commands.release_messages_hint(team, person)
            raise


async def on_home_opened_when_busy(request: Request, body: dict[str, Any]) -> None:
    """Say on the Home tab that the app is busy, without reading anything."""
    if body["event"].get("tab", "home") == "home":
        await publish_busy_home(request)


async def on_joined(request: Request, body: dict[str, Any]) -> None:
    """Welcome a channel that the app was added to; alerts from before may still be open. Raises DeliveryError."""
    if body["event"].get("user") not in app_user_ids(body):
        if request.memberships is not None:
            request.memberships.forget(request.channel.team, request.user_id)
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
        log.warning(
            "%s event; removed %d rules from channel %s: %s", event["type"], len(removed), request.channel.id, rules
        )


async def on_member_left(request: Request, _body: dict[str, Any]) -> None:
    """Remove a channel that a person has left from their Home tab, if it may be there. Raises DeliveryError."""
    if request.memberships is not None:
        request.memberships.forget(request.channel.team, request.user_id)
    if await request.commands.has_acted_in(request.channel, request.user_id):
        await publish_home(request)


EVENTS: dict[str, Callable[[Request, dict[str, Any]], Awaitable[None]]] = {
    "app_home_opened": on_home_opened,
    "channel_deleted": on_left,
    "channel_left": on_left,
    "group_deleted": on_left,
    "group_left": on_left,
    "member_joined_channel": on_joined,
    "member_left_channel": on_member_left,
}
SUBSCRIBED_EVENTS = (*EVENTS, MENTION_EVENT, *UNINSTALL_EVENTS)
# The work of these needs only the database. It is done before the answer: if it fails, Slack sends the event again.
DONE_BEFORE_ANSWER = frozenset({"channel_deleted", "channel_left", "group_deleted", "group_left"})
# A person waits for an answer to these; any other event is work that must be done, however busy the app is.
BUSY_EVENTS = {"app_home_opened": on_home_opened_when_busy}


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

    They are acknowledged after everything is deleted: if that fails, Slack sends the event again. An event that names a
    workspace ends that workspace's own installation, never that of its organization.
    """

    async def on_uninstalled(body: dict[str, Any], context: AsyncBoltContext) -> None:
        team = context.team_id if context.team_id != context.enterprise_id else None
        await remover.uninstall(team, context.enterprise_id, _event_time(body))

    async def on_access_revoked(event: dict[str, Any], body: dict[str, Any]) -> None:
        await remover.revoke([str(team) for team in event["team_ids"]], _event_time(body))

    async def on_tokens_revoked(event: dict[str, Any], body: dict[str, Any], context: AsyncBoltContext) -> None:
        if (event.get("tokens") or {}).get("bot"):  # a user's token is not ours
            await on_uninstalled(body, context)

    for name, listener in zip(UNINSTALL_EVENTS, (on_uninstalled, on_access_revoked, on_tokens_revoked), strict=True):
        app.event(name)(listener)


class WorkspaceData(Protocol):
    """Deletes the data of a workspace."""

    async def purge_workspace(self, team: str, at: datetime) -> None:
        """Delete all rows of a workspace."""
        ...


@dataclass(frozen=True, slots=True)
class SingleWorkspaceRemover:
    """Deletes the data of the one workspace that the bot token is for, once Slack refuses the token.

    While the token works, an event that ends an installation is late: the app has been installed again since.
    """

    client: AsyncWebClient
    data: WorkspaceData

    async def uninstall(self, team: str | None, enterprise: str | None, at: datetime) -> None:
        """Delete the data of a workspace that uninstalled the app. Raises SlackApiError if Slack cannot be asked."""
        del enterprise
        if team is None:
            return
        try:
            await self.client.auth_test()
        except SlackApiError as error:
            if error.response.get("error") not in ENDED_TOKENS:
                raise
            await self.data.purge_workspace(team, at)
            log.warning("the app was uninstalled; all data of workspace %s has been deleted", team)
        else:
            log.info("kept the data of workspace %s: the event is late, and the app is installed", team)

    async def revoke(self, teams: Sequence[str], at: datetime) -> None:
        """Delete the data of workspaces whose organization revoked the app's access."""
        for team in teams:
            await self.uninstall(team, None, at)


def _event_time(body: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(body["event_time"]), UTC)
