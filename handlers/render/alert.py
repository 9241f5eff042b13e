"""An alert as its message tells it, open or resolved."""

from __future__ import annotations

from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import against_threshold, heading, peak_over, topic
from handlers.render.chart import furthest, native
from handlers.render.limits import SHARE_TEXT, fitting
from handlers.render.market import data
from handlers.render.markup import code, escape, person, reason, said, simulated
from handlers.render.message import Block, Message, actions, button, choice, compose, header, note, section
from handlers.render.rule_form import edit_button
from services.alerting.alert import Alert
from services.alerting.snooze import LENGTHS, SnoozeUntil
from services.core.identity import Mention
from services.core.prices import Pair, PriceStamp, Symbol
from services.market.measure import METRICS, Measurement, Metric
from services.market.mining_economics import MiningEconomics
from services.research.attribution import Part
from services.research.track_record import RECENT, Record
from services.rules.chart_series import AlertChart, IndexedReturns
from services.rules.grammar import parse_rule

SURE = "This ends the alert for everyone. A rule of it fires again only once it has cleared."


def alert_message(told: Alert, now: datetime, *, calls: Mention | None = None) -> Message:
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
    lasted = fmt.duration(told.closed_at - told.opened_at)
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
    since = f"{'At the end, since' if told.closed_at else 'Since'} the close of {fmt.day(measured.anchor)}:"
    if _of_network(told) and measured.mined:
        stands = "" if told.etf.at == told.crypto.at else f", its price of {fmt.moment(told.etf.at)}"
        return [since, *_mined(measured.mined), legs[1], f"{legs[0]}{stands}"]
    return [since, *legs, f"Spread *{fmt.pp(measured.spread)}*"]


def _of_network(told: Alert) -> bool:
    return METRICS[parse_rule(told.lead.rule).metric].of_network


def _mined(seen: MiningEconomics) -> list[str]:
    earned = f"{fmt.price(seen.hashprice)} a PH/s a day without fees, from {fmt.price(seen.hashprice_before)}"
    hard = f"{fmt.difficulty(seen.difficulty)}, from {fmt.difficulty(seen.difficulty_before)}"
    return [
        f"Hashprice *{fmt.percent(seen.hashprice_change)}* to {earned}",
        f"Difficulty *{fmt.percent(seen.difficulty_change)}* to {hard}",
    ]


def _leg(symbol: Symbol, moved: float, stamp: PriceStamp) -> str:
    return f"{fmt.title(symbol)} *{fmt.percent(moved)}* to {fmt.price(stamp.price)}"


def _unusual(told: Alert) -> str:
    measured = told.lead.measurement
    if _of_network(told) and measured.mined:
        return _unusual_mined(measured, measured.mined, parse_rule(told.lead.rule).metric)
    spread = f"The {fmt.window(measured.window)} spread"
    if measured.percentile is None:
        return f"How unusual that is cannot be told yet: {spread.lower()} has too little history."
    rank = fmt.unusual(measured.percentile, above=measured.spread >= 0)
    z = "" if measured.z is None else f", robust z {fmt.signed(measured.z)}"
    return f"{spread} is {rank}{z}."


def _unusual_mined(measured: Measurement, seen: MiningEconomics, metric: Metric) -> str:
    earned = metric is Metric.HASHPRICE
    percentile = seen.hashprice_percentile if earned else seen.difficulty_percentile
    change = f"The {fmt.window(measured.window)} change of {metric.value}"
    if percentile is None:
        return f"How unusual that is cannot be told yet: {change.lower()} has too little history."
    rose = (seen.hashprice_change if earned else seen.difficulty_change) >= 0
    return f"{change} is {fmt.unusual(percentile, above=rose)}."


def _since(told: Alert) -> list[str]:
    opened = fmt.moment_utc(told.opened_at)
    if told.closed_at is None:
        return [f"Open since {opened}.", f"Why: {reason(told.reason)}."]
    return [f"Open from {opened} to {fmt.moment_utc(told.closed_at)}.", f"Why it ended: {said(told.reason)}."]


def _prices(told: Alert, now: datetime) -> list[str]:
    """Give the instant of the prices, their age when this was written, which cannot tick, and how far to trust them."""
    etf = f"{fmt.title(told.pair.etf)} from {escape(told.etf.source)}"
    crypto = f"{fmt.name(told.pair.crypto)} from {escape(told.crypto.source)}"
    decisive = told.crypto.at if _of_network(told) else min(told.etf.at, told.crypto.at)
    age = f"{fmt.duration(now - decisive)} old when this was written"
    if told.etf.at == told.crypto.at:
        return [f"Prices of {fmt.moment_utc(told.etf.at)}, {age}: {etf}, {crypto}.", data(told.trust)]
    at_etf, at_crypto = fmt.moment_utc(told.etf.at), fmt.moment_utc(told.crypto.at)
    if _of_network(told):
        return [f"Prices of {at_crypto}, {age}: {crypto}; {etf} of {at_etf}.", data(told.trust)]
    return [f"Prices, {age}: {etf} of {at_etf}, {crypto} of {at_crypto}.", data(told.trust)]


