"""A Slack workspace in memory: channels, messages and the Web API's responses."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from itertools import count
from typing import Any

Arguments = dict[str, Any]
Blocks = list[dict[str, Any]]

MAX_BLOCKS = 50
MAX_TEXT = 40_000
RESPONSE_URL_USES = 5  # uses per response_url
UNGRANTED_SCOPES = {"conversations.history": "channels:history", "conversations.replies": "channels:history"}


class EventKind(Enum):
    """What happened to a message."""

    POSTED = "posted"
    EDITED = "edited"
    REPLIED = "replied"
    EPHEMERAL = "whispered"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedMessage:
    """A message in a channel.

    Attributes:
        thread_ts: The parent message if this is a reply.
        visible_to: The user ID if the message is ephemeral.
    """

    channel: str
    ts: str
    text: str
    blocks: Blocks
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    visible_to: str | None = None
    edits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent:
    """A change of a message."""

    kind: EventKind
    message: PostedMessage


class _SlackError(Exception):
    """A Slack response with `ok: false` and an error code."""

    def __init__(self, error: str, **more: str) -> None:
        self.response: Arguments = {"ok": False, "error": error, **more}
        super().__init__(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ResponseUrl:
    """The target of a response_url, and its remaining uses."""

    channel: str
    user: str
    ts: str | None
    uses_left: int = RESPONSE_URL_USES


@dataclass(slots=True, kw_only=True)
class Workspace:
    """One team with one bot and some channels.

    Attributes:
        on_event: Called with every change.
        origin: The URL of its server.
    """

    now: Callable[[], datetime]
    token: str = "xoxb-standin"  # noqa: S105 -- made up
    channels: Sequence[str] = ("C1",)
    scopes: str = "commands,chat:write"
    on_event: Callable[[MessageEvent], None] = lambda _change: None
    team: str = "T1"
    origin: str = ""
    _messages: dict[str, dict[str, PostedMessage]] = field(default_factory=dict)
    _response_urls: dict[str, _ResponseUrl] = field(default_factory=dict)
    _sequence: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def url(self) -> str:
        """The base URL for a Slack client."""
        return f"{self.origin}/api/"

    def messages(self, channel: str) -> list[PostedMessage]:
        """Return a channel's messages, including ephemeral ones and replies, oldest first."""
        return list(self._messages.get(channel, {}).values())

    def thread(self, channel: str, ts: str) -> list[PostedMessage]:
        """Return the replies to a message, oldest first."""
        return [message for message in self.messages(channel) if message.thread_ts == ts]

    def response_url(self, channel: str, user: str, ts: str | None = None) -> str:
        """Create a response_url for a command, or for a click on the message `ts`."""
        key = f"{next(self._sequence)}"
        self._response_urls[key] = _ResponseUrl(channel=channel, user=user, ts=ts)
        return f"{self.origin}/response/{key}"

    def call(self, method: str, arguments: Arguments, token: str | None) -> Arguments:
        """Return the response to a Web API call."""
        try:
            self._authorize(method, token)
            return {"ok": True, **METHODS[method](self, arguments)}
        except _SlackError as error:
            return error.response

    def show_acknowledgement(self, channel: str, user: str, arguments: Arguments) -> None:
        """Show the body of a command's acknowledgement."""
        self._apply_response(_ResponseUrl(channel=channel, user=user, ts=None), arguments)

    def respond(self, key: str, arguments: Arguments) -> Arguments:
        """Handle a request to a response_url."""
        response_url = self._response_urls.get(key)
        if response_url is None or not response_url.uses_left:
            return {"ok": False, "error": "used_url" if response_url else "expired_url"}
        try:
            self._apply_response(response_url, arguments)
        except _SlackError as error:
            return error.response
        self._response_urls[key] = replace(response_url, uses_left=response_url.uses_left - 1)
        return {"ok": True}

    def _authorize(self, method: str, token: str | None) -> None:
        if token != self.token:
            raise _SlackError("invalid_auth" if token else "not_authed")
        if method in UNGRANTED_SCOPES:
            raise _SlackError("missing_scope", needed=UNGRANTED_SCOPES[method], provided=self.scopes)
        if method not in METHODS:
            raise _SlackError("unknown_method", req_method=method)

    def _apply_response(self, response_url: _ResponseUrl, arguments: Arguments) -> None:
        message = self._messages.get(response_url.channel, {}).get(response_url.ts or "")
        if message and arguments.get("delete_original"):
            del self._messages[message.channel][message.ts]
            self.on_event(MessageEvent(kind=EventKind.DELETED, message=message))
        elif message and arguments.get("replace_original", True):
            self._edit(message, arguments)
        else:
            in_channel = arguments.get("response_type") == "in_channel"
            self._add(
                {**arguments, "channel": response_url.channel}, visible_to=None if in_channel else response_url.user
            )

    def _auth_test(self, _arguments: Arguments) -> Arguments:
        return {
            "url": "https://rehearsal.slack.com/",
            "team": "Rehearsal",
            "team_id": self.team,
            "user": "minerpulse",
            "user_id": "UBOT",
            "bot_id": "BBOT",
        }

    def _post(self, arguments: Arguments) -> Arguments:
        message = self._add(arguments)
        return {"channel": message.channel, "ts": message.ts, "message": _message_payload(message)}

    def _post_ephemeral(self, arguments: Arguments) -> Arguments:
        return {"message_ts": self._add(arguments, visible_to=_required(arguments, "user")).ts}

    def _update(self, arguments: Arguments) -> Arguments:
        channel, ts = _required(arguments, "channel"), _required(arguments, "ts")
        message = self._messages.get(channel, {}).get(ts)
        if channel not in self.channels:
            raise _SlackError("channel_not_found")
        if message is None or message.visible_to:
            raise _SlackError("message_not_found")
        edited = self._edit(message, arguments)
        return {"channel": channel, "ts": ts, "text": edited.text, "message": _message_payload(edited)}

    def _add(self, arguments: Arguments, visible_to: str | None = None) -> PostedMessage:
        channel, thread_ts = _required(arguments, "channel"), arguments.get("thread_ts")
        if channel not in self.channels:
            raise _SlackError("channel_not_found")
        messages = self._messages.setdefault(channel, {})
        if thread_ts and thread_ts not in messages:
            raise _SlackError("cannot_reply_to_message")
        text, blocks = _content(arguments)
        message = PostedMessage(
            channel=channel,
            ts=f"{self.now().timestamp():.0f}.{next(self._sequence):06d}",
            text=text,
            blocks=blocks,
            thread_ts=thread_ts,
            metadata=_decode_json(arguments.get("metadata")),
            visible_to=visible_to,
        )
        messages[message.ts] = message
        kind = EventKind.REPLIED if thread_ts else EventKind.POSTED
        self.on_event(MessageEvent(kind=EventKind.EPHEMERAL if visible_to else kind, message=message))
        return message

    def _edit(self, message: PostedMessage, arguments: Arguments) -> PostedMessage:
        text, blocks = _content(arguments)
        edited = replace(message, text=text, blocks=blocks, edits=message.edits + 1)
        self._messages[message.channel][message.ts] = edited
        self.on_event(MessageEvent(kind=EventKind.EDITED, message=edited))
        return edited


