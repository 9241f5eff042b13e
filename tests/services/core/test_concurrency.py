import asyncio

import pytest

from services.core.concurrency import MAX_TRIES, gather_all, in_turns, retry_on_conflict
from services.core.errors import ConflictError


async def test_results_come_in_argument_order() -> None:
    async def slow() -> int:
        await asyncio.sleep(0)
        return 1

    async def fast() -> str:
        return "b"

    assert (1, "b", 1) == await gather_all(slow(), fast(), slow())


async def test_a_failure_is_raised_after_the_others_finish() -> None:
    ended = asyncio.Event()

    async def fail() -> None:
        raise ValueError("no")

    async def end() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ended.set()

    with pytest.raises(ValueError, match="no"):
        await gather_all(fail(), end())
    assert ended.is_set()


@pytest.mark.parametrize("conflicts", [0, 1, MAX_TRIES - 1])
async def test_an_action_is_repeated_until_there_is_no_conflict(conflicts: int) -> None:
    tries: list[ConflictError] = []

    async def action() -> str:
        if len(tries) < conflicts:
            raise ConflictError(f"conflict {len(tries)}")
        return "saved"

    assert "saved" == await retry_on_conflict(action, on_conflict=tries.append)
    assert [f"conflict {number}" for number in range(conflicts)] == [str(error) for error in tries]


async def test_the_conflict_of_the_last_try_is_raised() -> None:
    tries = 0

    async def action() -> None:
        nonlocal tries
        tries += 1
        raise ConflictError(f"conflict {tries}")

    with pytest.raises(ConflictError, match="conflict 3"):
        await retry_on_conflict(action, max_tries=3)


async def test_other_tasks_run_during_long_work() -> None:
    order: list[object] = []

    async def work() -> None:
        async for item in in_turns(range(5), size=2):
            order.append(item)  # noqa: PERF401 -- in turns with the other task

    async def other() -> None:
        order.append("other")

    await asyncio.gather(work(), other())

    assert [0, 1, "other", 2, 3, 4] == order
