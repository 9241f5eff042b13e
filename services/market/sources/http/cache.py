"""Cache responses by ETag and Last-Modified, bounded by number and size; parse HTTP dates and Retry-After."""

import re
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_BODIES = 64
MAX_BYTES = 4 * 1024 * 1024
MIN_VALIDATOR_AGE = timedelta(
    seconds=1
)  # RFC 9110: Last-Modified has a resolution of one second, so a younger one may miss a second change
_ETAG = re.compile(r'(?:W/)?"[!#-~]{0,200}"', re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBody:
    """A response body, and the request headers that revalidate it."""

    body: bytes
    conditional_headers: Mapping[str, str]


class RevalidationCache:
    """LRU cache of response bodies, bounded by number and total bytes."""

    def __init__(self, *, max_bodies: int = MAX_BODIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_bodies, self._max_bytes = max_bodies, max_bytes
        self._bodies: OrderedDict[Hashable, CachedBody] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> CachedBody | None:
        """Return the cached body and mark it as used."""
        cached = self._bodies.get(key)
        if cached is not None:
            self._bodies.move_to_end(key)
        return cached

    def put(self, key: Hashable, body: bytes, headers: Mapping[str, str]) -> None:
        """Replace the cached body. Only drops the old one if the new one is too large or its headers forbid caching.

        Header lookup must be case-insensitive.
        """
        self.drop(key)
        headers_to_send = conditional_headers(headers)
        if not headers_to_send or len(body) > self._max_bytes:
            return
        self._bodies[key] = CachedBody(body=body, conditional_headers=headers_to_send)
        self._bytes += len(body)
        while len(self._bodies) > self._max_bodies or self._bytes > self._max_bytes:
            self.drop(next(iter(self._bodies)))

    def drop(self, key: Hashable) -> None:
        """Remove a body from the cache."""
        cached = self._bodies.pop(key, None)
        self._bytes -= len(cached.body) if cached else 0


def conditional_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the request headers that revalidate a body.

    Empty if the response forbids caching, or has no validator that can be relied on.
    """
    if not is_cacheable(headers):
        return {}
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if etag:
        return {"If-None-Match": etag} if _ETAG.fullmatch(etag) else {}
    modified_at, sent_at = parse_http_date(modified), parse_http_date(headers.get("Date", ""))
    is_reliable = modified_at and sent_at and sent_at - modified_at > MIN_VALIDATOR_AGE and modified.isprintable()
    return {"If-Modified-Since": modified} if is_reliable else {}


def is_cacheable(headers: Mapping[str, str]) -> bool:
    """Return whether a body may be cached: `no-store` and `Vary: *` forbid it."""
    directives = headers.get("Cache-Control", "").split(",")
    names = {directive.partition("=")[0].strip().lower() for directive in directives}
    return "no-store" not in names and "*" not in headers.get("Vary", "")


MAX_RETRY_AFTER = timedelta(hours=24)


def parse_retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Parse a Retry-After header (seconds or a date). Return at most 24 h, or None if it isn't in the future."""
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}", header.strip(), re.ASCII):
        wait = timedelta(seconds=int(header))
    else:
        wait = (parse_http_date(header) or now) - now
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta(0) else None


def parse_http_date(text: str) -> datetime | None:
    """Parse an HTTP date; return None if it isn't one."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
