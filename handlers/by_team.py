"""By team: each message goes out through the client of the workspace that it is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from handlers.charts import Charts
from handlers.delivery import SlackNotifier

if TYPE_CHECKING:
    from datetime import datetime

    from slack_sdk.web.async_client import AsyncWebClient

    from services.domain.episode import Channel
    from services.ports import Clock, Told


class Clients(Protocol):
    """Slack as the app speaks to it in each workspace."""

    async def of(self, team: str) -> AsyncWebClient:
        """Give the client for a workspace. Raises DeliveryError where the app is not installed there any more."""
        ...


@dataclass(frozen=True, slots=True)
class NotifierByTeam:
    """Tells alerts in many workspaces; in each as SlackNotifier does."""

    clients: Clients
    clock: Clock
    charts: Charts = field(default_factory=Charts)

    async def post(
        self, channel: Channel, told: Told, *, key: str, thread_id: str | None = None, by: datetime | None = None
    ) -> str:
        """Post a message in a channel, a line in its thread; return the message's `ts`. Raises DeliveryError."""
        return await (await self._of(channel)).post(channel, told, key=key, thread_id=thread_id, by=by)

    async def edit(self, channel: Channel, told: Told, message_id: str, *, by: datetime | None = None) -> None:
        """Make a posted message say what `told` says. Raises DeliveryError, MessageGoneError where it is not there."""
        await (await self._of(channel)).edit(channel, told, message_id, by=by)

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Look for a message by its key; see `look_up`."""
        return await (await self._of(channel)).find(channel, key, since, thread_id)

    async def _of(self, channel: Channel) -> SlackNotifier:
        return SlackNotifier(await self.clients.of(channel.team), self.clock, self.charts)
