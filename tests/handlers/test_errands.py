from __future__ import annotations

import asyncio

import pytest

from handlers.background import BackgroundTasks


async def test_a_stop_waits_for_what_has_begun(caplog: pytest.LogCaptureFixture) -> None:
    errands, done, go = BackgroundTasks(), [], asyncio.Event()

    async def errand() -> None:
        await go.wait()
        done.append("board")

    errands.begin(errand(), "/minerpulse board")
    drained = asyncio.create_task(errands.drain())
    await asyncio.wait({drained}, timeout=0)
    waits = not drained.done()
    go.set()
    await drained

    assert (True, ["board"], []) == (waits, done, caplog.messages)


async def test_what_never_ends_is_abandoned_and_named(caplog: pytest.LogCaptureFixture) -> None:
    errands, ended = BackgroundTasks(), []

    async def errand() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("board")

    errands.begin(errand(), "/minerpulse board")
    await asyncio.wait({asyncio.create_task(errands.drain(0.01))})

    assert ["board"] == ended
    assert ["stopped before these were answered: /minerpulse board"] == caplog.messages
