"""Log lines: for people or as JSON, each with the number of the request that it belongs to, and never a token."""

from __future__ import annotations

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

CHATTY = ("apscheduler", "alembic")
_PLAIN = re.compile(r"[\w./:+-]+", re.ASCII)
_TOKEN = re.compile(r"\b(xox[a-z]{1,2}(?:[.-])|xapp-)[\w.-]+", re.ASCII)
_ADDRESS = re.compile(r"(\bhooks\.slack(?:-gov)?\.com/|\bticket=)[^\s\"'\\&]+", re.ASCII)  # whoever has it, may use it
_number: ContextVar[str | None] = ContextVar("request", default=None)


class LogFormat(Enum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def numbered() -> Iterator[str]:
    """Give what is done within a number; a task that begins within keeps it, as does what has one already."""
    known = _number.get()
    if known is not None:
        yield known
        return
    number = secrets.token_hex(4)
    reset = _number.set(number)
    try:
        yield number
    finally:
        _number.reset(reset)


def set_up(level: str, form: LogFormat) -> None:
    """Write log lines of this level and above to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form is LogFormat.JSON else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


class TextLines(logging.Formatter):
    """Time, level, room and message, then what is known besides as name=value; a traceback follows below."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        head = f"{_at(record)} {record.levelname} {record.name}: {_one_line(record.getMessage())}"
        line = " ".join([head, *(f"{name}={_value(value)}" for name, value in _besides(record).items())])
        told = _traceback(self, record)
        return _hidden(f"{line}\n{told}" if told else line)


class JsonLines(logging.Formatter):
    """One JSON object in a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {"at": _at(record), "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        told = _traceback(self, record)
        whole = {**line, **_besides(record), **({"traceback": told} if told else {})}
        return _hidden(json.dumps(whole, ensure_ascii=False, default=str))


def _besides(record: logging.LogRecord) -> dict[str, Any]:
    """Give what a record says in fields, and the number of its request."""
    number = _number.get()
    return {**getattr(record, "fields", {}), **({} if number is None else {"request": number})}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(value: object) -> str:
    """Write a value; one that could be taken for more than one is quoted."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _hidden(line: str) -> str:
    """Cut Slack's tokens, and addresses that are good without one, down to their kind, wherever they come from."""
    return _ADDRESS.sub(r"\1…", _TOKEN.sub(r"\1…", line))
