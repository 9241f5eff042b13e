"""The gate, through real sockets: what it lets through, what it refuses, and that nothing is acted on twice."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from bot.http.app import SLACK_PATH
from bot.http.slack_requests import MOST_BYTES
from tests.bot.http.conftest import COMMAND, FORM, Front, as_slack, written


async def test_what_slack_has_signed_reaches_its_listener(front: Front) -> None:
    answer = await front.slack(COMMAND)

    assert (200, b"noted", ["command"]) == (answer.status, answer.body, front.reached)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="unsigned"),
        pytest.param(as_slack(b"another body"), id="another body"),
        pytest.param({**as_slack(COMMAND), "X-Slack-Signature": "v0=\xe9"}, id="a signature beyond ASCII"),
        pytest.param(as_slack(COMMAND, "soon"), id="a time that is no number"),
        pytest.param(as_slack(COMMAND, "1.7e9"), id="a time that is no whole number"),
        pytest.param(as_slack(COMMAND, "1_700_000_000"), id="a time that only Python can read"),
        pytest.param(as_slack(COMMAND, "9" * 400), id="a time beyond all numbers"),
        pytest.param(as_slack(COMMAND, ""), id="no time"),
    ],
)
async def test_what_slack_has_not_signed_is_refused(front: Front, headers: dict[str, str]) -> None:
    answer = await front.post(COMMAND, headers)

    assert (401, b"Unauthorized", []) == (answer.status, answer.body, front.reached)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        pytest.param(-290, 200, id="just in time"),
        pytest.param(-310, 401, id="too old"),
        pytest.param(310, 401, id="of the future"),
    ],
)
async def test_a_request_is_good_for_five_minutes(front: Front, seconds: int, status: int) -> None:
    answer = await front.slack(COMMAND, at=str(int(time.time()) + seconds))

    assert status == answer.status


async def test_a_body_that_is_no_text_is_refused(front: Front) -> None:
    signed = await front.slack(b"command=%2Fnote&text=\xff")
    unsigned = await front.post(b"\xff\xfe", {})

    assert (400, 401, []) == (signed.status, unsigned.status, front.reached)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", b"{", id="cut off"),
        pytest.param(FORM, b"payload=%7B", id="a form with half a payload"),
    ],
)
async def test_a_body_that_slack_would_not_write_is_refused(front: Front, content_type: str, body: bytes) -> None:
    answer = await front.slack(body, content_type=content_type)
    assert (400, b"Bad Request") == (answer.status, answer.body)


async def test_a_body_that_is_announced_as_too_large_is_refused_before_it_comes(front: Front) -> None:
    answer = await front.send(written("POST", SLACK_PATH, {"Content-Length": str(MOST_BYTES + 1)}))

    assert 413 == answer.status


async def test_a_body_without_a_length_is_refused_once_it_is_too_large(front: Front) -> None:
    chunk = b"%x\r\n%b\r\n" % (MOST_BYTES + 1, b"a" * (MOST_BYTES + 1))
    answer = await front.send(written("POST", SLACK_PATH, {"Transfer-Encoding": "chunked"}) + chunk)

    assert 413 == answer.status


async def test_a_body_that_does_not_come_is_not_waited_for(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.http.slack_requests.BODY_WITHIN_S", 0.05)

    answer = await front.send(written("POST", SLACK_PATH, {"Content-Length": "10"}) + b"ab")

    assert 408 == answer.status


async def test_the_same_request_again_is_answered_without_acting_twice(front: Front) -> None:
    stamp = str(int(time.time()))
    first, again = [await front.slack(COMMAND, at=stamp) for _ in range(2)]
    another = await front.slack(COMMAND, at=str(int(stamp) - 1))

    assert (b"noted", b"", b"noted") == (first.body, again.body, another.body)
    assert (200, ["command"] * 2) == (again.status, front.reached)


async def test_what_could_not_be_worked_on_may_come_again(front: Front) -> None:
    stamp, front.failing = str(int(time.time())), True
    failed = await front.slack(COMMAND, at=stamp)
    front.failing = False
    again = await front.slack(COMMAND, at=stamp)

    assert (500, 200) == (failed.status, again.status)


async def test_an_event_that_slack_sends_again_is_acted_on_once(front: Front) -> None:
    answers = [await front.event(one) for one in ("Ev1", "Ev1", "Ev2")]

    assert [200] * 3 == [answer.status for answer in answers]
    assert ["Ev1", "Ev2"] == front.reached


async def test_an_event_that_failed_is_acted_on_when_it_comes_again(front: Front) -> None:
    front.failing = True
    failed = await front.event("Ev1")
    front.failing = False
    again = await front.event("Ev1")

    assert (500, 200, ["Ev1"] * 2) == (failed.status, again.status, front.reached)


async def test_an_event_that_nobody_listens_to_is_no_failure(front: Front) -> None:
    assert 200 == (await front.event("Ev1", "unheard_of")).status


async def test_a_failure_tells_the_sender_nothing(front: Front) -> None:
    front.failing = True

    answer = await front.slack(COMMAND)

    assert 500 == answer.status
    assert b"secret" not in answer.raw
    assert b"Traceback" not in answer.raw


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nothing", 404, id="unknown"),
        pytest.param("POST", "/", 404, id="the root"),
        pytest.param("GET", SLACK_PATH, 405, id="another method"),
        pytest.param("GET", "/healthz", 200, id="known"),
    ],
)
async def test_only_the_paths_that_exist_are_answered(front: Front, method: str, path: str, status: int) -> None:
    assert status == (await front.send(written(method, path, {}))).status


async def test_slacks_look_at_the_certificate_needs_no_signature(front: Front) -> None:
    answer = await front.post(b"ssl_check=1&token=x", {})

    assert (200, b"", []) == (answer.status, answer.body, front.reached)


async def _end(reader: asyncio.StreamReader) -> bytes:
    """Read until the other side closes; what it has not read by then turns that into a reset."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_a_connection_that_dribbles_its_headers_is_closed(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.http.header_timeout.HEADERS_WITHIN_S", 0.2)
    silent, dribbling = [await asyncio.open_connection("127.0.0.1", front.port) for _ in range(2)]

    async def dribble() -> None:
        for byte in b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 10_000:
            dribbling[1].write(bytes([byte]))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(dribble())
    async with asyncio.timeout(5):
        ends = await asyncio.gather(_end(silent[0]), _end(dribbling[0]))
    task.cancel()

    assert [b"", b""] == [*ends]
    for _, writer in (silent, dribbling):
        writer.close()


async def test_a_connection_that_is_kept_takes_the_next_request(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.http.header_timeout.HEADERS_WITHIN_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    statuses = []
    for _ in range(2):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
        statuses.append((await reader.readuntil(b"\r\n")).split()[1])
        await reader.readuntil(b"}")
    writer.close()

    assert [b"200", b"200"] == statuses


async def test_an_answer_waits_for_no_confirmation_of_its_first_part(front: Front) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    await reader.readuntil(b"}")
    assert front.server is not None
    (connection,) = front.server.server_state.connections
    at_once = connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    writer.close()

    assert 0 != at_once
