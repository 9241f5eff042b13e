"""Processes that are begun, frozen and killed, and what they say."""

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
from tests.chaos.scene import Scene
from tests.chaos.slack import Ledger
from tests.chaos.slack import run as serve

OURS = ("MINERPULSE_", "SLACK_")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.chaos.worker", "tests.chaos.slack"])  # so that a restart takes no seconds


@dataclass(slots=True)
class Process:
    """One process, and the lines that it has said."""

    process: BaseProcess
    said: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _hearing: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, run: Callable[..., Coroutine[None, None, None]], *arguments: str) -> Process:
        """Run a coroutine in a new process, with nothing of the environment that would change what it does."""
        ear, mouth = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_live, args=(mouth, run, arguments))
        await asyncio.to_thread(process.start)
        mouth.close()
        begun = cls(process)
        begun._hearing = asyncio.create_task(begun._hear(ear))
        return begun

    async def word(self, start: str, after: int = 0) -> str:
        """Wait for a line that starts so, after as many lines. Raises RuntimeError where the process ends before."""
        while True:
            found = next((line for line in self.said[after:] if line.startswith(start)), None)
            if found is not None:
                return found
            if self._hearing is None or self._hearing.done():
                raise RuntimeError(f"{start!r} was awaited, and the process ended with {self.process.exitcode}")
            self._news.clear()
            await self._news.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self.process.pid is not None:
            os.kill(self.process.pid, number)

    async def kill(self) -> None:
        """End it at once, and read what it has said to the end."""
        self.process.kill()
        await asyncio.to_thread(self.process.join)
        if self._hearing is not None:
            await self._hearing
        self.process.close()

    async def _hear(self, ear: Connection) -> None:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(ear.fileno()), "rb")
        ear.close()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
        while line := await reader.readline():
            self.said.append(line.decode().strip())
            self._news.set()
        transport.close()
        self._news.set()


def _live(mouth: Connection, run: Callable[..., Coroutine[None, None, None]], arguments: tuple[str, ...]) -> None:
    """Be a process whose output goes to whoever began it."""
    os.dup2(mouth.fileno(), sys.stdout.fileno())
    for name in list(os.environ):
        if name.startswith(OURS) or name in PROXY_VARIABLES:
            del os.environ[name]
    with suppress(KeyboardInterrupt):
        asyncio.run(run(*arguments))


@asynccontextmanager
async def slack(weather: str, seed: int, scene: Scene | None = None) -> AsyncIterator[str]:
    """Run a Slack of that weather, in the scene's time or the wall's; give its address."""
    process = await Process.begin(serve, str(scene or ""), weather, f"{seed}")
    try:
        yield await process.word("http")
    finally:
        await process.kill()


async def ledger(url: str) -> Ledger:
    """Ask a Slack what it has accepted."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}ledger") as answer:
        told: Ledger = await answer.json()
    return told


def freeze(worker: Process) -> None:
    """Stop a process where it is."""
    worker.signal(signal.SIGSTOP)


def thaw(worker: Process) -> None:
    """Let it go on."""
    worker.signal(signal.SIGCONT)
