"""`minerpulse rehearse`: a channel in this terminal, with the clock running ahead and a prompt beneath it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console

from bot.commands.options import Day, both_or_neither, btc_file, etf_file
from bot.rehearsal.converse import converse
from bot.rehearsal.play import Pace, play
from bot.rehearsal.screen import Screen
from bot.rehearsal.script import from_files, simulated
from bot.rehearsal.stage import rehearsing
from bot.settings import load_settings

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from bot.rehearsal.script import Script
    from bot.settings import Settings

SPEED = 2.0  # sessions a second


@click.command()
@etf_file
@btc_file
@click.option("--from", "first", type=Day(), help="The first session.  [default: the first there is]")
@click.option("--until", "last", type=Day(), help="The last session.  [default: the last, or one year]")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help=f"Sessions a second.  [default: {SPEED:g}]")
@click.option("--no-prompt", is_flag=True, help="Take no commands, run to the end, and as fast as it goes.")
@click.option("--seed", type=click.IntRange(min=0), help="Which simulated market to draw.")
def command(
    *,
    etf: Path | None,
    btc: Path | None,
    first: date | None,
    last: date | None,
    speed: float | None,
    no_prompt: bool,
    seed: int | None,
) -> None:
    """Play a channel in this terminal, over price files or a simulated market, with its commands and buttons.

    Everything but Slack itself is real: the rules, the alerts, the messages, the signed requests. Only the clock runs
    ahead, and nothing is kept.
    """
    files = both_or_neither(etf, btc)
    settings = load_settings()
    number = settings.seed if seed is None else seed
    script = from_files(*files, first, last) if files else simulated(number, first, last)
    prompting = not no_prompt and sys.stdin.isatty()
    pace = Pace(speed or (SPEED if prompting else None))
    asyncio.run(_rehearse(settings, script, pace, prompting=prompting))


async def _rehearse(settings: Settings, script: Script, pace: Pace, *, prompting: bool) -> None:
    screen = Screen(console=Console(highlight=False), clock=script.clock)
    screen.say(f"Rehearsing {script.title}: {len(script.sessions)} sessions.", style="bold")
    async with rehearsing(settings, script, screen.tell) as rehearsal:
        if prompting:
            await converse(rehearsal, script, pace, screen)
        else:
            screen.say(await play(rehearsal, script, pace), style="bold")
