"""A brief: what moved, what is unusual, the alerts and their fate, and what to watch."""

from __future__ import annotations

from typing import assert_never

from handlers.render import fmt
from handlers.render.alert_text import heading, peak_over, topic
from handlers.render.market import data, gap_lines, price_line
from handlers.render.markup import escape, person, reason, simulated
from handlers.render.message import Message, compose, header, note, section
from services.alerting.alert import Alert
from services.alerting.brief import RARE, Brief, DayAhead, DayKind, Occasion
from services.market.measure import Measurement

ALERTS_SHOWN = 10
PROBLEMS_SHOWN = 4


def brief_message(told: Brief) -> Message:
    """Render a brief as it was put together."""
    title = simulated(_title(told), when=told.simulated)
    moved = ["*What moved*", *_moved(told)]
    unusual = ["*What is unusual*", *_unusual(told)]
    alerts = ["*Alerts*", *_alerts(told)]
    watch = ["*What to watch*", *_watch(told)]
    small = [*_prices(told), data(told.trust), *(f"Problem: {reason(one)}." for one in told.problems[:PROBLEMS_SHOWN])]
    return compose(
        [header(title), section(*moved), section(*unusual), section(*alerts), section(*watch), note(*small)],
        [title, *moved, *unusual, *alerts, *watch, *small],
    )


def _title(told: Brief) -> str:
    day, pair = fmt.day(told.session), f"{told.pair.etf} and {fmt.name(told.pair.crypto)}"
    match told.occasion:
        case Occasion.OPEN:
            return f"Before the open of {day}: {pair}"
        case Occasion.CLOSE:
            return f"At the close of {day}: {pair}"
        case Occasion.WEEKLY:
            return f"The week to {day}: {pair}"
        case Occasion.NOW:
            return f"{pair}, {fmt.moment(told.at)}"
        case _:
            assert_never(told.occasion)


def _moved(told: Brief) -> list[str]:
    lines = [_window(one) for one in told.measured] or ["No window can be measured: a price is missing."]
    if told.gap is None or told.crypto is None:
        return lines
    return [*lines, *gap_lines(told.gap, told.pair)]


def _window(one: Measurement) -> str:
    etf = f"{fmt.title(one.pair.etf)} {fmt.percent(one.etf_return)}"
    crypto = f"{fmt.name(one.pair.crypto)} {fmt.percent(one.crypto_return)}"
    span = fmt.over(one.window, one.session)
    when = f"{span[:1].upper()}{span[1:]} to {'now' if one.live else fmt.day(one.session)}"
    return f"{when}: {etf}, {crypto}, spread *{fmt.pp(one.spread)}*."


def _unusual(told: Brief) -> list[str]:
    ranked = [one for one in told.measured if one.percentile is not None]
    if not ranked:
        return ["That cannot be told: there is too little history."]
    lines = [_rare(one) for one in told.unusual]
    return lines or ["Nothing: each of these spreads lies within nine tenths of the year before."]


def _rare(one: Measurement) -> str:
    assert one.percentile is not None, "only these are unusual"  # noqa: S101
    return f"The {fmt.window(one.window)} spread is {fmt.unusual(one.percentile, above=one.percentile >= RARE)}."


def _alerts(told: Brief) -> list[str]:
    since = fmt.moment(told.since)
    if not told.alerts:
        return [f"None since {since}."]
    still = [one for one in told.alerts if one.closed_at is None]
    ended = [one for one in told.alerts if one.closed_at is not None]
    lines = [*map(_open, still), *map(_ended, ended)]
    more = len(lines) - ALERTS_SHOWN
    return [*lines[:ALERTS_SHOWN], *([f"… and {more} more: `/minerpulse history`"] if more > 0 else [])]


def _open(alert: Alert) -> str:
    seen = f"acknowledged by {person(alert.acknowledged.by)}" if alert.acknowledged else "acknowledged by nobody"
    return f"Open: {heading(alert.lead)}, peak {peak_over(alert.lead)}, since {fmt.moment(alert.opened_at)}, {seen}."


def _ended(alert: Alert) -> str:
    lasted = fmt.duration((alert.closed_at or alert.opened_at) - alert.opened_at)
    fate = "retracted" if alert.retracted else "ended"
    seen = f", acknowledged by {person(alert.acknowledged.by)}" if alert.acknowledged else ""
    began = fmt.moment(alert.opened_at)
    return f"{fate.capitalize()} after {lasted}: {topic(alert)}, peak {peak_over(alert.lead)}, from {began}{seen}."


def _watch(told: Brief) -> list[str]:
    return [*(_day(one) for one in told.ahead), _retarget(told)]


def _day(one: DayAhead) -> str:
    match one.kind:
        case DayKind.SHUT:
            return f"{fmt.day(one.day)}: New York is shut."
        case DayKind.HALF:
            closes = f", closes {fmt.hour(one.closes_at)}" if one.closes_at else ""
            return f"{fmt.day(one.day)}: half-day{closes}."
        case _:
            assert_never(one.kind)


def _retarget(told: Brief) -> str:
    if told.retarget is None:
        return "The next retarget of the difficulty is not known."
    coming = told.retarget
    when = f"{fmt.full_moment(coming.at)}, in {fmt.duration(coming.at - told.at)}"
    source = f"as {escape(told.network)} estimates it"
    return f"Next retarget of the difficulty: {fmt.percent(coming.change)}, about {when}, {source}."


def _prices(told: Brief) -> list[str]:
    live = any(one.live for one in told.measured)
    legs = [(told.pair.etf, told.etf), (told.pair.crypto, told.crypto)]
    return [price_line(symbol, stamp, told.at, live=live) for symbol, stamp in legs]