def _marks(told: Alert, now: datetime) -> list[str]:
    marks = []
    if told.acknowledged:
        marks.append(f"Acknowledged by {person(told.acknowledged.by)}, {fmt.moment(told.acknowledged.at)}.")
    if told.snoozed and told.snoozed.until and told.is_snoozed(now) and not told.closed_at:
        marks.append(f"Snoozed by {person(told.snoozed.by)} until {fmt.moment_utc(told.snoozed.until)}.")
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
    snooze = choice("snooze", "Snooze", {f"{told.id}:{span.value}": _label(span) for span in SnoozeUntil})
    resolve = button("resolve", "Resolve", str(told.id), sure=SURE)
    if told.acknowledged:
        return [button("unacknowledge", "Unacknowledge", str(told.id)), snooze, resolve]
    return [button("acknowledge", "Acknowledge", str(told.id), primary=True), snooze, resolve]


def _label(span: SnoozeUntil) -> str:
    if span in LENGTHS:
        return fmt.duration(LENGTHS[span])
    return "until the close" if span is SnoozeUntil.CLOSE else "until the next open"


def record(told: Alert) -> list[str]:
    """Tell the record of the rule that leads an alert; nothing where none is known."""
    found = told.lead.record
    if found is None:
        return []
    rule, span = code(told.lead.rule), _span(found)
    turned = found.lasts is not None and found.lasts is not told.side
    number = found.episodes + turned + 1
    which = f"The {'first' if number == 1 else fmt.ordinal(number)} episode of {rule} in {span}, decided at closes."
    if found.median_length is None:
        return [which]
    known, alone = " that had ended" if turned else "", found.episodes == 1
    before = f"one before{known} lasted" if alone else f"{found.episodes} before{known} had a median length of"
    lasted = f"The {before} {fmt.sessions(found.median_length)}"
    return [which, f"{lasted}: {endings(told.pair, found.closings)}." if found.closings else f"{lasted}."]


def endings(pair: Pair, closings: tuple[int, int, int]) -> str:
    """Count how episodes ended."""
    crypto, etf, aged = closings
    return (
        f"{fmt.name(pair.crypto)} caught up in {crypto}, {fmt.title(pair.etf)} came back in {etf}, "
        f"in {aged} neither: the move left the window"
    )


def _span(found: Record) -> str:
    return "2 years" if found.sessions >= RECENT else fmt.sessions(found.sessions)


def parted(told: Alert) -> list[str]:
    """Write the parts of the ETF's return that the leading rule fired on; nothing where they are unknown."""
    found = told.lead.parted
    if found is None:
        return []
    moved = f"{fmt.title(told.pair.etf)}'s {fmt.percent(found.etf_return)} {fmt.over(found.window, found.session)}"
    parts = [
        f"{fmt.name(told.pair.crypto)} {_part(found.crypto)}",
        f"AI {_part(found.ai)} by {escape(found.proxy)} from {escape(found.source)}",
        f"the rest {_part(found.rest)}",
    ]
    return [f"Of {moved} when it fired: {', '.join(parts)}."]


def _part(part: Part) -> str:
    return f"{fmt.pp(part.amount)} ± {fmt.size(100 * part.error)}"


def course_chart(told: Alert) -> Block | None:
    """Draw both legs up to the prices of the alert; None where it keeps no course."""
    if told.course is None:
        return None
    return native(_curve(told, told.course), is_simulated=told.simulated)


def course_words(told: Alert) -> list[str]:
    """Say where the chart ends, and where in it the legs were furthest apart."""
    if told.course is None:
        return []
    end, span = told.course.points[-1], fmt.over(told.course.window, told.course.points[-1].session)
    legs = [(told.pair.etf, end.etf), (told.pair.crypto, end.crypto)]
    moves = ", ".join(f"{fmt.name(symbol)} {fmt.percent(moved)}" for symbol, moved in legs)
    return [f"{span[:1].upper()}{span[1:]}: {moves}; furthest apart {furthest(_curve(told, told.course))}."]


def _curve(told: Alert, course: AlertChart) -> IndexedReturns:
    return IndexedReturns(pair=told.pair, window=course.window, points=course.points)
