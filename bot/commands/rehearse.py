"""`minerpulse rehearse`: a channel in this terminal or in a browser, with the clock running ahead."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, suppress
from datetime import date
from pathlib import Path

import click
from rich.console import Console

from bot.commands.options import Day, both_or_neither, btc_file, etf_file
from bot.playground.package import is_at_hand, program
from bot.playground.server import serving
from bot.playground.stage import playground
from bot.rehearsal.converse import converse
from bot.rehearsal.play import Pace, play
from bot.rehearsal.prompt import ClockPrompt, Prompt
from bot.rehearsal.screen import Screen
from bot.rehearsal.script import Script, from_files, simulated
from bot.rehearsal.stage import rehearsing
from bot.settings import Settings, load_settings

SPEED = 2.0  # sessions a second
WEB_SPEED = 0.5  # a page is looked at, not watched
CACHE = Path.home() / ".cache" / "minerpulse"
BOUND = "It is for this machine, but listens on every address of it: stop it where you do not trust the network."


@click.command()
@etf_file
@btc_file
@click.option("--from", "first", type=Day(), help="The first session.  [default: the first there is]")
@click.option("--until", "last", type=Day(), help="The last session.  [default: the last, or one year]")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Sessions a second.  [default: {SPEED:g}, in a browser {WEB_SPEED:g}]",
)
@click.option("--no-prompt", is_flag=True, help="Take no commands, run to the end, and as fast as it goes.")
@click.option("--seed", type=click.IntRange(min=0), help="Which simulated market to draw.")
@click.option(
    "--web/--no-web", help="In a browser, on a stand-in for Slack that npm fetches once; else in the terminal."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where the browser finds it.  [default: any]")
def command(
    *,
    etf: Path | None,
    btc: Path | None,
    first: date | None,
    last: date | None,
    speed: float | None,
    no_prompt: bool,
    seed: int | None,
    web: bool,
    port: int,
) -> None:
    """Play a channel over price files or a simulated market, with its commands and buttons.

    Everything but Slack itself is real: the rules, the alerts, the messages, the requests. Only the clock runs ahead,
    and nothing is kept.
    """
    files = both_or_neither(etf, btc)
    settings = load_settings()
    number = settings.seed if seed is None else seed
    script = from_files(*files, first, last) if files else simulated(number, first, last)
    prompting = not no_prompt and sys.stdin.isatty()
    if web:
        with suppress(asyncio.CancelledError):  # SIGTERM
            asyncio.run(_play_in_browser(settings, script, Pace(speed or WEB_SPEED), port, prompting=prompting))
    else:
        pace = Pace(speed or (SPEED if prompting else None))
        asyncio.run(_rehearse(settings, script, pace, prompting=prompting))


def prefers_web() -> bool:
    """Tell whether somebody sits here who can be shown a page."""
    return is_at_hand() and sys.stdin.isatty() and sys.stdout.isatty()


async def _rehearse(settings: Settings, script: Script, pace: Pace, *, prompting: bool) -> None:
    screen = _screen(script)
    async with rehearsing(settings, script, screen.tell) as rehearsal:
        if prompting:
            await converse(rehearsal, script, Prompt(pace=pace, screen=screen, rehearsal=rehearsal))
        else:
            screen.say(await play(rehearsal, script, pace), style="bold")


async def _play_in_browser(settings: Settings, script: Script, pace: Pace, port: int, *, prompting: bool) -> None:
    """Serve the stand-in until the person leaves; without a prompt, until the process is stopped."""
    screen = _screen(script)
    _end_at_sigterm()
    async with AsyncExitStack() as stack:
        stand_in = await stack.enter_async_context(serving(await program(CACHE, screen.say), port=port))
        stage = await stack.enter_async_context(playground(settings, script, stand_in))
        screen.say(f"Open {stand_in.origin} in a browser; “/minerpulse” in its channel shows the board.", style="bold")
        screen.say(BOUND)
        if prompting:
            await converse(stage, script, ClockPrompt(pace=pace, screen=screen))
        else:
            screen.say(await play(stage, script, pace), style="bold")
            await asyncio.Event().wait()


def _end_at_sigterm() -> None:
    """Let SIGTERM end the playing in order, so that the stand-in does not outlive it."""
    playing = asyncio.current_task()
    assert playing is not None, "asyncio.run makes one"  # noqa: S101
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)


def _screen(script: Script) -> Screen:
    screen = Screen(console=Console(highlight=False), clock=script.clock)
    screen.say(f"Rehearsing {script.title}: {len(script.sessions)} sessions.", style="bold")
    return screen
