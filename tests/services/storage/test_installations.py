"""App installations: loaded, encrypted, renewed by one process at a time, and deleted with all their data."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select, text

from services.alerting.rule_index import RuleIndex
from services.core.errors import DatabaseUnavailableError
from services.core.identity import Channel
from services.core.installation import Installation
from services.storage import SqlStore, tables
from services.storage.installations import GLOBAL_TABLES, INSTALLATION_TABLES, InstallationRepository, generate_key
from tests.fakes.alerts import AT, CHANNEL
from tests.fakes.populated_channel import populate_channel
from tests.services.storage.conftest import Start, in_database

KEY, OTHER = generate_key(), generate_key()
HOUR = timedelta(hours=1)
OTHER_WORKSPACE = Channel(team="T2", id=CHANNEL.id)
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
def installations(store: SqlStore) -> InstallationRepository:
    return store.installations([KEY])


@pytest.mark.parametrize("one", [pytest.param(ACME, id="lasting"), pytest.param(ROTATING, id="rotating")])
async def test_an_installation_is_loaded_as_it_was_saved(
    installations: InstallationRepository, one: Installation
) -> None:
    await installations.save(replace(one, name="Before"))
    await installations.save(one)

    assert (one, None) == (await installations.find("T1"), await installations.find("T2"))


async def test_tokens_are_never_stored_in_plain_text(migrated_url: str) -> None:
    store = await SqlStore.open(migrated_url)
    await store.installations([KEY]).save(ROTATING)
    await store.aclose()
    query = text("SELECT * FROM installations")
    (row,) = await in_database(migrated_url, lambda connection: connection.execute(query).all())

    assert not [value for value in row if str(value).startswith("xox")]
    assert "xox" not in repr(ROTATING)


async def test_tokens_are_encrypted_with_the_new_key_after_a_rotation(store: SqlStore) -> None:
    await store.installations([KEY]).save(ROTATING)

    resealed = await store.installations([OTHER, KEY]).reencrypt_tokens()

    assert (1, ROTATING) == (resealed, await store.installations([OTHER]).find("T1"))
    with pytest.raises(DatabaseUnavailableError, match="with any key in MINERPULSE_TOKEN_KEYS"):
        await store.installations([KEY]).find("T1")


async def test_an_organization_s_installation_serves_workspaces_without_their_own(
    installations: InstallationRepository,
) -> None:
    await installations.save(ORG)
    await installations.save(ACME)

    found = [await installations.find(*who) for who in (("T9", "E1"), ("T1", "E1"), (None, "E1"), ("T8", None))]

    assert [ORG, ACME, ORG, None] == found
    assert ORG == await installations.find("T9")  # a request names the workspace alone


async def test_a_renewal_is_claimed_once_and_again_after_its_lease(start: Start) -> None:
    one, other = [(await start()).installations([KEY]) for _ in range(2)]
    await one.save(ROTATING)
    soon = AT + 2 * HOUR

    claims = await asyncio.gather(*(each.claim_renewal("T1", AT, before=soon) for each in (one, other)))
    early = await other.claim_renewal("T1", AT + timedelta(minutes=4), before=soon)
    later = await other.claim_renewal("T1", AT + timedelta(minutes=5), before=soon)
    await other.save(replace(ROTATING, expires_at=AT + 12 * HOUR))

    assert ([None, ROTATING], None, ROTATING) == (sorted(claims, key=bool), early, later)
    assert (None, []) == (await one.claim_renewal("T1", AT + HOUR, before=soon), await one.find_expiring(soon))


async def rows(url: str) -> dict[str, list[str]]:
    """Return every row of the tables that belong to workspaces, as text."""
    owned = [table for table in tables.metadata.sorted_tables if table.name not in GLOBAL_TABLES]

    def read(connection: Connection) -> dict[str, list[str]]:
        return {table.name: [str(row) for row in connection.execute(select(table))] for table in owned}

    return await in_database(url, read)


async def test_an_uninstall_deletes_the_workspace_s_data_only(start: Start, migrated_url: str) -> None:
    store = await start()
    installations, rule_index = store.installations([KEY]), RuleIndex(store)
    for channel in (CHANNEL, OTHER_WORKSPACE):
        await installations.save(replace(ACME, home=channel.team))
        await populate_channel(store, channel, AT)
    before = await rows(migrated_url)
    watched = sum(len(one.rules) for one in (await rule_index.pairs()).values())

    workspaces = await installations.uninstall("T1", None, AT + HOUR)

    after = await rows(migrated_url)
    owned = before.keys() - INSTALLATION_TABLES
    assert ["T1"] == workspaces
    assert all(before[name] for name in owned)
    assert {name: len(before[name]) // 2 for name in owned} | {"rules": 4} == {name: len(after[name]) for name in owned}
    assert not [row for found in after.values() for row in found if re.search(r"['\"]T1['\"]", row)]
    assert (2, 2) == (len(await store.rules(OTHER_WORKSPACE)), len(await store.open_alerts(OTHER_WORKSPACE)))
    assert (2, 1) == (watched, sum(len(one.rules) for one in (await rule_index.pairs()).values()))


async def test_an_organization_s_uninstall_deletes_all_its_workspaces(store: SqlStore) -> None:
    installations = store.installations([KEY])
    await installations.save(ORG)
    for channel in (CHANNEL, OTHER_WORKSPACE):
        await installations.find(channel.team, "E1")
        await populate_channel(store, channel, AT)

    workspaces = await installations.uninstall(None, "E1", AT + HOUR)

    assert ["T1", "T2"] == sorted(workspaces)
    assert ([], None) == (await store.open_alerts(), await installations.find("T1", "E1"))


async def test_a_workspace_with_its_own_installation_survives_its_organization_s_uninstall(store: SqlStore) -> None:
    installations = store.installations([KEY])
    await installations.save(ORG)
    for team in ("T1", "T2"):
        await installations.find(team, "E1")
    await installations.save(replace(ACME, enterprise="E1"))

    assert ["T2"] == await installations.uninstall(None, "E1", AT + HOUR)
    assert await installations.find("T1", "E1") is not None


async def test_an_event_of_a_workspace_does_not_end_its_organization_s_installation(store: SqlStore) -> None:
    installations = store.installations([KEY])
    await installations.save(ORG)
    for channel in (CHANNEL, OTHER_WORKSPACE):
        await installations.find(channel.team, "E1")
        await populate_channel(store, channel, AT)

    assert [] == await installations.uninstall("T1", "E1", AT + HOUR)
    assert (ORG, 2, 2) == (
        await installations.find("T1", "E1"),
        len(await store.rules(CHANNEL)),
        len(await store.rules(OTHER_WORKSPACE)),
    )


async def test_a_late_event_of_a_workspace_spares_its_organization(store: SqlStore) -> None:
    installations = store.installations([KEY])
    await installations.save(ORG)
    await installations.save(replace(ACME, enterprise="E1", installed_at=AT + HOUR))

    assert [] == await installations.uninstall("T1", "E1", AT + timedelta(minutes=30))
    assert {"T1", "E1"} == {
        found.home for found in (await installations.find("T1", "E1"), await installations.find("T2", "E1")) if found
    }


async def test_a_late_revocation_spares_an_organization_that_installed_again(store: SqlStore) -> None:
    installations = store.installations([KEY])
    await installations.save(replace(ORG, installed_at=AT + HOUR))
    await installations.find(CHANNEL.team, "E1")
    await populate_channel(store, CHANNEL, AT)

    assert [] == await installations.revoke(["T1"], AT + timedelta(minutes=30))
    assert ["T1"] == await installations.revoke(["T1"], AT + HOUR)


async def test_a_renewal_is_not_saved_over_a_newer_installation_or_a_removed_one(
    installations: InstallationRepository,
) -> None:
    await installations.save(ROTATING)
    claimed = await installations.claim_renewal("T1", AT, before=AT + 2 * HOUR)
    assert claimed is not None
    renewed = replace(ROTATING, bot_token="xoxe.xoxb-2", expires_at=AT + 12 * HOUR)
    reinstalled = replace(ROTATING, bot_token="xoxe.xoxb-9", installed_at=AT + timedelta(minutes=1))
    await installations.save(reinstalled)
    over_reinstalled = await installations.save_renewal(claimed, renewed, AT)
    found = await installations.find("T1")
    await installations.uninstall("T1", None, AT + HOUR)
    over_removed = await installations.save_renewal(claimed, renewed, AT)

    assert (False, reinstalled, False, None) == (
        over_reinstalled,
        found,
        over_removed,
        await installations.find("T1"),
    )


@pytest.mark.parametrize(
    ("installed_after", "workspaces"),
    [
        pytest.param(timedelta(0), ["T1"], id="at once"),
        pytest.param(timedelta(seconds=5), [], id="reinstalled 5 s later"),
        pytest.param(HOUR, [], id="reinstalled since"),
    ],
)
async def test_a_late_uninstall_does_not_delete_a_newer_installation(
    installations: InstallationRepository, installed_after: timedelta, workspaces: list[str]
) -> None:
    await installations.save(replace(ACME, installed_at=AT + installed_after))

    assert workspaces == await installations.uninstall("T1", None, AT)
    assert bool(workspaces) is (await installations.find("T1") is None)


def test_every_table_belongs_to_workspaces_or_is_listed_as_global() -> None:
    """A table that is neither would stay behind when a workspace uninstalls."""
    for table in tables.metadata.sorted_tables:
        if table.name not in GLOBAL_TABLES | INSTALLATION_TABLES:
            assert "team" in table.c or any(column.foreign_keys for column in table.c), table.name
