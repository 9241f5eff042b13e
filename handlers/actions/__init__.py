"""Buttons and choices, by action_id; a new one is a file and a row here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from handlers.actions import (
    acknowledge,
    begin,
    chart,
    edit_rule,
    refresh,
    refresh_home,
    resolve,
    share,
    snooze,
    start,
    unacknowledge,
    use_rule,
    vote,
    why,
)
from handlers.request import Reply, Request

ACTIONS: dict[str, Callable[[Request], Awaitable[Reply | None]]] = {
    "acknowledge": acknowledge.answer,
    "add_rule": edit_rule.add,
    "begin": begin.answer,
    "chart": chart.answer,
    "edit_rule": edit_rule.answer,
    "noise": vote.noise,
    "refresh": refresh.answer,
    "refresh_home": refresh_home.answer,
    "resolve": resolve.answer,
    "share": share.answer,
    "snooze": snooze.answer,
    "start": start.answer,
    "unacknowledge": unacknowledge.answer,
    "use_rule": use_rule.answer,
    "useful": vote.useful,
    "why": why.answer,
}
