"""A report as pictures and an HTML page, with the same texts as the Slack results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from handlers.render import fmt
from handlers.render import html_page as page
from handlers.render.backtest import METHOD, episode_header, episode_row, findings, frequency
from handlers.render.chart import curve_picture
from handlers.render.drawdown import CLOSES_NOTE, drawdown_message, drawdown_picture
from handlers.render.explain import change_verdict, explain_message
from handlers.render.market import left_out_lines, provenance_lines
from handlers.render.markup import mark_simulated
from handlers.render.picture import ColorRole, Curve, Panel, Picture, alt_text
from handlers.render.power import power_lines, power_notes, power_rows
from handlers.render.reasons import sentence
from services.market.measure import NotMeasured
from services.market.mining_power import PowerEstimate
from services.research.attribution import LOOKBACK, Attribution, Part
from services.research.explain import Explanation, RollingBetas
from services.research.service import DrawdownResult, ExplainResult, ReportResult
from services.research.track_record import Backtest

SPREAD, BETAS, DRAWDOWNS = "spread", "betas", "below"
EPISODES_SHOWN = 8  # the newest per rule; the others are collapsed
DEFINITIONS = {
    "Returns": "From one session's close to another's, dividends included; bitcoin at the instant of the ETF's close. "
    "A session without either price is left out, and never filled.",
    "Spread": "The ETF's return less bitcoin's, in percentage points, over as many sessions as its window has.",
    "Episodes": METHOD,
    "Parts": "Bitcoin's part is the ETF's beta to it times its return, and AI's alike, with betas from the sessions "
    "before each day. The rest is what neither explains; the three add up to the whole.",
    "Below the high": "The last close against the highest close since the day that stands beside it.",
}


def report_pictures(result: ReportResult) -> dict[str, Picture]:
    """Return the curve with the rules' series, the betas if known, and both drawdowns, by name."""
    report, simulated = result.report, result.provenance.simulated
    pictures = {SPREAD: curve_picture(report.curve, _title(result), [CLOSES_NOTE], simulated=simulated)}
    if isinstance(report.explanation, Explanation) and report.explanation.betas:
        pictures[BETAS] = _betas_picture(report.explanation, report.explanation.betas, simulated=simulated)
    return {**pictures, DRAWDOWNS: drawdown_picture(report, simulated=simulated)}


def _betas_picture(explanation: Explanation, betas: RollingBetas, *, simulated: bool) -> Picture:
    """Return the betas to bitcoin and to the AI proxy over two years, with their R²."""
    crypto, path = fmt.title(explanation.pair.crypto), betas.path
    curves = (
        _beta_curve(ColorRole.CRYPTO, crypto, [estimate.crypto.value for estimate in path]),
        _beta_curve(ColorRole.PROXY, explanation.proxy, [estimate.proxy.value for estimate in path]),
    )
    title = f"{explanation.pair.etf}'s betas to {fmt.name(explanation.pair.crypto)} and {explanation.proxy}"
    span = f"on {fmt.full_day(betas.first.session)} and {fmt.full_day(betas.last.session)}"
    r2 = _beta_curve(ColorRole.METRIC, "R²", [estimate.r2 for estimate in path])
    changes = [
        f"{name}: {fmt.ratio(curve.values[0])} and {fmt.ratio(curve.values[-1])} {span}."
        for name, curve in zip((crypto, explanation.proxy, "R²"), (*curves, r2), strict=True)
    ]
    return Picture(
        title=title,
        days=tuple(estimate.session for estimate in path),
        panels=(
            Panel(title="Beta", subtitle=f"from the {LOOKBACK} sessions up to each day", baseline=0.0, curves=curves),
            Panel(title="R²", subtitle="share of the daily variance that both explain", baseline=0.0, curves=(r2,)),
        ),
        footer=CLOSES_NOTE,
        alt=alt_text(f"{title}.", change_verdict(betas), *changes),
        simulated=simulated,
    )


def _beta_curve(role: ColorRole, name: str, values: Sequence[float]) -> Curve:
    return Curve(role=role, values=tuple(values), label=f"{name}\n{fmt.ratio(values[-1])}")


def report_page(result: ReportResult, figures: Mapping[str, page.PagePicture], now: datetime) -> page.Page:
    """Return the page of the report, as of `now`."""
    report = result.report
    sections = [
        page.Section(title="Spread", parts=[figures[SPREAD]]),
        page.Section(
            title="Episodes", parts=[part for backtest in report.backtests for part in _backtest_parts(backtest)]
        ),
        page.Section(title="Return attribution", parts=_attribution_parts(result)),
        page.Section(title="Below their highs", parts=[figures[DRAWDOWNS], *_drawdown_parts(result)]),
        page.Section(title="Data", parts=_data_parts(result)),
    ]
    if result.power:
        sections.insert(4, page.Section(title="What mining takes", parts=_power_parts(result.power)))
    if BETAS in figures:
        sections.insert(3, page.Section(title="Betas", parts=[figures[BETAS]]))
    return page.Page(
        title=_title(result), lead=_lead(result, now), simulated=result.provenance.simulated, sections=sections
    )


