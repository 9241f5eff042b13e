"""Answers: what a study of the past comes to, each with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.core.prices import Quote
from services.core.trust import FULL, Trust
from services.market.network_checks import CheckedNetwork
from services.market.network_history import PercentileRank
from services.research.attribution import IntradayAttribution
from services.research.drawdown import Underwater
from services.research.explain import Explanation
from services.research.report import Report
from services.research.track_record import Backtest
from services.research.tune import Shift, TunedRule
from services.rules.chart_series import IndexedReturns


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What an answer rests on: how far its last prices can be trusted, and what the sources failed at."""

    trust: Trust = FULL
    problems: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainResult:
    """Why the legs parted over a window, and what that rests on.

    `so_far` is the session that is open, apart from the window; where it cannot be parted, `unlive` says why.
    """

    explanation: Explanation
    basis: Provenance
    so_far: IntradayAttribution | None = None
    unlive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """What a rule would have done, on which `curve`, and what that rests on."""

    backtest: Backtest
    curve: IndexedReturns
    basis: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult:
    """A report, and what it rests on."""

    report: Report
    basis: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneResult:
    """The rule for a wanted rate, what it would change against others, and what that rests on."""

    tuned: TunedRule
    shifts: tuple[Shift, ...]
    basis: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownResult:
    """How far both legs are below their highs at a session's close; a leg without a price there is left out."""

    session: date
    legs: tuple[Underwater, ...]
    basis: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    """The bitcoin network now, each figure with its standing in its own past, and what mining earns.

    `price` is bitcoin's last, None where it is unknown. The hashprices are in US dollars for a petahash a second a day,
    with fees and without; the standing is of the one without. None is what cannot be told.
    """

    judged: CheckedNetwork
    price: Quote | None
    hashprice: float | None
    without_fees: float | None
    difficulty: PercentileRank | None
    hashrate: PercentileRank | None
    hashprice_standing: PercentileRank | None
    basis: Provenance
