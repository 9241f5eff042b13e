"""Find a posted message in Slack by the key in its metadata."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from handlers.slack_errors import translate_slack_error
from services.core.errors import AppPermissionError, MessageGoneError, MessageLookupDeniedError, MessageRefusedError

EVENT_TYPE = "minerpulse_alert"
PAGE_SIZE = 200
MAX_PAGES = 10
CLOCK_SKEW = timedelta(minutes=5)  # how far Slack's clock may lag ours; earlier, another message may have used the key
SCOPES_HINT = "with the scopes channels:history and groups:history it looks up what has arrived"


async def find_message(
    client: AsyncWebClient, channel: str, key: str, since: datetime, thread_ts: str | None = None
) -> str | None:
    """Return the `ts` of the message with this key, posted since then in the channel or thread; None if there is none.

    Raises DeliveryError if Slack can't answer now, or if the channel or token is unusable for posting too. Raises
    MessageLookupDeniedError if Slack won't answer.
    """
    arguments: dict[str, Any] = {
        "channel": channel,
        "oldest": f"{(since - CLOCK_SKEW).timestamp():.6f}",
        "include_all_metadata": True,
        "limit": PAGE_SIZE,
    }
    method: Callable[..., Awaitable[AsyncSlackResponse]] = client.conversations_history
    if thread_ts is not None:
        method, arguments["ts"] = client.conversations_replies, thread_ts
    for _ in range(MAX_PAGES):
        page = await _page(method, arguments)
        for message in page.get("messages") or ():
            if _key(message) == key:
                return str(message["ts"])
        arguments["cursor"] = (page.get("response_metadata") or {}).get("next_cursor")
        if not arguments["cursor"]:
            return None
    raise MessageLookupDeniedError(f"more than {PAGE_SIZE * MAX_PAGES:,} messages have been posted there since.")


async def _page(method: Callable[..., Awaitable[AsyncSlackResponse]], arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        with translate_slack_error():
            response = await method(**arguments)
    except MessageGoneError:
        return {}  # no such thread, so no reply in it
    except (AppPermissionError, MessageRefusedError) as error:
        raise MessageLookupDeniedError(f"MinerPulse may not read what was posted there; {SCOPES_HINT}.") from error
    return dict(response.data) if isinstance(response.data, dict) else {}


def _key(message: dict[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    value = (metadata.get("event_payload") or {}).get("key")
    return None if value is None else str(value)
