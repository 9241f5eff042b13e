"""A fund's holdings: contribution of each, effects per cohort, and the residual."""

from handlers.render import fmt
from handlers.render.market import closes_text, data_quality, data_quality_line, problem_line
from handlers.render.markup import escape, mark_simulated, plain
from handlers.render.message import PROBLEMS_SHOWN, Message, compose, context, header, notification, section, table
from handlers.render.reasons import reason
from services.market.holdings import Cohort
from services.research.holdings_effects import CohortEffect, HoldingContribution
from services.research.holdings_report import HoldingsReport

HOLDINGS_SHOWN = 12  # those with the largest contributions, of either sign
SUMMARIZED = 3  # of them, in the notification
NAMED = 4  # holdings of a cohort
METHOD = (
    "A contribution is the weight at the start of each session times the session's return. Cariño's factors link them, "
    "so all contributions and the residual add up to the fund's return. The residual is cash, fees, holdings without "
    "prices, and trades between the days whose weights are known. Allocation and selection (Brinson) compare the "
    "fund's weights with equal weights of the same holdings; selection includes the interaction."
)


def miners_message(report: HoldingsReport) -> Message:
    """Return a fund's holdings over a window."""
    attribution = report.attribution
    largest = sorted(attribution.holdings, key=lambda holding: -abs(holding.contribution))
    shown = sorted(largest[:HOLDINGS_SHOWN], key=lambda holding: -holding.contribution)
    title = _title(report, largest[:1])
    head = ["Holding", "Weight %", "Return %", "Contrib. pp"]
    rows = [*map(_holding_row, shown), *_other_holdings_rows(report, shown)]
    warnings = [f":warning: {_sentence(reason(warning))}" for warning in report.warnings]
    return compose(
        [
            header(title),
            table([head, *rows, *_total_rows(report)]),
            section(_residual_line(report), *warnings),
            section(*_cohort_lines(report)),
            context(_context_line(report, shown), *_problem_lines(report)),
        ],
        notification(
            f"{_title(report, largest[:SUMMARIZED])}, residual {fmt.pp(attribution.residual)}.",
            f"Priced holdings are {100 * attribution.covered_weight:.0f}% of the fund.",
            f"{plain(data_quality(report.trust))}.",
        ),
    )


def _title(report: HoldingsReport, holdings: list[HoldingContribution]) -> str:
    """Return the fund's return and contributions: `WGMI +9.0% over 20 sessions: IREN +5.0 pp`."""
    attribution = report.attribution
    period = fmt.over_window(attribution.window, attribution.session)
    parts = ", ".join(f"{escape(holding.ticker)} {fmt.pp(holding.contribution)}" for holding in holdings)
    title = f"{fmt.name(report.fund)} {fmt.percent(attribution.etf_return)} {period}{': ' if parts else ''}{parts}"
    return mark_simulated(title, when=report.simulated)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _residual_line(report: HoldingsReport) -> str:
    attribution = report.attribution
    covered = f"Holdings with prices are {100 * attribution.covered_weight:.0f}% of the fund."
    return f"*Residual {fmt.pp(attribution.residual)}*, not explained by the priced holdings. {covered}"


def _total_rows(report: HoldingsReport) -> list[list[str]]:
    attribution, blank = report.attribution, fmt.NO_VALUE
    etf, residual = fmt.signed(100 * attribution.etf_return), fmt.signed(100 * attribution.residual)
    return [["Residual", blank, blank, residual], [fmt.name(report.fund), blank, etf, etf]]


def _holding_row(holding: HoldingContribution) -> list[str]:
    unknown = holding.own_return is None and not holding.contribution
    return [
        escape(holding.ticker),
        fmt.decimal(100 * holding.weight),
        fmt.NO_VALUE if holding.own_return is None else fmt.signed(100 * holding.own_return),
        fmt.NO_VALUE if unknown else fmt.signed(100 * holding.contribution),
    ]


