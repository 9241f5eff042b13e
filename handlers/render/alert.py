"""The Slack message of one alert, open or closed."""

from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import (
    attribution_lines,
    ended_heading,
    heading,
    threshold_line,
    track_record_lines,
    why_ended,
)
from handlers.render.chart import native_chart, widest_spread
from handlers.render.form_fields import edit_button
from handlers.render.market import data_quality_line
from handlers.render.markup import escape, mark_simulated, reason, user_mention
from handlers.render.message import (
    SHORT_LIST_TEXT,
    Block,
    Message,
    actions,
    button,
    compose,
    context,
    fit_lines,
    header,
    section,
    select_menu,
)
from services.alerting.alert import Alert
from services.alerting.snooze import DURATIONS, SnoozeUntil
from services.core.identity import Mention
from services.core.prices import PriceStamp, Symbol
from services.market.chart_points import AlertChart
from services.market.mining_economics import MiningEconomics
from services.rules.chart_series import IndexedReturns
from services.rules.grammar import parse_rule

RESOLVE_CONFIRMATION = "This ends the alert for everyone. A rule of it fires again only once it has cleared."


def alert_message(alert: Alert, now: datetime, *, mention: Mention | None = None) -> Message:
    """Return the message of `alert` as of `now`; `mention`, if any, comes right after the title.

    Everything needed on a phone at night comes first. The chart comes last, and text repeats what it shows.
    """
    title = mark_simulated(_title(alert), when=alert.simulated)
    legs = _leg_lines(alert)
    rules = fit_lines([threshold_line(hit, alert.side) for hit in alert.hits], SHORT_LIST_TEXT, " rules")
    unusual = (
        [] if alert.closed_at else [*_measured_lines(alert), *track_record_lines(alert), *attribution_lines(alert)]
    )
    mentions = [] if mention is None else [f"{mention.text}: please look at this."]
    timing, prices, status = _timing_lines(alert), _price_lines(alert, now), _status_lines(alert, now)
    summary = chart_summary(alert)
    return compose(
        [
            header(title),
            section(*mentions),
            section(*legs),
            section(*unusual),
            section(*rules),
            section(*timing),
            context(*status),
            context(*prices),
            _buttons(alert),
            context(*summary),
            chart_block(alert),
        ],
        [title, *mentions, *legs, *unusual, *rules, *timing, *status, *prices, *summary],
    )


def _title(alert: Alert) -> str:
    if alert.closed_at is None:
        return heading(alert.lead)
    return ended_heading(alert, alert.closed_at, retracted=alert.retracted)


def _leg_lines(alert: Alert) -> list[str]:
    """Return each leg's return over the leading window and its price; network alerts show mining figures first."""
    measurement = alert.lead.measurement
    legs = [
        _leg(alert.pair.etf, measurement.etf_return, alert.etf),
        _leg(alert.pair.crypto, measurement.crypto_return, alert.crypto),
    ]
    since = f"{'At the end, since' if alert.closed_at else 'Since'} the close of {fmt.day(measurement.anchor)}:"
    if _is_network_alert(alert) and measurement.mining:
        etf_time = "" if alert.etf.at == alert.crypto.at else f", its price of {fmt.moment(alert.etf.at)}"
        return [since, *_mining_lines(measurement.mining), legs[1], f"{legs[0]}{etf_time}"]
    return [since, *legs, f"Spread *{fmt.pp(measurement.spread)}*"]


def _is_network_alert(alert: Alert) -> bool:
    return parse_rule(alert.lead.rule).metric.needs_network


def _mining_lines(economics: MiningEconomics) -> list[str]:
    hashprice = (
        f"{fmt.price(economics.hashprice)} a PH/s a day without fees, from {fmt.price(economics.hashprice_before)}"
    )
    difficulty = f"{fmt.difficulty(economics.difficulty)}, from {fmt.difficulty(economics.difficulty_before)}"
    return [
        f"Hashprice *{fmt.percent(economics.hashprice_change)}* to {hashprice}",
        f"Difficulty *{fmt.percent(economics.difficulty_change)}* to {difficulty}",
    ]


def _leg(symbol: Symbol, change: float, stamp: PriceStamp) -> str:
    return f"{fmt.title(symbol)} *{fmt.percent(change)}* to {fmt.price(stamp.price)}"


def _measured_lines(alert: Alert) -> list[str]:
    """Return how unusual the leading rule's value is, or the correlation behind it."""
    metric = parse_rule(alert.lead.rule).metric
    fit = metric.fit and metric.fit(alert.lead.measurement)
    if not fit:
        return _rank_lines(alert)
    legs = f"{fmt.title(alert.pair.etf)} and {fmt.name(alert.pair.crypto)}"
    return [f"{legs} over {fmt.sessions(fit.pairs)}: {fmt.correlation(fit)}."]


