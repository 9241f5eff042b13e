"""The sources of a pair: state, last price and age of each."""

from datetime import datetime

from handlers.render import fmt
from handlers.render.market import LOADING, data_quality_line, problem_line
from handlers.render.markup import escape, mark_simulated, plain
from handlers.render.message import Message, compose, context, header, notification, section
from handlers.render.reasons import reason
from services.channels.source_status import LegSources, SourceStatus
from services.core.text import counted
from services.market.feeds.report import SourceHealth

SETTINGS_HINT = (
    "Your MinerPulse administrator chooses them with `MINERPULSE_ETF_SOURCES` and `MINERPULSE_CRYPTO_SOURCES`."
)


def sources_message(status: SourceStatus, now: datetime) -> Message:
    """Return the sources of both legs in order of preference."""
    title = mark_simulated(_title(status), when=status.simulated)
    verdict = data_quality_line(status.trust) if status.trust else reason(status.problem)
    failing = [
        f"{report.name} ({leg.symbol})" for leg in status.legs for report in leg.queried if not _is_healthy(report)
    ]
    dropped = [problem_line(values) for values in status.dropped]
    unused = [line for leg in status.legs if (line := _unused_line(leg))]
    return compose(
        [
            header(title),
            section(verdict),
            *(section(*_leg_lines(leg, now)) for leg in status.legs),
            context(*dropped, *unused, SETTINGS_HINT),
        ],
        notification(
            f"{title}.",
            f"{plain(verdict)}.",
            f"{counted(len(failing), 'source')} failing: {', '.join(failing)}." if failing else "",
        ),
    )


def _title(status: SourceStatus) -> str:
    """Return how many sources work: `WGMI and BTC: 3 of 3 sources OK`."""
    reports = [report for leg in status.legs for report in leg.queried]
    healthy = sum(map(_is_healthy, reports))
    return f"{status.pair.etf} and {fmt.name(status.pair.crypto)}: {healthy} of {counted(len(reports), 'source')} OK"


def _is_healthy(report: SourceHealth) -> bool:
    return report.backoff_until is None and not report.problem


def _leg_lines(leg: LegSources, now: datetime) -> list[str]:
    return [
        f"*{fmt.name(leg.symbol)}*",
        *(_source_line(report, now, keyed=report.name in leg.keyed) for report in leg.queried),
    ]


def _source_line(report: SourceHealth, now: datetime, *, keyed: bool) -> str:
    parts = [*_last_trade(report, now), *_newest_price(report)] or ["no data yet"]
    key = " (with a key)" if keyed else ""
    loading = f" {LOADING.capitalize()} (since {fmt.full_day(report.loading_since)})." if report.loading_since else ""
    return f"{escape(report.name)}{key} {_state(report, now)}: {', '.join(parts)}.{loading}"


def _last_trade(report: SourceHealth, now: datetime) -> list[str]:
    if report.quote is None:
        return []
    age = fmt.age(now - report.quote.at)
    return [f"last trade {fmt.price(report.quote.price)}, {fmt.instant(report.quote.at)}, {age}"]


def _newest_price(report: SourceHealth) -> list[str]:
    match report.newest:
        case None:
            return []
        case datetime() as ended_at:
            return [f"hourly prices to {fmt.instant(ended_at)}"]
        case session:
            return [f"closes to {fmt.day(session)}"]


def _state(report: SourceHealth, now: datetime) -> str:
    """Return whether the source works; during a backoff, when it is tried again."""
    why = f" ({reason(report.problem)})" if report.problem else ""
    if report.backoff_until is not None:
        return f":warning: *paused after errors*, next try in {fmt.duration(report.backoff_until - now)}{why}"
    return f":warning: *failing*{why}" if report.problem else "*OK*"


def _unused_line(leg: LegSources) -> str:
    names = [f"{escape(name)}{' (needs a key)' if name in leg.keyed else ''}" for name in leg.unused]
    return f"Not used for {fmt.name(leg.symbol)}: {', '.join(names)}." if names else ""
