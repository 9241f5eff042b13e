"""An alert as its message tells it, open or resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.course import course_chart, course_words
from handlers.render.limits import SHARE_TEXT, fitting
from handlers.render.market import data
from handlers.render.markup import escape, person, reason, said, simulated
from handlers.render.message import actions, button, choice, compose, header, note, section
from handlers.render.parted import parted
from handlers.render.record import record
from handlers.render.rule_buttons import edit_button
from handlers.render.topic import against_threshold, heading, peak_over, topic
from services.domain.grammar import parse_rule
from services.domain.measure import METRICS, Metric
from services.domain.snooze import LENGTHS, Span

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.render.message import Block, Message
    from services.domain.episode import Alert, LegStamp
    from services.domain.measure import Measurement
    from services.domain.mention import Mention
    from services.domain.mined import Mined
    from services.domain.prices import Symbol

SURE = "This ends the alert for everyone. A rule of it fires again only once it has cleared."


def alert(told: Alert, now: datetime, *, calls: Mention | None = None) -> Message:
    """Render an alert as it stands at `now`; where it `calls` someone, they are named first.

    What must be read and pressed at night fits on a phone: the chart comes last, and words say what it shows.
    """
    title = simulated(_title(told), when=told.simulated)
    legs = _legs(told)
    rules = fitting([against_threshold(fact, told.side) for fact in told.facts], SHARE_TEXT, " rules")
    unusual = [] if told.closed_at else [_unusual(told), *record(told), *parted(told)]
    called = [] if calls is None else [f"{calls.text}: please look at this."]
    since, prices, marks = _since(told), _prices(told, now), _marks(told, now)
    course = course_words(told)
    return compose(
        [
            header(title),
            section(*called),
            section(*legs),
            section(*unusual),
            section(*rules),
            section(*since),
            note(*marks),
            note(*prices),
            _buttons(told),
            note(*course),
            course_chart(told),
        ],
        [title, *called, *legs, *unusual, *rules, *since, *marks, *prices, *course],
    )


def _title(told: Alert) -> str:
    if told.closed_at is None:
        return heading(told.lead)
    lasted = words.duration(told.closed_at - told.opened_at)
    if told.retracted:
        return f"Retracted after {lasted}: {topic(told)}, which the corrected close would not have fired"
    return f"Resolved after {lasted}: {topic(told)}, peak {peak_over(told.lead)}"


def _legs(told: Alert) -> list[str]:
    """Tell how far each leg has come over the leading window, and where it stands; what mining came to, where asked."""
    measured = told.lead.measurement
    legs = [
        _leg(told.pair.etf, measured.etf_return, told.etf),
        _leg(told.pair.crypto, measured.crypto_return, told.crypto),
    ]
    since = f"{'At the end, since' if told.closed_at else 'Since'} the close of {words.day(measured.anchor)}:"
    if _of_network(told) and measured.mined:
        stands = "" if told.etf.at == told.crypto.at else f", its price of {words.moment(told.etf.at)}"
        return [since, *_mined(measured.mined), legs[1], f"{legs[0]}{stands}"]
    return [since, *legs, f"Spread *{words.pp(measured.spread)}*"]


def _of_network(told: Alert) -> bool:
    return METRICS[parse_rule(told.lead.rule).metric].of_network


def _mined(seen: Mined) -> list[str]:
    earned = f"{words.price(seen.hashprice)} a PH/s a day without fees, from {words.price(seen.hashprice_before)}"
    hard = f"{words.difficulty(seen.difficulty)}, from {words.difficulty(seen.difficulty_before)}"
    return [
        f"Hashprice *{words.percent(seen.hashprice_change)}* to {earned}",
        f"Difficulty *{words.percent(seen.difficulty_change)}* to {hard}",
    ]


def _leg(symbol: Symbol, moved: float, stamp: LegStamp) -> str:
    return f"{words.title(symbol)} *{words.percent(moved)}* to {words.price(stamp.price)}"


def _unusual(told: Alert) -> str:
    measured = told.lead.measurement
    if _of_network(told) and measured.mined:
        return _unusual_mined(measured, measured.mined, parse_rule(told.lead.rule).metric)
    spread = f"The {words.window(measured.window)} spread"
    if measured.percentile is None:
        return f"How unusual that is cannot be told yet: {spread.lower()} has too little history."
    rank = words.unusual(measured.percentile, above=measured.spread >= 0)
    z = "" if measured.z is None else f", robust z {words.signed(measured.z)}"
    return f"{spread} is {rank}{z}."


def _unusual_mined(measured: Measurement, seen: Mined, metric: Metric) -> str:
    earned = metric is Metric.HASHPRICE
    percentile = seen.hashprice_percentile if earned else seen.difficulty_percentile
    change = f"The {words.window(measured.window)} change of {metric.value}"
    if percentile is None:
        return f"How unusual that is cannot be told yet: {change.lower()} has too little history."
    rose = (seen.hashprice_change if earned else seen.difficulty_change) >= 0
    return f"{change} is {words.unusual(percentile, above=rose)}."


def _since(told: Alert) -> list[str]:
    opened = words.moment_utc(told.opened_at)
    if told.closed_at is None:
        return [f"Open since {opened}.", f"Why: {reason(told.reason)}."]
    return [f"Open from {opened} to {words.moment_utc(told.closed_at)}.", f"Why it ended: {said(told.reason)}."]


def _prices(told: Alert, now: datetime) -> list[str]:
    """Give the instant of the prices, their age when this was written, which cannot tick, and how far to trust them."""
    etf = f"{words.title(told.pair.etf)} from {escape(told.etf.source)}"
    crypto = f"{words.name(told.pair.crypto)} from {escape(told.crypto.source)}"
    decisive = told.crypto.at if _of_network(told) else min(told.etf.at, told.crypto.at)
    age = f"{words.duration(now - decisive)} old when this was written"
    if told.etf.at == told.crypto.at:
        return [f"Prices of {words.moment_utc(told.etf.at)}, {age}: {etf}, {crypto}.", data(told.trust)]
    at_etf, at_crypto = words.moment_utc(told.etf.at), words.moment_utc(told.crypto.at)
    if _of_network(told):
        return [f"Prices of {at_crypto}, {age}: {crypto}; {etf} of {at_etf}.", data(told.trust)]
    return [f"Prices, {age}: {etf} of {at_etf}, {crypto} of {at_crypto}.", data(told.trust)]


def _marks(told: Alert, now: datetime) -> list[str]:
    marks = []
    if told.acknowledged:
        marks.append(f"Acknowledged by {person(told.acknowledged.by)}, {words.moment(told.acknowledged.at)}.")
    if told.snoozed and told.snoozed.until and told.is_snoozed(now) and not told.closed_at:
        marks.append(f"Snoozed by {person(told.snoozed.by)} until {words.moment_utc(told.snoozed.until)}.")
    return marks


def _buttons(told: Alert) -> Block:
    """Offer what can be done with the alert as it stands; one that has ended can still be looked into."""
    number = str(told.id)
    rules = {fact.rule_id: fact.rule for fact in told.facts}
    looks = [button("chart", "Chart", number), button("why", "Why", number), edit_button(rules)]
    return actions(*(_votes(told) if told.closed_at else _acts(told)), *looks)


def _votes(told: Alert) -> list[Block]:
    """Ask whether an alert that has ended was worth it; one that was retracted was the prices' fault."""
    number = str(told.id)
    return [] if told.retracted else [button("useful", "Useful", number), button("noise", "Noise", number)]


def _acts(told: Alert) -> list[Block]:
    snooze = choice("snooze", "Snooze", {f"{told.id}:{span.value}": _label(span) for span in Span})
    resolve = button("resolve", "Resolve", str(told.id), sure=SURE)
    if told.acknowledged:
        return [button("unacknowledge", "Unacknowledge", str(told.id)), snooze, resolve]
    return [button("acknowledge", "Acknowledge", str(told.id), primary=True), snooze, resolve]


def _label(span: Span) -> str:
    if span in LENGTHS:
        return words.duration(LENGTHS[span])
    return "until the close" if span is Span.CLOSE else "until the next open"
