"""The board: the market, open alerts and rules of one channel."""

from collections.abc import Sequence
from datetime import datetime

from handlers.render import fmt, market
from handlers.render.alert_text import heading
from handlers.render.markup import channel_link, code, escape, mark_simulated, reason, user_mention
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
    section,
)
from handlers.render.reasons import sentence
from services.alerting.alert import Alert
from services.alerting.ports import ChannelRule
from services.alerting.quiet_hours import Mute
from services.channels.commands import Board
from services.channels.source_status import RefusedKey
from services.core.prices import Pair
from services.core.rows import complete
from services.delivery.ports import DeliveryProblem
from services.market.measure import BETA_SESSIONS, Measurement, NotMeasured, Window
from services.rules.decide import RuleStatus
from services.rules.rule import DEFAULT_RULES

DELIVERY_PROBLEMS_SHOWN = 5
STATUS_NOTES = complete(
    "STATUS_NOTES",
    RuleStatus,
    {
        RuleStatus.OK: "",
        RuleStatus.PENDING: " (past it, not yet held)",
        RuleStatus.FIRING: " (firing)",
        RuleStatus.RECOVERING: " (firing, recovering)",
        RuleStatus.NODATA: " (no usable prices)",
        RuleStatus.ERROR: " (cannot be evaluated)",
    },
)


def board_message(board: Board, now: datetime, *, shared_by: str | None = None) -> Message:
    """Return the board; if it is shared, it names who shared it and has no buttons."""
    view = board.view
    title = mark_simulated(market.headline(view), when=view.simulated)
    state = [market.market_line(view.market), market.live_line(view)]
    caveats, drawdowns = (
        [*market.unmeasured_lines(view.current), *market.origin_warnings(view.current)],
        market.drawdown_lines(view),
    )
    prices = [*market.price_lines(view, now), market.data_quality_line(view.current.trust)]
    problems = market.problem_lines(view, PROBLEMS_SHOWN)
    channel_lines = [*_alert_lines(board.alerts), _rules_line(board.rules, now), *_quiet_lines(board)]
    delivery_problems = [*delivery_problem_lines(board.delivery_problems), *map(_refused_key_line, board.refused_keys)]
    shared_note = [f"Shared by {user_mention(shared_by)}, {fmt.moment(now)}."] if shared_by else []
    return compose(
        [
            header(title),
            section(*state),
            market.windows_table(view.current, view.pair),
            context(market.RANK_NOTE, *caveats),
            section(*drawdowns),
            context(*prices, *problems),
            section(*channel_lines),
            section(*delivery_problems),
            context(*shared_note) if shared_note else _buttons(board.rules),
        ],
        [
            title,
            *state,
            *market.windows_text(view.current, view.pair),
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
    mute = [] if board.mute is None else [mute_line(board.mute)]
    if board.silence is None:
        return mute
    return [
        f"Silent until {fmt.moment_utc(board.silence.until)}: {sentence(board.silence.reason)}. A digest follows then.",
        *mute,
    ]


def mute_line(mute: Mute) -> str:
    """Return who muted the channel, and until when."""
    by = "" if mute.by is None else f" by {user_mention(mute.by)}"
    until = "" if mute.until is None else f" until {fmt.moment_utc(mute.until)}"
    state = "" if mute.state is None else f" while the market is {mute.state.value}"
    both = " and" if until and state else ""
    return f"Muted{by}{until}{both}{state}. `/minerpulse mute off` ends it."


def _alert_lines(alerts: Sequence[Alert]) -> list[str]:
    return fit_newest_lines(
        [_alert_line(alert) for alert in alerts], SHORT_LIST_TEXT, " open alerts, which began before"
    )


def _alert_line(alert: Alert) -> str:
    acknowledgement = f", acknowledged by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else ""
    return f"Open alert: {heading(alert.lead)}, since {fmt.moment(alert.opened_at)}{acknowledgement}."


def _rules_line(rules: Sequence[ChannelRule], now: datetime) -> str:
    if not rules:
        return f"No alerts in this channel yet. The default rules are {', '.join(map(code, DEFAULT_RULES))}."
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


def _refused_key_line(refused: RefusedKey) -> str:
    variables = " and ".join(map(code, refused.variables))
    return (
        f"*Source*: {escape(refused.source)} refuses its API key; it may be wrong or expired. "
        f"Your MinerPulse administrator can set a new one in {variables}."
    )


def delivery_problem_lines(problems: Sequence[DeliveryProblem]) -> list[str]:
    """Return one line per channel with undelivered messages; nothing if all is delivered."""
    lines = [_delivery_problem_line(problem) for problem in problems[:DELIVERY_PROBLEMS_SHOWN]]
    hidden = len(problems) - DELIVERY_PROBLEMS_SHOWN
    return [*lines, *([f"{hidden} more like these: `minerpulse doctor` lists them."] if hidden > 0 else [])]


def _delivery_problem_line(problem: DeliveryProblem) -> str:
    count = f"{problem.messages} message{'' if problem.messages == 1 else 's'}"
    state = "given up" if problem.dead_lettered else "waiting to be delivered"
    channel, since = channel_link(problem.channel.id), fmt.moment_utc(problem.since)
    return f"*Not delivered* in {channel}: {count} {state} since {since}. {reason(problem.problem)}."


def status_message(board: Board, window: Window, now: datetime) -> Message:
    """Return everything measured over one window, and this channel's rules on it."""
    view = board.view
    measurement = view.current.measurements[window]
    title = mark_simulated(_title(view.pair, window, measurement), when=view.simulated)
    state = [market.market_line(view.market), market.live_line(view)]
    lines = [] if isinstance(measurement, NotMeasured) else [*_move_lines(measurement), _rank_line(measurement)]
    rules_here = [code(str(channel_rule.rule)) for channel_rule in board.rules if channel_rule.rule.window is window]
    rules = f"Rules here over this window: {', '.join(fit_lines(rules_here, SHORT_LIST_TEXT)) or 'none'}."
    prices = [
        *market.price_lines(view, now),
        market.data_quality_line(view.current.trust),
        *market.problem_lines(view, PROBLEMS_SHOWN),
    ]
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
    returns = measurement.etf_return, measurement.crypto_return, measurement.spread
    lines = market.move_lines(measurement.pair, measurement.anchor, *returns)
    if measurement.beta is None or measurement.residual is None:
        return [*lines, "Beta: too little history."]
    correlation = measurement.beta_correlation
    fit = [f"with {fmt.correlation(correlation)}"] if correlation else []
    beta = ", ".join(
        [f"{fmt.beta(measurement.beta, measurement.beta_error)} to {fmt.name(measurement.pair.crypto)}", *fit]
    )
    return [
        *lines,
        f"{beta}, from the {BETA_SESSIONS} sessions before.",
        f"Residual: *{fmt.pp(measurement.residual)}*.",
    ]


def _rank_line(measurement: Measurement) -> str:
    rank = market.rank_phrase(measurement)
    if rank is None:
        return f"How unusual it is: {market.missing_rank(measurement)}."
    z = "" if measurement.z is None or not measurement.window.is_short else f", robust z {fmt.signed(measurement.z)}"
    return f"The spread is {rank}{z}."
