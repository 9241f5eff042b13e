"""What each source answered lately is collected, and saved as one record per source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest

from services.core.errors import DatabaseUnavailableError, SourceError
from services.core.prices import Symbol
from services.market.ports import RequestOutcome
from services.market.source_log import SourceLog, SourceRecord
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from tests.fakes.alerts import AT
from tests.fakes.clock import SetClock
from tests.fakes.vendors import Vendors, no_wait

MINUTE = timedelta(minutes=1)
OK, ERROR = RequestOutcome.OK, RequestOutcome.ERROR


@dataclass(slots=True)
class Store:
    """Collects what is saved, or fails."""

    fails: bool = False
    during_save: Callable[[], None] = lambda: None
    saved: list[SourceRecord] = field(default_factory=list)

    async def add_source_records(self, records: Sequence[SourceRecord]) -> None:
        self.during_save()
        if self.fails:
            raise DatabaseUnavailableError("the disk is gone")
        self.saved += records

    async def source_records(self) -> list[SourceRecord]:
        return self.saved


@pytest.fixture
def clock() -> SetClock:
    return SetClock(AT)


async def test_failures_in_a_row_are_counted_from_the_first_with_the_last_problem(clock: SetClock) -> None:
    log = SourceLog(store=(store := Store()), clock=clock)
    for problem in (None, "refused", "HTTP 503"):
        log.count_request("Yahoo", OK if problem is None else ERROR, 0.1, problem)
        clock.advance(MINUTE)
    await log.save()
    await log.save()

    assert [
        SourceRecord(source="Yahoo", last_success_at=AT, failures=2, failing_since=AT + MINUTE, problem="HTTP 503")
    ] == store.saved


async def test_a_success_ends_the_failures(clock: SetClock) -> None:
    log = SourceLog(store=(store := Store()), clock=clock)
    log.count_request("Yahoo", ERROR, 0.1, "refused")
    log.count_request("Yahoo", OK, 0.1)
    await log.save()

    assert [SourceRecord(source="Yahoo", last_success_at=AT)] == store.saved


async def test_what_could_not_be_saved_is_saved_later_with_what_came_since(clock: SetClock) -> None:
    log = SourceLog(store=(store := Store(fails=True)), clock=clock)
    log.count_request("Yahoo", ERROR, 0.1, "refused")
    with pytest.raises(DatabaseUnavailableError):
        await log.save()
    clock.advance(MINUTE)
    log.count_request("Yahoo", ERROR, 0.1, "HTTP 503")
    store.fails = False
    await log.save()

    assert [SourceRecord(source="Yahoo", failures=2, failing_since=AT, problem="HTTP 503")] == store.saved


async def test_what_arrives_during_a_failed_save_comes_after_it(clock: SetClock) -> None:
    log = SourceLog(store=(store := Store(fails=True)), clock=clock)
    store.during_save = lambda: log.count_request("Yahoo", ERROR, 0.1, "HTTP 503")
    log.count_request("Yahoo", ERROR, 0.1, "refused")
    with pytest.raises(DatabaseUnavailableError):
        await log.save()
    store.fails, store.during_save = False, lambda: None
    await log.save()

    assert [SourceRecord(source="Yahoo", failures=2, failing_since=AT, problem="HTTP 503")] == store.saved


async def test_each_request_is_counted_by_the_meter_too(clock: SetClock) -> None:
    counted = SourceLog(store=(store := Store()), clock=clock)
    log = SourceLog(store=Store(), clock=clock, meter=counted)
    log.count_request("Yahoo", ERROR, 0.1, "refused")
    await counted.save()

    assert ["refused"] == [record.problem for record in store.saved]


@pytest.mark.parametrize(
    ("response", "failures"),
    [
        pytest.param(httpx.Response(503), 1, id="down"),
        pytest.param(httpx.Response(200, text="<!doctype html>"), 1, id="a-web-page"),
        pytest.param(httpx.Response(404), 0, id="unknown-symbol"),
    ],
)
async def test_a_vendor_that_does_not_know_a_symbol_does_not_fail(
    clock: SetClock, response: httpx.Response, failures: int
) -> None:
    vendors = Vendors(clock, faults={"yahoo": [response] * 9})
    client = HttpClient(transport=httpx.MockTransport(vendors.handle), sleep=no_wait)
    client.meter = log = SourceLog(store=(store := Store()), clock=clock)
    with pytest.raises(SourceError):
        await Yahoo(client, clock).prices(Symbol("MARA"), AT.date())
    await log.save()

    assert failures == sum(record.failures for record in store.saved)
