"""Slack as a Notifier: one call per message. Only the outbox retries.

A late request is not sent: the deadline is checked right before its first byte. Rendering, name resolution and
connecting happen between a message's lease and its first byte, and the process can stall in each. Once the connection
exists, nothing waits.
"""

import base64
import copy
import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, Protocol, assert_never

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from yarl import URL

from handlers.render.alert import alert_message
from handlers.render.alert_thread import thread_reply
from handlers.render.message import Message, text_only, without_charts
from handlers.render.notices import notice_message
from handlers.slack_errors import BlocksRefusedError, response_body, translate_slack_error, unclear_answer
from services.core.clock import Clock
from services.core.errors import (
    AppPermissionError,
    MessageGoneError,
    MessageLookupDeniedError,
    MessageRefusedError,
    SendDeadlineError,
)
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, NoticeMessage, OutboxMessage, ThreadMessage
from services.market.sources.http.cache import parse_http_date
from services.market.sources.http.environment import environment_proxy

SendCall = Callable[[Message], Awaitable[AsyncSlackResponse]]

_BREAKS_LINK = frozenset("|<> ")  # in mrkdwn
EVENT_TYPE = "minerpulse_alert"
PAGE_SIZE = 200
CONNECTIONS = 200  # more than messages in flight, so that answers to people don't wait for them
MAX_PAGES = 10
LOOK_BACK = timedelta(days=1)  # of a look-up before the attempt, whose time is by a clock that may have been ahead
CLOCK_SKEW = timedelta(minutes=5)  # how far Slack's clock lags ours at most, if both are right
SCOPES_HINT = "with the scopes channels:history and groups:history it can check what was posted"
CHARTS_RETRY_AFTER = timedelta(days=1)  # Slack rolls new blocks out workspace by workspace
log = logging.getLogger(__name__)
_deadline: ContextVar[datetime | None] = ContextVar("send_deadline", default=None)


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


class WorkspaceClients(Protocol):
    """Slack clients by workspace."""

    async def of(self, team: str) -> AsyncWebClient:
        """Return the client for a workspace. Raises DeliveryError if the app is no longer installed there."""
        ...


