"""Why the ETF and bitcoin parted: the parts with their errors, the pivot gauge, and what would change the picture."""

from __future__ import annotations

from datetime import timedelta
from statistics import NormalDist
from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.basis import basis
from handlers.render.markup import escape, reason, simulated
from handlers.render.message import compose, header, note, section, table
from handlers.render.spark import spark
from services.domain.attribution import AI_PROXY, LOOKBACK
from services.domain.counting import CERTAINTY
from services.domain.measure import BETA_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handlers.render.message import Message
    from services.answers import Explained
    from services.domain.attribution import Attribution, Part
    from services.domain.explain import Explanation
    from services.domain.pivot import Beta, Gauge, Reading

MINUTE = timedelta(minutes=1)
ERRORS = NormalDist().inv_cdf((1 + CERTAINTY) / 2)  # standard ones, within which a change may be chance
METHOD = (
    f"Betas: least squares on the 1-day returns of the {LOOKBACK} sessions before each day, never on the day itself. "
    "Each day's parts are scaled by what a dollar had grown to, so that they add up to the whole. ± is one standard "
    "error, from the betas alone."
)


def explanation(told: Explained) -> Message:
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
        f"{found.pair.etf} {words.percent(parts.etf_return)} {words.over(parts.window, parts.session)}: "
        f"{words.name(found.pair.crypto)} {words.pp(parts.crypto.amount)}, AI {words.pp(parts.proxy.amount)}, "
        f"the rest {words.pp(parts.residual.amount)}"
    )


def _moved(found: Explanation) -> list[str]:
    """Say from when to when, which leg moved more, and at what hours each did."""
    parts, etf, crypto = found.attribution, words.title(found.pair.etf), words.name(found.pair.crypto)
    span = f"From the close of {words.full_day(parts.anchor)} to that of {words.full_day(parts.session)}."
    ours, theirs = words.percent(parts.etf_return), words.percent(parts.crypto_return)
    if abs(parts.etf_return) >= abs(parts.crypto_return):
        which = f"{etf} moved more: {ours}, {crypto} {theirs}."
    else:
        which = f"{words.title(found.pair.crypto)} moved more: {theirs}, {etf} {ours}."
    return [span, which, _hours(found)]


def _hours(found: Explanation) -> str:
    etf, crypto, hours = words.title(found.pair.etf), words.name(found.pair.crypto), found.hours
    if hours is None:
        return "When they moved within a day cannot be told: too few of their prices at openings are known."
    left = f"; {hours.unsplit} of {found.attribution.steps} sessions could not be split" if hours.unsplit else ""
    theirs = words.percent(hours.crypto.inside), words.percent(hours.crypto.outside)
    if hours.etf is None:
        told = f"{words.title(found.pair.crypto)} {theirs[0]} while New York traded, {theirs[1]} while it was shut"
        return f"{told}{left}. When {etf} moved within a day cannot be told: too few of its openings are known."
    ours = words.percent(hours.etf.inside), words.percent(hours.etf.outside)
    return (
        f"While New York traded: {etf} {ours[0]}, {crypto} {theirs[0]}. "
        f"While it was shut: {etf} {ours[1]}, {crypto} {theirs[1]}{left}."
    )


def _openings(found: Explanation) -> list[str]:
    """Say how early the prices of bars are that stand for those at openings."""
    early = found.hours.early if found.hours else timedelta(0)
    if not early:
        return []
    return [f"At an opening, {words.name(found.pair.crypto)} has its price of {early // MINUTE} minutes before."]


def _parts(found: Explanation) -> list[tuple[str, Part, float | None]]:
    parts = found.attribution
    return [
        (words.title(found.pair.crypto), parts.crypto, parts.crypto_return),
        (f"AI ({escape(found.proxy)})", parts.proxy, parts.proxy_return),
        ("The rest", parts.residual, None),
    ]


def _rows(found: Explanation) -> list[list[str]]:
    etf = found.attribution.etf_return
    rows = [
        [name, words.pp(part.amount), f"± {words.size(100 * part.error)}", _own(own)]
        for name, part, own in _parts(found)
    ]
    total = [words.title(found.pair.etf), words.pp(etf), words.NOTHING, words.percent(etf)]
    return [["Part", "Of the return", "Error", "Own return"], *rows, total]


def _own(moved: float | None) -> str:
    return words.NOTHING if moved is None else words.percent(moved)


def _lines(found: Explanation) -> list[str]:
    lines = [
        f"{name}: {words.pp(part.amount)} ± {words.size(100 * part.error)}"
        + ("" if own is None else f", itself {words.percent(own)}")
        for name, part, own in _parts(found)
    ]
    return [*lines, f"Together: {words.pp(found.attribution.etf_return)}."]


