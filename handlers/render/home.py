"""The Home tab, the board as a modal, and the welcome message."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from handlers.render import fmt, market
from handlers.render.alert_text import STATE_EMOJI, AlertState, alert_state, data_text, heading, mark_alert
from handlers.render.form_fields import modal
from handlers.render.help import RUN_COMMAND
from handlers.render.markup import channel_link, code, mark_simulated, user_mention
from handlers.render.message import (
    LIST_TEXT,
    Block,
    Message,
    actions,
    button,
    compose,
    context,
    fit_lines,
    header,
    notification,
    overflow,
    section,
    text_message,
)
from handlers.render.reasons import reason
from services.alerting.alert import Alert
from services.alerting.ports import ChannelRule
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.core.prices import WGMI_BTC, Pair
from services.core.rows import complete
from services.market.measure import Measurement, NotMeasured, Window
from services.rules.decide import RuleStatus
from services.rules.market_view import MarketView
from services.rules.rule import DEFAULT_RULES

CHANNELS_HIDDEN = (
    "Your channels aren't shown, because Slack didn't return them. Press *Refresh* in a minute. If that "
    "doesn't help, ask your MinerPulse administrator to reinstall the app with `channels:read` and `groups:read`."
)
FIRST_STEPS = (
    "*First steps*",
    "1. In the channel that should get alerts, type `/invite @MinerPulse`.",
    "2. Type `/minerpulse` there and press *Start Alerts* to add the rules `1d 8pp`, `5d 15pp` and `20d 30pp`.",
    "3. To add other rules, type `/minerpulse rule add`. The editor shows how often a rule would have fired.",
    "Channels where you add a rule or acknowledge an alert appear here.",
)
HOME_HINT = "60 and 252 sessions, drawdown: `/minerpulse` · all commands: `/minerpulse help all`"
HOME_WINDOWS = (Window.D1, Window.D5, Window.D20, Window.YTD)
ALERTS_SHOWN = 20  # of a page; Slack shows at most 100 blocks
RULE_STATUS = complete(
    "RULE_STATUS",
    RuleStatus,
    {
        RuleStatus.OK: "OK",
        RuleStatus.PENDING: "Pending",
        RuleStatus.FIRING: ":red_circle: Firing",
        RuleStatus.RECOVERING: "Recovering",
        RuleStatus.NODATA: "No data",
        RuleStatus.ERROR: "Error",
    },
)


class MenuItem(Enum):
    """What the menu beside a channel on Home does, by the value that it sends."""

    RULES = "rules"
    ADD_RULE = "add"
    SETTINGS = "settings"
    MUTE = "mute"


MENU_LABELS = complete(
    "MENU_LABELS",
    MenuItem,
    {
        MenuItem.RULES: "Show rules",
        MenuItem.ADD_RULE: "Add rule…",
        MenuItem.SETTINGS: "Show settings",
        MenuItem.MUTE: "Mute for 2 h",
    },
)


def home_view(overview: Overview, now: datetime) -> dict[str, Any]:
    """Return a user's Home tab: open alerts to acknowledge, the market, and the rules of each channel."""
    refresh = button("refresh_home", "Refresh", str(overview.page) if overview.page else "home")
    blocks: list[Block | None] = [
        *_alert_blocks(overview, now),
        *_home_market_blocks(overview),
        actions(refresh),
        *_channels_blocks(overview, now),
        context(HOME_HINT),
    ]
    return {"type": "home", "blocks": [block for block in blocks if block is not None]}


def _alert_blocks(overview: Overview, now: datetime) -> list[Block | None]:
    """Return a row per open alert of the shown channels; none if there are no channels to show."""
    if not overview.channels:
        return []
    alerts = [alert for summary in overview.channels for alert in summary.alerts]
    if not alerts:
        return [header("No open alerts")] if overview.page_count == 1 else []
    more = len(alerts) - ALERTS_SHOWN
    title = f"{len(alerts)} open alert{'' if len(alerts) == 1 else 's'}"
    return [
        header(title if overview.page_count == 1 else f"{title} on this page"),
        *(_alert_row(alert, now, overview.page) for alert in alerts[:ALERTS_SHOWN]),
        context(f"… and {more} more. Type `/minerpulse` in a channel to see its alerts.") if more > 0 else None,
    ]