class SlackNotifier:
    """Posts and edits alerts and notices in Slack; each message has its key in its metadata.

    `client` is that of the only workspace, or the clients of many.
    """

    def __init__(
        self, client: AsyncWebClient | WorkspaceClients, clock: Clock, charts: ChartSupport | None = None
    ) -> None:
        self._client, self._clock, self._charts = client, clock, charts or ChartSupport()

    async def _client_of(self, channel: Channel) -> AsyncWebClient:
        shared = self._client if isinstance(self._client, AsyncWebClient) else await self._client.of(channel.team)
        client = copy.copy(shared)
        client.retry_handlers = []  # slack_sdk's own handlers would post again after a lost response
        return client

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
        client = await self._client_of(channel)
        options: dict[str, Any] = {} if thread_id is None else {"thread_ts": thread_id}
        if isinstance(message, ThreadMessage) and message.broadcast:
            options["reply_broadcast"] = True
        with send_before(send_by):
            return await self._deliver(
                channel,
                _render(message, self._clock.now(), new=True),
                lambda rendered: client.chat_postMessage(
                    channel=channel.id,
                    text=rendered.text,
                    blocks=rendered.blocks,
                    metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
                    unfurl_links=False,
                    unfurl_media=False,
                    **options,
                ),
            )

    async def edit(
        self, channel: Channel, message: OutboxMessage, message_id: str, *, send_by: datetime | None = None
    ) -> None:
        """Update a posted message. Raises DeliveryError, or MessageGoneError if the message was deleted."""
        client = await self._client_of(channel)
        with send_before(send_by):
            await self._deliver(
                channel,
                _render(message, self._clock.now(), new=False),
                lambda rendered: client.chat_update(
                    channel=channel.id, ts=message_id, text=rendered.text, blocks=rendered.blocks
                ),
            )

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Find a message by its key; see `find_message`."""
        return await find_message(await self._client_of(channel), channel.id, key, since, thread_id)

    async def permalink(self, channel: Channel, message_id: str) -> str:
        """Return the permalink of a message. Raises DeliveryError."""
        client = await self._client_of(channel)
        with translate_slack_error():
            response = await client.chat_getPermalink(channel=channel.id, message_ts=message_id)
        permalink = response_body(response).get("permalink")
        if not isinstance(permalink, str) or not permalink.startswith("https://") or _BREAKS_LINK & {*permalink}:
            raise unclear_answer("a response without a permalink")
        return permalink

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
    """Send a message and return its `ts`. An answer without one leaves it unknown whether Slack has the message."""
    with translate_slack_error():
        response = await send(message)
    ts = response_body(response).get("ts")
    if not isinstance(ts, str) or not ts:
        raise unclear_answer("a response without the message's ts")
    return ts


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


async def find_message(
    client: AsyncWebClient, channel: str, key: str, since: datetime, thread_ts: str | None = None
) -> str | None:
    """Return the `ts` of the message with this key, posted since then in the channel or thread; None if there is none.

    `since` is by our clock, which may have been ahead of Slack's: a day before it is searched too, or before Slack's
    own time if that is earlier. Keys are unique. In a busy channel, the search ends at 2,000 messages if they reach
    back to `since` by both clocks.

    Raises DeliveryError if Slack can't answer now, or if the channel or token is unusable for posting too. Raises
    MessageLookupDeniedError if Slack won't answer.
    """
    arguments: dict[str, Any] = {
        "channel": channel,
        "include_all_metadata": True,
        "limit": PAGE_SIZE,
    }
    method: Callable[..., Awaitable[AsyncSlackResponse]] = client.conversations_history
    if thread_ts is not None:
        method, arguments["ts"] = client.conversations_replies, thread_ts
    ahead, reached = timedelta(0), math.inf
    for _ in range(MAX_PAGES):
        page, slack_now = await _page(method, arguments)
        ahead = max(ahead, since - slack_now) if slack_now else ahead
        messages = [message for message in page.get("messages") or () if isinstance(message, dict)]
        for message in messages:
            if _key(message) == key and message.get("ts"):
                return str(message["ts"])
        reached = min([reached, *map(_posted_s, messages)])
        arguments["cursor"] = (page.get("response_metadata") or {}).get("next_cursor")
        is_over = thread_ts is None and reached < (since - ahead - LOOK_BACK).timestamp()  # channels: newest first
        if is_over or not arguments["cursor"]:
            return None
    if reached < (since - ahead - CLOCK_SKEW).timestamp():
        return None
    raise MessageLookupDeniedError(f"more than {PAGE_SIZE * MAX_PAGES:,} messages have been posted there since.")


async def _page(
    method: Callable[..., Awaitable[AsyncSlackResponse]], arguments: dict[str, Any]
) -> tuple[dict[str, Any], datetime | None]:
    """Return a page of messages, and Slack's time if the response has it."""
    try:
        with translate_slack_error():
            response = await method(**arguments)
    except MessageGoneError:
        return {}, None  # no such thread, so no reply in it
    except (AppPermissionError, MessageRefusedError) as error:
        raise MessageLookupDeniedError(f"MinerPulse isn't allowed to read messages there; {SCOPES_HINT}.") from error
    page = response_body(response)
    if not isinstance(page.get("messages"), list):
        raise unclear_answer("a response without messages")
    return page, parse_http_date(response.headers.get("Date", ""))


def _posted_s(message: dict[str, Any]) -> float:
    """Return when a message was posted by Slack's clock, in seconds since 1970; infinity if that is unusable."""
    try:
        return float(message.get("ts") or math.inf)
    except (TypeError, ValueError):
        return math.inf


def _key(message: dict[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    value = (metadata.get("event_payload") or {}).get("key")
    return None if value is None else str(value)


@contextmanager
def send_before(deadline: datetime | None) -> Iterator[None]:
    """Require every request of a session with this connector to start by the deadline; None means no limit."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def _proxy_authorization(proxy: URL) -> dict[str, str] | None:
    """Return the header with the name and password in a proxy's URL; None if it has none."""
    if proxy.user is None:
        return None
    credentials = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {credentials}"}


class SlackConnector(aiohttp.TCPConnector):
    """Connector that raises SendDeadlineError for a request past its deadline, and uses the environment's proxy."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(limit=CONNECTIONS)
        self._clock = clock
        self._proxies: dict[URL, str | None] = {}  # by origin; the environment doesn't change

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- as aiohttp has it
    ) -> Connection:
        """Return a pooled or new connection on which nothing has been sent yet."""
        origin = req.url.origin()
        if origin not in self._proxies:
            self._proxies[origin] = environment_proxy(str(origin))  # slack_sdk would ignore NO_PROXY
        address = self._proxies[origin]
        proxy = URL(address) if address else None
        req.update_proxy(proxy and proxy.with_user(None), None, _proxy_authorization(proxy) if proxy else None)
        connection = await super().connect(req, traces, timeout)
        deadline = _deadline.get()
        if deadline is not None and self._clock.now() > deadline:
            connection.release()
            raise SendDeadlineError
        return connection
