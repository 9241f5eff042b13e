"""Build a report on a range of sessions: returns, backtests, attribution and drawdowns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Bars, Closes
from services.core.reason import Reason
from services.core.sessions import Sessions
from services.market.align import Aligned, Exclusion
from services.market.measure import NotMeasured, Window, drawdown_series
from services.research.attribution import LOOKBACK, Attribution, Legs, attribute_return, fit_betas
from services.research.drawdown import DrawdownSummary, summarize_drawdown
from services.research.explain import Explanation, explain
from services.research.track_record import Backtest, build_backtest
from services.rules.chart_series import IndexedReturns, common_rows, indexed_returns_over, replayed_series
from services.rules.replay import replay
from services.rules.rule import Rule

ATTRIBUTION_WINDOWS = (Window.D20, Window.D60, Window.D252, Window.YTD)  # of the attribution table
EXPLAINED_WINDOW = Window.YTD


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInput:
    """Prices that a report is computed from.

    Attributes:
        aligned: Both legs, one row per session.
        etf, crypto: Prices that `aligned` was made from.
        proxy: Closes of the AI proxy; None, with the reason in `proxy_missing`, if there are none.
    """

    aligned: Aligned
    etf: Bars | Closes
    crypto: Bars | Closes
    sessions: Sessions
    proxy: Closes | None
    proxy_missing: Reason | str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Findings on a range of sessions.

    Attributes:
        curve: Indexed returns of both legs with one series per rule.
        sessions: Sessions with both prices, of `requested` ones.
        backtests: One per rule.
        explanation: Explanation of the year to date, or the reason why there is none.
        attributions: Attribution per window; empty without an explanation.
        drawdowns: Drawdown at the last session, for each leg that has a price there.
        drawdown_paths: Drawdown of each leg at each point of `curve`, as fractions; NaN without a price.
        left_out: Requested sessions without both prices.
    """

    curve: IndexedReturns
    sessions: int
    requested: int
    backtests: tuple[Backtest, ...]
    explanation: Explanation | Reason | str
    attributions: tuple[Attribution | NotMeasured, ...]
    drawdowns: tuple[DrawdownSummary, ...]
    drawdown_paths: tuple[tuple[float, ...], tuple[float, ...]]
    left_out: tuple[Exclusion, ...]
    sources: tuple[str, str]


def build_report(
    prices: ReportInput, rules: Sequence[Rule], first: date | None = None, last: date | None = None
) -> Report:
    """Report on the sessions from `first` to `last`. Earlier sessions feed the lookbacks; later ones are not used.

    Raises NoHistoryError if no session has both prices, and ReplayError for a rule that closes cannot decide.
    """
    rows = common_rows(prices.aligned, first, last)
    requested = _requested_sessions(prices.aligned, first, last)
    known = prices.aligned.head(rows.stop)
    begin, end = known.sessions[rows.start].item(), known.sessions[-1].item()
    outcome = replay(known, rules, first=begin, last=end)
    explanation, attributions = _explain(prices, rows.stop)
    return Report(
        curve=indexed_returns_over(known, rows, [replayed_series(known, rows, replayed) for replayed in outcome.rules]),
        sessions=outcome.sessions,
        requested=len(requested),
        backtests=tuple(build_backtest(known, replayed) for replayed in outcome.rules),
        explanation=explanation,
        attributions=attributions,
        drawdowns=_drawdowns(known),
        drawdown_paths=_drawdown_paths(known, rows),
        left_out=tuple(
            exclusion for exclusion in prices.aligned.exclusions if np.datetime64(exclusion.session) in requested
        ),
        sources=(known.etf_source, known.crypto_source),
    )


def _requested_sessions(aligned: Aligned, first: date | None, last: date | None) -> NDArray[np.datetime64]:
    """Return the requested sessions, including those before the first and after the last one with both prices."""
    days = aligned.sessions
    return days[(days >= np.datetime64(first or days[0])) & (days <= np.datetime64(last or days[-1]))]


def _explain(
    prices: ReportInput, rows: int
) -> tuple[Explanation | Reason | str, tuple[Attribution | NotMeasured, ...]]:
    if prices.proxy is None:
        return prices.proxy_missing, ()
    legs = Legs.of(prices.aligned.head(rows), prices.proxy).until_complete()
    try:
        explanation = explain(legs, EXPLAINED_WINDOW, prices.etf, prices.crypto, prices.sessions)
    except NoHistoryError as error:
        return error.reason, ()
    fits = fit_betas(legs, LOOKBACK)
    return explanation, tuple(attribute_return(legs, window, fits=fits) for window in ATTRIBUTION_WINDOWS)


def _drawdowns(known: Aligned) -> tuple[DrawdownSummary, ...]:
    legs = (
        summarize_drawdown(known, known.pair.etf, known.etf),
        summarize_drawdown(known, known.pair.crypto, known.crypto, known.crypto_prior_high),
    )
    return tuple(leg for leg in legs if leg)


def _drawdown_paths(known: Aligned, rows: range) -> tuple[tuple[float, ...], tuple[float, ...]]:
    with np.errstate(invalid="ignore"):
        etf, crypto = drawdown_series(known.etf), drawdown_series(known.crypto, known.crypto_prior_high)
    return tuple(etf[rows.start :].tolist()), tuple(crypto[rows.start :].tolist())
