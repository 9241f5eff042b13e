"""The board: the market, open alerts and rules of one channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import heading
from handlers.render.channel import delivery_problem_lines
from handlers.render.limits import PROBLEMS_SHOWN, SHORT_LIST_TEXT, fit_lines, fit_newest_lines
from handlers.render.market import (
    data_quality_line,
    drawdown_lines,
    headline,
    live_line,
    market_line,
    price_lines,
    problem_lines,
)
from handlers.render.markup import code, mark_simulated, reason, user_mention
from handlers.render.message import Block, Message, actions, button, compose, context, header, section, table
from services.alerting.alert import Alert
from services.alerting.records import ChannelRule
from services.channels.commands import Board
from services.core.prices import Pair
from services.core.statistics import LOOKBACK_SESSIONS
from services.market.measure import BETA_SESSIONS, Measurement, NotMeasured, Window
from services.rules.decide import RuleStatus
from services.rules.market_service import Snapshot
from services.rules.rule import DEFAULT_RULES

STATUS_NOTES = {
    RuleStatus.OK: "",
    RuleStatus.PENDING: " (past it, not yet held)",
    RuleStatus.FIRING: " (firing)",
    RuleStatus.RECOVERING: " (firing, recovering)",
    RuleStatus.NODATA: " (no usable prices)",
    RuleStatus.ERROR: " (cannot be evaluated)",
}


def board_message(board: Board, now: datetime, *, shared_by: str | None = None) -> Message:
    """Return the board; if it is shared, it names who shared it and has no buttons."""
    view = board.view
    title = mark_simulated(headline(view), when=view.simulated)
    state = [market_line(view.market), live_line(view)]
    caveats, drawdowns = [*unmeasured_lines(view.current), *origin_warnings(view.current)], drawdown_lines(view)
    prices = [*price_lines(view, now), data_quality_line(view.current.trust)]
    problems = problem_lines(view, PROBLEMS_SHOWN)
    channel_lines = [*_alert_lines(board.alerts), _rules_line(board.rules, now), *_quiet_lines(board)]
    delivery_problems = delivery_problem_lines(board.delivery_problems)
    shared_note = [f"Shared by {user_mention(shared_by)}, {fmt.moment(now)}."] if shared_by else []
    return compose(
        [
            header(title),
            section(*state),
            windows_table(view.current, view.pair),
            context(PERCENTILE_NOTE, *caveats),
            section(*drawdowns),
            context(*prices, *problems),
            section(*channel_lines),
            section(*delivery_problems),
            context(*shared_note) if shared_note else _buttons(board.rules),
        ],
        [
            title,
            *state,
            *windows_text(view.current, view.pair),
            *caveats,
            *drawdowns,
            *prices,
            *problems,
            *channel_lines,
            *delivery_problems,
            *shared_note,
        ],
    )


def _quiet_lines(board: Board) -> list[str]:
    if board.silence is None:
        return []
    return [f"Silent until {fmt.moment_utc(board.silence.until)}: {board.silence.reason}. A digest follows then."]


def _alert_lines(alerts: Sequence[Alert]) -> list[str]:
    return fit_newest_lines(
        [_alert_line(alert) for alert in alerts], SHORT_LIST_TEXT, " open alerts, which began before"
    )


def _alert_line(alert: Alert) -> str:
    acknowledgement = f", acknowledged by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else ""
    return f"Open alert: {heading(alert.lead)}, since {fmt.moment(alert.opened_at)}{acknowledgement}."


def _rules_line(rules: Sequence[ChannelRule], now: datetime) -> str:
    if not rules:
        return f"No alerts in this channel yet. The usual rules are {', '.join(map(code, DEFAULT_RULES))}."
    shown = fit_lines(
        [f"{code(str(channel_rule.rule))}{_status_note(channel_rule, now)}" for channel_rule in rules], SHORT_LIST_TEXT
    )
    return f"Rules here: {', '.join(shown)}."


def _status_note(channel_rule: ChannelRule, now: datetime) -> str:
    return " (paused)" if channel_rule.paused_at else STATUS_NOTES[channel_rule.state.status(now)]


def _buttons(rules: Sequence[ChannelRule]) -> Block:
    common = [button("refresh", "Refresh", "board"), button("share", "Share", "board")]
    if rules:
        return actions(*common)
    return actions(button("start", "Start alerts here", "board", primary=True), *common)


def status_message(board: Board, window: Window, now: datetime) -> Message:
    """Return everything measured over one window, and this channel's rules on it."""
    view = board.view
    measurement = view.current.measurements[window]
    title = mark_simulated(_title(view.pair, window, measurement), when=view.simulated)
    state = [market_line(view.market), live_line(view)]
    lines = [] if isinstance(measurement, NotMeasured) else [*_move_lines(measurement), *_percentile_lines(measurement)]
    rules_here = [code(str(channel_rule.rule)) for channel_rule in board.rules if channel_rule.rule.window is window]
    rules = f"Rules here over this window: {', '.join(fit_lines(rules_here, SHORT_LIST_TEXT)) or 'none'}."
    prices = [*price_lines(view, now), data_quality_line(view.current.trust), *problem_lines(view, PROBLEMS_SHOWN)]
    return compose(
        [header(title), section(*lines), section(rules), section(*state), context(*prices)],
        [title, *lines, rules, *state, *prices],
    )


