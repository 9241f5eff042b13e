"""A market brief: what moved, what is unusual, alerts and upcoming events."""

from typing import assert_never

from handlers.render import fmt, market
from handlers.render.alert_text import (
    STATE_EMOJI,
    AlertState,
    alert_peak,
    alert_state,
    alert_subject,
    data_text,
    mark_alert,
    short_heading,
    time_open,
)
from handlers.render.markup import escape, mark_simulated, plain, user_mention
from handlers.render.message import Message, compose, context, header, notification, section
from handlers.render.power import power_lines, power_notes
from services.alerting.alert import Alert
from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, DayKind, SpecialDay
from services.core.text import counted
from services.market.measure import Measurement, Window

ALERTS_SHOWN = 10
PROBLEMS_SHOWN = 4


def brief_message(brief: Brief) -> Message:
    """Return a brief with the data stored in it."""
    title = mark_simulated(_title(brief), when=brief.simulated)
    legs, alerts = _leg_lines(brief), _alert_lines(brief)
    power = ["*Bitcoin network*", *power_lines(brief.power)] if brief.occasion is Occasion.WEEKLY else []
    small = [" · ".join([*_source_parts(brief), data_text(brief.trust)])]
    problems = [market.problem_line(problem) for problem in brief.problems[:PROBLEMS_SHOWN]]
    return compose(
        [
            header(title),
            section(*legs),
            market.windows_table(brief.measurements, brief.pair) if brief.measurements else None,
            section(*_unusual_lines(brief)),
            section(*alerts),
            section(*power),
            section(*_next_lines(brief)),
            context(*small, *problems, *power_notes(brief.power)),
        ],
        notification(
            f"{title}.",
            f"{plain(', '.join(legs)).rstrip('.')}.",
            _alerts_summary(brief),
            f"{plain(data_text(brief.trust))}.",
        ),
    )


def _title(brief: Brief) -> str:
    """Return when the brief is of, and the spread of its shortest window."""
    day = fmt.short_day(brief.session)
    match brief.occasion:
        case Occasion.OPEN:
            when = f"Before the {day} open"
        case Occasion.CLOSE:
            when = f"{day} close"
        case Occasion.WEEKLY:
            when = f"Weekly, {day}"
        case Occasion.NOW:
            when = "Now"
        case _:
            assert_never(brief.occasion)
    first = _first(brief)
    if first is None:
        return f"{when}: no spread for {brief.pair}"
    window = "" if first.window is Window.D1 else f" {fmt.over_window(first.window, first.session)}"
    return f"{when}: {brief.pair.etf} {fmt.spread_phrase(brief.pair, first.spread)}{window}"


def _first(brief: Brief) -> Measurement | None:
    week = [measurement for measurement in brief.measurements if measurement.window is Window.D5]
    if brief.occasion is Occasion.WEEKLY and week:
        return week[0]
    return next(iter(brief.measurements), None)


def _leg_lines(brief: Brief) -> list[str]:
    """Return both legs over the window of the title; before the open, the gap that bitcoin's move implies."""
    first = _first(brief)
    if first is None:
        return ["No window can be measured: a price is missing."]
    legs = [(brief.pair.etf, first.etf_return, brief.etf), (brief.pair.crypto, first.crypto_return, brief.crypto)]
    lines = [
        f"{fmt.name(symbol)} *{fmt.percent(change)}*" + (f" to {fmt.price(stamp.price)}" if stamp else "")
        for symbol, change, stamp in legs
    ]
    if brief.gap is None:
        return lines
    move = f"{fmt.name(brief.pair.crypto)} *{fmt.percent(brief.gap.move)}* since {brief.pair.etf}'s close"
    return [*lines, move, market.implied_gap_line(brief.gap, brief.pair)]


def _unusual_lines(brief: Brief) -> list[str]:
    """Return the unusual spreads, and of how many; of several, each must be more unusual than one alone."""
    if not brief.readings:
        return ["*Unusual:* unknown, not enough history"]
    checked = f"{counted(brief.readings, 'spread')} checked"
    if not brief.unusual:
        return [f"*Unusual:* none of {checked}"]
    lines = [f"{fmt.window(found.window)} spread, {market.rank_phrase(found)}" for found in brief.unusual]
    return [f"*Unusual:* {'; '.join(lines)} ({len(lines)} of {checked})"]


def _alert_lines(brief: Brief) -> list[str]:
    if not brief.alerts:
        return [f"*Alerts:* none since {fmt.instant(brief.since)}"]
    waiting = [alert for alert in brief.alerts if alert.closed_at is None]
    ended = [alert for alert in brief.alerts if alert.closed_at is not None]
    lines = [_alert_line(alert, brief) for alert in [*waiting, *ended]]
    hidden = len(lines) - ALERTS_SHOWN
    more = [f"… and {hidden} more: `/minerpulse history`"] if hidden > 0 else []
    return ["*Alerts*", *lines[:ALERTS_SHOWN], *more]


def _alert_line(alert: Alert, brief: Brief) -> str:
    """Return an alert in one line: its number, state, size, how long it was open, and who has acknowledged it."""
    state = alert_state(alert, brief.at)
    what = short_heading(alert.lead) if alert.closed_at is None else alert_subject(alert)
    by = f" by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else ""
    number = fmt.alert_link(alert.id, alert.permalink)
    length = f"{mark_alert(what, alert)}, peak {alert_peak(alert)}, {time_open(alert, brief.at)}"
    if state is AlertState.ACKNOWLEDGED:
        return f"{STATE_EMOJI[state]} {number} {state.value}{by}: {length}"
    missing = ", not acknowledged" if state is AlertState.FIRING else ""
    return f"{STATE_EMOJI[state]} {number} {state.value}: {length}{f', acknowledged{by}' if by else missing}"


def _alerts_summary(brief: Brief) -> str:
    waiting = [f"#{alert.id}" for alert in brief.alerts if alert.closed_at is None]
    if waiting:
        return f"{counted(len(waiting), 'open alert')} ({', '.join(waiting[:3])})."
    return "No open alerts."


def _next_lines(brief: Brief) -> list[str]:
    return [f"*Next:* {_retarget_text(brief)}", *(_day_line(day) for day in brief.special_days)]


def _day_line(day: SpecialDay) -> str:
    match day.kind:
        case DayKind.SHUT:
            return f"{fmt.day(day.day)}: US market closed"
        case DayKind.HALF:
            closes = f", {fmt.clock_time(day.closes_at)}" if day.closes_at else ""
            return f"{fmt.day(day.day)}: early close{closes}"
        case _:
            assert_never(day.kind)


def _retarget_text(brief: Brief) -> str:
    if brief.retarget is None:
        return "difficulty retarget unknown"
    retarget = brief.retarget
    return f"difficulty retarget {fmt.percent(retarget.change)} (estimate), {fmt.instant(retarget.at)}"


def _source_parts(brief: Brief) -> list[str]:
    legs = [(brief.pair.etf, brief.etf), (brief.pair.crypto, brief.crypto)]
    known = [
        f"{fmt.name(symbol)} {fmt.price(stamp.price)}, {escape(stamp.source)}, {fmt.instant(stamp.at)}"
        if stamp
        else f"no {fmt.name(symbol)} price"
        for symbol, stamp in legs
    ]
    network = [f"retarget from {escape(brief.network)}"] if brief.retarget else []
    return [*known, *network]
