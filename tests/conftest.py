"""Settings and fixtures of all tests."""

import gc
from collections.abc import AsyncIterator

import pytest
import stamina
from hypothesis import settings

from bot.settings import PROXY_VARIABLES
from tests.fakes.slack import FakeSlack, slack_server

# examples have no deadline, because the machine may be busy
settings.register_profile("no-deadline", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("no-deadline")
stamina.set_testing(testing=True, attempts=10, cap=True)  # no wait before a retry, as many of them as in production


def pytest_collection_finish() -> None:
    """Keep the collected tests, whose objects fill the heap, out of garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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
