"""`minerpulse rehearse`: play a channel in the terminal or a browser, on an accelerated clock."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, suppress
from datetime import date
from pathlib import Path

import click
from rich.console import Console

from bot.commands.base import command
from bot.commands.options import DayOption, btc_option, etf_option, from_option, require_both_files
from bot.playground.emulator import fetch_emulator, is_available, run_emulator
from bot.playground.stage import open_playground
from bot.rehearsal.prompt import ClockPrompt, Prompt, play_with_prompt
from bot.rehearsal.screen import Screen
from bot.rehearsal.script import Script, script_from_files, simulated_script
from bot.rehearsal.stage import Pace, open_rehearsal, play
from bot.settings import Settings, load_settings
from bot.terminal import SafeConsole
from handlers.render import fmt
from services.core.errors import PlaygroundError

TERMINAL_SPEED = 2.0  # sessions a second
BROWSER_SPEED = 0.5  # a page is read, not watched
CACHE_DIR = Path("~/.cache/minerpulse")
LISTEN_WARNING = "Other machines on your network can open the page too. If you don't trust them, stop the rehearsal."


@command(
    "minerpulse rehearse --no-web", "minerpulse rehearse --etf wgmi.csv --btc btc_1h.csv --from 2026-01-02 --speed 10"
)
@etf_option
@btc_option
@from_option
@click.option(
    "--to",
    "last",
    type=DayOption(),
    help="Last session.  [default: last in the files; one year after the first if simulated]",
)
@click.option("--until", type=DayOption(), hidden=True)  # the former name of --to
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Sessions per second.  [default: {TERMINAL_SPEED:g}; {BROWSER_SPEED:g} in a browser]",
)
@click.option(
    "--no-prompt",
    is_flag=True,
    help="Play to the end without commands; in a terminal, as fast as possible without --speed.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Random seed for the simulated market.")
@click.option("--web/--no-web", help="Play in a browser, with a Slack emulator that npm downloads once (95 MB).")
@click.option("--try-web", is_flag=True, help="Play in a browser if npm and a terminal are available.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page.  [default: any free port]")
def rehearse_command(
    *,
    etf: Path | None,
    btc: Path | None,
    first: date | None,
    last: date | None,
    until: date | None,
    speed: float | None,
    no_prompt: bool,
    seed: int | None,
    web: bool,
    try_web: bool,
    port: int,
) -> None:
    """Try alerts, commands and buttons on price files or a simulated market, without Slack.

    Slack and the clock are simulated. Without price files, so is the market. Rules, alerts and messages work as in
    production. Nothing is sent to Slack or saved.
    """
    last = last or until
    files = require_both_files(etf, btc)
    settings = load_settings()
    market_seed = settings.seed if seed is None else seed
    script = script_from_files(*files, first, last) if files else simulated_script(market_seed, first, last)
    has_prompt = not no_prompt and sys.stdin.isatty()
    if web or (try_web and is_browser_usable()):
        with suppress(asyncio.CancelledError):  # SIGTERM
            asyncio.run(_play_in_browser(settings, script, Pace(speed or BROWSER_SPEED), port, has_prompt=has_prompt))
    else:
        pace = Pace(speed or (TERMINAL_SPEED if has_prompt else None))
        try:
            asyncio.run(_play_in_terminal(settings, script, pace, has_prompt=has_prompt))
        except asyncio.CancelledError:  # the output was closed
            sys.exit(1)


def is_browser_usable() -> bool:
    """Return whether the emulator is available and a person is at the terminal."""
    return is_available() and sys.stdin.isatty() and sys.stdout.isatty()


async def _play_in_terminal(settings: Settings, script: Script, pace: Pace, *, has_prompt: bool) -> None:
    task = asyncio.current_task()
    assert task is not None, "asyncio.run makes one"  # noqa: S101
    screen = open_screen(script, SafeConsole(on_closed=task.cancel))
    async with open_rehearsal(settings, script, screen.print_event) as rehearsal:
        if has_prompt:
            await play_with_prompt(rehearsal, script, Prompt(pace=pace, screen=screen, rehearsal=rehearsal))
        else:
            screen.print_line(await play(rehearsal, script, pace), style="bold")


async def _play_in_browser(settings: Settings, script: Script, pace: Pace, port: int, *, has_prompt: bool) -> None:
    """Run the Slack emulator until the person quits; without a prompt, until the process is stopped."""
    screen = open_screen(script, SafeConsole())
    _cancel_on_sigterm()
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(
            run_emulator(await fetch_emulator(_cache_dir(), screen.print_line), port=port)
        )
        stage = await stack.enter_async_context(open_playground(settings, script, emulator))
        screen.print_line(
            f"Open {emulator.origin} in a browser. Type “/minerpulse” in its channel to show the board.", style="bold"
        )
        screen.print_line(LISTEN_WARNING)
        if has_prompt:
            await play_with_prompt(stage, script, ClockPrompt(pace=pace, screen=screen))
        else:
            screen.print_line(await play(stage, script, pace), style="bold")
            await asyncio.Event().wait()


def _cache_dir() -> Path:
    """Return the folder for downloads. Raises PlaygroundError if there is no home folder."""
    try:
        return CACHE_DIR.expanduser()
    except RuntimeError as error:
        raise PlaygroundError(f"There is no home folder for {CACHE_DIR}. Set HOME to a writable folder.") from error


def _cancel_on_sigterm() -> None:
    """Cancel this task on SIGTERM, so that the emulator is stopped, too."""
    task = asyncio.current_task()
    assert task is not None, "asyncio.run makes one"  # noqa: S101
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def open_screen(script: Script, console: Console) -> Screen:
    """Print the title of a rehearsal, and return its screen."""
    screen = Screen(console=console, clock=script.clock)
    screen.print_line(f"Rehearsing {script.title}: {fmt.sessions(len(script.sessions))}.", style="bold")
    return screen
