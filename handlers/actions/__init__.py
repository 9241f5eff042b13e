"""Buttons and menus by action_id; a new one is a function and a row here."""

from collections.abc import Awaitable, Callable

from handlers.actions import alerts, board, rules
from handlers.home_tab import publish_home
from handlers.request import Reply, Request

ACTIONS: dict[str, Callable[[Request], Awaitable[Reply | None]]] = {
    "acknowledge": alerts.acknowledge,
    "add_rule": rules.open_empty_editor,
    "begin": rules.begin,
    "chart": alerts.show_chart,
    "edit_rule": rules.edit_rule,
    "noise": alerts.vote_noise,
    "refresh": board.refresh,
    "refresh_home": publish_home,
    "resolve": alerts.resolve,
    "share": board.share,
    "snooze": alerts.snooze,
    "start": board.start,
    "unacknowledge": alerts.unacknowledge,
    "use_rule": rules.use_rule,
    "useful": alerts.vote_useful,
    "why": alerts.show_audit,
}
