"""Uninstall events: a workspace removes the app or revokes its token, and all of its data is deleted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from slack_bolt.async_app import AsyncApp, AsyncBoltContext

EVENTS = ("app_uninstalled", "team_access_revoked", "tokens_revoked")


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

    for name, listener in zip(EVENTS, (on_uninstalled, on_access_revoked, on_tokens_revoked), strict=True):
        app.event(name)(listener)


def _event_time(body: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(body["event_time"]), UTC)
