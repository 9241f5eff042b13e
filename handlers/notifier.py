"""Deliver: Slack as a Notifier; one call for each message, no retry that the outbox does not know of."""

from __future__ import annotations

import copy
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, assert_never

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from handlers.chart_support import Charts
from handlers.find_message import EVENT_TYPE, find_message
from handlers.render.alert import alert_message
from handlers.render.alert_text import thread_line
from handlers.render.fallbacks import as_plain, without_charts
from handlers.render.message import Message
from handlers.render.notices import notice_message
from handlers.send_deadline import sent_by
from handlers.slack_errors import BlocksRefusedError, translate_slack_error
from services.core.clock import Clock
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, MessageRef, NoticeMessage, ThreadMessage

Send = Callable[[Message], Awaitable[AsyncSlackResponse]]


log = logging.getLogger(__name__)


class SlackNotifier:
    """Tells alerts and notices in Slack; each message carries its key in its metadata.

    What `charts` are told here is for all who deliver to the same workspaces.
    """

    def __init__(self, client: AsyncWebClient, clock: Clock, charts: Charts | None = None) -> None:
        self._client = copy.copy(client)
        self._client.retry_handlers = []  # slack_sdk's own would post again after a lost answer
        self._clock = clock
        self._charts = charts or Charts()

    async def post(
        self, channel: Channel, told: MessageRef, *, key: str, thread_id: str | None = None, by: datetime | None = None
    ) -> str:
        """Post a message in a channel, a line in its thread; return the message's `ts`. Raises DeliveryError."""
        where: dict[str, Any] = {} if thread_id is None else {"thread_ts": thread_id}
        if isinstance(told, ThreadMessage) and told.broadcast:
            where["reply_broadcast"] = True
        with sent_by(by):
            return await self._deliver(
                channel,
                _rendered(told, self._clock.now(), anew=True),
                lambda message: self._post(channel, message, key, **where),
            )

    async def edit(self, channel: Channel, told: MessageRef, message_id: str, *, by: datetime | None = None) -> None:
        """Make a posted message say what `told` says. Raises DeliveryError, MessageGoneError where it is not there."""
        with sent_by(by):
            await self._deliver(
                channel,
                _rendered(told, self._clock.now(), anew=False),
                lambda message: self._client.chat_update(
                    channel=channel.id, ts=message_id, text=message.text, blocks=message.blocks
                ),
            )

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Look for a message by its key; see `look_up`."""
        return await find_message(self._client, channel.id, key, since, thread_id)

    async def _post(self, channel: Channel, message: Message, key: str, **where: Any) -> AsyncSlackResponse:  # noqa: ANN401 -- Slack's own arguments
        return await self._client.chat_postMessage(
            channel=channel.id,
            text=message.text,
            blocks=message.blocks,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
            unfurl_links=False,
            unfurl_media=False,
            **where,
        )

    async def _deliver(self, channel: Channel, message: Message, send: Send) -> str:
        """Send a message; where Slack refuses its blocks, once more without its chart, and then in plain form.

        A workspace that takes it without the chart is sent none for a while.
        """
        bare, now = without_charts(message), self._clock.now()
        tried = bare != message and self._charts.fit(channel.team, now)
        if tried and (ts := await _accepted(message, send, "without its chart")):
            return ts
        if ts := await _accepted(bare, send, "in plain form"):
            if tried:
                self._charts.refuse(channel.team, now)
            return ts
        return await _sent(as_plain(message), send)


async def _accepted(message: Message, send: Send, otherwise: str) -> str | None:
    """Send a message; None where Slack refuses its blocks, so that it is to be sent `otherwise`."""
    try:
        return await _sent(message, send)
    except BlocksRefusedError as error:
        log.warning("Slack refused a message's blocks, sent %s: %s", otherwise, error.__cause__)
        return None


async def _sent(message: Message, send: Send) -> str:
    with translate_slack_error():
        return str((await send(message))["ts"])


def _rendered(told: MessageRef, now: datetime, *, anew: bool) -> Message:
    """Render what is told; only a message that is posted `anew` calls anyone."""
    match told:
        case AlertMessage():
            return alert_message(told.alert, now, calls=told.calls if anew else None)
        case ThreadMessage():
            return thread_line(told.entry, told.alert)
        case NoticeMessage():
            return notice_message(told.notice)
        case _:
            assert_never(told)


class WorkspaceClients(Protocol):
    """Slack as the app speaks to it in each workspace."""

    async def of(self, team: str) -> AsyncWebClient:
        """Give the client for a workspace. Raises DeliveryError where the app is not installed there any more."""
        ...


@dataclass(frozen=True, slots=True)
class WorkspaceNotifier:
    """Tells alerts in many workspaces; in each as SlackNotifier does."""

    clients: WorkspaceClients
    clock: Clock
    charts: Charts = field(default_factory=Charts)

    async def post(
        self, channel: Channel, told: MessageRef, *, key: str, thread_id: str | None = None, by: datetime | None = None
    ) -> str:
        """Post a message in a channel, a line in its thread; return the message's `ts`. Raises DeliveryError."""
        return await (await self._of(channel)).post(channel, told, key=key, thread_id=thread_id, by=by)

    async def edit(self, channel: Channel, told: MessageRef, message_id: str, *, by: datetime | None = None) -> None:
        """Make a posted message say what `told` says. Raises DeliveryError, MessageGoneError where it is not there."""
        await (await self._of(channel)).edit(channel, told, message_id, by=by)

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Look for a message by its key; see `look_up`."""
        return await (await self._of(channel)).find(channel, key, since, thread_id)

    async def _of(self, channel: Channel) -> SlackNotifier:
        return SlackNotifier(await self.clients.of(channel.team), self.clock, self.charts)
