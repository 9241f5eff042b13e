"""The only module that makes network calls: GET with retries, a deadline, a size limit and revalidation.

Cacheable responses are revalidated and reused after a 304. A library's HTTP cache isn't used: it would store a
body before its parser has accepted it, and doesn't bound its memory.
"""

import asyncio
import logging
import ssl
import zlib
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple, cast

import httpx
import stamina

from services.core.errors import DataError
from services.market.ports import RequestMeter
from services.market.sources.http.cache import CachedBody, RevalidationCache, is_cacheable, parse_http_date
from services.market.sources.http.environment import check_network_environment, environment_proxy

# httpx logs every URL and stamina every retry; VendorClient logs each outage and recovery once.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
logging.getLogger("stamina").setLevel(logging.ERROR)

Params = Mapping[str, str | int]

DEFAULT_DEADLINE = timedelta(seconds=5)  # TCP resends a lost packet after 1 s, and again 2 s later
MIN_BYTES_PER_S = 32 * 1024  # compressed; five years of daily bars of one share are 64 kB
MAX_EXTENSION = timedelta(seconds=15)  # the largest vendor response is 500 kB compressed


class Deadline:
    """The deadline of one call including its retries; extended as bytes arrive, paused during rate-limit waits."""

    def __init__(self, timeout: asyncio.Timeout, at: float) -> None:
        self._timeout, self._at = timeout, at
        self._extension_left = MAX_EXTENSION.total_seconds()

    def extend(self, size: int) -> None:
        """Extend the deadline by the time that `size` bytes take on a slow connection, up to MAX_EXTENSION in total."""
        extension = min(size / MIN_BYTES_PER_S, self._extension_left)
        self._extension_left -= extension
        self._reschedule(self._at + extension)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the deadline; it stays off if the block raises, because that ends the call."""
        remaining = self._at - asyncio.get_running_loop().time()
        self._timeout.reschedule(None)
        yield
        self._reschedule(asyncio.get_running_loop().time() + remaining)

    def _reschedule(self, at: float) -> None:
        self._at = at
        self._timeout.reschedule(at)


OK = 200
NOT_MODIFIED = 304
SERVER_ERROR = 500
CONNECT_TIMEOUT_S = 3.0  # TCP resends a lost packet after 1 s
MAX_BODY_BYTES = 4 * 1024 * 1024  # fifty years of daily bars; parsed, a body may take 100 times its size in memory
PIECE_BYTES = 64 * 1024
GZIP, IDENTITY = "gzip", "identity"


class Answer(NamedTuple):
    """A response body, and when it was sent by the server's own clock; None if the server doesn't say."""

    body: bytes
    sent_at: datetime | None


async def no_limit() -> None:
    """Return at once: no rate limit."""


class HttpStatusError(DataError):
    """The response status isn't 200. `retry_after` is the raw header."""

    def __init__(self, status: int, body: bytes, retry_after: str | None) -> None:
        self.status, self.body, self.retry_after = status, body, retry_after
        super().__init__(self.status_line)

    @property
    def status_line(self) -> str:
        """Status code and reason phrase, as in `429 Too Many Requests`."""
        return f"{self.status} {httpx.codes.get_reason_phrase(self.status)}".strip()


class ConnectionFailedError(DataError):
    """No complete response was received; the message says why and what to check."""


class RequestTimeoutError(ConnectionFailedError):
    """The deadline passed. Every other caller of this server would wait just as long."""


