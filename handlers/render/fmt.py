"""Formatting of numbers, times and names; nothing else in the app formats them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from handlers.render.markup import DATE_PREFIX, MINUS, NBSP, escape
from services.core.prices import Pair, Symbol
from services.core.statistics import LOOKBACK_SESSIONS
from services.core.text import counted
from services.core.trust import Verdict
from services.market.measure import Correlation, Window
from services.market.metrics import Unit

NEW_YORK = ZoneInfo("America/New_York")

NO_VALUE = "–"  # in an empty table cell
LOOKBACK = f"{LOOKBACK_SESSIONS}{NBSP}sessions"  # that a percentile compares with
BLOCK_BARS, NO_BAR = "▁▂▃▄▅▆▇█", "·"
PERCENT_MAX = 100.0
MIN_P, WHOLE_P = 0.001, 0.01  # a smaller p-value is not written out; from the second one on, two decimals suffice
WHOLE_DOLLARS = 1_000
TEN = 10
MILLION, TERA, EXA = 1e6, 1e12, 1e18
MINUTE, HOUR, DAY = 60, 3_600, 86_400
DAYS_FROM = 2 * DAY  # from here on, days and hours are shown
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def pp(fraction: float) -> str:
    """Return a difference of returns in percentage points: 0.084 is `+8.4 pp`."""
    return f"{signed(100 * fraction)}{NBSP}pp"


def pp_with_error(fraction: float, error: float | None) -> str:
    """Return a difference of returns with its standard error if known: `+8.4 pp ± 0.5`."""
    return pp(fraction) if error is None else f"{pp(fraction)} {pp_error(error)}"


def pp_error(error: float | None) -> str:
    """Return the standard error of a difference of returns for a table cell: `± 0.5`."""
    return NO_VALUE if error is None else f"± {unsigned(100 * error)}"


def percent(fraction: float) -> str:
    """Return a return in percent: -0.031 is `−3.1%`."""
    return f"{signed(100 * fraction)}%"


def signed(number: float, decimals: int = 1) -> str:
    """Return a number with its sign; what rounds to zero has none."""
    rounded = round(number, decimals)
    sign = "+" if rounded > 0 else MINUS if rounded < 0 else ""
    return f"{sign}{abs(rounded):,.{decimals}f}"


def decimal(number: float) -> str:
    """Return one decimal, with a sign only if it is negative."""
    return signed(number).removeprefix("+")


def ratio(number: float) -> str:
    """Return two decimals, with a sign only if negative: a beta of -0.2 is `−0.20`."""
    rounded = round(number, 2)
    return f"{MINUS if rounded < 0 else ''}{abs(rounded):.2f}"


def beta(value: float, error: float | None) -> str:
    """Return a beta with its standard error if known: `β *1.37* ± 0.12`."""
    return f"β *{ratio(value)}*{'' if error is None else f' ± {ratio(error)}'}"


def correlation(value: Correlation) -> str:
    """Return a correlation with its interval and R²: `correlation 0.60 (90% interval 0.45 to 0.72), R² 0.37`."""
    low, high = value.interval
    return f"correlation {ratio(value.value)} (90% interval {ratio(low)} to {ratio(high)}), R² {ratio(value.r2)}"


def p_value(p: float) -> str:
    """Return a p-value: `p = 0.04`, with three decimals below 0.01."""
    if p < MIN_P:
        return f"p below {MIN_P}"
    return f"p = {p:.2f}" if p >= WHOLE_P else f"p = {p:.3f}"


def unsigned(number: float) -> str:
    """Return one decimal without a sign."""
    return f"{abs(number):,.1f}"


def metric_value(value: float, unit: Unit, decimals: int = 1) -> str:
    """Return a metric's value in its unit; a level has at least two decimals, and no sign if positive."""
    number = signed(unit.scale * value, max(decimals, 2) if unit.is_level else decimals)
    return _in_unit(number.removeprefix("+") if unit.is_level else number, unit)


def unsigned_value(value: float, unit: Unit) -> str:
    """Return a metric's value in its unit, without its sign; a level keeps it."""
    return _in_unit(ratio(value) if unit.is_level else unsigned(unit.scale * value), unit)


