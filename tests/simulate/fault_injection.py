"""Fault injection: steps at which a process may pause or crash, and a store that may fail."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from services.core.errors import DatabaseUnavailableError
from services.storage import SqlStore
from tests.simulate.channel_model import CALLER
from tests.simulate.event_log import EventLog
from tests.simulate.plan import Plan
from tests.simulate.write_checks import WriteChecker

WRITES = frozenset({"record", "add_rules", "mark_attempting", "mark_sent", "mark_failed", "mark_dead", "pause_channel"})
CHANNEL_WRITES = frozenset({"change_channel", "schedule_silence", "end_silence", "add_notices", "update_notice"})
CLAIMS = frozenset({"claim_tick", "finish_tick", "release_tick", "save_closes", "replace_closes", "save_bars"})


@dataclass(slots=True)
class FaultPoints:
    """The steps of all processes, counted; `active` returns whether faults may happen now."""

    plan: Plan
    random: Random
    log: EventLog
    active: Callable[[], bool]
    _numbers: Iterator[int] = field(default_factory=count)

    def next(self) -> int:
        """Return the number of the next step."""
        return next(self._numbers)


@dataclass(slots=True)
class FaultInjector:
    """The steps of one process: its calls to the store and to Slack, in one of which it may crash."""

    name: str
    fault_points: FaultPoints
    on_crash: Callable[[], None]
    crashed: bool = False
    _paused_until: float = 0.0

    async def step(self, step: str, *, can_pause: bool = True) -> None:
        """Continue, immediately or after a pause, or never again."""
        if self.crashed:
            raise asyncio.CancelledError
        number = self.fault_points.next()
        if number in self.fault_points.plan.crashes and self.fault_points.active():
            await self.crash(step)
        if can_pause and number in self.fault_points.plan.pauses and self.fault_points.active():
            self._paused_until = _time() + self.fault_points.plan.pauses[number]
            self.fault_points.log.add(self.name, "pauses", step)
        if can_pause and (wait := self._paused_until - _time()) > 0:
            await asyncio.sleep(wait)
            if self.crashed:
                raise asyncio.CancelledError

    async def crash(self, step: str) -> None:
        """End like a killed process: nothing after this is executed."""
        self.fault_points.log.add(self.name, "crashes", step)
        self.crashed = True
        self.on_crash()
        await asyncio.Future()


def _time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class FaultyStore:
    """The store of one part of a process; each call is a step, may fail, and is reported to the checker."""

    store: SqlStore
    injector: FaultInjector
    checker: WriteChecker

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return a method of the store with its faults."""
        call = getattr(self.store, name)

        async def call_with_faults(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 -- any method
            fault_points = self.injector.fault_points
            writes = name in WRITES | CHANNEL_WRITES | CLAIMS
            if writes:
                await self.injector.step(f"before {name}")
            fails = (
                fault_points.plan.database_fault_rate
                and fault_points.active()
                and fault_points.random.random() < fault_points.plan.database_fault_rate
            )
            if fails and fault_points.random.random() < 0.5:
                fault_points.log.add(self.injector.name, "database fails before", name)
                raise DatabaseUnavailableError("the simulated database isn't reachable")
            CALLER.set(asyncio.current_task())
            result = await asyncio.shield(self._observed_call(name, call, arguments, keywords))
            await self.injector.step(f"after {name}")
            if fails:
                fault_points.log.add(self.injector.name, "database fails after", name)
                raise DatabaseUnavailableError("the simulated database failed after the commit")
            return result

        return call_with_faults

    async def _observed_call(
        self, name: str, call: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:  # noqa: ANN401 -- any method
        """Run a call and report it; a commit is reported even if its process crashes during the call."""
        result = await call(*arguments, **keywords)
        self.checker.observe_call(name, arguments, keywords, result)
        return result
