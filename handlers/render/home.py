"""The Home tab of a person, and the market in a form of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from handlers.render import fmt
from handlers.render.alert_text import heading
from handlers.render.board import beginnings, missing, windows_text
from handlers.render.form_fields import modal
from handlers.render.limits import LIST_TEXT, PROBLEMS_SHOWN, fitting, newest_fitting
from handlers.render.market import data, drawdowns, headline, legs, live_line, market_line, problems
from handlers.render.markup import code, conversation, person, reason, simulated
from handlers.render.message import Block, Message, actions, button, compose, header, note, section, text_message
from services.alerting.alert import Alert
from services.channels.commands import Overview
from services.channels.home import ChannelSummary
from services.core.prices import Pair
from services.rules.market_service import MarketView
from services.rules.rule import DEFAULT_RULES

PLACES_SHOWN = 10
FIRST_STEPS = (
    "*First steps*",
    "1. In the channel that is to get alerts, type `/invite @MinerPulse`.",
    "2. Type `/minerpulse` there and press *Start alerts here*: it gets the rules `1d 8pp`, `5d 15pp` and `20d 30pp`.",
    "3. `/minerpulse rule add` opens the rule editor, which tries a rule on the last two years as you type.",
    "`/minerpulse help` tells the rest. What you add or acknowledge is listed here from then on.",
)


def home_view(told: Overview, now: datetime) -> dict[str, Any]:
    """Make a person's Home tab: the market, their channels with what is open and watched, and how far prices go."""
    market = [header("MinerPulse"), section(reason(told.problem))] if told.view is None else _market(told.view, now)
    shown = told.places[:PLACES_SHOWN]
    room = LIST_TEXT // max(1, len(shown))
    places = [block for place in shown for block in _place(place, room)]
    if (more := len(told.places) - len(shown)) > 0:
        places.append(note(f"… and {more} more channels: `/minerpulse rules` and `/minerpulse` tell of each in it."))
    mine = [header("Your channels"), *places] if places else [section(*FIRST_STEPS)]
    blocks: list[Block | None] = [*market, actions(button("refresh_home", "Refresh", "home")), *mine]
    return {"type": "home", "blocks": [block for block in blocks if block is not None]}


def home_notice_view(told: Message) -> dict[str, Any]:
    """Make a Home tab that tells one thing and can be tried again."""
    return {
        "type": "home",
        "blocks": [header("MinerPulse"), *told.blocks, actions(button("refresh_home", "Refresh", "home"))],
    }


def market_modal(view: MarketView, now: datetime) -> dict[str, Any]:
    """Make the market as a form, for whoever asks outside any channel."""
    blocks = [block for block in _market(view, now) if block is not None]
    return modal("board", "MinerPulse", blocks, close="Close")


def loading_view() -> dict[str, Any]:
    """Make what stands there until the prices are in."""
    return modal("board", "MinerPulse", text_message("Fetching prices …").blocks, close="Close")


def _market(view: MarketView, now: datetime) -> list[Block | None]:
    """Tell the board in lines: a tab shows no tables."""
    seen = view.current
    return [
        header(simulated(headline(view), when=view.simulated)),
        section(market_line(view.market), live_line(view)),
        section(*windows_text(seen, view.pair)),
        note(*missing(seen), *beginnings(seen)),
        section(*drawdowns(view)),
        note(*legs(view, now), data(seen.trust), *problems(view, PROBLEMS_SHOWN)),
    ]


def _place(place: ChannelSummary, room: int) -> list[Block | None]:
    """Tell of one channel, the newest alerts first where not all can be told."""
    open_here = newest_fitting(
        [_alert(alert) for alert in place.alerts], room * 2 // 3, " open alerts, which began before"
    )
    alerts = open_here or ["No alert is open."]
    shown = fitting([f"{code(str(watch.rule))} ({watch.id})" for watch in place.watches], room // 3)
    rules = f"Rules: {', '.join(shown) or 'none'}."
    return [section(f"*{conversation(place.channel.id)}*", *alerts, rules)]


def _alert(alert: Alert) -> str:
    seen = f", acknowledged by {person(alert.acknowledged.by)}" if alert.acknowledged else ", nobody sees to it yet"
    told = f"Open alert {alert.id}: {heading(alert.lead)}, since {fmt.moment(alert.opened_at)}{seen}."
    return simulated(told, when=alert.simulated)


def welcome_message(pair: Pair, rules: Sequence[str], *, is_simulated: bool) -> Message:
    """Say what the app does here, and offer to begin; a channel that has rules is told which."""
    opening = simulated(
        f"MinerPulse tells this channel when {pair.etf} stops moving with {fmt.name(pair.crypto)}.", when=is_simulated
    )
    if rules:
        told = [opening, f"These rules stand here: {', '.join(map(code, rules))}. Alerts come again from now on."]
        return compose([section(*told)], told)
    usual = ", ".join(map(code, DEFAULT_RULES))
    offer = (
        f"Nothing is watched here yet. *Start alerts here* adds the usual rules {usual}; `/minerpulse rule add` opens "
        "an editor for others, `/minerpulse` shows the market, and `/minerpulse help` tells the rest."
    )
    return compose(
        [section(opening, offer), actions(button("begin", "Start alerts here", "channel", primary=True))],
        [opening, offer],
    )
