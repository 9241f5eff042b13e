"""Play a rehearsal's script at some pace, from its first session to its last."""

from __future__ import annotations

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
        """Give the channel the usual rules."""
        ...

    async def step(self, at: datetime) -> None:
        """Look at the market at an instant, and deliver what comes of it."""
        ...

    async def outcome(self) -> tuple[int, int]:
        """Count the alerts that were posted, and those that have been resolved."""
        ...


@dataclass(slots=True)
class Pace:
    """How many sessions to play in a second, None for as many as there can be; and whether to go on at all."""

    speed: float | None
    _going: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._going.set()

    def pause(self) -> None:
        """Stop before the next look at the market."""
        self._going.clear()

    def resume(self) -> None:
        """Go on."""
        self._going.set()

    async def wait(self, looks: int) -> None:
        """Wait until the next of a session's `looks` is due."""
        await asyncio.sleep(1 / (self.speed * looks) if self.speed else 0)
        await self._going.wait()


async def play(stage: Playable, script: Script, pace: Pace) -> str:
    """Play every session, and give the outcome in one line."""
    stage.clock.at = script.sessions[0][0]
    await stage.start()
    for instants in script.sessions:
        for at in instants:
            await pace.wait(len(instants))
            await stage.step(at)
    posted, resolved = await stage.outcome()
    sessions = len(script.sessions)
    return (
        f"{script.title}: {sessions} session{'' if sessions == 1 else 's'}, "
        f"{posted} alert{'' if posted == 1 else 's'} posted, {resolved} resolved."
    )
