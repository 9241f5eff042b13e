"""The cache of installations: TTL, capacity and single-flight reads."""

import asyncio
from datetime import timedelta

import pytest

from bot.oauth.tokens import InstallationCache, WorkspaceGrants
from services.core.errors import DeliveryError
from services.core.installation import Installation
from tests.bot.oauth.conftest import OAuthHarness
from tests.fakes.alerts import AT
from tests.fakes.clock import SetClock


class CountingStore:
    """Has installations in workspaces whose IDs begin with T, and records lookups."""

    def __init__(self) -> None:
        self.lookups: list[str | None] = []
        self.started, self.release = asyncio.Event(), asyncio.Event()
        self.release.set()
        self.scopes: tuple[str, ...] = ()

    async def find(self, team: str | None, _enterprise: str | None = None) -> Installation | None:
        self.lookups.append(team)
        self.started.set()
        await self.release.wait()
        if team is None or not team.startswith("T"):
            return None
        return Installation(
            home=team,
            enterprise=None,
            name=team,
            bot_token=f"xoxb-{team}",
            bot_user="UBOT",
            scopes=self.scopes,
            installed_by="U1",
            installed_at=AT,
        )


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def cache(store: CountingStore) -> InstallationCache:
    return InstallationCache(store=store, clock=SetClock(AT), capacity=2)  # type: ignore[arg-type]  # the part that is used


async def test_an_installation_is_read_once_a_minute(store: CountingStore, cache: InstallationCache) -> None:
    clock = SetClock(AT)
    cache.clock = clock
    for seconds in (0, 59, 1):
        clock.advance(timedelta(seconds=seconds))
        await cache.get("T1")

    assert ["T1", "T1"] == store.lookups


async def test_at_capacity_the_least_recently_used_is_evicted(store: CountingStore, cache: InstallationCache) -> None:
    for team in ("T1", "T2", "T1", "T3", "T1", "T2"):
        await cache.get(team)

    assert (2, ["T1", "T2", "T3", "T2"]) == (len(cache), store.lookups)


async def test_unknown_workspaces_evict_no_installation(store: CountingStore, cache: InstallationCache) -> None:
    await cache.get("T1")
    for number in range(5):
        await cache.get(f"X{number}")
    await cache.get("T1")

    assert (1, 1) == (len(cache), store.lookups.count("T1"))


async def test_an_invalidated_installation_is_read_again(store: CountingStore, cache: InstallationCache) -> None:
    for _ in range(2):
        await cache.get("T1")
        cache.invalidate("T1")

    assert ["T1", "T1"] == store.lookups


async def test_concurrent_misses_share_one_read(store: CountingStore, cache: InstallationCache) -> None:
    installations = await asyncio.gather(*(cache.get("T1") for _ in range(5)))

    assert (["T1"], {"xoxb-T1"}) == (
        store.lookups,
        {installation.bot_token for installation in installations if installation},
    )


async def test_a_read_that_was_invalidated_is_not_cached(store: CountingStore, cache: InstallationCache) -> None:
    store.release.clear()
    reading = asyncio.create_task(cache.get("T1"))
    await store.started.wait()
    cache.invalidate("T1")
    store.release.set()
    await reading
    await cache.get("T1")

    assert ["T1", "T1"] == store.lookups


async def test_a_workspace_without_the_app_has_no_client(harness: OAuthHarness) -> None:
    with pytest.raises(DeliveryError, match="no longer installed in this workspace: reinstall it") as raised:
        await harness.oauth.clients.of("T1")

    assert raised.value.surely_not_posted


async def test_a_workspace_grants_the_scopes_of_its_installation(
    store: CountingStore, cache: InstallationCache
) -> None:
    store.scopes = ("commands", "files:write")
    grants = WorkspaceGrants(cache)
    assert (("commands", "files:write"), ()) == (await grants.scopes("T1"), await grants.scopes("X1"))
