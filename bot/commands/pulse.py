"""`minerpulse pulse`: show the board without a channel's alerts and rules, from price files or live."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bot.app import App
from bot.commands.live import query_live, view_files
from bot.commands.options import btc_option, etf_option, json_option, print_document, require_both_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render import fmt
from handlers.render.market import (
    PERCENTILE_NOTE,
    data_quality_line,
    drawdown_lines,
    headline,
    live_line,
    market_line,
    price_lines,
    problem_lines,
    unmeasured_lines,
    windows_table,
    windows_text,
)
from handlers.render.markup import mark_simulated
from handlers.render.message import PROBLEMS_SHOWN, Message, compose, context, header, section
from handlers.render.reasons import sentences
from services.core.prices import PriceStamp
from services.market.measure import Drawdown, Gap, Measurement, NotMeasured
from services.market.snapshot import Snapshot
from services.rules.market_view import MarketView


@click.command()
@etf_option
@btc_option
@json_option
def pulse_command(*, etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show the board: every window of the pair, live or as of the last session of two price files."""
    files = require_both_files(etf, btc)
    settings = load_settings()
    view = asyncio.run(view_files(*files, settings.pair) if files else query_live(settings, _view))
    if as_json:
        print_document(view_document(view))
    else:
        print_message(build_board(view, None if files else view.now))


async def _view(app: App) -> MarketView:
    return await app.market.view(app.settings.pair, app.clock.now())


def build_board(view: MarketView, now: datetime | None) -> Message:
    """Build the board from the lines that Slack shows. Prices have no age if `now` is None, as with files."""
    title, snapshot = mark_simulated(headline(view), when=view.simulated), view.current
    state = [f"As of {fmt.full_moment(view.current.at)}.", market_line(view.market), live_line(view)]
    unmeasured, drawdowns = unmeasured_lines(view.current), drawdown_lines(view)
    prices = [*price_lines(view, now), data_quality_line(snapshot.trust), *problem_lines(view, PROBLEMS_SHOWN)]
    return compose(
        [
            header(title),
            section(*state),
            windows_table(view.current, view.pair),
            context(PERCENTILE_NOTE, *unmeasured),
            section(*drawdowns),
            context(*prices),
        ],
        [title, *state, *windows_text(view.current, view.pair), *unmeasured, *drawdowns, *prices],
    )


def view_document(view: MarketView) -> dict[str, Any]:
    """Return a view as JSON-ready values: returns, spreads and drawdowns as fractions, ages in seconds, UTC times."""
    snapshot = view.current
    return {
        "pair": str(view.pair),
        "simulated": view.simulated,
        "now": view.now,
        "as_of": snapshot.at,
        "session": snapshot.session,
        "live": snapshot.live,
        "live_reason": view.live_reason,
        "market": asdict(view.market),
        "verdict": snapshot.trust.verdict.value,
        "reasons": sentences(snapshot.trust.reasons),
        "prices": {"etf": _price_fields(snapshot.etf, view.now), "btc": _price_fields(snapshot.crypto, view.now)},
        "windows": [_window_fields(measurement, snapshot) for measurement in snapshot.measurements.values()],
        "drawdowns": {"etf": _fields(snapshot.etf_drawdown), "btc": _fields(snapshot.crypto_drawdown)},
        "gap": _fields(view.gap),
        "left_out": [
            {"session": excluded.session, "leg": excluded.leg.value, "reason": excluded.reason}
            for excluded in view.left_out
        ],
        "problems": list(view.problems),
    }


def _price_fields(stamp: PriceStamp | None, now: datetime) -> dict[str, Any] | None:
    return None if stamp is None else {**asdict(stamp), "age_s": (now - stamp.at).total_seconds()}


def _window_fields(measurement: Measurement | NotMeasured, snapshot: Snapshot) -> dict[str, Any]:
    if isinstance(measurement, NotMeasured):
        return {"window": measurement.window.value, "reason": measurement.reason}
    trust = snapshot.trust_over(measurement.window)
    return {
        "window": measurement.window.value,
        "from": measurement.anchor,
        "etf_return": measurement.etf_return,
        "btc_return": measurement.crypto_return,
        "spread": measurement.spread,
        "relative": measurement.relative,
        "beta": measurement.beta,
        "residual": measurement.residual,
        "z": measurement.z,
        "percentile": measurement.percentile,
        "verdict": trust.verdict.value,
        "reasons": sentences(trust.reasons),
    }


def _fields(value: Drawdown | Gap | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value)
