"""Slack on 127.0.0.1: takes Web API calls and answers to response_urls, and fails as it is told to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

from handlers.background import BackgroundTasks
from tests.fakes.blockkit import problems, view_problems

SECRET = "made-up-secret"
TOKEN = "xoxb-made-up"
RESPONSES = "responses"
POST = "chat.postMessage"
READING = ("conversations.history", "conversations.replies")
VIEWS = ("views.open", "views.update", "views.publish")
UPLOAD = "upload"
FILES = ("files.getUploadURLExternal", UPLOAD, "files.completeUploadExternal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that Slack got at `at`, in seconds since 1970: the method, or `responses` for a response_url."""

    method: str
    arguments: dict[str, Any]
    at: int

    @property
    def message(self) -> dict[str, Any]:
        """What the call wants to show."""
        return {key: self.arguments[key] for key in ("text", "blocks") if key in self.arguments}

    @property
    def view(self) -> dict[str, Any]:
        """The view that the call wants to show."""
        read: dict[str, Any] = _decoded(self.arguments.get("view")) or {}
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One bad answer. `drop` cuts the connection, `hang` never answers; with `taken` the message stands anyway.

    `until` is no fault but a delay: the message stands, and its answer comes once that has happened.
    """

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    hang: bool = False
    taken: bool = False
    until: asyncio.Event | None = None


def refused(error: str, **more: str) -> Fault:
    """Slack's `ok: false`."""
    return Fault(body=json.dumps({"ok": False, "error": error, **more}))


