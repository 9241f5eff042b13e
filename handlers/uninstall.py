"""Leaving: a workspace takes the app out, or its token away, and all that it left here goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from slack_bolt.async_app import AsyncApp, AsyncBoltContext

EVENTS = ("app_uninstalled", "team_access_revoked", "tokens_revoked")


class InstallationRemover(Protocol):
    """Who forgets workspaces; each method deletes all their data."""

    async def leave(self, team: str | None, enterprise: str | None, at: datetime) -> None:
        """Forget a workspace, or an organization with all of its workspaces, that has ended its installation `at`."""
        ...

    async def expel(self, teams: Sequence[str], at: datetime) -> None:
        """Forget workspaces that their organization lets the app into no more since `at`."""
        ...


def register_uninstall(app: AsyncApp, doorkeeper: InstallationRemover) -> None:
    """Listen to the events by which Slack tells the end of an installation.

    They are answered once all is deleted: where that fails, Slack tells of the end again.
    """

    async def on_uninstalled(body: dict[str, Any], context: AsyncBoltContext) -> None:
        await doorkeeper.leave(context.team_id, context.enterprise_id, _told_at(body))

    async def on_access_revoked(event: dict[str, Any], body: dict[str, Any]) -> None:
        await doorkeeper.expel([str(team) for team in event["team_ids"]], _told_at(body))

    async def on_tokens_revoked(event: dict[str, Any], body: dict[str, Any], context: AsyncBoltContext) -> None:
        if (event.get("tokens") or {}).get("bot"):  # a person's own token is none of ours
            await on_uninstalled(body, context)

    for name, listener in zip(EVENTS, (on_uninstalled, on_access_revoked, on_tokens_revoked), strict=True):
        app.event(name)(listener)


def _told_at(body: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(body["event_time"]), UTC)
