"""A report as pictures and a page: the very words of the answers in Slack, for the browser and for paper."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from handlers.render import fmt
from handlers.render.backtest import METHOD, findings, head, often, row
from handlers.render.chart import curve_picture
from handlers.render.drawdown import drawdown_message
from handlers.render.explain import explain_message
from handlers.render.footers import basis, left_out_lines
from handlers.render.gauges import AT_CLOSE, below_picture, betas_picture
from handlers.render.html_page import Folded, Heading, Lines, Page, Part, Section, Shown, Table, parts_of, plain
from handlers.render.markup import simulated
from handlers.render.picture import Picture
from services.market.measure import NotMeasured
from services.research import attribution
from services.research.attribution import Attribution
from services.research.results import DrawdownResult, ExplainResult, ReportResult
from services.research.track_record import Backtest

SPREAD, BETAS, BELOW = "spread", "betas", "below"
SHOWN = 8  # episodes of a rule, the newest; the others are folded
NUMBERS = {
    "Returns": "From one session's close to another's, dividends included; bitcoin at the instant of the ETF's close. "
    "A session without either price is left out, and never filled.",
    "Spread": "The ETF's return less bitcoin's, in percentage points, over as many sessions as its window has.",
    "Episodes": METHOD,
    "Parts": "Bitcoin's part is the ETF's beta to it times its return, and AI's alike, with betas from the sessions "
    "before each day. The rest is what neither explains; the three add up to the whole.",
    "Below the high": "The last close against the highest session close on record.",
}


def report_pictures(told: ReportResult) -> dict[str, Picture]:
    """Draw the curve with what rules watched, the betas where they are known, and both drawdowns."""
    found, made_up = told.report, told.basis.simulated
    pictures = {SPREAD: curve_picture(found.curve, _title(told), [AT_CLOSE], simulated=made_up)}
    if not isinstance(found.explanation, str) and found.explanation.gauge:
        pictures[BETAS] = betas_picture(found.explanation, found.explanation.gauge, simulated=made_up)
    return {**pictures, BELOW: below_picture(found, simulated=made_up)}


def report_page(told: ReportResult, shown: Mapping[str, Shown], now: datetime) -> Page:
    """Put the page together, written at `now`."""
    found = told.report
    sections = [
        Section(title="Spread", parts=[shown[SPREAD]]),
        Section(title="Episodes", parts=[part for one in found.tested for part in _tested(one)]),
        Section(title="Why they parted", parts=_explained(told)),
        Section(title="Below their highs", parts=[shown[BELOW], *_depths(told)]),
        Section(title="Data", parts=_data(told)),
    ]
    if BETAS in shown:
        sections.insert(3, Section(title="Betas", parts=[shown[BETAS]]))
    return Page(title=_title(told), lead=_lead(told, now), simulated=told.basis.simulated, sections=sections)


def _title(told: ReportResult) -> str:
    curve = told.report.curve
    first, end = curve.points[0], curve.points[-1]
    spread = fmt.stands(curve.pair, end.etf - end.crypto)
    span = f"{fmt.full_day(first.session)} to {fmt.full_day(end.session)}"
    return simulated(f"{curve.pair.etf} {spread}, {span}", when=told.basis.simulated)


def _lead(told: ReportResult, now: datetime) -> list[str]:
    found, end = told.report, told.report.curve.points[-1]
    etf, crypto = fmt.title(found.curve.pair.etf), fmt.name(found.curve.pair.crypto)
    fired = "; ".join(f"{one.found.rule}: {often(one)}" for one in found.tested)
    return [
        f"{etf} {fmt.percent(end.etf)}, {crypto} {fmt.percent(end.crypto)}, each from close to close.",
        f"{found.sessions:,} of {fmt.sessions(found.of)} have both prices. {fired}.",
        f"Written {fmt.full_moment(now)}.",
    ]


def _tested(found: Backtest) -> list[Part]:
    title = Heading(text=f"{found.found.rule}: {often(found)}")
    if not found.episodes:
        return [title]
    rows = [row(one, found) for one in reversed(found.episodes)]
    told = Lines(lines=[plain(line) for line in findings(found)])
    newest = Table(caption=f"Episodes of {found.found.rule}, the newest first", head=head(), rows=rows[:SHOWN])
    if len(rows) <= SHOWN:
        return [title, told, newest]
    older = Table(caption=f"{len(rows) - SHOWN} before them", head=head(), rows=rows[SHOWN:])
    return [title, told, newest, Folded(table=older)]


def _explained(told: ReportResult) -> list[Part]:
    found = told.report
    if isinstance(found.explanation, str):
        return [Lines(lines=[found.explanation])]
    message = explain_message(ExplainResult(explanation=found.explanation, basis=told.basis))
    etf, crypto, proxy = found.curve.pair.etf, fmt.title(found.curve.pair.crypto), found.explanation.proxy
    table = Table(
        caption=f"{etf}'s return in parts, to the last close; ± is one standard error",
        head=["Window", str(etf), crypto, f"AI ({proxy})", "The rest"],
        rows=[_parted(one) for one in found.parted],
    )
    return [table, *parts_of(message, "Parts of the year's return")]


def _parted(one: Attribution | NotMeasured) -> list[str]:
    if isinstance(one, NotMeasured):
        return [one.window.value, *[fmt.NOTHING] * 4]
    shares = [_share(part) for part in (one.crypto, one.proxy, one.residual)]
    return [one.window.value, fmt.percent(one.etf_return), *shares]


def _share(part: attribution.Part) -> str:
    return f"{fmt.pp(part.amount)} ± {fmt.size(100 * part.error)}"


def _depths(told: ReportResult) -> list[Part]:
    found = told.report
    if not found.depths:
        return []
    end = found.curve.points[-1].session
    return parts_of(drawdown_message(DrawdownResult(session=end, legs=found.depths, basis=told.basis)), "")


def _data(told: ReportResult) -> list[Part]:
    found = told.report
    etf, crypto = found.sources
    legs = f"{fmt.title(found.curve.pair.etf)} from {etf}, {fmt.name(found.curve.pair.crypto)} from {crypto}."
    verdict = [plain(line) for line in basis(told.basis, legs)]
    numbers = Table(
        caption="What each number is", head=["Number", "How it comes about"], rows=[*NUMBERS.items()], worded=True
    )
    if not found.left_out:
        return [Lines(lines=[*verdict, "No session is left out."]), numbers]
    each = [[f"{one.session}", one.leg.value.upper(), one.reason] for one in found.left_out]
    every = f"Every price that is left out ({len(each):,})"
    return [
        Lines(lines=[*verdict, *left_out_lines(found.left_out)]),
        Folded(table=Table(caption=every, head=["Session", "Leg", "Why"], rows=each, worded=True)),
        numbers,
    ]
