"""Lines on the market and the data behind a result: state, spread, prices with sources and ages, data quality."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby

from handlers.render import fmt
from handlers.render.markup import escape
from handlers.render.message import PROBLEM_TEXT, PROBLEMS_SHOWN, Block, clip, table
from handlers.render.reasons import Text, reason, sentence
from services.core.prices import Pair, PriceStamp, Symbol
from services.core.reason import Code, Reason
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

LEG_NAMES: Mapping[Leg, Callable[[Pair], str]] = complete(
    "LEG_NAMES",
    Leg,
    {
        Leg.ETF: lambda pair: fmt.name(pair.etf),
        Leg.CRYPTO: lambda pair: fmt.name(pair.crypto),
    },
)
LEFT_OUT_SHOWN = 3  # reasons, each with its sessions


def headline(view: MarketView, *, shared: bool = False) -> str:
    """Return the spread in words: today's; out of hours, bitcoin's move since the close."""
    pair, snapshot = view.pair, view.current
    if not view.market.is_open and view.gap is not None and view.live is None:
        return f"Market closed: {fmt.name(pair.crypto)} {fmt.percent(view.gap.move)} since {pair.etf}'s close"
    one_day = snapshot.measurements[Window.D1]
    if isinstance(one_day, NotMeasured):
        return f"{pair.etf} and {fmt.name(pair.crypto)}: no 1-session spread"
    phrase = fmt.spread_phrase(pair, one_day.spread)
    if snapshot.live and view.market.is_open:
        return f"{pair.etf} {phrase} {'over 1 session' if shared else 'today'}"
    return f"{pair.etf} closed {phrase}, {fmt.short_day(snapshot.session)}"


def market_text(market: MarketState) -> str:
    """Return whether the ETF trades, and when it closes or opens: `Market open, closes 4:00 PM`."""
    if not market.is_open:
        return f"Market closed, opens {fmt.instant(market.next_open_at)}"
    half_day = " early" if market.half_day else ""
    return f"Market open, closes{half_day} {fmt.clock_time(market.closes_at)}"


def leg_lines(view: MarketView) -> list[str]:
    """Return both legs' 1-session returns with their prices, or why there are none."""
    pair, snapshot = view.pair, view.current
    one_day = snapshot.measurements[Window.D1]
    if isinstance(one_day, NotMeasured):
        return [f"No 1-session return: {reason(one_day.reason)}."]
    legs = [(pair.etf, one_day.etf_return, snapshot.etf), (pair.crypto, one_day.crypto_return, snapshot.crypto)]
    return [
        f"{fmt.name(symbol)} *{fmt.percent(change)}*" + (f" to {fmt.price(stamp.price)}" if stamp else "")
        for symbol, change, stamp in legs
    ]


def now_lines(view: MarketView) -> list[str]:
    """Return today's legs; out of hours, bitcoin's move since the close and the gap that it implies."""
    if view.market.is_open or view.live is not None:
        return leg_lines(view)
    return gap_lines(view)


def basis_parts(view: MarketView) -> list[str]:
    """Return what the numbers are based on, as parts of a context line: live or at which close, and since when."""
    if view.market.is_open and view.live is not None:
        return [f"live as of {fmt.clock_time(view.live.at)}"]
    if view.market.is_open:
        return [
            f"no live spread ({reason(view.live_reason)})",
            f"table at the {fmt.short_day(view.close.session)} close",
        ]
    if view.live is not None:
        return ["last trades; the official close isn't in yet"]
    prices = [
        f"{escape(stamp.symbol)} {fmt.price(stamp.price)}" for stamp in (view.close.etf, view.close.crypto) if stamp
    ]
    since = [] if view.crypto is None else [f"{fmt.name(view.pair.crypto)} as of {fmt.instant(view.crypto.at)}"]
    return [f"table at the {fmt.short_day(view.close.session)} close: {', '.join(prices)}", *since]


def source_parts(view: MarketView) -> list[str]:
    """Return the source of each leg's price, as parts of a context line: `WGMI Yahoo`."""
    legs = [(view.pair.etf, view.current.etf), (view.pair.crypto, view.current.crypto)]
    return [
        ", ".join(
            f"{fmt.name(symbol)} {escape(stamp.source)}" if stamp else f"no {symbol} price" for symbol, stamp in legs
        )
    ]


