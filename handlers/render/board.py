"""The board: the market as one channel sees it, with what is open there and what is watched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import heading
from handlers.render.channel import delivery_problem_lines
from handlers.render.limits import PROBLEMS_SHOWN, SHARE_TEXT, fitting, newest_fitting
from handlers.render.market import data, drawdowns, headline, legs, live_line, market_line, problems
from handlers.render.markup import code, person, reason, simulated
from handlers.render.message import Block, Message, actions, button, compose, header, note, section, table
from services.alerting.alert import Alert
from services.alerting.records import ChannelRule
from services.channels.commands import Board
from services.core.prices import Pair
from services.core.statistics import UNUSUAL_SESSIONS
from services.market.measure import BETA_SESSIONS, Measurement, NotMeasured, Window
from services.rules.decide import Status
from services.rules.market_service import Snapshot
from services.rules.rule import DEFAULT_RULES

STATUS = {
    Status.OK: "",
    Status.PENDING: " (past it, not yet held)",
    Status.FIRING: " (firing)",
    Status.RECOVERING: " (firing, recovering)",
    Status.NODATA: " (no usable prices)",
    Status.ERROR: " (cannot be evaluated)",
}


def board_message(told: Board, now: datetime, *, shared_by: str | None = None) -> Message:
    """Render the board; a shared one tells by whom, and has no buttons."""
    view = told.view
    title = simulated(headline(view), when=view.simulated)
    state = [market_line(view.market), live_line(view)]
    gaps, depth = [*missing(view.current), *beginnings(view.current)], drawdowns(view)
    prices = [*legs(view, now), data(view.current.trust)]
    trouble = problems(view, PROBLEMS_SHOWN)
    here = [*_alerts(told.alerts), _rules(told.watches, now), *_silence(told)]
    stuck = delivery_problem_lines(told.troubles)
    by = [f"Shared by {person(shared_by)}, {fmt.moment(now)}."] if shared_by else []
    return compose(
        [
            header(title),
            section(*state),
            windows_table(view.current, view.pair),
            note(BASIS, *gaps),
            section(*depth),
            note(*prices, *trouble),
            section(*here),
            section(*stuck),
            note(*by) if by else _buttons(told.watches),
        ],
        [title, *state, *windows_text(view.current, view.pair), *gaps, *depth, *prices, *trouble, *here, *stuck, *by],
    )


def _silence(told: Board) -> list[str]:
    if told.silence is None:
        return []
    return [f"Silent until {fmt.moment_utc(told.silence.until)}: {told.silence.why}. A digest follows then."]


def _alerts(alerts: Sequence[Alert]) -> list[str]:
    return newest_fitting([_alert(alert) for alert in alerts], SHARE_TEXT, " open alerts, which began before")


def _alert(alert: Alert) -> str:
    seen = f", acknowledged by {person(alert.acknowledged.by)}" if alert.acknowledged else ""
    return f"Open alert: {heading(alert.lead)}, since {fmt.moment(alert.opened_at)}{seen}."


def _rules(watches: Sequence[ChannelRule], now: datetime) -> str:
    if not watches:
        return f"No alerts in this channel yet. The usual rules are {', '.join(map(code, DEFAULT_RULES))}."
    shown = fitting([f"{code(str(watch.rule))}{_status(watch, now)}" for watch in watches], SHARE_TEXT)
    return f"Rules here: {', '.join(shown)}."


def _status(watch: ChannelRule, now: datetime) -> str:
    return " (paused)" if watch.paused_at else STATUS[watch.state.status(now)]


def _buttons(watches: Sequence[ChannelRule]) -> Block:
    usual = [button("refresh", "Refresh", "board"), button("share", "Share", "board")]
    if watches:
        return actions(*usual)
    return actions(button("start", "Start alerts here", "board", primary=True), *usual)


def status_message(told: Board, window: Window, now: datetime) -> Message:
    """Tell all that is measured over one window, and which rules here watch it."""
    view = told.view
    measured = view.current.measurements[window]
    title = simulated(_title(view.pair, window, measured), when=view.simulated)
    state = [market_line(view.market), live_line(view)]
    facts = [] if isinstance(measured, NotMeasured) else [*_moves(measured), *_unusual(measured)]
    watching = [code(str(watch.rule)) for watch in told.watches if watch.rule.window is window]
    rules = f"Rules here over this window: {', '.join(fitting(watching, SHARE_TEXT)) or 'none'}."
    prices = [*legs(view, now), data(view.current.trust), *problems(view, PROBLEMS_SHOWN)]
    return compose(
        [header(title), section(*facts), section(rules), section(*state), note(*prices)],
        [title, *facts, rules, *state, *prices],
    )


def _title(pair: Pair, window: Window, measured: Measurement | NotMeasured) -> str:
    if isinstance(measured, NotMeasured):
        return f"No spread of {pair.etf} {fmt.over(window)}: {reason(measured.reason)}"
    day = "" if measured.live else f" to the close of {fmt.day(measured.session)}"
    return f"{pair.etf} {fmt.stands(pair, measured.spread)} {fmt.over(window, measured.session)}{day}"


def _moves(measured: Measurement) -> list[str]:
    etf, crypto = fmt.title(measured.pair.etf), fmt.title(measured.pair.crypto)
    lines = [
        f"Since the close of {fmt.full_day(measured.anchor)}:",
        f"{etf} *{fmt.percent(measured.etf_return)}*",
        f"{crypto} *{fmt.percent(measured.crypto_return)}*",
        f"Spread *{fmt.pp(measured.spread)}*",
    ]
    if measured.beta is None or measured.residual is None:
        return [*lines, "Beta: too little history."]
    beta = f"Beta {fmt.decimal(measured.beta)}, from the {BETA_SESSIONS} sessions before"
    return [*lines, f"{beta}; it leaves *{fmt.pp(measured.residual)}* unexplained."]


def _unusual(measured: Measurement) -> list[str]:
    if measured.percentile is None:
        return ["How unusual that is cannot be told yet: too little history."]
    z = "" if measured.z is None else f", robust z {fmt.signed(measured.z)}"
    return [f"The spread is {fmt.unusual(measured.percentile, above=measured.spread >= 0)}{z}."]


BASIS = f"Percentile: the spread among those of the {UNUSUAL_SESSIONS} sessions before."


def windows_table(seen: Snapshot, pair: Pair) -> Block:
    """Put every window in a row: both legs, the spread and its percentile."""
    head = ["Window", fmt.title(pair.etf), fmt.title(pair.crypto), "Spread", "Percentile"]
    return table([head, *(_row(one) for one in seen.measurements.values())])


def windows_text(seen: Snapshot, pair: Pair) -> list[str]:
    """Write every measured window as a line."""
    return [_line(one, pair) for one in seen.measurements.values() if not isinstance(one, NotMeasured)]


def missing(seen: Snapshot) -> list[str]:
    """Say why windows have no row of numbers, windows with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for one in seen.measurements.values():
        if isinstance(one, NotMeasured):
            reasons.setdefault(reason(one.reason), []).append(one.window.value)
        elif one.percentile is None:
            why = "too little history for a percentile"
            reasons.setdefault(why, []).append(one.window.value)
    return [f"{', '.join(spans)}: {why}." for why, spans in reasons.items()]


def beginnings(seen: Snapshot) -> list[str]:
    """Say what speaks against the closes that measured windows begin at."""
    known = [window for window, one in seen.measurements.items() if not isinstance(one, NotMeasured)]
    told = [why for window in known if window in seen.origins for why in seen.origins[window].reasons]
    return [f"{reason(why)}." for why in told]


def _row(one: Measurement | NotMeasured) -> list[str]:
    if isinstance(one, NotMeasured):
        return [one.window.value, *[fmt.NOTHING] * 4]
    percentile = fmt.NOTHING if one.percentile is None else fmt.rank(one.percentile)
    legs = fmt.percent(one.etf_return), fmt.percent(one.crypto_return)
    return [one.window.value, *legs, fmt.pp(one.spread), percentile]


def _line(one: Measurement, pair: Pair) -> str:
    legs = (
        f"{fmt.title(pair.etf)} {fmt.percent(one.etf_return)}, {fmt.name(pair.crypto)} {fmt.percent(one.crypto_return)}"
    )
    line = f"{one.window.value}: {legs}, spread {fmt.pp(one.spread)}"
    if one.percentile is None:
        return f"{line}."
    return f"{line}, {fmt.unusual(one.percentile, above=one.spread >= 0)}."
