"""Slack and network errors translated to DeliveryError.

A refusal concerns either the channel, the token or Slack itself, so no other message would get through, or a single
message: its layout, its kind, or any code unknown here.

A deleted message is posted again. A message whose edit window has closed is not, because each change would post it
again. It stays as it is, its thread reports the changes, and only its end is posted again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from services.core.errors import (
    AppPermissionError,
    DeliveryError,
    MessageGoneError,
    MessageNotEditableError,
    MessageRefusedError,
)

INVITE = "MinerPulse can't post in this channel: type /invite @MinerPulse there, then try again."
INSTALL = "Slack doesn't accept the app's token: reinstall MinerPulse and set the new token."
FORBIDDEN = "The workspace doesn't let MinerPulse post in this channel: ask a workspace admin."
LAYOUT = "Slack rejected the layout that MinerPulse sent. Report this as a bug."
ARCHIVED = "The channel is archived: unarchive it, or start alerts in another one."
TRIGGER_EXPIRED = "Slack lets an app open a form only within three seconds, and this took longer. Try again."
NO_FORMS = "A rehearsal in the terminal can't open forms. Use `minerpulse rehearse --web`."
NO_TAB = "The app can't send direct messages. Turn on its Messages Tab, under App Home in its Slack settings."
UNKNOWN = "Slack rejected this message with a code MinerPulse doesn't know; look it up in Slack's documentation:"

REMEDIES = {
    "channel_not_found": INVITE,
    "not_in_channel": INVITE,
    "is_archived": ARCHIVED,
    "access_denied": FORBIDDEN,
    "accesslimited": FORBIDDEN,
    "account_inactive": INSTALL,
    "invalid_auth": INSTALL,
    "not_authed": INSTALL,
    "token_expired": INSTALL,
    "token_revoked": INSTALL,
    "missing_scope": "The app lacks a permission: reinstall it with the `commands` and `chat:write` scopes.",
    "ekm_access_denied": FORBIDDEN,
    "enterprise_is_restricted": FORBIDDEN,
    "no_permission": FORBIDDEN,
    "not_allowed_token_type": INSTALL,
    "org_login_required": FORBIDDEN,
    "posting_to_general_channel_denied": FORBIDDEN,
    "restricted_action": FORBIDDEN,
    "restricted_action_read_only_channel": FORBIDDEN,
    "team_access_not_granted": FORBIDDEN,
    "two_factor_setup_required": INSTALL,
}
DENIED = frozenset(
    {
        "access_denied",
        "accesslimited",
        "ekm_access_denied",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "restricted_action",
    }
)
MESSAGE_ERRORS = {
    "exchanged_trigger_id": TRIGGER_EXPIRED,
    "expired_trigger_id": TRIGGER_EXPIRED,
    "invalid_arguments": LAYOUT,
    "invalid_trigger_id": TRIGGER_EXPIRED,
    "messages_tab_disabled": NO_TAB,
    "msg_too_long": LAYOUT,
    "no_text": LAYOUT,
    "unknown_method": NO_FORMS,  # the fake Slack of a terminal rehearsal
    "restricted_action_non_threadable_channel": FORBIDDEN,  # refuses thread replies only
    "restricted_action_thread_only_channel": FORBIDDEN,  # refuses everything but thread replies
}
BLOCKS_REFUSED = frozenset({"invalid_attachments", "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
MESSAGE_GONE = frozenset({"cannot_reply_to_message", "cant_update_message", "message_not_found", "thread_not_found"})
MAX_RETRY_AFTER_S = 3_600  # longer than any of Slack's rate limits
EDIT_WINDOW_CLOSED = "edit_window_closed"
RATE_LIMITED = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})
SERVER_ERRORS = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
)


class BlocksRefusedError(MessageRefusedError):
    """Slack rejected the blocks; a simpler form of the message may pass."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, permanent=True, surely_not_posted=True)


def response_body(response: AsyncSlackResponse) -> dict[str, Any]:
    """Return the body of a response that slack_sdk accepted. Raises DeliveryError if it is no object."""
    if not isinstance(response.data, dict):
        raise unclear_answer("a response that isn't an object")
    return response.data


@contextmanager
def translate_slack_error() -> Iterator[None]:
    """Translate errors of slack_sdk and the network into DeliveryError."""
    try:
        yield
    except SlackApiError as error:
        raise _delivery_error(error.response) from error
    except AttributeError as error:  # slack_sdk reads `ok` of any body, even of a list or a string
        if error.name != "get" or not isinstance(error.obj, list | str | int | float):
            raise
        raise unclear_answer("a response that isn't an object") from error
    except aiohttp.ClientConnectorError as error:
        raise DeliveryError("Slack can't be reached.", permanent=False, surely_not_posted=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise unclear_answer(f"no response ({type(error).__name__})") from error


def _delivery_error(response: Any) -> DeliveryError:  # noqa: ANN401 -- of slack_sdk or, where the body is no JSON, of aiohttp
    status = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in RATE_LIMITED:
        wait = _parse_retry_after(response.headers.get("Retry-After", ""))
        return DeliveryError(
            "Slack is rate-limiting MinerPulse.", permanent=False, surely_not_posted=True, retry_after=wait
        )
    if not code or code in SERVER_ERRORS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unclear_answer(code or f"HTTP {status}")
    return _error_for_code(code)


def _error_for_code(code: str) -> DeliveryError:
    if code in BLOCKS_REFUSED:
        return BlocksRefusedError()
    if code == EDIT_WINDOW_CLOSED:
        return MessageNotEditableError(f"The workspace no longer allows changes to this message ({code}).")
    if code in MESSAGE_GONE:
        return MessageGoneError(f"The message can't be changed or replied to ({code}).")
    if code in REMEDIES:
        text = f"{REMEDIES[code]} ({code})"
        error = DeliveryError(text, permanent=True, surely_not_posted=True)
        return AppPermissionError(text) if code in DENIED else error
    if code in MESSAGE_ERRORS:
        return MessageRefusedError(f"{MESSAGE_ERRORS[code]} ({code})", permanent=True, surely_not_posted=True)
    return MessageRefusedError(f"{UNKNOWN} {code}.", permanent=False, surely_not_posted=False)


def unclear_answer(reason: str) -> DeliveryError:
    """Return the error of an answer that doesn't say whether Slack has the message, so it is looked up."""
    problem = f"Slack may not have accepted the message: {reason}."
    return DeliveryError(problem, permanent=False, surely_not_posted=False)


def _parse_retry_after(text: str) -> timedelta | None:
    return timedelta(seconds=min(max(1, int(text)), MAX_RETRY_AFTER_S)) if text.isdecimal() else None