def threshold(value: float, unit: Unit, sign: str = "") -> str:
    """Return a threshold in its unit, with no more digits than were typed: 0.08 is `8 pp`, or `±8 pp` with a sign."""
    return _in_unit(f"{sign}{unit.scale * value:.6g}".replace("-", MINUS), unit)


def _in_unit(number: str, unit: Unit) -> str:
    return unit.written.format(number).replace(" pp", f"{NBSP}pp")


def price(dollars: float) -> str:
    """Return a price in dollars: cents below $1,000, four significant digits below $1."""
    if dollars >= WHOLE_DOLLARS:
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4g}"


def hashrate(hashes: float | None) -> str:
    """Return hashes per second: 1.012e21 is `1,012 EH/s`; None is `unknown`."""
    return "unknown" if hashes is None else f"{hashes / EXA:,.0f} EH/s"


def difficulty(units: float | None) -> str:
    """Return a difficulty: 150e12 is `150.00 T`; None is `unknown`."""
    return "unknown" if units is None else f"{units / TERA:,.2f} T"


def gigawatts(power: float) -> str:
    """Return a power in gigawatts: `15.3 GW`."""
    return f"{power:,.1f} GW"


def terawatt_hours(energy: float) -> str:
    """Return an energy in terawatt hours: `134 TWh`; one decimal below 10."""
    return f"{energy:,.0f} TWh" if energy >= TEN else f"{energy:.1f} TWh"


def efficiency(joules: float) -> str:
    """Return a machine's efficiency: `21.5 J/TH`."""
    return f"{joules:,.1f} J/TH"


def electricity(dollars: float) -> str:
    """Return a price of electricity with at least two decimals: `$0.05/kWh`, `$0.047/kWh`."""
    rounded = f"{dollars:.3f}"
    return f"${rounded.removesuffix('0')}/kWh"


def name(symbol: Symbol) -> str:
    """Return a leg's name: its symbol."""
    return escape(symbol)


def spread_phrase(pair: Pair, spread: float) -> str:
    """Return the spread in words: `8.4 pp ahead of BTC`."""
    points = unsigned(100 * spread)
    if points == unsigned(0):
        return f"level with {name(pair.crypto)}"
    return f"{points}{NBSP}pp {'ahead of' if spread > 0 else 'behind'} {name(pair.crypto)}"


def window(span: Window) -> str:
    """Return a window as an adjective: `5-session`."""
    return "year-to-date" if span is Window.YTD else f"{span.value.removesuffix('d')}-session"


def window_name(span: Window) -> str:
    """Return a window as a choice: `5 sessions`, `Year to date`."""
    return "Year to date" if span is Window.YTD else sessions(int(span.value.removesuffix("d")))


def windows(spans: Sequence[Window]) -> str:
    """Return several windows as a phrase: `1, 5 and 20 sessions`, `252 sessions and year to date`."""
    counts = [span.value.removesuffix("d") for span in spans if span is not Window.YTD]
    names = [_joined(counts) + (f"{NBSP}session" if counts == ["1"] else f"{NBSP}sessions")] if counts else []
    return " and ".join([*names, *(["year to date"] if Window.YTD in spans else [])])


