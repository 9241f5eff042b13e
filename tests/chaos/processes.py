"""Processes that tests start, freeze and kill, and the lines they print."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import aiohttp

from bot.settings import PROXY_VARIABLES
from tests.chaos.scenario import Scenario
from tests.chaos.slack import SlackRecord
from tests.chaos.slack import run as serve

SETTINGS = ("MINERPULSE_", "SLACK_")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.chaos.worker", "tests.chaos.slack"])  # preloaded, so that a restart is quick


@dataclass(slots=True)
class Process:
    """A process, and the lines that it printed."""

    process: BaseProcess
    lines: list[str] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, run: Callable[..., Coroutine[None, None, None]], *arguments: str) -> Process:
        """Run a coroutine in a new process, without environment variables that would change its behavior."""
        receiver, sender = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_main, args=(sender, run, arguments))
        await asyncio.to_thread(process.start)
        sender.close()
        started = cls(process)
        started._reading = asyncio.create_task(started._read(receiver))
        return started

    async def line(self, prefix: str, after: int = 0) -> str:
        """Wait for a line with this prefix, after the first `after` lines. Raises RuntimeError if the process ends."""
        while True:
            found = next((line for line in self.lines[after:] if line.startswith(prefix)), None)
            if found is not None:
                return found
            if self._reading is None or self._reading.done():
                raise RuntimeError(f"waited for {prefix!r}, but the process ended with {self.process.exitcode}")
            self._changed.clear()
            await self._changed.wait()

    def signal(self, number: int) -> None:
        if self.process.pid is not None:
            os.kill(self.process.pid, number)

    async def kill(self) -> None:
        """Kill it, and read the rest of its lines."""
        self.process.kill()
        await asyncio.to_thread(self.process.join)
        if self._reading is not None:
            await self._reading
        self.process.close()

    async def _read(self, receiver: Connection) -> None:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(receiver.fileno()), "rb")
        receiver.close()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
        while line := await reader.readline():
            self.lines.append(line.decode().strip())
            self._changed.set()
        transport.close()
        self._changed.set()


def _main(sender: Connection, run: Callable[..., Coroutine[None, None, None]], arguments: tuple[str, ...]) -> None:
    """Run in the new process, with standard output to the parent."""
    os.dup2(sender.fileno(), sys.stdout.fileno())
    for name in list(os.environ):
        if name.startswith(SETTINGS) or name in PROXY_VARIABLES:
            del os.environ[name]
    with suppress(KeyboardInterrupt):
        asyncio.run(run(*arguments))


@asynccontextmanager
async def slack(faults: str, seed: int, scenario: Scenario | None = None) -> AsyncIterator[str]:
    """Run a Slack with these faults, in the scenario's time or real time; yield its URL."""
    process = await Process.start(serve, str(scenario or ""), faults, f"{seed}")
    try:
        yield await process.line("http")
    finally:
        await process.kill()


async def read_record(url: str) -> SlackRecord:
    """Return what a Slack accepted."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}record") as response:
        record: SlackRecord = await response.json()
    return record


def freeze(worker: Process) -> None:
    worker.signal(signal.SIGSTOP)


def unfreeze(worker: Process) -> None:
    worker.signal(signal.SIGCONT)