@dataclass(slots=True)
class SlackServer:
    """What Slack was asked, in order; `taken` are the calls that it accepted. Faults are answered in turn."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    taken: list[Call] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    malformed: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)  # of each view, the last that was given out
    held: asyncio.Event = field(default_factory=asyncio.Event)  # set once an answer is delayed
    readable: bool = False  # whether the app may read what was posted
    page: int = 100
    epoch: int = 1_700_000_000  # its clock, in seconds since 1970

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults.setdefault(method, []).extend(faults)

    def said(self, method: str) -> list[dict[str, Any]]:
        """The arguments of the calls of one method that were accepted."""
        return [call.arguments for call in self.taken if call.method == method]

    def ts(self, message: dict[str, Any]) -> str:
        """Where a message stands that was accepted."""
        places = [place for place, call in enumerate(self.taken, 1) if call.arguments is message]
        return self._ts(places[0])

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What was sent to response_urls, and accepted."""
        return self.said(RESPONSES)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        call = Call(method=request.match_info["method"], arguments=await _arguments(request), at=self.epoch)
        self.calls.append(call)
        fault = self.faults[call.method].pop(0) if self.faults.get(call.method) else None
        if fault is not None and fault.until is not None:
            self.held.set()
            await fault.until.wait()
            fault = None
        if fault is None or fault.taken:
            error = self._take(call)
            if error:
                return web.json_response({"ok": False, "error": error}, status=400 if call.method == RESPONSES else 200)
        return web.json_response(self._accepted(call)) if fault is None else await _faulty(fault, request)

    def _take(self, call: Call) -> str | None:
        if call.method in VIEWS and (late := self._outrun(call)):
            return late
        if call.method not in {"auth.test", *READING, *FILES}:
            wrong = view_problems(call.view) if call.method in VIEWS else problems(call.message)
            self.malformed += wrong
            if wrong:
                return "invalid_blocks"
        if call.method not in READING:
            self.taken.append(call)
        return None

    def _outrun(self, call: Call) -> str | None:
        """Refuse to update a view whose hash is not the last that was given out."""
        seen = call.arguments.get("hash")
        known = self.hashes.get(call.arguments.get("view_id", ""))
        return "hash_conflict" if seen and known and seen != known else None

    def shown(self, method: str = "views.update") -> list[dict[str, Any]]:
        """The views that were taken, in order."""
        return [call.view for call in self.taken if call.method == method]

    def standing(self) -> list[dict[str, Any]]:
        """What stands in all channels and threads, newest first, as conversations.history has it."""
        posts = [(place, call.arguments) for place, call in enumerate(self.taken, 1) if call.method == POST]
        return [{**message, "ts": self._ts(place)} for place, message in reversed(posts)]

    def _read(self, call: Call) -> dict[str, Any]:
        """Answer conversations.history and conversations.replies, page by page."""
        if not self.readable:
            return {"ok": False, "error": "missing_scope", "needed": "channels:history"}
        asked, begin = call.arguments, int(call.arguments.get("cursor", 0))
        found = [
            message
            for message in self.standing()
            if message["channel"] == asked["channel"]
            and message.get("thread_ts") == asked.get("ts")
            and float(message["ts"]) >= float(asked["oldest"])
        ]
        end = begin + min(self.page, int(asked["limit"]))
        more = {"next_cursor": str(end)} if end < len(found) else {}
        shown = found[begin:end]
        if asked.get("include_all_metadata") != "1":
            shown = [{key: value for key, value in one.items() if key != "metadata"} for one in shown]
        return {"ok": True, "messages": shown, "response_metadata": more}

    def _filed(self, call: Call) -> dict[str, Any]:
        """Take a file in the three steps that Slack wants."""
        number = sum(known.method == FILES[0] for known in self.taken)
        files = _decoded(call.arguments.get("files")) or [{"id": f"F0000000{number}"}]
        return {"ok": True, "file_id": files[0]["id"], "upload_url": f"{self.url}{UPLOAD}/{number}", "files": files}

    def _ts(self, place: int) -> str:
        return f"{self.taken[place - 1].at}.{place:06d}"

    def _accepted(self, call: Call) -> dict[str, Any]:
        if call.method in READING:
            return self._read(call)
        if call.method == "auth.test":
            return {"ok": True, "team_id": "T1", "user_id": "UBOT", "bot_id": "BBOT", "url": self.url, "user": "bot"}
        if call.method in FILES:
            return self._filed(call)
        if call.method in VIEWS:
            view_id = str(call.arguments.get("view_id") or f"V{len(self.taken)}")
            self.hashes[view_id] = f"{self.epoch}.{len(self.taken)}"
            return {"ok": True, "view": {**call.view, "id": view_id, "hash": self.hashes[view_id]}}
        return {"ok": True, "ts": call.arguments.get("ts") or self._ts(len(self.taken))}


