"""The only door to the network: GET a document, with retries where they help, a deadline and a size limit.

What a server has said may be kept is asked for with a condition, and stands where it answers 304. An HTTP cache from a
library would keep a body before its reader has said whether it is of use, and without a bound on the memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import httpx
import stamina

from services.market.sources.http.cache import CachedBody, RevalidationCache, is_cacheable

# httpx tells every URL and stamina every retry; a vendor's failure and recovery are told once, by Vendor.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
logging.getLogger("stamina").setLevel(logging.ERROR)

FIRST_SECONDS = timedelta(seconds=5)  # a lost packet is sent again after one, and then after two more
SLOWEST = 32 * 1024  # bytes a second, as they come over the line; five years of a share's days are 64 kB packed
MOST_EXTRA = timedelta(seconds=15)  # the largest page that any vendor sends has 500 kB packed


class Deadline:
    """The end of one call with all its tries, moved as bytes come in; it stands still during the wait for a turn."""

    def __init__(self, timeout: asyncio.Timeout, at: float) -> None:
        self._timeout, self._at = timeout, at
        self._extra = MOST_EXTRA.total_seconds()

    def came(self, size: int) -> None:
        """Grant the time that this many bytes take on a slow line, while there is some left to grant."""
        more = min(size / SLOWEST, self._extra)
        self._extra -= more
        self._move(self._at + more)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Count no time; what is raised meanwhile ends the call anyhow."""
        left = self._at - asyncio.get_running_loop().time()
        self._timeout.reschedule(None)
        yield
        self._move(asyncio.get_running_loop().time() + left)

    def _move(self, at: float) -> None:
        self._at = at
        self._timeout.reschedule(at)


OK = 200
NOT_MODIFIED = 304
SERVER_FAULT = 500
CONNECT_S = 3.0  # one lost packet is sent again after a second
LARGEST_BODY = 4 * 1024 * 1024  # fifty years of days; once read, a body may take a hundred times its size
GZIP = "gzip"


async def without_limit() -> None:
    """Wait for nobody's turn."""


class HttpStatusError(Exception):
    """The server answered with another status than 200; `retry_after` is that header as it came."""

    def __init__(self, status: int, body: bytes, retry_after: str | None) -> None:
        self.status, self.body, self.retry_after = status, body, retry_after
        super().__init__(self.answer)

    @property
    def answer(self) -> str:
        """The status as people know it: `429 Too Many Requests`."""
        return f"{self.status} {httpx.codes.get_reason_phrase(self.status)}".strip()


class ConnectionFailedError(Exception):
    """No whole answer came back; the text says why and what to look at."""


class RequestTimeoutError(ConnectionFailedError):
    """The time was up: everyone who asks such a server waits for it in vain."""


class HttpClient:
    """One connection pool for all vendors; `aclose` ends it.

    `deadline` is for one `get` with all its retries; an answer that comes, but slowly, has longer. `transport` stands
    in for the network, and `sleep` for the time that a vendor's limits make its calls wait.
    """

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "MinerPulse",
        deadline: timedelta = FIRST_SECONDS,
        largest_body: int = LARGEST_BODY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.sleep, self.deadline = sleep, deadline
        self._largest_body, self._shelf = largest_body, RevalidationCache()
        self._retrying = stamina.AsyncRetryingCaller(attempts=3, timeout=None, wait_initial=0.2, wait_max=2.0)
        self._client = httpx.AsyncClient(
            transport=transport,
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": GZIP},
            timeout=httpx.Timeout(FIRST_SECONDS.total_seconds(), connect=CONNECT_S),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def get(
        self,
        url: str,
        params: Mapping[str, str | int],
        headers: Mapping[str, str] | None = None,
        turn: Callable[[], Awaitable[None]] = without_limit,
    ) -> bytes:
        """GET the body of a 200, or the one kept where the server says that it still stands.

        Raises HttpStatusError and ConnectionFailedError, after retries. `turn` is awaited before each try,
        and what it raises ends the call; the deadline does not run meanwhile.
        """
        seconds = self.deadline.total_seconds()
        try:
            async with asyncio.timeout(seconds) as timeout:
                deadline = Deadline(timeout, asyncio.get_running_loop().time() + seconds)
                return await self._retrying(_may_pass, self._get_once, url, params, headers or {}, turn, deadline)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RequestTimeoutError("gave no answer in time; check this machine's network and proxy") from error
        except httpx.DecodingError as error:
            raise ConnectionFailedError("sent an answer that cannot be unpacked; it will be asked again") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise ConnectionFailedError(
                "could not be reached; check its address, and this machine's network and proxy"
            ) from error

    def forget(self, url: str, params: Mapping[str, str | int], headers: Mapping[str, str] | None = None) -> None:
        """Keep the body of this call no longer: it was of no use, and is to be sent anew."""
        self._shelf.drop(_key(url, params, headers or {}))

    async def _get_once(
        self,
        url: str,
        params: Mapping[str, str | int],
        headers: Mapping[str, str],
        turn: Callable[[], Awaitable[None]],
        deadline: Deadline,
    ) -> bytes:
        with deadline.standing_still():
            await turn()
        key = _key(url, params, headers)
        kept = self._shelf.get(key)
        asked = {**headers, **(kept.conditions if kept else {})}
        async with self._client.stream("GET", url, params=params, headers=asked) as response:
            body = await self._body(response, deadline)
        return self._settle(key, kept, response, body)

    def _settle(self, key: Hashable, kept: CachedBody | None, response: httpx.Response, body: bytes) -> bytes:
        """Give the body that stands: the one that came, or the kept one where the server confirms it."""
        if kept and response.status_code == NOT_MODIFIED:
            if not is_cacheable(response.headers):
                self._shelf.drop(key)
            return kept.body
        if response.status_code != OK:
            raise HttpStatusError(response.status_code, body, response.headers.get("Retry-After"))
        self._shelf.put(key, body, response.headers)
        return body

    async def _body(self, response: httpx.Response, deadline: Deadline) -> bytes:
        """Read the body as far as a price list may reach; packed more than once, a few bytes could fill the memory."""
        if response.headers.get("Content-Encoding", GZIP) != GZIP:
            raise ConnectionFailedError("sent an answer that is packed as nobody asked; it will be asked again")
        body, came = bytearray(), 0
        async for chunk in response.aiter_bytes():
            body += chunk
            deadline.came(response.num_bytes_downloaded - came)
            came = response.num_bytes_downloaded
            if len(body) > self._largest_body:
                raise ConnectionFailedError(f"sent more than {self._largest_body:,} bytes, which no price list needs")
        return bytes(body)


def _key(url: str, params: Mapping[str, str | int], headers: Mapping[str, str]) -> Hashable:
    return url, tuple(sorted(params.items())), tuple(sorted(headers.items()))


def _may_pass(error: Exception) -> bool:
    """Tell whether the same request may succeed a moment later; a server that names its own time is obeyed."""
    if isinstance(error, HttpStatusError):
        return error.status >= SERVER_FAULT and error.retry_after is None
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError)
