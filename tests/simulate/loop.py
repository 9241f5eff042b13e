"""An event loop in which time passes only when nothing else can happen, and the clocks that are read in it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

ZERO = timedelta(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Never waits: where all sleep, its time jumps to the first that is to wake. Threads' work is done on the spot."""

    def __init__(self) -> None:
        self.passed = 0.0
        super().__init__(_Idle(self._pass))

    def time(self) -> float:
        """Give the virtual seconds since the loop was made."""
        return self.passed

    def run_in_executor(self, _executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # noqa: ANN401 -- as asyncio has it
        """Do a thread's work at once: which of two threads is quicker would be chance that no seed holds."""
        done = self.create_future()
        done.set_result(func(*args))
        return done

    def _pass(self, seconds: float | None) -> None:
        if seconds is None:
            raise RuntimeError("everything waits for something that will never happen")
        self.passed += max(0.0, seconds)


class _Idle(selectors.SelectSelector):
    """Has nothing to select from, as nothing here reads or writes; lets time pass instead."""

    def __init__(self, wait: Callable[[float | None], None]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._wait(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return super().get_map() or {}


@dataclass(slots=True)
class VirtualClock:
    """A machine's clock: the true time, `off` by what is wrong with it."""

    loop: VirtualLoop
    begin: datetime
    off: timedelta = ZERO

    def now(self) -> datetime:
        """Tell the time, right or wrong; it stands still while something happens."""
        return self.begin + timedelta(seconds=round(self.loop.passed, 3)) + self.off
