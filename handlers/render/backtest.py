"""What a rule would have done: how often, how long, how it ended, and what followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from statistics import median, quantiles

from handlers.render import fmt
from handlers.render.alert import endings
from handlers.render.chart import curve_picture
from handlers.render.footers import basis
from handlers.render.gauges import spark
from handlers.render.markup import simulated
from handlers.render.message import Message, compose, header, note, section, table
from handlers.render.picture import Picture
from services.core.prices import Pair
from services.market.measure import DIVERGENCES, METRICS
from services.research.results import BacktestResult
from services.research.track_record import HORIZONS, SHORTLY, Backtest, ClosedBy, ForwardReturn, PastEpisode

SHOWN = 8  # of the episodes, the newest
METHOD = (
    "Decided once at each session's close, with no hold, by the function that decides live. Episodes overlap where "
    "their windows, or what followed them, share sessions: they are worth no more independent cases than can be picked "
    "without that, and no more is claimed."
)
BETWEEN = "Live it is decided between closes too, at night and at weekends; what passes there is not counted here."


def backtest_message(told: BacktestResult) -> Message:
    """Render a backtest, with the newest episodes in a table."""
    found = told.backtest
    title = _title(told)
    lines = [_since(found), *findings(found)] if found.episodes else [_since(found)]
    between = [BETWEEN] if METRICS[found.found.rule.metric].of_network else []
    small = [METHOD, *between, *basis(told.basis)]
    newest = found.episodes[-SHOWN:][::-1]
    return compose(
        [
            header(title),
            section(*lines),
            table([head(), *(row(one, found) for one in newest)]) if newest else None,
            note(*small),
        ],
        [title, *lines, *(_line(one, found) for one in newest), *small],
    )


def backtest_picture(told: BacktestResult) -> Picture:
    """Draw the rule's whole past, with each firing and each end."""
    foot = ["Decided at each session's close, with no hold.", *basis(told.basis)]
    return curve_picture(told.curve, _title(told), foot, simulated=told.basis.simulated)


def _title(told: BacktestResult) -> str:
    return simulated(f"{told.backtest.found.rule}: {often(told.backtest)}", when=told.basis.simulated)


def findings(found: Backtest) -> list[str]:
    """Tell of a rule's episodes, of which there must be one at least: lengths, ends, false starts, what followed."""
    lengths = [one.length for one in found.episodes]
    middle = f"median {fmt.sessions(median(lengths))}"
    lines = [f"Length: {middle}, longest {fmt.sessions(max(lengths))}."]
    if found.closings:
        lines.append(f"Ended: {endings(found.found.rule.pair, found.closings)}.")
    back, known = found.false_starts
    if known:
        share = f"{back} of {known} ({100 * back / known:.0f}%)"
        lines.append(f"False starts: {share} were below the clear level {SHORTLY} sessions on, from the same close.")
    lines += [line for horizon in HORIZONS if (line := _followed(found, horizon))]
    return [*lines, f"At most {found.apart} of {len(found.episodes)} can be picked whose windows share no session."]


def often(found: Backtest) -> str:
    """Say how many episodes there were, and how many a year."""
    if not found.episodes:
        return "never fired"
    count = f"{len(found.episodes)} episode{'' if len(found.episodes) == 1 else 's'}"
    return f"{count}, {fmt.decimal(found.found.per_year)} a year"


def _since(found: Backtest) -> str:
    if found.found.measured is None:
        return "It could not be measured at any session's close."
    first, last = found.found.measured
    return f"From {fmt.full_day(first)} to {fmt.full_day(last)}{_bars(found, first, last)}."


def _bars(found: Backtest, first: date, last: date) -> str:
    """Draw the episodes of each quarter as a row of bars."""
    if not found.episodes:
        return ""
    fired = Counter(_quarter(one.fired) for one in found.episodes)
    bars = spark([0, *(fired[quarter] for quarter in range(_quarter(first), _quarter(last) + 1))])[1:]
    return f", by quarter {bars}, at most {max(fired.values())}"


def _quarter(day: date) -> int:
    return day.year * 4 + (day.month - 1) // 3


def _followed(found: Backtest, horizon: int) -> str | None:
    """Tell how the legs went on from the first close, in the direction of each episode."""
    after = found.followed(horizon)
    if not after:
        return None
    if found.found.rule.metric not in DIVERGENCES:
        return _went(found.found.rule.pair, horizon, [one for _, one in after])
    gaps = [one.gap(side) for side, one in after]
    grew = sum(gap > 0 for gap in gaps)
    lines = f"{horizon} sessions on: the gap grew in {grew} of {len(gaps)}; median change {fmt.pp(median(gaps))}"
    if len(gaps) >= 2:  # noqa: PLR2004 -- quartiles need two
        low, _, high = quantiles(gaps, n=4, method="inclusive")
        lines = f"{lines}, half of them between {fmt.signed(100 * low)} and {fmt.pp(high)}"
    return f"{lines}{_apart([one for _, one in after])}."


def _apart(after: Sequence[ForwardReturn]) -> str:
    """Say of how many independent cases an answer can be at most, where they are fewer than it counts."""
    apart = sum(one.apart for one in after)
    return f"; at most {apart} of the {len(after)} share no session" if apart < len(after) else ""


def _went(pair: Pair, horizon: int, after: Sequence[ForwardReturn]) -> str:
    """Tell how the legs went on after episodes of something else than how far they part."""
    etf, crypto = median(one.etf for one in after), median(one.crypto for one in after)
    moves = f"{fmt.title(pair.etf)} {fmt.percent(etf)}, {fmt.name(pair.crypto)} {fmt.percent(crypto)}"
    return f"{horizon} sessions on: {moves} at the median of {len(after)}{_apart(after)}."


def head() -> list[str]:
    """Name the columns of a table of episodes."""
    return ["Fired", "Side", "At", "Peak", "Sessions", "Ended by", f"{HORIZONS[0]} on"]


def row(one: PastEpisode, found: Backtest) -> list[str]:
    """Write an episode as a row of a table."""
    unit = found.found.rule.unit
    return [
        f"{one.fired}",
        one.side.value,
        fmt.reading(one.value, unit),
        fmt.reading(one.peak, unit),
        f"{one.length}",
        _ended(one, found.found.rule.pair),
        _then(one, found),
    ]


def _then(one: PastEpisode, found: Backtest) -> str:
    """Write how far the gap had gone on shortly after, or the ETF where the rule is of something else."""
    if not one.followed:
        return fmt.NOTHING
    after = one.followed[0]
    return fmt.pp(after.gap(one.side)) if found.found.rule.metric in DIVERGENCES else fmt.percent(after.etf)


def _ended(one: PastEpisode, pair: Pair) -> str:
    """Name what ended an episode, in a cell."""
    if one.ended is None:
        return "lasts"
    names = {ClosedBy.CRYPTO: fmt.name(pair.crypto), ClosedBy.ETF: fmt.title(pair.etf), ClosedBy.AGED: "window"}
    return names[one.closing] if one.closing else fmt.NOTHING


def _line(one: PastEpisode, found: Backtest) -> str:
    fired, side, at, peak, _length, ended, after = row(one, found)
    lasted = fmt.sessions(one.length)
    return f"{fired} {side} at {at}, peak {peak}, {lasted}, ended by: {ended}, {SHORTLY} sessions on {after}"
