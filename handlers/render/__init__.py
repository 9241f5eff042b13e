"""Render: values in, messages out; nothing here asks, decides or sends."""

from handlers.render.alert import alert
from handlers.render.alert_text import entry
from handlers.render.backtest import backtest, backtest_picture
from handlers.render.board import board, status
from handlers.render.brief import brief
from handlers.render.channel import channel, troubles
from handlers.render.chart import chart, chart_picture
from handlers.render.drawdown import drawdown
from handlers.render.explain import explanation
from handlers.render.fallbacks import plain, uncharted
from handlers.render.help import help_about, help_on, no_topic, usage
from handlers.render.history import history, receipt
from handlers.render.home import fetching, home, home_instead, market_view, welcome
from handlers.render.markup import code
from handlers.render.message import Message, say, together
from handlers.render.miners import miners
from handlers.render.network import network
from handlers.render.notices import daily, notice
from handlers.render.responses import complaint, done, no_close, snoozed, unchanged, voted
from handlers.render.rule_form import editor, outcome_view, trial, trying, unread
from handlers.render.rules import Proposal, added, edited, paused, removed, resumed, rules, started
from handlers.render.sources import sources
from handlers.render.tune import Using, stale, stands, tuned

__all__ = [
    "Message",
    "Proposal",
    "Using",
    "added",
    "alert",
    "backtest",
    "backtest_picture",
    "board",
    "brief",
    "channel",
    "chart",
    "chart_picture",
    "code",
    "complaint",
    "daily",
    "done",
    "drawdown",
    "edited",
    "editor",
    "entry",
    "explanation",
    "fetching",
    "help_about",
    "help_on",
    "history",
    "home",
    "home_instead",
    "market_view",
    "miners",
    "network",
    "no_close",
    "no_topic",
    "notice",
    "outcome_view",
    "paused",
    "plain",
    "receipt",
    "removed",
    "resumed",
    "rules",
    "say",
    "snoozed",
    "sources",
    "stale",
    "stands",
    "started",
    "status",
    "together",
    "trial",
    "troubles",
    "trying",
    "tuned",
    "unchanged",
    "uncharted",
    "unread",
    "usage",
    "voted",
    "welcome",
]
