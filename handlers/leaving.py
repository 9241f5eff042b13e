"""Leaving: a workspace takes the app out, or its token away, and all that it left here goes with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_bolt.async_app import AsyncApp, AsyncBoltContext

    Leave = Callable[[str | None, str | None, datetime], Awaitable[None]]

EVENTS = ("app_uninstalled", "tokens_revoked")


def register_leaving(app: AsyncApp, leave: Leave) -> None:
    """Listen to the two events by which Slack tells the end of an installation; `leave` is told where and when.

    They are answered once all is deleted: where that fails, Slack tells of the end again.
    """

    async def on_uninstalled(body: dict[str, Any], context: AsyncBoltContext) -> None:
        await leave(context.team_id, context.enterprise_id, datetime.fromtimestamp(int(body["event_time"]), UTC))

    async def on_revoked(event: dict[str, Any], body: dict[str, Any], context: AsyncBoltContext) -> None:
        if (event.get("tokens") or {}).get("bot"):  # a person's own token is none of ours
            await on_uninstalled(body, context)

    for name, listener in zip(EVENTS, (on_uninstalled, on_revoked), strict=True):
        app.event(name)(listener)
