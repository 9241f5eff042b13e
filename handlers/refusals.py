"""Refusals of Slack and the network as DeliveryError: may it be there, will a retry help, who can mend it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from slack_sdk.errors import SlackApiError

from services.domain.errors import DeliveryError, MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator

INVITE = "MinerPulse cannot post in this channel: type /invite @MinerPulse there, then try again."
INSTALL = "Slack does not accept the app's token: install MinerPulse again and give it the new token."
FORBIDDEN = "The workspace does not let MinerPulse post in this channel: ask a workspace admin."
LAYOUT = "Slack refuses this message's layout, even in its plain form; please report it."
ARCHIVED = "The channel is archived: unarchive it, or start alerts in another one."

REMEDIES = {
    "channel_not_found": INVITE,
    "not_in_channel": INVITE,
    "is_archived": ARCHIVED,
    "account_inactive": INSTALL,
    "invalid_auth": INSTALL,
    "not_authed": INSTALL,
    "token_expired": INSTALL,
    "token_revoked": INSTALL,
    "missing_scope": "The app lacks a permission: install it again with the scopes commands and chat:write.",
    "ekm_access_denied": FORBIDDEN,
    "no_permission": FORBIDDEN,
    "org_login_required": FORBIDDEN,
    "restricted_action": FORBIDDEN,
    "restricted_action_non_threadable_channel": FORBIDDEN,
    "restricted_action_read_only_channel": FORBIDDEN,
    "restricted_action_thread_only_channel": FORBIDDEN,
    "team_access_not_granted": FORBIDDEN,
    "invalid_arguments": LAYOUT,
    "msg_too_long": LAYOUT,
    "no_text": LAYOUT,
}
BLOCKS_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
GONE = frozenset(
    {"cannot_reply_to_message", "cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found"}
)
LIMITED = frozenset({"rate_limited", "ratelimited"})


class BlocksRefusedError(DeliveryError):
    """Slack refused the blocks; a plainer form of the message may pass."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, permanent=True, surely_not_posted=True)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what slack_sdk and the network raise into DeliveryError."""
    try:
        yield
    except SlackApiError as error:
        raise _refusal(error.response) from error
    except aiohttp.ClientConnectorError as error:
        raise DeliveryError("Slack cannot be reached.", permanent=False, surely_not_posted=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise _lost(f"no answer ({type(error).__name__})") from error


def _refusal(response: Any) -> DeliveryError:  # noqa: ANN401 -- of slack_sdk or, where the body is no JSON, of aiohttp
    status = getattr(response, "status_code", None) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in LIMITED:
        wait = _seconds(response.headers.get("Retry-After", ""))
        return DeliveryError("Slack asks to wait.", permanent=False, surely_not_posted=True, retry_after=wait)
    if code in BLOCKS_REFUSED:
        return BlocksRefusedError()
    if code in GONE:
        return MessageGoneError(f"Slack cannot change the message ({code}).")
    if code in REMEDIES:
        return DeliveryError(f"{REMEDIES[code]} ({code})", permanent=True, surely_not_posted=True)
    return _lost(code or f"HTTP {status}")


def _lost(what: str) -> DeliveryError:
    return DeliveryError(f"Slack may not have taken the message: {what}.", permanent=False, surely_not_posted=False)


def _seconds(text: str) -> timedelta | None:
    return timedelta(seconds=int(text)) if text.isdecimal() else None
