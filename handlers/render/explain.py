"""Why the ETF and bitcoin parted: the parts with their errors, the pivot gauge, and what would change the picture."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from statistics import NormalDist

from handlers.render import fmt
from handlers.render.footers import basis
from handlers.render.gauges import spark
from handlers.render.markup import escape, reason, simulated
from handlers.render.message import Message, compose, header, note, section, table
from services.core.prices import AI_PROXY
from services.market.measure import BETA_SESSIONS
from services.research.attribution import LOOKBACK, Attribution, Part
from services.research.explain import Beta, BetaGauge, Explanation, Reading
from services.research.results import ExplainResult
from services.research.tune import CERTAINTY

MINUTE = timedelta(minutes=1)
ERRORS = NormalDist().inv_cdf((1 + CERTAINTY) / 2)  # standard ones, within which a change may be chance
METHOD = (
    f"Betas: least squares on the 1-day returns of the {LOOKBACK} sessions before each day, never on the day itself. "
    "Each day's parts are scaled by what a dollar had grown to, so that they add up to the whole. ± is one standard "
    "error, from the betas alone."
)


def explain_message(told: ExplainResult) -> Message:
    """Render an explanation; the parts stand in a table, and in lines for those who cannot see it."""
    found = told.explanation
    title = simulated(_title(found), when=told.basis.simulated)
    moved, pivot, change, later, live = _moved(found), _pivot(found), _change(found), _later(found), _live(told)
    small = [METHOD, _proxy(found), *_openings(found), *basis(told.basis, _sources(found))]
    return compose(
        [
            header(title),
            section(*moved),
            table(_rows(found)),
            section(*later, *live),
            section(*pivot),
            section(*change),
            note(*small),
        ],
        [title, *moved, *_lines(found), *later, *live, *pivot, *change, *small],
    )


def _title(found: Explanation) -> str:
    parts = found.attribution
    return (
        f"{found.pair.etf} {fmt.percent(parts.etf_return)} {fmt.over(parts.window, parts.session)}: "
        f"{fmt.name(found.pair.crypto)} {fmt.pp(parts.crypto.amount)}, AI {fmt.pp(parts.proxy.amount)}, "
        f"the rest {fmt.pp(parts.residual.amount)}"
    )


def _moved(found: Explanation) -> list[str]:
    """Say from when to when, which leg moved more, and at what hours each did."""
    parts, etf, crypto = found.attribution, fmt.title(found.pair.etf), fmt.name(found.pair.crypto)
    span = f"From the close of {fmt.full_day(parts.anchor)} to that of {fmt.full_day(parts.session)}."
    ours, theirs = fmt.percent(parts.etf_return), fmt.percent(parts.crypto_return)
    if abs(parts.etf_return) >= abs(parts.crypto_return):
        which = f"{etf} moved more: {ours}, {crypto} {theirs}."
    else:
        which = f"{fmt.title(found.pair.crypto)} moved more: {theirs}, {etf} {ours}."
    return [span, which, _hours(found)]


def _hours(found: Explanation) -> str:
    etf, crypto, hours = fmt.title(found.pair.etf), fmt.name(found.pair.crypto), found.hours
    if hours is None:
        return "When they moved within a day cannot be told: too few of their prices at openings are known."
    left = f"; {hours.unsplit} of {found.attribution.steps} sessions could not be split" if hours.unsplit else ""
    theirs = fmt.percent(hours.crypto.inside), fmt.percent(hours.crypto.outside)
    if hours.etf is None:
        told = f"{fmt.title(found.pair.crypto)} {theirs[0]} while New York traded, {theirs[1]} while it was shut"
        return f"{told}{left}. When {etf} moved within a day cannot be told: too few of its openings are known."
    ours = fmt.percent(hours.etf.inside), fmt.percent(hours.etf.outside)
    return (
        f"While New York traded: {etf} {ours[0]}, {crypto} {theirs[0]}. "
        f"While it was shut: {etf} {ours[1]}, {crypto} {theirs[1]}{left}."
    )


def _openings(found: Explanation) -> list[str]:
    """Say how early the prices of bars are that stand for those at openings."""
    early = found.hours.early if found.hours else timedelta(0)
    if not early:
        return []
    return [f"At an opening, {fmt.name(found.pair.crypto)} has its price of {early // MINUTE} minutes before."]


def _parts(found: Explanation) -> list[tuple[str, Part, float | None]]:
    parts = found.attribution
    return [
        (fmt.title(found.pair.crypto), parts.crypto, parts.crypto_return),
        (f"AI ({escape(found.proxy)})", parts.proxy, parts.proxy_return),
        ("The rest", parts.residual, None),
    ]


def _rows(found: Explanation) -> list[list[str]]:
    etf = found.attribution.etf_return
    rows = [
        [name, fmt.pp(part.amount), f"± {fmt.size(100 * part.error)}", _own(own)] for name, part, own in _parts(found)
    ]
    total = [fmt.title(found.pair.etf), fmt.pp(etf), fmt.NOTHING, fmt.percent(etf)]
    return [["Part", "Of the return", "Error", "Own return"], *rows, total]


def _own(moved: float | None) -> str:
    return fmt.NOTHING if moved is None else fmt.percent(moved)


def _lines(found: Explanation) -> list[str]:
    lines = [
        f"{name}: {fmt.pp(part.amount)} ± {fmt.size(100 * part.error)}"
        + ("" if own is None else f", itself {fmt.percent(own)}")
        for name, part, own in _parts(found)
    ]
    return [*lines, f"Together: {fmt.pp(found.attribution.etf_return)}."]


def _later(found: Explanation) -> list[str]:
    """Tell which sessions came after what is explained."""
    later = found.later
    if later is None:
        return []
    names = " and ".join(fmt.name(symbol) for symbol in later.lacking)
    count = f"{fmt.sessions(later.sessions)} after that, up to {fmt.full_day(later.last)}"
    return [f"*Not explained*: {count}, for want of a price of {names}."]


def _live(told: ExplainResult) -> list[str]:
    """Tell of the session that is open, in lines of its own: it is no part of what is above."""
    found, live = told.explanation, told.so_far
    if live is None:
        return [f"*Live*: today's session cannot be parted: {reason(told.unlive)}."] if told.unlive else []
    etf, crypto = fmt.title(found.pair.etf), fmt.name(found.pair.crypto)
    parts = [
        f"{crypto} {fmt.pp(live.crypto.amount)} ± {fmt.size(100 * live.crypto.error)}",
        f"AI {fmt.pp(live.proxy.amount)} ± {fmt.size(100 * live.proxy.error)}",
        f"the rest {fmt.pp(live.residual.amount)} ± {fmt.size(100 * live.residual.error)}",
    ]
    own = f"{crypto} itself {fmt.percent(live.crypto_return)}, {escape(found.proxy)} {fmt.percent(live.proxy_return)}"
    when = f"since the close of {fmt.day(live.anchor)}, at {fmt.hour(live.at)}"
    whole = f"{etf} {fmt.percent(live.etf_return)}: {', '.join(parts)}"
    return [f"*Live, and not in the figures above*: {when}, {whole}.", f"By the betas of that close; {own}."]


def _pivot(found: Explanation) -> list[str]:
    """Tell how both betas have changed, as a sentence, numbers, and a row of bars."""
    read = found.gauge
    if read is None:
        return ["The pivot gauge has too little history."]
    crypto, proxy = fmt.name(found.pair.crypto), escape(found.proxy)
    return [
        f"*Pivot gauge.* {_turn(found, read)}",
        f"{fmt.full_day(read.then.session)}: {_betas(found, read.then)}.",
        f"{fmt.full_day(read.now.session)}: {_betas(found, read.now)}.",
        f"{crypto} {_path(one.crypto for one in read.path)}; {proxy} {_path(one.proxy for one in read.path)}",
    ]


def _turn(found: Explanation, read: BetaGauge) -> str:
    """Name what the ETF follows more by now, and what less, where the change is beyond both errors."""
    etf, crypto, proxy = fmt.title(found.pair.etf), fmt.name(found.pair.crypto), escape(found.proxy)
    changes = (crypto, _turned(read.then.crypto, read.now.crypto)), (proxy, _turned(read.then.proxy, read.now.proxy))
    turned = [(name, "more" if change > 0 else "less") for name, change in changes if change]
    if not turned:
        return f"{etf} follows {crypto} and {proxy} no differently than the errors allow."
    (first, way), *rest = turned
    return f"{etf} follows {first} {way} than it did{''.join(f', and {name} {way}' for name, way in rest)}."


def _turned(then: Beta, now: Beta) -> int:
    """Give the direction of a change that is beyond what errors alone do nine times out of ten, else 0."""
    change = now.value - then.value
    sure = abs(change) > ERRORS * (then.error**2 + now.error**2) ** 0.5
    return (1 if change > 0 else -1) if sure else 0


def _betas(found: Explanation, read: Reading) -> str:
    crypto, proxy = fmt.name(found.pair.crypto), escape(found.proxy)
    share = f"together {100 * read.r2:.0f}% of the days' variance"
    return f"beta to {crypto} {_beta(read.crypto)}, to {proxy} {_beta(read.proxy)}; {share}"


def _beta(beta: Beta) -> str:
    return f"*{fmt.ratio(beta.value)}* ± {beta.error:.2f}"


def _path(betas: Iterable[Beta]) -> str:
    """Draw betas as a row of bars, with what the lowest and the highest stand for."""
    values = [beta.value for beta in betas]
    return f"{spark(values)} {fmt.ratio(min(values))} to {fmt.ratio(max(values))}"


def _change(found: Explanation) -> list[str]:
    """Tell what the answer hangs on: the look-back, and what the next day would do."""
    lines = []
    if found.shorter is not None:
        lines.append(f"With betas of {BETA_SESSIONS} sessions instead: {_again(found, found.shorter)}.")
    if found.gauge is not None:
        now = found.gauge.now
        lines.append(
            f"A day on which {fmt.name(found.pair.crypto)} alone moves 1% should move {fmt.title(found.pair.etf)} "
            f"{fmt.ratio(now.crypto.value)}%; {escape(found.proxy)} alone, {fmt.ratio(now.proxy.value)}%."
        )
    return ["*What would change the picture*", *lines] if lines else []


def _again(found: Explanation, parts: Attribution) -> str:
    crypto = f"{fmt.name(found.pair.crypto)} {fmt.pp(parts.crypto.amount)}"
    return f"{crypto}, AI {fmt.pp(parts.proxy.amount)}, the rest {fmt.pp(parts.residual.amount)}"


def _proxy(found: Explanation) -> str:
    proxy = escape(found.proxy)
    moves = "chips" if found.proxy == AI_PROXY else "it"
    return f"{proxy} is a proxy for AI: it stands for what moves with {moves}, whatever the miners themselves do."


def _sources(found: Explanation) -> str:
    etf, crypto, proxy = map(escape, found.sources)
    names = f"{fmt.title(found.pair.etf)} from {etf}, {fmt.name(found.pair.crypto)} from {crypto}"
    return f"Session closes: {names}, {escape(found.proxy)} from {proxy}."
