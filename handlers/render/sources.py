"""The sources of a pair: what each told last, how old that is, and whether it is asked."""

from __future__ import annotations

from datetime import datetime

from handlers.render import fmt
from handlers.render.market import data
from handlers.render.markup import escape, reason, simulated
from handlers.render.message import Message, compose, header, note, section
from services.channels.source_status import LegSources, SourceStatus
from services.market.feeds.report import SourceReport

SETTINGS = "Whoever runs MinerPulse chooses them with `MINERPULSE_ETF_SOURCES` and `MINERPULSE_CRYPTO_SOURCES`."


def sources_message(told: SourceStatus, now: datetime) -> Message:
    """List the sources of both legs, in the order in which they are preferred."""
    title = simulated(f"Sources of {told.pair.etf} and {fmt.name(told.pair.crypto)}", when=told.simulated)
    verdict = data(told.trust) if told.trust else reason(told.problem)
    legs = [_leg(leg, now) for leg in told.legs]
    others = [*(line for leg in told.legs if (line := _unused(leg))), SETTINGS]
    return compose(
        [header(title), section(verdict), *(section(*lines) for lines in legs), note(*others)],
        [title, verdict, *(line for lines in legs for line in lines), *others],
    )


def _leg(leg: LegSources, now: datetime) -> list[str]:
    return [f"*{fmt.title(leg.symbol)}*", *(_source(one, now, keyed=one.name in leg.keyed) for one in leg.asked)]


def _source(one: SourceReport, now: datetime, *, keyed: bool) -> str:
    told = [*_trade(one, now), *_newest(one)] or ["has told nothing yet"]
    key = " (with a key)" if keyed else ""
    return f"{escape(one.name)}{key}: {', '.join(told)}. {_state(one, now)}"


def _trade(one: SourceReport, now: datetime) -> list[str]:
    if one.quote is None:
        return []
    age = fmt.duration(now - one.quote.at)
    return [f"last trade {fmt.price(one.quote.price)}, {fmt.moment(one.quote.at)}, {age} old"]


def _newest(one: SourceReport) -> list[str]:
    match one.newest:
        case None:
            return []
        case datetime() as ended_at:
            return [f"hourly prices to {fmt.moment(ended_at)}"]
        case session:
            return [f"closes to {fmt.day(session)}"]


def _state(one: SourceReport, now: datetime) -> str:
    """Say whether it answers; of one that is left alone, until when."""
    if one.rests_until is not None:
        again = f"asked again in {fmt.duration(one.rests_until - now)}"
        return f"*Left alone*, {again}{f': {reason(one.problem)}' if one.problem else ''}."
    return f"*Fails*: {reason(one.problem)}." if one.problem else "Answers."


def _unused(leg: LegSources) -> str:
    names = [f"{escape(name)}{' (needs a key)' if name in leg.keyed else ''}" for name in leg.unused]
    return f"Not asked for {fmt.name(leg.symbol)}: {', '.join(names)}." if names else ""
