import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.batcher import RequestBatcher

A, B, C, D = (Symbol(letter) for letter in "ABCD")
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


@dataclass(slots=True)
class FakeFetch:
    """Returns each symbol in lower case once the gate is open; symbols in `omitted` are left out of shared calls."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[tuple[str, date]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    omitted: str = ""
    failure: Exception | None = None

    async def fetch(self, symbols: Sequence[Symbol], since: date) -> Mapping[Symbol, str]:
        self.calls.append(("".join(symbols), since))
        try:
            await self.gate.wait()
        finally:
            self.ended.append("".join(symbols))
        if self.failure:
            raise self.failure
        return {symbol: symbol.lower() for symbol in symbols if symbol not in self.omitted or len(symbols) == 1}


@pytest.fixture
def fake() -> FakeFetch:
    fake = FakeFetch()
    fake.gate.set()
    return fake


@pytest.fixture
def batcher(fake: FakeFetch) -> RequestBatcher[str]:
    return RequestBatcher(fake.fetch, max_symbols=3)


def request(batcher: RequestBatcher[str], symbol: Symbol, since: date = MAY) -> asyncio.Task[str]:
    return asyncio.create_task(batcher.request(symbol, since))


async def run_pending() -> None:
    """Run all tasks as far as they get while the gate is closed."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_concurrent_requests_share_one_call_from_the_earliest_day(
    fake: FakeFetch, batcher: RequestBatcher[str]
) -> None:
    answers = await asyncio.gather(*[request(batcher, A, JUNE), request(batcher, B, MAY), request(batcher, A, JUNE)])

    assert ["a", "b", "a"] == answers
    assert [("AB", MAY)] == fake.calls


async def test_requests_made_during_a_call_share_the_next_one(fake: FakeFetch, batcher: RequestBatcher[str]) -> None:
    fake.gate.clear()
    requests = [request(batcher, A)]
    await run_pending()
    for symbol in (B, A, C):
        requests.append(request(batcher, symbol, JUNE))
        await run_pending()
    assert [("A", MAY)] == fake.calls
    fake.gate.set()

    assert ["a", "b", "a", "c"] == await asyncio.gather(*requests)
    assert [("A", MAY), ("BAC", JUNE)] == fake.calls


async def test_a_call_has_at_most_max_symbols(fake: FakeFetch, batcher: RequestBatcher[str]) -> None:
    answers = await asyncio.gather(*(request(batcher, symbol) for symbol in (A, B, C, A, D)))

    assert ["a", "b", "c", "a", "d"] == answers
    assert [("ABC", MAY), ("D", MAY)] == fake.calls


async def test_an_omitted_symbol_is_fetched_alone(fake: FakeFetch, batcher: RequestBatcher[str]) -> None:
    fake.omitted = "B"

    assert ["a", "b"] == await asyncio.gather(*[request(batcher, A, MAY), request(batcher, B, JUNE)])
    assert [("AB", MAY), ("B", JUNE)] == fake.calls


async def test_an_error_is_raised_for_each_symbol_and_does_not_persist(
    fake: FakeFetch, batcher: RequestBatcher[str]
) -> None:
    fake.failure = SourceError("is away", source="Acme", symbol=A, retryable=True)
    failures = await asyncio.gather(request(batcher, A), request(batcher, B), return_exceptions=True)
    assert ["Acme (A): is away", "Acme (B): is away"] == [str(one) for one in failures]

    fake.failure = None
    assert "a" == await request(batcher, A)


async def test_an_unexpected_exception_reaches_all_callers(fake: FakeFetch, batcher: RequestBatcher[str]) -> None:
    fake.failure = RuntimeError("a mistake")

    failures = await asyncio.gather(request(batcher, A), request(batcher, B), return_exceptions=True)

    assert ["a mistake", "a mistake"] == [str(one) for one in failures]


async def test_a_cancelled_caller_does_not_affect_the_others(fake: FakeFetch, batcher: RequestBatcher[str]) -> None:
    fake.gate.clear()
    cancelled, remaining = request(batcher, A), request(batcher, B)
    await run_pending()
    cancelled.cancel()
    await run_pending()
    fake.gate.set()

    assert "b" == await remaining
    assert cancelled.cancelled()
    assert [("AB", MAY)] == fake.calls


@pytest.mark.parametrize("queued", [pytest.param(False, id="under-way"), pytest.param(True, id="queued")])
async def test_a_call_without_callers_is_cancelled_and_the_next_is_made(
    fake: FakeFetch, batcher: RequestBatcher[str], *, queued: bool
) -> None:
    fake.gate.clear()
    first = request(batcher, C) if queued else None
    await run_pending()
    cancelled = request(batcher, A)
    await run_pending()
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    late = request(batcher, B)
    await run_pending()
    fake.gate.set()

    assert "b" == await late
    assert first is None or "c" == await first
    assert (["C", "B"] if queued else ["A", "B"]) == fake.ended


async def test_a_request_for_a_much_longer_history_gets_a_call_of_its_own(
    batcher: RequestBatcher[str], fake: FakeFetch
) -> None:
    listing = date(2022, 2, 8)
    await asyncio.gather(request(batcher, A), request(batcher, B, listing), request(batcher, C, listing))

    assert [("A", MAY), ("BC", listing)] == fake.calls