class EnvironmentTransport(httpx.AsyncBaseTransport):
    """Connects directly, or through the proxy that the environment names for a URL.

    httpx's own reading of the environment fails on values that other programs accept, such as NO_PROXY=::1/128.
    Nothing is read before the first request, so that a program without network calls works in any environment.
    """

    def __init__(self) -> None:
        self._transports: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises InvalidSettingsError if the environment names an unusable proxy or certificate."""
        proxy = environment_proxy(str(request.url))
        if proxy not in self._transports:
            self._transports[proxy] = httpx.AsyncHTTPTransport(verify=self._tls, proxy=proxy)
        return await self._transports[proxy].handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.aclose()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        check_network_environment()
        return httpx.create_ssl_context()


class HttpClient:
    """HTTP client with one connection pool for all vendors; close it with `aclose`.

    `deadline` covers one `get` with all its retries and is extended while a slow response arrives. `transport`
    replaces the network in tests, and `timeout` the timer. VendorClient uses `sleep` for its rate-limit waits, and
    `meter`, if there is one, to count its requests.
    """

    meter: RequestMeter | None = None

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "MinerPulse",
        deadline: timedelta = DEFAULT_DEADLINE,
        max_body_bytes: int = MAX_BODY_BYTES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timeout: Callable[[float], AbstractAsyncContextManager[asyncio.Timeout]] = asyncio.timeout,
    ) -> None:
        self.sleep, self._deadline, self._timeout = sleep, deadline, timeout
        self._max_body_bytes, self._cache = max_body_bytes, RevalidationCache()
        self._retry = stamina.AsyncRetryingCaller(attempts=3, timeout=None, wait_initial=0.2, wait_max=2.0)
        self._client = httpx.AsyncClient(
            transport=transport or EnvironmentTransport(),
            trust_env=False,  # the transport does it
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": GZIP},
            timeout=httpx.Timeout(DEFAULT_DEADLINE.total_seconds(), connect=CONNECT_TIMEOUT_S),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(
        self,
        url: str,
        params: Params,
        headers: Mapping[str, str] | None = None,
        before_attempt: Callable[[], Awaitable[None]] = no_limit,
    ) -> Answer:
        """GET a URL and return the body of a 200, or the cached body after a 304.

        Raises HttpStatusError and ConnectionFailedError, after retries. `before_attempt` is awaited before each try,
        with the deadline paused; an exception from it ends the call.
        """
        seconds = self._deadline.total_seconds()
        try:
            async with self._timeout(seconds) as timeout:
                deadline = Deadline(timeout, asyncio.get_running_loop().time() + seconds)
                return await self._retry(
                    _is_transient, self._attempt, url, params, headers or {}, before_attempt, deadline
                )
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RequestTimeoutError("didn't respond in time; check this machine's network and proxy") from error
        except zlib.error as error:
            raise ConnectionFailedError("sent a response that can't be decompressed; MinerPulse retries") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise ConnectionFailedError(
                "couldn't be reached; check its address, and this machine's network and proxy"
            ) from error

    def invalidate(self, url: str, params: Params, headers: Mapping[str, str] | None = None) -> None:
        """Drop the cached body of this call, so that the next call fetches it again."""
        self._cache.drop(_cache_key(url, params, headers or {}))

    async def _attempt(
        self,
        url: str,
        params: Params,
        headers: Mapping[str, str],
        before_attempt: Callable[[], Awaitable[None]],
        deadline: Deadline,
    ) -> Answer:
        with deadline.paused():
            await before_attempt()
        key = _cache_key(url, params, headers)
        cached = self._cache.get(key)
        request_headers = {**headers, **(cached.conditional_headers if cached else {})}
        async with self._client.stream("GET", url, params=params, headers=request_headers) as response:
            body = await self._read_body(response, deadline)
        sent_at = parse_http_date(response.headers.get("Date", ""))
        return Answer(self._select_body(key, cached, response, body), sent_at)

    def _select_body(self, key: Hashable, cached: CachedBody | None, response: httpx.Response, body: bytes) -> bytes:
        """Return the new body, or the cached one after a 304."""
        if cached and response.status_code == NOT_MODIFIED:
            if not is_cacheable(response.headers):
                self._cache.drop(key)
            return cached.body
        if response.status_code != OK:
            raise HttpStatusError(response.status_code, body, response.headers.get("Retry-After"))
        self._cache.put(key, body, response.headers)
        return body

    async def _read_body(self, response: httpx.Response, deadline: Deadline) -> bytes:
        """Read and decompress the body up to the size limit.

        Only a single gzip layer is accepted: with nested compression, a few bytes could fill the memory. Any other
        encoding is refused before the body is read. The raw stream is read because httpx decompresses each chunk
        without a limit: 200 kB can become 200 MB.
        """
        encoding = response.headers.get("Content-Encoding", IDENTITY).strip().lower()
        if encoding not in {GZIP, IDENTITY}:
            raise ConnectionFailedError("sent a response in an encoding that wasn't requested; MinerPulse retries")
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == GZIP else None
        body, received = bytearray(), 0
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            received += len(chunk)
            for piece in _decompressed(decoder, chunk) if decoder else (chunk,):
                body += piece
                if max(len(body), received) > self._max_body_bytes:
                    body.clear()  # the traceback would keep it
                    raise ConnectionFailedError(
                        f"sent more than {self._max_body_bytes:,} bytes, far more than a price list needs"
                    )
            deadline.extend(len(chunk))
        if decoder and received and not decoder.eof:
            raise zlib.error("the stream ends too early")
        return bytes(body)


def _decompressed(decoder: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """Decompress a chunk in small pieces, so that the caller can stop."""
    while chunk:
        yield decoder.decompress(chunk, PIECE_BYTES)
        chunk = decoder.unconsumed_tail


def _cache_key(url: str, params: Params, headers: Mapping[str, str]) -> Hashable:
    return url, tuple(sorted(params.items())), tuple(sorted(headers.items()))


def _is_transient(error: Exception) -> bool:
    """Return whether a retry may succeed in a moment. A 5xx with Retry-After isn't retried here."""
    if isinstance(error, HttpStatusError):
        return error.status >= SERVER_ERROR and error.retry_after is None
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError)
