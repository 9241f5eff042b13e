"""The market in words: whether it is open, where the pair stands, and how old each price is."""

from __future__ import annotations

from datetime import datetime

from handlers.render import fmt
from handlers.render.limits import LONGEST_PROBLEM, clip
from handlers.render.markup import escape, reason
from services.core.prices import Pair, PriceStamp, Symbol
from services.core.sessions import MarketState
from services.core.trust import Trust, Verdict
from services.market.gap import Gap
from services.market.measure import Drawdown, NotMeasured, Window
from services.rules.market_service import MarketView


def headline(view: MarketView) -> str:
    """Say where the ETF stands against bitcoin: today, or at the last close."""
    pair, seen = view.pair, view.current
    one_day = seen.measurements[Window.D1]
    if isinstance(one_day, NotMeasured):
        return f"{pair.etf} against {fmt.name(pair.crypto)}: no 1-day spread"
    where = fmt.stands(pair, one_day.spread)
    if seen.live and view.market.is_open:
        return f"{pair.etf} is {where} today"
    return f"{pair.etf} closed {where} on {fmt.day(seen.session)}"


def market_line(market: MarketState) -> str:
    """Say whether the ETF trades, and until or from when."""
    if not market.is_open:
        return f"Shut; opens {fmt.moment_utc(market.next_open_at)}."
    half_day = ", half-day" if market.half_day else ""
    return f"Open{half_day}; closes {fmt.hour(market.closes_at)}."


def live_line(view: MarketView) -> str:
    """Say what the numbers below rest on; out of hours, how far bitcoin has gone on since."""
    if view.market.is_open:
        if view.live is None:
            return f"No live spread: {reason(view.live_reason)}. Below is the close of {fmt.day(view.close.session)}."
        return f"Live, both legs at {fmt.hour(view.live.at)}."
    if view.live is not None:
        return f"From the last trades; the official close is not in yet. {_gap(view)}"
    return _gap(view)


def legs(view: MarketView, now: datetime | None) -> list[str]:
    """Give each leg's price with its source and, seen from `now`, its age."""
    pair, seen = view.pair, view.current
    legs = [(pair.etf, seen.etf), (pair.crypto, seen.crypto)]
    return [price_line(symbol, stamp, now, live=seen.live) for symbol, stamp in legs]


def data(trust: Trust) -> str:
    """Give the verdict on the prices, and what speaks against them."""
    why = "; ".join(reason(one) for one in trust.reasons)
    return f"Data {trust.verdict.value}{': ' if why else ''}{why}."


def drawdowns(view: MarketView) -> list[str]:
    """Say how far each leg is below its high, with the basis; the legs' histories may begin on different days."""
    pair, seen = view.pair, view.current
    legs = [(pair.etf, seen.etf_drawdown), (pair.crypto, seen.crypto_drawdown)]
    known = [(symbol, down) for symbol, down in legs if down]
    if not known:
        return []
    since = {down.since for _symbol, down in known}
    if len(since) == 1:
        basis = f"Below the highest session close since {fmt.full_day(since.pop())}:"
        return [basis, *(_drawdown(symbol, down) for symbol, down in known)]
    lines = [f"{_drawdown(symbol, down)}, of those since {fmt.full_day(down.since)}" for symbol, down in known]
    return ["Below the highest session close:", *lines]


def problems(view: MarketView, at_most: int) -> list[str]:
    """Tell what the sources failed at, and which sessions have no usable price."""
    lines = [f"Problem: {reason(clip(problem, LONGEST_PROBLEM))}." for problem in view.problems[:at_most]]
    if view.left_out:
        last, count = view.left_out[-1], len(view.left_out)
        what = "1 price" if count == 1 else f"{count} prices"
        lines.append(f"Left out: {what}, the last for the session of {last.session}: {reason(last.reason)}.")
    return lines


def _gap(view: MarketView) -> str:
    gap, pair = view.gap, view.pair
    if view.quoted.verdict is Verdict.SUSPECT:
        return f"No gap is implied: {'; '.join(map(reason, view.quoted.reasons))}."
    if gap is None or view.crypto is None:
        return f"No {fmt.name(pair.crypto)} price since {pair.etf}'s close."
    moved, implied = gap_lines(gap, pair, f", {fmt.price(view.crypto.price)} at {fmt.hour(gap.at)}")
    return f"{moved}\n{implied}"


def gap_lines(gap: Gap, pair: Pair, at: str = "") -> tuple[str, str]:
    """Tell bitcoin's move since the ETF's close, and what it implies for the next opening."""
    at = at or f", as of {fmt.hour(gap.at)}"
    moved = f"{fmt.title(pair.crypto)} *{fmt.percent(gap.move)}* since {pair.etf}'s close{at}."
    return moved, _implied(gap, pair)


def _implied(gap: Gap, pair: Pair) -> str:
    if gap.implied is None or gap.beta is None or gap.beta_error is None or gap.low is None or gap.high is None:
        return "Too little history for a beta, so no gap is implied."
    interval = f"90% interval {fmt.signed(100 * gap.low)} to {fmt.percent(gap.high)}"
    beta = f"{fmt.decimal(gap.beta)} ± {fmt.size(gap.beta_error)}"
    return f"Implied {pair.etf} gap *{fmt.percent(gap.implied)}*, {interval}, at a beta of {beta}."


def price_line(symbol: Symbol, stamp: PriceStamp | None, now: datetime | None, *, live: bool) -> str:
    """Give one leg's price with its source and, seen from `now`, its age."""
    if stamp is None:
        return f"{fmt.title(symbol)}: no price."
    what = fmt.title(symbol) if live else f"{fmt.title(symbol)} at the close:"
    age = f", {fmt.duration(now - stamp.at)} old" if now else ""
    return f"{what} {fmt.price(stamp.price)} from {escape(stamp.source)}, {fmt.moment(stamp.at)}{age}."


def _drawdown(symbol: Symbol, down: Drawdown) -> str:
    if fmt.size(100 * down.depth) == fmt.size(0):
        return f"{fmt.title(symbol)}: at its high"
    high = f"{fmt.price(down.high)} on {fmt.full_day(down.high_on)}"
    return f"{fmt.title(symbol)} {fmt.size(100 * down.depth)}%, from {high}"