def _title(result: ReportResult) -> str:
    curve = result.report.curve
    first, end = curve.points[0], curve.points[-1]
    spread = fmt.spread_phrase(curve.pair, end.etf - end.crypto)
    span = f"{fmt.full_day(first.session)} to {fmt.full_day(end.session)}"
    return mark_simulated(f"{curve.pair.etf} {spread}, {span}", when=result.provenance.simulated)


def _lead(result: ReportResult, now: datetime) -> list[str]:
    report, end = result.report, result.report.curve.points[-1]
    etf, crypto = fmt.title(report.curve.pair.etf), fmt.name(report.curve.pair.crypto)
    fired = "; ".join(f"{backtest.replay.rule}: {frequency(backtest)}" for backtest in report.backtests)
    return [
        f"{etf} {fmt.percent(end.etf)}, {crypto} {fmt.percent(end.crypto)}, each from close to close.",
        f"{report.sessions:,} of {fmt.sessions(report.requested)} have both prices. {fired}.",
        f"Written {fmt.full_moment(now)}.",
    ]


def _backtest_parts(backtest: Backtest) -> list[page.PagePart]:
    title = page.Heading(text=f"{backtest.replay.rule}: {frequency(backtest)}")
    if not backtest.episodes:
        return [title]
    rows = [episode_row(episode, backtest) for episode in reversed(backtest.episodes)]
    summary = page.Paragraph(lines=[page.strip_markup(line) for line in findings(backtest)])
    newest = page.HtmlTable(
        caption=f"Episodes of {backtest.replay.rule}, the newest first",
        header=episode_header(),
        rows=rows[:EPISODES_SHOWN],
    )
    if len(rows) <= EPISODES_SHOWN:
        return [title, summary, newest]
    older = page.HtmlTable(
        caption=f"{len(rows) - EPISODES_SHOWN} before them", header=episode_header(), rows=rows[EPISODES_SHOWN:]
    )
    return [title, summary, newest, page.CollapsedTable(table=older)]


def _attribution_parts(result: ReportResult) -> list[page.PagePart]:
    report = result.report
    if not isinstance(report.explanation, Explanation):
        return [page.Paragraph(lines=[sentence(report.explanation)])]
    provenance = replace(result.provenance, basis=None)
    message = explain_message(ExplainResult(explanation=report.explanation, provenance=provenance))
    etf, crypto, proxy = report.curve.pair.etf, fmt.title(report.curve.pair.crypto), report.explanation.proxy
    table = page.HtmlTable(
        caption=f"{etf}'s return in parts, to the last close; ± is the estimation error of the betas",
        header=["Window", str(etf), crypto, f"AI ({proxy})", "The rest"],
        rows=[_attribution_row(row) for row in report.attributions],
    )
    return [table, *page.page_parts(message, "Parts of the year's return")]


def _attribution_row(attribution: Attribution | NotMeasured) -> list[str]:
    if isinstance(attribution, NotMeasured):
        return [attribution.window.value, *[fmt.NO_VALUE] * 4]
    shares = [_share(part) for part in (attribution.crypto, attribution.proxy, attribution.residual)]
    return [attribution.window.value, fmt.percent(attribution.etf_return), *shares]


def _share(part: Part) -> str:
    return fmt.pp_with_error(part.amount, part.error)


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
    legs = f"{fmt.title(report.curve.pair.etf)} from {etf}, {fmt.name(report.curve.pair.crypto)} from {crypto}."
    verdict = [page.strip_markup(line) for line in provenance_lines(result.provenance, legs)]
    numbers = page.HtmlTable(
        caption="What each number is",
        header=["Number", "How it comes about"],
        rows=[*DEFINITIONS.items()],
        text_cells=True,
    )
    if not report.left_out:
        return [page.Paragraph(lines=[*verdict, "No session is left out."]), numbers]
    rows = [[f"{omitted.session}", omitted.leg.value.upper(), sentence(omitted.reason)] for omitted in report.left_out]
    caption = f"Every price that is left out ({len(rows):,})"
    return [
        page.Paragraph(lines=[*verdict, *left_out_lines(report.left_out, report.curve.pair)]),
        page.CollapsedTable(
            table=page.HtmlTable(caption=caption, header=["Session", "Leg", "Why"], rows=rows, text_cells=True)
        ),
        numbers,
    ]
