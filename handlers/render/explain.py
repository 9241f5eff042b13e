"""Attribution of the ETF's return: factors with standard errors, rolling betas, today so far, and other betas."""

from collections.abc import Callable, Sequence
from datetime import date

from handlers.render import fmt
from handlers.render.alert_text import FACTOR
from handlers.render.market import closes_text, context_lines, data_quality
from handlers.render.markup import escape, mark_simulated, plain
from handlers.render.message import (
    CHART_LABEL,
    Block,
    Message,
    clip,
    compose,
    context,
    header,
    line_chart,
    notification,
    section,
    table,
)
from handlers.render.reasons import reason
from services.core.prices import AI_PROXY
from services.market.measure import BETA_SESSIONS
from services.research.attribution import LOOKBACK, Attribution, IntradayAttribution, Part
from services.research.explain import Beta, Explanation, FactorBetas, RollingBetas
from services.research.service import ExplainResult

AI_FACTOR = f"AI{FACTOR}"
CHARTED_BETAS = 9  # about one a quarter in two years
MINIMUM_POINTS = 2  # of a line
METHOD = (
    f"Betas come from least squares on the 1-session returns of the {LOOKBACK} sessions before each session, never on "
    "the session itself. Each session's contributions are scaled by the growth since the start, so they add up to "
    "the return. ± is one standard error (HC3) of the betas; the true error is larger if the betas have since changed. "
    "BTC's price at the open is that of the last bar before it; sessions without an opening price are in neither "
    "market hours nor overnight. Attribution shows co-movement, not cause."
)


def explain_message(result: ExplainResult) -> Message:
    """Return a return attribution with its factors as a table and the betas as a chart."""
    explanation = result.explanation
    title = mark_simulated(_title(explanation), when=result.provenance.simulated)
    return compose(
        [
            header(title),
            table(_table_rows(explanation)),
            section(*_beta_lines(explanation)),
            _beta_chart(explanation, simulated=result.provenance.simulated),
            section(
                *_today_lines(result),
                *_later_lines(explanation),
                *_short_lookback_lines(explanation),
                *_hours_lines(explanation),
            ),
            context(*context_lines(result.provenance, *_context_parts(explanation))),
        ],
        notification(
            f"{mark_simulated(_summary(explanation), when=result.provenance.simulated)}.",
            *_beta_summary(explanation),
            f"{plain(data_quality(result.provenance.trust))}.",
        ),
    )


def _title(explanation: Explanation) -> str:
    """Return the return and its largest part: `WGMI +88.4% in 2026: AI factor +83.7 pp`."""
    parts = _parts(explanation, explanation.attribution)
    name, part, _own = max(parts, key=lambda row: abs(row[1].amount))
    return f"{_move(explanation)}: {name} {fmt.pp(part.amount)}"


def _summary(explanation: Explanation) -> str:
    return f"{_move(explanation)}: {_parts_text(explanation, explanation.attribution)}"


def _move(explanation: Explanation) -> str:
    parts = explanation.attribution
    return f"{explanation.pair.etf} {fmt.percent(parts.etf_return)} {fmt.over_window(parts.window, parts.session)}"


def _parts(explanation: Explanation, parts: Attribution | IntradayAttribution) -> list[tuple[str, Part, float | None]]:
    """Return the name, contribution and own return of each factor, the larger first, then of the residual."""
    factors: list[tuple[str, Part, float | None]] = [
        (f"{fmt.name(explanation.pair.crypto)}{FACTOR}", parts.crypto, parts.crypto_return),
        (AI_FACTOR, parts.proxy, parts.proxy_return),
    ]
    return [*sorted(factors, key=lambda row: -abs(row[1].amount)), ("residual", parts.residual, None)]


def _parts_text(
    explanation: Explanation, parts: Attribution | IntradayAttribution, write: Callable[[Part], str] | None = None
) -> str:
    written = write or (lambda part: fmt.pp(part.amount))
    return ", ".join(f"{name} {written(part)}" for name, part, _own in _parts(explanation, parts))


