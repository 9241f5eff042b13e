"""Render: values in, messages out; nothing here asks, decides or sends."""

from handlers.render.alert import alert
from handlers.render.backtest import backtest
from handlers.render.board import board
from handlers.render.complaint import complaint
from handlers.render.drawdown import drawdown
from handlers.render.entry import entry
from handlers.render.explain import explanation
from handlers.render.help import help_on, usage
from handlers.render.history import history
from handlers.render.message import Message, plain, say, together
from handlers.render.miners import miners
from handlers.render.network import network
from handlers.render.outcome import done, no_close, unchanged
from handlers.render.receipt import receipt
from handlers.render.rules import added, removed, rules, started
from handlers.render.tune import tuned

__all__ = [
    "Message",
    "added",
    "alert",
    "backtest",
    "board",
    "complaint",
    "done",
    "drawdown",
    "entry",
    "explanation",
    "help_on",
    "history",
    "miners",
    "network",
    "no_close",
    "plain",
    "receipt",
    "removed",
    "rules",
    "say",
    "started",
    "together",
    "tuned",
    "unchanged",
    "usage",
]