def _alert_row(alert: Alert, now: datetime, page: int) -> Block | None:
    state = alert_state(alert, now)
    title = (
        f"{STATE_EMOJI[state]} *{fmt.alert_link(alert.id, alert.permalink)}* {mark_alert(heading(alert.lead), alert)}"
    )
    acknowledged = alert.acknowledged
    status = [
        channel_link(alert.channel.id),
        "not acknowledged" if acknowledged is None else f"acknowledged by {user_mention(acknowledged.by)}",
        f"since {fmt.instant(alert.opened_at)}",
    ]
    if alert.snoozed is not None and alert.snoozed.until is not None and state is AlertState.SNOOZED:
        status.append(f"snoozed until {fmt.instant(alert.snoozed.until)}")
    acknowledge = None
    if acknowledged is None:
        value = f"{alert.channel.id}:{alert.id}:{page}"
        acknowledge = button(f"home_acknowledge:{value}", "Acknowledge", value, names=f"Acknowledge alert {alert.id}")
    return section(title, " · ".join(status), accessory=acknowledge)


def _home_market_blocks(overview: Overview) -> list[Block | None]:
    if overview.view is None:
        return [header("Market"), section(f"{reason(overview.problem)}.")]
    return _market_blocks(overview.view, HOME_WINDOWS)


def _market_blocks(view: MarketView, windows: Sequence[Window]) -> list[Block | None]:
    """Return the prices of both legs and the spread over these windows; the board of a channel has the rest."""
    snapshot, pair = view.current, view.pair
    prices = [
        f"{fmt.name(symbol)} *{fmt.price(stamp.price) if stamp else fmt.NO_VALUE}*"
        for symbol, stamp in ((pair.etf, snapshot.etf), (pair.crypto, snapshot.crypto))
    ]
    return [
        header(mark_simulated("Market", when=view.simulated)),
        context(" · ".join([*_session_texts(view), data_text(snapshot.trust)])),
        section(" · ".join(prices), *_gap_lines(view)),
        {"type": "section", "fields": [_window_field(view, window) for window in windows]},
    ]


def _session_texts(view: MarketView) -> list[str]:
    """Return whether the ETF trades, and which prices are shown."""
    market, close = view.market, f"close of {fmt.day(view.current.session)}"
    if not market.is_open:
        return [
            f"Market closed, opens {fmt.instant(market.next_open_at)}",
            close if view.live is None else "last trades",
        ]
    closes = f"Market open, closes{' early' if market.half_day else ''} {fmt.clock_time(market.closes_at)}"
    if view.live is None:
        return [closes, f"no live spread: {reason(view.live_reason)}", close]
    return [closes, f"live as of {fmt.clock_time(view.live.at)}"]


def _gap_lines(view: MarketView) -> list[str]:
    """Return the coin's move since the ETF's close and the gap that it implies, outside sessions."""
    gap, pair = view.gap, view.pair
    if gap is None:
        return []
    move = f"{fmt.name(pair.crypto)} *{fmt.percent(gap.move)}* since {fmt.name(pair.etf)}'s close"
    if gap.implied is None:
        return [move]
    return [f"{move} · implied {fmt.name(pair.etf)} gap *{fmt.percent(gap.implied)}* for the next open"]


def _window_field(view: MarketView, window: Window) -> Block:
    measurement, pair = view.current.measurements[window], view.pair
    title = f"*{fmt.window_name(window)}*"
    if isinstance(measurement, NotMeasured):
        return _field(f"{title}  {fmt.NO_VALUE}")
    etf = f"{fmt.name(pair.etf)} {fmt.percent(measurement.etf_return)}"
    crypto = f"{fmt.name(pair.crypto)} {fmt.percent(measurement.crypto_return)}"
    rank = _rank(measurement)
    return _field(f"{title}  {fmt.pp(measurement.spread)}{f' ({rank})' if rank else ''}\n{etf}, {crypto}")


