from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import TypeAdapter

from services.domain.errors import SourceError
from services.domain.prices import Symbol
from services.sources.http import HttpClient
from services.sources.vendor import Vendor
from tests.services.sources.conftest import Reply

if TYPE_CHECKING:
    from tests.fakes.clock import SetClock
    from tests.services.sources.conftest import Line

WGMI, MARA = Symbol("WGMI"), Symbol("MARA")
REST = timedelta(minutes=15)
NUMBERS: TypeAdapter[list[int]] = TypeAdapter(list[int])
GOOD = Reply(200, b"[1, 2]")
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


@pytest.fixture
def vendor(line: Line, clock: SetClock) -> Vendor:
    client = HttpClient(transport=line.transport)
    return Vendor(client, clock, source="Acme", base_url="https://acme.test/", rest=REST)


async def ask(vendor: Vendor, symbol: Symbol = WGMI) -> list[int]:
    return await vendor.get(
        f"/v1/{symbol}", {}, symbol=symbol, read=NUMBERS.validate_json, explain=lambda _refusal: None
    )


async def failure(vendor: Vendor, symbol: Symbol = WGMI) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await ask(vendor, symbol)
    return caught.value


async def test_an_answer_is_read(vendor: Vendor, line: Line) -> None:
    line.answers(GOOD)

    assert await ask(vendor) == [1, 2]
    assert str(line.requests[0].url) == "https://acme.test/v1/WGMI"


@pytest.mark.parametrize(
    ("reply", "words", "retryable"),
    [
        pytest.param(Reply(302), "answered 302 Found; it turns this machine away", False, id="redirect"),
        pytest.param(Reply(401), "answered 401 Unauthorized; it turns this machine away", False, id="401"),
        pytest.param(Reply(403), "answered 403 Forbidden; it turns this machine away", False, id="403"),
        pytest.param(Reply(418), "answered 418 I'm a teapot; it does not understand", False, id="418"),
        pytest.param(Reply(500), "answered 500 Internal Server Error; the fault is on its side", True, id="500"),
        pytest.param(Reply(999), "answered 999; the fault is on its side", True, id="a-status-without-a-name"),
        pytest.param(httpx.ConnectError("no"), "could not be reached; check its address", True, id="unreachable"),
        pytest.param(httpx.ReadTimeout("no"), "gave no answer in time", True, id="timeout"),
        pytest.param(Reply(200, b"<html>consent</html>"), "sent a web page instead of prices", True, id="html"),
        pytest.param(Reply(200, b"\n <!DOCTYPE html>"), "sent a web page instead of prices", True, id="doctype"),
        pytest.param(Reply(200, b"Too Many Requests"), "sent something that is not JSON", True, id="text"),
        pytest.param(Reply(200, b""), "sent something that is not JSON", True, id="empty"),
        pytest.param(Reply(200, b'[1, "secret"]'), "sent an unusable answer (1: Input should", True, id="shape"),
    ],
)
async def test_a_failure_is_put_into_words(
    vendor: Vendor, line: Line, reply: Reply | Exception, words: str, *, retryable: bool
) -> None:
    line.answers(reply)

    error = await failure(vendor)

    assert str(error).startswith(f"Acme on WGMI: {words}")
    assert ("Acme", "WGMI", retryable) == (error.source, error.symbol, error.retryable)
    assert "secret" not in str(error)


async def test_a_vendor_can_put_a_refusal_into_its_own_words(vendor: Vendor, line: Line) -> None:
    line.answers(Reply(404, b"gone"))

    with pytest.raises(SourceError, match="Acme on WGMI: 404 gone"):
        await vendor.get(
            "/",
            {},
            symbol=WGMI,
            read=NUMBERS.validate_json,
            explain=lambda refusal: f"{refusal.status} {refusal.body.decode()}",
        )


@pytest.mark.parametrize(
    ("headers", "rest"),
    [
        pytest.param({}, REST, id="no-wish"),
        pytest.param({"Retry-After": "90"}, timedelta(seconds=90), id="seconds"),
        pytest.param({"Retry-After": "Fri, 20 Nov 2026 18:02:00 GMT"}, timedelta(minutes=2), id="date"),
    ],
)
async def test_after_a_429_the_vendor_rests(
    vendor: Vendor, line: Line, clock: SetClock, headers: dict[str, str], rest: timedelta
) -> None:
    line.answers(Reply(429, b"Too Many Requests\r\n", headers), GOOD)

    first = await failure(vendor)
    clock.advance(rest - timedelta(seconds=1))
    second = await failure(vendor, MARA)

    assert (True, rest) == (first.retryable, first.retry_after)
    assert (first.problem, timedelta(seconds=1)) == (second.problem, second.retry_after)
    assert f"throttled: answered 429 Too Many Requests; it will be asked again at {NOW + rest:%H:%M:%S} UTC" == (
        first.problem
    )
    assert len(line.requests) == 1


async def test_a_rested_vendor_is_asked_again(vendor: Vendor, line: Line, clock: SetClock) -> None:
    line.answers(Reply(429), GOOD)
    await failure(vendor)

    clock.advance(REST)

    assert await ask(vendor) == [1, 2]


async def test_a_503_passes_its_wish_on_but_does_not_make_the_vendor_rest(vendor: Vendor, line: Line) -> None:
    line.answers(Reply(503, headers={"Retry-After": "30"}), GOOD)

    assert (await failure(vendor)).retry_after == timedelta(seconds=30)
    assert await ask(vendor) == [1, 2]


async def test_calls_keep_their_distance(line: Line, clock: SetClock) -> None:
    line.answers(GOOD)
    client = HttpClient(transport=line.transport)
    vendor = Vendor(client, clock, source="Acme", base_url="https://a.test", rest=REST, spacing=timedelta(hours=1))
    await ask(vendor)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await ask(vendor)

    assert len(line.requests) == 1


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


async def test_an_outage_is_logged_once_and_so_is_its_end(
    vendor: Vendor, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    line.answers(Reply(403), Reply(403), Reply(403), Reply(500), Reply(500), Reply(500), GOOD)

    for symbol in (WGMI, WGMI, MARA, MARA):
        await failure(vendor, symbol)
    for symbol in (WGMI, MARA, MARA):
        await ask(vendor, symbol)

    assert [("WARNING", "Acme on WGMI: answered 403 Forbidden"), ("INFO", "Acme on MARA: answers again")] == [
        (level, message.split(";")[0]) for level, message in told(caplog)
    ]


async def test_one_bad_symbol_does_not_log_at_every_tick(
    vendor: Vendor, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    line.answers(Reply(404), GOOD, Reply(404), GOOD)

    for _tick in range(2):
        await failure(vendor, MARA)
        await ask(vendor, WGMI)

    assert len(told(caplog)) == 1


async def test_neither_retries_nor_urls_are_logged(
    vendor: Vendor, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    line.answers(Reply(500), GOOD)

    await ask(vendor)

    assert [] == told(caplog)
