"""The board: the market as one channel sees it, with what is open there and what is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.limits import PROBLEMS_SHOWN, SHARE_TEXT, fitting, newest_fitting
from handlers.render.market import data, drawdowns, headline, legs, live_line, market_line, problems
from handlers.render.markup import code, person, simulated
from handlers.render.message import actions, button, compose, header, note, section
from handlers.render.topic import heading
from handlers.render.troubles import troubles
from handlers.render.windows import BASIS, beginnings, missing, windows_table, windows_text
from services.domain.decide import Status
from services.domain.rule import DEFAULT_RULES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from handlers.render.message import Block, Message
    from services.desk import Board
    from services.domain.episode import Alert
    from services.ports import Watch

STATUS = {
    Status.OK: "",
    Status.PENDING: " (past it, not yet held)",
    Status.FIRING: " (firing)",
    Status.RECOVERING: " (firing, recovering)",
    Status.NODATA: " (no usable prices)",
    Status.ERROR: " (cannot be evaluated)",
}


def board(told: Board, now: datetime, *, shared_by: str | None = None) -> Message:
    """Render the board; a shared one tells by whom, and has no buttons."""
    view = told.view
    title = simulated(headline(view), when=view.simulated)
    state = [market_line(view.market), live_line(view)]
    gaps, depth = [*missing(view.current), *beginnings(view.current)], drawdowns(view)
    prices = [*legs(view, now), data(view.current.trust)]
    trouble = problems(view, PROBLEMS_SHOWN)
    here = [*_alerts(told.alerts), _rules(told.watches, now), *_silence(told)]
    stuck = troubles(told.troubles)
    by = [f"Shared by {person(shared_by)}, {words.moment(now)}."] if shared_by else []
    return compose(
        [
            header(title),
            section(*state),
            windows_table(view.current, view.pair),
            note(BASIS, *gaps),
            section(*depth),
            note(*prices, *trouble),
            section(*here),
            section(*stuck),
            note(*by) if by else _buttons(told.watches),
        ],
        [title, *state, *windows_text(view.current, view.pair), *gaps, *depth, *prices, *trouble, *here, *stuck, *by],
    )


def _silence(told: Board) -> list[str]:
    if told.silence is None:
        return []
    return [f"Silent until {words.moment_utc(told.silence.until)}: {told.silence.why}. A digest follows then."]


def _alerts(alerts: Sequence[Alert]) -> list[str]:
    return newest_fitting([_alert(alert) for alert in alerts], SHARE_TEXT, " open alerts, which began before")


def _alert(alert: Alert) -> str:
    seen = f", acknowledged by {person(alert.acknowledged.by)}" if alert.acknowledged else ""
    return f"Open alert: {heading(alert.lead)}, since {words.moment(alert.opened_at)}{seen}."


def _rules(watches: Sequence[Watch], now: datetime) -> str:
    if not watches:
        return f"No alerts in this channel yet. The usual rules are {', '.join(map(code, DEFAULT_RULES))}."
    shown = fitting([f"{code(str(watch.rule))}{_status(watch, now)}" for watch in watches], SHARE_TEXT)
    return f"Rules here: {', '.join(shown)}."


def _status(watch: Watch, now: datetime) -> str:
    return " (paused)" if watch.paused_at else STATUS[watch.state.status(now)]


def _buttons(watches: Sequence[Watch]) -> Block:
    usual = [button("refresh", "Refresh", "board"), button("share", "Share", "board")]
    if watches:
        return actions(*usual)
    return actions(button("start", "Start alerts here", "board", primary=True), *usual)
