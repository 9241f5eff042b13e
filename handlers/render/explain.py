"""Attribution of the ETF's return: contributions with standard errors, rolling betas, and sensitivity."""

from collections.abc import Iterable
from datetime import timedelta
from statistics import NormalDist

from handlers.render import fmt
from handlers.render.market import provenance_lines
from handlers.render.markup import escape, mark_simulated, reason
from handlers.render.message import Message, compose, context, header, section, table
from services.core.prices import AI_PROXY
from services.market.measure import BETA_SESSIONS
from services.research.attribution import LOOKBACK, Attribution, Part
from services.research.explain import Beta, Explanation, FactorBetas, RollingBetas
from services.research.service import ExplainResult
from services.research.tune import CONFIDENCE

MINUTE = timedelta(minutes=1)
SIGNIFICANT_ERRORS = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # in standard errors; a smaller change may be chance
METHOD = (
    f"Betas: least squares on the 1-day returns of the {LOOKBACK} sessions before each day, never on the day itself. "
    "Each day's parts are scaled by what a dollar had grown to, so that they add up to the whole. ± is one standard "
    "error, from the betas alone."
)


def explain_message(result: ExplainResult) -> Message:
    """Return an attribution, with the contributions as a table and as text lines for screen readers."""
    explanation = result.explanation
    title = mark_simulated(_title(explanation), when=result.provenance.simulated)
    move, pivot, sensitivity, unexplained, live = (
        _move_lines(explanation),
        _pivot_lines(explanation),
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
            section(*pivot),
            section(*sensitivity),
            context(*notes),
        ],
        [title, *move, *_part_lines(explanation), *unexplained, *live, *pivot, *sensitivity, *notes],
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
        return "When they moved within a day cannot be told: too few of their prices at openings are known."
    steps = fmt.sessions(explanation.attribution.steps)
    unsplit = f"; {hours.excluded} of {steps} could not be split" if hours.excluded else ""
    crypto_split = fmt.percent(hours.crypto.in_session), fmt.percent(hours.crypto.out_of_session)
    if hours.etf is None:
        inside, outside = crypto_split
        text = f"{fmt.title(explanation.pair.crypto)} {inside} while New York traded, {outside} while it was shut"
        return f"{text}{unsplit}. When {etf} moved within a day cannot be told: too few of its openings are known."
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
        [name, fmt.pp(part.amount), f"± {fmt.unsigned(100 * part.error)}", _own_return(own)]
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
            [f"*Live*: today's session cannot be parted: {reason(result.no_intraday_reason)}."]
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


def _pivot_lines(explanation: Explanation) -> list[str]:
    """Return how both betas have changed, as a sentence, as numbers and as sparklines."""
    betas = explanation.betas
    if betas is None:
        return ["The pivot gauge has too little history."]
    crypto, proxy = fmt.name(explanation.pair.crypto), escape(explanation.proxy)
    crypto_bars = _beta_bars(reading.crypto for reading in betas.path)
    proxy_bars = _beta_bars(reading.proxy for reading in betas.path)
    return [
        f"*Pivot gauge.* {_pivot_sentence(explanation, betas)}",
        f"{fmt.full_day(betas.first.session)}: {_betas_text(explanation, betas.first)}.",
        f"{fmt.full_day(betas.last.session)}: {_betas_text(explanation, betas.last)}.",
        f"{crypto} {crypto_bars}; {proxy} {proxy_bars}",
    ]


def _pivot_sentence(explanation: Explanation, betas: RollingBetas) -> str:
    """Return which betas rose and which fell, if the change is beyond both errors."""
    etf, crypto, proxy = fmt.title(explanation.pair.etf), fmt.name(explanation.pair.crypto), escape(explanation.proxy)
    changes = (
        (crypto, _significant_direction(betas.first.crypto, betas.last.crypto)),
        (proxy, _significant_direction(betas.first.proxy, betas.last.proxy)),
    )
    changed = [(name, "more" if change > 0 else "less") for name, change in changes if change]
    if not changed:
        return f"{etf} follows {crypto} and {proxy} no differently than the errors allow."
    (first, direction), *rest = changed
    others = "".join(f", and {name} {direction}" for name, direction in rest)
    return f"{etf} follows {first} {direction} than it did{others}."


def _significant_direction(before: Beta, after: Beta) -> int:
    """Return the sign of a change that is larger than chance explains 9 times out of 10, else 0."""
    change = after.value - before.value
    significant = abs(change) > SIGNIFICANT_ERRORS * (before.error**2 + after.error**2) ** 0.5
    return (1 if change > 0 else -1) if significant else 0


def _betas_text(explanation: Explanation, reading: FactorBetas) -> str:
    crypto, proxy = fmt.name(explanation.pair.crypto), escape(explanation.proxy)
    share = f"together {100 * reading.r2:.0f}% of the days' variance"
    return f"beta to {crypto} {_beta_text(reading.crypto)}, to {proxy} {_beta_text(reading.proxy)}; {share}"


def _beta_text(beta: Beta) -> str:
    return f"*{fmt.ratio(beta.value)}* ± {beta.error:.2f}"


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
            f"{fmt.ratio(current.crypto.value)}%; {escape(explanation.proxy)} alone, {fmt.ratio(current.proxy.value)}%."
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