def windows_table(measurements: Sequence[Measurement | NotMeasured], pair: Pair) -> Block:
    """Return a table with a row per window: both legs in percent, the spread in pp, and its percentile or σ."""
    head = ["Sess.", f"{fmt.name(pair.etf)} %", f"{fmt.name(pair.crypto)} %", "Spread pp", "Rank"]
    return table([head, *(_window_row(measurement) for measurement in measurements)])


def windows_summary(snapshot: Snapshot) -> str:
    """Return the spread of each measured window, for a notification."""
    spreads = [
        f"{fmt.windows([measurement.window])} {fmt.pp(measurement.spread)}"
        for measurement in snapshot.measurements.values()
        if not isinstance(measurement, NotMeasured)
    ]
    return f"Spread over {', '.join(spreads)}." if spreads else ""


def unmeasured_lines(snapshot: Snapshot) -> list[str]:
    """Return why windows lack numbers, grouped by reason."""
    reasons: dict[str, list[Window]] = {}
    for measurement in snapshot.measurements.values():
        if isinstance(measurement, NotMeasured):
            reasons.setdefault(reason(measurement.reason), []).append(measurement.window)
        elif not measurement.is_ranked:
            text = missing_rank(measurement)
            reasons.setdefault(text, []).append(measurement.window)
    return [f"{_capitalized(fmt.windows(spans))}: {text}." for text, spans in reasons.items()]


def origin_warnings(snapshot: Snapshot) -> list[str]:
    """Return the data-quality reasons of the closes at which measured windows start."""
    known = [
        window for window, measurement in snapshot.measurements.items() if not isinstance(measurement, NotMeasured)
    ]
    reasons = [
        why for window in known if window in snapshot.anchor_trust for why in snapshot.anchor_trust[window].reasons
    ]
    return [f"{_capitalized(reason(why))}." for why in reasons]


def _capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _window_row(measurement: Measurement | NotMeasured) -> list[str]:
    if isinstance(measurement, NotMeasured):
        return [_window_cell(measurement.window), *[fmt.NO_VALUE] * 4]
    numbers = measurement.etf_return, measurement.crypto_return, measurement.spread
    cells = [fmt.signed(100 * number) for number in numbers]
    return [_window_cell(measurement.window), *cells, _rank_cell(measurement)]


def _window_cell(window: Window) -> str:
    return "YTD" if window is Window.YTD else window.value.removesuffix("d")


def _rank_cell(measurement: Measurement) -> str:
    if measurement.percentile is not None:
        return fmt.percentile_cell(measurement.percentile)
    return fmt.NO_VALUE if measurement.sigma is None else fmt.sigma(measurement.sigma)


def rank_phrase(measurement: Measurement) -> str | None:
    """Return how unusual a spread is: `99th percentile of 252 sessions`, or `+1.5σ for 3 sessions`."""
    if measurement.percentile is not None:
        phrase = fmt.percentile_phrase(measurement.percentile)
        return f"{phrase} of {fmt.LOOKBACK}"
    return None if measurement.sigma is None else fmt.sigma_phrase(measurement.sigma, measurement.sessions)


def missing_rank(measurement: Measurement) -> str:
    """Return which history is missing to say how unusual a spread is."""
    needed = round(MIN_COVERAGE * LOOKBACK_SESSIONS)
    if measurement.window.is_short:
        return f"not enough history for a percentile, which needs {needed} earlier sessions"
    return f"not enough history for σ, which needs {needed} earlier sessions"


def move_lines(pair: Pair, anchor: date, etf_return: float, crypto_return: float, spread: float) -> list[str]:
    """Return the returns of both legs and their spread since the close of `anchor`."""
    return [
        f"{fmt.name(pair.etf)} *{fmt.percent(etf_return)}*",
        f"{fmt.name(pair.crypto)} *{fmt.percent(crypto_return)}*",
        f"Spread *{fmt.pp(spread)}* since the {fmt.full_day(anchor)} close",
    ]


def data_quality_line(trust: Trust) -> str:
    """Return the data quality with all its causes, and a warning sign if it isn't OK: `Data OK`."""
    return f"{'' if trust.verdict is Verdict.OK else ':warning: '}{data_quality(trust)}"