def _table_rows(explanation: Explanation) -> list[list[str]]:
    etf = fmt.signed(100 * explanation.attribution.etf_return)
    rows = [
        [
            f"AI ({escape(explanation.proxy)})" if name == AI_FACTOR else _capitalized(name.replace(FACTOR, "")),
            fmt.signed(100 * part.amount),
            fmt.NO_VALUE if part.error is None else fmt.unsigned(100 * part.error),
            fmt.NO_VALUE if own is None else fmt.signed(100 * own),
        ]
        for name, part, own in _parts(explanation, explanation.attribution)
    ]
    return [["Factor", "Contrib. pp", "± 1 SE", "Return %"], *rows, [explanation.pair.etf, etf, fmt.NO_VALUE, etf]]


def _beta_lines(explanation: Explanation) -> list[str]:
    """Return whether the betas have changed, both betas now and then, and the correlation with bitcoin alone."""
    betas, fit = explanation.betas, explanation.correlation
    legs = f"{fmt.name(explanation.pair.etf)} and {fmt.name(explanation.pair.crypto)}"
    correlation = [] if fit is None else [f"{legs} over {fmt.sessions(BETA_SESSIONS)}: {fmt.correlation(fit)}"]
    if betas is None:
        return ["*Rolling betas:* not enough history", *correlation]
    now, then = betas.last, betas.first
    when = f"{then.session:%b %Y}"
    factors = [
        (fmt.name(explanation.pair.crypto), now.crypto, then.crypto, f" in {when}"),
        (escape(explanation.proxy), now.proxy, then.proxy, ""),
    ]
    changes = " ".join(
        f"{name} {fmt.beta(current.value, current.error)}, was {_beta_text(before)}{at}."
        for name, current, before, at in factors
    )
    fits = f"R² {fmt.ratio(now.r2)}, was {fmt.ratio(then.r2)}."
    return [f"*Rolling betas:* {change_verdict(betas)}", f"{changes} {fits}", *correlation]


def _beta_text(beta: Beta) -> str:
    return f"{fmt.ratio(beta.value)}{'' if beta.error is None else f' ± {fmt.ratio(beta.error)}'}"


def change_verdict(betas: RollingBetas) -> str:
    """Return whether the betas have changed, with the test's p-value, or why that is not known."""
    if betas.test is not None:
        verdict = "The betas have changed" if betas.have_changed else "No change beyond estimation error"
        return f"{verdict} ({fmt.p_value(betas.test.p)})."
    if betas.shared_sessions:
        return f"It's unclear whether the betas changed: the two estimates share {fmt.sessions(betas.shared_sessions)}."
    return "It's unclear whether the betas changed: their errors are unknown."


def _beta_summary(explanation: Explanation) -> list[str]:
    betas = explanation.betas
    if betas is None:
        return []
    factors = [
        (fmt.name(explanation.pair.crypto), betas.last.crypto, betas.first.crypto),
        (escape(explanation.proxy), betas.last.proxy, betas.first.proxy),
    ]
    changes = "; ".join(
        f"beta to {name} {fmt.ratio(now.value)}, was {fmt.ratio(then.value)}" for name, now, then in factors
    )
    return [f"{_capitalized(changes)} in {betas.first.session:%b %Y}. R² {fmt.ratio(betas.last.r2)}."]


def _capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _beta_chart(explanation: Explanation, *, simulated: bool) -> Block | None:
    """Return a chart of both rolling betas; None if there is one estimate or none."""
    if explanation.betas is None or len(explanation.betas.path) < MINIMUM_POINTS:
        return None
    path = _spread_out(explanation.betas.path)
    crypto, proxy = (f"Beta to {name}" for name in (explanation.pair.crypto, explanation.proxy))
    return line_chart(  # adding 0.0 turns -0.0 into 0.0
        mark_simulated(f"{explanation.pair.etf} betas, {LOOKBACK} sessions", when=simulated),
        _labels([estimate.session for estimate in path]),
        {
            clip(crypto, CHART_LABEL): [round(estimate.crypto.value, 2) + 0.0 for estimate in path],
            clip(proxy, CHART_LABEL): [round(estimate.proxy.value, 2) + 0.0 for estimate in path],
        },
        x_label="Up to",
        y_label="Beta",
    )


