import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from services.market.sources.http.client import (
    MAX_EXTENSION,
    MIN_BYTES_PER_S,
    ConnectionFailedError,
    Deadline,
    HttpClient,
    HttpStatusError,
    RequestTimeoutError,
)
from tests.services.market.sources.conftest import FakeServer, Reply, run_until

URL = "https://vendor.test/prices"


async def test_the_body_is_returned_unchanged(server: FakeServer) -> None:
    server.respond_with(Reply(200, b'{"price": 1}'))

    body, _sent_at = await HttpClient(transport=server.transport, user_agent="MinerPulse/9").get(
        URL, {"symbol": "WGMI"}
    )

    assert body == b'{"price": 1}'
    assert str(server.requests[0].url) == f"{URL}?symbol=WGMI"
    assert server.requests[0].headers["User-Agent"] == "MinerPulse/9"


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(httpx.ConnectError("refused"), id="refused"),
        pytest.param(httpx.ConnectTimeout("slow"), id="connect-timeout"),
        pytest.param(httpx.ReadTimeout("slow"), id="read-timeout"),
        pytest.param(httpx.RemoteProtocolError("cut off"), id="cut-off"),
        pytest.param(Reply(500), id="500"),
        pytest.param(Reply(503), id="503"),
    ],
)
async def test_a_transient_failure_is_retried(server: FakeServer, failure: Reply | Exception) -> None:
    server.respond_with(failure, failure, Reply(200, b"{}"))

    assert b"{}" == (await HttpClient(transport=server.transport).get(URL, {})).body
    assert len(server.requests) == 3


async def test_there_are_at_most_three_attempts(server: FakeServer) -> None:
    server.respond_with(Reply(502))

    with pytest.raises(HttpStatusError) as caught:
        await HttpClient(transport=server.transport).get(URL, {})

    assert caught.value.status_line == "502 Bad Gateway"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(302, headers={"Location": "https://consent.test/"}), id="redirect"),
        pytest.param(Reply(401), id="401"),
        pytest.param(Reply(404), id="404"),
        pytest.param(Reply(429), id="429"),
        pytest.param(Reply(503, headers={"Retry-After": "120"}), id="503-that-names-its-time"),
    ],
)
async def test_a_client_error_is_not_retried(server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    with pytest.raises(HttpStatusError) as caught:
        await HttpClient(transport=server.transport).get(URL, {})

    assert (reply.status, reply.headers.get("Retry-After")) == (caught.value.status, caught.value.retry_after)
    assert len(server.requests) == 1


async def test_no_response_within_the_deadline_times_out() -> None:
    async def never(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    client = HttpClient(transport=httpx.MockTransport(never), deadline=timedelta(0))

    with pytest.raises(RequestTimeoutError, match="didn't respond in time"):
        await client.get(URL, {})


async def test_a_dripping_response_times_out_at_the_deadline() -> None:
    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await asyncio.sleep(0)

    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=Drip()))
    client = HttpClient(transport=transport, deadline=timedelta(microseconds=1))

    with pytest.raises(RequestTimeoutError, match="didn't respond in time"):
        await client.get(URL, {})


async def test_a_slow_body_extends_the_deadline() -> None:
    timeouts: list[asyncio.Timeout] = []
    extensions: list[float] = []

    def start(seconds: float) -> asyncio.Timeout:
        timeouts.append(asyncio.timeout(seconds))
        return timeouts[0]

    class Slow(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            before = timeouts[0].when() or 0
            yield b" " * 2 * MIN_BYTES_PER_S
            extensions.append((timeouts[0].when() or 0) - before)
            yield b"{}"

    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=Slow()))

    assert b"{}" == (await HttpClient(transport=transport, timeout=start).get(URL, {})).body.strip()
    assert [2.0] == pytest.approx(extensions)


async def test_the_rate_limit_wait_does_not_count_towards_the_deadline(server: FakeServer) -> None:
    begin = asyncio.get_running_loop().time()

    async def before_attempt() -> None:
        await run_until(begin + 0.02)
        raise LookupError

    with pytest.raises(LookupError):
        await HttpClient(transport=server.transport, deadline=timedelta(milliseconds=5)).get(
            URL, {}, before_attempt=before_attempt
        )


TAGGED = Reply(200, b"[1]", {"ETag": '"v1"'})
UNCHANGED = Reply(304)


