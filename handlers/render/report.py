"""A report as an HTML page: the state at the last close and what is unusual, then charts, records and sources."""

import math
from dataclasses import replace
from datetime import datetime
from statistics import NormalDist

from handlers.render import fmt
from handlers.render import html_page as page
from handlers.render.backtest import METHOD, episode_header, episode_row, findings, frequency
from handlers.render.drawdown import drawdown_message
from handlers.render.explain import change_verdict, explain_message
from handlers.render.market import data_quality_line, left_out_lines, missing_rank, provenance_lines
from handlers.render.markup import mark_simulated, plain
from handlers.render.power import power_lines, power_notes, power_rows
from handlers.render.reasons import sentence
from handlers.render.report_charts import betas_chart, drawdown_chart, metric_text, spread_chart, spread_sparkline
from services.core.statistics import LOOKBACK_SESSIONS
from services.core.text import counted
from services.market.measure import Measurement, NotMeasured
from services.market.mining_power import PowerEstimate
from services.research.attribution import Attribution, Part
from services.research.explain import Explanation
from services.research.report import RECENT_SESSIONS, Report, WindowSpread
from services.research.service import DrawdownResult, ExplainResult, ReportResult
from services.research.track_record import Backtest
from services.rules.chart_series import RuleSeries

DEFINITIONS = {
    "Return": "From close to close, with dividends. BTC is measured at the time of the ETF's close. A session "
    "without both prices is left out, never filled.",
    "Spread": "The ETF's return minus BTC's over the same window, in percentage points (pp).",
    "Percentile": f"Rank of the spread among the {LOOKBACK_SESSIONS} prior sessions, for windows of up to 20 sessions.",
    "σ": "For longer windows: the relative move in units of its usual size over as many sessions.",
    "Unusual": "Beyond limits that, by chance alone, at least one window crosses only 1 time in 10. With more "
    "windows, each limit is stricter.",
    "Track record": METHOD,
    "BTC factor, AI factor, residual": "A factor's contribution is the ETF's beta to it times its return. Betas come "
    "from the sessions before each date. The residual is what neither factor explains. The three add up to the ETF's "
    "return.",
    "Drawdown": "The last close against the highest close since the date shown.",
}


def report_page(result: ReportResult, now: datetime) -> page.Page:
    """Return the page of the report, created at `now`."""
    report, explanation = result.report, result.report.explanation
    betas = explanation.betas if isinstance(explanation, Explanation) else None
    sections = [
        page.Section(title="Latest state", parts=_state_parts(result)),
        page.Section(title="Spread", parts=[spread_chart(report)]),
        page.Section(
            title="Track record", parts=[part for backtest in report.backtests for part in _backtest_parts(backtest)]
        ),
        page.Section(title="Return attribution", parts=_attribution_parts(result)),
    ]
    if isinstance(explanation, Explanation) and betas and betas.path:
        chart = betas_chart(betas, explanation.pair, explanation.proxy, change_verdict(betas))
        sections.append(page.Section(title="Rolling betas", parts=[chart]))
    sections.append(page.Section(title="Drawdowns", parts=[drawdown_chart(report), *_drawdown_parts(result)]))
    if result.power:
        sections.append(page.Section(title="Network power", parts=_power_parts(result.power)))
    sections.append(page.Section(title="Data", parts=_data_parts(result)))
    return page.Page(
        title=_title(result), lead=_lead(report, now), simulated=result.provenance.simulated, sections=sections
    )


def _title(result: ReportResult) -> str:
    pair, one_session = result.report.curve.pair, result.report.spreads[0].measured
    if isinstance(one_session, NotMeasured):
        title = f"{pair.etf} and {fmt.name(pair.crypto)}: no 1-session spread"
    else:
        title = f"{pair.etf} {fmt.spread_phrase(pair, one_session.spread)} {fmt.over_window(one_session.window)}"
    return mark_simulated(title, when=result.provenance.simulated)


def _lead(report: Report, now: datetime) -> list[str]:
    pair, first, end = report.curve.pair, report.curve.points[0], report.curve.points[-1]
    span = f"{fmt.full_day(first.session)} to {fmt.full_day(end.session)}"
    etf, crypto = f"{fmt.name(pair.etf)} {fmt.percent(end.etf)}", f"{fmt.name(pair.crypto)} {fmt.percent(end.crypto)}"
    created = f"{fmt.full_day(now.astimezone(fmt.NEW_YORK))}, {fmt.plain_time(now)}"
    complete = f"{report.sessions:,} of {fmt.sessions(report.requested)} have both prices"
    return [
        f"At the close of {fmt.full_day(end.session)}.",
        f"Report for {span}: {etf}, {crypto}; {complete}. Created {created}.",
    ]


