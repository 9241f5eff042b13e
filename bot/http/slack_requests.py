"""Verifies Slack's HTTP requests: size, timestamp and signature; handles each request once."""

import asyncio
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from slack_bolt import BoltResponse
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from bot.http.slack_bodies import RATE_LIMITED, read_body
from bot.metric_families import SlackResult
from bot.metrics import Metrics
from handlers.background import FirstTimeCheck, first_time_check
from services.core.clock import Clock
from services.core.errors import StorageError

MAX_BODY_BYTES = 1_000_000  # ten times Slack's largest request, a click on a message of 50 blocks
BODY_TIMEOUT_S = 3.0  # Slack's own timeout for the whole response
MAX_CLOCK_SKEW_S = 300  # either way
TIMESTAMP_HEADER = "x-slack-request-timestamp"
SIGNATURE_HEADER = "x-slack-signature"
FORM = "application/x-www-form-urlencoded"  # of commands and presses; events are JSON
SSL_CHECK = b"ssl_check=1"
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
CLAIM_TIMEOUT_S = 1.0
LEASE = timedelta(seconds=30)  # of work before an acknowledgement; Slack repeats an event at once and after a minute
BEING_HANDLED = "Another process is handling this. Send it again in a minute."
log = logging.getLogger(__name__)
CAPACITY = 20_000  # a few megabytes; Slack sends an app at most 30,000 events an hour


class ProcessedKeys(Protocol):
    """Keys that all processes on one database claim once. Each method raises DatabaseUnavailableError."""

    async def claim_key(self, key: str, *, now: datetime, ttl: timedelta) -> bool:
        """Claim a key; return whether no process had claimed it."""
        ...

    async def confirm_key(self, key: str, *, now: datetime, ttl: timedelta) -> None:
        """Keep a claimed key for longer, as its work is done."""
        ...

    async def key_expires_at(self, key: str) -> datetime | None:
        """Return when a claimed key can be claimed again; None if no process has claimed it."""
        ...

    async def release_key(self, key: str) -> None:
        """Release a key whose work failed."""
        ...


@dataclass(slots=True)
class ReplayGuard:
    """Keys with their expiry times, in seconds of one clock.

    At capacity, the oldest keys are evicted. With `shared` keys a repeat is also recognized by other processes and
    after a restart. While the database does not answer within a second, only this process's own keys count: a request
    must be acknowledged within three.

    A shared key is leased for the work and confirmed after it. If the process dies in between, Slack's next attempt is
    handled when the lease is over.
    """

    ttl_s: float
    capacity: int = CAPACITY
    shared: ProcessedKeys | None = None
    clock: Clock | None = None
    _expires_at: dict[str, float] = field(default_factory=dict)
    _handling: dict[str, asyncio.Event] = field(default_factory=dict)

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
        """Return the response of `handle`; None for a repeat. After a failure the request may be repeated.

        A repeat waits for the first attempt in this process. It gets status 503 if another process has started it and
        not confirmed it: that one may have died.
        """
        while (running := self._handling.get(key)) is not None:
            await running.wait()
        if not self.add(key, now_s):
            return None
        self._handling[key] = done = asyncio.Event()
        try:
            return await self._handle_leased(key, handle)
        finally:
            del self._handling[key]
            done.set()

    async def claim(self, key: str, ttl: timedelta | None = None) -> bool:
        """Claim a key among all processes; true if the database does not answer in time."""
        if self.shared is None or self.clock is None:
            return True
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT_S):
                return await self.shared.claim_key(key, now=self.clock.now(), ttl=ttl or self._ttl)
        except (StorageError, TimeoutError):
            return True

    @property
    def _ttl(self) -> timedelta:
        return timedelta(seconds=self.ttl_s)

    async def _handle_leased(self, key: str, handle: Callable[[], Awaitable[BoltResponse]]) -> BoltResponse | None:
        """Return the response of `handle` under a lease of the key; confirm the key, or release it after a failure."""
        if not await self.claim(key, LEASE):
            if await self._is_confirmed(key):
                return None
            self.discard(key)
            return BoltResponse(status=HTTPStatus.SERVICE_UNAVAILABLE, body=BEING_HANDLED)
        try:
            response = await handle()
        except BaseException:
            await self._release(key)
            raise
        await (self._release if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR else self._confirm)(key)
        return response

    async def _is_confirmed(self, key: str) -> bool:
        """Return whether a claimed key is confirmed; false if the database does not answer in time."""
        if self.shared is None or self.clock is None:
            return True
        with suppress(StorageError, TimeoutError):
            async with asyncio.timeout(CLAIM_TIMEOUT_S):
                expires_at = await self.shared.key_expires_at(key)
                return expires_at is not None and expires_at > self.clock.now() + LEASE
        return False

    async def _confirm(self, key: str) -> None:
        """Keep a key for good. If the database does not answer in time, another process may handle a repeat."""
        if self.shared is not None and self.clock is not None:
            with suppress(StorageError, TimeoutError):
                async with asyncio.timeout(CLAIM_TIMEOUT_S):
                    await self.shared.confirm_key(key, now=self.clock.now(), ttl=self._ttl)

    async def _release(self, key: str) -> None:
        self.discard(key)
        if self.shared is not None:
            with suppress(StorageError, TimeoutError):
                async with asyncio.timeout(CLAIM_TIMEOUT_S):
                    await self.shared.release_key(key)

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

    Another process on the database of `shared_keys` may have received a repeated command or press first. As an
    acknowledgement does no I/O, that is found out by the work after it, which then does nothing.
    """

    bolt: AsyncApp
    signing_secret: str
    now_s: Callable[[], float] = time.time
    shared_keys: ProcessedKeys | None = None
    clock: Clock | None = None
    metrics: Metrics | None = None
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
            self._count({}, SlackResult.REFUSED)
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
            document = read_body(body, request.headers.get("content-type", ""))
        except ValueError as error:
            raise RequestRejected(HTTPStatus.BAD_REQUEST, "malformed body") from error
        if document.get("type") == RATE_LIMITED:
            team = document.get("team_id")
            log.warning("Slack is rate-limiting events of workspace %s: more than 30,000 in an hour", team)
            return Response()
        bolt_request = to_async_bolt_request(request, body)
        signature = request.headers[SIGNATURE_HEADER]
        with first_time_check(self._first_time_check(request, signature)):
            response = await self._replay_guard.handle_once(
                signature, self.now_s(), lambda: self.bolt.async_dispatch(bolt_request)
            )
        if response is None:
            request.state.outcome = "repeated request"
            self._count(document, SlackResult.REPLAYED)
            return Response()
        return to_starlette_response(response)

    def _count(self, body: Mapping[str, object], result: SlackResult) -> None:
        """Count a request that does not reach Bolt, which counts the others."""
        if self.metrics is not None:
            self.metrics.count_slack_request(body, result)

    def _first_time_check(self, request: Request, signature: str) -> FirstTimeCheck | None:
        """Return the check for a command or a press; None for an event, whose ID is checked before it is handled."""
        if self.shared_keys is None or not request.headers.get("content-type", "").startswith(FORM):
            return None
        guard = ReplayGuard(ttl_s=self._replay_guard.ttl_s, shared=self.shared_keys, clock=self.clock)
        claiming: asyncio.Task[bool] | None = None

        async def check() -> bool:
            nonlocal claiming
            claiming = claiming or asyncio.create_task(guard.claim(f"request:{signature}"))
            return await claiming

        return check


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
