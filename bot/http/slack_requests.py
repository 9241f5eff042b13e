"""Verifies Slack's HTTP requests: size, timestamp and signature; handles each request once."""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from slack_bolt import BoltResponse
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

MAX_BODY_BYTES = 1_000_000  # ten times Slack's largest request, a click on a message of 50 blocks
BODY_TIMEOUT_S = 3.0  # Slack's own timeout for the whole response
MAX_CLOCK_SKEW_S = 300  # either way
TIMESTAMP_HEADER = "x-slack-request-timestamp"
SIGNATURE_HEADER = "x-slack-signature"
SSL_CHECK = b"ssl_check=1"
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
CAPACITY = 20_000  # a few megabytes; Slack sends an app at most 30,000 events an hour


@dataclass(slots=True)
class ReplayGuard:
    """Keys with their expiry times, in seconds of one clock.

    At capacity, the oldest keys are evicted. Keys are local to this process.
    """

    ttl_s: float
    capacity: int = CAPACITY
    _expires_at: dict[str, float] = field(default_factory=dict)

    def add(self, key: str, now_s: float) -> bool:
        """Add a key; return whether it is new."""
        self._evict(now_s)
        if key in self._expires_at:
            return False
        self._expires_at[key] = now_s + self.ttl_s
        return True

    def discard(self, key: str) -> None:
        """Remove a key, because its request was not handled and may be repeated."""
        self._expires_at.pop(key, None)

    async def handle_once(
        self, key: str, now_s: float, handle: Callable[[], Awaitable[BoltResponse]]
    ) -> BoltResponse | None:
        """Return the response of `handle`; None for a repeat. After a failure the request may be repeated."""
        if not self.add(key, now_s):
            return None
        try:
            response = await handle()
        except BaseException:
            self.discard(key)
            raise
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.discard(key)
        return response

    def __len__(self) -> int:
        return len(self._expires_at)

    def _evict(self, now_s: float) -> None:
        """Remove expired and excess keys. All have the same TTL, so the first are the oldest."""
        while self._expires_at:
            oldest = next(iter(self._expires_at))
            if self._expires_at[oldest] > now_s and len(self._expires_at) < self.capacity:
                return
            del self._expires_at[oldest]


class RequestRejected(Exception):  # noqa: N818 -- a response, not an error of ours
    """A rejected request. The reason is logged; the sender gets only the status."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(reason)


@dataclass(slots=True, kw_only=True)
class SlackRequests:
    """Handles Slack's HTTP requests for a Bolt app.

    1. Read the body, within limits of size and time.
    2. Check the timestamp, the signature and the encoding.
    3. Dispatch it to Bolt. A repeated request gets an empty response, unless the first attempt failed.
    """

    bolt: AsyncApp
    signing_secret: str
    now_s: Callable[[], float] = time.time
    _replay_guard: ReplayGuard = field(default_factory=lambda: ReplayGuard(ttl_s=2 * MAX_CLOCK_SKEW_S))

    async def handle(self, request: Request) -> Response:
        """Return the response to a request."""
        try:
            body = await _read_body(request)
            if _is_ssl_check(body):
                return Response()
            self._check(request, body)
            return await self._dispatch_once(request, body)
        except RequestRejected as rejection:
            request.state.outcome = rejection.reason
            return PlainTextResponse(rejection.status.phrase, status_code=rejection.status)

    def _check(self, request: Request, body: bytes) -> None:
        """Raise RequestRejected unless Slack signed the request within the last five minutes and it is UTF-8."""
        timestamp, signature = request.headers.get(TIMESTAMP_HEADER, ""), request.headers.get(SIGNATURE_HEADER, "")
        if not _SECONDS.fullmatch(timestamp):
            raise RequestRejected(HTTPStatus.UNAUTHORIZED, "no timestamp")
        if abs(self.now_s() - int(timestamp)) > MAX_CLOCK_SKEW_S:
            raise RequestRejected(HTTPStatus.UNAUTHORIZED, "timestamp too old, or this machine's clock is wrong")
        if not hmac.compare_digest(sign(self.signing_secret, timestamp, body), signature.encode()):
            raise RequestRejected(HTTPStatus.UNAUTHORIZED, "invalid signature")
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise RequestRejected(HTTPStatus.BAD_REQUEST, "not UTF-8") from error

    async def _dispatch_once(self, request: Request, body: bytes) -> Response:
        """Dispatch a request unless it is a repeat. Only signed requests are remembered."""
        try:
            bolt_request = to_async_bolt_request(request, body)
        except ValueError as error:
            raise RequestRejected(HTTPStatus.BAD_REQUEST, "malformed body") from error
        response = await self._replay_guard.handle_once(
            request.headers[SIGNATURE_HEADER], self.now_s(), lambda: self.bolt.async_dispatch(bolt_request)
        )
        if response is None:
            request.state.outcome = "repeated request"
            return Response()
        return to_starlette_response(response)


def sign(secret: str, timestamp: str, body: bytes) -> bytes:
    """Return Slack's signature of a request."""
    return (
        b"v0="
        + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest().encode()
    )


async def _read_body(request: Request) -> bytes:
    if int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES:
        raise RequestRejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _collect_body(request)
    except TimeoutError as error:
        raise RequestRejected(HTTPStatus.REQUEST_TIMEOUT, "body timed out") from error
    except ClientDisconnect as error:
        raise RequestRejected(HTTPStatus.BAD_REQUEST, "client disconnected") from error


async def _collect_body(request: Request) -> bytes:
    """Read the body. A chunked one has no length, so its size is checked here, too."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise RequestRejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large")
        chunks.append(chunk)
    return b"".join(chunks)


def _is_ssl_check(body: bytes) -> bool:
    """Return whether this is Slack's certificate check, which is unsigned and has no effect."""
    return SSL_CHECK in body.split(b"&")
