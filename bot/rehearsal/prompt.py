"""The prompt beneath a rehearsal: the pace of its clock and, in the terminal, commands and clicks of a person."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.fake_slack.workspace import Message
from bot.rehearsal.play import Pace
from bot.rehearsal.screen import Screen, alert_of, control
from bot.rehearsal.stage import Rehearsal

SLASH = "/minerpulse"
QUIT = "quit"
SPAN = "1h"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPrompt:
    """Takes what a person types, one line after the other: here the pace of the clock alone."""

    pace: Pace
    screen: Screen

    @property
    def words(self) -> dict[str, Word]:
        """What can be typed, in the order of the help."""
        return CLOCK_WORDS

    async def take(self, line: str) -> bool:
        """Do what a line asks for; False where it asks to leave."""
        word, *rest = line.split() or [""]
        if word in self.words:
            await self.words[word].do(self, rest)
        elif word and word != QUIT:
            self._suggest(word)
        return word != QUIT

    async def help(self, _rest: Sequence[str]) -> None:
        """List what can be typed."""
        for word in self.words.values():
            self.screen.say(f"{word.usage}  {word.about}", style="")
        self.screen.say(f"{QUIT}  leave; nothing is kept", style="")

    async def pause(self, _rest: Sequence[str]) -> None:
        """Stop the clock."""
        self.pace.pause()
        self.screen.say("The clock stands still; “resume” lets it go on.")

    async def resume(self, _rest: Sequence[str]) -> None:
        """Let the clock go on."""
        self.pace.resume()

    async def speed(self, rest: Sequence[str]) -> None:
        """Set the sessions to play in a second."""
        try:
            speed = float(rest[0])
        except (IndexError, ValueError):
            speed = 0.0
        if speed > 0:
            self.pace.speed = speed
        else:
            self.screen.say("How many sessions a second? As in: speed 5")

    def _suggest(self, word: str) -> None:
        near = difflib.get_close_matches(word, [*self.words, QUIT], n=1)
        meant = f"did you mean “{near[0]}”?" if near else "“help” lists what can be typed."
        self.screen.say(f"There is no “{word}”; {meant}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(ClockPrompt):
    """Takes slash commands and clicks too, for the one person in the channel."""

    rehearsal: Rehearsal

    @property
    def words(self) -> dict[str, Word]:
        """What can be typed, in the order of the help."""
        return WORDS

    async def type(self, rest: Sequence[str]) -> None:
        """Type a slash command."""
        await self.rehearsal.you.type(SLASH, " ".join(rest))
        await self.rehearsal.settle()

    async def acknowledge(self, rest: Sequence[str]) -> None:
        """Press Acknowledge on an open alert."""
        message = self._alert(rest[0] if rest else None)
        button = control(message, "acknowledge") if message else None
        if message and button:
            await self.rehearsal.you.click(message, button)
            await self.rehearsal.settle()
        elif message:
            self.screen.say(f"Alert {alert_of(message)} is acknowledged already.")

    async def snooze(self, rest: Sequence[str]) -> None:
        """Choose from the Snooze menu of an open alert."""
        number = next((word for word in rest if word.isdecimal()), None)
        span = next((word for word in rest if not word.isdecimal()), SPAN)
        message = self._alert(number)
        menu = control(message, "snooze") if message else None
        if message is None or menu is None:
            return
        options = {option["value"].partition(":")[2]: option for option in menu["options"]}
        if span not in options:
            self.screen.say(f"There is no “{span}” to choose from Snooze: {', '.join(options)}.")
            return
        await self.rehearsal.you.click(message, menu, options[span])
        await self.rehearsal.settle()

    def _alert(self, number: str | None) -> Message | None:
        """Find the message of an open alert, by default the last; say where there is none."""
        alerts = [message for message in self.rehearsal.messages() if alert_of(message)]
        found = [message for message in alerts if number in (None, alert_of(message))]
        if not found:
            self.screen.say(f"Alert {number} is not open." if number else "No alert is open.")
        return found[-1] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A command of the prompt: how it is typed, what it is for, and what it does."""

    usage: str
    about: str
    do: Callable[[Any, Sequence[str]], Awaitable[None]]  # a method of the prompt that has the word


CLOCK_WORDS = {
    "pause": Word(usage="pause", about="stop the clock", do=ClockPrompt.pause),
    "resume": Word(usage="resume", about="let it go on", do=ClockPrompt.resume),
    "speed": Word(usage="speed N", about="play N sessions a second", do=ClockPrompt.speed),
    "help": Word(usage="help", about="this list", do=ClockPrompt.help),
}
WORDS = {
    SLASH: Word(usage=f"{SLASH} …", about=f"a command, as in Slack; “{SLASH} help” lists them", do=Prompt.type),
    "ack": Word(
        usage="ack [ALERT]", about="press Acknowledge, on the last alert or a numbered one", do=Prompt.acknowledge
    ),
    "snooze": Word(
        usage="snooze [ALERT] [SPAN]", about=f"choose 30m, 1h, 4h, close or open; {SPAN} by default", do=Prompt.snooze
    ),
    **CLOCK_WORDS,
}
