"""Render: values in, messages out; nothing here asks, decides or sends."""

from handlers.render.alert import alert
from handlers.render.board import board
from handlers.render.channel import channel
from handlers.render.complaint import complaint
from handlers.render.daily import daily
from handlers.render.entry import entry
from handlers.render.help import help_on, usage
from handlers.render.history import history
from handlers.render.message import Message, plain, say, together
from handlers.render.notice import notice
from handlers.render.outcome import done, no_close, unchanged
from handlers.render.receipt import receipt
from handlers.render.rules import added, edited, paused, removed, resumed, rules, started
from handlers.render.troubles import troubles

__all__ = [
    "Message",
    "added",
    "alert",
    "board",
    "channel",
    "complaint",
    "daily",
    "done",
    "edited",
    "entry",
    "help_on",
    "history",
    "no_close",
    "notice",
    "paused",
    "plain",
    "receipt",
    "removed",
    "resumed",
    "rules",
    "say",
    "started",
    "together",
    "troubles",
    "unchanged",
    "usage",
]
