import asyncio

import pytest
from slack_bolt import BoltResponse

from bot.http.slack_requests import ReplayGuard


def test_a_key_is_new_once_until_it_expires() -> None:
    guard = ReplayGuard(ttl_s=10)

    assert [True, False, False, True] == [guard.add("a", at) for at in (0, 1, 9.9, 10)]


def test_at_capacity_the_oldest_key_is_evicted() -> None:
    guard = ReplayGuard(ttl_s=10, capacity=3)
    for key in "abcd":
        guard.add(key, 0)

    assert (3, False, True) == (len(guard), guard.add("d", 0), guard.add("a", 0))


def test_a_discarded_key_is_new() -> None:
    guard = ReplayGuard(ttl_s=10)
    guard.add("a", 0)
    guard.discard("a")

    assert guard.add("a", 1)


@pytest.mark.parametrize(("status", "expected"), [(200, [200, None]), (500, [500, 500])])
async def test_a_repeat_waits_for_the_first_attempt_and_is_handled_if_that_failed(
    status: int, expected: list[int | None]
) -> None:
    guard, may_end, started = ReplayGuard(ttl_s=10), asyncio.Event(), list[str]()

    async def handle() -> BoltResponse:
        started.append("handled")
        await may_end.wait()
        return BoltResponse(status=status)

    attempts = [asyncio.create_task(guard.handle_once("a", 0, handle)) for _ in range(2)]
    await asyncio.sleep(0)
    may_end.set()
    responses = await asyncio.gather(*attempts)

    assert expected == [response and response.status for response in responses]
    assert expected.count(status) == len(started)