def _joined(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def over_window(span: Window, end: date | None = None) -> str:
    """Return a window as a period: `over 5 sessions`, or `in 2026` for a year to date with an end."""
    if span is Window.YTD:
        return f"in {end.year}" if end else "this year"
    return f"over {sessions(int(span.value.removesuffix('d')))}"


def percentile_phrase(percentile: float) -> str:
    """Return where a value ranks: `99th percentile`, or `highest` or `lowest` beyond all before."""
    if percentile >= PERCENT_MAX:
        return "highest"
    return "lowest" if percentile <= 0 else f"{percentile_cell(percentile)} percentile"


def sigma(value: float) -> str:
    """Return a volatility-scaled move: `+1.5σ`."""
    return f"{signed(value)}σ"


def sigma_phrase(value: float, count: int) -> str:
    """Return a volatility-scaled move with the sessions that it covers: `+1.5σ for 60 sessions`."""
    return f"{sigma(value)} for {sessions(count)}"


def whole_percent(percent: float) -> str:
    """Return a percentage, truncated so that only exact ones are `all` or `none`: 99.7 is `99%`."""
    return "all" if percent >= PERCENT_MAX else "none" if percent <= 0 else f"{max(1, int(percent))}%"


def percentile_cell(percentile: float) -> str:
    """Return a percentile for a table cell: `93rd`, or `top` or `low` if it is outside all values before."""
    if percentile >= PERCENT_MAX:
        return "top"
    if percentile <= 0:
        return "low"
    return ordinal(min(99, max(1, int(percentile))))


def verdict(value: Verdict) -> str:
    """Return a data quality after the word `Data`: `OK`, `degraded`."""
    return "OK" if value is Verdict.OK else value.value


def ordinal(number: int) -> str:
    """Return an ordinal number: `1st`, `12th`, `23rd`."""
    return f"{number}{_ORDINALS.get(number % 10, 'th') if number % 100 // 10 != 1 else 'th'}"


def sessions(count: float) -> str:
    """Return a number of sessions: `1 session`, `2.5 sessions`."""
    return counted(count, "session").replace(" ", NBSP)


def duration(span: timedelta) -> str:
    """Return a duration: `45 s`, `3 min`, `2 h 10 min`, `3 days 4 h`."""
    seconds = int(span.total_seconds())
    if seconds < MINUTE:
        return f"{max(0, seconds)}{NBSP}s"
    if seconds < HOUR:
        return f"{seconds // MINUTE}{NBSP}min"
    if seconds < DAYS_FROM:
        minutes = seconds % HOUR // MINUTE
        return f"{seconds // HOUR}{NBSP}h {minutes}{NBSP}min" if minutes else f"{seconds // HOUR}{NBSP}h"
    hours = seconds % DAY // HOUR
    return f"{seconds // DAY}{NBSP}days {hours}{NBSP}h" if hours else f"{seconds // DAY}{NBSP}days"


def age(span: timedelta) -> str:
    """Return an age: `4 s ago`, `3 min ago`, or `just now`."""
    return f"{duration(span)} ago" if span >= timedelta(seconds=1) else "just now"


def instant(at: datetime) -> str:
    """Return a date token that Slack shows in the reader's time zone, as in `today at 10:35 AM`; for mrkdwn only."""
    return f"<!{DATE_PREFIX}{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{plain_instant(at)}>"


def clock_time(at: datetime) -> str:
    """Return a date token of the time alone, as in `10:35 AM`; for mrkdwn only."""
    return f"<!{DATE_PREFIX}{int(at.timestamp())}^{{time}}|{plain_time(at)}>"


def plain_instant(at: datetime) -> str:
    """Return a date and time in New York: `Nov 17, 10:35 AM ET`."""
    return f"{short_day(at.astimezone(NEW_YORK))}, {plain_time(at)}"


def plain_time(at: datetime) -> str:
    """Return a time in New York: `10:35 AM ET`."""
    return f"{at.astimezone(NEW_YORK):%-I:%M %p} ET"


def day(on: date) -> str:
    """Return a session's date without its year: `Mon Nov 16`."""
    return f"{on:%a} {short_day(on)}"


def short_day(on: date) -> str:
    """Return a date without weekday and year: `Nov 16`."""
    return f"{on:%b} {on.day}"


def full_day(on: date) -> str:
    """Return a date with its year: `Nov 16, 2026`."""
    return f"{short_day(on)}, {on.year}"


def day_in(on: date, year: int) -> str:
    """Return a session's date, with its year if it is another one: `Mon Nov 16`, `Nov 16, 2025`."""
    return day(on) if on.year == year else full_day(on)


def alert_link(number: int, permalink: str = "") -> str:
    """Return an alert's number, as a link if its permalink is known."""
    return f"<{permalink}|#{number}>" if permalink else f"#{number}"


def index_level(level: float) -> str:
    """Return a level of a series indexed to 100: `95.6`, `12,346`, `1.2e+09`."""
    if abs(level) >= MILLION:
        return f"{level:.1e}"
    return f"{level:,.1f}" if abs(level) < WHOLE_DOLLARS else f"{level:,.0f}"


def sparkline(values: Sequence[float | None]) -> str:
    """Return one bar per value, scaled between the smallest and the largest, and a dot for None.

    If all values are equal, every bar is the lowest.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low or 1.0
    return "".join(
        NO_BAR if value is None else BLOCK_BARS[int((value - low) / span * (len(BLOCK_BARS) - 1) + 0.5)]
        for value in values
    )
