"""A rule's backtest: how often it fired, how long episodes lasted, how they ended, and forward returns."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from statistics import median, quantiles

from handlers.render import fmt
from handlers.render.alert_text import closing_summary
from handlers.render.chart import curve_picture
from handlers.render.market import provenance_lines
from handlers.render.markup import mark_simulated
from handlers.render.message import Message, compose, context, header, section, table
from handlers.render.picture import Picture
from services.core.prices import Pair
from services.research.service import BacktestResult
from services.research.track_record import (
    FALSE_ALARM_SESSIONS,
    HORIZONS,
    Backtest,
    ClosedBy,
    ForwardReturn,
    PastEpisode,
)

EPISODES_SHOWN = 8  # the newest
METHOD = (
    "Decided once at each session's close, with no hold, by the function that decides live. Episodes overlap where "
    "their windows, or what followed them, share sessions: they are worth no more independent cases than can be picked "
    "without that, and no more is claimed."
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
    """Return lengths, endings, false starts and forward returns; the backtest must have at least one episode."""
    lengths = [episode.length for episode in backtest.episodes]
    median_text = f"median {fmt.sessions(median(lengths))}"
    lines = [f"Length: {median_text}, longest {fmt.sessions(max(lengths))}."]
    if backtest.closings:
        lines.append(f"Ended: {closing_summary(backtest.replay.rule.pair, backtest.closings)}.")
    false_starts, known = backtest.false_alarms
    if known:
        share = f"{false_starts} of {known} ({100 * false_starts / known:.0f}%)"
        lines.append(
            f"False starts: {share} were below the clear level {FALSE_ALARM_SESSIONS} sessions on, from the same close."
        )
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
    """Return the change of the gap from the first close on, signed in the direction of each episode."""
    forwards = backtest.forward_returns(horizon)
    if not forwards:
        return None
    if not backtest.replay.rule.metric.is_divergence:
        return _leg_moves_line(backtest.replay.rule.pair, horizon, [forward for _, forward in forwards])
    gaps = [forward.spread_change(side) for side, forward in forwards]
    grew = sum(gap > 0 for gap in gaps)
    line = f"{fmt.sessions(horizon)} on: the gap grew in {grew} of {len(gaps)}; median change {fmt.pp(median(gaps))}"
    if len(gaps) >= 2:  # noqa: PLR2004 -- quartiles need two
        low, _, high = quantiles(gaps, n=4, method="inclusive")
        line = f"{line}, half of them between {fmt.signed(100 * low)} and {fmt.pp(high)}"
    return f"{line}{_independent_cases([forward for _, forward in forwards])}."


def _independent_cases(forwards: Sequence[ForwardReturn]) -> str:
    """Return how many cases don't overlap, if some do; otherwise an empty text."""
    independent = sum(forward.non_overlapping for forward in forwards)
    return f"; at most {independent} of the {len(forwards)} share no session" if independent < len(forwards) else ""


def _leg_moves_line(pair: Pair, horizon: int, forwards: Sequence[ForwardReturn]) -> str:
    """Return both legs' forward returns, for rules on something other than divergence."""
    etf, crypto = median(forward.etf for forward in forwards), median(forward.crypto for forward in forwards)
    moves = f"{fmt.title(pair.etf)} {fmt.percent(etf)}, {fmt.name(pair.crypto)} {fmt.percent(crypto)}"
    return f"{fmt.sessions(horizon)} on: {moves} at the median of {len(forwards)}{_independent_cases(forwards)}."


def episode_header() -> list[str]:
    """Return the column names of a table of episodes."""
    return ["Fired", "Side", "At", "Peak", "Sessions", "Ended by", f"{HORIZONS[0]} on"]


def episode_row(episode: PastEpisode, backtest: Backtest) -> list[str]:
    """Return one episode as a table row."""
    unit = backtest.replay.rule.unit
    return [
        f"{episode.fired_on}",
        episode.side.value,
        fmt.metric_value(episode.value, unit),
        fmt.metric_value(episode.peak, unit),
        f"{episode.length}",
        _ended_by_cell(episode, backtest.replay.rule.pair),
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


def _ended_by_cell(episode: PastEpisode, pair: Pair) -> str:
    if episode.ended_on is None:
        return "lasts"
    names = {ClosedBy.CRYPTO: fmt.name(pair.crypto), ClosedBy.ETF: fmt.title(pair.etf), ClosedBy.ROLLED_OFF: "window"}
    return names[episode.closed_by] if episode.closed_by else fmt.NO_VALUE


def _episode_line(episode: PastEpisode, backtest: Backtest) -> str:
    fired, side, at, peak, _length, ended_by, forward = episode_row(episode, backtest)
    lasted = fmt.sessions(episode.length)
    after = f"{FALSE_ALARM_SESSIONS} sessions on {forward}"
    return f"{fired} {side} at {at}, peak {peak}, {lasted}, ended by: {ended_by}, {after}"
