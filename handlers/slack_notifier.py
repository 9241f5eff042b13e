"""Slack as a Notifier: one call per message. Only the outbox retries."""

import copy
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, assert_never

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from handlers.find_message import EVENT_TYPE, find_message
from handlers.render.alert import alert_message
from handlers.render.alert_text import thread_reply
from handlers.render.fallbacks import text_only, without_charts
from handlers.render.message import Message
from handlers.render.notices import notice_message
from handlers.send_deadline import send_before
from handlers.slack_errors import BlocksRefusedError, translate_slack_error
from services.core.clock import Clock
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, NoticeMessage, OutboxMessage, ThreadMessage

SendCall = Callable[[Message], Awaitable[AsyncSlackResponse]]

CHARTS_RETRY_AFTER = timedelta(days=1)  # Slack rolls new blocks out workspace by workspace
log = logging.getLogger(__name__)


class ChartSupport:
    """Which workspaces refuse chart blocks, kept in memory for a day so that messages aren't refused each time.

    `enabled` is False if charts are switched off for all workspaces.
    """

    def __init__(self) -> None:
        self.enabled = True
        self._refused: dict[str, datetime] = {}

    def supports(self, team: str, now: datetime) -> bool:
        """Return whether to try a chart in a workspace."""
        refused_at = self._refused.get(team)
        return self.enabled and (refused_at is None or now - refused_at >= CHARTS_RETRY_AFTER)

    def mark_refused(self, team: str, now: datetime) -> None:
        """Record that a workspace refused a message only because of its chart."""
        self._refused[team] = now


class SlackNotifier:
    """Posts and edits alerts and notices in Slack; each message has its key in its metadata.

    `charts` is shared by all notifiers of the same workspaces.
    """

    def __init__(self, client: AsyncWebClient, clock: Clock, charts: ChartSupport | None = None) -> None:
        self._client = copy.copy(client)
        self._client.retry_handlers = []  # slack_sdk's own handlers would post again after a lost response
        self._clock = clock
        self._charts = charts or ChartSupport()

    async def post(
        self,
        channel: Channel,
        message: OutboxMessage,
        *,
        key: str,
        thread_id: str | None = None,
        send_by: datetime | None = None,
    ) -> str:
        """Post a message in a channel, or a reply in a thread, and return its `ts`. Raises DeliveryError."""
        options: dict[str, Any] = {} if thread_id is None else {"thread_ts": thread_id}
        if isinstance(message, ThreadMessage) and message.broadcast:
            options["reply_broadcast"] = True
        with send_before(send_by):
            return await self._deliver(
                channel,
                _render(message, self._clock.now(), new=True),
                lambda rendered: self._post(channel, rendered, key, **options),
            )

    async def edit(
        self, channel: Channel, message: OutboxMessage, message_id: str, *, send_by: datetime | None = None
    ) -> None:
        """Update a posted message. Raises DeliveryError, or MessageGoneError if the message was deleted."""
        with send_before(send_by):
            await self._deliver(
                channel,
                _render(message, self._clock.now(), new=False),
                lambda rendered: self._client.chat_update(
                    channel=channel.id, ts=message_id, text=rendered.text, blocks=rendered.blocks
                ),
            )

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Find a message by its key; see `find_message`."""
        return await find_message(self._client, channel.id, key, since, thread_id)

    async def _post(self, channel: Channel, message: Message, key: str, **options: Any) -> AsyncSlackResponse:  # noqa: ANN401 -- Slack's own arguments
        return await self._client.chat_postMessage(
            channel=channel.id,
            text=message.text,
            blocks=message.blocks,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
            unfurl_links=False,
            unfurl_media=False,
            **options,
        )

    async def _deliver(self, channel: Channel, message: Message, send: SendCall) -> str:
        """Send a message. If Slack rejects its blocks, retry without its chart, then as plain text.

        If the message passes without its chart, the workspace gets no charts for a day.
        """
        plain, now = without_charts(message), self._clock.now()
        with_chart = plain != message and self._charts.supports(channel.team, now)
        if with_chart and (ts := await _try_send(message, send, "without its chart")):
            return ts
        if ts := await _try_send(plain, send, "in plain form"):
            if with_chart:
                self._charts.mark_refused(channel.team, now)
            return ts
        return await _send(text_only(message), send)


async def _try_send(message: Message, send: SendCall, retry_form: str) -> str | None:
    """Send a message; None if Slack rejects its blocks. The log names `retry_form`, the form that is sent instead."""
    try:
        return await _send(message, send)
    except BlocksRefusedError as error:
        log.warning("Slack rejected the blocks of a message; sending it %s: %s", retry_form, error.__cause__)
        return None


async def _send(message: Message, send: SendCall) -> str:
    with translate_slack_error():
        return str((await send(message))["ts"])


def _render(message: OutboxMessage, now: datetime, *, new: bool) -> Message:
    """Render a message; only a `new` message notifies the people it mentions."""
    match message:
        case AlertMessage():
            return alert_message(message.alert, now, mention=message.mention if new else None)
        case ThreadMessage():
            return thread_reply(message.entry, message.alert)
        case NoticeMessage():
            return notice_message(message.notice)
        case _:
            assert_never(message)


class WorkspaceClients(Protocol):
    """Slack clients by workspace."""

    async def of(self, team: str) -> AsyncWebClient:
        """Return the client for a workspace. Raises DeliveryError if the app is no longer installed there."""
        ...


@dataclass(frozen=True, slots=True)
class WorkspaceNotifier:
    """Notifier for many workspaces; uses a SlackNotifier for each."""

    clients: WorkspaceClients
    clock: Clock
    charts: ChartSupport = field(default_factory=ChartSupport)

    async def post(
        self,
        channel: Channel,
        message: OutboxMessage,
        *,
        key: str,
        thread_id: str | None = None,
        send_by: datetime | None = None,
    ) -> str:
        """Post a message in a channel, or a reply in a thread, and return its `ts`. Raises DeliveryError."""
        return await (await self._of(channel)).post(channel, message, key=key, thread_id=thread_id, send_by=send_by)

    async def edit(
        self, channel: Channel, message: OutboxMessage, message_id: str, *, send_by: datetime | None = None
    ) -> None:
        """Update a posted message. Raises DeliveryError, or MessageGoneError if the message was deleted."""
        await (await self._of(channel)).edit(channel, message, message_id, send_by=send_by)

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Find a message by its key; see `find_message`."""
        return await (await self._of(channel)).find(channel, key, since, thread_id)

    async def _of(self, channel: Channel) -> SlackNotifier:
        return SlackNotifier(await self.clients.of(channel.team), self.clock, self.charts)
