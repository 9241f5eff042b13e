"""Lines on the market and the data behind a result: state, spread, prices with sources and ages, data quality."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby

from handlers.render import fmt
from handlers.render.markup import escape, reason
from handlers.render.message import PROBLEM_TEXT, PROBLEMS_SHOWN, Block, clip, table
from handlers.render.reasons import sentence, sentences
from services.core.prices import Pair, PriceStamp, Symbol
from services.core.rows import complete
from services.core.sessions import MarketState
from services.core.statistics import LOOKBACK_SESSIONS, MIN_COVERAGE
from services.core.text import counted
from services.core.trust import Trust, Verdict
from services.market.align import Exclusion, Leg
from services.market.basis import Basis
from services.market.gap import Gap, GapBasis
from services.market.measure import Drawdown, Measurement, NotMeasured, Window
from services.market.snapshot import Snapshot
from services.research.service import Provenance
from services.rules.market_view import MarketView

RANK_NOTE = (
    f"Up to 20 sessions: the spread's percentile among the {LOOKBACK_SESSIONS} sessions before. Longer: the move in "
    "units of its usual size over as many sessions (σ)."
)
LEG_NAMES: Mapping[Leg, Callable[[Pair], str]] = complete(
    "LEG_NAMES",
    Leg,
    {
        Leg.ETF: lambda pair: fmt.title(pair.etf),
        Leg.CRYPTO: lambda pair: fmt.name(pair.crypto),
    },
)
LEFT_OUT_SHOWN = 3  # reasons, each with its sessions
_VARYING = re.compile(r";.*|\d{4}-\d\d-\d\d")  # differs between sessions with the same reason


def headline(view: MarketView) -> str:
    """Return the spread in words: today's, or the last close's."""
    pair, snapshot = view.pair, view.current
    one_day = snapshot.measurements[Window.D1]
    if isinstance(one_day, NotMeasured):
        return f"{pair.etf} against {fmt.name(pair.crypto)}: no 1-day spread"
    phrase = fmt.spread_phrase(pair, one_day.spread)
    if snapshot.live and view.market.is_open:
        return f"{pair.etf} is {phrase} today"
    return f"{pair.etf} closed {phrase} on {fmt.day(snapshot.session)}"


def market_line(market: MarketState) -> str:
    """Return whether the ETF trades, and when it closes or opens."""
    if not market.is_open:
        return f"Shut; opens {fmt.moment_utc(market.next_open_at)}."
    half_day = ", half-day" if market.half_day else ""
    return f"Open{half_day}; closes {fmt.time_utc(market.closes_at)}."


def live_line(view: MarketView) -> str:
    """Return what the numbers are based on; out of hours, bitcoin's move since the close."""
    if view.market.is_open:
        if view.live is None:
            return f"No live spread: {reason(view.live_reason)}. Below is the close of {fmt.day(view.close.session)}."
        return f"Live, both legs at {fmt.time_utc(view.live.at)}."
    if view.live is not None:
        return f"From the last trades; the official close is not in yet. {_gap_text(view)}"
    return _gap_text(view)


def price_lines(view: MarketView, now: datetime | None) -> list[str]:
    """Return each leg's price with its source and, relative to `now`, its age."""
    pair, snapshot = view.pair, view.current
    legs = [(pair.etf, snapshot.etf), (pair.crypto, snapshot.crypto)]
    return [price_line(symbol, stamp, now, live=snapshot.live) for symbol, stamp in legs]


def windows_table(snapshot: Snapshot, pair: Pair) -> Block:
    """Return a table with a row per window: both legs, the spread, and its percentile or σ."""
    head = ["Window", fmt.title(pair.etf), fmt.title(pair.crypto), "Spread", "Rank or σ"]
    return table([head, *(_window_row(measurement) for measurement in snapshot.measurements.values())])


def windows_text(snapshot: Snapshot, pair: Pair) -> list[str]:
    """Return one line per measured window."""
    return [
        _window_line(measurement, pair)
        for measurement in snapshot.measurements.values()
        if not isinstance(measurement, NotMeasured)
    ]


def unmeasured_lines(snapshot: Snapshot) -> list[str]:
    """Return why windows lack numbers, grouped by reason."""
    reasons: dict[str, list[str]] = {}
    for measurement in snapshot.measurements.values():
        if isinstance(measurement, NotMeasured):
            reasons.setdefault(reason(measurement.reason), []).append(measurement.window.value)
        elif not measurement.is_ranked:
            text = missing_rank(measurement)
            reasons.setdefault(text, []).append(measurement.window.value)
    return [f"{', '.join(spans)}: {text}." for text, spans in reasons.items()]


