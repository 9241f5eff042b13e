"""A rule's backtest: how often it fired, how long alerts lasted, and what followed them."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from statistics import median, quantiles

from handlers.render import fmt
from handlers.render.alert_text import follow_up_line
from handlers.render.chart import curve_picture
from handlers.render.market import basis_text, context_lines, data_quality
from handlers.render.markup import mark_simulated, plain
from handlers.render.message import Message, compose, context, header, notification, section, table
from handlers.render.picture import Picture
from services.core.prices import Pair
from services.core.text import counted
from services.research.follow_up import FOLLOW_UP_SESSIONS
from services.research.service import BacktestResult
from services.research.track_record import HORIZONS, Backtest, ForwardBenchmark, ForwardReturn, PastEpisode

EPISODES_SHOWN = 8  # the newest
METHOD = (
    "A rule is evaluated once at each session's close, without a hold time, by the same code as live. Alerts whose "
    "sessions overlap are not separate cases; non-overlapping n counts the separate ones. "
    f"Chance is how often the relative moves over any {FOLLOW_UP_SESSIONS} sessions, scaled to the volatility at the "
    "alert, are large enough to close the gap."
)
AT_CLOSES = "Evaluated on session closes, no hold"
ROUND_THE_CLOCK_NOTE = "Live, the rule is also evaluated overnight and on weekends; those alerts aren't counted here."


def backtest_message(result: BacktestResult) -> Message:
    """Return a backtest, with the newest alerts in a table."""
    backtest = result.backtest
    title, lines = _title(result), findings(backtest) if backtest.episodes else []
    newest = backtest.episodes[-EPISODES_SHOWN:][::-1]
    notes = [ROUND_THE_CLOCK_NOTE] if backtest.replay.rule.metric.needs_network else []
    return compose(
        [
            header(title),
            section(_period(backtest), *lines),
            table(_table_rows(newest, backtest)) if newest else None,
            context(*context_lines(result.provenance, AT_CLOSES), *notes),
        ],
        notification(
            f"{title}.",
            *(plain(line) for line in lines[:2]),
            f"{plain(data_quality(result.provenance.trust))}.",
        ),
    )


def backtest_picture(result: BacktestResult) -> Picture:
    """Return the rule's full history as a picture, with when it was firing."""
    basis = result.provenance.basis
    counts = [f"Counts sessions {basis_text(basis)}."] if basis else []
    footer = [f"{AT_CLOSES}.", *counts, f"{data_quality(result.provenance.trust)}."]
    return curve_picture(result.curve, _title(result), footer, simulated=result.provenance.simulated)


def _title(result: BacktestResult) -> str:
    return mark_simulated(
        f"{result.backtest.replay.rule}: {frequency(result.backtest)}", when=result.provenance.simulated
    )


def findings(backtest: Backtest) -> list[str]:
    """Return lengths, what followed, and forward changes; the backtest must have at least one episode."""
    lengths = [episode.length for episode in backtest.episodes]
    lines = [f"Median {fmt.sessions(median(lengths))} to clear, longest {fmt.sessions(max(lengths))}."]
    if backtest.follow_up:
        lines.append(follow_up_line(backtest.follow_up))
    lines += [line for horizon in HORIZONS if (line := _forward_line(backtest, horizon))]
    return [
        *lines,
        f"Alerts with non-overlapping look-back windows: {backtest.non_overlapping} of {len(backtest.episodes)}.",
    ]


def frequency(backtest: Backtest) -> str:
    """Return how often the rule fired, in total and per year: `fired 15 times, 7.6 a year`."""
    if not backtest.episodes:
        return "never fired"
    return f"fired {counted(len(backtest.episodes), 'time')}, {fmt.decimal(backtest.replay.per_year)} a year"


def _period(backtest: Backtest) -> str:
    if backtest.replay.measured_range is None:
        return "Not measurable at any session's close"
    first, last = backtest.replay.measured_range
    return f"{fmt.full_day(first)} to {fmt.full_day(last)}{_quarterly_bars(backtest, first, last)}"


def _quarterly_bars(backtest: Backtest, first: date, last: date) -> str:
    """Return the episodes per quarter as a sparkline; empty without episodes."""
    if not backtest.episodes:
        return ""
    fired = Counter(_quarter(episode.fired_on) for episode in backtest.episodes)
    bars = fmt.sparkline([0, *(fired[quarter] for quarter in range(_quarter(first), _quarter(last) + 1))])[1:]
    return f", by quarter {bars}, max {max(fired.values())}"


def _quarter(day: date) -> int:
    return day.year * 4 + (day.month - 1) // 3


