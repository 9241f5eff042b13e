"""Each request logs one line with its request ID and no secrets."""

import json
import logging
import re
from typing import Any

import pytest

from bot.logs import JsonFormatter, TextFormatter, request_id_scope
from handlers.background import BackgroundTasks
from tests.bot.http.conftest import COMMAND, RunningServer, http_head
from tests.fakes.slack import SECRET


class LogLines(logging.Handler):
    """Records formatted log lines."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 -- a generator of Lines
    handler = LogLines(getattr(request, "param", JsonFormatter)())
    logging.getLogger().addHandler(handler)
    logging.getLogger("bot").setLevel(logging.INFO)
    yield handler.lines
    logging.getLogger("bot").setLevel(logging.NOTSET)
    logging.getLogger().removeHandler(handler)


async def test_each_request_logs_one_line_without_its_body(server: RunningServer, lines: list[str]) -> None:
    answer = await server.slack(COMMAND + b"&text=hush", **{"X-Slack-Retry-Num": "2"})
    await server.post(COMMAND, {})
    await server.send(http_head("GET", "/healthz", {}))  # probes are not logged

    signed, unsigned = [json.loads(line) for line in lines]
    assert ("POST", "/slack/events", 200, "2") == tuple(signed[name] for name in ("method", "path", "status", "retry"))
    assert (401, "no timestamp") == (unsigned["status"], unsigned["outcome"])
    assert f"x-request-id: {signed['request']}".encode() in answer.raw
    assert all(secret not in line for line in lines for secret in ("hush", "v0=", SECRET))


@pytest.mark.parametrize("lines", [pytest.param(TextFormatter, id="text")], indirect=True)
async def test_a_path_cannot_forge_a_log_line(server: RunningServer, lines: list[str]) -> None:
    await server.send(http_head("GET", "/a%0AERROR%20status=200?code=hush", {}))

    (line,) = lines
    assert re.search(r' path="/a\\nERROR status=200" status=404 ms=[\d.]+ request=[0-9a-f]{8}$', line)


async def test_background_tasks_log_the_request_id(lines: list[str]) -> None:
    tasks = BackgroundTasks()

    async def work() -> None:
        logging.getLogger("bot.task").info("done")

    with request_id_scope() as request_id:
        tasks.start(work(), "a task")
    await tasks.drain()
    logging.getLogger("bot.task").info("of no request")

    inside, outside = [json.loads(line) for line in lines]
    assert request_id == inside["request"]
    assert "request" not in outside


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
@pytest.mark.parametrize("token", ["xoxb-12-ab", "xoxe.xoxb-1-ab", "xoxe-1-ab", "xapp-1-A-ab"])
def test_tokens_are_redacted(formatter: logging.Formatter, token: str) -> None:
    error = ValueError(f"cannot use {token}")
    record = logging.LogRecord("a", logging.ERROR, "", 1, "token=%s", (token,), (ValueError, error, None))

    line = formatter.format(record)
    assert token not in line
    assert f"token={token[:4]}" in line


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.slack.com/commands/T1/23/sesame",
        "https://hooks.slack-gov.com/actions/T1/23/sesame",
        "wss://wss-primary.slack.com/link/?ticket=sesame&app_id=4",
    ],
)
def test_self_authorizing_urls_are_redacted(formatter: logging.Formatter, address: str) -> None:
    record = logging.LogRecord("a", logging.DEBUG, "", 1, "sent %s", ({"url": address, "text": "told"},), None)
    line = formatter.format(record)
    assert "sesame" not in line
    assert "told" in line