def data_quality(trust: Trust) -> str:
    """Return the data quality with all its causes, in words alone."""
    why = "; ".join(dict.fromkeys(map(reason, trust.reasons)))
    return f"Data {fmt.verdict(trust.verdict)}{': ' if why else ''}{why}"


def provenance_lines(provenance: Provenance, *sources: str) -> list[str]:
    """Return the sources, the quality of the last prices, and the sources' problems."""
    failed = [problem_line(problem) for problem in provenance.problems[:PROBLEMS_SHOWN]]
    basis = [f"Basis: {basis_text(provenance.basis)}."] if provenance.basis else []
    return [*sources, *basis, data_quality_line(provenance.trust), *failed]


def context_lines(provenance: Provenance, *parts: str) -> list[str]:
    """Return the parts, the basis and the data quality as one line of small print, and the sources' problems."""
    failed = [problem_line(problem) for problem in provenance.problems[:PROBLEMS_SHOWN]]
    basis = [basis_text(provenance.basis)] if provenance.basis else []
    return [" · ".join([*parts, *basis, data_quality_line(provenance.trust)]), *failed]


def problem_line(problem: Text) -> str:
    """Return a source's problem as a line of small print: `:warning: Yahoo (WGMI): HTTP 503.`."""
    return f":warning: {reason(problem)}."


def closes_text(first: date, last: date) -> str:
    """Return from which close to which a study goes: `Dec 31, 2025 to Jun 18, 2026 closes`."""
    start = fmt.short_day(first) if first.year == last.year else fmt.full_day(first)
    return f"{start} to {fmt.full_day(last)} closes"


LOADING = "older history is loading"


def basis_text(basis: Basis) -> str:
    """Return what a statistic counts: since when, how many closes, from which sources, and whether more are loading."""
    since = f"since {fmt.full_day(basis.first)}"
    count = counted(basis.sessions, "day") if basis.daily else fmt.sessions(basis.sessions)
    return f"{since} ({count}, {escape(basis.source)}{f'; {LOADING}' if basis.loading else ''})"


def left_out_lines(left_out: Sequence[Exclusion], pair: Pair) -> list[str]:
    """Return the omitted sessions grouped by leg and reason, with their number and period."""

    def key(omitted: Exclusion) -> tuple[str, str]:
        return omitted.leg.value, _cause(omitted.reason)

    lines = []
    for (leg, why), group in groupby(sorted(left_out, key=key), key=key):
        days = sorted(omitted.session for omitted in group)
        span = fmt.full_day(days[0]) if len(days) == 1 else f"{fmt.full_day(days[0])} to {fmt.full_day(days[-1])}"
        have = f"1 session ({span}) has" if len(days) == 1 else f"{len(days):,} sessions ({span}) have"
        lines.append(f"{have} no {LEG_NAMES[Leg(leg)](pair)} price: {why}")
    return lines


def _cause(why: Text) -> str:
    """Return a reason's sentence without what differs between sessions with the same cause."""
    if not isinstance(why, Reason):
        return sentence(why)
    params = dict(why.params)
    match why.code:
        case Code.CLOSE_WITHOUT_SESSION:
            return f"{params['source']} has closes on days that aren't NYSE sessions"
        case Code.NO_BAR_BEFORE_CLOSE:
            return f"no {params['symbol']} bar ended in the 2 h before the close"
        case Code.BAR_PENDING:
            return f"the {params['symbol']} bar for the close hasn't arrived yet"
        case _:
            return sentence(why)


def left_out_summary(left_out: Sequence[Exclusion], pair: Pair) -> list[str]:
    """Return the sessions without a usable price as a few sentences; the rest is counted."""
    lines = left_out_lines(left_out, pair)
    more = len(lines) - LEFT_OUT_SHOWN
    shown = [f"{escape(clip(line, PROBLEM_TEXT))}." for line in lines[:LEFT_OUT_SHOWN]]
    return [*shown, f"{counted(more, 'more reason')} for sessions without a price."] if more > 0 else shown


