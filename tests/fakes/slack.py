"""Fake Slack for all tests: records calls and messages, and fails, delays or loses responses on request.

`FakeSlack` has no transport: `slack_server` serves it over HTTP on 127.0.0.1, and the simulator calls it in memory.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from handlers.background import BackgroundTasks
from tests.fakes.blockkit import problems, shown_text, view_problems

SECRET = "made-up-secret"
TOKEN = "xoxb-made-up"
CLIENT_ID, CLIENT_SECRET = "11.22", "client-hush"
EXPIRES_IN_S = 43_200
RESPONSES = "responses"
POST, UPDATE = "chat.postMessage", "chat.update"
AUTH, OAUTH, API_TEST = "auth.test", "oauth.v2.access", "api.test"
MEMBERSHIPS, PERMALINK = "users.conversations", "chat.getPermalink"
INFO = "conversations.info"
BOT_USER = "UBOT"
HISTORY_METHODS = ("conversations.history", "conversations.replies")
VIEWS = ("views.open", "views.update", "views.publish")
UPLOAD = "upload"
FILES = ("files.getUploadURLExternal", UPLOAD, "files.completeUploadExternal")
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to Slack.

    Attributes:
        method: The API method, or `responses` for a response_url.
        key: The last part of a response_url.
        sent_at: The time by the sender's clock.
        authorization: The Authorization header.

    The arguments of a message also have what it shows, in `shown`: its text and everything in its blocks.
    """

    method: str
    arguments: dict[str, Any]
    sent_at: datetime
    key: str = ""
    authorization: str = ""

    def __post_init__(self) -> None:
        if "text" in self.arguments:
            blocks = _decoded(self.arguments.get("blocks")) or ()
            self.arguments["shown"] = shown_text(str(self.arguments["text"]), blocks)

    @property
    def message(self) -> dict[str, Any]:
        """The text and blocks of the call."""
        return {key: self.arguments[key] for key in ("text", "blocks") if key in self.arguments}

    @property
    def metadata_key(self) -> str:
        """The key in the message's metadata, by which a post is found again."""
        metadata = _decoded(self.arguments.get("metadata")) or {}
        return str(metadata.get("event_payload", {}).get("key", ""))

    @property
    def token(self) -> str:
        return self.authorization.removeprefix("Bearer ")

    @property
    def view(self) -> dict[str, Any]:
        """The view of the call."""
        read: dict[str, Any] = _decoded(self.arguments.get("view")) or {}
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One bad response.

    Attributes:
        name: What counts and logs call it.
        drop: Cuts the connection.
        breaks: Cuts the connection after the body, whose length was announced as more; with sockets only.
        hang: Never responds.
        refuse: Refuses the connection; without sockets only.
        accepted: The call takes effect anyway.
        accepted_after_s: The call takes effect so many seconds later.
        until: Not a fault but a delay: the call takes effect, and the response follows this event.
    """

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    drop: bool = False
    breaks: bool = False
    hang: bool = False
    refuse: bool = False
    accepted: bool = False
    accepted_after_s: float | None = None
    until: asyncio.Event | None = None


def error_response(error: str, *, status: int = 200, **more: str) -> Fault:
    """Return Slack's `ok: false` response."""
    return Fault(status=status, body=json.dumps(_error(error, **more)))


@dataclass(slots=True, kw_only=True)
class ChannelMessage:
    """A message in a channel, with its latest text; it stays listed after a person deletes it.

    `sent_at` is the sender's clock at the last post or edit; `arguments` are those of the post.
    """

    ts: str
    key: str
    thread_ts: str | None
    text: str
    arguments: dict[str, Any]
    sent_at: datetime
    edits: int = 0
    deleted: bool = False


