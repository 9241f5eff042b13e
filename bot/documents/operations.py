"""The documents of `minerpulse doctor`, `holdings list` and `migrate` with `--json`."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import About, Share, Usd, Versioned, schema_id
from services.market.holdings import Holding, HoldingKind, Holdings
from services.storage import SchemaStatus


class CheckResult(Enum):
    """The result of a check."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


class CheckFields(TypedDict):
    """One check of this installation."""

    check: Annotated[str, About("name of the check")]
    result: CheckResult
    found: Annotated[str, About("what the check found")]
    next_step: Annotated[str, About("what to do; empty if nothing")]


class DoctorDocument(Versioned):
    """The checks of this installation."""

    ok: Annotated[bool, About("false if a check failed")]
    checks: list[CheckFields]


class HoldingFields(TypedDict):
    """One position of a fund."""

    ticker: Annotated[str, About("without the exchange")]
    exchange: Annotated[str, About("as the source writes it; empty if it has none")]
    name: str
    kind: HoldingKind
    weight: Annotated[float, About("fraction of net assets; negative for liabilities")]
    shares: float | None
    market_value: Usd | None


class HoldingsDocument(Versioned):
    """The holdings of a fund on one date."""

    fund: Annotated[str, About("ticker")]
    as_of: Annotated[date, About("date of the weights")]
    source: str
    whole: Annotated[bool, About("whether all holdings are listed")]
    total: Annotated[float, About("sum of all weights, including cash")]
    cash: Annotated[float, About("weight of cash")]
    unexplained: Annotated[Share, About("1 minus the sum of the weights; negative if the sum exceeds 1")]
    holdings: list[HoldingFields]


class MigrateDocument(Versioned):
    """The state of the database before a migration."""

    status: Annotated[SchemaStatus, About("`empty`: created; `behind`: upgraded; `current`: unchanged")]
    dry_run: Annotated[bool, About("whether it was a dry run, which changes nothing")]


class SinkFields(TypedDict):
    """A service that channels can page."""

    name: str
    type: Annotated[str, About("`pagerduty`, `webhook` or `email`")]


class SinksDocument(Versioned):
    """The sinks that channels can page."""

    sinks: list[SinkFields]


def doctor_document(checks: Sequence[CheckFields], *, ok: bool) -> DoctorDocument:
    """Return the document of the checks."""
    return {"schema": schema_id("doctor"), "ok": ok, "checks": list(checks)}


def holdings_document(holdings: Holdings) -> HoldingsDocument:
    """Return the document of a fund's holdings."""
    return {
        "schema": schema_id("holdings"),
        "fund": holdings.fund,
        "as_of": holdings.as_of,
        "source": holdings.source,
        "whole": holdings.is_complete,
        "total": holdings.total,
        "cash": holdings.cash,
        "unexplained": holdings.unexplained,
        "holdings": [_holding(holding) for holding in holdings.positions],
    }


def _holding(holding: Holding) -> HoldingFields:
    return {
        "ticker": holding.ticker,
        "exchange": holding.exchange,
        "name": holding.name,
        "kind": holding.kind,
        "weight": holding.weight,
        "shares": holding.shares,
        "market_value": holding.market_value,
    }


def migrate_document(status: SchemaStatus, *, is_dry_run: bool) -> MigrateDocument:
    """Return the document of a migration; `status` is the one before it."""
    return {"schema": schema_id("migrate"), "status": status, "dry_run": is_dry_run}


def sinks_document(names: Mapping[str, str]) -> SinksDocument:
    """Return the document of the sinks, by name and type."""
    return {"schema": schema_id("sinks"), "sinks": [{"name": name, "type": kind} for name, kind in names.items()]}