METHODS: dict[str, Callable[[Workspace, Arguments], Arguments]] = {
    "auth.test": Workspace._auth_test,  # noqa: SLF001 -- the table belongs to the class
    "chat.postMessage": Workspace._post,  # noqa: SLF001
    "chat.postEphemeral": Workspace._post_ephemeral,  # noqa: SLF001
    "chat.update": Workspace._update,  # noqa: SLF001
}


def _required(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not value:
        raise _SlackError("invalid_arguments", needed=name)
    return str(value)


def _content(arguments: Arguments) -> tuple[str, Blocks]:
    text, blocks = str(arguments.get("text") or ""), _decode_json(arguments.get("blocks")) or []
    if not text and not blocks:
        raise _SlackError("no_text")
    if len(text) > MAX_TEXT:
        raise _SlackError("msg_too_long")
    if not isinstance(blocks, list) or len(blocks) > MAX_BLOCKS or not all("type" in block for block in blocks):
        raise _SlackError("invalid_blocks")
    return text, blocks


def _decode_json(value: object) -> Any:  # noqa: ANN401 -- any JSON
    """Return a nested argument, which forms carry as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise _SlackError("invalid_arguments") from error


def _message_payload(message: PostedMessage) -> Arguments:
    return {"type": "message", "bot_id": "BBOT", "ts": message.ts, "text": message.text, "blocks": message.blocks}
