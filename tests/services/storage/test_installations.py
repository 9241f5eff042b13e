"""Where the app is installed: found again, sealed, renewed by one at a time, and forgotten whole."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from services.alerting.rule_index import RuleIndex
from services.core.errors import StoreError
from services.core.identity import Channel
from services.core.installation import Installation
from services.storage import SqlStore, tables
from services.storage.engine import Database
from services.storage.installations import Installations
from services.storage.purge import INSTALLING, SHARED
from services.storage.token_encryption import new_key
from tests.fakes.alerts import AT, DESK
from tests.fakes.furnished import furnish
from tests.services.storage.conftest import Start

KEY, OTHER = new_key(), new_key()
HOUR = timedelta(hours=1)
AWAY = Channel(team="T2", id=DESK.id)
ACME = Installation(
    home="T1",
    enterprise=None,
    name="Acme",
    bot_token="xoxb-acme",
    bot_user="UBOT",
    scopes=("commands", "chat:write"),
    installed_by="U1",
    installed_at=AT,
)
ROTATING = replace(ACME, bot_token="xoxe.xoxb-1", refresh_token="xoxe-1", expires_at=AT + HOUR)
ORG = replace(ACME, home="E1", enterprise="E1", name="Acme Holding", bot_token="xoxb-org")


@pytest.fixture
def installations(store: SqlStore) -> Installations:
    return store.installations([KEY])


@pytest.mark.parametrize("one", [pytest.param(ACME, id="lasting"), pytest.param(ROTATING, id="rotating")])
async def test_an_installation_comes_back_as_it_was(installations: Installations, one: Installation) -> None:
    await installations.save(replace(one, name="Before"))
    await installations.save(one)

    assert (one, None) == (await installations.find("T1"), await installations.find("T2"))


async def test_tokens_stand_nowhere_in_the_open(durable_url: str) -> None:
    store = await SqlStore.open(durable_url)
    await store.installations([KEY]).save(ROTATING)
    await store.aclose()
    database = Database(durable_url)
    async with database.read() as tx:
        (row,) = (await tx.execute(text("SELECT * FROM installations"))).all()
    await database.close()

    assert not [value for value in row if str(value).startswith("xox")]
    assert "xox" not in repr(ROTATING)


async def test_a_new_key_seals_what_the_old_one_had_sealed(store: SqlStore) -> None:
    await store.installations([KEY]).save(ROTATING)

    resealed = await store.installations([OTHER, KEY]).reseal()

    assert (1, ROTATING) == (resealed, await store.installations([OTHER]).find("T1"))
    with pytest.raises(StoreError, match="opens with none of the keys in MINERPULSE_TOKEN_KEYS"):
        await store.installations([KEY]).find("T1")


async def test_an_organization_speaks_for_its_workspaces_unless_one_has_its_own(installations: Installations) -> None:
    await installations.save(ORG)
    await installations.save(ACME)

    found = [await installations.find(*who) for who in (("T9", "E1"), ("T1", "E1"), (None, "E1"), ("T8", None))]

    assert [ORG, ACME, ORG, None] == found
    assert ORG == await installations.find("T9")  # as a message to it asks, which names the workspace alone


async def test_a_renewal_is_claimed_by_one_and_again_where_that_one_died(start: Start) -> None:
    one, other = [(await start()).installations([KEY]) for _ in range(2)]
    await one.save(ROTATING)
    soon = AT + 2 * HOUR

    claims = await asyncio.gather(*(each.claim("T1", AT, before=soon) for each in (one, other)))
    later = await other.claim("T1", AT + timedelta(minutes=1), before=soon)
    await other.save(replace(ROTATING, expires_at=AT + 12 * HOUR))

    assert ([None, ROTATING], ROTATING) == (sorted(claims, key=bool), later)
    assert (None, []) == (await one.claim("T1", AT + HOUR, before=soon), await one.expiring(soon))


@pytest.mark.parametrize(
    ("states", "after", "expected"),
    [
        pytest.param(["a", "b"], timedelta(minutes=9), [True, True], id="each its own"),
        pytest.param(["a", "a"], timedelta(minutes=9), [True, False], id="once"),
        pytest.param(["a"], timedelta(minutes=10), [False], id="too late"),
        pytest.param(["c"], timedelta(0), [False], id="made up"),
    ],
)
async def test_who_is_on_the_way_arrives_once_and_in_time(
    installations: Installations, states: list[str], after: timedelta, expected: list[bool]
) -> None:
    for state in ("a", "b"):
        await installations.begin(state, AT, AT + timedelta(minutes=10))

    assert expected == [await installations.arrive(state, AT + after) for state in states]


async def rows(url: str) -> dict[str, list[str]]:
    """Every row of the tables that hold what workspaces own, as text."""
    database = Database(url)
    async with database.read() as tx:
        found = {
            table.name: [str(row) for row in await tx.execute(select(table))]
            for table in tables.metadata.sorted_tables
            if table.name not in SHARED
        }
    await database.close()
    return found


async def test_who_uninstalls_leaves_nothing_behind_and_takes_nothing_of_others(start: Start, durable_url: str) -> None:
    store = await start()
    installations, watchlist = store.installations([KEY]), RuleIndex(store)
    for channel in (DESK, AWAY):
        await installations.save(replace(ACME, home=channel.team))
        await furnish(store, channel, AT)
    before = await rows(durable_url)
    watched = sum(len(one.watches) for one in (await watchlist.pairs()).values())

    left = await installations.leave("T1", None, AT + HOUR)

    after = await rows(durable_url)
    owned = before.keys() - INSTALLING
    assert ["T1"] == left
    assert all(before[name] for name in owned)
    assert {name: len(before[name]) // 2 for name in owned} | {"rules": 4} == {name: len(after[name]) for name in owned}
    assert not [row for found in after.values() for row in found if re.search(r"['\"]T1['\"]", row)]
    assert (2, 2) == (len(await store.rules(AWAY)), len(await store.open_alerts(AWAY)))
    assert (2, 1) == (watched, sum(len(one.watches) for one in (await watchlist.pairs()).values()))


async def test_an_organization_that_uninstalls_takes_all_its_workspaces_along(store: SqlStore) -> None:
    installations = store.installations([KEY])
    await installations.save(ORG)
    for channel in (DESK, AWAY):
        await installations.find(channel.team, "E1")
        await furnish(store, channel, AT)

    left = await installations.leave(None, "E1", AT + HOUR)

    assert ["T1", "T2"] == sorted(left)
    assert ([], None) == (await store.open_alerts(), await installations.find("T1", "E1"))


async def test_a_workspace_with_an_installation_of_its_own_outlives_its_organizations(store: SqlStore) -> None:
    installations = store.installations([KEY])
    await installations.save(ORG)
    for team in ("T1", "T2"):
        await installations.find(team, "E1")
    await installations.save(replace(ACME, enterprise="E1"))

    assert ["T2"] == await installations.leave(None, "E1", AT + HOUR)
    assert await installations.find("T1", "E1") is not None


@pytest.mark.parametrize(
    ("installed_after", "left"),
    [pytest.param(timedelta(0), ["T1"], id="at once"), pytest.param(HOUR, [], id="anew since")],
)
async def test_an_end_that_comes_late_does_not_end_what_was_installed_since(
    installations: Installations, installed_after: timedelta, left: list[str]
) -> None:
    await installations.save(replace(ACME, installed_at=AT + installed_after))

    assert left == await installations.leave("T1", None, AT)
    assert bool(left) is (await installations.find("T1") is None)


def test_every_table_is_a_workspaces_or_known_to_be_nobodys() -> None:
    """A table that is neither would stay behind when a workspace uninstalls."""
    for table in tables.metadata.sorted_tables:
        if table.name not in SHARED | INSTALLING:
            assert "team" in table.c or any(column.foreign_keys for column in table.c), table.name
