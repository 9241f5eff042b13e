"""Tickers as funds' files write them: the symbol, its exchange, and what is no share at all."""

from __future__ import annotations

import re

from services.domain.holdings import HoldingKind
from services.sources.figures import is_empty

_SYMBOL = re.compile(r"[A-Z0-9]{1,6}(?:[./-][A-Z]{1,2})?", re.ASCII)
_BLOOMBERG = re.compile(r"(\S+) ([A-Z]{2})(?: EQUITY)?", re.ASCII)  # IREN US, ARB LN
_DOTTED = re.compile(r"([A-Z0-9-]+)\.([A-Z]{0,2})", re.ASCII)  # HIVE.V, SSU.
_CLASS = re.compile(r"[A-CKU]|W[ST]?", re.ASCII)  # behind a dot, a class of share, a unit or a warrant: BRK.B

_CASH_TICKER = re.compile(r"[-_ ]*(?:cash.*|[a-z]{3}[-_ ]?cur(?:ncy)?|usd|cad|eur|gbp)[-_ ]*", re.IGNORECASE)
_CASH_NAME = re.compile(r"\b(?:cash|dollars?|currency|euros?|sterling|money market)\b", re.IGNORECASE)
_MONEY_MARKET = re.compile(r"[A-Z]{3}XX", re.ASCII)  # as Nasdaq names money-market funds: fifth letter X


def read_ticker(cell: str) -> tuple[str, str]:
    """Part a ticker from its exchange, in capitals; the exchange is empty where none is named.

    What does not look like a ticker is left as it is written, and nothing of what says nothing, such as n/a.
    """
    text = "" if is_empty(cell) else " ".join(cell.split())
    found = _BLOOMBERG.fullmatch(text.upper()) or _DOTTED.fullmatch(text.upper())
    ticker, exchange = (found[1], found[2]) if found and _is_exchange(found) else (text.upper(), "")
    return (ticker, exchange) if _SYMBOL.fullmatch(ticker) else (text, "")


def _is_exchange(found: re.Match[str]) -> bool:
    return found.re is _BLOOMBERG or not _CLASS.fullmatch(found[2])


def kind_of(ticker: str, name: str) -> HoldingKind:
    """Tell shares from cash and the rest by a ticker without its exchange and a name, either of which may be empty.

    A ticker such as CASH or USD may be a share's too; then its name tells.
    """
    if _CASH_TICKER.fullmatch(ticker) and (is_empty(name) or _CASH_NAME.search(name)):
        return HoldingKind.CASH
    if not ticker:
        return HoldingKind.CASH if _CASH_NAME.search(name) else HoldingKind.OTHER
    if _MONEY_MARKET.fullmatch(ticker):
        return HoldingKind.CASH
    return HoldingKind.SHARE if _SYMBOL.fullmatch(ticker) else HoldingKind.OTHER
