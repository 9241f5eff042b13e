from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from services.alerting.alert import EntryKind
from services.alerting.records import AlertChange, UnreadableRule
from services.core.errors import ConflictError
from services.delivery.ports import Backlog, ThreadMessage
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from services.storage.engine import Database
from tests.fakes.alerts import AT, DESK, an_alert, an_entry, removal

LINE = an_entry(kind=EntryKind.JOINED, reason="5d joins")
FIRST, SECOND = "UPDATE alerts SET alert = '{\"id\": 1' WHERE id = 1", "UPDATE entries SET entry = '{}' WHERE id = 1"


@pytest.fixture
async def store(durable_url: str) -> AsyncIterator[SqlStore]:
    """Two alerts, each with a line in its thread; a test breaks what it is about."""
    store = await SqlStore.open(durable_url)
    for side in (Side.ABOVE, Side.BELOW):
        await store.record([], [AlertChange(alert=an_alert(side=side), revision=0, entries=(LINE,))], AT)
    yield store
    await store.aclose()


async def run(url: str, statement: str) -> None:
    database = Database(url)
    async with database.write() as tx:
        await tx.execute(text(statement))
    await database.close()


async def test_an_alert_that_cannot_be_read_keeps_nobody_from_the_others(
    store: SqlStore, durable_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="services.storage")
    await run(durable_url, FIRST)

    opened = [[stored.alert.id for stored in await store.open_alerts()] for _ in range(2)]
    listed = [[alert.id for alert in await store.history(DESK, 10)] for _ in range(2)]

    assert ([[2], [2]], [[2], [2]]) == (opened, listed)
    assert ["alert 1 cannot be read and is left out; restore its row from a backup"] == caplog.messages


async def test_a_rule_that_cannot_be_read_keeps_nobody_from_the_others(
    store: SqlStore, durable_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="services.storage")
    first, second = await store.add_rules(DESK, [parse_rule("1d 8pp"), parse_rule("5d 15pp")], "U1", AT)
    await run(durable_url, "UPDATE rules SET rule = '1d 8 furlongs' WHERE id = 1")

    listed = [await store.rules(DESK) for _ in range(2)]
    book = await store.rulebook()
    (known,) = await store.add_rules(DESK, [second.rule], "U1", AT)

    assert [[second], [second]] == listed
    assert ((second,), frozenset({first.id})) == (book.watches, book.unreadable)
    assert second == known
    assert ["rule 1 cannot be read and is not watched; restore its row from a backup, or remove it"] == caplog.messages


async def test_a_rule_that_cannot_be_read_can_be_removed(store: SqlStore, durable_url: str) -> None:
    await store.add_rules(DESK, [parse_rule("1d 8pp")], "U1", AT)
    await run(durable_url, "UPDATE rules SET rule = '1d 8 furlongs' WHERE id = 1")
    since = (await store.rulebook()).revision

    lost = await store.rule(DESK, 1)
    await store.record([], [], AT, rules=[removal(lost)])
    news = await store.rulebook(since)

    assert UnreadableRule(id=1, channel=DESK, rule="1d 8 furlongs") == lost
    assert (frozenset({1}), frozenset()) == (news.removed, news.unreadable)


async def test_a_message_that_cannot_be_read_is_given_up_and_the_others_are_due(
    store: SqlStore, durable_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await run(durable_url, FIRST)

    due = [[delivery.told.name for delivery in await store.due(AT)] for _ in range(2)]

    assert [["alert 2"], ["alert 2"]] == due
    assert ["messages [1] cannot be read and are given up; restore their rows from a backup"] == caplog.messages
    assert AT == await store.next_due_at(AT)
    assert Backlog(waiting=2, dead=2, oldest=AT - AT) == await store.backlog(AT)


async def test_a_line_that_cannot_be_read_is_left_out_of_its_thread(store: SqlStore, durable_url: str) -> None:
    await run(durable_url, SECOND)
    told = []
    while due := await store.due(AT):
        told += [(one.told.name, one.told.entry if isinstance(one.told, ThreadMessage) else None) for one in due]
        await store.mark_sent(due[0], f"1700.{len(told)}", AT)

    assert [("alert 1", None), ("alert 2", None), ("alert 2", LINE)] == told


async def test_a_new_alert_takes_the_place_of_an_open_one_that_cannot_be_read(
    store: SqlStore, durable_url: str
) -> None:
    await run(durable_url, FIRST)

    await store.record([], [AlertChange(alert=an_alert(side=Side.ABOVE), revision=0)], AT)

    assert [2, 3] == [stored.alert.id for stored in await store.open_alerts()]
    with pytest.raises(ConflictError):
        await store.record([], [AlertChange(alert=an_alert(side=Side.ABOVE), revision=0)], AT)
