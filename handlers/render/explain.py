"""Attribution of the ETF's return: contributions with standard errors, rolling betas, and sensitivity."""

from collections.abc import Iterable
from datetime import timedelta

from handlers.render import fmt
from handlers.render.market import provenance_lines
from handlers.render.markup import escape, mark_simulated, reason
from handlers.render.message import Message, compose, context, header, section, table
from services.core.prices import AI_PROXY
from services.market.measure import BETA_SESSIONS
from services.research.attribution import LOOKBACK, Attribution, Part
from services.research.explain import Beta, Explanation, FactorBetas, RollingBetas
from services.research.service import ExplainResult

MINUTE = timedelta(minutes=1)
METHOD = (
    f"Betas: least squares on the 1-day returns of the {LOOKBACK} sessions before each day, never on the day itself. "
    "Each day's parts are scaled by what a dollar had grown to, so that they add up to the whole. ± is the estimation "
    "error of the betas: one standard error (HC3). If the true betas have changed since, the error is larger."
)


def explain_message(result: ExplainResult) -> Message:
    """Return an attribution, with the contributions as a table and as text lines for screen readers."""
    explanation = result.explanation
    title = mark_simulated(_title(explanation), when=result.provenance.simulated)
    move, betas, sensitivity, unexplained, live = (
        _move_lines(explanation),
        _beta_lines(explanation),
        _sensitivity_lines(explanation),
        _unexplained_sessions(explanation),
        _live_lines(result),
    )
    notes = [
        METHOD,
        _proxy_note(explanation),
        *_opening_price_note(explanation),
        *provenance_lines(result.provenance, _source_note(explanation)),
    ]
    return compose(
        [
            header(title),
            section(*move),
            table(_table_rows(explanation)),
            section(*unexplained, *live),
            section(*betas),
            section(*sensitivity),
            context(*notes),
        ],
        [title, *move, *_part_lines(explanation), *unexplained, *live, *betas, *sensitivity, *notes],
    )


def _title(explanation: Explanation) -> str:
    parts = explanation.attribution
    return (
        f"{explanation.pair.etf} {fmt.percent(parts.etf_return)} {fmt.over_window(parts.window, parts.session)}: "
        f"{fmt.name(explanation.pair.crypto)} {fmt.pp(parts.crypto.amount)}, AI {fmt.pp(parts.proxy.amount)}, "
        f"the rest {fmt.pp(parts.residual.amount)}"
    )


def _move_lines(explanation: Explanation) -> list[str]:
    """Return the period, which leg moved more, and the split by trading hours."""
    parts, etf, crypto = explanation.attribution, fmt.title(explanation.pair.etf), fmt.name(explanation.pair.crypto)
    span = f"From the close of {fmt.full_day(parts.anchor)} to that of {fmt.full_day(parts.session)}."
    etf_move, crypto_move = fmt.percent(parts.etf_return), fmt.percent(parts.crypto_return)
    if abs(parts.etf_return) >= abs(parts.crypto_return):
        larger = f"{etf} moved more: {etf_move}, {crypto} {crypto_move}."
    else:
        larger = f"{fmt.title(explanation.pair.crypto)} moved more: {crypto_move}, {etf} {etf_move}."
    return [span, larger, _hours_line(explanation)]


def _hours_line(explanation: Explanation) -> str:
    etf, crypto, hours = fmt.title(explanation.pair.etf), fmt.name(explanation.pair.crypto), explanation.session_split
    if hours is None:
        return "There is no split by trading hours: too few of their opening prices are known."
    steps = fmt.sessions(explanation.attribution.steps)
    unsplit = f"; {hours.excluded} of {steps} could not be split" if hours.excluded else ""
    crypto_split = fmt.percent(hours.crypto.in_session), fmt.percent(hours.crypto.out_of_session)
    if hours.etf is None:
        inside, outside = crypto_split
        text = f"{fmt.title(explanation.pair.crypto)} {inside} while New York traded, {outside} while it was shut"
        return f"{text}{unsplit}. There is no such split for {etf}: too few of its opening prices are known."
    etf_split = fmt.percent(hours.etf.in_session), fmt.percent(hours.etf.out_of_session)
    return (
        f"While New York traded: {etf} {etf_split[0]}, {crypto} {crypto_split[0]}. "
        f"While it was shut: {etf} {etf_split[1]}, {crypto} {crypto_split[1]}{unsplit}."
    )


