from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError

from services.core.prices import Symbol
from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions
from services.storage import SqlStore, migrate
from services.storage.tables import corporate_actions
from tests.services.storage.conftest import Start, in_database, upgrade_to
from tests.services.storage.test_price_history import EVER, closes, table

WGMI = Symbol("WGMI")
AT = datetime(2026, 12, 24, 14, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SINCE = date(2026, 1, 2)
SPLIT = Action(session=date(2026, 6, 1), kind=ActionKind.SPLIT, value=0.1)
DIVIDEND = Action(session=date(2026, 12, 18), kind=ActionKind.DIVIDEND, value=0.11)
BOTH = DeclaredActions(source="yahoo", since=SINCE, actions=(SPLIT, DIVIDEND))
CLOSES = closes({"2026-12-17": 40.0, "2026-12-18": 41.0}, source="yahoo")


async def test_no_answer_and_an_answer_without_actions_are_different(store: SqlStore) -> None:
    nothing = DeclaredActions(source="yahoo", since=SINCE)

    assert await store.load_declared(WGMI, "yahoo") is None
    await store.save_closes(CLOSES, AT, nothing)
    assert nothing == await store.load_declared(WGMI, "yahoo")


async def test_actions_are_loaded_as_they_were_saved(store: SqlStore) -> None:
    await store.save_closes(CLOSES, AT, BOTH)

    assert BOTH == await store.load_declared(WGMI, "yahoo")


async def test_a_dividend_and_a_split_can_be_on_one_day(store: SqlStore) -> None:
    declared = replace(BOTH, actions=(DIVIDEND, replace(SPLIT, session=DIVIDEND.session)))

    await store.save_closes(CLOSES, AT, declared)

    assert declared == await store.load_declared(WGMI, "yahoo")


async def test_closes_saved_without_actions_leave_the_actions_unchanged(store: SqlStore) -> None:
    await store.save_closes(CLOSES, AT, BOTH)
    await store.save_closes(CLOSES, AT)
    await store.replace_closes(CLOSES, AT)

    assert BOTH == await store.load_declared(WGMI, "yahoo")


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(date(2026, 12, 11), (SPLIT,), id="what lies in its days is withdrawn"),
        pytest.param(DIVIDEND.session, (SPLIT,), id="of the first of its days too"),
        pytest.param(date(2026, 12, 19), (SPLIT, DIVIDEND), id="what lies before stays"),
    ],
)
async def test_an_answer_replaces_the_actions_of_the_days_it_covers(
    store: SqlStore, since: date, expected: tuple[Action, ...]
) -> None:
    await store.save_closes(CLOSES, AT, BOTH)
    await store.save_closes(CLOSES, AT, DeclaredActions(source="yahoo", since=since))

    assert replace(BOTH, actions=expected) == await store.load_declared(WGMI, "yahoo")


async def test_a_replaced_history_replaces_its_actions(store: SqlStore) -> None:
    await store.save_closes(CLOSES, AT, BOTH)

    fewer = DeclaredActions(source="yahoo", since=date(2025, 1, 2), actions=(DIVIDEND,))
    await store.replace_closes(closes({"2026-12-18": 4.1}, source="yahoo"), AT, fewer)

    assert fewer == await store.load_declared(WGMI, "yahoo")
    assert {"2026-12-18": 4.1} == table(await store.load_closes(WGMI, "yahoo", EVER))


async def test_sources_and_symbols_are_separate(store: SqlStore) -> None:
    await store.save_closes(CLOSES, AT, BOTH)
    await store.save_closes(closes({}, symbol=Symbol("IBIT"), source="yahoo"), AT, replace(BOTH, actions=()))
    await store.save_closes(closes({}, source="tiingo"), AT, replace(BOTH, source="tiingo", actions=(DIVIDEND,)))

    assert [(SPLIT, DIVIDEND), (), (DIVIDEND,)] == [
        declared.actions
        for symbol, source in (("WGMI", "yahoo"), ("IBIT", "yahoo"), ("WGMI", "tiingo"))
        if (declared := await store.load_declared(Symbol(symbol), source))
    ]


async def test_an_action_keeps_its_recorded_at_until_its_amount_changes(migrated_url: str) -> None:
    store = await SqlStore.open(migrated_url)
    await store.save_closes(CLOSES, AT, BOTH)
    await store.save_closes(CLOSES, AT + HOUR, replace(BOTH, actions=(SPLIT, replace(DIVIDEND, value=0.12))))
    await store.aclose()

    query = select(corporate_actions.c.kind, corporate_actions.c.recorded_at)
    recorded = await in_database(migrated_url, lambda connection: connection.execute(query).all())

    assert {"split": AT, "dividend": AT + HOUR} == {row.kind: row.recorded_at for row in recorded}


async def test_closes_are_not_saved_if_their_actions_cannot_be(store: SqlStore) -> None:
    invalid = replace(BOTH, actions=(replace(DIVIDEND, value=None),))  # type: ignore[arg-type]

    with pytest.raises(IntegrityError):
        await store.save_closes(CLOSES, AT, invalid)

    assert {} == table(await store.load_closes(WGMI, "yahoo", EVER))
    assert await store.load_declared(WGMI, "yahoo") is None


async def test_actions_survive_a_restart(start: Start) -> None:
    await (await start()).save_closes(CLOSES, AT, BOTH)

    assert BOTH == await (await start()).load_declared(WGMI, "yahoo")


def create_first_schema(connection: Connection) -> None:
    """Create the schema of the first release, with one close."""
    upgrade_to(connection, "0001")
    connection.execute(text("INSERT INTO closes VALUES ('WGMI', 'yahoo', 20804, 40.0, NULL)"))


async def test_a_database_of_the_first_release_keeps_its_closes_and_has_no_actions(
    durable_url: str,
) -> None:
    await in_database(durable_url, create_first_schema)
    await migrate(durable_url)
    store = await SqlStore.open(durable_url)

    assert {"2026-12-17": 40.0} == table(await store.load_closes(WGMI, "yahoo", EVER))
    assert await store.load_declared(WGMI, "yahoo") is None
    await store.aclose()
