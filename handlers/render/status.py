"""One window of the board in full: both legs, what beta leaves unexplained, and how unusual that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.limits import PROBLEMS_SHOWN, SHARE_TEXT, fitting
from handlers.render.market import data, legs, live_line, market_line, problems
from handlers.render.markup import code, reason, simulated
from handlers.render.message import compose, header, note, section
from services.domain.measure import BETA_SESSIONS, NotMeasured

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.render.message import Message
    from services.desk import Board
    from services.domain.measure import Measurement, Window
    from services.domain.prices import Pair


def status(told: Board, window: Window, now: datetime) -> Message:
    """Tell all that is measured over one window, and which rules here watch it."""
    view = told.view
    measured = view.current.measurements[window]
    title = simulated(_title(view.pair, window, measured), when=view.simulated)
    state = [market_line(view.market), live_line(view)]
    facts = [] if isinstance(measured, NotMeasured) else [*_moves(measured), *_unusual(measured)]
    watching = [code(str(watch.rule)) for watch in told.watches if watch.rule.window is window]
    rules = f"Rules here over this window: {', '.join(fitting(watching, SHARE_TEXT)) or 'none'}."
    prices = [*legs(view, now), data(view.current.trust), *problems(view, PROBLEMS_SHOWN)]
    return compose(
        [header(title), section(*facts), section(rules), section(*state), note(*prices)],
        [title, *facts, rules, *state, *prices],
    )


def _title(pair: Pair, window: Window, measured: Measurement | NotMeasured) -> str:
    if isinstance(measured, NotMeasured):
        return f"No spread of {pair.etf} {words.over(window)}: {reason(measured.reason)}"
    day = "" if measured.live else f" to the close of {words.day(measured.session)}"
    return f"{pair.etf} {words.stands(pair, measured.spread)} {words.over(window, measured.session)}{day}"


def _moves(measured: Measurement) -> list[str]:
    etf, crypto = words.title(measured.pair.etf), words.title(measured.pair.crypto)
    lines = [
        f"Since the close of {words.full_day(measured.anchor)}:",
        f"{etf} *{words.percent(measured.etf_return)}*",
        f"{crypto} *{words.percent(measured.crypto_return)}*",
        f"Spread *{words.pp(measured.spread)}*",
    ]
    if measured.beta is None or measured.residual is None:
        return [*lines, "Beta: too little history."]
    beta = f"Beta {words.decimal(measured.beta)}, from the {BETA_SESSIONS} sessions before"
    return [*lines, f"{beta}; it leaves *{words.pp(measured.residual)}* unexplained."]


def _unusual(measured: Measurement) -> list[str]:
    if measured.percentile is None:
        return ["How unusual that is cannot be told yet: too little history."]
    z = "" if measured.z is None else f", robust z {words.signed(measured.z)}"
    return [f"The spread is {words.unusual(measured.percentile, above=measured.spread >= 0)}{z}."]
