"""A trader's day against the real process, over HTTP and Socket Mode, in a real browser."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bot.commands.rehearse import CACHE_DIR
from bot.playground.package import fetch_emulator, is_available
from services.core.errors import PlaygroundError
from tests.e2e.browser import chromium
from tests.e2e.loopback import network_namespace_command

ROOT = Path(__file__).parents[2]
STEPS = ["board", "started", "alert", "acknowledged", "resolved", "editor", "refused", "saved", "home"]


@pytest.fixture(scope="module")
def emulator() -> Path:
    """The emulator's program; skips without it, a browser or network namespaces."""
    if chromium() is None:
        pytest.skip("Chromium is not installed here (Debian's package chromium)")
    if network_namespace_command() is None:
        pytest.skip("No network namespaces here, and the stand-in would listen on every address")
    if not is_available():
        pytest.skip("Node.js with npm is not installed here, which fetches the stand-in")
    try:
        return asyncio.run(fetch_emulator(CACHE_DIR, print))
    except PlaygroundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("mode", ["http", "socket"])
def test_a_trader_sees_to_an_alert_saves_a_rule_in_the_editor_and_finds_it_on_home(
    mode: str, emulator: Path, tmp_path: Path
) -> None:
    command = [
        *(network_namespace_command() or []),
        sys.executable,
        "-m",
        "tests.e2e",
        mode,
        str(emulator),
        str(tmp_path),
    ]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)  # noqa: S603 -- our own
    log = tmp_path / "minerpulse.log"
    assert done.returncode == 0, f"{done.stderr}\n{log.read_text() if log.exists() else ''}"
    pictures = [picture.stem.partition("-")[2] for picture in sorted(tmp_path.glob("??-*.png"))]
    assert STEPS == [name for name in pictures if not name.endswith("-phone")]
