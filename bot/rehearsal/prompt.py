"""The prompt of a rehearsal: controls the clock and, in the terminal, sends commands and clicks."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.patch_stdout import patch_stdout

from bot.fake_slack.workspace import PostedMessage
from bot.rehearsal.screen import Screen, find_control, open_alert_id
from bot.rehearsal.script import Script
from bot.rehearsal.stage import Pace, Rehearsal, Stage, play

SLASH = "/minerpulse"
QUIT = "quit"
DEFAULT_SNOOZE = "1h"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPrompt:
    """Handles typed lines; this class only controls the clock."""

    pace: Pace
    screen: Screen

    @property
    def commands(self) -> dict[str, PromptCommand]:
        """The available commands, in the order of the help."""
        return CLOCK_COMMANDS

    async def handle(self, line: str) -> bool:
        """Run the command in a line; return False to quit."""
        name, *arguments = line.split() or [""]
        if name in self.commands:
            await self.commands[name].run(self, arguments)
        elif name and name != QUIT:
            self._suggest(name)
        return name != QUIT

    async def help(self, _rest: Sequence[str]) -> None:
        """List the commands."""
        rows = [(command.usage, command.description) for command in self.commands.values()]
        self.screen.print_rows([*rows, (QUIT, "exit; nothing is saved")])

    async def pause(self, _rest: Sequence[str]) -> None:
        """Pause the clock."""
        self.pace.pause()
        self.screen.print_line("The clock is paused. “resume” continues.")

    async def resume(self, _rest: Sequence[str]) -> None:
        """Resume the clock."""
        self.pace.resume()

    async def speed(self, arguments: Sequence[str]) -> None:
        """Set the sessions per second."""
        try:
            speed = float(arguments[0])
        except (IndexError, ValueError):
            speed = 0.0
        if speed > 0:
            self.pace.speed = speed
        else:
            self.screen.print_line("Type a number of sessions per second, such as “speed 5”.")

    def _suggest(self, name: str) -> None:
        matches = difflib.get_close_matches(name, [*self.commands, QUIT], n=1)
        hint = f"Did you mean “{matches[0]}”?" if matches else "“help” lists the commands."
        self.screen.print_line(f"Unknown command “{name}”. {hint}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(ClockPrompt):
    """Handles slash commands and clicks, too, for the channel's one person."""

    rehearsal: Rehearsal

    @property
    def commands(self) -> dict[str, PromptCommand]:
        """The available commands, in the order of the help."""
        return COMMANDS

    async def slash_command(self, arguments: Sequence[str]) -> None:
        """Send a slash command."""
        await self.rehearsal.person.type_command(SLASH, " ".join(arguments))
        await self.rehearsal.finish_pending()

    async def acknowledge(self, arguments: Sequence[str]) -> None:
        """Press Acknowledge on an open alert."""
        message = self._alert(arguments[0] if arguments else None)
        acknowledge_button = find_control(message, "acknowledge") if message else None
        if message and acknowledge_button:
            await self.rehearsal.person.click(message, acknowledge_button)
            await self.rehearsal.finish_pending()
        elif message:
            self.screen.print_line(f"Alert {open_alert_id(message)} is already acknowledged.")

    async def snooze(self, arguments: Sequence[str]) -> None:
        """Choose from the Snooze menu of an open alert."""
        alert_id = next((argument for argument in arguments if argument.isdecimal()), None)
        duration = next((argument for argument in arguments if not argument.isdecimal()), DEFAULT_SNOOZE)
        message = self._alert(alert_id)
        if message is None:
            return
        menu = find_control(message, "snooze")
        if menu is None:
            number = open_alert_id(message)
            self.screen.print_line(f"Alert {number} is already snoozed. “{SLASH} unsnooze {number}” ends it.")
            return
        options = {option["value"].partition(":")[2]: option for option in menu["options"]}
        if duration not in options:
            self.screen.print_line(f"“{duration}” isn't in the Snooze menu. Choose from {', '.join(options)}.")
            return
        await self.rehearsal.person.click(message, menu, options[duration])
        await self.rehearsal.finish_pending()

    def _alert(self, alert_id: str | None) -> PostedMessage | None:
        """Return the message of an open alert, by default the last; print a note if there is none."""
        alerts = [message for message in self.rehearsal.messages() if open_alert_id(message)]
        matching = [message for message in alerts if alert_id in (None, open_alert_id(message))]
        if not matching:
            self.screen.print_line(f"Alert {alert_id} isn't open." if alert_id else "No alert is open.")
        return matching[-1] if matching else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCommand:
    """A command of the prompt, with its usage and description."""

    usage: str
    description: str
    run: Callable[[Any, Sequence[str]], Awaitable[None]]  # a method of the prompt


CLOCK_COMMANDS = {
    "pause": PromptCommand(usage="pause", description="stop the clock", run=ClockPrompt.pause),
    "resume": PromptCommand(usage="resume", description="start the clock again", run=ClockPrompt.resume),
    "speed": PromptCommand(usage="speed N", description="play N sessions per second", run=ClockPrompt.speed),
    "help": PromptCommand(usage="help", description="show this list", run=ClockPrompt.help),
}
COMMANDS = {
    SLASH: PromptCommand(
        usage=f"{SLASH} …",
        description=f"run a command, as in Slack; “{SLASH} help” lists them",
        run=Prompt.slash_command,
    ),
    "ack": PromptCommand(
        usage="ack [ALERT]",
        description="press Acknowledge on an alert (default: the last one)",
        run=Prompt.acknowledge,
    ),
    "snooze": PromptCommand(
        usage="snooze [ALERT] [TIME]",
        description=f"snooze for 30m, 1h, 4h, close or open (default: {DEFAULT_SNOOZE})",
        run=Prompt.snooze,
    ),
    **CLOCK_COMMANDS,
}


async def play_with_prompt(stage: Stage, script: Script, prompt: ClockPrompt) -> None:
    """Play until the person quits; after the script the channel still answers."""
    with patch_stdout(raw=True):
        await prompt.help([])
        playing = asyncio.create_task(_play(stage, script, prompt))
        reader = asyncio.create_task(_read_lines(prompt, playing))
        done, pending = await asyncio.wait({playing, reader}, return_when=asyncio.FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        if not task.cancelled():
            task.result()


async def _play(stage: Stage, script: Script, prompt: ClockPrompt) -> None:
    prompt.screen.print_line(await play(stage, script, prompt.pace), style="bold")
    prompt.screen.print_line(f"The rehearsal is over. Commands still work. “{QUIT}” exits.")


async def _read_lines(prompt: ClockPrompt, playing: asyncio.Task[None]) -> None:
    """Handle lines until the person quits, also by Ctrl-C or Ctrl-D; then stop playing."""
    session: PromptSession[str] = PromptSession(
        "minerpulse> ", completer=WordCompleter([*prompt.commands, QUIT], sentence=True)
    )
    try:
        while await prompt.handle(await session.prompt_async()):
            pass
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        playing.cancel()
