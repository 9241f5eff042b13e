"""The only door to the network: GET a document, with retries where they help, a deadline and a size limit."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx
import stamina

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

OK = 200
SERVER_FAULT = 500
DEADLINE = timedelta(seconds=20)
LONGEST_WAIT = timedelta(hours=24)
LARGEST_BODY = 4 * 1024 * 1024  # fifty years of days; once read, a body may take a hundred times its size
GZIP = "gzip"

# httpx tells every URL and stamina every retry; a vendor's failure and recovery are told once, by Vendor.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
logging.getLogger("stamina").setLevel(logging.ERROR)


async def at_once() -> None:
    """Wait for nobody's turn."""


class RefusedError(Exception):
    """The server answered with another status than 200; `retry_after` is that header as it came."""

    def __init__(self, status: int, body: bytes, retry_after: str | None) -> None:
        self.status, self.body, self.retry_after = status, body, retry_after
        super().__init__(self.answer)

    @property
    def answer(self) -> str:
        """The status as people know it: `429 Too Many Requests`."""
        return f"{self.status} {httpx.codes.get_reason_phrase(self.status)}".strip()


class UnreachedError(Exception):
    """No whole answer came back; the text says why and what to look at."""


class HttpClient:
    """One connection pool for all vendors; `aclose` ends it.

    `deadline` is for one `get` with all its retries. `transport` stands in for the network, and `sleep` for the time
    that a vendor's limits make its calls wait.
    """

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "MinerPulse",
        deadline: timedelta = DEADLINE,
        largest_body: int = LARGEST_BODY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.sleep = sleep
        self._deadline, self._largest_body = deadline, largest_body
        self._retrying = stamina.AsyncRetryingCaller(attempts=3, timeout=None, wait_initial=0.2, wait_max=2.0)
        self._client = httpx.AsyncClient(
            transport=transport,
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": GZIP},
            timeout=httpx.Timeout(10.0, connect=5.0),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def get(
        self,
        url: str,
        params: Mapping[str, str | int],
        headers: Mapping[str, str] | None = None,
        turn: Callable[[], Awaitable[None]] = at_once,
    ) -> bytes:
        """GET the body of a 200. Raises RefusedError and UnreachedError, after retries where they may help.

        `turn` is awaited before each try, and what it raises ends the call.
        """
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                return await self._retrying(_may_pass, self._get_once, url, params, headers, turn)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UnreachedError("gave no answer in time; check this machine's network and proxy") from error
        except httpx.DecodingError as error:
            raise UnreachedError("sent an answer that cannot be unpacked; it will be asked again") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise UnreachedError(
                "could not be reached; check its address, and this machine's network and proxy"
            ) from error

    async def _get_once(
        self,
        url: str,
        params: Mapping[str, str | int],
        headers: Mapping[str, str] | None,
        turn: Callable[[], Awaitable[None]],
    ) -> bytes:
        await turn()
        async with self._client.stream("GET", url, params=params, headers=headers) as response:
            body = await self._body(response)
        if response.status_code != OK:
            raise RefusedError(response.status_code, body, response.headers.get("Retry-After"))
        return body

    async def _body(self, response: httpx.Response) -> bytes:
        """Read the body as far as a price list may reach; packed more than once, a few bytes could fill the memory."""
        if response.headers.get("Content-Encoding", GZIP) != GZIP:
            raise UnreachedError("sent an answer that is packed as nobody asked; it will be asked again")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._largest_body:
                raise UnreachedError(f"sent more than {self._largest_body:,} bytes, which no price list needs")
        return bytes(body)


def _may_pass(error: Exception) -> bool:
    """Tell whether the same request may succeed a moment later; a server that names its own time is obeyed."""
    if isinstance(error, RefusedError):
        return error.status >= SERVER_FAULT and error.retry_after is None
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header, in seconds or as a date; None where it names no time to come. At most 24 h."""
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}", header.strip(), re.ASCII):
        wish = timedelta(seconds=int(header))
    else:
        wish = (_http_date(header) or now) - now
    return min(wish, LONGEST_WAIT) if wish > timedelta(0) else None


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
