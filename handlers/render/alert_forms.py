"""Modals of an alert: Details, with everything about it in one place, and the form that resolves it."""

from datetime import datetime
from typing import Any

from handlers.render import fmt
from handlers.render.alert import at_time
from handlers.render.alert_text import (
    STATE_EMOJI,
    alert_state,
    attribution_lines,
    clear_text,
    data_text,
    describe_rule,
    outcome_lines,
    rank_text,
    record_text,
    state_title,
    threshold_line,
    z_text,
)
from handlers.render.form_fields import modal, text_field
from handlers.render.history import newest_decisions, receipt_line
from handlers.render.markup import channel_link, code, escape
from handlers.render.message import SHORT_LIST_TEXT, Block, context, fit_lines, section, sections
from services.alerting.alert import Alert
from services.alerting.ports import AlertAudit
from services.core.prices import PriceStamp, Symbol
from services.rules.grammar import parse_rule

NOTE_FIELD = "reason"


def details_modal(audit: AlertAudit, now: datetime) -> dict[str, Any]:
    """Return a modal with everything about an alert: figures, attribution, rules, record, data, timeline, audit log."""
    alert = audit.alert
    blocks = [
        section(*_state_lines(alert, now)),
        section(*_figure_lines(alert)),
        section(*attribution_lines(alert)),
        *sections(*_rule_lines(alert)),
        section(*_record_lines(alert)),
        section(*_data_lines(alert, now)),
        *sections("*Timeline*", *newest_decisions(audit)),
        section("*Audit log*", receipt_line(audit, now)),
        context(f"Full record: {code(f'minerpulse why {alert.id} --json')}"),
    ]
    return modal("details", f"Alert #{alert.id}", [block for block in blocks if block], close="Done")


def _state_lines(alert: Alert, now: datetime) -> list[str]:
    state = alert_state(alert, now)
    ended = f" · closed {fmt.instant(alert.closed_at)}" if alert.closed_at else ""
    return [
        f"{STATE_EMOJI[state]} *{escape(state_title(alert, now))}*",
        f"Since {fmt.instant(alert.opened_at)}{ended} · {channel_link(alert.channel.id)}",
    ]


def _figure_lines(alert: Alert) -> list[str]:
    hit = alert.lead
    measurement, rule = hit.measurement, parse_rule(hit.rule)
    legs = [
        f"{fmt.name(symbol)} *{fmt.percent(change)}* to {fmt.price(stamp.price)}"
        for symbol, change, stamp in (
            (alert.pair.etf, measurement.etf_return, alert.etf),
            (alert.pair.crypto, measurement.crypto_return, alert.crypto),
        )
    ]
    base = fmt.day_in(measurement.anchor, measurement.session.year)
    spread = f"Spread *{fmt.pp(measurement.spread)}* since the {base} close"
    rank = ", ".join(filter(None, [rank_text(alert), z_text(measurement, rule)]))
    return [*legs, spread, rank]


def _rule_lines(alert: Alert) -> list[str]:
    lines = []
    for hit in alert.hits:
        rule = parse_rule(hit.rule)
        lines += [f"*Rule {hit.rule_id}* {threshold_line(hit, alert.side)}", describe_rule(rule)]
    return fit_lines(lines, SHORT_LIST_TEXT, " lines")


def _record_lines(alert: Alert) -> list[str]:
    record = alert.lead.track_record
    if record is None:
        return []
    return [
        "*Track record*, based on session closes",
        record_text(record, alert.lead.rule, alert.side),
        *outcome_lines(record),
    ]


def _data_lines(alert: Alert, now: datetime) -> list[str]:
    legs = [_leg(alert.pair.etf, alert.etf, now), _leg(alert.pair.crypto, alert.crypto, now)]
    return [f"*{data_text(alert.trust)}*" if alert.trust.reasons == () else data_text(alert.trust), " · ".join(legs)]


def _leg(symbol: Symbol, stamp: PriceStamp, now: datetime) -> str:
    return f"{fmt.name(symbol)} {fmt.price(stamp.price)}, {escape(stamp.source)}, {at_time(stamp.at, now)}"


def resolve_modal(alert: Alert, private_metadata: str) -> dict[str, Any]:
    """Return the form that resolves an alert, with an optional reason."""
    rules = [parse_rule(hit.rule) for hit in alert.hits if hit.active]
    again = "Its rules fire again only after they clear."
    if len(rules) == 1:
        again = f"Its rule fires again only after it {clear_text(rules[0], alert.side)}."
    blocks: list[Block | None] = [
        section(f"Resolves this alert for everyone in {channel_link(alert.channel.id)}. {again}"),
        text_field(NOTE_FIELD, "Reason", "", hint="Posted in the thread.", optional=True, per_keystroke=False),
    ]
    return modal(
        "resolve",
        f"Resolve alert #{alert.id}",
        [block for block in blocks if block],
        submit="Resolve Alert",
        private_metadata=private_metadata,
    )