def _forward_line(backtest: Backtest, horizon: int) -> str | None:
    """Return the change of the gap after alerts, signed in the direction of each, beside that of any sessions."""
    forwards, benchmark = backtest.forward_returns(horizon), backtest.benchmark(horizon)
    if not forwards or benchmark is None:
        return None
    if not backtest.replay.rule.metric.is_divergence:
        return _leg_moves_line(backtest.replay.rule.pair, [forward for _, forward in forwards], benchmark)
    gaps = [forward.spread_change(side) for side, forward in forwards]
    grew = sum(gap > 0 for gap in gaps)
    line = f"{horizon}-session forward change: median {fmt.pp(median(gaps))}"
    if len(gaps) >= 2:  # noqa: PLR2004 -- quartiles need two
        low, _, high = quantiles(gaps, n=4, method="inclusive")
        line = f"{line} (interquartile range {fmt.signed(100 * low)} to {fmt.pp(high)})"
    usual = f"Base rate: median {fmt.pp(benchmark.spread_change)}, wider in {100 * benchmark.grew:.0f}%"
    count = f"wider in {grew} of {len(gaps)}{_independent_cases([forward for _, forward in forwards])}"
    return f"{line}, {count}. {usual}."


def _independent_cases(forwards: Sequence[ForwardReturn]) -> str:
    """Return how many cases don't overlap, if some do; otherwise an empty text."""
    independent = sum(forward.non_overlapping for forward in forwards)
    return f" (non-overlapping n = {independent})" if independent < len(forwards) else ""


def _leg_moves_line(pair: Pair, forwards: Sequence[ForwardReturn], benchmark: ForwardBenchmark) -> str:
    """Return both legs' forward returns beside those of any sessions, for rules on something other than divergence."""
    names = fmt.name(pair.etf), fmt.name(pair.crypto)
    after = median(forward.etf for forward in forwards), median(forward.crypto for forward in forwards)
    moves, usual = (
        ", ".join(f"{name} {fmt.percent(value)}" for name, value in zip(names, values, strict=True))
        for values in (after, (benchmark.etf, benchmark.crypto))
    )
    cases = f"n = {len(forwards)}{_independent_cases(forwards)}"
    any_sessions = f"Base rate: median {usual}"
    return f"{benchmark.sessions}-session forward return: median {moves}, {cases}. {any_sessions}."


def _table_rows(episodes: Sequence[PastEpisode], backtest: Backtest) -> list[list[str]]:
    """Return a table that fits a phone: when the rule fired, its peak and length, and what followed."""
    rule = backtest.replay.rule
    unit = "pp" if rule.metric.is_divergence else "%"
    rows = [["Fired", f"Peak {rule.unit.name}", "Sess.", f"{HORIZONS[0]}d fwd {unit}"]]
    for episode in episodes:
        forward = _forward_change(episode, backtest)
        rows.append(
            [
                fmt.full_day(episode.fired_on),
                fmt.ratio(episode.peak) if rule.unit.is_level else fmt.signed(rule.unit.scale * episode.peak),
                _length_cell(episode),
                fmt.NO_VALUE if forward is None else fmt.signed(100 * forward),
            ]
        )
    return rows


def episode_header() -> list[str]:
    """Return the column names of a table of episodes."""
    return ["Fired", "Side", "At", "Peak", "Sessions", "Closed", f"{HORIZONS[0]}d fwd"]


def episode_row(episode: PastEpisode, backtest: Backtest) -> list[str]:
    """Return one episode as a table row."""
    unit = backtest.replay.rule.unit
    return [
        f"{episode.fired_on}",
        episode.side.value,
        fmt.metric_value(episode.value, unit),
        fmt.metric_value(episode.peak, unit),
        _length_cell(episode),
        _closed_cell(episode),
        _forward_cell(episode, backtest),
    ]


def _length_cell(episode: PastEpisode) -> str:
    return f"{episode.length}{'+' if episode.ended_on is None else ''}"


def _forward_cell(episode: PastEpisode, backtest: Backtest) -> str:
    change = _forward_change(episode, backtest)
    if change is None:
        return fmt.NO_VALUE
    return fmt.pp(change) if backtest.replay.rule.metric.is_divergence else fmt.percent(change)


def _forward_change(episode: PastEpisode, backtest: Backtest) -> float | None:
    """Return the change of the gap shortly after, or the ETF's return if the rule isn't on divergence."""
    if not episode.forward_returns:
        return None
    forward = episode.forward_returns[0]
    return forward.spread_change(episode.side) if backtest.replay.rule.metric.is_divergence else forward.etf


def _closed_cell(episode: PastEpisode) -> str:
    """Return whether the gap had closed 5 sessions later."""
    if episode.outcome is None:
        return fmt.NO_VALUE
    return "yes" if episode.outcome.closed else "no"
