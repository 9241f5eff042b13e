import asyncio
import logging
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import TypeAdapter

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.http.vendor import Limit, ThrottledError, VendorClient
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import FakeServer, Reply

WGMI, MARA = Symbol("WGMI"), Symbol("MARA")
BACKOFF = timedelta(minutes=15)
NUMBERS: TypeAdapter[list[int]] = TypeAdapter(list[int])
GOOD = Reply(200, b"[1, 2]")
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def acme(client: HttpClient, clock: SetClock, *limits: Limit) -> VendorClient:
    return VendorClient(client, clock, source="Acme", base_url="https://acme.test/", backoff=BACKOFF, limits=limits)


@pytest.fixture
def vendor(server: FakeServer, clock: SetClock) -> VendorClient:
    return acme(HttpClient(transport=server.transport), clock)


def yielding_client(server: FakeServer) -> HttpClient:
    """A client whose requests are all sent before the first is answered."""

    async def respond(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return server.respond(request)

    return HttpClient(transport=httpx.MockTransport(respond))


async def fetch(vendor: VendorClient, symbol: Symbol = WGMI) -> list[int]:
    return await vendor.get(f"/v1/{symbol}", {}, symbol=symbol, parse=NUMBERS.validate_json)


async def failure(vendor: VendorClient, symbol: Symbol = WGMI) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await fetch(vendor, symbol)
    return caught.value


async def test_a_response_is_parsed(vendor: VendorClient, server: FakeServer) -> None:
    server.respond_with(GOOD)

    assert await fetch(vendor) == [1, 2]
    assert str(server.requests[0].url) == "https://acme.test/v1/WGMI"


@pytest.mark.parametrize(
    ("reply", "message", "retryable"),
    [
        pytest.param(Reply(302), "HTTP 302 Found; it blocks this machine", False, id="redirect"),
        pytest.param(Reply(401), "HTTP 401 Unauthorized; it blocks this machine", False, id="401"),
        pytest.param(Reply(403), "HTTP 403 Forbidden; it blocks this machine", False, id="403"),
        pytest.param(Reply(418), "HTTP 418 I'm a teapot; it rejects the request", False, id="418"),
        pytest.param(Reply(500), "HTTP 500 Internal Server Error; a fault at the source", True, id="500"),
        pytest.param(Reply(999), "HTTP 999; a fault at the source", True, id="a-status-without-a-name"),
        pytest.param(httpx.ConnectError("no"), "couldn't be reached; check its address", True, id="unreachable"),
        pytest.param(httpx.ReadTimeout("no"), "didn't respond in time", True, id="timeout"),
        pytest.param(Reply(200, b"<html>consent</html>"), "sent a web page instead of prices", True, id="html"),
        pytest.param(Reply(200, b"\n <!DOCTYPE html>"), "sent a web page instead of prices", True, id="doctype"),
        pytest.param(Reply(200, b"Too Many Requests"), "sent something that isn't JSON", True, id="text"),
        pytest.param(Reply(200, b""), "sent something that isn't JSON", True, id="empty"),
        pytest.param(Reply(200, b'[1, "secret"]'), "sent an unusable response (1: Input should", True, id="shape"),
    ],
)
async def test_a_failure_is_described(
    vendor: VendorClient, server: FakeServer, reply: Reply | Exception, message: str, *, retryable: bool
) -> None:
    server.respond_with(reply)

    error = await failure(vendor)

    assert str(error).startswith(f"Acme (WGMI): {message}")
    assert ("Acme", "WGMI", retryable) == (error.source, error.symbol, error.retryable)
    assert "secret" not in str(error)


async def test_a_vendor_can_explain_an_error_status(vendor: VendorClient, server: FakeServer) -> None:
    server.respond_with(Reply(404, b"gone"))

    with pytest.raises(SourceError, match=r"Acme \(WGMI\): 404 gone"):
        await vendor.get(
            "/",
            {},
            symbol=WGMI,
            parse=NUMBERS.validate_json,
            explain=lambda refusal: f"{refusal.status} {refusal.body.decode()}",
        )


@pytest.mark.parametrize(
    ("headers", "backoff"),
    [
        pytest.param({}, BACKOFF, id="no-header"),
        pytest.param({"Retry-After": "90"}, timedelta(seconds=90), id="seconds"),
        pytest.param({"Retry-After": "Fri, 20 Nov 2026 18:02:00 GMT"}, timedelta(minutes=2), id="date"),
    ],
)
async def test_a_429_starts_a_backoff(
    vendor: VendorClient, server: FakeServer, clock: SetClock, headers: dict[str, str], backoff: timedelta
) -> None:
    server.respond_with(Reply(429, b"Too Many Requests\r\n", headers), GOOD)

    first = await failure(vendor)
    clock.advance(backoff - timedelta(seconds=1))
    second = await failure(vendor, MARA)

    assert (True, backoff) == (first.retryable, first.retry_after)
    assert (first.problem, timedelta(seconds=1)) == (second.problem, second.retry_after)
    next_try = f"{NOW + backoff - timedelta(hours=5):%-I:%M:%S %p} ET"
    assert f"throttled: HTTP 429 Too Many Requests; next try at {next_try}" == first.problem
    assert len(server.requests) == 1


async def test_the_vendor_is_called_again_after_the_backoff(
    vendor: VendorClient, server: FakeServer, clock: SetClock
) -> None:
    server.respond_with(Reply(429), GOOD)
    await failure(vendor)

    clock.advance(BACKOFF)

    assert await fetch(vendor) == [1, 2]


async def test_a_503_reports_retry_after_without_a_backoff(vendor: VendorClient, server: FakeServer) -> None:
    server.respond_with(Reply(503, headers={"Retry-After": "30"}), GOOD)

    assert (await failure(vendor)).retry_after == timedelta(seconds=30)
    assert await fetch(vendor) == [1, 2]


class ClockSleeper:
    """Sleeps by advancing the clock."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))


def limited(server: FakeServer, clock: SetClock, sleeper: ClockSleeper, *limits: Limit) -> VendorClient:
    return acme(HttpClient(transport=server.transport, sleep=sleeper), clock, *limits)


async def test_calls_beyond_a_burst_wait_for_a_slot(server: FakeServer, clock: SetClock) -> None:
    server.respond_with(GOOD)
    sleeper = ClockSleeper(clock)
    vendor = limited(server, clock, sleeper, Limit(calls=3, per=timedelta(seconds=2)))

    for _call in range(7):
        await fetch(vendor)

    assert [2.0, 2.0] == sleeper.slept
    assert len(server.requests) == 7


async def test_concurrent_calls_get_separate_slots(server: FakeServer, clock: SetClock) -> None:
    server.respond_with(GOOD)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client = HttpClient(transport=server.transport, sleep=sleep)
    vendor = acme(client, clock, Limit(calls=1, per=timedelta(seconds=1)))

    await asyncio.gather(*(fetch(vendor) for _call in range(4)))

    assert [1.0, 2.0, 3.0] == sorted(slept)


async def test_a_retry_needs_a_slot_too(server: FakeServer, clock: SetClock) -> None:
    server.respond_with(Reply(500), GOOD)
    sleeper = ClockSleeper(clock)

    await fetch(limited(server, clock, sleeper, Limit(calls=1, per=timedelta(seconds=2))))

    assert [2.0] == sleeper.slept


async def test_an_exhausted_daily_limit_is_reported_with_its_end_and_makes_no_call(
    server: FakeServer, clock: SetClock
) -> None:
    server.respond_with(GOOD)
    quota = Limit(calls=2, per=timedelta(days=1))
    vendor = limited(server, clock, ClockSleeper(clock), Limit(calls=1, per=timedelta(seconds=1)), quota)
    for _call in range(2):
        await fetch(vendor)

    error = await failure(vendor)

    assert "reached its request limit; next try at 1:00:00 PM ET" == error.problem
    assert (True, timedelta(days=1) - timedelta(seconds=1)) == (error.retryable, error.retry_after)
    assert len(server.requests) == 2
    clock.advance(timedelta(days=1))
    assert await fetch(vendor) == [1, 2]


async def test_the_daily_limit_is_a_sliding_window(server: FakeServer, clock: SetClock) -> None:
    server.respond_with(GOOD)
    vendor = limited(server, clock, ClockSleeper(clock), Limit(calls=2, per=timedelta(days=1)))
    clock.at = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
    for _call in range(2):
        await fetch(vendor)
        clock.advance(timedelta(minutes=5))

    waits = []
    for at in (datetime(2026, 11, 21, 0, 5, tzinfo=UTC), datetime(2026, 11, 21, 23, 39, tzinfo=UTC)):
        clock.at = at
        waits.append((await failure(vendor)).retry_after)
    clock.at = datetime(2026, 11, 21, 23, 50, tzinfo=UTC)

    assert [timedelta(hours=23, minutes=45), timedelta(minutes=11)] == waits
    assert [1, 2] == await fetch(vendor)
    assert timedelta(minutes=5) == (await failure(vendor)).retry_after


async def test_a_timeout_opens_the_circuit_at_once(vendor: VendorClient, server: FakeServer, clock: SetClock) -> None:
    server.respond_with(httpx.ReadTimeout("no"))
    first = await failure(vendor)
    asked = len(server.requests)

    second = await failure(vendor, MARA)

    assert (None, timedelta(seconds=30)) == (first.retry_after, second.retry_after)
    assert first.problem == second.problem
    assert asked == len(server.requests)
    clock.advance(timedelta(seconds=30))
    server.respond_with(GOOD)
    assert [[1, 2]] * 2 == [await fetch(vendor), await fetch(vendor, MARA)]


async def test_concurrent_timeouts_count_as_one_outage(server: FakeServer, clock: SetClock) -> None:
    vendor = acme(yielding_client(server), clock)
    server.respond_with(httpx.ReadTimeout("no"))

    await asyncio.gather(*(failure(vendor) for _call in range(4)))

    assert 4 * 3 == len(server.requests)
    assert timedelta(seconds=30) == (await failure(vendor)).retry_after
    clock.advance(timedelta(seconds=30))
    await failure(vendor)
    assert timedelta(seconds=60) == (await failure(vendor)).retry_after


async def test_an_unparsable_body_is_not_cached(vendor: VendorClient, server: FakeServer) -> None:
    server.respond_with(Reply(200, b"[1,", {"ETag": '"v1"'}), Reply(200, b"[1, 2]", {"ETag": '"v1"'}), Reply(304))

    await failure(vendor)
    answers = [await fetch(vendor), await fetch(vendor)]

    assert [[1, 2]] * 2 == answers
    assert [None, None, '"v1"'] == [one.headers.get("If-None-Match") for one in server.requests]


async def test_a_cached_body_is_parsed_again_and_evicted_if_that_fails(
    vendor: VendorClient, server: FakeServer
) -> None:
    server.respond_with(Reply(200, b"[1]", {"ETag": '"v1"'}), Reply(304), Reply(200, b"[2]"))
    await fetch(vendor)

    with pytest.raises(SourceError, match="is of yesterday"):
        await vendor.get("/v1/WGMI", {}, symbol=WGMI, parse=lambda _body: _reject_as_outdated(vendor))

    assert [2] == await fetch(vendor)
    assert "If-None-Match" not in server.requests[-1].headers


def _reject_as_outdated(vendor: VendorClient) -> list[int]:
    raise vendor.error(WGMI, "is of yesterday", retryable=True)


async def test_five_failures_open_the_circuit(vendor: VendorClient, server: FakeServer, clock: SetClock) -> None:
    server.respond_with(Reply(200, b"<html>"))
    for _call in range(5):
        await failure(vendor)

    error = await failure(vendor, MARA)

    assert len(server.requests) == 5
    assert error.problem.startswith("sent a web page instead of prices")
    assert (True, timedelta(seconds=30)) == (error.retryable, error.retry_after)
    clock.advance(timedelta(seconds=29))
    await failure(vendor)
    assert len(server.requests) == 5


async def test_the_backoff_doubles_with_each_failed_probe_up_to_five_minutes(
    vendor: VendorClient, server: FakeServer, clock: SetClock
) -> None:
    server.respond_with(Reply(200, b"<html>"))
    for _call in range(5):
        await failure(vendor)

    pauses = []
    for _look in range(6):
        pause = (await failure(vendor)).retry_after
        assert pause is not None
        pauses.append(pause.total_seconds())
        clock.advance(pause)
        await failure(vendor)

    assert [30.0, 60.0, 120.0, 240.0, 300.0, 300.0] == pauses
    assert len(server.requests) == 5 + 6


async def test_only_one_call_probes_a_half_open_circuit(server: FakeServer, clock: SetClock) -> None:
    vendor = acme(yielding_client(server), clock)
    server.respond_with(*[Reply(200, b"<html>")] * 5, GOOD)
    for _call in range(5):
        await failure(vendor)
    clock.advance(timedelta(seconds=30))

    answers = await asyncio.gather(*(fetch(vendor) for _call in range(3)), return_exceptions=True)

    assert [[1, 2], SourceError, SourceError] == [one if isinstance(one, list) else type(one) for one in answers]
    assert [[1, 2]] * 3 == await asyncio.gather(*(fetch(vendor) for _call in range(3)))


async def test_a_non_retryable_error_closes_the_circuit(vendor: VendorClient, server: FakeServer) -> None:
    server.respond_with(*[Reply(200, b"<html>")] * 4, Reply(404), Reply(200, b"<html>"), GOOD)
    for _call in range(6):
        await failure(vendor)

    assert await fetch(vendor) == [1, 2]


async def test_a_throttle_with_status_200_starts_the_backoff(
    vendor: VendorClient, server: FakeServer, clock: SetClock
) -> None:
    server.respond_with(GOOD)

    def read(_body: bytes) -> int:
        raise ThrottledError

    with pytest.raises(SourceError, match="throttled: reports too many requests; next try") as caught:
        await vendor.get("/", {}, symbol=WGMI, parse=read)

    assert BACKOFF == caught.value.retry_after
    assert BACKOFF == (await failure(vendor, MARA)).retry_after
    assert len(server.requests) == 1
    clock.advance(BACKOFF)
    assert await fetch(vendor) == [1, 2]


SECRET = "sk-4242-hush"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(403, f"bad token {SECRET}".encode()), id="refused"),
        pytest.param(Reply(429, SECRET.encode()), id="throttled"),
        pytest.param(Reply(500), id="down"),
        pytest.param(Reply(200, f"[{SECRET}]".encode()), id="unreadable"),
        pytest.param(Reply(200, f'["{SECRET}"]'.encode()), id="unusable"),
        pytest.param(httpx.ConnectError("no"), id="unreachable"),
    ],
)
async def test_a_key_is_sent_and_never_shown(
    server: FakeServer, clock: SetClock, caplog: pytest.LogCaptureFixture, reply: Reply | Exception
) -> None:
    caplog.set_level(logging.DEBUG)
    server.respond_with(reply)
    vendor = VendorClient(
        HttpClient(transport=server.transport),
        clock,
        source="Acme",
        base_url="https://acme.test",
        backoff=BACKOFF,
        headers={"Authorization": f"Token {SECRET}"},
        secrets=[SECRET],
    )

    with pytest.raises(SourceError) as caught:
        await vendor.get(
            "/", {}, symbol=WGMI, parse=NUMBERS.validate_json, explain=lambda refusal: refusal.body.decode() or None
        )

    assert f"Token {SECRET}" == server.requests[0].headers["Authorization"]
    assert SECRET not in str(server.requests[0].url)
    assert SECRET not in str(caught.value)
    assert SECRET not in f"{[(record.getMessage(), record.args, record.exc_info) for record in caplog.records]}"
    assert 1 == len(caplog.records)


async def test_a_long_message_is_truncated(vendor: VendorClient, server: FakeServer) -> None:
    server.respond_with(Reply(400, b"x" * 10_000))

    with pytest.raises(SourceError) as caught:
        await vendor.get(
            "/", {}, symbol=WGMI, parse=NUMBERS.validate_json, explain=lambda refusal: refusal.body.decode()
        )

    assert len(str(caught.value)) < 400


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


async def test_an_outage_and_its_recovery_are_logged_once(
    vendor: VendorClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.respond_with(Reply(403), Reply(403), Reply(403), Reply(500), Reply(500), Reply(500), GOOD)

    for symbol in (WGMI, WGMI, MARA, MARA):
        await failure(vendor, symbol)
    for symbol in (WGMI, MARA, MARA):
        await fetch(vendor, symbol)

    assert [("WARNING", "Acme (WGMI): HTTP 403 Forbidden"), ("INFO", "Acme (MARA): recovered")] == [
        (level, message.split(";")[0]) for level, message in logged(caplog)
    ]


async def test_one_bad_symbol_does_not_log_on_every_tick(
    vendor: VendorClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.respond_with(Reply(404), GOOD, Reply(404), GOOD)

    for _tick in range(2):
        await failure(vendor, MARA)
        await fetch(vendor, WGMI)

    assert len(logged(caplog)) == 1


async def test_neither_retries_nor_urls_are_logged(
    vendor: VendorClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.respond_with(Reply(500), GOOD)

    await fetch(vendor)

    assert [] == logged(caplog)


async def test_an_outage_and_its_recovery_are_logged_once_for_all_symbols_of_a_call(
    vendor: VendorClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.respond_with(Reply(404), Reply(404), GOOD, GOOD)

    with pytest.raises(SourceError, match=r"Acme \(WGMI\): "):
        await vendor.get("/", {}, symbol=WGMI, other_symbols=[MARA], parse=NUMBERS.validate_json)
    await failure(vendor, MARA)
    await vendor.get("/", {}, symbol=MARA, other_symbols=[WGMI], parse=NUMBERS.validate_json)
    await fetch(vendor, MARA)

    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]
    assert "Acme (WGMI): recovered" == caplog.messages[-1]
