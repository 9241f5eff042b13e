"""A fund's holdings: as one JSON document, and as a table with what it adds up to."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.market.holdings import Holding, Holdings


def as_document(holdings: Holdings) -> dict[str, Any]:
    """Write holdings as JSON: weights as fractions of net assets, market values in US dollars."""
    return {
        "fund": holdings.fund,
        "as_of": f"{holdings.as_of}",
        "source": holdings.source,
        "whole": holdings.whole,
        "total": holdings.total,
        "cash": holdings.cash,
        "unexplained": holdings.unexplained,
        "holdings": [_row(one) for one in holdings.positions],
    }


def _row(one: Holding) -> dict[str, Any]:
    return {
        "ticker": one.ticker,
        "exchange": one.exchange,
        "name": one.name,
        "kind": one.kind.value,
        "weight": one.weight,
        "shares": one.shares,
        "market_value": one.market_value,
    }


def show(holdings: Holdings) -> None:
    """Print a table of holdings, their sum and what that lacks of 100%."""
    console = Console(highlight=False)
    console.print(Text(f"{holdings.fund} holdings as of {holdings.as_of}, from {holdings.source}\n", style="bold"))
    table = Table("Ticker", "Name", box=None, pad_edge=False)
    table.add_column("Weight", justify="right", no_wrap=True)
    table.add_column("Shares", justify="right", no_wrap=True)
    for one in holdings.positions:
        ticker = f"{one.ticker} {one.exchange}".strip() or one.kind.value
        table.add_row(Text(ticker), Text(one.name), percent(one.weight), _count(one.shares))
    console.print(table)
    console.print(Text(f"\n{summary(holdings)}", style="bold"))


def imported(holdings: Holdings, *, replaced: bool) -> str:
    """Say what has been imported for a day."""
    count = len(holdings.positions)
    lines = f"{count} holding{'' if count == 1 else 's'}"
    instead = " They replace those that were there for that day." if replaced else ""
    return f"{holdings.fund} as of {holdings.as_of}: {lines}. {summary(holdings)}{instead}"


def fetched(holdings: Holdings, *, replaced: bool) -> str:
    """Say what has been fetched for a day."""
    instead = " They replace those that were fetched before." if replaced else ""
    return f"{holdings.fund} as of {holdings.as_of}, from {holdings.source}. {summary(holdings)}{instead}"


def summary(holdings: Holdings) -> str:
    """Say what the weights add up to, cash included, and what that lacks of 100% or is above it."""
    if not holdings.whole:
        return f"The {len(holdings.positions)} largest add up to {percent(holdings.total)} and are not the whole fund."
    told = f"The weights add up to {percent(holdings.total)}, {percent(holdings.cash)} of it cash"
    lacking = round(100 * holdings.unexplained, 2)
    if not lacking:
        return f"{told}; nothing is missing to 100%."
    return f"{told}; {lacking:.2f}% is missing to 100%." if lacking > 0 else f"{told}; {-lacking:.2f}% above 100%."


def percent(fraction: float) -> str:
    """Write a fraction in percent; what rounds to zero has no sign."""
    return f"{round(100 * fraction, 2) + 0.0:.2f}%".replace("-", "−")


def _count(shares: float | None) -> str:
    if shares is None:
        return "–"
    return f"{shares:,.0f}" if shares == round(shares) else f"{shares:,.2f}"
