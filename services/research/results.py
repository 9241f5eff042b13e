"""Results of the research service, each with the provenance of its prices."""

from dataclasses import dataclass
from datetime import date

from services.core.prices import Quote
from services.core.reason import Reason
from services.core.trust import TRUSTED, Trust
from services.market.network_checks import CheckedNetwork
from services.market.network_history import PercentileRank
from services.research.attribution import IntradayAttribution
from services.research.drawdown import DrawdownSummary
from services.research.explain import Explanation
from services.research.report import Report
from services.research.track_record import Backtest
from services.research.tune import RuleDiff, TunedRule
from services.rules.chart_series import IndexedReturns


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Data quality of a result: trust in the last prices, and source failures."""

    trust: Trust = TRUSTED
    problems: tuple[Reason | str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainResult:
    """An explanation of the spread over a window.

    Attributes:
        intraday: Attribution of the open session, not part of the window.
        no_intraday_reason: Why an open session has no attribution; empty while the market is closed.
    """

    explanation: Explanation
    provenance: Provenance
    intraday: IntradayAttribution | None = None
    no_intraday_reason: Reason | str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """A backtest of one rule, with the curve to draw."""

    backtest: Backtest
    curve: IndexedReturns
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult:
    """A report on a range of sessions."""

    report: Report
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneResult:
    """A rule tuned to a target rate, with its differences from existing rules."""

    tuned: TunedRule
    diffs: tuple[RuleDiff, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownResult:
    """Drawdowns of both legs at a session's close; a leg without a price there is left out."""

    session: date
    legs: tuple[DrawdownSummary, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkResult:
    """The bitcoin network now, with the rank of each figure in its own history; None means unknown.

    Attributes:
        price: Last bitcoin price.
        hashprice, hashprice_without_fees: US dollars per PH/s per day.
        hashprice_rank: Rank of the hashprice without fees.
    """

    checked: CheckedNetwork
    price: Quote | None
    hashprice: float | None
    hashprice_without_fees: float | None
    difficulty_rank: PercentileRank | None
    hashrate_rank: PercentileRank | None
    hashprice_rank: PercentileRank | None
    provenance: Provenance
