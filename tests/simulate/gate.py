"""Gates: what a process passes before and after each step that others can see, and where it may stop or die."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from services.core.errors import DatabaseUnavailableError
from services.storage import SqlStore
from tests.simulate.log import Log
from tests.simulate.plan import Plan
from tests.simulate.silences import CALLER
from tests.simulate.witness import Witness

WRITES = frozenset({"record", "add_rules", "mark_attempting", "mark_sent", "mark_failed", "mark_dead", "pause_channel"})
OF_CHANNELS = frozenset({"change_channel", "schedule_silence", "end_silence", "add_notices", "update_notice"})
CLAIMS = frozenset({"claim_tick", "finish_tick", "release_tick", "save_closes", "replace_closes", "save_bars"})


@dataclass(slots=True)
class Passages:
    """The passages of all processes, counted; `bad` is whether databases may fail now."""

    plan: Plan
    chance: Random
    log: Log
    bad: Callable[[], bool]
    _numbers: Iterator[int] = field(default_factory=count)

    def next(self) -> int:
        """Count one more."""
        return next(self._numbers)


@dataclass(slots=True)
class Gate:
    """The gate of one process: through it go its calls to the store and to Slack, until it dies in one of them."""

    name: str
    passages: Passages
    on_death: Callable[[], None]
    dead: bool = False
    _stopped_until: float = 0.0

    async def pass_by(self, step: str, *, stops: bool = True) -> None:
        """Go on, at once or after standing still, or never again."""
        if self.dead:
            raise asyncio.CancelledError
        number = self.passages.next()
        if number in self.passages.plan.deaths and self.passages.bad():
            await self.die(step)
        if stops and number in self.passages.plan.stops and self.passages.bad():
            self._stopped_until = _time() + self.passages.plan.stops[number]
            self.passages.log.add(self.name, "stands still", step)
        if stops and (rest := self._stopped_until - _time()) > 0:
            await asyncio.sleep(rest)
            if self.dead:
                raise asyncio.CancelledError

    async def die(self, step: str) -> None:
        """End as a process that is killed does: nothing that would have come after this is done."""
        self.passages.log.add(self.name, "dies", step)
        self.dead = True
        self.on_death()
        await asyncio.Future()


def _time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class GatedStore:
    """The store as one part of a process has it: each call passes the gate, may fail, and is told to the ledger."""

    store: SqlStore
    gate: Gate
    witness: Witness

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Give a method of the store, with all that goes with it."""
        call = getattr(self.store, name)

        async def gated(*asked: Any, **more: Any) -> Any:  # noqa: ANN401 -- whatever the store has
            passages = self.gate.passages
            writes = name in WRITES | OF_CHANNELS | CLAIMS
            if writes:
                await self.gate.pass_by(f"before {name}")
            bad = passages.plan.bad_commits and passages.bad() and passages.chance.random() < passages.plan.bad_commits
            if bad and passages.chance.random() < 0.5:
                passages.log.add(self.gate.name, "database fails before", name)
                raise DatabaseUnavailableError("the simulated database could not be reached")
            CALLER.set(asyncio.current_task())
            result = await asyncio.shield(self._noted(name, call, asked, more))
            await self.gate.pass_by(f"after {name}")
            if bad:
                passages.log.add(self.gate.name, "database fails after", name)
                raise DatabaseUnavailableError("the simulated database was lost as it answered")
            return result

        return gated

    async def _noted(
        self, name: str, call: Callable[..., Awaitable[Any]], asked: tuple[Any, ...], more: dict[str, Any]
    ) -> Any:  # noqa: ANN401 -- whatever the store has
        """Do a call and note it: what is committed when its process dies is noted too."""
        result = await call(*asked, **more)
        self.witness.note(name, asked, more, result)
        return result