def _state_parts(result: ReportResult) -> list[page.PagePart]:
    """Return what is unusual, which rules are firing, and the data quality, then each window and each rule."""
    report = result.report
    quality = page.strip_markup(data_quality_line(result.provenance.trust))
    unranked = [
        f"{fmt.window_name(spread.measured.window)}: {why}." for spread in report.spreads if (why := _missing(spread))
    ]
    parts: list[page.PagePart] = [
        page.Paragraph(lines=[*_unusual_lines(report), *_firing_lines(report), quality], finding=True),
        _windows_table(report),
    ]
    if unranked:
        parts.append(page.Paragraph(lines=unranked, small=True))
    return [*parts, _rules_table(report)]


def _missing(spread: WindowSpread) -> str:
    measured = spread.measured
    if isinstance(measured, NotMeasured):
        return plain(sentence(measured.reason)).rstrip(".")
    return "" if measured.is_ranked else missing_rank(measured)


def _ranked(report: Report) -> list[Measurement]:
    return [
        spread.measured
        for spread in report.spreads
        if isinstance(spread.measured, Measurement) and spread.measured.is_ranked
    ]


def _unusual_lines(report: Report) -> list[str]:
    ranked = _ranked(report)
    if not ranked:
        return ["Too little history to say what is unusual."]
    unusual = [measured for measured in ranked if measured.is_unusual(among=len(ranked))]
    if not unusual:
        return [f"Nothing unusual: {counted(len(ranked), 'spread')} checked."]
    pair = report.curve.pair
    return [
        f"Unusual: {pair.etf} {fmt.spread_phrase(pair, measured.spread)} "
        f"{fmt.over_window(measured.window, measured.session)}, {_rank_text(measured)}."
        for measured in unusual
    ]


def _rank_text(measured: Measurement) -> str:
    if measured.percentile is None:
        return fmt.sigma(measured.sigma or 0.0)
    return f"{fmt.percentile_phrase(measured.percentile)} of {fmt.sessions(LOOKBACK_SESSIONS)}"


def _firing_lines(report: Report) -> list[str]:
    firing = [
        f"Firing: {backtest.replay.rule}, {_last_value(series)}, since {fmt.full_day(backtest.episodes[-1].fired_on)}."
        for series, backtest in zip(report.curve.series, report.backtests, strict=True)
        if _is_firing(backtest)
    ]
    return firing or ["No rule is firing."]


def _is_firing(backtest: Backtest) -> bool:
    return bool(backtest.episodes) and backtest.episodes[-1].ended_on is None


def _last_value(series: RuleSeries) -> str:
    return metric_text(series.values[-1], series.metric)


def _windows_table(report: Report) -> page.HtmlTable:
    pair, ranked = report.curve.pair, _ranked(report)
    return page.HtmlTable(
        caption=f"Returns and spreads at the close of {fmt.full_day(report.curve.points[-1].session)}",
        header=[
            "Window",
            "Spread (pp)",
            "Percentile or σ",
            "Unusual",
            f"{fmt.name(pair.etf)} (%)",
            f"{fmt.name(pair.crypto)} (%)",
            f"Spread, last {RECENT_SESSIONS} sessions",
        ],
        rows=[_window_row(spread, len(ranked)) for spread in report.spreads],
    )


def _window_row(spread: WindowSpread, ranked: int) -> list[page.TableCell]:
    measured, line = spread.measured, spread_sparkline(spread)
    name = fmt.window_name(measured.window)
    if isinstance(measured, NotMeasured):
        return [name, *[fmt.NO_VALUE] * 5, line]
    return [
        name,
        fmt.signed(100 * measured.spread),
        _rank_cell(measured),
        fmt.NO_VALUE if not measured.is_ranked else "Yes" if measured.is_unusual(among=ranked) else "No",
        fmt.signed(100 * measured.etf_return),
        fmt.signed(100 * measured.crypto_return),
        line,
    ]


def _rank_cell(measured: Measurement) -> page.TableCell:
    """Return the percentile, or σ; both sort by the share of values below, which for σ is that of a normal one."""
    if measured.percentile is not None:
        return page.Cell(text=fmt.percentile_cell(measured.percentile), key=f"{measured.percentile}")
    if measured.sigma is not None:
        return page.Cell(text=fmt.sigma(measured.sigma), key=f"{100 * NormalDist().cdf(measured.sigma)}")
    return fmt.NO_VALUE


def _rules_table(report: Report) -> page.HtmlTable:
    return page.HtmlTable(
        caption="Rules at the last close",
        header=["Rule", "State", "Value", "Last fired", "Times fired", "Per year"],
        rows=[_rule_row(*rule) for rule in zip(report.curve.series, report.backtests, strict=True)],
    )


