import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from services.core.errors import DatabaseUnavailableError
from services.storage.group_commit import GroupCommit


@dataclass(slots=True)
class Commits:
    """Commits that double numbers, once `gate` is open; those that contain `bad` fail."""

    groups: list[list[int]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    bad: int | None = None
    error: Exception = field(default_factory=lambda: ValueError("bad"))

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.groups.append([*items])
        await self.gate.wait()
        if self.bad in items:
            raise self.error
        return [2 * item for item in items]


@pytest.fixture
def commits() -> Commits:
    return Commits()


async def submit_all(group: GroupCommit[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    """Submit items at the same time, and let the first commit start."""
    tasks = [asyncio.create_task(group.submit(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_is_submitted_together_shares_a_commit(commits: Commits) -> None:
    commits.gate.set()

    results = await asyncio.gather(*await submit_all(GroupCommit(commits), [1, 2, 3]))

    assert ([2, 4, 6], [[1, 2, 3]]) == (results, commits.groups)


async def test_what_is_submitted_during_a_commit_waits_for_the_next_one(commits: Commits) -> None:
    group = GroupCommit(commits)
    first = await submit_all(group, [1])
    later = await submit_all(group, [2, 3])

    assert [False] * 3 == [task.done() for task in (*first, *later)]
    commits.gate.set()

    assert [2, 4, 6] == await asyncio.gather(*first, *later)
    assert [[1], [2, 3]] == commits.groups


async def test_a_commit_waits_for_what_is_expected(commits: Commits) -> None:
    group = GroupCommit(commits, lambda: 2)
    commits.gate.set()
    first = await submit_all(group, [1])

    assert [] == commits.groups
    second = await submit_all(group, [2])

    assert [2, 4] == await asyncio.gather(*first, *second)
    assert [[1, 2]] == commits.groups


async def test_an_item_that_fails_does_not_fail_the_others(commits: Commits) -> None:
    commits.bad = 2
    commits.gate.set()

    results = await asyncio.gather(*await submit_all(GroupCommit(commits), [1, 2, 3]), return_exceptions=True)

    assert [2, commits.error, 6] == results
    assert [[1, 2, 3], [1], [2], [3]] == commits.groups


async def test_a_database_that_cannot_be_reached_fails_all_at_once(commits: Commits) -> None:
    commits.bad, commits.error = 2, DatabaseUnavailableError("gone")
    commits.gate.set()

    results = await asyncio.gather(*await submit_all(GroupCommit(commits), [1, 2, 3]), return_exceptions=True)

    assert ([commits.error] * 3, 1) == (results, len(commits.groups))


async def test_if_the_caller_that_commits_is_cancelled_the_others_are_committed(commits: Commits) -> None:
    first, *others = await submit_all(GroupCommit(commits), [1, 2, 3])

    first.cancel()
    commits.gate.set()

    assert [4, 6] == await asyncio.gather(*others)
    assert first.cancelled()
    assert [[1, 2, 3], [2, 3]] == commits.groups


async def test_a_caller_that_is_cancelled_while_it_waits_is_left_out(commits: Commits) -> None:
    group = GroupCommit(commits)
    (first,) = await submit_all(group, [1])
    second, third = await submit_all(group, [2, 3])

    second.cancel()
    await asyncio.sleep(0)
    commits.gate.set()

    assert [2, 6] == [*await asyncio.gather(first, third)]
    assert 3 in commits.groups[-1]
