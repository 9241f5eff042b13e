"""A report: both legs between two sessions, what rules did there, and why and how far the legs stand where they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Bars, Closes
from services.core.sessions import Sessions
from services.market.align import Aligned, LeftOut
from services.market.measure import NotMeasured, Window, drawdown_series
from services.research.attribution import LOOKBACK, Attribution, Legs, attribute, fitted
from services.research.drawdown import Underwater, underwater
from services.research.explain import Explanation, explain
from services.research.track_record import Backtest, looked_at
from services.rules.chart_series import IndexedReturns, between, replayed_series, stretch
from services.rules.replay import replay
from services.rules.rule import Rule

WINDOWS = (Window.D20, Window.D60, Window.D252, Window.YTD)  # that the return is parted over
EXPLAINED = Window.YTD


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What a report is made of: both legs on one clock, their prices as they came, the AI proxy's closes.

    `proxy` is None where there are none, with the reason in `missing`.
    """

    aligned: Aligned
    etf: Bars | Closes
    crypto: Bars | Closes
    sessions: Sessions
    proxy: Closes | None
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The findings. `sessions` counts those with both prices, of `of` that were asked for; `left_out` are the others.

    `explanation` is a sentence where nothing can be explained, and `parted` is empty then. `below` has for each leg how
    far it was below its high at each point of the curve, as fractions, NaN where it has no price.
    """

    curve: IndexedReturns
    sessions: int
    of: int
    tested: tuple[Backtest, ...]
    explanation: Explanation | str
    parted: tuple[Attribution | NotMeasured, ...]
    depths: tuple[Underwater, ...]
    below: tuple[tuple[float, ...], tuple[float, ...]]
    left_out: tuple[LeftOut, ...]
    sources: tuple[str, str]


def report(material: Material, rules: Sequence[Rule], first: date | None = None, last: date | None = None) -> Report:
    """Report on the sessions from `first` to `last`; earlier ones feed the look-backs, and later ones are not known.

    Raises NoHistoryError where no session has both prices, and ReplayError for a rule that closes cannot decide.
    """
    rows = between(material.aligned, first, last)
    asked = _asked(material.aligned, first, last)
    known = material.aligned.head(rows.stop)
    begin, end = known.sessions[rows.start].item(), known.sessions[-1].item()
    outcome = replay(known, rules, first=begin, last=end)
    explanation, parted = _explained(material, rows.stop)
    return Report(
        curve=stretch(known, rows, [replayed_series(known, rows, found) for found in outcome.rules]),
        sessions=outcome.sessions,
        of=len(asked),
        tested=tuple(looked_at(known, found) for found in outcome.rules),
        explanation=explanation,
        parted=parted,
        depths=_depths(known),
        below=_below(known, rows),
        left_out=tuple(out for out in material.aligned.left_out if np.datetime64(out.session) in asked),
        sources=(known.etf_source, known.crypto_source),
    )


def _asked(aligned: Aligned, first: date | None, last: date | None) -> NDArray[np.datetime64]:
    """Give the sessions that are asked for, also those before the first and after the last that has both prices."""
    days = aligned.sessions
    return days[(days >= np.datetime64(first or days[0])) & (days <= np.datetime64(last or days[-1]))]


def _explained(material: Material, rows: int) -> tuple[Explanation | str, tuple[Attribution | NotMeasured, ...]]:
    if material.proxy is None:
        return material.missing, ()
    legs = Legs.of(material.aligned.head(rows), material.proxy).until_complete()
    try:
        found = explain(legs, EXPLAINED, material.etf, material.crypto, material.sessions)
    except NoHistoryError as error:
        return str(error), ()
    fits = fitted(legs, LOOKBACK)
    return found, tuple(attribute(legs, window, fits=fits) for window in WINDOWS)


def _depths(known: Aligned) -> tuple[Underwater, ...]:
    legs = (
        underwater(known, known.pair.etf, known.etf),
        underwater(known, known.pair.crypto, known.crypto, known.crypto_past),
    )
    return tuple(leg for leg in legs if leg)


def _below(known: Aligned, rows: range) -> tuple[tuple[float, ...], tuple[float, ...]]:
    with np.errstate(invalid="ignore"):
        etf, crypto = drawdown_series(known.etf), drawdown_series(known.crypto, known.crypto_past)
    return tuple(etf[rows.start :].tolist()), tuple(crypto[rows.start :].tolist())
