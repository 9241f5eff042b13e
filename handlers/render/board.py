"""The board: the market, open alerts and rules of one channel."""

from collections.abc import Sequence
from datetime import datetime

from handlers.render import fmt, market
from handlers.render.alert_text import STATE_EMOJI, AlertState, alert_state, data_text, mark_alert, short_heading
from handlers.render.markup import channel_link, code, escape, mark_simulated, plain, user_mention
from handlers.render.message import (
    PROBLEMS_SHOWN,
    SHORT_LIST_TEXT,
    Block,
    Message,
    actions,
    button,
    compose,
    context,
    fit_lines,
    fit_newest_lines,
    header,
    notification,
    section,
)
from handlers.render.reasons import reason
from services.alerting.alert import Alert
from services.alerting.channel_settings import MuteWhile
from services.alerting.ports import ChannelRule
from services.alerting.quiet_hours import Mute
from services.channels.commands import Board
from services.channels.source_status import RefusedKey
from services.core.prices import WGMI_BTC, Pair
from services.core.rows import complete
from services.core.text import counted
from services.delivery.ports import DeliveryProblem
from services.market.measure import BETA_SESSIONS, Measurement, NotMeasured, Window
from services.rules.decide import RuleStatus
from services.rules.market_view import MarketView
from services.rules.rule import DEFAULT_RULES

DELIVERY_PROBLEMS_SHOWN = 5
ALERTS_NAMED = 3  # in a notification
STATUS_NOTES = complete(
    "STATUS_NOTES",
    RuleStatus,
    {
        RuleStatus.OK: "",
        RuleStatus.PENDING: " Pending",
        RuleStatus.FIRING: " Firing",
        RuleStatus.RECOVERING: " Recovering",
        RuleStatus.NODATA: " No data",
        RuleStatus.ERROR: " Error",
    },
)


def board_message(board: Board, now: datetime, *, shared_by: str | None = None) -> Message:
    """Return the board; if it is shared, it names who shared it and has no buttons."""
    view = board.view
    title = mark_simulated(market.headline(view, shared=shared_by is not None), when=view.simulated)
    here = [*_alert_lines(board.alerts, now), _rules_line(board.rules, now), *_quiet_lines(board)]
    troubles = [*delivery_problem_lines(board.delivery_problems), *map(_refused_key_line, board.refused_keys)]
    shared_note = [f"Shared by {user_mention(shared_by)}, {fmt.instant(now)}."] if shared_by else []
    return compose(
        [
            header(title),
            section(*market.now_lines(view)),
            market.windows_table(tuple(view.current.measurements.values()), view.pair),
            section(*here, *market.drawdown_lines(view)),
            section(*troubles),
            context(*shared_note) if shared_note else _buttons(board.rules, view.pair),
            context(_context_line(view), *_caveats(view)),
        ],
        notification(
            f"{title}.", _alerts_summary(board.alerts), *_data_push(view), market.windows_summary(view.current)
        ),
    )


def _data_push(view: MarketView) -> list[str]:
    return [f"{plain(data_text(view.current.trust))}."]


def _context_line(view: MarketView) -> str:
    parts = [
        market.market_text(view.market),
        *market.basis_parts(view),
        *market.source_parts(view),
        *(market.gap_basis(view.gap) if view.gap and not view.market.is_open else []),
        data_text(view.current.trust),
        *market.drawdown_basis(view),
    ]
    return " · ".join(parts)


def _caveats(view: MarketView) -> list[str]:
    return [
        *market.unmeasured_lines(view.current),
        *market.origin_warnings(view.current),
        *market.problem_lines(view, PROBLEMS_SHOWN),
    ]


def _alerts_summary(alerts: Sequence[Alert]) -> str:
    if not alerts:
        return "No open alerts."
    waiting = sum(alert.acknowledged is None for alert in alerts)
    numbers = ", ".join(f"#{alert.id}" for alert in alerts[:ALERTS_NAMED])
    several = len(alerts) > 1
    if waiting:
        state = f"{waiting} not acknowledged" if several else "not acknowledged"
    else:
        state = "all acknowledged" if several else "acknowledged"
    return f"{counted(len(alerts), 'open alert')} ({numbers}), {state}."


def _quiet_lines(board: Board) -> list[str]:
    mute = [] if board.mute is None else [mute_line(board.mute)]
    if board.silence is None:
        return mute
    until = f":zzz: Nothing is posted until {fmt.instant(board.silence.until)}: {reason(board.silence.reason)}."
    return [f"{until} A digest follows.", *mute]


def mute_line(mute: Mute) -> str:
    """Return who muted the channel, and until when."""
    by = "" if mute.by is None else f" by {user_mention(mute.by)}"
    until = "" if mute.until is None else f" until {fmt.instant(mute.until)}"
    state = "" if mute.state is None else f" while the market is {'closed' if mute.state is MuteWhile.SHUT else 'open'}"
    both = " and" if until and state else ""
    return f":mute: Muted{by}{until}{both}{state}. `/minerpulse mute off` ends it."


def _alert_lines(alerts: Sequence[Alert], now: datetime) -> list[str]:
    """Return the open alerts, newest last; or that there is none."""
    if not alerts:
        return ["No open alerts"]
    return fit_newest_lines([alert_line(alert, now) for alert in alerts], SHORT_LIST_TEXT, " earlier open alerts")


