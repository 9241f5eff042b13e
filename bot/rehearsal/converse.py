"""Play and type at once: the script goes on above while the prompt stays below."""

from __future__ import annotations

import asyncio

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.patch_stdout import patch_stdout

from bot.rehearsal.play import Playable, play
from bot.rehearsal.prompt import QUIT, ClockPrompt
from bot.rehearsal.script import Script


async def converse(stage: Playable, script: Script, prompt: ClockPrompt) -> None:
    """Play while a person types, until they leave; at the end of the script the channel goes on answering."""
    with patch_stdout(raw=True):
        await prompt.help([])
        playing = asyncio.create_task(_play(stage, script, prompt))
        reading = asyncio.create_task(_read(prompt, playing))
        done, pending = await asyncio.wait({playing, reading}, return_when=asyncio.FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        if not task.cancelled():
            task.result()


async def _play(stage: Playable, script: Script, prompt: ClockPrompt) -> None:
    prompt.screen.say(await play(stage, script, prompt.pace), style="bold")
    prompt.screen.say(f"The script is over; the channel still answers, and “{QUIT}” leaves.")


async def _read(prompt: ClockPrompt, playing: asyncio.Task[None]) -> None:
    """Take lines until the person leaves, also by Ctrl-C or Ctrl-D, and end the playing with it."""
    session: PromptSession[str] = PromptSession(
        "minerpulse> ", completer=WordCompleter([*prompt.words, QUIT], sentence=True)
    )
    try:
        while await prompt.take(await session.prompt_async()):
            pass
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        playing.cancel()