def _rank_lines(alert: Alert) -> list[str]:
    """Return how unusual the value is: a rank over short windows, σ over long ones; nothing if it has neither."""
    measurement, rank = alert.lead.measurement, parse_rule(alert.lead.rule).metric.rank
    if rank is None:
        return []
    ranked = f"The {fmt.window(measurement.window)} {rank.noun}"
    if not measurement.window.is_short:
        sigma = rank.sigma(measurement)
        return [] if sigma is None else [f"{ranked} is {fmt.sigma_phrase(sigma, measurement.sessions)}."]
    value, percentile = rank.value(measurement), rank.percentile(measurement)
    if percentile is None or value is None:
        return [f"No percentile yet: {ranked.lower()} has too little history."]
    z = rank.z(measurement)
    z_note = "" if z is None else f", robust z {fmt.signed(z)}"
    return [f"{ranked} is {fmt.percentile_phrase(percentile, above=value >= 0)}{z_note}."]


def _timing_lines(alert: Alert) -> list[str]:
    opened = fmt.moment_utc(alert.opened_at)
    if alert.closed_at is None:
        return [f"Open since {opened}.", f"Why: {reason(alert.reason)}."]
    return [
        f"Open from {opened} to {fmt.moment_utc(alert.closed_at)}.",
        f"Why it ended: {why_ended(alert.reason, alert.closed_by)}.",
    ]


def _price_lines(alert: Alert, now: datetime) -> list[str]:
    """Return the time of the prices, their age at `now` (a posted message doesn't update it), and the data quality."""
    etf = f"{fmt.title(alert.pair.etf)} from {escape(alert.etf.source)}"
    crypto = f"{fmt.name(alert.pair.crypto)} from {escape(alert.crypto.source)}"
    price_time = alert.crypto.at if _is_network_alert(alert) else min(alert.etf.at, alert.crypto.at)
    age = f"{fmt.duration(now - price_time)} old when this was written"
    if alert.etf.at == alert.crypto.at:
        return [f"Prices of {fmt.moment_utc(alert.etf.at)}, {age}: {etf}, {crypto}.", data_quality_line(alert.trust)]
    at_etf, at_crypto = fmt.moment_utc(alert.etf.at), fmt.moment_utc(alert.crypto.at)
    if _is_network_alert(alert):
        return [f"Prices of {at_crypto}, {age}: {crypto}; {etf} of {at_etf}.", data_quality_line(alert.trust)]
    return [f"Prices, {age}: {etf} of {at_etf}, {crypto} of {at_crypto}.", data_quality_line(alert.trust)]


def _status_lines(alert: Alert, now: datetime) -> list[str]:
    lines = []
    if alert.acknowledged:
        lines.append(f"Acknowledged by {user_mention(alert.acknowledged.by)}, {fmt.moment(alert.acknowledged.at)}.")
    if alert.snoozed and alert.snoozed.until and alert.is_snoozed(now) and not alert.closed_at:
        lines.append(f"Snoozed by {user_mention(alert.snoozed.by)} until {fmt.moment_utc(alert.snoozed.until)}.")
    return lines


def _buttons(alert: Alert) -> Block:
    """Return the buttons that apply to the alert's state; a closed alert can still be inspected."""
    number = str(alert.id)
    rules = {hit.rule_id: hit.rule for hit in alert.hits}
    inspect = [button("chart", "Chart", number), button("why", "Why", number), edit_button(rules)]
    return actions(*(_vote_buttons(alert) if alert.closed_at else _action_buttons(alert)), *inspect)


def _vote_buttons(alert: Alert) -> list[Block]:
    """Return the feedback buttons of a closed alert; none if it was retracted, because bad prices caused it."""
    number = str(alert.id)
    return [] if alert.retracted else [button("useful", "Useful", number), button("noise", "Noise", number)]


def _action_buttons(alert: Alert) -> list[Block]:
    snooze = select_menu(
        "snooze", "Snooze", {f"{alert.id}:{until.value}": _snooze_label(until) for until in SnoozeUntil}
    )
    resolve = button("resolve", "Resolve", str(alert.id), confirm=RESOLVE_CONFIRMATION)
    if alert.acknowledged:
        return [button("unacknowledge", "Unacknowledge", str(alert.id)), snooze, resolve]
    return [button("acknowledge", "Acknowledge", str(alert.id), primary=True), snooze, resolve]


def _snooze_label(until: SnoozeUntil) -> str:
    if until in DURATIONS:
        return fmt.duration(DURATIONS[until])
    return "until the close" if until is SnoozeUntil.CLOSE else "until the next open"


def chart_block(alert: Alert) -> Block | None:
    """Return a chart of both legs up to the alert's prices; None if the alert has no chart."""
    if alert.chart is None:
        return None
    return native_chart(_curve(alert, alert.chart), simulated=alert.simulated)


def chart_summary(alert: Alert) -> list[str]:
    """Return what the chart shows: each leg's return at its end, and the widest spread."""
    if alert.chart is None:
        return []
    end, window = alert.chart.points[-1], fmt.over_window(alert.chart.window, alert.chart.points[-1].session)
    legs = [(alert.pair.etf, end.etf), (alert.pair.crypto, end.crypto)]
    moves = ", ".join(f"{fmt.name(symbol)} {fmt.percent(change)}" for symbol, change in legs)
    return [f"{window[:1].upper()}{window[1:]}: {moves}; furthest apart {widest_spread(_curve(alert, alert.chart))}."]


def _curve(alert: Alert, chart: AlertChart) -> IndexedReturns:
    return IndexedReturns(pair=alert.pair, window=chart.window, points=chart.points)
