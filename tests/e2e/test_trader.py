"""A trader's day against the real process: over HTTP and over Socket Mode, in a real browser."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bot.commands.rehearse import CACHE
from bot.playground.package import is_at_hand, program
from services.core.errors import PlaygroundError
from tests.e2e.browser import chromium
from tests.e2e.loopback import isolating

ROOT = Path(__file__).parents[2]
STEPS = ["board", "started", "alert", "acknowledged", "resolved", "editor", "refused", "saved", "home"]


@pytest.fixture(scope="module")
def stand_in() -> Path:
    """The stand-in's program; where it, a browser or a network of its own cannot be had, the test says so."""
    if chromium() is None:
        pytest.skip("Chromium is not installed here (Debian's package chromium)")
    if isolating() is None:
        pytest.skip("No network namespaces here, and the stand-in would listen on every address")
    if not is_at_hand():
        pytest.skip("Node.js with npm is not installed here, which fetches the stand-in")
    try:
        return asyncio.run(program(CACHE, print))
    except PlaygroundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("mode", ["http", "socket"])
def test_a_trader_sees_to_an_alert_saves_a_rule_in_the_editor_and_finds_it_on_home(
    mode: str, stand_in: Path, tmp_path: Path
) -> None:
    command = [*(isolating() or []), sys.executable, "-m", "tests.e2e", mode, str(stand_in), str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)  # noqa: S603 -- our own
    log = tmp_path / "minerpulse.log"
    assert done.returncode == 0, f"{done.stderr}\n{log.read_text() if log.exists() else ''}"
    pictures = [picture.stem.partition("-")[2] for picture in sorted(tmp_path.glob("??-*.png"))]
    assert STEPS == [name for name in pictures if not name.endswith("-phone")]
