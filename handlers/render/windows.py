"""The windows as a table, and the same in lines for those who cannot see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import reason
from handlers.render.message import table
from services.domain.measure import NotMeasured
from services.domain.unusual import UNUSUAL_SESSIONS

if TYPE_CHECKING:
    from handlers.render.message import Block
    from services.domain.measure import Measurement
    from services.domain.prices import Pair
    from services.market import Snapshot

BASIS = f"Percentile: the spread among those of the {UNUSUAL_SESSIONS} sessions before."


def windows_table(seen: Snapshot, pair: Pair) -> Block:
    """Put every window in a row: both legs, the spread and its percentile."""
    head = ["Window", words.title(pair.etf), words.title(pair.crypto), "Spread", "Percentile"]
    return table([head, *(_row(one) for one in seen.measurements.values())])


def windows_text(seen: Snapshot, pair: Pair) -> list[str]:
    """Write every measured window as a line."""
    return [_line(one, pair) for one in seen.measurements.values() if not isinstance(one, NotMeasured)]


def missing(seen: Snapshot) -> list[str]:
    """Say why windows have no row of numbers, windows with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for one in seen.measurements.values():
        if isinstance(one, NotMeasured):
            reasons.setdefault(reason(one.reason), []).append(one.window.value)
        elif one.percentile is None:
            why = "too little history for a percentile"
            reasons.setdefault(why, []).append(one.window.value)
    return [f"{', '.join(spans)}: {why}." for why, spans in reasons.items()]


def beginnings(seen: Snapshot) -> list[str]:
    """Say what speaks against the closes that measured windows begin at."""
    known = [window for window, one in seen.measurements.items() if not isinstance(one, NotMeasured)]
    told = [why for window in known if window in seen.origins for why in seen.origins[window].reasons]
    return [f"{reason(why)}." for why in told]


def _row(one: Measurement | NotMeasured) -> list[str]:
    if isinstance(one, NotMeasured):
        return [one.window.value, *[words.NOTHING] * 4]
    percentile = words.NOTHING if one.percentile is None else words.rank(one.percentile)
    legs = words.percent(one.etf_return), words.percent(one.crypto_return)
    return [one.window.value, *legs, words.pp(one.spread), percentile]


def _line(one: Measurement, pair: Pair) -> str:
    legs = (
        f"{words.title(pair.etf)} {words.percent(one.etf_return)}, "
        f"{words.name(pair.crypto)} {words.percent(one.crypto_return)}"
    )
    line = f"{one.window.value}: {legs}, spread {words.pp(one.spread)}"
    if one.percentile is None:
        return f"{line}."
    return f"{line}, {words.unusual(one.percentile, above=one.spread >= 0)}."
