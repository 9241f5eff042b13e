"""The document of `minerpulse report --json`: all studies on a range of sessions."""

from datetime import date
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.explain import AttributionFields, ExplanationFields, attribution_fields, explanation_fields
from bot.documents.fields import (
    About,
    Count,
    Document,
    Fraction,
    LeftOut,
    Quality,
    RuleText,
    RuleValue,
    if_known,
    left_out,
    quality,
    schema_id,
)
from bot.documents.pulse import UnmeasuredWindow
from bot.documents.rules import BacktestFields, backtest_fields
from bot.documents.studies import DrawdownFields, PowerFields, drawdown_fields, power_fields
from handlers.render.reasons import sentence
from services.core.statistics import finite_or_none
from services.market.measure import NotMeasured
from services.research.attribution import Attribution
from services.research.explain import Explanation
from services.research.report import Report
from services.research.service import ReportResult


class Sources(TypedDict):
    """Where the prices of both legs come from."""

    etf: str
    btc: str


class PointFields(TypedDict):
    """Both legs at a session's close; null without a price."""

    session: date
    etf_return: Annotated[Fraction | None, About("fraction since the first session of the report")]
    btc_return: Annotated[Fraction | None, About("fraction since the first session of the report")]
    etf_drawdown: Annotated[Fraction | None, About("fraction below the high, from 0 to 1")]
    btc_drawdown: Annotated[Fraction | None, About("fraction below the high, from 0 to 1")]
    values: Annotated[list[RuleValue | None], About("value of each rule in `rules`; null if unknown")]


class ReportDocument(Document, Quality):
    """Spreads, episodes, attribution, drawdowns and power draw over a range of sessions."""

    pair: Annotated[str, About("such as WGMI/BTC")]
    first: date
    last: date
    sessions: Annotated[Count, About("sessions with both prices")]
    requested_sessions: Count
    sources: Sources
    rules: list[RuleText]
    points: list[PointFields]
    backtests: list[BacktestFields]
    explanation: Annotated[ExplanationFields | None, About("for the year to date")]
    explanation_reason: Annotated[str, About("why there is no explanation; empty if there is one")]
    attributions: Annotated[list[AttributionFields | UnmeasuredWindow], About("one per window")]
    drawdowns: list[DrawdownFields]
    power: Annotated[PowerFields | None, About("of the bitcoin network; null with price files")]
    left_out: list[LeftOut]


def report_document(result: ReportResult) -> ReportDocument:
    """Return the document of a report."""
    report = result.report
    points, (etf_source, crypto_source), explanation = report.curve.points, report.sources, report.explanation
    return {
        "schema": schema_id("report"),
        "as_of": points[-1].at,
        "pair": str(report.curve.pair),
        "first": points[0].session,
        "last": points[-1].session,
        "sessions": report.sessions,
        "requested_sessions": report.requested,
        "sources": {"etf": etf_source, "btc": crypto_source},
        "rules": [str(backtest.replay.rule) for backtest in report.backtests],
        "points": _points(report),
        "backtests": [backtest_fields(backtest) for backtest in report.backtests],
        "explanation": explanation_fields(explanation) if isinstance(explanation, Explanation) else None,
        "explanation_reason": "" if isinstance(explanation, Explanation) else sentence(explanation),
        "attributions": [_attribution(attribution) for attribution in report.attributions],
        "drawdowns": [drawdown_fields(leg) for leg in report.drawdowns],
        "power": if_known(result.power, power_fields),
        "left_out": left_out(report.left_out),
        **quality(result.provenance),
    }


def _points(report: Report) -> list[PointFields]:
    values = zip(*(series.values for series in report.curve.series), strict=True)
    return [
        {
            "session": point.session,
            "etf_return": finite_or_none(point.etf),
            "btc_return": finite_or_none(point.crypto),
            "etf_drawdown": finite_or_none(etf),
            "btc_drawdown": finite_or_none(crypto),
            "values": list(map(finite_or_none, row)),
        }
        for point, etf, crypto, row in zip(report.curve.points, *report.drawdown_paths, values, strict=True)
    ]


def _attribution(attribution: Attribution | NotMeasured) -> AttributionFields | UnmeasuredWindow:
    if isinstance(attribution, NotMeasured):
        return {"window": attribution.window, "reason": sentence(attribution.reason)}
    return attribution_fields(attribution)
