"""Buttons and menus by action_id; a new one is a file and a row here."""

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
    "acknowledge": acknowledge.run,
    "add_rule": edit_rule.add_rule,
    "begin": begin.run,
    "chart": chart.run,
    "edit_rule": edit_rule.run,
    "noise": vote.noise,
    "refresh": refresh.run,
    "refresh_home": refresh_home.run,
    "resolve": resolve.run,
    "share": share.run,
    "snooze": snooze.run,
    "start": start.run,
    "unacknowledge": unacknowledge.run,
    "use_rule": use_rule.run,
    "useful": vote.useful,
    "why": why.run,
}