def _rule_row(series: RuleSeries, backtest: Backtest) -> list[page.TableCell]:
    state = "Firing" if _is_firing(backtest) else "OK" if math.isfinite(series.values[-1]) else "No data"
    row: list[page.TableCell] = [f"{backtest.replay.rule}", state, _last_value(series)]
    if not backtest.episodes:
        return [*row, fmt.NO_VALUE, "0", fmt.decimal(0)]
    last = backtest.episodes[-1].fired_on
    fired = page.Cell(text=fmt.full_day(last), key=last.isoformat())
    return [*row, fired, f"{len(backtest.episodes)}", fmt.decimal(backtest.replay.per_year)]


def _backtest_parts(backtest: Backtest) -> list[page.PagePart]:
    title = page.Heading(text=f"{backtest.replay.rule}: {frequency(backtest)}")
    if not backtest.episodes:
        return [title]
    rows: list[list[page.TableCell]] = []
    for episode in reversed(backtest.episodes):
        _fired, *cells = episode_row(episode, backtest)
        fired = page.Cell(text=fmt.full_day(episode.fired_on), key=episode.fired_on.isoformat())
        rows.append([fired, *cells])
    return [
        title,
        page.Paragraph(lines=[page.strip_markup(line) for line in findings(backtest)]),
        page.HtmlTable(caption=f"Every time {backtest.replay.rule} fired", header=episode_header(), rows=rows),
    ]


def _attribution_parts(result: ReportResult) -> list[page.PagePart]:
    report = result.report
    if not isinstance(report.explanation, Explanation):
        return [page.Paragraph(lines=[plain(sentence(report.explanation))])]
    provenance = replace(result.provenance, basis=None)
    message = explain_message(ExplainResult(explanation=report.explanation, provenance=provenance))
    pair, proxy = report.curve.pair, report.explanation.proxy
    table = page.HtmlTable(
        caption=f"Return attribution of {pair.etf} at the last close; ± is one standard error of the betas",
        header=[
            "Window",
            f"{pair.etf} (%)",
            f"{fmt.name(pair.crypto)} factor (pp)",
            f"AI factor, {proxy} (pp)",
            "Residual (pp)",
        ],
        rows=[_attribution_row(row) for row in report.attributions],
    )
    return [table, *page.page_parts(message, "Return attribution for the year to date")]


def _attribution_row(attribution: Attribution | NotMeasured) -> list[str]:
    name = fmt.window_name(attribution.window)
    if isinstance(attribution, NotMeasured):
        return [name, *[fmt.NO_VALUE] * 4]
    shares = [_share(part) for part in (attribution.crypto, attribution.proxy, attribution.residual)]
    return [name, fmt.signed(100 * attribution.etf_return), *shares]


def _share(part: Part) -> str:
    amount = fmt.signed(100 * part.amount)
    return amount if part.error is None else f"{amount} {fmt.pp_error(part.error)}"


def _drawdown_parts(result: ReportResult) -> list[page.PagePart]:
    report = result.report
    if not report.drawdowns:
        return []
    end = report.curve.points[-1].session
    provenance = replace(result.provenance, basis=None)  # each leg has its own
    return page.page_parts(
        drawdown_message(DrawdownResult(session=end, legs=report.drawdowns, provenance=provenance)), ""
    )


def _power_parts(estimate: PowerEstimate) -> list[page.PagePart]:
    header, rows = power_rows(estimate)
    caption = f"Power draw of the bitcoin network on {fmt.full_day(estimate.day)}, at {fmt.hashrate(estimate.hashrate)}"
    lines = [page.strip_markup(line) for line in power_lines(estimate)]
    notes = [page.strip_markup(line) for line in power_notes(estimate)]
    return [
        page.HtmlTable(caption=caption, header=header, rows=rows),
        page.Paragraph(lines=lines),
        page.Paragraph(lines=notes, small=True),
    ]


def _data_parts(result: ReportResult) -> list[page.PagePart]:
    report = result.report
    etf, crypto = report.sources
    legs = f"{fmt.name(report.curve.pair.etf)} from {etf}, {fmt.name(report.curve.pair.crypto)} from {crypto}."
    lines = [page.strip_markup(line) for line in provenance_lines(result.provenance, legs)]
    definitions: list[page.PagePart] = [
        page.Heading(text="Definitions"),
        page.Definitions(terms=tuple(DEFINITIONS.items())),
    ]
    if not report.left_out:
        return [page.Paragraph(lines=[*lines, "No session is left out."]), *definitions]
    rows: list[list[page.TableCell]] = [
        [
            page.Cell(text=fmt.full_day(omitted.session), key=omitted.session.isoformat()),
            omitted.leg.value.upper(),
            plain(sentence(omitted.reason)),
        ]
        for omitted in report.left_out
    ]
    table = page.HtmlTable(
        caption=f"Prices left out ({len(rows):,})", header=["Session", "Leg", "Reason"], rows=rows, text_cells=True
    )
    return [
        page.Paragraph(lines=[*lines, *map(plain, left_out_lines(report.left_out, report.curve.pair))]),
        table,
        *definitions,
    ]
