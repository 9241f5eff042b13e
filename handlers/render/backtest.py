"""A rule's backtest: how often it fired, how long episodes lasted, and what followed them."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from statistics import median, quantiles

from handlers.render import fmt
from handlers.render.alert_text import follow_up_line
from handlers.render.chart import curve_picture
from handlers.render.market import provenance_lines
from handlers.render.markup import mark_simulated
from handlers.render.message import Message, compose, context, header, section, table
from handlers.render.picture import Picture
from services.core.prices import Pair
from services.research.follow_up import FOLLOW_UP_SESSIONS
from services.research.service import BacktestResult
from services.research.track_record import HORIZONS, Backtest, ForwardBenchmark, ForwardReturn, PastEpisode

EPISODES_SHOWN = 8  # the newest
METHOD = (
    "Decided once at each session's close, without a hold time, by the function that decides live. Episodes whose "
    "sessions overlap are not separate cases."
)
CHANCE_NOTE = (
    f"Chance: how often the relative moves of any {FOLLOW_UP_SESSIONS} sessions, scaled to the volatility at the "
    "alert, are large enough to close the gap."
)
ROUND_THE_CLOCK_NOTE = (
    "Live it is decided between closes too, at night and at weekends; what passes there is not counted here."
)


def backtest_message(result: BacktestResult) -> Message:
    """Return a backtest, with the newest episodes in a table."""
    backtest = result.backtest
    title = _title(result)
    lines = [_period(backtest), *findings(backtest)] if backtest.episodes else [_period(backtest)]
    extra = [ROUND_THE_CLOCK_NOTE] if backtest.replay.rule.metric.needs_network else []
    extra += [CHANCE_NOTE] if backtest.follow_up and backtest.follow_up.interval else []
    notes = [METHOD, *extra, *provenance_lines(result.provenance)]
    newest = backtest.episodes[-EPISODES_SHOWN:][::-1]
    return compose(
        [
            header(title),
            section(*lines),
            table([episode_header(), *(episode_row(episode, backtest) for episode in newest)]) if newest else None,
            context(*notes),
        ],
        [title, *lines, *(_episode_line(episode, backtest) for episode in newest), *notes],
    )


def backtest_picture(result: BacktestResult) -> Picture:
    """Return the rule's full history as a picture, with each firing and each resolution."""
    footer = ["Decided at each session's close, with no hold.", *provenance_lines(result.provenance)]
    return curve_picture(result.curve, _title(result), footer, simulated=result.provenance.simulated)


def _title(result: BacktestResult) -> str:
    return mark_simulated(
        f"{result.backtest.replay.rule}: {frequency(result.backtest)}", when=result.provenance.simulated
    )


def findings(backtest: Backtest) -> list[str]:
    """Return lengths, what followed, and forward returns; the backtest must have at least one episode."""
    lengths = [episode.length for episode in backtest.episodes]
    median_text = f"median {fmt.sessions(median(lengths))}"
    lines = [f"Length: {median_text}, longest {fmt.sessions(max(lengths))}."]
    if backtest.follow_up:
        lines.append(follow_up_line(backtest.follow_up))
    lines += [line for horizon in HORIZONS if (line := _forward_line(backtest, horizon))]
    return [
        *lines,
        f"At most {backtest.non_overlapping} of {len(backtest.episodes)} can be picked whose windows share no session.",
    ]


def frequency(backtest: Backtest) -> str:
    """Return how many episodes there were, in total and per year."""
    if not backtest.episodes:
        return "never fired"
    count = f"{len(backtest.episodes)} episode{'' if len(backtest.episodes) == 1 else 's'}"
    return f"{count}, {fmt.decimal(backtest.replay.per_year)} a year"


def _period(backtest: Backtest) -> str:
    if backtest.replay.measured_range is None:
        return "It could not be measured at any session's close."
    first, last = backtest.replay.measured_range
    return f"From {fmt.full_day(first)} to {fmt.full_day(last)}{_quarterly_bars(backtest, first, last)}."


def _quarterly_bars(backtest: Backtest, first: date, last: date) -> str:
    """Return the episodes per quarter as a sparkline; empty without episodes."""
    if not backtest.episodes:
        return ""
    fired = Counter(_quarter(episode.fired_on) for episode in backtest.episodes)
    bars = fmt.sparkline([0, *(fired[quarter] for quarter in range(_quarter(first), _quarter(last) + 1))])[1:]
    return f", by quarter {bars}, at most {max(fired.values())}"


