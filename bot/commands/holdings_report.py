"""A fund's holdings as JSON, as a table and as a summary."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.market.holdings import Holding, Holdings


def holdings_document(holdings: Holdings) -> dict[str, Any]:
    """Return holdings as JSON-ready values: weights as fractions of net assets, market values in US dollars."""
    return {
        "fund": holdings.fund,
        "as_of": f"{holdings.as_of}",
        "source": holdings.source,
        "whole": holdings.is_complete,
        "total": holdings.total,
        "cash": holdings.cash,
        "unexplained": holdings.unexplained,
        "holdings": [_row(holding) for holding in holdings.positions],
    }


def _row(holding: Holding) -> dict[str, Any]:
    return {
        "ticker": holding.ticker,
        "exchange": holding.exchange,
        "name": holding.name,
        "kind": holding.kind.value,
        "weight": holding.weight,
        "shares": holding.shares,
        "market_value": holding.market_value,
    }


def print_holdings(holdings: Holdings) -> None:
    """Print a table of holdings, and the total of their weights."""
    console = Console(highlight=False)
    console.print(Text(f"{holdings.fund} holdings as of {holdings.as_of}, from {holdings.source}\n", style="bold"))
    table = Table("Ticker", "Name", box=None, pad_edge=False)
    table.add_column("Weight", justify="right", no_wrap=True)
    table.add_column("Shares", justify="right", no_wrap=True)
    for holding in holdings.positions:
        ticker = f"{holding.ticker} {holding.exchange}".strip() or holding.kind.value
        table.add_row(Text(ticker), Text(holding.name), format_percent(holding.weight), _format_shares(holding.shares))
    console.print(table)
    console.print(Text(f"\n{describe_weights(holdings)}", style="bold"))


def describe_import(holdings: Holdings, *, replaced: bool) -> str:
    """Return a sentence about imported holdings."""
    count = len(holdings.positions)
    holdings_text = f"{count} holding{'' if count == 1 else 's'}"
    replaced_text = " They replace those that were there for that day." if replaced else ""
    return f"{holdings.fund} as of {holdings.as_of}: {holdings_text}. {describe_weights(holdings)}{replaced_text}"


def describe_fetch(holdings: Holdings, *, replaced: bool) -> str:
    """Return a sentence about fetched holdings."""
    replaced_text = " They replace those that were fetched before." if replaced else ""
    return (
        f"{holdings.fund} as of {holdings.as_of}, from {holdings.source}. {describe_weights(holdings)}{replaced_text}"
    )


def describe_weights(holdings: Holdings) -> str:
    """Return the total of the weights, cash included, and its difference from 100%."""
    if not holdings.is_complete:
        count = len(holdings.positions)
        return f"The {count} largest add up to {format_percent(holdings.total)} and are not the whole fund."
    total = f"The weights add up to {format_percent(holdings.total)}, {format_percent(holdings.cash)} of it cash"
    missing = round(100 * holdings.unexplained, 2)
    if not missing:
        return f"{total}; nothing is missing to 100%."
    return f"{total}; {missing:.2f}% is missing to 100%." if missing > 0 else f"{total}; {-missing:.2f}% above 100%."


def format_percent(fraction: float) -> str:
    """Return a fraction in percent. A value that rounds to zero has no sign."""
    return f"{round(100 * fraction, 2) + 0.0:.2f}%".replace("-", "−")


def _format_shares(shares: float | None) -> str:
    if shares is None:
        return "–"
    return f"{shares:,.0f}" if shares == round(shares) else f"{shares:,.2f}"
