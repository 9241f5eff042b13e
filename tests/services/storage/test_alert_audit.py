from datetime import timedelta

import pytest

from services.alerting.alert import EntryKind, TimelineEntry
from services.alerting.ports import Attempt
from services.core.errors import NotFoundError
from services.rules.decide import Side
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.fakes.harness import OTHER_CHANNEL
from tests.services.storage.conftest import post_alert

MINUTE = timedelta(minutes=1)
FIRED = TimelineEntry(kind=EntryKind.FIRED, at=AT, reason="past 8 pp", silent=True)
JOINED = TimelineEntry(kind=EntryKind.JOINED, at=AT, reason="past 15 pp")


@pytest.fixture
async def store(shared_store: SqlStore) -> SqlStore:
    await post_alert(shared_store, None, FIRED, JOINED)
    return shared_store


async def test_an_audit_has_every_entry_and_every_attempt_of_each_message(store: SqlStore) -> None:
    (own,) = await store.due(AT)
    await store.mark_attempting(own, AT)
    await store.mark_failed(own, "429", AT + MINUTE)
    (own,) = await store.due(AT + MINUTE)
    await store.mark_attempting(own, AT + MINUTE)
    await store.mark_sent(own, "1700.1", AT + MINUTE)

    audit = await store.alert_audit(CHANNEL, 1)

    message, reply = audit.postings
    assert (1, (FIRED, JOINED)) == (audit.alert.id, audit.entries)
    assert (None, "1700.1", True) == (message.entry, message.message_id, message.delivered)
    assert (
        Attempt(at=AT, version=1, outcome="failed", problem="429"),
        Attempt(at=AT + MINUTE, version=1, outcome="sent", problem=None),
    ) == message.attempts
    assert (JOINED, None, False, ()) == (reply.entry, reply.message_id, reply.delivered, reply.attempts)


async def test_an_audit_without_a_number_is_of_the_newest_alert(store: SqlStore) -> None:
    await post_alert(store, an_alert(side=Side.BELOW))
    await post_alert(store, an_alert(channel=OTHER_CHANNEL))

    assert [2, 3, 3] == [(await store.alert_audit(where, None)).alert.id for where in (CHANNEL, OTHER_CHANNEL, None)]


async def test_an_alert_of_another_channel_is_not_found(store: SqlStore) -> None:
    with pytest.raises(NotFoundError, match=r"No alert 1 in this channel\."):
        await store.alert_audit(OTHER_CHANNEL, 1)
    with pytest.raises(NotFoundError, match=r"No alert in this channel so far\."):
        await store.alert_audit(OTHER_CHANNEL, None)
    with pytest.raises(NotFoundError, match=r"No alert 9 in this database\."):
        await store.alert_audit(None, 9)