async def test_an_unchanged_body_is_not_sent_again(server: FakeServer) -> None:
    server.respond_with(TAGGED, UNCHANGED, Reply(200, b"[2]", {"ETag": '"v2"'}), UNCHANGED)
    client = HttpClient(transport=server.transport)

    bodies = [(await client.get(URL, {"symbol": "WGMI"})).body for _call in range(4)]

    assert [b"[1]", b"[1]", b"[2]", b"[2]"] == bodies
    assert [None, '"v1"', '"v1"', '"v2"'] == [one.headers.get("If-None-Match") for one in server.requests]


@pytest.mark.parametrize(
    ("url", "params", "headers"),
    [
        pytest.param(f"{URL}/2", {"symbol": "WGMI"}, {"Authorization": "Token a"}, id="another page"),
        pytest.param(URL, {"symbol": "MARA"}, {"Authorization": "Token a"}, id="another symbol"),
        pytest.param(URL, {"symbol": "WGMI"}, {"Authorization": "Token b"}, id="another key"),
    ],
)
async def test_a_cached_body_is_used_only_for_the_same_request(
    server: FakeServer, url: str, params: dict[str, str], headers: dict[str, str]
) -> None:
    server.respond_with(TAGGED)
    client = HttpClient(transport=server.transport)
    await client.get(URL, {"symbol": "WGMI"}, {"Authorization": "Token a"})

    await client.get(url, params, headers)

    assert "If-None-Match" not in server.requests[-1].headers


async def test_an_unexpected_304_is_an_error(server: FakeServer) -> None:
    server.respond_with(UNCHANGED)

    with pytest.raises(HttpStatusError, match="304 Not Modified"):
        await HttpClient(transport=server.transport).get(URL, {})


@pytest.mark.parametrize("status", [404, 500])
async def test_a_failure_keeps_the_cached_body(server: FakeServer, status: int) -> None:
    server.respond_with(TAGGED, *[Reply(status)] * (3 if status == 500 else 1), UNCHANGED)
    client = HttpClient(transport=server.transport)
    await client.get(URL, {})
    with pytest.raises(HttpStatusError):
        await client.get(URL, {})

    assert b"[1]" == (await client.get(URL, {})).body


async def test_no_store_on_a_304_evicts_the_body(server: FakeServer) -> None:
    server.respond_with(TAGGED, Reply(304, headers={"Cache-Control": "no-store"}), TAGGED)
    client = HttpClient(transport=server.transport)

    bodies = [(await client.get(URL, {})).body for _call in range(3)]

    assert [b"[1]"] * 3 == bodies
    assert [None, '"v1"', None] == [one.headers.get("If-None-Match") for one in server.requests]


async def test_a_gzip_body_is_decompressed_and_limited_by_its_decompressed_size(server: FakeServer) -> None:
    server.respond_with(Reply(200, gzip.compress(b"x" * 1000), {"Content-Encoding": "gzip"}))

    assert len((await HttpClient(transport=server.transport, max_body_bytes=1000).get(URL, {})).body) == 1000
    assert server.requests[0].headers["Accept-Encoding"] == "gzip"
    with pytest.raises(ConnectionFailedError, match="more than 999 bytes"):
        await HttpClient(transport=server.transport, max_body_bytes=999).get(URL, {})


@pytest.mark.parametrize(
    ("packing", "body", "message"),
    [
        pytest.param(
            "gzip, gzip", gzip.compress(gzip.compress(b"{}")), "in an encoding that wasn't requested", id="twice"
        ),
        *(
            pytest.param(name, b"{}", "in an encoding that wasn't requested", id=name)
            for name in ("br", "deflate", "zstd", "x")
        ),
        pytest.param("gzip", b"{}", "can't be decompressed", id="not-at-all"),
        pytest.param("gzip", gzip.compress(b"[1, 2]")[:-9], "can't be decompressed", id="cut-off"),
    ],
)
async def test_an_unsupported_content_encoding_is_rejected(packing: str, body: bytes, message: str) -> None:
    transport = httpx.MockTransport(
        lambda _request: httpx.Response(200, stream=httpx.ByteStream(body), headers={"Content-Encoding": packing})
    )

    with pytest.raises(ConnectionFailedError, match=message):
        await HttpClient(transport=transport).get(URL, {})


class SlowStream(httpx.AsyncByteStream):
    """A body that arrives in pieces, as from a network; counts the bytes that were read."""

    def __init__(self, body: bytes) -> None:
        self._body, self.read = body, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 65536):
            piece = self._body[start : start + 65536]
            self.read += len(piece)
            yield piece


