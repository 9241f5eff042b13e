"""Dates, and the times to wait, as HTTP headers write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

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