def origin_warnings(snapshot: Snapshot) -> list[str]:
    """Return the data-quality reasons of the closes at which measured windows start."""
    known = [
        window for window, measurement in snapshot.measurements.items() if not isinstance(measurement, NotMeasured)
    ]
    reasons = [
        why for window in known if window in snapshot.anchor_trust for why in snapshot.anchor_trust[window].reasons
    ]
    return [f"{reason(why)}." for why in reasons]


def _window_row(measurement: Measurement | NotMeasured) -> list[str]:
    if isinstance(measurement, NotMeasured):
        return [measurement.window.value, *[fmt.NO_VALUE] * 4]
    legs = fmt.percent(measurement.etf_return), fmt.percent(measurement.crypto_return)
    return [measurement.window.value, *legs, fmt.pp(measurement.spread), _rank_cell(measurement)]


def _rank_cell(measurement: Measurement) -> str:
    if measurement.percentile is not None:
        return fmt.percentile_cell(measurement.percentile)
    return fmt.NO_VALUE if measurement.sigma is None else fmt.sigma(measurement.sigma)


def rank_phrase(measurement: Measurement) -> str | None:
    """Return how unusual a spread is: `larger than 97% of the last 252 sessions`, or `+1.5σ for 3 sessions`."""
    if measurement.percentile is not None:
        return fmt.percentile_phrase(measurement.percentile, above=measurement.spread >= 0)
    return None if measurement.sigma is None else fmt.sigma_phrase(measurement.sigma, measurement.sessions)


def missing_rank(measurement: Measurement) -> str:
    """Return which history is missing to say how unusual a spread is."""
    needed = round(MIN_COVERAGE * LOOKBACK_SESSIONS)
    if measurement.window.is_short:
        return f"too little history for a percentile, which needs {needed} sessions with this window before it"
    return f"too little history for σ, which needs {needed} sessions before the window"


def _window_line(measurement: Measurement, pair: Pair) -> str:
    etf = f"{fmt.title(pair.etf)} {fmt.percent(measurement.etf_return)}"
    crypto = f"{fmt.name(pair.crypto)} {fmt.percent(measurement.crypto_return)}"
    line = f"{measurement.window.value}: {etf}, {crypto}, spread {fmt.pp(measurement.spread)}"
    rank = rank_phrase(measurement)
    return f"{line}, {rank}." if rank else f"{line}."


def move_lines(pair: Pair, anchor: date, etf_return: float, crypto_return: float, spread: float) -> list[str]:
    """Return the returns of both legs since the close of `anchor`, and the spread."""
    return [
        f"Since the close of {fmt.full_day(anchor)}:",
        f"{fmt.title(pair.etf)} *{fmt.percent(etf_return)}*",
        f"{fmt.title(pair.crypto)} *{fmt.percent(crypto_return)}*",
        f"Spread *{fmt.pp(spread)}*",
    ]


def data_quality_line(trust: Trust) -> str:
    """Return the verdict on the prices, with its reasons."""
    why = "; ".join(map(reason, sentences(trust.reasons)))
    return f"Data {trust.verdict.value}{': ' if why else ''}{why}."


def provenance_lines(provenance: Provenance, *sources: str) -> list[str]:
    """Return the sources, the quality of the last prices, and the sources' problems."""
    failed = [f"Problem: {reason(problem)}." for problem in provenance.problems[:PROBLEMS_SHOWN]]
    basis = [f"Basis: {basis_text(provenance.basis)}."] if provenance.basis else []
    return [*sources, *basis, data_quality_line(provenance.trust), *failed]


LOADING = "older history is loading"


def basis_text(basis: Basis) -> str:
    """Return what a statistic counts: since when, how many closes, from which sources, and whether more are loading."""
    since = f"since {fmt.full_day(basis.first)}"
    count = counted(basis.sessions, "daily UTC close") if basis.daily else fmt.sessions(basis.sessions)
    return f"{since} ({count}, {escape(basis.source)}{f'; {LOADING}' if basis.loading else ''})"


def left_out_lines(left_out: Sequence[Exclusion], pair: Pair) -> list[str]:
    """Return the omitted sessions grouped by leg and reason, with their number and period."""

    def key(omitted: Exclusion) -> tuple[str, str]:
        return omitted.leg.value, _VARYING.sub("…", sentence(omitted.reason)).removesuffix("…")

    lines = []
    for (leg, why), group in groupby(sorted(left_out, key=key), key=key):
        days = sorted(omitted.session for omitted in group)
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        have = "1 session has" if len(days) == 1 else f"{len(days):,} sessions have"
        lines.append(f"{have} no {LEG_NAMES[Leg(leg)](pair)} price, {span}: {why}")
    return lines