def bomb(size: int) -> bytes:
    """Return gzip data that decompress to `size` bytes, a thousand times their own size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    million = bytes(1_000_000)
    return b"".join([*(packer.compress(million) for _million in range(size // 1_000_000)), packer.flush()])


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("encoding", "message", "most_read"),
    [
        ("gzip", "more than 4,194,304 bytes", 65536),
        *((name, "in an encoding that wasn't requested", 0) for name in ("br", "deflate", "zstd")),
    ],
)
async def test_a_decompression_bomb_takes_less_than_30_megabytes(
    status: int, encoding: str, message: str, most_read: int
) -> None:
    stream = SlowStream(bomb(200_000_000))
    transport = httpx.MockTransport(
        lambda _request: httpx.Response(status, stream=stream, headers={"Content-Encoding": encoding})
    )
    client = HttpClient(transport=transport)
    tracemalloc.start()

    with pytest.raises(ConnectionFailedError, match=message):
        await client.get(URL, {})
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 30_000_000
    assert stream.read <= most_read


async def test_bytes_after_a_gzip_stream_are_bounded_too() -> None:
    stream = SlowStream(gzip.compress(b"{}") + bytes(50_000_000))
    transport = httpx.MockTransport(
        lambda _request: httpx.Response(200, stream=stream, headers={"Content-Encoding": "gzip"})
    )

    with pytest.raises(ConnectionFailedError, match="more than 4,194,304 bytes"):
        await HttpClient(transport=transport).get(URL, {})

    assert stream.read < 5_000_000


async def test_every_attempt_waits_for_its_slot(server: FakeServer) -> None:
    server.respond_with(Reply(500), Reply(500), Reply(200, b"{}"))
    request_counts: list[int] = []

    async def before_attempt() -> None:
        request_counts.append(len(server.requests))

    await HttpClient(transport=server.transport).get(URL, {}, before_attempt=before_attempt)

    assert request_counts == [0, 1, 2]


async def test_an_oversized_body_is_not_read_to_its_end(server: FakeServer) -> None:
    server.respond_with(Reply(200, b"x" * 1001))

    with pytest.raises(ConnectionFailedError, match="more than 1,000 bytes"):
        await HttpClient(transport=server.transport, max_body_bytes=1000).get(URL, {})

    assert len(server.requests) == 1


async def test_a_body_of_exactly_the_limit_is_read(server: FakeServer) -> None:
    server.respond_with(Reply(200, b"x" * 1000))

    assert len((await HttpClient(transport=server.transport, max_body_bytes=1000).get(URL, {})).body) == 1000


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("query2.finance.yahoo.com/v8", id="no-scheme"),
        pytest.param("https://[/", id="no-host"),
        pytest.param("ftp://vendor.test/", id="not-http"),
    ],
)
async def test_an_invalid_url_is_reported(url: str) -> None:
    client = HttpClient()

    with pytest.raises(ConnectionFailedError, match="check its address"):
        await client.get(url, {})

    await client.aclose()


async def test_connections_are_reused_until_the_client_is_closed() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        client = HttpClient()
        assert b"{}" == (await client.get(f"http://{host}:{port}/", {})).body
        assert b"{}" == (await client.get(f"http://{host}:{port}/", {})).body
        await client.aclose()
        await connections[0].wait_closed()

    assert len(connections) == 1


async def test_a_refused_connection_is_reported() -> None:
    async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
    client = HttpClient()

    with pytest.raises(ConnectionFailedError, match="couldn't be reached"):
        await client.get(f"http://{host}:{port}/", {})

    await client.aclose()


async def test_received_bytes_extend_the_deadline() -> None:
    async with asyncio.timeout_at(begin := asyncio.get_running_loop().time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        deadline.extend(MIN_BYTES_PER_S // 2)
        deadline.extend(MIN_BYTES_PER_S)
        await run_until(0)

        assert begin + 1.5 == timeout.when()


async def test_the_extension_is_bounded() -> None:
    async with asyncio.timeout_at(begin := asyncio.get_running_loop().time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        for _chunk in range(100):
            deadline.extend(MIN_BYTES_PER_S)
        await run_until(0)

        assert begin + MAX_EXTENSION.total_seconds() == pytest.approx(timeout.when())


async def test_the_deadline_is_paused_during_a_rate_limit_wait() -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(begin := loop.time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        with deadline.paused():
            waited_for = timeout.when()
            await run_until(begin - 4.99)

        assert waited_for is None
        assert (timeout.when() or 0) > begin + 0.009
