"""The stored record of each source, to which several processes add."""

from datetime import timedelta

from services.market.source_log import SourceRecord
from services.storage import SqlStore
from tests.fakes.alerts import AT

MINUTE = timedelta(minutes=1)


async def test_requests_are_added_to_the_stored_records(store: SqlStore) -> None:
    await store.add_source_records(
        [
            SourceRecord(source="Yahoo", last_success_at=AT),
            SourceRecord(source="Kraken", failures=1, failing_since=AT, problem="refused"),
        ]
    )
    later = SourceRecord(source="Yahoo", failures=2, failing_since=AT + MINUTE, problem="HTTP 503")
    await store.add_source_records([later])
    await store.add_source_records([SourceRecord(source="Kraken", last_success_at=AT + MINUTE)])
    once = await store.source_records()
    await store.add_source_records([later])
    (_, yahoo) = await store.source_records()

    assert [
        SourceRecord(source="Kraken", last_success_at=AT + MINUTE),
        SourceRecord(source="Yahoo", last_success_at=AT, failures=2, failing_since=AT + MINUTE, problem="HTTP 503"),
    ] == once
    assert (4, AT) == (yahoo.failures, yahoo.last_success_at)
