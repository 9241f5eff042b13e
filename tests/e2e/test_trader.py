"""A trader's day against the real process, over HTTP and Socket Mode, in a real browser."""

import asyncio
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.commands.rehearse import CACHE_DIR
from bot.playground.emulator import fetch_emulator, is_available
from services.core.errors import PlaygroundError
from tests.e2e.browser import chromium
from tests.e2e.process import network_namespace_command

ROOT = Path(__file__).parents[2]
STEPS = [
    *("board", "started"),
    *("alert", "acknowledged", "snoozed", "details", "resolve-form", "resolved"),
    *("suggested", "rules", "undone", "paused", "explained"),
    *("editor", "refused", "saved", "home"),
]


@pytest.fixture(scope="module")
def emulator() -> Path:
    """The emulator's program; skips without it, a browser or network namespaces."""
    if chromium() is None:
        pytest.skip("Chromium is not installed here (Debian's package chromium)")
    if network_namespace_command() is None:
        pytest.skip("No network namespaces here, and the emulator would listen on every address")
    if not is_available():
        pytest.skip("Node.js with npm is not installed here, which fetches the emulator")
    try:
        return asyncio.run(fetch_emulator(CACHE_DIR.expanduser(), print))
    except PlaygroundError as error:
        pytest.skip(str(error))


def test_a_trader_sees_to_an_alert_saves_a_rule_in_the_editor_and_finds_it_on_home(
    emulator: Path, tmp_path: Path
) -> None:
    """Both modes run side by side, each in a network namespace, because they mostly wait for the next tick."""
    with ExitStack() as stack:
        runs = {mode: stack.enter_context(_start(mode, emulator, tmp_path / mode)) for mode in ("http", "socket")}
        errors = {mode: run.communicate()[1] for mode, run in runs.items()}
    for mode, run in runs.items():
        log = tmp_path / mode / "minerpulse.log"
        assert run.returncode == 0, f"{mode}: {errors[mode]}\n{log.read_text() if log.exists() else ''}"
        pictures = [picture.stem.partition("-")[2] for picture in sorted((tmp_path / mode).glob("??-*.png"))]
        assert STEPS == [name for name in pictures if not name.endswith("-phone")]


def _start(mode: str, emulator: Path, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    command: list[str | Path] = [
        *(network_namespace_command() or []),
        sys.executable,
        "-m",
        "tests.e2e",
        mode,
        emulator,
        folder,
    ]
    return subprocess.Popen(  # noqa: S603 -- our own
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
