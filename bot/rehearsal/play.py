"""Play a script from its first session to its last."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bot.rehearsal.script import Script, VirtualClock


class Playable(Protocol):
    """A channel that a script can be played in."""

    @property
    def clock(self) -> VirtualClock:
        """The clock that the script sets."""
        ...

    async def start(self) -> None:
        """Add the default rules to the channel."""
        ...

    async def step(self, at: datetime) -> None:
        """Tick at this time, and deliver the messages."""
        ...

    async def alert_counts(self) -> tuple[int, int]:
        """Return how many alerts were posted, and how many of them are resolved."""
        ...


@dataclass(slots=True)
class Pace:
    """Sessions per second, None for unlimited, and a pause switch."""

    speed: float | None
    _running: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._running.set()

    def pause(self) -> None:
        """Pause before the next step."""
        self._running.clear()

    def resume(self) -> None:
        """Resume playing."""
        self._running.set()

    async def wait(self, steps: int) -> None:
        """Wait until the next of a session's `steps` is due."""
        await asyncio.sleep(1 / (self.speed * steps) if self.speed else 0)
        await self._running.wait()


async def play(stage: Playable, script: Script, pace: Pace) -> str:
    """Play all sessions, and return the result in one line."""
    stage.clock.at = script.sessions[0][0]
    await stage.start()
    for instants in script.sessions:
        for at in instants:
            await pace.wait(len(instants))
            await stage.step(at)
    posted, resolved = await stage.alert_counts()
    sessions = len(script.sessions)
    return (
        f"{script.title}: {sessions} session{'' if sessions == 1 else 's'}, "
        f"{posted} alert{'' if posted == 1 else 's'} posted, {resolved} resolved."
    )
