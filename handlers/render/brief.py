"""A market brief: what moved, what is unusual, alerts and upcoming events."""

from typing import assert_never

from handlers.render import fmt
from handlers.render.alert_text import alert_peak, alert_subject, heading
from handlers.render.market import data_quality_line, gap_lines, price_line, rank_phrase
from handlers.render.markup import escape, mark_simulated, reason, user_mention
from handlers.render.message import Message, compose, context, header, section
from handlers.render.power import power_lines, power_notes
from services.alerting.alert import Alert
from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, DayKind, SpecialDay
from services.core.text import counted
from services.market.measure import Measurement

ALERTS_SHOWN = 10
PROBLEMS_SHOWN = 4


def brief_message(brief: Brief) -> Message:
    """Return a brief with the data stored in it."""
    title = mark_simulated(_title(brief), when=brief.simulated)
    move = ["*What moved*", *_move_lines(brief)]
    unusual = ["*What is unusual*", *_unusual_lines(brief)]
    alerts = ["*Alerts*", *_alert_lines(brief)]
    watch = ["*What to watch*", *_watch_lines(brief)]
    notes = [
        *_price_lines(brief),
        data_quality_line(brief.trust),
        *(f"Problem: {reason(problem)}." for problem in brief.problems[:PROBLEMS_SHOWN]),
        *power_notes(brief.power),
    ]
    power = ["*What mining takes*", *power_lines(brief.power)] if brief.occasion is Occasion.WEEKLY else []
    parts = [move, unusual, alerts, power, watch]
    return compose(
        [header(title), *(section(*part) for part in parts), context(*notes)],
        [title, *(line for part in parts for line in part), *notes],
    )


def _title(brief: Brief) -> str:
    day, pair = fmt.day(brief.session), f"{brief.pair.etf} and {fmt.name(brief.pair.crypto)}"
    match brief.occasion:
        case Occasion.OPEN:
            return f"Before the open of {day}: {pair}"
        case Occasion.CLOSE:
            return f"At the close of {day}: {pair}"
        case Occasion.WEEKLY:
            return f"The week to {day}: {pair}"
        case Occasion.NOW:
            return f"{pair}, {fmt.moment(brief.at)}"
        case _:
            assert_never(brief.occasion)


def _move_lines(brief: Brief) -> list[str]:
    lines = [_window_line(measurement) for measurement in brief.measurements] or [
        "No window can be measured: a price is missing."
    ]
    if brief.gap is None or brief.crypto is None:
        return lines
    return [*lines, *gap_lines(brief.gap, brief.pair)]


def _window_line(measurement: Measurement) -> str:
    etf = f"{fmt.title(measurement.pair.etf)} {fmt.percent(measurement.etf_return)}"
    crypto = f"{fmt.name(measurement.pair.crypto)} {fmt.percent(measurement.crypto_return)}"
    span = fmt.over_window(measurement.window, measurement.session)
    when = f"{span[:1].upper()}{span[1:]} to {'now' if measurement.live else fmt.day(measurement.session)}"
    return f"{when}: {etf}, {crypto}, spread *{fmt.pp(measurement.spread)}*."


def _unusual_lines(brief: Brief) -> list[str]:
    """Return the unusual spreads, and of how many; of several, each must be more unusual than one alone."""
    if not brief.readings:
        return ["Unknown: there is too little history."]
    looked_at = f"{counted(brief.readings, 'spread')} looked at"
    if not brief.unusual:
        return [f"Nothing: {looked_at}."]
    lines = [
        f"The {fmt.window(measurement.window)} spread is {rank_phrase(measurement)}." for measurement in brief.unusual
    ]
    return [*lines, f"Unusual: {len(lines)} of {looked_at}."]


def _alert_lines(brief: Brief) -> list[str]:
    since = fmt.moment(brief.since)
    if not brief.alerts:
        return [f"None since {since}."]
    open_alerts = [alert for alert in brief.alerts if alert.closed_at is None]
    ended_alerts = [alert for alert in brief.alerts if alert.closed_at is not None]
    lines = [*map(_open_alert_line, open_alerts), *map(_ended_alert_line, ended_alerts)]
    hidden = len(lines) - ALERTS_SHOWN
    return [*lines[:ALERTS_SHOWN], *([f"… and {hidden} more: `/minerpulse history`"] if hidden > 0 else [])]


def _open_alert_line(alert: Alert) -> str:
    acknowledgement = (
        f"acknowledged by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else "not acknowledged"
    )
    peak, since = alert_peak(alert), fmt.moment(alert.opened_at)
    return f"Open: {heading(alert.lead)}, peak {peak}, since {since}, {acknowledgement}."


def _ended_alert_line(alert: Alert) -> str:
    lasted = fmt.duration((alert.closed_at or alert.opened_at) - alert.opened_at)
    outcome = "retracted" if alert.retracted else "ended"
    acknowledgement = f", acknowledged by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else ""
    peak, since = alert_peak(alert), fmt.moment(alert.opened_at)
    result = f"{outcome.capitalize()} after {lasted}: {alert_subject(alert)}"
    return f"{result}, peak {peak}, from {since}{acknowledgement}."


def _watch_lines(brief: Brief) -> list[str]:
    return [*(_day_line(day) for day in brief.special_days), _retarget_line(brief)]


def _day_line(day: SpecialDay) -> str:
    match day.kind:
        case DayKind.SHUT:
            return f"{fmt.day(day.day)}: New York is shut."
        case DayKind.HALF:
            closes = f", closes {fmt.time_utc(day.closes_at)}" if day.closes_at else ""
            return f"{fmt.day(day.day)}: half-day{closes}."
        case _:
            assert_never(day.kind)


def _retarget_line(brief: Brief) -> str:
    if brief.retarget is None:
        return "The next retarget of the difficulty is not known."
    retarget = brief.retarget
    when = f"{fmt.full_moment(retarget.at)}, in {fmt.duration(retarget.at - brief.at)}"
    source = f"as {escape(brief.network)} estimates it"
    return f"Next retarget of the difficulty: {fmt.percent(retarget.change)}, about {when}, {source}."


def _price_lines(brief: Brief) -> list[str]:
    live = any(measurement.live for measurement in brief.measurements)
    legs = [(brief.pair.etf, brief.etf), (brief.pair.crypto, brief.crypto)]
    return [price_line(symbol, stamp, brief.at, live=live) for symbol, stamp in legs]