def _opening_price_note(explanation: Explanation) -> list[str]:
    """Return how many minutes before the opening bitcoin's price is taken; nothing if at the opening itself."""
    early = explanation.session_split.open_price_age if explanation.session_split else timedelta(0)
    if not early:
        return []
    return [f"At an opening, {fmt.name(explanation.pair.crypto)} has its price of {early // MINUTE} minutes before."]


def _named_parts(explanation: Explanation) -> list[tuple[str, Part, float | None]]:
    parts = explanation.attribution
    return [
        (fmt.title(explanation.pair.crypto), parts.crypto, parts.crypto_return),
        (f"AI ({escape(explanation.proxy)})", parts.proxy, parts.proxy_return),
        ("The rest", parts.residual, None),
    ]


def _table_rows(explanation: Explanation) -> list[list[str]]:
    etf = explanation.attribution.etf_return
    rows = [
        [name, fmt.pp(part.amount), fmt.pp_error(part.error), _own_return(own)]
        for name, part, own in _named_parts(explanation)
    ]
    total = [fmt.title(explanation.pair.etf), fmt.pp(etf), fmt.NO_VALUE, fmt.percent(etf)]
    return [["Part", "Of the return", "Error", "Own return"], *rows, total]


def _own_return(value: float | None) -> str:
    return fmt.NO_VALUE if value is None else fmt.percent(value)


def _part_lines(explanation: Explanation) -> list[str]:
    lines = [
        f"{name}: {fmt.pp_with_error(part.amount, part.error)}"
        + ("" if own is None else f", itself {fmt.percent(own)}")
        for name, part, own in _named_parts(explanation)
    ]
    return [*lines, f"Together: {fmt.pp(explanation.attribution.etf_return)}."]


def _unexplained_sessions(explanation: Explanation) -> list[str]:
    later = explanation.later_sessions
    if later is None:
        return []
    names = " and ".join(fmt.name(symbol) for symbol in later.missing)
    count = f"{fmt.sessions(later.count)} after that, up to {fmt.full_day(later.last)}"
    return [f"*Not explained*: {count}, for want of a price of {names}."]


def _live_lines(result: ExplainResult) -> list[str]:
    """Return the open session's attribution, kept separate because the closed figures don't include it."""
    explanation, live = result.explanation, result.intraday
    if live is None:
        return (
            [f"*Live*: today's session can't be attributed: {reason(result.no_intraday_reason)}."]
            if result.no_intraday_reason
            else []
        )
    etf, crypto = fmt.title(explanation.pair.etf), fmt.name(explanation.pair.crypto)
    parts = [
        f"{crypto} {fmt.pp_with_error(live.crypto.amount, live.crypto.error)}",
        f"AI {fmt.pp_with_error(live.proxy.amount, live.proxy.error)}",
        f"the rest {fmt.pp_with_error(live.residual.amount, live.residual.error)}",
    ]
    proxy = escape(explanation.proxy)
    own = f"{crypto} itself {fmt.percent(live.crypto_return)}, {proxy} {fmt.percent(live.proxy_return)}"
    when = f"since the close of {fmt.day(live.anchor)}, at {fmt.time_utc(live.at)}"
    total = f"{etf} {fmt.percent(live.etf_return)}: {', '.join(parts)}"
    return [f"*Live, and not in the figures above*: {when}, {total}.", f"By the betas of that close; {own}."]


def _beta_lines(explanation: Explanation) -> list[str]:
    """Return whether the betas have changed, both estimates, sparklines between them, and the latest correlation."""
    return [*_rolling_betas_lines(explanation), *_correlation_line(explanation)]


