"""Settings and fixtures of all tests."""

import gc
import os
import shutil
import sys
from asyncio import base_futures
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import stamina
from hypothesis import settings

from bot.settings import PROXY_VARIABLES
from tests.fakes.slack import FakeSlack, slack_server

MEMORY = Path("/dev/shm")  # noqa: S108 -- pytest creates a private folder in it
MEMORY_NEEDED = 1 << 30

# examples have no deadline, because the machine may be busy
settings.register_profile("no-deadline", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("no-deadline")
stamina.set_testing(testing=True, attempts=10, cap=True)  # no wait before a retry, as many of them as in production
gc.set_threshold(50_000, 20, 20)
# each worker would compile the tests again, and each process that they start the app
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# asyncio's runner describes each task, with the whole result, to `signal.signal`, which needs none of it
pytest.MonkeyPatch().setattr(base_futures, "reprlib", SimpleNamespace(repr=object.__repr__))
# a commit to a file waits for the disk, 50 times as long as for memory
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_finish() -> None:
    """Keep the collected tests, most of the heap, out of garbage collection for good.

    The app freezes and unfreezes the heap of its process, which here would add a full collection to each test of it.
    """
    gc.collect()
    gc.freeze()
    for name in ("freeze", "unfreeze"):
        pytest.MonkeyPatch().setattr(gc, name, lambda: None)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset proxies, which would be used for fake servers on 127.0.0.1 too."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    """A fake Slack; the test fails if it receives a malformed message."""
    async with slack_server() as server:
        yield server
    assert [] == server.malformed
