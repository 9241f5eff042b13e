"""The Home tab, the board as a modal, and the welcome message."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from handlers.render import fmt, market
from handlers.render.alert_text import heading
from handlers.render.form_fields import modal
from handlers.render.markup import channel_link, code, mark_simulated, reason, user_mention
from handlers.render.message import (
    LIST_TEXT,
    PROBLEMS_SHOWN,
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
    text_message,
)
from services.alerting.alert import Alert
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.core.prices import Pair
from services.rules.market_view import MarketView
from services.rules.rule import DEFAULT_RULES

CHANNELS_HIDDEN = (
    "Your channels aren't shown, because Slack doesn't say which ones you are in. Press *Refresh* in a minute. If it "
    "stays so, ask your MinerPulse administrator to reinstall the app with `channels:read` and `groups:read`."
)
FIRST_STEPS = (
    "*First steps*",
    "1. In the channel that is to get alerts, type `/invite @MinerPulse`.",
    "2. Type `/minerpulse` there and press *Start alerts here*: it gets the rules `1d 8pp`, `5d 15pp` and `20d 30pp`.",
    (
        "3. `/minerpulse rule add` opens the rule editor, which tries a rule on all sessions since the listing as you "
        "type."
    ),
    "`/minerpulse help` lists all commands. Channels where you add a rule or acknowledge an alert then appear here.",
)


def home_view(overview: Overview, now: datetime) -> dict[str, Any]:
    """Return a user's Home tab: the market, and open alerts and rules per channel."""
    market_blocks = (
        [header("MinerPulse"), section(reason(overview.problem))]
        if overview.view is None
        else _market_blocks(overview.view, now)
    )
    shown = overview.channels or ()
    max_chars = LIST_TEXT // max(1, len(shown))
    channel_blocks = [block for summary in shown for block in _channel_blocks(summary, max_chars)]
    channel_blocks += _page_blocks(overview.page, overview.page_count)
    if overview.channels is None:
        channel_blocks = [section(CHANNELS_HIDDEN)]
    channels = [header("Your channels"), *channel_blocks] if channel_blocks else [section(*FIRST_STEPS)]
    refresh = button("refresh_home", "Refresh", str(overview.page) if overview.page else "home")
    blocks: list[Block | None] = [*market_blocks, actions(refresh), *channels]
    return {"type": "home", "blocks": [block for block in blocks if block is not None]}


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


def market_modal(view: MarketView, now: datetime) -> dict[str, Any]:
    """Return the market as a modal, for requests from outside any channel."""
    blocks = [block for block in _market_blocks(view, now) if block is not None]
    return modal("board", "MinerPulse", blocks, close="Close")


def loading_view() -> dict[str, Any]:
    """Return the modal that is shown while prices are fetched."""
    return modal("board", "MinerPulse", text_message("Fetching prices …").blocks, close="Close")


def _market_blocks(view: MarketView, now: datetime) -> list[Block | None]:
    """Return the market as text lines, because the Home tab and modals have no tables."""
    snapshot = view.current
    prices = [*market.price_lines(view, now), market.data_quality_line(snapshot.trust)]
    return [
        header(mark_simulated(market.headline(view), when=view.simulated)),
        section(market.market_line(view.market), market.live_line(view)),
        section(*market.windows_text(snapshot, view.pair)),
        context(*market.unmeasured_lines(snapshot), *market.origin_warnings(snapshot)),
        section(*market.drawdown_lines(view)),
        context(*prices, *market.problem_lines(view, PROBLEMS_SHOWN)),
    ]


def _channel_blocks(summary: ChannelSummary, max_chars: int) -> list[Block | None]:
    """Return one channel's alerts and rules; if space is short, the newest alerts come first."""
    alerts_here = fit_newest_lines(
        [_alert_line(alert) for alert in summary.alerts], max_chars * 2 // 3, " open alerts, which began before"
    )
    alerts = alerts_here or ["No alert is open."]
    shown = fit_lines(
        [f"{code(str(channel_rule.rule))} ({channel_rule.id})" for channel_rule in summary.rules], max_chars // 3
    )
    rules = f"Rules: {', '.join(shown) or 'none'}."
    return [section(f"*{channel_link(summary.channel.id)}*", *alerts, rules)]


def _alert_line(alert: Alert) -> str:
    acknowledgement = (
        f", acknowledged by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else ", not acknowledged yet"
    )
    text = f"Open alert {alert.id}: {heading(alert.lead)}, since {fmt.moment(alert.opened_at)}{acknowledgement}."
    return mark_simulated(text, when=alert.simulated)


def welcome_message(pair: Pair, rules: Sequence[str], *, simulated: bool) -> Message:
    """Return what the app does, with a start button; in a channel with rules, list them instead."""
    opening = mark_simulated(
        f"MinerPulse alerts this channel when {pair.etf} stops moving with {fmt.name(pair.crypto)}.", when=simulated
    )
    if rules:
        lines = [
            opening,
            f"Rules in this channel: {', '.join(map(code, rules))}. Alerts are posted here again from now on.",
        ]
        return compose([section(*lines)], lines)
    defaults = ", ".join(map(code, DEFAULT_RULES))
    offer = (
        f"This channel has no rules yet. *Start alerts here* adds the default rules {defaults}; `/minerpulse rule add` "
        "opens an editor for others, `/minerpulse` shows the market, and `/minerpulse help` lists all commands."
    )
    return compose(
        [section(opening, offer), actions(button("begin", "Start alerts here", "channel", primary=True))],
        [opening, offer],
    )
