import asyncio
import os
import subprocess
import sys
from urllib.parse import urlencode

import pytest
from sqlalchemy import exc

from handlers.background import BackgroundTasks
from handlers.render.responses import user_message
from services.core.errors import DatabaseBusyError
from services.storage.db_errors import translate_db_errors
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import FakeSlack, Person, command_form, dispatch


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
    assert ["shutdown abandoned unfinished tasks: /minerpulse board"] == caplog.messages


async def test_under_overload_commands_and_presses_are_answered_with_busy(
    person: Person, slack: FakeSlack, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.background.MAX_RUNNING", 3)
    done = asyncio.Event()

    async def wait() -> None:
        await done.wait()

    for _ in range(3):
        person.tasks.start(wait(), "a slow command")
    typed = await dispatch(person.app, urlencode(command_form("rule add 1d 8pp")))
    helped = await dispatch(person.app, urlencode(command_form("help")))
    pressing = asyncio.create_task(person.presses("start", "board"))
    await slack.received(1)
    done.set()
    await pressing
    after = await person.types("rule add 1d 8pp")

    busy = "MinerPulse is busy, so nothing was changed. Try again in a minute."
    assert (busy, busy, "") == (typed.body, slack.responses[0]["text"], after.body)
    assert "/minerpulse rule add" in helped.body
    assert ["1d 8pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


def test_a_full_pool_of_connections_is_answered_with_busy() -> None:
    with pytest.raises(DatabaseBusyError) as raised, translate_db_errors("app.db"):
        raise exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached")

    assert "MinerPulse is busy, so nothing was changed. Try again in a minute." == user_message(raised.value)


def test_an_unwritable_home_gives_one_clear_line() -> None:
    program = "import logging; logging.basicConfig(); import handlers.images, handlers.render.drawing"
    environment = {**os.environ, "HOME": "/dev/null", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
    environment.pop("MPLCONFIGDIR", None)
    result = subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    (line,) = result.stderr.splitlines()
    assert line.endswith("Set MPLCONFIGDIR to a writable folder.")
