"""A Slack workspace in memory: channels of messages, and the answers that Slack's Web API gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from itertools import count
from typing import Any

Arguments = dict[str, Any]
Blocks = list[dict[str, Any]]

MOST_BLOCKS = 50
LONGEST_TEXT = 40_000
RESPONSES = 5  # how often one response_url may be used
UNSCOPED = {"conversations.history": "channels:history", "conversations.replies": "channels:history"}


class Kind(Enum):
    """What happened to a message."""

    POSTED = "posted"
    EDITED = "edited"
    REPLIED = "replied"
    WHISPERED = "whispered"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as Slack would show it; `thread_ts` is that of the message it answers, `only_for` a user's id."""

    channel: str
    ts: str
    text: str
    blocks: Blocks
    thread_ts: str | None = None
    metadata: dict[str, Any] | None = None
    only_for: str | None = None
    edits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that happened in a channel."""

    kind: Kind
    message: Message


class _Refused(Exception):  # noqa: N818 -- an answer of Slack's, not an error of ours
    """Slack's `ok: false`, with its word for what is wrong."""

    def __init__(self, error: str, **more: str) -> None:
        self.answer: Arguments = {"ok": False, "error": error, **more}
        super().__init__(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """Where a response_url leads, and how often it may still be used."""

    channel: str
    user: str
    ts: str | None
    left: int = RESPONSES


@dataclass(slots=True, kw_only=True)
class Workspace:
    """One team, one bot and some channels; every change is told to `tell`. `origin` is where it is served."""

    now: Callable[[], datetime]
    token: str = "xoxb-standin"  # noqa: S105 -- made up, good for nothing outside
    channels: Sequence[str] = ("C1",)
    scopes: str = "commands,chat:write"
    tell: Callable[[Change], None] = lambda _change: None
    team: str = "T1"
    origin: str = ""
    _messages: dict[str, dict[str, Message]] = field(default_factory=dict)
    _replies: dict[str, _Reply] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def url(self) -> str:
        """The base URL for a Slack client."""
        return f"{self.origin}/api/"

    def messages(self, channel: str) -> list[Message]:
        """List a channel's messages, ephemeral ones and those in threads included, oldest first."""
        return list(self._messages.get(channel, {}).values())

    def thread(self, channel: str, ts: str) -> list[Message]:
        """List the answers to one message, oldest first."""
        return [message for message in self.messages(channel) if message.thread_ts == ts]

    def response_url(self, channel: str, user: str, ts: str | None = None) -> str:
        """Open a response_url for a command, or for a click on the message `ts`."""
        key = f"{next(self._numbers)}"
        self._replies[key] = _Reply(channel=channel, user=user, ts=ts)
        return f"{self.origin}/response/{key}"

    def call(self, method: str, arguments: Arguments, token: str | None) -> Arguments:
        """Answer one Web API call as Slack does."""
        try:
            self._authorize(method, token)
            return {"ok": True, **METHODS[method](self, arguments)}
        except _Refused as refused:
            return refused.answer

    def answer(self, channel: str, user: str, arguments: Arguments) -> None:
        """Show what the acknowledgement of a command says."""
        self._take(_Reply(channel=channel, user=user, ts=None), arguments)

    def respond(self, key: str, arguments: Arguments) -> Arguments:
        """Take what was sent to a response_url."""
        reply = self._replies.get(key)
        if reply is None or not reply.left:
            return {"ok": False, "error": "used_url" if reply else "expired_url"}
        try:
            self._take(reply, arguments)
        except _Refused as refused:
            return refused.answer
        self._replies[key] = replace(reply, left=reply.left - 1)
        return {"ok": True}

    def _authorize(self, method: str, token: str | None) -> None:
        if token != self.token:
            raise _Refused("invalid_auth" if token else "not_authed")
        if method in UNSCOPED:
            raise _Refused("missing_scope", needed=UNSCOPED[method], provided=self.scopes)
        if method not in METHODS:
            raise _Refused("unknown_method", req_method=method)

    def _take(self, reply: _Reply, arguments: Arguments) -> None:
        known = self._messages.get(reply.channel, {}).get(reply.ts or "")
        if known and arguments.get("delete_original"):
            del self._messages[known.channel][known.ts]
            self.tell(Change(kind=Kind.DELETED, message=known))
        elif known and arguments.get("replace_original", True):
            self._edit(known, arguments)
        else:
            in_channel = arguments.get("response_type") == "in_channel"
            self._add({**arguments, "channel": reply.channel}, only_for=None if in_channel else reply.user)

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
        return {"channel": message.channel, "ts": message.ts, "message": _shown(message)}

    def _whisper(self, arguments: Arguments) -> Arguments:
        return {"message_ts": self._add(arguments, only_for=_needed(arguments, "user")).ts}

    def _update(self, arguments: Arguments) -> Arguments:
        channel, ts = _needed(arguments, "channel"), _needed(arguments, "ts")
        known = self._messages.get(channel, {}).get(ts)
        if channel not in self.channels:
            raise _Refused("channel_not_found")
        if known is None or known.only_for:
            raise _Refused("message_not_found")
        edited = self._edit(known, arguments)
        return {"channel": channel, "ts": ts, "text": edited.text, "message": _shown(edited)}

    def _add(self, arguments: Arguments, only_for: str | None = None) -> Message:
        channel, thread = _needed(arguments, "channel"), arguments.get("thread_ts")
        if channel not in self.channels:
            raise _Refused("channel_not_found")
        known = self._messages.setdefault(channel, {})
        if thread and thread not in known:
            raise _Refused("cannot_reply_to_message")
        text, blocks = _content(arguments)
        message = Message(
            channel=channel,
            ts=f"{self.now().timestamp():.0f}.{next(self._numbers):06d}",
            text=text,
            blocks=blocks,
            thread_ts=thread,
            metadata=_decoded(arguments.get("metadata")),
            only_for=only_for,
        )
        known[message.ts] = message
        posted = Kind.REPLIED if thread else Kind.POSTED
        self.tell(Change(kind=Kind.WHISPERED if only_for else posted, message=message))
        return message

    def _edit(self, known: Message, arguments: Arguments) -> Message:
        text, blocks = _content(arguments)
        edited = replace(known, text=text, blocks=blocks, edits=known.edits + 1)
        self._messages[known.channel][known.ts] = edited
        self.tell(Change(kind=Kind.EDITED, message=edited))
        return edited


METHODS: dict[str, Callable[[Workspace, Arguments], Arguments]] = {
    "auth.test": Workspace._auth_test,  # noqa: SLF001 -- the table belongs to the class
    "chat.postMessage": Workspace._post,  # noqa: SLF001
    "chat.postEphemeral": Workspace._whisper,  # noqa: SLF001
    "chat.update": Workspace._update,  # noqa: SLF001
}


def _needed(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not value:
        raise _Refused("invalid_arguments", needed=name)
    return str(value)


def _content(arguments: Arguments) -> tuple[str, Blocks]:
    text, blocks = str(arguments.get("text") or ""), _decoded(arguments.get("blocks")) or []
    if not text and not blocks:
        raise _Refused("no_text")
    if len(text) > LONGEST_TEXT:
        raise _Refused("msg_too_long")
    if not isinstance(blocks, list) or len(blocks) > MOST_BLOCKS or not all("type" in block for block in blocks):
        raise _Refused("invalid_blocks")
    return text, blocks


def _decoded(value: object) -> Any:  # noqa: ANN401 -- whatever JSON there is
    """Read a nested argument, which a form carries as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise _Refused("invalid_arguments") from error


def _shown(message: Message) -> Arguments:
    return {"type": "message", "bot_id": "BBOT", "ts": message.ts, "text": message.text, "blocks": message.blocks}
