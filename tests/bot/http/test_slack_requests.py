"""Verification of Slack's requests through real sockets."""

import asyncio
import resource
import socket
import time

import pytest

from bot.http.app import SLACK_PATH
from bot.http.server import BoundedProtocol, max_connections
from bot.http.slack_requests import MAX_BODY_BYTES
from tests.bot.http.conftest import COMMAND, FORM, RawResponse, RunningServer, http_head, signature_headers


async def test_a_signed_request_reaches_its_listener(server: RunningServer) -> None:
    response = await server.slack(COMMAND)

    assert (200, b"noted", ["command"]) == (response.status, response.body, server.received)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="unsigned"),
        pytest.param(signature_headers(b"another body"), id="another body"),
        pytest.param({**signature_headers(COMMAND), "X-Slack-Signature": "v0=\xe9"}, id="a signature beyond ASCII"),
        pytest.param(signature_headers(COMMAND, "soon"), id="a time that is no number"),
        pytest.param(signature_headers(COMMAND, "1.7e9"), id="a time that is no whole number"),
        pytest.param(signature_headers(COMMAND, "1_700_000_000"), id="a time that only Python can read"),
        pytest.param(signature_headers(COMMAND, "9" * 400), id="a time beyond all numbers"),
        pytest.param(signature_headers(COMMAND, ""), id="no time"),
    ],
)
async def test_an_unsigned_request_is_rejected(server: RunningServer, headers: dict[str, str]) -> None:
    response = await server.post(COMMAND, headers)

    assert (401, b"Unauthorized", []) == (response.status, response.body, server.received)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        pytest.param(-290, 200, id="just in time"),
        pytest.param(-310, 401, id="too old"),
        pytest.param(310, 401, id="of the future"),
    ],
)
async def test_a_request_is_valid_for_five_minutes(server: RunningServer, seconds: int, status: int) -> None:
    response = await server.slack(COMMAND, timestamp=str(int(time.time()) + seconds))

    assert status == response.status


async def test_a_body_that_is_not_utf8_is_rejected(server: RunningServer) -> None:
    signed = await server.slack(b"command=%2Fnote&text=\xff")
    unsigned = await server.post(b"\xff\xfe", {})

    assert (400, 401, []) == (signed.status, unsigned.status, server.received)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", b"{", id="cut off"),
        pytest.param(FORM, b"payload=%7B", id="a form with half a payload"),
    ],
)
async def test_a_malformed_body_is_rejected(server: RunningServer, content_type: str, body: bytes) -> None:
    response = await server.slack(body, content_type=content_type)
    assert (400, b"Bad Request") == (response.status, response.body)


async def test_a_large_content_length_is_rejected_before_the_body_is_read(server: RunningServer) -> None:
    response = await server.send(http_head("POST", SLACK_PATH, {"Content-Length": str(MAX_BODY_BYTES + 1)}))

    assert 413 == response.status


async def test_a_chunked_body_is_rejected_once_it_is_too_large(server: RunningServer) -> None:
    chunk = b"%x\r\n%b\r\n" % (MAX_BODY_BYTES + 1, b"a" * (MAX_BODY_BYTES + 1))
    response = await server.send(http_head("POST", SLACK_PATH, {"Transfer-Encoding": "chunked"}) + chunk)

    assert 413 == response.status


async def test_a_missing_body_times_out(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.http.slack_requests.BODY_TIMEOUT_S", 0.0)

    response = await server.send(http_head("POST", SLACK_PATH, {"Content-Length": "10"}) + b"ab")

    assert 408 == response.status


async def test_a_repeated_request_is_handled_once(server: RunningServer) -> None:
    timestamp = str(int(time.time()))
    first, repeat = [await server.slack(COMMAND, timestamp=timestamp) for _ in range(2)]
    later = await server.slack(COMMAND, timestamp=str(int(timestamp) - 1))

    assert (b"noted", b"", b"noted") == (first.body, repeat.body, later.body)
    assert (200, ["command"] * 2) == (repeat.status, server.received)


async def test_a_failed_request_can_be_repeated(server: RunningServer) -> None:
    timestamp, server.failing = str(int(time.time())), True
    failed = await server.slack(COMMAND, timestamp=timestamp)
    server.failing = False
    repeat = await server.slack(COMMAND, timestamp=timestamp)

    assert (500, 200) == (failed.status, repeat.status)


async def test_a_retried_event_is_handled_once(server: RunningServer) -> None:
    answers = [await server.event(event_id) for event_id in ("Ev1", "Ev1", "Ev2")]

    assert [200] * 3 == [response.status for response in answers]
    assert ["Ev1", "Ev2"] == server.received


async def test_a_failed_event_is_handled_when_it_is_retried(server: RunningServer) -> None:
    server.failing = True
    failed = await server.event("Ev1")
    server.failing = False
    repeat = await server.event("Ev1")

    assert (500, 200, ["Ev1"] * 2) == (failed.status, repeat.status, server.received)


async def test_an_event_without_a_listener_is_acknowledged(server: RunningServer) -> None:
    assert 200 == (await server.event("Ev1", "unheard_of")).status


async def test_an_error_response_reveals_no_details(server: RunningServer) -> None:
    server.failing = True

    response = await server.slack(COMMAND)

    assert 500 == response.status
    assert b"secret" not in response.raw
    assert b"Traceback" not in response.raw


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nothing", 404, id="unknown"),
        pytest.param("POST", "/", 404, id="the root"),
        pytest.param("GET", SLACK_PATH, 405, id="another method"),
        pytest.param("GET", "/healthz", 200, id="known"),
    ],
)
async def test_only_known_paths_and_methods_are_served(
    server: RunningServer, method: str, path: str, status: int
) -> None:
    assert status == (await server.send(http_head(method, path, {}))).status


