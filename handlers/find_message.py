"""Look up: whether a message stands in Slack, by the key in its metadata."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from handlers.slack_errors import translate_slack_error
from services.core.errors import DeniedError, MessageGoneError, MessageLookupDeniedError, MessageRefusedError

EVENT_TYPE = "minerpulse_alert"
PAGE = 200
MOST_PAGES = 10
SKEW = timedelta(minutes=5)  # how far Slack's clock may be behind ours; longer ago, another post may have had the key
GRANT = "with the scopes channels:history and groups:history it looks up what has arrived"


async def find_message(
    client: AsyncWebClient, channel: str, key: str, since: datetime, thread_ts: str | None = None
) -> str | None:
    """Give the `ts` of the message with this key, posted since then in the channel or in the thread; None without one.

    Raises DeliveryError where Slack cannot answer now, also for want of a channel or a token with which nothing could
    be posted either, and MessageLookupDeniedError where it will not.
    """
    asked: dict[str, Any] = {
        "channel": channel,
        "oldest": f"{(since - SKEW).timestamp():.6f}",
        "include_all_metadata": True,
        "limit": PAGE,
    }
    read: Callable[..., Awaitable[AsyncSlackResponse]] = client.conversations_history
    if thread_ts is not None:
        read, asked["ts"] = client.conversations_replies, thread_ts
    for _ in range(MOST_PAGES):
        page = await _page(read, asked)
        for message in page.get("messages") or ():
            if _key(message) == key:
                return str(message["ts"])
        asked["cursor"] = (page.get("response_metadata") or {}).get("next_cursor")
        if not asked["cursor"]:
            return None
    raise MessageLookupDeniedError(f"more than {PAGE * MOST_PAGES:,} messages have been posted there since.")


async def _page(read: Callable[..., Awaitable[AsyncSlackResponse]], asked: dict[str, Any]) -> dict[str, Any]:
    try:
        with translate_slack_error():
            answer = await read(**asked)
    except MessageGoneError:
        return {}  # no thread, and no line in it
    except (DeniedError, MessageRefusedError) as error:
        raise MessageLookupDeniedError(f"MinerPulse may not read what was posted there; {GRANT}.") from error
    return dict(answer.data) if isinstance(answer.data, dict) else {}


def _key(message: dict[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    found = (metadata.get("event_payload") or {}).get("key")
    return None if found is None else str(found)
