"""Bodies that a server may confirm with a 304 instead of sending them again, bounded in number and bytes."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MOST_BODIES = 64
MOST_BYTES = 4 * 1024 * 1024
SURELY_OLDER = timedelta(seconds=1)  # a body that changes twice within a second keeps its Last-Modified
_ETAG = re.compile(r'(?:W/)?"[!#-~]{0,200}"', re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBody:
    """A body, and the headers that ask its server whether it still stands."""

    body: bytes
    conditions: Mapping[str, str]


class RevalidationCache:
    """Keeps bodies by what was asked for; the one that was not used for longest goes first."""

    def __init__(self, *, most_bodies: int = MOST_BODIES, most_bytes: int = MOST_BYTES) -> None:
        self._most_bodies, self._most_bytes = most_bodies, most_bytes
        self._kept: OrderedDict[Hashable, CachedBody] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> CachedBody | None:
        """Take a look at what is kept."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def put(self, key: Hashable, body: bytes, headers: Mapping[str, str]) -> None:
        """Keep a body in place of the one before, where its headers, named in any case, allow that and it fits."""
        self.drop(key)
        conditions = conditions_of(headers)
        if not conditions or len(body) > self._most_bytes:
            return
        self._kept[key] = CachedBody(body=body, conditions=conditions)
        self._bytes += len(body)
        while len(self._kept) > self._most_bodies or self._bytes > self._most_bytes:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Hashable) -> None:
        """Let go of a body."""
        kept = self._kept.pop(key, None)
        self._bytes -= len(kept.body) if kept else 0


def conditions_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Give what asks whether a body still stands; nothing where it may not be kept, or cannot be asked about safely."""
    if not is_cacheable(headers):
        return {}
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if etag:
        return {"If-None-Match": etag} if _ETAG.fullmatch(etag) else {}
    changed_at, sent_at = http_date(modified), http_date(headers.get("Date", ""))
    sure = changed_at and sent_at and sent_at - changed_at > SURELY_OLDER and modified.isprintable()
    return {"If-Modified-Since": modified} if sure else {}


def is_cacheable(headers: Mapping[str, str]) -> bool:
    """Tell whether a body may be kept at all: `no-store` and `Vary: *` forbid it."""
    wishes = {wish.partition("=")[0].strip().lower() for wish in headers.get("Cache-Control", "").split(",")}
    return "no-store" not in wishes and "*" not in headers.get("Vary", "")


LONGEST_WAIT = timedelta(hours=24)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header, in seconds or as a date; None where it names no time to come. At most 24 h."""
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}", header.strip(), re.ASCII):
        wish = timedelta(seconds=int(header))
    else:
        wish = (http_date(header) or now) - now
    return min(wish, LONGEST_WAIT) if wish > timedelta(0) else None


def http_date(text: str) -> datetime | None:
    """Read a date as HTTP writes it; None where it is none."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
