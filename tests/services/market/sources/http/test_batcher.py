from __future__ import annotations

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
class Desk:
    """Answers a symbol with itself, once the gate is open; leaves out in company what is `shy`."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[tuple[str, date]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    shy: str = ""
    failure: Exception | None = None

    async def fetch(self, symbols: Sequence[Symbol], since: date) -> Mapping[Symbol, str]:
        self.calls.append(("".join(symbols), since))
        try:
            await self.gate.wait()
        finally:
            self.ended.append("".join(symbols))
        if self.failure:
            raise self.failure
        return {symbol: symbol.lower() for symbol in symbols if symbol not in self.shy or len(symbols) == 1}


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.gate.set()
    return desk


@pytest.fixture
def gather(desk: Desk) -> RequestBatcher[str]:
    return RequestBatcher(desk.fetch, most=3)


def ask(gather: RequestBatcher[str], symbol: Symbol, since: date = MAY) -> asyncio.Task[str]:
    return asyncio.create_task(gather.ask(symbol, since))


async def turns() -> None:
    """Let everybody come as far as they can while the gate is shut."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_asked_side_by_side_is_one_call_from_the_earliest_day_on(
    desk: Desk, gather: RequestBatcher[str]
) -> None:
    answers = await asyncio.gather(*[ask(gather, A, JUNE), ask(gather, B, MAY), ask(gather, A, JUNE)])

    assert ["a", "b", "a"] == answers
    assert [("AB", MAY)] == desk.calls


async def test_what_is_asked_during_a_call_goes_out_together_after_it(desk: Desk, gather: RequestBatcher[str]) -> None:
    desk.gate.clear()
    asked = [ask(gather, A)]
    await turns()
    for symbol in (B, A, C):
        asked.append(ask(gather, symbol, JUNE))
        await turns()
    assert [("A", MAY)] == desk.calls
    desk.gate.set()

    assert ["a", "b", "a", "c"] == await asyncio.gather(*asked)
    assert [("A", MAY), ("BAC", JUNE)] == desk.calls


async def test_a_call_has_no_more_symbols_than_it_may(desk: Desk, gather: RequestBatcher[str]) -> None:
    answers = await asyncio.gather(*(ask(gather, symbol) for symbol in (A, B, C, A, D)))

    assert ["a", "b", "c", "a", "d"] == answers
    assert [("ABC", MAY), ("D", MAY)] == desk.calls


async def test_what_spoils_the_answer_for_others_is_asked_for_alone(desk: Desk, gather: RequestBatcher[str]) -> None:
    desk.shy = "B"

    assert ["a", "b"] == await asyncio.gather(*[ask(gather, A, MAY), ask(gather, B, JUNE)])
    assert [("AB", MAY), ("B", JUNE)] == desk.calls


async def test_a_failure_reaches_all_in_their_own_names_and_is_over_with_the_next_call(
    desk: Desk, gather: RequestBatcher[str]
) -> None:
    desk.failure = SourceError("is away", source="Acme", symbol=A, retryable=True)
    failures = await asyncio.gather(ask(gather, A), ask(gather, B), return_exceptions=True)
    assert ["Acme on A: is away", "Acme on B: is away"] == [str(one) for one in failures]

    desk.failure = None
    assert "a" == await ask(gather, A)


async def test_a_mistake_reaches_all(desk: Desk, gather: RequestBatcher[str]) -> None:
    desk.failure = RuntimeError("a mistake")

    failures = await asyncio.gather(ask(gather, A), ask(gather, B), return_exceptions=True)

    assert ["a mistake", "a mistake"] == [str(one) for one in failures]


async def test_who_leaves_early_takes_nothing_from_the_others(desk: Desk, gather: RequestBatcher[str]) -> None:
    desk.gate.clear()
    left, stays = ask(gather, A), ask(gather, B)
    await turns()
    left.cancel()
    await turns()
    desk.gate.set()

    assert "b" == await stays
    assert left.cancelled()
    assert [("AB", MAY)] == desk.calls


@pytest.mark.parametrize("queued", [pytest.param(False, id="under-way"), pytest.param(True, id="queued")])
async def test_a_call_that_nobody_waits_for_ends_and_the_next_is_made(
    desk: Desk, gather: RequestBatcher[str], *, queued: bool
) -> None:
    desk.gate.clear()
    first = ask(gather, C) if queued else None
    await turns()
    left = ask(gather, A)
    await turns()
    left.cancel()
    with suppress(asyncio.CancelledError):
        await left
    late = ask(gather, B)
    await turns()
    desk.gate.set()

    assert "b" == await late
    assert first is None or "c" == await first
    assert (["C", "B"] if queued else ["A", "B"]) == desk.ended
