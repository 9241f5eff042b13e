"""Socket Mode: one WebSocket to Slack, which reconnects with a new URL after every failure."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError

CONNECT_TIMEOUT_S = 10.0  # from the request for a URL to Slack's hello
HEARTBEAT_S = 10.0  # a dead socket is detected within one and a half of these
STABLE_AFTER_S = 5.0  # a socket that Slack closes sooner is not usable
MAX_OUTAGE_BACKOFF_S = 8.0  # after an outage, the app reconnects within 10 s
MAX_BACKOFF_S = 60.0  # if Slack answers, but refuses or closes the socket at once
FINISH_TIMEOUT_S = 3.0  # Slack's own timeout for an acknowledgement
UNUSABLE_AFTER_S = 30.0
ENVELOPE_ID = "x-slack-envelope-id"  # how the Bolt request carries the ID by which a repeat is recognized
REFRESH_REASONS = frozenset({"warning", "refresh_requested"})  # Slack asks for a new socket every few hours
REMEDIES = {
    "link_disabled": "Socket Mode is turned off. Turn it on in the app's settings on api.slack.com.",
    "too_many_websockets": "Slack allows ten sockets per app. Stop other processes that use this app token.",
}
log = logging.getLogger(__name__)


class SocketClosedError(DeliveryError):
    """The socket could not be used, or was closed; the reason is the text.

    Attributes:
        max_backoff_s: The longest pause before the next attempt; 0 to reconnect at once.
        retry_after_s: How long Slack asks to wait.
    """

    def __init__(self, reason: str, *, max_backoff_s: float, retry_after_s: float = 0.0) -> None:
        self.max_backoff_s, self.retry_after_s = max_backoff_s, retry_after_s
        super().__init__(reason, permanent=False, surely_not_posted=True)


@dataclass(slots=True, kw_only=True)
class SocketMode:
    """Receives Slack's envelopes over a WebSocket, passes them to Bolt, and acknowledges them.

    Each attempt asks for a new URL, because one lives for seconds only. Attempts back off with jitter. A socket counts
    as usable once it has carried an envelope or stayed open for five seconds.
    """

    bolt: AsyncApp
    client: AsyncWebClient
    app_token: str
    heartbeat_s: float = HEARTBEAT_S
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    random: Random = field(default_factory=Random)
    _unusable_since: float | None = field(init=False)
    _failures: int = 0
    _last_failure: str = "Slack hasn't responded yet"
    _logged: set[str] = field(default_factory=set)
    _answering: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._unusable_since = self.monotonic()

    def problem(self) -> str | None:
        """Return why Slack cannot reach the app, once there has been no usable socket for 30 s."""
        if self._unusable_since is None:
            return None
        elapsed_s = self.monotonic() - self._unusable_since
        if elapsed_s < UNUSABLE_AFTER_S:
            return None
        return f"no usable Socket Mode connection for {elapsed_s:.0f} s: {self._last_failure}"

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                await self._connect_and_receive()
            except SocketClosedError as error:
                await self.sleep(self._record_failure(error))

    async def _connect_and_receive(self) -> None:
        """Open a socket and handle its envelopes until it closes. Always raises SocketClosedError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                url = await self._open_url()
                socket = await self._session.ws_connect(url, heartbeat=self.heartbeat_s, max_msg_size=0)
        except TimeoutError as error:
            raise _unreachable("Slack didn't respond within 10 s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(f"Slack refused the WebSocket ({type(error).__name__})") from error
        try:
            await self._receive(socket)
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(f"the connection was lost ({type(error).__name__})") from error
        finally:
            await self._finish_answers()
            await socket.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        assert self.client.session is not None  # noqa: S101 -- bot.app opens one for all calls
        return self.client.session

    async def _open_url(self) -> str:
        """Ask Slack for the URL of a new socket. Raises SocketClosedError."""
        try:
            with translate_slack_error():
                return str((await self.client.apps_connections_open(app_token=self.app_token))["url"])
        except DeliveryError as error:
            wait_s = 0.0 if error.retry_after is None else error.retry_after.total_seconds()
            longest_s = MAX_BACKOFF_S if error.permanent or wait_s else MAX_OUTAGE_BACKOFF_S
            reason = (
                f"SLACK_APP_TOKEN: {error.problem}" if error.permanent else "Slack didn't return the URL of a socket"
            )
            raise SocketClosedError(reason.rstrip("."), max_backoff_s=longest_s, retry_after_s=wait_s) from error

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Handle messages until the socket closes. Always raises SocketClosedError."""
        stable = greeted = False
        while True:
            try:
                frame = await socket.receive(
                    timeout=None if stable else STABLE_AFTER_S if greeted else CONNECT_TIMEOUT_S
                )
            except TimeoutError as error:
                if not greeted:
                    raise _unreachable("Slack didn't confirm the connection within 10 s") from error
                stable = True
                self._record_stable()
                continue
            if frame.type is not aiohttp.WSMsgType.TEXT:
                raise _unreachable(f"Slack closed the socket (code {socket.close_code})")
            message = _parse(frame.data)
            match message.get("type"):
                case "hello":
                    greeted = True
                case "disconnect":
                    raise _disconnected(str(message.get("reason")), stable=stable)
                case _ if message.get("envelope_id"):
                    stable = True
                    self._record_stable()
                    self._start_answer(socket, message)

    def _start_answer(self, socket: aiohttp.ClientWebSocketResponse, envelope: dict[str, Any]) -> None:
        task = asyncio.create_task(self._answer(socket, envelope), name="socket envelope")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, socket: aiohttp.ClientWebSocketResponse, envelope: dict[str, Any]) -> None:
        """Pass an envelope to Bolt and acknowledge it; if that fails, Slack sends it again."""
        envelope_id = str(envelope["envelope_id"])
        try:
            response = await self.bolt.async_dispatch(_bolt_request(envelope, envelope_id))
            if response.status == 200:  # noqa: PLR2004 -- HTTP
                await socket.send_json(_acknowledgement(envelope_id, response))
        except (aiohttp.ClientError, OSError) as error:
            log.info("a socket closed before a request was acknowledged (%s); Slack resends it", type(error).__name__)
        except Exception:
            log.exception("an envelope could not be handled; Slack sends it again")

    async def _finish_answers(self) -> None:
        """Acknowledge over the old socket what it brought."""
        if self._answering:
            await asyncio.wait(self._answering, timeout=FINISH_TIMEOUT_S)

    def _record_stable(self) -> None:
        if self._logged:
            log.info("Socket Mode is connected again")
        self._logged.clear()
        self._failures, self._unusable_since = 0, None

    def _record_failure(self, error: SocketClosedError) -> float:
        """Log each reason once per outage; return the pause before the next attempt, in seconds."""
        if error.max_backoff_s == 0:
            return 0.0
        self._last_failure = reason = str(error)
        if self._unusable_since is None:
            self._unusable_since = self.monotonic()
        self._failures += 1
        pause_s = self.random.uniform(1.0, min(error.max_backoff_s, 2.0 ** min(self._failures, 10)))
        pause_s = max(pause_s, error.retry_after_s)
        if reason not in self._logged:
            log.warning("Socket Mode is not connected: %s. Next try in %.0f s.", reason, pause_s)
        self._logged.add(reason)
        return pause_s


def _unreachable(reason: str) -> SocketClosedError:
    return SocketClosedError(reason, max_backoff_s=MAX_OUTAGE_BACKOFF_S)


def _disconnected(reason: str, *, stable: bool) -> SocketClosedError:
    """Return the error for Slack's `disconnect`. A socket that Slack only refreshes is replaced at once."""
    longest_s = 0.0 if stable and reason in REFRESH_REASONS else MAX_BACKOFF_S
    return SocketClosedError(
        REMEDIES.get(reason, f"Slack closed the socket ({reason})").rstrip("."), max_backoff_s=longest_s
    )


def _parse(text: str) -> dict[str, Any]:
    """Return a message; an empty one if it is not a JSON object."""
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _bolt_request(envelope: dict[str, Any], envelope_id: str) -> AsyncBoltRequest:
    payload = envelope.get("payload")
    return AsyncBoltRequest(
        mode="socket_mode", body=payload if isinstance(payload, dict) else {}, headers={ENVELOPE_ID: envelope_id}
    )


def _acknowledgement(envelope_id: str, response: BoltResponse) -> dict[str, Any]:
    if not response.body:
        return {"envelope_id": envelope_id}
    is_json = response.headers.get("content-type", [""])[0].startswith("application/json")
    return {"envelope_id": envelope_id, "payload": json.loads(response.body) if is_json else {"text": response.body}}
