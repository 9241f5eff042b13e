"""What log lines contain, and how often a repeated one is written."""

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.bolt_app import build_bolt
from bot.logs import (
    MAX_REPEATS,
    JsonFormatter,
    LogFormat,
    RepeatLimitHandler,
    TextFormatter,
    configure_logging,
    request_id_scope,
)
from services.core.errors import DatabaseUnavailableError, RuleError
from tests.fakes.slack import SECRET, TOKEN

FORMATTERS = pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])


class Log:
    """A handler on a clock that the test moves; `lines` are what it wrote."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.handler = RepeatLimitHandler(lambda: self.now)
        self.output = io.StringIO()
        self.handler.setStream(self.output)
        self.handler.setFormatter(TextFormatter())

    def write(self, message: str, level: int = logging.WARNING, error: BaseException | None = None) -> None:
        info = None if error is None else (type(error), error, error.__traceback__)
        self.handler.handle(logging.LogRecord("bot", level, "", 1, message, (), info))

    @property
    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.output.getvalue().splitlines() if "bot: " in line]


def a_record(message: str, name: str = "bot", **fields: object) -> logging.LogRecord:
    record = logging.LogRecord(name, logging.WARNING, "", 1, message, (), None)
    record.fields = fields
    return record


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_repeated_error_is_written_once_a_minute_with_its_count() -> None:
    log, error = Log(), raised(OSError(24, "Too many open files"))
    for second in range(3 * 60 * 10):  # ten a second for three minutes
        log.now = 1_000 + second / 10
        log.write("socket.accept() out of system resource", logging.ERROR, error)

    line = "ERROR bot: socket.accept() out of system resource"
    assert [line, f"{line} repeated=599", f"{line} repeated=600"] == log.lines
    assert 1 == log.output.getvalue().count("Traceback")


def test_other_messages_and_less_severe_ones_are_always_written() -> None:
    log = Log()
    for message, level in [("a", logging.WARNING), ("b", logging.WARNING), ("c", logging.INFO), ("c", logging.INFO)]:
        log.write(message, level)

    assert ["WARNING bot: a", "WARNING bot: b", "INFO bot: c", "INFO bot: c"] == log.lines


def test_the_count_is_written_with_the_next_record_or_at_the_end() -> None:
    log = Log()
    log.write("a")
    log.write("a")
    log.now += 60
    log.write("another", logging.INFO)
    log.write("a")
    log.handler.close()

    assert [
        "WARNING bot: a",
        "WARNING bot: a repeated=1",
        "INFO bot: another",
        "WARNING bot: a repeated=1",
    ] == log.lines


def test_after_a_quiet_minute_an_error_is_written_in_full() -> None:
    log, error = Log(), raised(OSError("full"))
    log.write("a", logging.ERROR, error)
    log.now += 60
    log.write("a", logging.ERROR, error)

    assert ["ERROR bot: a"] * 2 == log.lines
    assert 2 == log.output.getvalue().count("Traceback")


def test_a_flood_of_different_messages_takes_bounded_memory() -> None:
    log = Log()
    for number in range(3 * MAX_REPEATS):
        log.write(f"message {number}")

    assert 3 * MAX_REPEATS == len(log.lines)
    assert len(log.handler._repeats) <= MAX_REPEATS + 1  # noqa: SLF001 -- memory has no other edge


@FORMATTERS
@pytest.mark.parametrize("character", ["\x1b", "\x00", "\x7f", "\x9b", "\u2028", "\u202e", "\r", "\n"])
def test_a_line_has_no_control_characters(formatter: logging.Formatter, character: str) -> None:
    record = a_record(f"a{character}b", path=f"/c{character}d")
    record.exc_info = (ValueError, ValueError(f"e{character}f"), None)

    text = formatter.format(record)

    assert character not in text.replace("\nValueError", "").replace("e\nf", "")
    assert repr(character)[1:-1] in text or f"\\u{ord(character):04x}" in text


def test_json_lines_stay_readable() -> None:
    line = JsonFormatter().format(a_record("a\x1b[31m\x9b\u202eb", path="/\x1b"))

    assert ("a\x1b[31m\x9b\u202eb", "/\x1b") == (json.loads(line)["message"], json.loads(line)["path"])


@FORMATTERS
def test_fields_are_cut_at_200_characters(formatter: logging.Formatter) -> None:
    text = formatter.format(a_record("request", path="/" + "a" * 10_000, ms=1.5))

    assert "/" + "a" * 198 + "…" in text
    assert len(text) < 400


@FORMATTERS
@pytest.mark.parametrize("name", ["code", "state", "token", "apikey"])
def test_secrets_in_query_strings_are_not_written(formatter: logging.Formatter, name: str) -> None:
    assert "sesame" not in formatter.format(a_record(f"GET https://there/path?a=1&{name}=sesame&b=2"))


@FORMATTERS
def test_inside_a_request_errors_are_named_without_what_was_typed(formatter: logging.Formatter) -> None:
    cause = raised(RuleError("sesame", word="sesame", offset=0, expected="a window"))
    error = raised(ValueError("invalid literal: 'sesame'"))
    error.__cause__ = cause
    record = a_record("request failed unexpectedly")
    record.exc_info = (type(error), error, error.__traceback__)

    with request_id_scope():
        inside = formatter.format(record)
    outside = formatter.format(record)

    assert "sesame" not in inside
    assert inside.index("RuleError") < inside.index("ValueError")
    assert "test_logs.py" in inside
    assert "invalid literal: 'sesame'" in outside


@FORMATTERS
def test_inside_a_request_errors_of_the_database_keep_their_text(formatter: logging.Formatter) -> None:
    error = raised(DatabaseUnavailableError("the disk is full"))
    record = a_record("request failed")
    record.exc_info = (type(error), error, error.__traceback__)

    with request_id_scope():
        assert "the disk is full" in formatter.format(record)


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("root_logger")
def test_libraries_log_no_bodies_or_addresses_at_debug_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", LogFormat.TEXT)
    for name in ("slack_sdk.web.async_client", "slack_bolt.AsyncApp", "httpx", "aiosqlite", "sqlalchemy.engine"):
        logging.getLogger(name).info("code=sesame")
    logging.getLogger("slack_bolt.AsyncApp").warning("Unhandled request ({'submission': {'reason': 'sesame'}})")
    failure = raised(ValueError("sesame"))
    logging.getLogger("slack_bolt.AsyncApp").error("Failed to run listener function (error: sesame)", exc_info=failure)
    lines = capsys.readouterr().err

    assert "sesame" not in lines
    assert "no listener for a request from Slack" in lines
    assert "a request from Slack failed" in lines
    assert Path(__file__).name in lines


def test_bolt_stores_no_tokens_in_the_home_folder_and_logs_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    variables = {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "made-up", "SLACK_BOT_TOKEN": TOKEN}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    bolt = build_bolt(AsyncWebClient(), SECRET)

    assert (None, None) == (bolt.oauth_flow, bolt.installation_store)
    assert [] == caplog.messages
    assert variables == {name: os.environ[name] for name in variables}
