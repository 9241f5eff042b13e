"""Build a report on a range of sessions: returns, backtests, attribution and drawdowns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Bars, Closes, Symbol
from services.core.reason import Reason
from services.core.sessions import Sessions
from services.market.align import Aligned, Exclusion, PriorHigh
from services.market.basis import Basis, daily_closes
from services.market.chart_points import common_rows
from services.market.measure import (
    Drawdown,
    Measurement,
    NotMeasured,
    Window,
    drawdown,
    drawdown_series,
    measure,
    spread_series,
)
from services.research.attribution import LOOKBACK, Attribution, Legs, attribute_return, fit_betas
from services.research.explain import Explanation, explain
from services.research.track_record import Backtest, build_backtest
from services.rules.chart_series import IndexedReturns, indexed_returns_over, replayed_series
from services.rules.replay import replay
from services.rules.rule import Rule

ATTRIBUTION_WINDOWS = (Window.D20, Window.D60, Window.D252, Window.YTD)  # of the attribution table
EXPLAINED_WINDOW = Window.YTD
RECENT_SESSIONS = 60  # of a window's recent spreads


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInput:
    """Prices that a report is computed from.

    Attributes:
        aligned: Both legs, one row per session.
        etf, crypto: Prices that `aligned` was made from.
        proxy: Closes of the AI proxy; None, with the reason in `proxy_missing`, if there are none.
        daily: Older daily bars of the crypto leg, if any.
        loading: Older prices of the crypto leg are still being loaded.
    """

    aligned: Aligned
    etf: Bars | Closes
    crypto: Bars | Closes
    sessions: Sessions
    proxy: Closes | None
    proxy_missing: Reason | str = ""
    daily: Bars | None = None
    loading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownSummary:
    """Drawdown of one leg: of a share at session closes, of a coin at daily UTC closes if they are known.

    Attributes:
        current: Drawdown at the last close.
        max_depth: Deepest drawdown so far, as a fraction, on `max_depth_on`.
        first_session: First session or UTC day with a price.
        sessions_since_high: Sessions or days after the high, at most those since `first_session`.
        percentile: Rank of the depth: share of the sessions or days since `first_session` that were less deep, 0 to
            100; ties count half. The last one counts too.
        basis: What it counts.
    """

    symbol: Symbol
    current: Drawdown
    max_depth: float
    max_depth_on: date
    first_session: date
    sessions_since_high: int
    percentile: float
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSpread:
    """The spread over one window at the last session, and at each of the last 60 sessions; NaN without a price."""

    measured: Measurement | NotMeasured
    recent: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Findings on a range of sessions.

    Attributes:
        curve: Indexed returns of both legs with one series per rule.
        sessions: Sessions with both prices, of `requested` ones.
        spreads: One per window, at the last session.
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
    spreads: tuple[WindowSpread, ...]
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
        spreads=tuple(_window_spread(known, window) for window in Window),
        backtests=tuple(build_backtest(known, replayed) for replayed in outcome.rules),
        explanation=explanation,
        attributions=attributions,
        drawdowns=summarize_drawdowns(known, prices.crypto, prices.daily, loading=prices.loading),
        drawdown_paths=_drawdown_paths(known, rows),
        left_out=tuple(
            exclusion for exclusion in prices.aligned.exclusions if np.datetime64(exclusion.session) in requested
        ),
        sources=(known.etf_source, known.crypto_source),
    )


def _window_spread(known: Aligned, window: Window) -> WindowSpread:
    recent = spread_series(known, window)[-RECENT_SESSIONS:]
    return WindowSpread(measured=measure(known, window), recent=tuple(recent.tolist()))


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


def summarize_drawdowns(
    aligned: Aligned, crypto: Bars | Closes, older: Bars | None = None, *, loading: bool = False
) -> tuple[DrawdownSummary, ...]:
    """Summarize the drawdowns of both legs at the last row, without a leg that has no price there.

    A coin's is measured at daily UTC closes up to the day of the last row, whose close is a few hours later. `crypto`
    are the prices that `aligned` was made from, `older` daily bars before them.
    """
    daily = daily_closes(crypto, older, aligned.sessions[-1].item()) if isinstance(crypto, Bars) else None
    legs = (
        summarize_drawdown(aligned, aligned.pair.etf, aligned.etf),
        summarize_drawdown(aligned, aligned.pair.crypto, aligned.crypto, aligned.crypto_prior_high, loading=loading)
        if daily is None
        else summarize_daily_drawdown(daily, loading=loading),
    )
    return tuple(leg for leg in legs if leg)


def summarize_drawdown(
    aligned: Aligned,
    symbol: Symbol,
    prices: NDArray[np.float64],
    prior_high: PriorHigh | None = None,
    *,
    loading: bool = False,
) -> DrawdownSummary | None:
    """Summarize the drawdown of one leg of `aligned` at its last row; return None if that row has no price."""
    current = drawdown(aligned, prices, prior_high)
    if current is None:
        return None
    source = aligned.etf_source if symbol == aligned.pair.etf else aligned.crypto_source
    return _summary(symbol, current, aligned.sessions, drawdown_series(prices, prior_high), source, loading=loading)


def summarize_daily_drawdown(daily: Bars, *, loading: bool = False) -> DrawdownSummary:
    """Summarize the drawdown of a coin at the last of its daily UTC closes."""
    days, depths = daily.opened_at.astype("datetime64[D]"), drawdown_series(daily.closes)
    high = int(np.argmax(daily.closes))
    current = Drawdown(
        depth=float(depths[-1]),
        high=float(daily.closes[high]),
        high_on=days[high].item(),
        since=days[0].item(),
    )
    summary = _summary(daily.symbol, current, days, depths, daily.source, loading=loading)
    return replace(summary, basis=replace(summary.basis, daily=True))


def _summary(
    symbol: Symbol,
    current: Drawdown,
    days: NDArray[np.datetime64],
    depths: NDArray[np.float64],
    source: str,
    *,
    loading: bool,
) -> DrawdownSummary:
    known = np.isfinite(depths)
    deepest, known_days = int(np.nanargmax(depths)), days[known]
    less_deep, equal = (depths[known] < depths[-1]).sum(), (depths[known] == depths[-1]).sum()
    return DrawdownSummary(
        symbol=symbol,
        current=current,
        max_depth=float(depths[deepest]),
        max_depth_on=days[deepest].item(),
        first_session=known_days[0].item(),
        sessions_since_high=int((days > np.datetime64(current.high_on)).sum()),
        percentile=float(100 * (less_deep + 0.5 * equal) / known.sum()),
        basis=Basis(
            first=known_days[0].item(),
            last=known_days[-1].item(),
            sessions=int(known.sum()),
            source=source,
            loading=loading,
        ),
    )


def _drawdown_paths(known: Aligned, rows: range) -> tuple[tuple[float, ...], tuple[float, ...]]:
    with np.errstate(invalid="ignore"):
        etf, crypto = drawdown_series(known.etf), drawdown_series(known.crypto, known.crypto_prior_high)
    return tuple(etf[rows.start :].tolist()), tuple(crypto[rows.start :].tolist())
