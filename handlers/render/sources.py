"""The sources of a pair: last price, age, and whether each is queried."""

from datetime import datetime

from handlers.render import fmt
from handlers.render.market import LOADING, data_quality_line
from handlers.render.markup import escape, mark_simulated, reason
from handlers.render.message import Message, compose, context, header, section
from services.channels.source_status import LegSources, SourceStatus
from services.market.feeds.report import SourceHealth

SETTINGS_HINT = (
    "Your MinerPulse administrator chooses them with `MINERPULSE_ETF_SOURCES` and `MINERPULSE_CRYPTO_SOURCES`."
)


def sources_message(status: SourceStatus, now: datetime) -> Message:
    """Return the sources of both legs in order of preference."""
    title = mark_simulated(f"Sources of {status.pair.etf} and {fmt.name(status.pair.crypto)}", when=status.simulated)
    verdict = data_quality_line(status.trust) if status.trust else reason(status.problem)
    legs = [_leg_lines(leg, now) for leg in status.legs]
    dropped = [f"Problem: {reason(values)}." for values in status.dropped]
    others = [*dropped, *(line for leg in status.legs if (line := _unused_line(leg))), SETTINGS_HINT]
    return compose(
        [header(title), section(verdict), *(section(*lines) for lines in legs), context(*others)],
        [title, verdict, *(line for lines in legs for line in lines), *others],
    )


def _leg_lines(leg: LegSources, now: datetime) -> list[str]:
    return [
        f"*{fmt.title(leg.symbol)}*",
        *(_source_line(report, now, keyed=report.name in leg.keyed) for report in leg.queried),
    ]


def _source_line(report: SourceHealth, now: datetime, *, keyed: bool) -> str:
    parts = [*_last_trade(report, now), *_newest_price(report)] or ["has sent nothing yet"]
    key = " (with a key)" if keyed else ""
    loading = f" {LOADING.capitalize()} (since {fmt.full_day(report.loading_since)})." if report.loading_since else ""
    return f"{escape(report.name)}{key}: {', '.join(parts)}. {_state(report, now)}{loading}"


def _last_trade(report: SourceHealth, now: datetime) -> list[str]:
    if report.quote is None:
        return []
    age = fmt.duration(now - report.quote.at)
    return [f"last trade {fmt.price(report.quote.price)}, {fmt.moment(report.quote.at)}, {age} old"]


def _newest_price(report: SourceHealth) -> list[str]:
    match report.newest:
        case None:
            return []
        case datetime() as ended_at:
            return [f"hourly prices to {fmt.moment(ended_at)}"]
        case session:
            return [f"closes to {fmt.day(session)}"]


def _state(report: SourceHealth, now: datetime) -> str:
    """Return whether the source answers; during a backoff, when it is asked again."""
    if report.backoff_until is not None:
        retry = f"asked again in {fmt.duration(report.backoff_until - now)}"
        return f"*Left alone*, {retry}{f': {reason(report.problem)}' if report.problem else ''}."
    return f"*Fails*: {reason(report.problem)}." if report.problem else "Answers."


def _unused_line(leg: LegSources) -> str:
    names = [f"{escape(name)}{' (needs a key)' if name in leg.keyed else ''}" for name in leg.unused]
    return f"Not asked for {fmt.name(leg.symbol)}: {', '.join(names)}." if names else ""