@dataclass(slots=True)
class FakeSlack:
    """One workspace. Unknown channels, timestamps and tokens are accepted, because tests invent them.

    Attributes:
        calls: Every call, in order; `accepted` has those that took effect.
        messages: The messages of each channel, in order, deleted ones included.
        faults: Faults to return in turn, by method; `fault_policy` decides if there is none.
        malformed: What is wrong with the Block Kit of rejected messages and views.
        hashes: The latest hash by view ID.
        delayed: Set when a response is being delayed.
        readable: Whether the app may read message history, `page` messages at a time.
        epoch: Slack's clock, in seconds since 1970; `clock` replaces it if set.
        latency: The seconds that a request to a method takes, and its response again.
        checks_blocks: Whether malformed messages are rejected.
        codes: OAuth responses by code. Each code and each of `refresh_tokens` works once.
        joined: The channels of each person, and of the app by its user; of others, C1 and C2.
        listed: What conversations.info shows of channels; others aren't found.
        on_post: Called with each message that is posted.
        on_outcome: Called with each call and `ok`, the error, the fault's name, or `accepted late`.
    """

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    accepted: list[Call] = field(default_factory=list)
    messages: dict[str, list[ChannelMessage]] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    fault_policy: Callable[[Call], Fault | None] = lambda _call: None
    malformed: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    delayed: asyncio.Event = field(default_factory=asyncio.Event)
    readable: bool = False
    page: int = 100
    epoch: int = 1_700_000_000
    clock: Callable[[], datetime] | None = None
    latency: Callable[[str], float] = lambda _method: 0.0
    checks_blocks: bool = True
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)  # refresh token to access token
    joined: dict[str, list[str]] = field(default_factory=dict)  # channels by person
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_post: Callable[[ChannelMessage], None] = lambda _message: None
    on_outcome: Callable[[Call, str], None] = lambda _call, _outcome: None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _late: set[asyncio.Task[None]] = field(default_factory=set)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> float:
        """Return Slack's time in seconds since 1970."""
        return self.epoch if self.clock is None else self.clock().timestamp()

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults.setdefault(method, []).extend(faults)

    async def received(self, count: int) -> None:
        """Wait until so many calls have arrived, whether they were answered or not."""
        while len(self.calls) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def arguments_of(self, method: str) -> list[dict[str, Any]]:
        """Return the arguments of a method's accepted calls."""
        return [call.arguments for call in self.accepted if call.method == method]

    def calls_of(self, method: str) -> list[Call]:
        """Return every call of a method, rejected ones included."""
        return [call for call in self.calls if call.method == method]

    def ts(self, arguments: dict[str, Any]) -> str:
        """Return the `ts` of the message that was posted with exactly these arguments."""
        (found,) = [one for known in self.messages.values() for one in known if one.arguments is arguments]
        return found.ts

    @property
    def responses(self) -> list[dict[str, Any]]:
        """Accepted messages to response_urls."""
        return self.arguments_of(RESPONSES)

    @property
    def posted(self) -> list[tuple[str, str]]:
        """The token and channel of each post."""
        return [(call.token, call.arguments["channel"]) for call in self.accepted if call.method == POST]

    def views(self, method: str = "views.update") -> list[dict[str, Any]]:
        """Return the accepted views, in order."""
        return [call.view for call in self.accepted if call.method == method]

    def offer(self, code: str, **more: Any) -> None:  # noqa: ANN401 -- any part of the answer
        """Accept a code for an installation, by default in the workspace T1."""
        self.codes[code] = {
            "access_token": "xoxb-acme",
            "token_type": "bot",
            "scope": "commands,chat:write",
            "bot_user_id": "UBOT",
            "app_id": "A1",
            "team": {"id": "T1", "name": "Acme <b>"},
            "enterprise": None,
            "is_enterprise_install": False,
            "authed_user": {"id": "U1"},
            **(more or {}),
        }

    async def receive(self, call: Call) -> dict[str, Any] | Fault:
        """Return the body of the response to a call, or the fault to respond with."""
        self.calls.append(call)
        self._arrived.set()
        queued = self.faults.get(call.method)
        fault = queued.pop(0) if queued else self.fault_policy(call)
        await self._wait(call)
        if fault is not None and fault.until is not None:
            self.delayed.set()
            await fault.until.wait()
            fault = None
        body = self._accept(call) if fault is None or fault.accepted else {}
        self.on_outcome(call, fault.name if fault else body.get("error", "ok"))
        if fault is not None and fault.accepted_after_s is not None:
            task = asyncio.ensure_future(self._accept_late(call, fault.accepted_after_s))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        await self._wait(call)
        if fault is None and call.method == RESPONSES and not body["ok"]:
            return Fault(status=400, body=json.dumps(body))
        return fault or body

    async def _wait(self, call: Call) -> None:
        if seconds := self.latency(call.method):
            await asyncio.sleep(seconds)

    async def _accept_late(self, call: Call, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._accept(call)
        self.on_outcome(call, "accepted late")

    def _accept(self, call: Call) -> dict[str, Any]:
        """Apply a call; return the body of its response."""
        if (error := self._rejection(call)) is not None:
            return _error(error)
        if call.method not in HISTORY_METHODS:
            self.accepted.append(call)
        answer = METHODS.get(call.method)
        return _ok() if answer is None else answer(self, call)

    def _rejection(self, call: Call) -> str | None:
        """Return the error of a call that Slack rejects."""
        arguments = call.arguments
        if call.method in VIEWS:
            # the update of a view whose hash is outdated
            seen, known = arguments.get("hash"), self.hashes.get(arguments.get("view_id", ""))
            if seen and known and seen != known:
                return "hash_conflict"
        if self.checks_blocks and call.method not in {
            AUTH,
            OAUTH,
            API_TEST,
            MEMBERSHIPS,
            INFO,
            PERMALINK,
            *HISTORY_METHODS,
            *FILES,
        }:
            errors = view_problems(call.view) if call.method in VIEWS else problems(call.message)
            self.malformed += errors
            if errors:
                return "invalid_blocks"
        deleted = {message.ts for message in self.messages.get(arguments.get("channel", ""), ()) if message.deleted}
        if call.method == POST and arguments.get("thread_ts") in deleted:
            return "thread_not_found"
        return "message_not_found" if call.method == UPDATE and arguments["ts"] in deleted else None

    def _authenticate(self, _call: Call) -> dict[str, Any]:
        return _ok(team_id="T1", user_id=BOT_USER, bot_id="BBOT", url=self.url, user="bot")

    def _post(self, call: Call) -> dict[str, Any]:
        message = ChannelMessage(
            ts=f"{self.now():.0f}.{next(self._numbers):06d}",
            key=call.metadata_key,
            thread_ts=call.arguments.get("thread_ts"),
            text=call.arguments.get("text", ""),
            arguments=call.arguments,
            sent_at=call.sent_at,
        )
        self.messages.setdefault(call.arguments["channel"], []).append(message)
        self.on_post(message)
        return _ok(ts=message.ts)

    def _permalink(self, call: Call) -> dict[str, Any]:
        """Answer with the address of a message that exists."""
        channel, ts = call.arguments["channel"], call.arguments["message_ts"]
        if ts not in {message.ts for message in self.messages.get(channel, ()) if not message.deleted}:
            return _error("message_not_found")
        return _ok(channel=channel, permalink=f"https://desk.slack.com/archives/{channel}/p{ts.replace('.', '')}")

    def _edit(self, call: Call) -> dict[str, Any]:
        arguments = call.arguments
        for message in self.messages.get(arguments["channel"], ()):
            if message.ts == arguments["ts"]:
                message.text, message.sent_at = arguments.get("text", ""), call.sent_at
                message.edits += 1
        return _ok(ts=arguments["ts"])

    def _show(self, call: Call) -> dict[str, Any]:
        """Answer one of the methods for modals and the Home tab."""
        view_id = str(call.arguments.get("view_id") or f"V{len(self.accepted)}")
        self.hashes[view_id] = f"{self.epoch}.{len(self.accepted)}"
        return _ok(view={**call.view, "id": view_id, "hash": self.hashes[view_id]})

    def _history(self, call: Call) -> dict[str, Any]:
        """Answer conversations.history or conversations.replies, newest first, page by page."""
        if not self.readable:
            return _error("missing_scope", needed="channels:history")
        arguments, start = call.arguments, int(call.arguments.get("cursor") or 0)
        found = [
            message
            for message in reversed(self.messages.get(arguments["channel"], ()))
            if not message.deleted
            and message.thread_ts == arguments.get("ts")
            and float(message.ts) >= float(arguments.get("oldest", 0))
        ]
        end = start + min(self.page, int(arguments["limit"]))
        with_metadata = arguments.get("include_all_metadata") == "1"
        return _ok(
            messages=[_listed(message, with_metadata=with_metadata) for message in found[start:end]],
            response_metadata={"next_cursor": str(end)} if end < len(found) else {},
        )

    def _memberships(self, call: Call) -> dict[str, Any]:
        """Answer users.conversations, page by page."""
        start = int(call.arguments.get("cursor") or 0)
        joined = self.joined.get(call.arguments.get("user", BOT_USER), ["C1", "C2"])
        end = start + min(self.page, int(call.arguments["limit"]))
        channels = [{"id": channel} for channel in joined[start:end]]
        return _ok(channels=channels, response_metadata={"next_cursor": str(end) if end < len(joined) else ""})

    def _info(self, call: Call) -> dict[str, Any]:
        """Answer conversations.info."""
        found = self.listed.get(call.arguments["channel"])
        return _error("channel_not_found") if found is None else _ok(channel={"id": call.arguments["channel"], **found})

    def _upload(self, call: Call) -> dict[str, Any]:
        """Answer one of the three steps of a file upload."""
        file_number = sum(known.method == FILES[0] for known in self.accepted)
        files = _decoded(call.arguments.get("files")) or [{"id": f"F0000000{file_number}"}]
        return _ok(file_id=files[0]["id"], upload_url=f"{self.url}{UPLOAD}/{file_number}", files=files)

    def _grant(self, call: Call) -> dict[str, Any]:
        """Exchange a code or a refresh token."""
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if call.authorization != f"Basic {basic}":
            return _error("bad_client_secret")
        if call.arguments.get("grant_type") == "refresh_token":
            refresh = call.arguments["refresh_token"]
            token = self.refresh_tokens.pop(refresh, None)
            if token is None:
                return _error("invalid_refresh_token")
            return _ok(access_token=token, token_type="bot", refresh_token=f"{refresh}+", expires_in=EXPIRES_IN_S)
        grant = self.codes.pop(call.arguments.get("code", ""), None)
        return _error("invalid_code") if grant is None else _ok(**grant)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer an HTTP request."""
        call = Call(
            method=request.match_info["method"],
            arguments=await _arguments(request),
            sent_at=datetime.fromtimestamp(self.now(), UTC),
            key=request.match_info.get("key", ""),
            authorization=request.headers.get("authorization", ""),
        )
        answer = await self.receive(call)
        if not isinstance(answer, Fault):
            return web.json_response(answer, headers={"Date": formatdate(self.now(), usegmt=True)})
        if answer.hang:
            await asyncio.Event().wait()
        if answer.drop and request.transport is not None:
            request.transport.close()
        if answer.breaks and request.transport is not None:
            longer = web.StreamResponse(headers={"Content-Length": str(len(answer.body) + 100)})
            await longer.prepare(request)
            await longer.write(answer.body.encode())
            request.transport.close()
            return longer
        return web.Response(
            status=answer.status, body=answer.body.encode(), content_type=answer.content_type, headers=answer.headers
        )

    def web_app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/{method}", self.handle)
        app.router.add_get("/api/{method}", self.handle)
        app.router.add_post("/{method}/{key}", self.handle)
        return app


METHODS: dict[str, Callable[[FakeSlack, Call], dict[str, Any]]] = {
    AUTH: FakeSlack._authenticate,  # noqa: SLF001 -- the table belongs to the class
    OAUTH: FakeSlack._grant,  # noqa: SLF001
    POST: FakeSlack._post,  # noqa: SLF001
    UPDATE: FakeSlack._edit,  # noqa: SLF001
    MEMBERSHIPS: FakeSlack._memberships,  # noqa: SLF001
    INFO: FakeSlack._info,  # noqa: SLF001
    PERMALINK: FakeSlack._permalink,  # noqa: SLF001
    **dict.fromkeys(HISTORY_METHODS, FakeSlack._history),  # noqa: SLF001
    **dict.fromkeys(VIEWS, FakeSlack._show),  # noqa: SLF001
    **dict.fromkeys(FILES, FakeSlack._upload),  # noqa: SLF001
}


@asynccontextmanager
async def slack_server(slack: FakeSlack | None = None) -> AsyncIterator[FakeSlack]:
    """Serve Slack on a free port."""
    slack = slack or FakeSlack()
    runner = web.AppRunner(slack.web_app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield slack
    finally:
        await runner.cleanup()


def command_form(text: str, **more: str) -> dict[str, str]:
    """Return the form of /minerpulse and `text`, by default from U1 in T1's C1."""
    form = {"command": "/minerpulse", "text": text, "team_id": "T1", "channel_id": "C1", "user_id": "U1"}
    return {**form, **more}


def signed_headers(body: str, content_type: str = FORM, secret: str = SECRET) -> dict[str, str]:
    """Return the headers with which Slack sends a body now."""
    timestamp = str(int(time.time()))
    return {
        "content-type": content_type,
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": str(SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)),
    }


def bolt_app(client: AsyncWebClient) -> AsyncApp:
    """Return an app that accepts this Slack's requests; without a name, Bolt looks for one in the call stack."""
    return AsyncApp(client=client, signing_secret=SECRET, process_before_response=True, name="minerpulse")


async def dispatch(app: AsyncApp, body: str, content_type: str = FORM) -> BoltResponse:
    """Send a signed request to Bolt; return the acknowledgement."""
    return await app.async_dispatch(AsyncBoltRequest(body=body, headers={**signed_headers(body, content_type)}))


def filled_view(view: dict[str, Any], values: dict[str, str], seen: str = "") -> dict[str, Any]:
    """Return a view as Slack submits it: each field with its initial value, or the given one."""
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    state = {block["block_id"]: _field(block["element"], values.get(block["block_id"])) for block in inputs}
    return {**view, "id": view.get("id", "V1"), "hash": seen or view.get("hash", ""), "state": {"values": state}}


def _field(element: dict[str, Any], value: str | None) -> dict[str, Any]:
    element_type = element["type"]
    if element_type == "plain_text_input":
        given: dict[str, Any] = {"value": element.get("initial_value") if value is None else value or None}
    elif element_type == "checkboxes":
        ticked = element.get("initial_options", []) if value is None else [{"value": value}] * bool(value)
        given = {"selected_options": ticked}
    else:
        given = {"selected_option": element.get("initial_option") if value is None else {"value": value}}
    return {element["action_id"]: {"type": element_type, **given}}


@dataclass(slots=True, kw_only=True)
class Person:
    """A person in a channel; each method returns after the background tasks it caused are done."""

    server: FakeSlack
    app: AsyncApp
    tasks: BackgroundTasks
    user: str = "U1"
    channel: str = "C1"
    team: str = "T1"
    own_team: str = ""  # of the person, if it is another than the channel's
    name: str = ""  # that payloads have

    async def types(self, text: str) -> BoltResponse:
        """Type /minerpulse and `text`; return the acknowledgement."""
        form = command_form(
            text,
            team_id=self.team,
            channel_id=self.channel,
            user_id=self.user,
            user_name=self.name,
            response_url=f"{self.server.url}{RESPONSES}/1",
            trigger_id="1.trigger",
        )
        return await self._dispatch(urlencode(form))

    async def presses(self, action_id: str, value: str, message: dict[str, Any] | None = None) -> BoltResponse:
        """Press a button, of a message if it is given; return the acknowledgement."""
        action = {"type": "button", "action_id": action_id, "block_id": "b", "value": value}
        return await self._block_action(action, {} if message is None else {"message": message})

    async def chooses(self, action_id: str, value: str) -> BoltResponse:
        """Select from a menu; return the acknowledgement."""
        option = {"text": {"type": "plain_text", "text": "chosen"}, "value": value}
        return await self._block_action(
            {"type": "static_select", "action_id": action_id, "block_id": "b", "selected_option": option}
        )

    async def _block_action(self, action: dict[str, Any], more: dict[str, Any] | None = None) -> BoltResponse:
        payload = {
            **(more or {}),
            "type": "block_actions",
            "team": {"id": self.team},
            "user": {"id": self.user, "username": self.name, "team_id": self.own_team or self.team},
            "channel": {"id": self.channel},
            "response_url": f"{self.server.url}{RESPONSES}/2",
            "trigger_id": "2.trigger",
            "actions": [action],
        }
        return await self.sends_payload(payload)

    async def fills(self, view: dict[str, Any], values: dict[str, str], *, seen: str = "") -> BoltResponse:
        """Edit the fields of an open form, the last one just now; return the acknowledgement."""
        changed = [*values][-1]
        action = {"type": "plain_text_input", "action_id": f"draft_{changed}", "block_id": changed}
        return await self.sends_payload(
            self._view_payload("block_actions", filled_view(view, values, seen)) | {"actions": [action]}
        )

    async def submits(self, view: dict[str, Any], values: dict[str, str]) -> BoltResponse:
        """Submit a form; return the acknowledgement."""
        return await self.sends_payload(self._view_payload("view_submission", filled_view(view, values)))

    def _view_payload(self, payload_type: str, view: dict[str, Any]) -> dict[str, Any]:
        user = {"id": self.user, "team_id": self.own_team or self.team}
        common = {"team": {"id": self.team}, "user": user, "trigger_id": "3.trigger"}
        return {"type": payload_type, **common, "view": view, "container": {"type": "view", "view_id": view["id"]}}

    async def sends_payload(self, payload: dict[str, Any]) -> BoltResponse:
        """Send an interaction payload; return the acknowledgement."""
        return await self._dispatch(urlencode({"payload": json.dumps(payload)}))

    async def triggers_event(self, event: dict[str, Any], **more: Any) -> BoltResponse:  # noqa: ANN401 -- any part
        """Send an event, with `more` around it; return the acknowledgement."""
        outer = {
            "type": "event_callback",
            "team_id": self.team,
            "event_id": "Ev1",
            "event_time": 1_772_000_000,
            "event": event,
            "authorizations": [{"team_id": self.team, "user_id": "UBOT", "is_bot": True}],
            **more,
        }
        return await self._dispatch(json.dumps(outer), "application/json")

    async def _dispatch(self, body: str, content_type: str = FORM) -> BoltResponse:
        response = await dispatch(self.app, body, content_type)
        await self.tasks.drain()
        return response


def _ok(**body: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON
    return {"ok": True, **body}


def _error(error: str, **more: str) -> dict[str, Any]:
    return {"ok": False, "error": error, **more}


def _listed(message: ChannelMessage, *, with_metadata: bool) -> dict[str, Any]:
    """Return a message as conversations.history lists it."""
    metadata = {"metadata": _decoded(message.arguments.get("metadata"))} if with_metadata else {}
    return {"type": "message", "ts": message.ts, "thread_ts": message.thread_ts, "text": message.text, **metadata}


def _decoded(value: object) -> Any:  # noqa: ANN401 -- whatever JSON there is
    return json.loads(value) if isinstance(value, str) else value


async def _arguments(request: web.Request) -> dict[str, Any]:
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/octet-stream":
        return {"bytes": await request.read()}
    if request.content_type == "application/json":
        read: dict[str, Any] = await request.json()
        return read
    return {**request.query, **await request.post()}