def _spread_out(path: Sequence[FactorBetas]) -> list[FactorBetas]:
    """Return the first, the last and evenly spaced estimates between them, for a chart."""
    steps = min(CHARTED_BETAS, len(path)) - 1
    return [path[round(index * (len(path) - 1) / steps)] for index in range(steps + 1)]


def _labels(days: Sequence[date]) -> list[str]:
    """Return the months of a chart's points, or their dates if two are in one month."""
    months = [f"{day:%b %y}" for day in days]
    return months if len(set(months)) == len(months) else [fmt.full_day(day) for day in days]


def _today_lines(result: ExplainResult) -> list[str]:
    """Return the open session's attribution by the betas of the last close; it is not in the table."""
    explanation, live = result.explanation, result.intraday
    if live is None:
        why = result.no_intraday_reason
        return [f"*Today so far:* no attribution ({reason(why)})"] if why else []
    crypto, proxy = fmt.name(explanation.pair.crypto), escape(explanation.proxy)
    own = f"{crypto} {fmt.percent(live.crypto_return)}, {proxy} {fmt.percent(live.proxy_return)}"
    parts = _parts_text(explanation, live, lambda part: fmt.pp_with_error(part.amount, part.error))
    total = f"{explanation.pair.etf} {fmt.percent(live.etf_return)} since the {fmt.day(live.anchor)} close"
    return [f"*Today so far*, not in the table: {total} = {parts} ({own}; as of {fmt.clock_time(live.at)})"]


def _later_lines(explanation: Explanation) -> list[str]:
    later = explanation.later_sessions
    if later is None:
        return []
    names = " and ".join(fmt.name(symbol) for symbol in later.missing)
    return [f"*Not in the table:* {fmt.sessions(later.count)} since, to {fmt.full_day(later.last)}: no {names} price"]


def _short_lookback_lines(explanation: Explanation) -> list[str]:
    parts = explanation.short_lookback
    return [] if parts is None else [f"*With {BETA_SESSIONS}-session betas:* {_parts_text(explanation, parts)}"]


def _hours_lines(explanation: Explanation) -> list[str]:
    """Return the returns in and out of market hours, over the sessions whose opening prices are known."""
    hours, steps = explanation.session_split, explanation.attribution.steps
    etf, crypto = fmt.name(explanation.pair.etf), fmt.name(explanation.pair.crypto)
    if hours is None:
        return ["*Market hours and overnight:* too few opening prices"]
    inside, outside = fmt.percent(hours.crypto.in_session), fmt.percent(hours.crypto.out_of_session)
    used = f" (opening prices for {steps - hours.excluded} of {fmt.sessions(steps)})" if hours.excluded else ""
    if hours.etf is None:
        missing = f"Too few {etf} opening prices."
        return [f"*Market hours:* {crypto} {inside}. *Overnight:* {crypto} {outside}{used}. {missing}"]
    in_session, out_of_session = fmt.percent(hours.etf.in_session), fmt.percent(hours.etf.out_of_session)
    overnight = f"*Overnight:* {etf} {out_of_session}, {crypto} {outside}{used}."
    return [f"*Market hours:* {etf} {in_session}, {crypto} {inside}. {overnight}"]


def _context_parts(explanation: Explanation) -> list[str]:
    parts, (etf, crypto, proxy) = explanation.attribution, map(escape, explanation.sources)
    symbols = fmt.name(explanation.pair.etf), fmt.name(explanation.pair.crypto), escape(explanation.proxy)
    sources = ", ".join(f"{symbol} {source}" for symbol, source in zip(symbols, (etf, crypto, proxy), strict=True))
    holds = " (chip stocks)" if explanation.proxy == AI_PROXY else ""
    return [closes_text(parts.anchor, parts.session), sources, f"{symbols[2]}{holds} is a proxy for AI"]