def _other_holdings_rows(report: HoldingsReport, shown: list[HoldingContribution]) -> list[list[str]]:
    """Return one row that sums up the holdings not shown; nothing if all are."""
    others = [holding for holding in report.attribution.holdings if holding not in shown]
    if not others:
        return []
    weight, added = sum(holding.weight for holding in others), sum(holding.contribution for holding in others)
    return [[f"{len(others)} more", fmt.decimal(100 * weight), fmt.NO_VALUE, fmt.signed(100 * added)]]


def _cohort_lines(report: HoldingsReport) -> list[str]:
    """Return what weights and choice within each cohort added, against equal weights of the priced holdings."""
    if not report.cohort_effects:
        return ["*Cohorts:* unknown: no holding has a price at both ends of the window"]
    allocation, selection = (
        sum(effect.allocation for effect in report.cohort_effects),
        sum(effect.selection for effect in report.cohort_effects),
    )
    return [
        f"*Versus equal weight: {fmt.pp(allocation + selection)}* = {_effects_text(allocation, selection)}",
        *(_cohort_line(effect, report) for effect in report.cohort_effects),
    ]


def _effects_text(allocation: float, selection: float) -> str:
    return f"allocation {fmt.pp(allocation)}, selection {fmt.pp(selection)}"


def _cohort_line(effect: CohortEffect, report: HoldingsReport) -> str:
    name = f"{_sentence(effect.cohort.value)} ({_names(effect, report)})"
    weights = f"weight {100 * effect.weight:.0f}% (equal-weight {100 * effect.equal_weight:.0f}%)"
    returns = f"return {fmt.percent(effect.fund_return)} (equal-weight {fmt.percent(effect.equal_weight_return)})"
    return f"{name}: {_effects_text(effect.allocation, effect.selection)}; {weights}, {returns}"


def _names(effect: CohortEffect, report: HoldingsReport) -> str:
    """Return the priced holdings of a cohort, those with the largest contributions first."""
    members = [
        holding
        for holding in sorted(report.attribution.holdings, key=lambda holding: -abs(holding.contribution))
        if holding.own_return is not None and _cohort(holding, report) is effect.cohort
    ]
    more = len(members) - NAMED
    named = ", ".join(escape(holding.ticker) for holding in members[:NAMED])
    return f"{named} and {more} more" if more > 0 else named


def _cohort(holding: HoldingContribution, report: HoldingsReport) -> Cohort:
    member = report.cohorts.get(holding.ticker)
    return member.cohort if member else Cohort.OTHER


def _context_line(report: HoldingsReport, shown: list[HoldingContribution]) -> str:
    attribution = report.attribution
    parts = [
        closes_text(attribution.anchor, attribution.session),
        _weights_text(report),
        *_cohorts_text(report, shown),
        f"closes from {', '.join(map(escape, report.sources))}",
        data_quality_line(report.trust),
    ]
    return " · ".join(parts)


def _weights_text(report: HoldingsReport) -> str:
    known = report.attribution.weight_dates
    if len(known) == 1:
        return f"weights as of {fmt.full_day(known[0])}, drifting with prices"
    span = f"{fmt.full_day(known[0])} to {fmt.full_day(known[-1])}"
    return f"weights from {len(known)} dates, {span}, drifting with prices in between"


def _cohorts_text(report: HoldingsReport, shown: list[HoldingContribution]) -> list[str]:
    """Return when the cohorts of the shown holdings were assessed; their sources are in the cohort file."""
    days = [report.cohorts[holding.ticker].as_of for holding in shown if holding.ticker in report.cohorts]
    return [f"cohorts assessed {fmt.full_day(min(days))} to {fmt.full_day(max(days))}"] if days else []


def _problem_lines(report: HoldingsReport) -> list[str]:
    return [problem_line(problem) for problem in report.problems[:PROBLEMS_SHOWN]]