def _rolling_betas_lines(explanation: Explanation) -> list[str]:
    betas = explanation.betas
    if betas is None:
        return ["*Rolling betas*: too little history."]
    crypto, proxy = fmt.name(explanation.pair.crypto), escape(explanation.proxy)
    crypto_bars = _beta_bars(estimate.crypto for estimate in betas.path)
    proxy_bars = _beta_bars(estimate.proxy for estimate in betas.path)
    return [
        f"*Rolling betas.* {change_verdict(betas)}",
        f"{fmt.full_day(betas.first.session)}: {_betas_text(explanation, betas.first)}.",
        f"{fmt.full_day(betas.last.session)}: {_betas_text(explanation, betas.last)}.",
        f"{crypto} {crypto_bars}; {proxy} {proxy_bars}",
    ]


def change_verdict(betas: RollingBetas) -> str:
    """Return whether the betas have changed, with the test's p-value, or why that is not known."""
    if betas.test is not None:
        verdict = "The betas have changed" if betas.have_changed else "No change beyond estimation error"
        return f"{verdict} ({fmt.p_value(betas.test.p)})."
    if betas.shared_sessions:
        return f"No verdict on a change: the two estimates share {fmt.sessions(betas.shared_sessions)}."
    return "No verdict on a change: the errors of the betas are not known."


def _betas_text(explanation: Explanation, estimate: FactorBetas) -> str:
    crypto, proxy = fmt.name(explanation.pair.crypto), escape(explanation.proxy)
    return f"{crypto} {_beta_text(estimate.crypto)}, {proxy} {_beta_text(estimate.proxy)}, R² {fmt.ratio(estimate.r2)}"


def _beta_text(beta: Beta) -> str:
    return fmt.beta(beta.value, beta.error)


def _correlation_line(explanation: Explanation) -> list[str]:
    """Return the correlation of the ETF with bitcoin alone; nothing if it is not known."""
    if explanation.correlation is None:
        return []
    legs = f"{fmt.title(explanation.pair.etf)} and {fmt.name(explanation.pair.crypto)}"
    return [f"{legs} over {BETA_SESSIONS} sessions: {fmt.correlation(explanation.correlation)}."]


def _beta_bars(betas: Iterable[Beta]) -> str:
    """Return betas as a sparkline, with the lowest and the highest value."""
    values = [beta.value for beta in betas]
    return f"{fmt.sparkline(values)} {fmt.ratio(min(values))} to {fmt.ratio(max(values))}"


def _sensitivity_lines(explanation: Explanation) -> list[str]:
    """Return the result with a shorter lookback, and what a 1% move of each factor implies."""
    lines = list[str]()
    etf, crypto = fmt.title(explanation.pair.etf), fmt.name(explanation.pair.crypto)
    if explanation.short_lookback is not None:
        summary = _parts_summary(explanation, explanation.short_lookback)
        lines.append(f"With betas of {BETA_SESSIONS} sessions instead: {summary}.")
    if explanation.betas is not None:
        current = explanation.betas.last
        lines.append(
            f"A day on which {crypto} alone moves 1% should move {etf} "
            f"{fmt.ratio(current.crypto.value)}%; {escape(explanation.proxy)} alone, {fmt.ratio(current.proxy.value)}% "
            f"(R² {fmt.ratio(current.r2)})."
        )
    return ["*What would change the picture*", *lines] if lines else []


def _parts_summary(explanation: Explanation, parts: Attribution) -> str:
    crypto = f"{fmt.name(explanation.pair.crypto)} {fmt.pp(parts.crypto.amount)}"
    return f"{crypto}, AI {fmt.pp(parts.proxy.amount)}, the rest {fmt.pp(parts.residual.amount)}"


def _proxy_note(explanation: Explanation) -> str:
    proxy = escape(explanation.proxy)
    driver = "chips" if explanation.proxy == AI_PROXY else "it"
    return f"{proxy} is a proxy for AI: it stands for what moves with {driver}, whatever the miners themselves do."


def _source_note(explanation: Explanation) -> str:
    etf, crypto, proxy = map(escape, explanation.sources)
    names = f"{fmt.title(explanation.pair.etf)} from {etf}, {fmt.name(explanation.pair.crypto)} from {crypto}"
    return f"Session closes: {names}, {escape(explanation.proxy)} from {proxy}."