def alert_line(alert: Alert, now: datetime) -> str:
    """Return an open alert in one line: its number, state, since when, and who has acknowledged it."""
    state = alert_state(alert, now)
    number = fmt.alert_link(alert.id, alert.permalink)
    by = "" if alert.acknowledged is None else f" by {user_mention(alert.acknowledged.by)}"
    since = f"since {fmt.instant(alert.opened_at)}"
    what = f"{mark_alert(short_heading(alert.lead), alert)}, {since}"
    if state is AlertState.ACKNOWLEDGED:
        return f"{STATE_EMOJI[state]} {number} {state.value}{by}: {what}"
    return f"{STATE_EMOJI[state]} {number} {state.value}: {what}, {f'acknowledged{by}' if by else 'not acknowledged'}"


def _rules_line(rules: Sequence[ChannelRule], now: datetime) -> str:
    if not rules:
        return f"No rules here, so nothing is monitored. Start Alerts adds {', '.join(map(code, DEFAULT_RULES))}."
    shown = fit_lines(
        [f"{code(str(channel_rule.rule))}{_status_note(channel_rule, now)}" for channel_rule in rules], SHORT_LIST_TEXT
    )
    return f"Rules: {', '.join(shown)}"


def _status_note(channel_rule: ChannelRule, now: datetime) -> str:
    return " Paused" if channel_rule.paused_at else STATUS_NOTES[channel_rule.state.status(now)]


def _buttons(rules: Sequence[ChannelRule], pair: Pair) -> Block:
    market = "" if pair == WGMI_BTC else f"{pair}"  # of the board, which the buttons keep
    refresh, share = (
        button("refresh", "Refresh", market or "board"),
        button("share", "Share to Channel", market or "board"),
    )
    if rules:
        return actions(refresh, button("board_chart", "Show Chart", f"{market} 20d".strip()), share)
    return actions(button("start", "Start Alerts", "board", primary=True), refresh, share)


def _refused_key_line(refused: RefusedKey) -> str:
    variables = " and ".join(map(code, refused.variables))
    return (
        f":warning: {escape(refused.source)} rejects its API key, which may be wrong or expired. "
        f"Your MinerPulse administrator can set a new one in {variables}."
    )


def delivery_problem_lines(problems: Sequence[DeliveryProblem]) -> list[str]:
    """Return one line per channel with undelivered messages; nothing if all is delivered."""
    lines = [_delivery_problem_line(problem) for problem in problems[:DELIVERY_PROBLEMS_SHOWN]]
    hidden = len(problems) - DELIVERY_PROBLEMS_SHOWN
    return [*lines, *([f"{counted(hidden, 'more channel')}: `minerpulse doctor` lists all."] if hidden > 0 else [])]


def _delivery_problem_line(problem: DeliveryProblem) -> str:
    count = f"{problem.messages} message{'' if problem.messages == 1 else 's'}"
    state = "failed" if problem.dead_lettered else "retrying"
    channel, since = channel_link(problem.channel.id), fmt.instant(problem.since)
    return f":warning: *Delivery {state}* in {channel}: {count} since {since}. {reason(problem.problem)}."


def status_message(board: Board, window: Window, now: datetime) -> Message:
    """Return everything measured over one window, and this channel's rules on it."""
    view = board.view
    measurement = view.current.measurements[window]
    title = mark_simulated(_title(view.pair, window, measurement), when=view.simulated)
    lines = [_unmeasured(measurement)] if isinstance(measurement, NotMeasured) else _status_lines(measurement)
    rules_here = [
        f"{code(str(channel_rule.rule))}{_status_note(channel_rule, now)}"
        for channel_rule in board.rules
        if channel_rule.rule.window is window
    ]
    rules = f"Rules over this window: {', '.join(fit_lines(rules_here, SHORT_LIST_TEXT)) or 'none'}"
    small = [market.market_text(view.market), *market.basis_parts(view), *market.source_parts(view)]
    return compose(
        [
            header(title),
            section(*lines),
            section(rules),
            context(" · ".join([*small, data_text(view.current.trust)]), *market.problem_lines(view, PROBLEMS_SHOWN)),
        ],
        notification(f"{title}.", *(f"{plain(line)}." for line in lines[:2]), *_data_push(view)),
    )


def _unmeasured(window: NotMeasured) -> str:
    why = reason(window.reason)
    return f"{why[:1].upper()}{why[1:]}"


def _title(pair: Pair, window: Window, measurement: Measurement | NotMeasured) -> str:
    if isinstance(measurement, NotMeasured):
        return f"{pair.etf} and {fmt.name(pair.crypto)}: no spread {fmt.over_window(window)}"
    day = "" if measurement.live else f", {fmt.short_day(measurement.session)}"
    spread = fmt.spread_phrase(pair, measurement.spread)
    return f"{pair.etf} {spread} {fmt.over_window(window, measurement.session)}{day}"


def _status_lines(measurement: Measurement) -> list[str]:
    returns = measurement.etf_return, measurement.crypto_return, measurement.spread
    lines = [*market.move_lines(measurement.pair, measurement.anchor, *returns), _rank_line(measurement)]
    if measurement.beta is None or measurement.residual is None:
        return [*lines, "No residual: not enough history for a beta"]
    correlation = measurement.beta_correlation
    fit = [fmt.correlation(correlation)] if correlation else []
    beta = ", ".join([fmt.beta(measurement.beta, measurement.beta_error), *fit])
    base = f"over the {fmt.sessions(BETA_SESSIONS)} before the window"
    return [*lines, f"Residual *{fmt.pp(measurement.residual)}* with {beta}, {base}"]


def _rank_line(measurement: Measurement) -> str:
    rank = market.rank_phrase(measurement)
    if rank is None:
        return f"No rank: {market.missing_rank(measurement)}"
    z = "" if measurement.z is None or not measurement.window.is_short else f", robust z {fmt.signed(measurement.z)}"
    return f"*{rank[:1].upper()}{rank[1:]}*{z}"
