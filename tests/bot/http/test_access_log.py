"""Each request leaves one line, under a number that every line about it carries, and none of its secrets."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from bot.logs import JsonLines, TextLines, numbered
from handlers.background import BackgroundTasks
from tests.bot.http.conftest import COMMAND, Front, written
from tests.fakes.slack import SECRET


class Lines(logging.Handler):
    """Log lines as they are written."""

    def __init__(self, form: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(form)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 -- a generator of Lines
    handler = Lines(getattr(request, "param", JsonLines)())
    logging.getLogger().addHandler(handler)
    logging.getLogger("bot").setLevel(logging.INFO)
    yield handler.lines
    logging.getLogger("bot").setLevel(logging.NOTSET)
    logging.getLogger().removeHandler(handler)


async def test_each_request_leaves_one_line_without_its_body(front: Front, lines: list[str]) -> None:
    answer = await front.slack(COMMAND + b"&text=hush", **{"X-Slack-Retry-Num": "2"})
    await front.post(COMMAND, {})
    await front.send(written("GET", "/healthz", {}))  # a probe leaves none

    signed, unsigned = [json.loads(line) for line in lines]
    assert ("POST", "/slack/events", 200, "2") == tuple(signed[name] for name in ("method", "path", "status", "retry"))
    assert (401, "without a time") == (unsigned["status"], unsigned["outcome"])
    assert f"x-request-id: {signed['request']}".encode() in answer.raw
    assert all(secret not in line for line in lines for secret in ("hush", "v0=", SECRET))


@pytest.mark.parametrize("lines", [pytest.param(TextLines, id="text")], indirect=True)
async def test_a_path_cannot_forge_a_line(front: Front, lines: list[str]) -> None:
    await front.send(written("GET", "/a%0AERROR%20status=200?code=hush", {}))

    (line,) = lines
    assert re.search(r' path="/a\\nERROR status=200" status=404 ms=[\d.]+ request=[0-9a-f]{8}$', line)


async def test_what_goes_on_after_the_acknowledgement_carries_the_number_too(lines: list[str]) -> None:
    errands = BackgroundTasks()

    async def errand() -> None:
        logging.getLogger("bot.errand").info("done")

    with numbered() as number:
        errands.begin(errand(), "an errand")
    await errands.drain()
    logging.getLogger("bot.errand").info("of no request")

    done, other = [json.loads(line) for line in lines]
    assert number == done["request"]
    assert "request" not in other


@pytest.mark.parametrize("form", [TextLines(), JsonLines()], ids=["text", "json"])
@pytest.mark.parametrize("token", ["xoxb-12-ab", "xoxe.xoxb-1-ab", "xoxe-1-ab", "xapp-1-A-ab"])
def test_a_token_is_in_no_line(form: logging.Formatter, token: str) -> None:
    error = ValueError(f"cannot use {token}")
    record = logging.LogRecord("a", logging.ERROR, "", 1, "token=%s", (token,), (ValueError, error, None))

    line = form.format(record)
    assert token not in line
    assert f"token={token[:4]}" in line


@pytest.mark.parametrize("form", [TextLines(), JsonLines()], ids=["text", "json"])
@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.slack.com/commands/T1/23/sesame",
        "https://hooks.slack-gov.com/actions/T1/23/sesame",
        "wss://wss-primary.slack.com/link/?ticket=sesame&app_id=4",
    ],
)
def test_an_address_that_is_good_without_a_token_is_in_no_line(form: logging.Formatter, address: str) -> None:
    record = logging.LogRecord("a", logging.DEBUG, "", 1, "sent %s", ({"url": address, "text": "told"},), None)
    line = form.format(record)
    assert "sesame" not in line
    assert "told" in line