async def test_slacks_ssl_check_needs_no_signature(server: RunningServer) -> None:
    response = await server.post(b"ssl_check=1&token=x", {})

    assert (200, b"", []) == (response.status, response.body, server.received)


async def _read_until_closed(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes the connection; unread data turns that into a reset."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_a_connection_without_whole_headers_is_closed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.http.server.HEADER_TIMEOUT_S", 0.0)
    idle, slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
    slow[1].write(b"GET /healthz HTTP/1.1\r\nX-Long: ")
    async with asyncio.timeout(5):
        received = await asyncio.gather(_read_until_closed(idle[0]), _read_until_closed(slow[0]))

    assert [b"", b""] == [*received]
    for _, writer in (idle, slow):
        writer.close()


async def test_more_bytes_of_headers_gain_no_time(server: RunningServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    await reader.readuntil(b"}")
    assert server.server is not None
    (connection,) = server.server.server_state.connections
    assert isinstance(connection, BoundedProtocol)

    closes_at = []
    for received in (b"GET /healthz HTTP/1.1\r\nX-Long: ", b"a", b"a"):
        connection.data_received(received)
        assert connection._deadline is not None  # noqa: SLF001
        closes_at.append(connection._deadline.when())  # noqa: SLF001
    writer.close()

    assert [closes_at[0]] * 3 == closes_at


async def test_a_kept_alive_connection_serves_the_next_request(server: RunningServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    statuses = []
    for _ in range(2):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
        statuses.append((await reader.readuntil(b"\r\n")).split()[1])
        await reader.readuntil(b"}")
    writer.close()

    assert [b"200", b"200"] == statuses


async def test_a_kept_alive_connection_with_slow_headers_is_closed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    await reader.readuntil(b"}")
    monkeypatch.setattr("bot.http.server.HEADER_TIMEOUT_S", 0.0)
    writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    async with asyncio.timeout(3):  # less than uvicorn's own timeout between requests
        received = await _read_until_closed(reader)
    writer.close()

    assert b"" == received


async def test_connections_set_tcp_nodelay(server: RunningServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
    await reader.readuntil(b"}")
    assert server.server is not None
    (connection,) = server.server.server_state.connections
    nodelay = connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    writer.close()

    assert 0 != nodelay


async def _open(server: RunningServer, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def test_too_many_connections_make_room_by_age_and_health_stays_available(server: RunningServer) -> None:
    assert server.server is not None
    server.server.waiting.max_connections = 3
    idle = [await _open(server, data) for data in (b"", b"GET /healthz HTTP/1.1\r\nX-Slow: ", b"", b"", b"")]

    health = await server.send(http_head("GET", "/healthz", {}))
    closed = await asyncio.gather(*(_read_until_closed(reader) for reader, _ in idle[:3]))
    idle[4][1].write(http_head("GET", "/healthz", {}))
    newest = RawResponse(raw=await _read_until_closed(idle[4][0]))

    assert (200, 200, [b""] * 3) == (health.status, newest.status, closed)
    for _, writer in idle:
        writer.close()


async def test_too_many_bytes_of_unfinished_bodies_make_room_by_size(server: RunningServer) -> None:
    assert server.server is not None
    server.server.waiting.max_bytes = 250_000
    head = http_head("POST", SLACK_PATH, {"Content-Length": str(MAX_BODY_BYTES)})
    large, small = [await _open(server, head + b"a" * size) for size in (200_000, 40_000)]
    last = await _open(server, head + b"a" * 40_000)

    closed = await _read_until_closed(large[0])
    response = await server.slack(COMMAND)

    assert (b"", b"noted") == (closed, response.body)
    assert [False, False] == [reader.at_eof() for reader, _ in (small, last)]
    for _, writer in (large, small, last):
        writer.close()


async def test_a_finished_request_frees_its_bytes(server: RunningServer) -> None:
    assert server.server is not None
    server.server.waiting.max_bytes = 100_000
    body = b"text=" + b"a" * 60_000

    answers = [await server.post(body, {}) for _ in range(4)]

    assert [401] * 4 == [response.status for response in answers]


async def test_requests_on_a_kept_alive_connection_count_once(server: RunningServer) -> None:
    assert server.server is not None
    server.server.waiting.max_connections = 1
    reader, writer = await _open(server)
    for _ in range(3):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
        await reader.readuntil(b"}")
    other = await server.send(http_head("GET", "/healthz", {}))
    writer.close()

    assert 200 == other.status


@pytest.mark.parametrize(("soft", "expected"), [(1024, 500), (256, 128), (resource.RLIM_INFINITY, 500)])
def test_connections_leave_descriptors_to_everything_else(
    monkeypatch: pytest.MonkeyPatch, soft: int, expected: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _which: (soft, soft))

    assert expected == max_connections()