def drawdown_lines(view: MarketView) -> list[str]:
    """Return both legs' drawdowns from their highs in one line, with since when the highs count."""
    pair, snapshot = view.pair, view.current
    legs = [(pair.etf, snapshot.etf_drawdown), (pair.crypto, snapshot.crypto_drawdown)]
    known = [(symbol, drawdown) for symbol, drawdown in legs if drawdown]
    year = snapshot.session.year
    texts = [_drawdown_text(symbol, drawdown, year) for symbol, drawdown in known]
    return [f"Drawdown: {', '.join(texts)}"] if texts else []


def drawdown_basis(view: MarketView) -> list[str]:
    """Return since when the highs of the drawdowns count, as parts of a context line."""
    snapshot = view.current
    since = sorted({drawdown.since for drawdown in (snapshot.etf_drawdown, snapshot.crypto_drawdown) if drawdown})
    return [f"drawdowns from highs since {' and '.join(f'{day:%b %Y}' for day in since)}"] if since else []


def problem_lines(view: MarketView, limit: int) -> list[str]:
    """Return the sources' problems, and how many sessions have no usable price."""
    lines = [problem_line(clip(sentence(problem), PROBLEM_TEXT)) for problem in view.problems[:limit]]
    loading = [f"Older history is loading (since {fmt.full_day(view.loading_since)})."] if view.loading_since else []
    return [*loading, *lines, *left_out_summary(view.left_out, view.pair)]


def gap_lines(view: MarketView) -> list[str]:
    """Return bitcoin's move since the ETF's close, and the gap that it implies for the next opening."""
    gap, crypto = view.gap, fmt.name(view.pair.crypto)
    if view.crypto_trust.verdict is Verdict.SUSPECT:
        return [f"No implied gap: {'; '.join(map(reason, view.crypto_trust.reasons))}."]
    if gap is None or view.crypto is None:
        return [f"No {crypto} price since {view.pair.etf}'s close."]
    return [f"{crypto} *{fmt.percent(gap.move)}* to {fmt.price(view.crypto.price)}", implied_gap_line(gap, view.pair)]


def implied_gap_line(gap: Gap, pair: Pair) -> str:
    """Return the gap implied for the next opening: `Implied WGMI gap *+2.7%*, 90% interval −0.4 to +5.9%`."""
    if gap.implied is None:
        return "No implied gap: not enough history for a beta."
    if gap.low is None or gap.high is None:
        return f"Implied {pair.etf} gap *{fmt.percent(gap.implied)}*, no interval: hourly prices are missing"
    interval = f"90% interval {fmt.signed(100 * gap.low)} to {fmt.percent(gap.high)}"
    return f"Implied {pair.etf} gap *{fmt.percent(gap.implied)}*, {interval}"


def gap_basis(gap: Gap) -> list[str]:
    """Return what an implied gap rests on, as parts of a context line: `β 1.40 ± 0.10`, …."""
    if gap.beta is None or gap.r2 is None or gap.correlation is None:
        return []
    basis = f"fitted on {gap.pairs} opens" if gap.basis is GapBasis.OPENINGS else "approximate: no opening prices"
    error = "" if gap.beta_error is None else f" ± {fmt.ratio(gap.beta_error)}"
    fit = f"correlation {fmt.ratio(gap.correlation)}, R² {fmt.ratio(gap.r2)}"
    return [f"β {fmt.ratio(gap.beta)}{error}, {fit}", basis]


def price_line(symbol: Symbol, stamp: PriceStamp | None, now: datetime | None) -> str:
    """Return one leg's price with its source and, relative to `now`, its age."""
    if stamp is None:
        return f"{fmt.name(symbol)}: no price."
    age = f", {fmt.age(now - stamp.at)}" if now else ""
    return f"{fmt.name(symbol)} {fmt.price(stamp.price)} from {escape(stamp.source)}, {fmt.instant(stamp.at)}{age}."


def _drawdown_text(symbol: Symbol, drawdown: Drawdown, year: int) -> str:
    if fmt.unsigned(100 * drawdown.depth) == fmt.unsigned(0):
        return f"{fmt.name(symbol)} at its high"
    on = drawdown.high_on
    when = fmt.short_day(on) if on.year == year else fmt.full_day(on)
    return f"{fmt.name(symbol)} {fmt.percent(-drawdown.depth)} from {fmt.price(drawdown.high)} ({when})"
