"""The board for the terminal: as Slack shows it, without what belongs to a channel; and as one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from handlers.render import fmt
from handlers.render.board import BASIS, missing, windows_table, windows_text
from handlers.render.limits import PROBLEMS_SHOWN
from handlers.render.market import data, drawdowns, headline, legs, live_line, market_line, problems
from handlers.render.markup import simulated
from handlers.render.message import Message, compose, header, note, section
from services.core.prices import PriceStamp
from services.market.gap import Gap
from services.market.measure import Drawdown, Measurement, NotMeasured
from services.rules.market_service import MarketView, Snapshot


def board(view: MarketView, now: datetime | None) -> Message:
    """Put the board together from the very lines that Slack shows; without `now`, as of files, prices have no age."""
    title, seen = simulated(headline(view), when=view.simulated), view.current
    state = [f"As of {fmt.full_moment(view.current.at)}.", market_line(view.market), live_line(view)]
    gaps, depth = missing(view.current), drawdowns(view)
    prices = [*legs(view, now), data(seen.trust), *problems(view, PROBLEMS_SHOWN)]
    return compose(
        [
            header(title),
            section(*state),
            windows_table(view.current, view.pair),
            note(BASIS, *gaps),
            section(*depth),
            note(*prices),
        ],
        [title, *state, *windows_text(view.current, view.pair), *gaps, *depth, *prices],
    )


def as_document(view: MarketView) -> dict[str, Any]:
    """Write a view as JSON: returns, spreads and depths as fractions, ages in seconds, times in UTC."""
    seen = view.current
    return {
        "pair": str(view.pair),
        "simulated": view.simulated,
        "now": view.now,
        "as_of": seen.at,
        "session": seen.session,
        "live": seen.live,
        "live_reason": view.live_reason,
        "market": asdict(view.market),
        "verdict": seen.trust.verdict.value,
        "reasons": list(seen.trust.reasons),
        "prices": {"etf": _price(seen.etf, view.now), "btc": _price(seen.crypto, view.now)},
        "windows": [_window(one, seen) for one in seen.measurements.values()],
        "drawdowns": {"etf": _fields(seen.etf_drawdown), "btc": _fields(seen.crypto_drawdown)},
        "gap": _fields(view.gap),
        "left_out": [{"session": out.session, "leg": out.leg.value, "reason": out.reason} for out in view.left_out],
        "problems": list(view.problems),
    }


def _price(stamp: PriceStamp | None, now: datetime) -> dict[str, Any] | None:
    return None if stamp is None else {**asdict(stamp), "age_s": (now - stamp.at).total_seconds()}


def _window(one: Measurement | NotMeasured, seen: Snapshot) -> dict[str, Any]:
    if isinstance(one, NotMeasured):
        return {"window": one.window.value, "reason": one.reason}
    trust = seen.over(one.window)
    return {
        "window": one.window.value,
        "from": one.anchor,
        "etf_return": one.etf_return,
        "btc_return": one.crypto_return,
        "spread": one.spread,
        "relative": one.relative,
        "beta": one.beta,
        "residual": one.residual,
        "z": one.z,
        "percentile": one.percentile,
        "verdict": trust.verdict.value,
        "reasons": list(trust.reasons),
    }


def _fields(value: Drawdown | Gap | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value)
