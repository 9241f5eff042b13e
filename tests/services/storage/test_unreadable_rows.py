import logging
from dataclasses import replace

import pytest

from services.alerting.alert import EntryKind
from services.alerting.ports import UnreadableRule
from services.channels.rule_commands import change_notice
from services.core.errors import ConflictError
from services.core.reason import Code, Reason
from services.delivery.ports import Backlog, ThreadMessage
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry, removal
from tests.services.storage.conftest import execute, post_alert

ENTRY = an_entry(kind=EntryKind.JOINED, reason="5d joins")
BREAK_ALERT = "UPDATE alerts SET alert = '{\"id\": 1' WHERE id = 1"
BREAK_ENTRY = "UPDATE timeline_entries SET entry = '{}' WHERE id = 1"


@pytest.fixture
async def store(shared_store: SqlStore) -> SqlStore:
    """Two alerts, each with a thread reply; each test breaks a row."""
    for side in (Side.ABOVE, Side.BELOW):
        await post_alert(shared_store, an_alert(side=side), ENTRY)
    return shared_store


async def test_an_unreadable_alert_does_not_block_the_others(
    store: SqlStore, migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="services.storage")
    await execute(migrated_url, BREAK_ALERT)

    opened = [[stored.alert.id for stored in await store.open_alerts()] for _ in range(2)]
    listed = [[alert.id for alert in await store.history(CHANNEL, 10)] for _ in range(2)]

    assert ([[2], [2]], [[2], [2]]) == (opened, listed)
    assert ["alert 1 cannot be read and is skipped; restore its row from a backup"] == caplog.messages


async def test_an_alert_with_an_unknown_subject_is_unreadable(store: SqlStore, migrated_url: str) -> None:
    await execute(migrated_url, """UPDATE alerts SET alert = replace(alert, '"divergence"', '"volume"') WHERE id = 1""")

    assert [2] == [stored.alert.id for stored in await store.open_alerts()]


async def test_an_unreadable_rule_does_not_block_the_others(
    store: SqlStore, migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="services.storage")
    first, second = await store.add_rules(CHANNEL, [parse_rule("1d 8pp"), parse_rule("5d 15pp")], "U1", AT)
    await execute(migrated_url, "UPDATE rules SET rule = '1d 8 furlongs' WHERE id = 1")

    listed = [await store.rules(CHANNEL) for _ in range(2)]
    book = await store.rulebook()
    (known,) = await store.add_rules(CHANNEL, [second.rule], "U1", AT)

    assert [[second], [second]] == listed
    assert ((second,), frozenset({first.id})) == (book.rules, book.unreadable)
    assert second == known
    assert [
        "rule 1 cannot be read and is not evaluated; restore its row from a backup, or remove it"
    ] == caplog.messages


async def test_an_unreadable_rule_can_be_removed(store: SqlStore, migrated_url: str) -> None:
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    await execute(migrated_url, "UPDATE rules SET rule = '1d 8 furlongs' WHERE id = 1")
    since = (await store.rulebook()).revision

    unreadable = await store.rule(CHANNEL, 1)
    await store.record([], [], AT, rules=[removal(unreadable)])
    news = await store.rulebook(since)

    assert UnreadableRule(id=1, channel=CHANNEL, rule="1d 8 furlongs") == unreadable
    assert (frozenset({1}), frozenset()) == (news.removed, news.unreadable)


async def test_an_unreadable_message_is_dead_lettered_and_the_others_are_due(
    store: SqlStore, migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await execute(migrated_url, BREAK_ALERT)

    due = [[delivery.message.log_name for delivery in await store.due(AT)] for _ in range(2)]

    assert [["alert 2"], ["alert 2"]] == due
    assert ["messages [1] cannot be read and are dead-lettered; restore their rows from a backup"] == caplog.messages
    assert AT == await store.next_due_at(AT)
    assert Backlog(waiting=2, dead_lettered=2, oldest_age=AT - AT) == await store.backlog(AT)


async def test_an_unreadable_entry_is_skipped_in_its_thread(store: SqlStore, migrated_url: str) -> None:
    await execute(migrated_url, BREAK_ENTRY)
    posted = []
    while due := await store.due(AT):
        posted += [
            (one.message.log_name, one.message.entry if isinstance(one.message, ThreadMessage) else None) for one in due
        ]
        await store.mark_sent(due[0], f"1700.{len(posted)}", AT)

    assert [("alert 1", None), ("alert 2", None), ("alert 2", ENTRY)] == posted


async def test_a_new_alert_replaces_an_unreadable_open_one(store: SqlStore, migrated_url: str) -> None:
    await execute(migrated_url, BREAK_ALERT)

    await post_alert(store, an_alert(side=Side.ABOVE))

    assert [2, 3] == [stored.alert.id for stored in await store.open_alerts()]
    with pytest.raises(ConflictError):
        await post_alert(store, an_alert(side=Side.ABOVE))


async def test_a_notice_of_a_kind_that_this_release_lacks_is_dead_lettered(
    store: SqlStore, migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = replace(CHANNEL, id="C9")
    await store.add_notices([change_notice(other, "U1", Reason.of(Code.SETTINGS_RESET), AT)], AT)
    await execute(migrated_url, "UPDATE notices SET kind = 'of a later release'")

    due = await store.due(AT)

    assert ["alert 1"] == [delivery.message.log_name for delivery in due]
    assert ["messages [5] cannot be read and are dead-lettered; restore their rows from a backup"] == caplog.messages