def _quarter(day: date) -> int:
    return day.year * 4 + (day.month - 1) // 3


def _forward_line(backtest: Backtest, horizon: int) -> str | None:
    """Return the change of the gap after firings, signed in the direction of each, beside that of any sessions."""
    forwards, benchmark = backtest.forward_returns(horizon), backtest.benchmark(horizon)
    if not forwards or benchmark is None:
        return None
    if not backtest.replay.rule.metric.is_divergence:
        return _leg_moves_line(backtest.replay.rule.pair, [forward for _, forward in forwards], benchmark)
    gaps = [forward.spread_change(side) for side, forward in forwards]
    grew = sum(gap > 0 for gap in gaps)
    line = f"{fmt.sessions(horizon)} later: the gap grew in {grew} of {len(gaps)}; median change {fmt.pp(median(gaps))}"
    if len(gaps) >= 2:  # noqa: PLR2004 -- quartiles need two
        low, _, high = quantiles(gaps, n=4, method="inclusive")
        line = f"{line}, half of them between {fmt.signed(100 * low)} and {fmt.pp(high)}"
    usual = (
        f"Any {fmt.sessions(horizon)}: grew in {100 * benchmark.grew:.0f}%, median {fmt.pp(benchmark.spread_change)}"
    )
    return f"{line}{_independent_cases([forward for _, forward in forwards])}. {usual}."


def _independent_cases(forwards: Sequence[ForwardReturn]) -> str:
    """Return how many cases don't overlap, if some do; otherwise an empty text."""
    independent = sum(forward.non_overlapping for forward in forwards)
    return f"; at most {independent} of the {len(forwards)} share no session" if independent < len(forwards) else ""


def _leg_moves_line(pair: Pair, forwards: Sequence[ForwardReturn], benchmark: ForwardBenchmark) -> str:
    """Return both legs' forward returns beside those of any sessions, for rules on something other than divergence."""
    names = fmt.title(pair.etf), fmt.name(pair.crypto)
    after = median(forward.etf for forward in forwards), median(forward.crypto for forward in forwards)
    moves, usual = (
        ", ".join(f"{name} {fmt.percent(value)}" for name, value in zip(names, values, strict=True))
        for values in (after, (benchmark.etf, benchmark.crypto))
    )
    span = fmt.sessions(benchmark.sessions)
    counted = f"{moves} at the median of {len(forwards)}{_independent_cases(forwards)}"
    return f"{span} later: {counted}. Any {span}: {usual}."


def episode_header() -> list[str]:
    """Return the column names of a table of episodes."""
    return ["Fired", "Side", "At", "Peak", "Sessions", "Closed", f"{HORIZONS[0]} later"]


def episode_row(episode: PastEpisode, backtest: Backtest) -> list[str]:
    """Return one episode as a table row."""
    unit = backtest.replay.rule.unit
    return [
        f"{episode.fired_on}",
        episode.side.value,
        fmt.metric_value(episode.value, unit),
        fmt.metric_value(episode.peak, unit),
        f"{episode.length}{'+' if episode.ended_on is None else ''}",
        _closed_cell(episode),
        _forward_cell(episode, backtest),
    ]


def _forward_cell(episode: PastEpisode, backtest: Backtest) -> str:
    """Return the change of the gap shortly after, or the ETF's return if the rule isn't on divergence."""
    if not episode.forward_returns:
        return fmt.NO_VALUE
    forward = episode.forward_returns[0]
    return (
        fmt.pp(forward.spread_change(episode.side))
        if backtest.replay.rule.metric.is_divergence
        else fmt.percent(forward.etf)
    )


def _closed_cell(episode: PastEpisode) -> str:
    """Return whether the gap had closed 5 sessions later."""
    if episode.outcome is None:
        return fmt.NO_VALUE
    return "yes" if episode.outcome.closed else "no"


def _episode_line(episode: PastEpisode, backtest: Backtest) -> str:
    fired, side, at, peak, _length, closed, forward = episode_row(episode, backtest)
    lasted = f"{fmt.sessions(episode.length)}{' so far' if episode.ended_on is None else ''}"
    after = f"{FOLLOW_UP_SESSIONS} sessions later {forward}, closed: {closed}"
    return f"{fired} {side} at {at}, peak {peak}, {lasted}, {after}"
