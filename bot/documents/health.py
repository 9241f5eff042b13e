"""The document of `minerpulse health --json`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import About, Count, Seconds, Versioned, if_known, schema_id
from bot.documents.operations import CheckResult
from bot.health import SourceState, Vitals
from handlers.render.reasons import sentence
from services.alerting.tick_log import PairStatus
from services.core.prices import PriceStamp
from services.delivery.ports import Backlog


class HealthCheck(TypedDict):
    """One category of readiness, as in /readyz."""

    category: Annotated[str, About("`ticks`, `prices`, `database` or `slack`")]
    result: CheckResult
    problem: Annotated[str | None, About("sentence; null if there is none")]


class DatabaseFields(TypedDict):
    """The database."""

    name: Annotated[str, About("path of the SQLite file, or the URL without the password")]
    size_bytes: Annotated[Count | None, About("of the SQLite file; null for PostgreSQL")]


class TickFields(TypedDict):
    """The checks of the market."""

    last_at: Annotated[datetime | None, About("when all pairs were last checked successfully (UTC)")]
    age_s: Seconds | None
    interval_s: Seconds


class PriceSource(TypedDict):
    """The source of one leg's last usable price."""

    symbol: str
    source: str
    at: Annotated[datetime, About("time of the price (UTC)")]


class PairFields(TypedDict):
    """The last check of one pair."""

    pair: str
    at: datetime
    usable: Annotated[bool, About("whether the prices could be used; false also while the market is closed")]
    reason: Annotated[str | None, About("sentence; null if the prices could be used")]
    last_usable_at: datetime | None
    prices: list[PriceSource]


class SourceFields(TypedDict):
    """A configured source and the results of its requests, as in /readyz; sources are in order of preference."""

    name: Annotated[str, About("as settings name it")]
    used_for: Annotated[list[str], About("`etf`, `crypto` or `network`")]
    last_success_at: Annotated[datetime | None, About("when a request last succeeded (UTC); null if none has")]
    failures: Annotated[Count, About("failed requests since then")]
    failing_since: Annotated[datetime | None, About("time of the first of them (UTC); null if there is none")]
    problem: Annotated[str | None, About("what went wrong in the last of them; null if there is none")]


class QueueFields(TypedDict):
    """Messages that a sink has not received yet."""

    sink: Annotated[str, About("`slack`, or the name of a sink that is paged")]
    waiting: Count
    oldest_s: Annotated[Seconds | None, About("age of the oldest waiting message in seconds")]
    dead_lettered: Count
    withheld: Annotated[Count, About("held by mutes or quiet hours")]


class HealthDocument(Versioned):
    """The state of a running installation."""

    at: Annotated[datetime, About("time (UTC) of this document")]
    ready: Annotated[bool, About("whether every check passed or was skipped; /readyz uses the same criteria")]
    version: Annotated[str, About("of MinerPulse")]
    checks: list[HealthCheck]
    database: DatabaseFields
    ticks: TickFields
    pairs: list[PairFields]
    sources: list[SourceFields]
    queues: list[QueueFields]
    needs_a_person: Annotated[list[str], About("sentences: messages and tokens that need someone's attention")]


def health_document(
    *,
    at: datetime,
    version: str,
    results: Mapping[str, CheckResult],
    problems: Mapping[str, str],
    database: tuple[str, int | None],
    vitals: Vitals,
    pairs: Sequence[PairStatus],
    sources: Sequence[SourceState],
    queues: Mapping[str, Backlog],
    needs_a_person: Sequence[str],
) -> HealthDocument:
    """Return the document of an installation's state."""
    name, size_bytes = database
    return {
        "schema": schema_id("health"),
        "at": at,
        "ready": not problems,
        "version": version,
        "checks": [
            {"category": category, "result": result, "problem": problems.get(category)}
            for category, result in results.items()
        ],
        "database": {"name": name, "size_bytes": size_bytes},
        "ticks": {
            "last_at": vitals.last_good_at,
            "age_s": if_known(vitals.last_good_at, lambda last: (at - last).total_seconds()),
            "interval_s": vitals.every.total_seconds(),
        },
        "pairs": [_pair(status) for status in pairs],
        "sources": [source_fields(state) for state in sources],
        "queues": [_queue(sink, backlog) for sink, backlog in queues.items()],
        "needs_a_person": list(needs_a_person),
    }


def source_fields(state: SourceState) -> SourceFields:
    """Return what a source answered."""
    record = state.record
    return {
        "name": state.name,
        "used_for": list(state.used_for),
        "last_success_at": record.last_success_at if record else None,
        "failures": state.failures,
        "failing_since": record.failing_since if record else None,
        "problem": record.problem if record else None,
    }


def _pair(status: PairStatus) -> PairFields:
    return {
        "pair": str(status.pair),
        "at": status.at,
        "usable": status.reason is None,
        "reason": None if status.reason is None else sentence(status.reason),
        "last_usable_at": status.usable_at,
        "prices": [_price(stamp) for stamp in status.prices],
    }


def _price(stamp: PriceStamp) -> PriceSource:
    return {"symbol": stamp.symbol, "source": stamp.source, "at": stamp.at}


def _queue(sink: str, backlog: Backlog) -> QueueFields:
    return {
        "sink": sink,
        "waiting": backlog.waiting,
        "oldest_s": if_known(backlog.oldest_age, lambda age: age.total_seconds()),
        "dead_lettered": backlog.dead_lettered,
        "withheld": backlog.withheld,
    }
