"""Runs the coroutine of a command. The list of commands doesn't need asyncio, a third of its imports."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on a new event loop, and return its result.

    `asyncio.run` formats the result of its task to no purpose, which takes 0.1 s if that is a market view.
    """
    results: list[Result] = []

    async def keep_result() -> None:
        results.append(await work)

    asyncio.run(keep_result())
    return results[0]
