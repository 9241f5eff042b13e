"""Logging: text or JSON lines with a request ID, without secrets, typed text and control characters."""

import copy
import json
import logging
import re
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from services.core.errors import MinerPulseError, UserInputError
from services.core.text import escape_control

# Below WARNING, these log request bodies, URLs with API keys, or every statement.
NOISY_LOGGERS = (
    "aiohttp", "aiosqlite", "alembic", "apscheduler", "asyncio", "httpcore", "httpx", "matplotlib", "PIL", "slack_bolt",
    "slack_sdk", "sqlalchemy",
)  # fmt: skip
REPEAT_INTERVAL_S = 60.0
MAX_REPEATS = 1_000  # different messages
MAX_FIELD = 200  # characters of a field
MAX_MESSAGE = 2_000  # characters
REQUEST_LOGGERS = ("slack_bolt", "uvicorn")  # of libraries that handle requests
UNHANDLED = "Unhandled request"  # Bolt's message quotes fields of the request
_UNQUOTED = re.compile(r"[\w./:+-]+", re.ASCII)
_TOKEN = re.compile(r"\b(xox[a-z]{1,2}(?:[.-])|xapp-)[\w.-]+", re.ASCII)
# These URLs grant access by themselves.
_SECRET_URL = re.compile(
    r"(\bhooks\.slack(?:-gov)?\.com/|\bticket=|[?&](?:code|state|token|key|api_?key)=)[^\s\"'\\&]+", re.ASCII
)
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
    """Write log lines of this level and above to stderr; a repeated warning or error once a minute, with a count."""
    handler = RepeatLimitHandler()
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class RepeatLimitHandler(logging.StreamHandler[Any]):
    """Writes to stderr. A warning or error that is repeated is written once a minute, with the number of repeats."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._repeats: dict[tuple[str, ...], _Repeat] = {}  # the oldest first

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it if it repeats another of the last minute."""
        record, now = _without_request_text(record), self._monotonic()
        self._write_counts(now)
        if record.levelno >= logging.WARNING:
            key = _identity(record)
            if key in self._repeats:
                self._repeats[key].count(record)
                return
            self._repeats[key] = _Repeat(since=now)
        super().emit(record)

    def close(self) -> None:
        """Write the remaining counts."""
        self._write_counts(float("inf"))
        super().close()

    def _write_counts(self, now: float) -> None:
        """Write the counts of messages whose minute is over; forget those that were not repeated in it."""
        while self._repeats:
            key, repeat = next(iter(self._repeats.items()))
            if now - repeat.since < REPEAT_INTERVAL_S and len(self._repeats) <= MAX_REPEATS:
                return
            del self._repeats[key]
            if repeat.last is not None:
                super().emit(repeat.last)
                if now - repeat.since < float("inf"):
                    self._repeats[key] = _Repeat(since=now)


class _Repeat:
    """The repeats of a message since it was last written: the last one with their number, without its traceback."""

    def __init__(self, *, since: float) -> None:
        self.since = since
        self.last: logging.LogRecord | None = None
        self._count = 0

    def count(self, record: logging.LogRecord) -> None:
        """Count a repeat."""
        self._count += 1
        self.last = copy.copy(record)
        self.last.exc_info = self.last.exc_text = None
        self.last.fields = {**getattr(record, "fields", {}), "repeated": self._count}


def _identity(record: logging.LogRecord) -> tuple[str, ...]:
    error = record.exc_info[1] if record.exc_info else None
    return record.name, record.levelname, record.getMessage(), repr(error)


def _without_request_text(record: logging.LogRecord) -> logging.LogRecord:
    """Return Bolt's records without what they quote from a request."""
    if not record.name.startswith("slack_bolt"):
        return record
    record = copy.copy(record)
    if record.exc_info:
        record.msg, record.args = "a request from Slack failed", ()
    elif record.getMessage().startswith(UNHANDLED):
        record.msg, record.args = "no listener for a request from Slack", ()
    return record


class TextFormatter(logging.Formatter):
    """Formats time, level, logger and message, then the fields as name=value; a traceback follows."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        head = f"{_timestamp(record)} {record.levelname} {record.name}: {_message(record)}"
        line = " ".join([head, *(f"{name}={_format_value(value)}" for name, value in _extra_fields(record).items())])
        lines = _traceback(self, record)
        return _redact(escape_control(line, keep="") + (f"\n{escape_control(lines)}" if lines else ""))


class JsonFormatter(logging.Formatter):
    """Formats one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line = {
            "at": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        lines = _traceback(self, record)
        document = {**line, **_extra_fields(record), **({"traceback": lines} if lines else {})}
        return _redact(escape_control(json.dumps(document, ensure_ascii=False, default=str), keep=""))


def _message(record: logging.LogRecord) -> str:
    return _cut(record.getMessage(), MAX_MESSAGE)


def _extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the record's fields, cut to a readable length, and the request ID."""
    request_id = _request_id.get()
    fields = {
        name: _cut(value, MAX_FIELD) if isinstance(value, str) else value
        for name, value in getattr(record, "fields", {}).items()
    }
    return fields if request_id is None else {**fields, "request": request_id}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the traceback. Inside a request, errors are named without their text, which may quote what was typed."""
    if not record.exc_info:
        return ""
    error = record.exc_info[1]
    if error is None or (_request_id.get() is None and not record.name.startswith(REQUEST_LOGGERS)):
        return formatter.formatException(record.exc_info)
    return "\n".join(_describe(one) for one in reversed([*_chain(error)]))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it, the last first."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _describe(error: BaseException) -> str:
    lines = "".join(traceback.format_tb(error.__traceback__))
    is_ours = isinstance(error, MinerPulseError) and not isinstance(error, UserInputError)
    return f"Traceback (most recent call last):\n{lines}{type(error).__name__}{f': {error}' if is_ours else ''}"


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _format_value(value: object) -> str:
    """Return the value as text, quoted if ambiguous."""
    text = str(value)
    return text if _UNQUOTED.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _redact(line: str) -> str:
    """Shorten Slack tokens and self-authorizing URLs to their prefix."""
    return _SECRET_URL.sub(r"\1…", _TOKEN.sub(r"\1…", line))