def _field(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _rank(measurement: Measurement) -> str:
    if measurement.percentile is not None:
        return fmt.percentile_phrase(measurement.percentile)
    return "" if measurement.sigma is None else fmt.sigma(measurement.sigma)


def _channels_blocks(overview: Overview, now: datetime) -> list[Block | None]:
    if overview.channels is None:
        return [header("Your channels"), section(CHANNELS_HIDDEN)]
    if not overview.channels:
        return [section(*FIRST_STEPS)]
    max_chars = LIST_TEXT // len(overview.channels)
    rows = [_channel_row(summary, max_chars, now) for summary in overview.channels]
    return [header("Your channels"), *rows, *_page_blocks(overview.page, overview.page_count)]


def _channel_row(summary: ChannelSummary, max_chars: int, now: datetime) -> Block | None:
    """Return one channel's rules with their states, and its menu."""
    channel, rules = summary.channel.id, summary.rules
    texts = fit_lines([f"{code(str(rule.rule))} {_status(rule, now)}" for rule in rules], max_chars)
    count = f"{len(rules)} rule{'' if len(rules) == 1 else 's'}: {', '.join(texts)}" if rules else "No rules"
    menu = overflow(
        f"home_channel:{channel}", {f"{item.value}:{channel}": label for item, label in MENU_LABELS.items()}
    )
    return section(f"{channel_link(channel)}  {count}", accessory=menu)


def _status(rule: ChannelRule, now: datetime) -> str:
    return "Paused" if rule.paused_at is not None else RULE_STATUS[rule.state.status(now)]


def _page_blocks(page: int, page_count: int) -> list[Block | None]:
    """Return where the reader is in a list of several pages, and buttons for the pages before and after."""
    if page_count == 1:
        return []
    buttons = [
        *([button("home_previous", "Previous", str(page - 1))] if page > 0 else []),
        *([button("home_next", "Next", str(page + 1))] if page + 1 < page_count else []),
    ]
    return [context(f"Page {page + 1} of {page_count}. Channels with open alerts come first."), actions(*buttons)]


def home_notice_view(message: Message) -> dict[str, Any]:
    """Return a Home tab with one message and a refresh button."""
    return {
        "type": "home",
        "blocks": [header("MinerPulse"), *message.blocks, actions(button("refresh_home", "Refresh", "home"))],
    }


def market_modal(view: MarketView) -> dict[str, Any]:
    """Return the market as a modal, for requests from outside any channel. Modals have no tables."""
    blocks = [*_market_blocks(view, tuple(Window)), section(*market.drawdown_lines(view))]
    return modal("board", "MinerPulse", [block for block in blocks if block is not None], close="Close")


def loading_view() -> dict[str, Any]:
    """Return the modal that is shown while prices are fetched."""
    return modal("board", "MinerPulse", text_message("Fetching prices…").blocks, close="Close")


def messages_hint() -> Message:
    """Return how to ask the app, for its Messages tab, where no one can type."""
    return text_message(
        "MinerPulse doesn't read direct messages. In a channel, type `/minerpulse`, or mention `@MinerPulse` if your "
        "workspace allows it. `/minerpulse help all` lists every command.",
        "Your open alerts and channels are on the *Home* tab.",
    )


def welcome_message(pair: Pair, rules: Sequence[str], *, simulated: bool) -> Message:
    """Return what the app does, with a start button; in a channel with rules, list them instead."""
    legs = f"{fmt.name(pair.etf)} and {fmt.name(pair.crypto)}"
    if rules:
        opening = mark_simulated(f"MinerPulse alerts on {legs} are posted here again.", when=simulated)
        listed = f"Rules: {', '.join(map(code, rules))}."
        return compose([section(opening, listed)], notification(opening, listed))
    etf = f"{fmt.name(pair.etf)} (the bitcoin mining ETF)" if pair.etf == WGMI_BTC.etf else fmt.name(pair.etf)
    diverge = f"the returns of {etf} and {fmt.name(pair.crypto)} diverge past a threshold"
    defaults = ", ".join(map(code, DEFAULT_RULES))
    title = mark_simulated(f"Get alerts when {legs} diverge", when=simulated)
    return compose(
        [
            header(title),
            section(
                f"MinerPulse alerts this channel when {diverge}.",
                f"*Start Alerts* adds {len(DEFAULT_RULES)} rules: {defaults}.",
            ),
            actions(
                button("begin", "Start Alerts", "channel", primary=True),
                button("add_rule", "Add Rule", "new"),
                button(RUN_COMMAND[0], "Show Market", "board"),
            ),
            context("No rules here yet, so nothing is monitored. Help: `/minerpulse help`"),
        ],
        notification(
            mark_simulated(f"MinerPulse alerts this channel when {legs} returns diverge.", when=simulated),
            f"No rules here yet: Start Alerts adds {', '.join(DEFAULT_RULES)}.",
        ),
    )
