"""Play a script while the prompt accepts commands."""

from __future__ import annotations

import asyncio

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.patch_stdout import patch_stdout

from bot.rehearsal.play import Playable, play
from bot.rehearsal.prompt import QUIT, ClockPrompt
from bot.rehearsal.script import Script


async def play_with_prompt(stage: Playable, script: Script, prompt: ClockPrompt) -> None:
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


async def _play(stage: Playable, script: Script, prompt: ClockPrompt) -> None:
    prompt.screen.print_line(await play(stage, script, prompt.pace), style="bold")
    prompt.screen.print_line(f"The script is over; the channel still answers, and “{QUIT}” leaves.")


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
