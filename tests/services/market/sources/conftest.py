"""A fake vendor server, recorded vendor responses, and retries without delay."""

import asyncio
import json
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import httpx
import pytest
import stamina

from services.core.errors import SourceError
from services.core.prices import Bars, Closes
from services.market.sources.http.client import HttpClient
from tests.fakes.clock import SetClock

ROOT = Path(__file__).parents[4]
RESPONSES = ROOT / "tests" / "responses"
SHARED = ROOT.parent / "shared"


@dataclass(frozen=True, slots=True)
class Reply:
    """One response of a server."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class FakeServer:
    """Answers each request with the next reply or exception, repeating the last one, and records the requests."""

    replies: list[Reply | Exception] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def respond_with(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)

    def respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status, content=reply.body, headers=dict(reply.headers))

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.respond)


async def no_wait(_seconds: float) -> None:
    """Return at once instead of waiting for a rate limit."""


async def run_until(at: float) -> None:
    """Run other tasks until a time of the event loop's clock, and at least once."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop.time() < at:  # noqa: ASYNC110 -- there is no event: time itself is waited for
        await asyncio.sleep(0)


async def failure_of(call: Awaitable[object]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await call
    return caught.value


def json_reply(value: object) -> Reply:
    return Reply(200, json.dumps(value).encode())


def by_opening(bars: Bars) -> dict[str, float]:
    return dict(zip(bars.opened_at.astype(str).tolist(), bars.closes.tolist(), strict=True))


def by_day(closes: Closes) -> dict[str, float]:
    return dict(zip(closes.sessions.astype(str).tolist(), closes.prices.tolist(), strict=True))


class ReadRecording(Protocol):
    """Returns a recorded response body by file name."""

    def __call__(self, name: str) -> bytes: ...


@pytest.fixture(autouse=True)
def _no_retry_delay() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=10, cap=True):
        yield


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2026, 11, 20, 18, 0, tzinfo=UTC))


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def client(server: FakeServer) -> HttpClient:
    return HttpClient(transport=server.transport, sleep=no_wait)


@pytest.fixture
def recording() -> ReadRecording:
    def read(name: str) -> bytes:
        path = SHARED / "wire" / name
        if not path.exists():
            pytest.skip("recorded vendor answers are not kept in the repository")
        return path.read_bytes()

    return read


@pytest.fixture
def data() -> Path:
    """The folder of real price files."""
    folder = SHARED / "data"
    if not folder.exists():
        pytest.skip("vendors' price files are not kept in the repository")
    return folder
