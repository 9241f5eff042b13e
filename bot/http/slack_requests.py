"""The gate: lets only whole, small, recent requests through that Slack has signed, and each of them once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from bot.http.replay_guard import ReplayGuard

MOST_BYTES = 1_000_000  # Slack's largest, a click on a message of 50 blocks, has about a tenth of that
BODY_WITHIN_S = 3.0  # Slack waits no longer for the whole answer
WINDOW_S = 300  # how far a request's time may be from ours, either way
TIME = "x-slack-request-timestamp"
SIGNATURE = "x-slack-signature"
SSL_CHECK = b"ssl_check=1"
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class Refused(Exception):  # noqa: N818 -- an answer, not an error of ours
    """A request that goes no further; `why` is for the log, and the sender learns the status alone."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        self.status, self.why = status, why
        super().__init__(why)


@dataclass(slots=True, kw_only=True)
class SlackRequests:
    """Takes Slack's requests over HTTP for one Bolt app.

    1. Read the body, up to a limit of size and time.
    2. Check its time and signature, and that it can be read.
    3. Answer one that has come before with nothing; it is let in again only where it could not be worked on.
    """

    bolt: AsyncApp
    signing_secret: str
    now_s: Callable[[], float] = time.time
    _seen: ReplayGuard = field(default_factory=lambda: ReplayGuard(keep_s=2 * WINDOW_S))

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            body = await _read(request)
            if _is_ssl_check(body):
                return Response()
            self._check(request, body)
            return await self._once(request, body)
        except Refused as refused:
            request.state.outcome = refused.why
            return PlainTextResponse(refused.status.phrase, status_code=refused.status)

    def _check(self, request: Request, body: bytes) -> None:
        """Raise Refused for what Slack has not signed within the last five minutes, or what is no text."""
        at, signature = request.headers.get(TIME, ""), request.headers.get(SIGNATURE, "")
        if not _SECONDS.fullmatch(at):
            raise Refused(HTTPStatus.UNAUTHORIZED, "without a time")
        if abs(self.now_s() - int(at)) > WINDOW_S:
            raise Refused(HTTPStatus.UNAUTHORIZED, "too old, or this machine's clock is wrong")
        if not hmac.compare_digest(signed(self.signing_secret, at, body), signature.encode()):
            raise Refused(HTTPStatus.UNAUTHORIZED, "not signed by Slack")
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "not UTF-8") from error

    async def _once(self, request: Request, body: bytes) -> Response:
        """Have a request worked on that has not come before; only what Slack has signed is ever remembered."""
        try:
            asked = to_async_bolt_request(request, body)
        except ValueError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "not what Slack writes") from error
        key = request.headers[SIGNATURE]
        if not self._seen.first(key, self.now_s()):
            request.state.outcome = "seen before"
            return Response()
        try:
            answer = to_starlette_response(await self.bolt.async_dispatch(asked))
        except BaseException:
            self._seen.forget(key)
            raise
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._seen.forget(key)
        return answer


def signed(secret: str, at: str, body: bytes) -> bytes:
    """Sign a request as Slack does."""
    return b"v0=" + hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest().encode()


async def _read(request: Request) -> bytes:
    if int(_length(request)) > MOST_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large")
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await _collected(request)
    except TimeoutError as error:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "its body did not come in time") from error
    except ClientDisconnect as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "its body broke off") from error


async def _collected(request: Request) -> bytes:
    """Collect the body; one that does not say how long it is may be too large as well."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large")
        chunks.append(chunk)
    return b"".join(chunks)


def _length(request: Request) -> str:
    """Give the length that is announced; the server has refused one that is no number."""
    return request.headers.get("content-length", "0")


def _is_ssl_check(body: bytes) -> bool:
    """Tell Slack's look at the certificate, which asks for nothing and need not be signed."""
    return SSL_CHECK in body.split(b"&")