@asynccontextmanager
async def serving() -> AsyncIterator[SlackServer]:
    """Serve Slack at a free port."""
    server = SlackServer()
    app = web.Application()
    app.router.add_post("/api/{method}", server.answer)
    app.router.add_get("/api/{method}", server.answer)
    app.router.add_post("/{method}/{key}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"http://127.0.0.1:{port}/"
    try:
        yield server
    finally:
        await runner.cleanup()


def filled(view: dict[str, Any], values: dict[str, str], seen: str = "") -> dict[str, Any]:
    """A form as Slack sends it back: each field with its first value, or with the one that is given."""
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    state = {block["block_id"]: _field(block["element"], values.get(block["block_id"])) for block in inputs}
    return {**view, "id": view.get("id", "V1"), "hash": seen or view.get("hash", ""), "state": {"values": state}}


def _field(element: dict[str, Any], value: str | None) -> dict[str, Any]:
    kind = element["type"]
    if kind == "plain_text_input":
        given: dict[str, Any] = {"value": element.get("initial_value") if value is None else value or None}
    elif kind == "checkboxes":
        ticked = element.get("initial_options", []) if value is None else [{"value": value}] * bool(value)
        given = {"selected_options": ticked}
    else:
        given = {"selected_option": element.get("initial_option") if value is None else {"value": value}}
    return {element["action_id"]: {"type": kind, **given}}


@dataclass(slots=True, kw_only=True)
class Person:
    """Someone in a channel, who types and presses; what they cause is done when a method returns."""

    server: SlackServer
    app: AsyncApp
    tasks: BackgroundTasks
    user: str = "U1"
    channel: str = "C1"
    team: str = "T1"

    async def types(self, text: str) -> BoltResponse:
        """Type /minerpulse and `text`; the acknowledgement."""
        form = {
            "command": "/minerpulse",
            "text": text,
            "team_id": self.team,
            "channel_id": self.channel,
            "user_id": self.user,
            "response_url": f"{self.server.url}{RESPONSES}/1",
            "trigger_id": "1.trigger",
        }
        return await self._sends(urlencode(form))

    async def presses(self, action_id: str, value: str) -> BoltResponse:
        """Press a button; the acknowledgement."""
        return await self._acts({"type": "button", "action_id": action_id, "block_id": "b", "value": value})

    async def chooses(self, action_id: str, value: str) -> BoltResponse:
        """Choose from a list; the acknowledgement."""
        option = {"text": {"type": "plain_text", "text": "chosen"}, "value": value}
        return await self._acts(
            {"type": "static_select", "action_id": action_id, "block_id": "b", "selected_option": option}
        )

    async def _acts(self, action: dict[str, Any]) -> BoltResponse:
        payload = {
            "type": "block_actions",
            "team": {"id": self.team},
            "user": {"id": self.user},
            "channel": {"id": self.channel},
            "response_url": f"{self.server.url}{RESPONSES}/2",
            "trigger_id": "2.trigger",
            "actions": [action],
        }
        return await self.sends(payload)

    async def fills(self, view: dict[str, Any], values: dict[str, str], *, seen: str = "") -> BoltResponse:
        """Change the fields of a form that is open, the last of them just now; the acknowledgement."""
        changed = [*values][-1]
        action = {"type": "plain_text_input", "action_id": f"draft_{changed}", "block_id": changed}
        return await self.sends(self._of_form("block_actions", filled(view, values, seen)) | {"actions": [action]})

    async def submits(self, view: dict[str, Any], values: dict[str, str]) -> BoltResponse:
        """Send off a form; the acknowledgement."""
        return await self.sends(self._of_form("view_submission", filled(view, values)))

    def _of_form(self, kind: str, view: dict[str, Any]) -> dict[str, Any]:
        about = {"team": {"id": self.team}, "user": {"id": self.user}, "trigger_id": "3.trigger"}
        return {"type": kind, **about, "view": view, "container": {"type": "view", "view_id": view["id"]}}

    async def sends(self, payload: dict[str, Any]) -> BoltResponse:
        """Send what Slack sends of a click or a form; the acknowledgement."""
        return await self._sends(urlencode({"payload": json.dumps(payload)}))

    async def hears(self, event: dict[str, Any]) -> BoltResponse:
        """Let something happen that Slack tells of; the acknowledgement."""
        outer = {
            "type": "event_callback",
            "team_id": self.team,
            "event_id": "Ev1",
            "event": event,
            "authorizations": [{"team_id": self.team, "user_id": "UBOT", "is_bot": True}],
        }
        return await self._sends(json.dumps(outer), "application/json")

    async def _sends(self, body: str, kind: str = "application/x-www-form-urlencoded") -> BoltResponse:
        stamp = str(int(time.time()))
        signature = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
        response = await self.app.async_dispatch(
            AsyncBoltRequest(
                body=body,
                headers={
                    "content-type": [kind],
                    "x-slack-request-timestamp": [stamp],
                    "x-slack-signature": [str(signature)],
                },
            )
        )
        await self.tasks.drain()
        return response


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


async def _faulty(fault: Fault, request: web.Request) -> web.StreamResponse:
    if fault.hang:
        await asyncio.Event().wait()
    if fault.drop and request.transport is not None:
        request.transport.close()
    return web.Response(
        status=fault.status, body=fault.body.encode(), content_type=fault.content_type, headers=fault.headers
    )
