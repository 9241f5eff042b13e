"""Fixtures of the services' tests."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.harness import Harness, open_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """The services ten minutes before the open of Wednesday 4 March 2026, with prices and without rules."""
    async with open_harness() as harness:
        yield harness