def _title(pair: Pair, window: Window, measurement: Measurement | NotMeasured) -> str:
    if isinstance(measurement, NotMeasured):
        return f"No spread of {pair.etf} {fmt.over_window(window)}: {reason(measurement.reason)}"
    day = "" if measurement.live else f" to the close of {fmt.day(measurement.session)}"
    return (
        f"{pair.etf} {fmt.spread_phrase(pair, measurement.spread)} {fmt.over_window(window, measurement.session)}{day}"
    )


def _move_lines(measurement: Measurement) -> list[str]:
    etf, crypto = fmt.title(measurement.pair.etf), fmt.title(measurement.pair.crypto)
    lines = [
        f"Since the close of {fmt.full_day(measurement.anchor)}:",
        f"{etf} *{fmt.percent(measurement.etf_return)}*",
        f"{crypto} *{fmt.percent(measurement.crypto_return)}*",
        f"Spread *{fmt.pp(measurement.spread)}*",
    ]
    if measurement.beta is None or measurement.residual is None:
        return [*lines, "Beta: too little history."]
    beta = f"Beta {fmt.decimal(measurement.beta)}, from the {BETA_SESSIONS} sessions before"
    return [*lines, f"{beta}; it leaves *{fmt.pp(measurement.residual)}* unexplained."]


def _percentile_lines(measurement: Measurement) -> list[str]:
    if measurement.percentile is None:
        return ["How unusual that is cannot be told yet: too little history."]
    z = "" if measurement.z is None else f", robust z {fmt.signed(measurement.z)}"
    return [f"The spread is {fmt.percentile_phrase(measurement.percentile, above=measurement.spread >= 0)}{z}."]


PERCENTILE_NOTE = f"Percentile: the spread among those of the {LOOKBACK_SESSIONS} sessions before."


def windows_table(snapshot: Snapshot, pair: Pair) -> Block:
    """Return a table with a row per window: both legs, the spread and its percentile."""
    head = ["Window", fmt.title(pair.etf), fmt.title(pair.crypto), "Spread", "Percentile"]
    return table([head, *(_row(measurement) for measurement in snapshot.measurements.values())])


def windows_text(snapshot: Snapshot, pair: Pair) -> list[str]:
    """Return one line per measured window."""
    return [
        _line(measurement, pair)
        for measurement in snapshot.measurements.values()
        if not isinstance(measurement, NotMeasured)
    ]


def unmeasured_lines(snapshot: Snapshot) -> list[str]:
    """Return why windows lack numbers, grouped by reason."""
    reasons: dict[str, list[str]] = {}
    for measurement in snapshot.measurements.values():
        if isinstance(measurement, NotMeasured):
            reasons.setdefault(reason(measurement.reason), []).append(measurement.window.value)
        elif measurement.percentile is None:
            text = "too little history for a percentile"
            reasons.setdefault(text, []).append(measurement.window.value)
    return [f"{', '.join(spans)}: {text}." for text, spans in reasons.items()]


def origin_warnings(snapshot: Snapshot) -> list[str]:
    """Return the data-quality reasons of the closes at which measured windows start."""
    known = [
        window for window, measurement in snapshot.measurements.items() if not isinstance(measurement, NotMeasured)
    ]
    reasons = [
        text for window in known if window in snapshot.anchor_trust for text in snapshot.anchor_trust[window].reasons
    ]
    return [f"{reason(text)}." for text in reasons]


def _row(measurement: Measurement | NotMeasured) -> list[str]:
    if isinstance(measurement, NotMeasured):
        return [measurement.window.value, *[fmt.NO_VALUE] * 4]
    percentile = fmt.NO_VALUE if measurement.percentile is None else fmt.percentile_cell(measurement.percentile)
    legs = fmt.percent(measurement.etf_return), fmt.percent(measurement.crypto_return)
    return [measurement.window.value, *legs, fmt.pp(measurement.spread), percentile]


def _line(measurement: Measurement, pair: Pair) -> str:
    etf = f"{fmt.title(pair.etf)} {fmt.percent(measurement.etf_return)}"
    crypto = f"{fmt.name(pair.crypto)} {fmt.percent(measurement.crypto_return)}"
    line = f"{measurement.window.value}: {etf}, {crypto}, spread {fmt.pp(measurement.spread)}"
    if measurement.percentile is None:
        return f"{line}."
    return f"{line}, {fmt.percentile_phrase(measurement.percentile, above=measurement.spread >= 0)}."
