"""Logging: text or JSON lines with a request ID, and without tokens."""

import json
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import Enum
from typing import Any

NOISY_LOGGERS = ("apscheduler", "alembic")
_UNQUOTED = re.compile(r"[\w./:+-]+", re.ASCII)
_TOKEN = re.compile(r"\b(xox[a-z]{1,2}(?:[.-])|xapp-)[\w.-]+", re.ASCII)
# These URLs grant access by themselves.
_SECRET_URL = re.compile(r"(\bhooks\.slack(?:-gov)?\.com/|\bticket=)[^\s\"'\\&]+", re.ASCII)
_request_id: ContextVar[str | None] = ContextVar("request", default=None)


class LogFormat(Enum):
    """The format of log lines."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def request_id_scope() -> Iterator[str]:
    """Set a request ID for this block and the tasks started in it; an outer ID is reused."""
    current = _request_id.get()
    if current is not None:
        yield current
        return
    request_id = secrets.token_hex(4)
    token = _request_id.set(request_id)
    try:
        yield request_id
    finally:
        _request_id.reset(token)


def configure_logging(level: str, form: LogFormat) -> None:
    """Write log lines of this level and above to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class TextFormatter(logging.Formatter):
    """Formats time, level, logger and message, then the fields as name=value; a traceback follows."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        head = f"{_timestamp(record)} {record.levelname} {record.name}: {_escape_newlines(record.getMessage())}"
        line = " ".join([head, *(f"{name}={_format_value(value)}" for name, value in _extra_fields(record).items())])
        traceback = _traceback(self, record)
        return _redact(f"{line}\n{traceback}" if traceback else line)


class JsonFormatter(logging.Formatter):
    """Formats one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line = {
            "at": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        traceback = _traceback(self, record)
        document = {**line, **_extra_fields(record), **({"traceback": traceback} if traceback else {})}
        return _redact(json.dumps(document, ensure_ascii=False, default=str))


def _extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the record's fields and the request ID."""
    request_id = _request_id.get()
    return {**getattr(record, "fields", {}), **({} if request_id is None else {"request": request_id})}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _format_value(value: object) -> str:
    """Return the value as text, quoted if ambiguous."""
    text = str(value)
    return text if _UNQUOTED.fullmatch(text) else json.dumps(text)


def _escape_newlines(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _redact(line: str) -> str:
    """Shorten Slack tokens and self-authorizing URLs to their prefix."""
    return _SECRET_URL.sub(r"\1…", _TOKEN.sub(r"\1…", line))