def left_out_summary(left_out: Sequence[Exclusion], pair: Pair) -> list[str]:
    """Return the sessions without a usable price as a few sentences; the rest is counted."""
    lines = left_out_lines(left_out, pair)
    more = len(lines) - LEFT_OUT_SHOWN
    shown = [f"{escape(clip(line, PROBLEM_TEXT))}." for line in lines[:LEFT_OUT_SHOWN]]
    return [*shown, f"{more} more reasons why sessions have no price."] if more > 0 else shown


def drawdown_lines(view: MarketView) -> list[str]:
    """Return each leg's drawdown with its basis; the legs' histories may start on different days."""
    pair, snapshot = view.pair, view.current
    legs = [(pair.etf, snapshot.etf_drawdown), (pair.crypto, snapshot.crypto_drawdown)]
    known = [(symbol, drawdown) for symbol, drawdown in legs if drawdown]
    if not known:
        return []
    since = {drawdown.since for _symbol, drawdown in known}
    if len(since) == 1:
        heading = f"Below the highest session close since {fmt.full_day(since.pop())}:"
        return [heading, *(_drawdown_text(symbol, drawdown) for symbol, drawdown in known)]
    lines = [
        f"{_drawdown_text(symbol, drawdown)}, of those since {fmt.full_day(drawdown.since)}"
        for symbol, drawdown in known
    ]
    return ["Below the highest session close:", *lines]


def problem_lines(view: MarketView, limit: int) -> list[str]:
    """Return the sources' problems, and how many sessions have no usable price."""
    lines = [f"Problem: {reason(clip(sentence(problem), PROBLEM_TEXT))}." for problem in view.problems[:limit]]
    loading = [f"{LOADING.capitalize()} (since {fmt.full_day(view.loading_since)})."] if view.loading_since else []
    return [*loading, *lines, *left_out_summary(view.left_out, view.pair)]


def _gap_text(view: MarketView) -> str:
    gap, pair = view.gap, view.pair
    if view.crypto_trust.verdict is Verdict.SUSPECT:
        return f"No gap is implied: {'; '.join(map(reason, sentences(view.crypto_trust.reasons)))}."
    if gap is None or view.crypto is None:
        return f"No {fmt.name(pair.crypto)} price since {pair.etf}'s close."
    move, implied = gap_lines(gap, pair, f", {fmt.price(view.crypto.price)} at {fmt.time_utc(gap.at)}")
    return f"{move}\n{implied}"


def gap_lines(gap: Gap, pair: Pair, as_of: str = "") -> tuple[str, str]:
    """Return bitcoin's move since the ETF's close, and the gap that it implies for the next opening."""
    as_of = as_of or f", as of {fmt.time_utc(gap.at)}"
    move = f"{fmt.title(pair.crypto)} *{fmt.percent(gap.move)}* since {pair.etf}'s close{as_of}."
    return move, _implied_gap_line(gap, pair)


def _implied_gap_line(gap: Gap, pair: Pair) -> str:
    if gap.implied is None or gap.beta is None or gap.r2 is None or gap.correlation is None:
        return "Too little history for a beta, so no gap is implied."
    fit = ", ".join(
        [
            fmt.beta(gap.beta, gap.beta_error),
            f"correlation {fmt.ratio(gap.correlation)}, R² {fmt.ratio(gap.r2)}",
            _gap_basis(gap),
        ]
    )
    return f"Implied {pair.etf} gap *{fmt.percent(gap.implied)}*, {_gap_interval(gap)} ({fit})."


def _gap_interval(gap: Gap) -> str:
    if gap.low is None or gap.high is None:
        return "without an interval, because hourly prices are missing"
    return f"90% interval {fmt.signed(100 * gap.low)} to {fmt.percent(gap.high)}"


def _gap_basis(gap: Gap) -> str:
    return f"{gap.pairs} openings" if gap.basis is GapBasis.OPENINGS else "approximate: no opening prices"


def price_line(symbol: Symbol, stamp: PriceStamp | None, now: datetime | None, *, live: bool) -> str:
    """Return one leg's price with its source and, relative to `now`, its age."""
    if stamp is None:
        return f"{fmt.title(symbol)}: no price."
    label = fmt.title(symbol) if live else f"{fmt.title(symbol)} at the close:"
    age = f", {fmt.duration(now - stamp.at)} old" if now else ""
    return f"{label} {fmt.price(stamp.price)} from {escape(stamp.source)}, {fmt.moment(stamp.at)}{age}."


def _drawdown_text(symbol: Symbol, drawdown: Drawdown) -> str:
    if fmt.unsigned(100 * drawdown.depth) == fmt.unsigned(0):
        return f"{fmt.title(symbol)}: at its high"
    high = f"{fmt.price(drawdown.high)} on {fmt.full_day(drawdown.high_on)}"
    return f"{fmt.title(symbol)} {fmt.unsigned(100 * drawdown.depth)}%, from {high}"
