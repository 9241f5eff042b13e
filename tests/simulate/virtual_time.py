"""An event loop with virtual time, and the clocks that are read in it."""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

ZERO = timedelta(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits: if all tasks sleep, time jumps to the first wake-up. Threads run inline."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        super().__init__(_TimeSelector(self._advance))

    def time(self) -> float:
        """Return the virtual seconds since the start of the loop."""
        return self.elapsed

    def run_in_executor(self, _executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # noqa: ANN401 -- asyncio's type
        """Run a thread's work immediately, because the order of threads would not be deterministic."""
        done = self.create_future()
        done.set_result(func(*args))
        return done

    def _advance(self, seconds: float | None) -> None:
        if seconds is None:
            raise RuntimeError("deadlock: every task waits for something that never happens")
        self.elapsed += max(0.0, seconds)


class _TimeSelector(selectors.SelectSelector):
    """A selector without files that advances the time instead of waiting."""

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
    """A machine's clock: the true time plus `offset`."""

    loop: VirtualLoop
    start: datetime
    offset: timedelta = ZERO

    def now(self) -> datetime:
        """Return the machine's time, which doesn't advance while code runs."""
        return self.start + timedelta(seconds=round(self.loop.elapsed, 3)) + self.offset
