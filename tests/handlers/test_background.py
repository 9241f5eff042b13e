import asyncio

import pytest

from handlers.background import BackgroundTasks


async def test_drain_waits_for_running_tasks(caplog: pytest.LogCaptureFixture) -> None:
    tasks, done, go = BackgroundTasks(), [], asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.append("board")

    tasks.start(work(), "/minerpulse board")
    drained = asyncio.create_task(tasks.drain())
    await asyncio.wait({drained}, timeout=0)
    still_draining = not drained.done()
    go.set()
    await drained

    assert (True, ["board"], []) == (still_draining, done, caplog.messages)


async def test_drain_abandons_and_logs_tasks_that_never_end(caplog: pytest.LogCaptureFixture) -> None:
    tasks, cancelled = BackgroundTasks(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append("board")

    tasks.start(work(), "/minerpulse board")
    await asyncio.wait({asyncio.create_task(tasks.drain(0.01))})

    assert ["board"] == cancelled
    assert ["shutdown: abandoned unfinished tasks: /minerpulse board"] == caplog.messages
