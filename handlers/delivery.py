"""Deliver: Slack as a Notifier; one call for each message, no retry that the outbox does not know of."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

from handlers import render
from handlers.lookup import EVENT_TYPE, look_up
from handlers.refusals import BlocksRefusedError, translated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

    from handlers.render import Message
    from services.domain.episode import Alert, Channel, Entry
    from services.ports import Clock

log = logging.getLogger(__name__)


class SlackNotifier:
    """Tells alerts in Slack; each message carries its key in its metadata."""

    def __init__(self, client: AsyncWebClient, clock: Clock) -> None:
        self._client = copy.copy(client)
        self._client.retry_handlers = []  # slack_sdk's own would post again after a lost answer
        self._clock = clock

    async def post(self, alert: Alert, *, key: str) -> str:
        """Post an alert in its channel; return the message's `ts`. Raises DeliveryError."""
        return await self._deliver(
            render.alert(alert, self._clock.now()),
            lambda message: self._post(alert, message, key),
        )

    async def edit(self, alert: Alert, message_id: str) -> None:
        """Make a posted alert say what `alert` says. Raises DeliveryError, MessageGoneError where it is not there."""
        await self._deliver(
            render.alert(alert, self._clock.now()),
            lambda message: self._client.chat_update(
                channel=alert.channel.id, ts=message_id, text=message.text, blocks=message.blocks
            ),
        )

    async def reply(self, alert: Alert, entry: Entry, thread_id: str, *, key: str) -> str:
        """Add a line to the alert's thread; return the message's `ts`. Raises DeliveryError."""
        return await self._deliver(
            render.entry(entry, alert),
            lambda message: self._post(alert, message, key, thread_ts=thread_id),
        )

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Look for a message by its key; see `look_up`."""
        return await look_up(self._client, channel.id, key, since, thread_id)

    async def _post(self, alert: Alert, message: Message, key: str, **where: Any) -> AsyncSlackResponse:  # noqa: ANN401 -- Slack's own arguments
        return await self._client.chat_postMessage(
            channel=alert.channel.id,
            text=message.text,
            blocks=message.blocks,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
            unfurl_links=False,
            unfurl_media=False,
            **where,
        )

    async def _deliver(self, message: Message, send: Callable[[Message], Awaitable[AsyncSlackResponse]]) -> str:
        """Send a message; where Slack refuses its blocks, once more in plain form."""
        try:
            with translated():
                answer = await send(message)
        except BlocksRefusedError as error:
            log.warning("Slack refused an alert's blocks, sent in plain form: %s", error.__cause__)
            with translated():
                answer = await send(render.plain(message))
        return str(answer["ts"])