def _later(found: Explanation) -> list[str]:
    """Tell which sessions came after what is explained."""
    later = found.later
    if later is None:
        return []
    names = " and ".join(words.name(symbol) for symbol in later.lacking)
    count = f"{words.sessions(later.sessions)} after that, up to {words.full_day(later.last)}"
    return [f"*Not explained*: {count}, for want of a price of {names}."]


def _live(told: Explained) -> list[str]:
    """Tell of the session that is open, in lines of its own: it is no part of what is above."""
    found, live = told.explanation, told.so_far
    if live is None:
        return [f"*Live*: today's session cannot be parted: {reason(told.unlive)}."] if told.unlive else []
    etf, crypto = words.title(found.pair.etf), words.name(found.pair.crypto)
    parts = [
        f"{crypto} {words.pp(live.crypto.amount)} ± {words.size(100 * live.crypto.error)}",
        f"AI {words.pp(live.proxy.amount)} ± {words.size(100 * live.proxy.error)}",
        f"the rest {words.pp(live.residual.amount)} ± {words.size(100 * live.residual.error)}",
    ]
    own = (
        f"{crypto} itself {words.percent(live.crypto_return)}, {escape(found.proxy)} {words.percent(live.proxy_return)}"
    )
    when = f"since the close of {words.day(live.anchor)}, at {words.hour(live.at)}"
    whole = f"{etf} {words.percent(live.etf_return)}: {', '.join(parts)}"
    return [f"*Live, and not in the figures above*: {when}, {whole}.", f"By the betas of that close; {own}."]


def _pivot(found: Explanation) -> list[str]:
    """Tell how both betas have changed, as a sentence, numbers, and a row of bars."""
    read = found.gauge
    if read is None:
        return ["The pivot gauge has too little history."]
    crypto, proxy = words.name(found.pair.crypto), escape(found.proxy)
    return [
        f"*Pivot gauge.* {_turn(found, read)}",
        f"{words.full_day(read.then.session)}: {_betas(found, read.then)}.",
        f"{words.full_day(read.now.session)}: {_betas(found, read.now)}.",
        f"{crypto} {_path(one.crypto for one in read.path)}; {proxy} {_path(one.proxy for one in read.path)}",
    ]


def _turn(found: Explanation, read: Gauge) -> str:
    """Name what the ETF follows more by now, and what less, where the change is beyond both errors."""
    etf, crypto, proxy = words.title(found.pair.etf), words.name(found.pair.crypto), escape(found.proxy)
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
    crypto, proxy = words.name(found.pair.crypto), escape(found.proxy)
    share = f"together {100 * read.r2:.0f}% of the days' variance"
    return f"beta to {crypto} {_beta(read.crypto)}, to {proxy} {_beta(read.proxy)}; {share}"


def _beta(beta: Beta) -> str:
    return f"*{words.ratio(beta.value)}* ± {beta.error:.2f}"


def _path(betas: Iterable[Beta]) -> str:
    """Draw betas as a row of bars, with what the lowest and the highest stand for."""
    values = [beta.value for beta in betas]
    return f"{spark(values)} {words.ratio(min(values))} to {words.ratio(max(values))}"


def _change(found: Explanation) -> list[str]:
    """Tell what the answer hangs on: the look-back, and what the next day would do."""
    lines = []
    if found.shorter is not None:
        lines.append(f"With betas of {BETA_SESSIONS} sessions instead: {_again(found, found.shorter)}.")
    if found.gauge is not None:
        now = found.gauge.now
        lines.append(
            f"A day on which {words.name(found.pair.crypto)} alone moves 1% should move {words.title(found.pair.etf)} "
            f"{words.ratio(now.crypto.value)}%; {escape(found.proxy)} alone, {words.ratio(now.proxy.value)}%."
        )
    return ["*What would change the picture*", *lines] if lines else []


def _again(found: Explanation, parts: Attribution) -> str:
    crypto = f"{words.name(found.pair.crypto)} {words.pp(parts.crypto.amount)}"
    return f"{crypto}, AI {words.pp(parts.proxy.amount)}, the rest {words.pp(parts.residual.amount)}"


def _proxy(found: Explanation) -> str:
    proxy = escape(found.proxy)
    moves = "chips" if found.proxy == AI_PROXY else "it"
    return f"{proxy} is a proxy for AI: it stands for what moves with {moves}, whatever the miners themselves do."


def _sources(found: Explanation) -> str:
    etf, crypto, proxy = map(escape, found.sources)
    names = f"{words.title(found.pair.etf)} from {etf}, {words.name(found.pair.crypto)} from {crypto}"
    return f"Session closes: {names}, {escape(found.proxy)} from {proxy}."
