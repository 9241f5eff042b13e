"""A fund's holdings: contribution of each, effects per cohort, and the residual."""

from handlers.render import fmt
from handlers.render.market import data_quality_line
from handlers.render.markup import escape, mark_simulated, reason
from handlers.render.message import PROBLEMS_SHOWN, Message, compose, context, header, section, table
from services.market.holdings import Cohort
from services.research.holdings_effects import CohortEffect, HoldingContribution
from services.research.holdings_report import HoldingsReport

HOLDINGS_SHOWN = 12  # those with the largest contributions, of either sign
METHOD = (
    "Contribution: weight when a day began times the day's return, linked by Cariño's factors, so that all of them and "
    "the rest add up to the fund's return. Allocation and selection (Brinson) hold the fund's weights against equal "
    "ones of the same names; selection has the interaction in it."
)


def miners_message(report: HoldingsReport) -> Message:
    """Return a fund's holdings over a window."""
    attribution = report.attribution
    span = f"From the close of {fmt.full_day(attribution.anchor)} to that of {fmt.full_day(attribution.session)}."
    period = fmt.over_window(attribution.window, attribution.session)
    move = f"{fmt.title(report.fund)} {fmt.percent(attribution.etf_return)} {period}"
    title = mark_simulated(f"{move}, by holding", when=report.simulated)
    shown = sorted(attribution.holdings, key=lambda holding: -abs(holding.contribution))[:HOLDINGS_SHOWN]
    others = _other_holdings_rows(report, shown)
    lines = [span, _residual_line(report), *(f"Careful: {reason(warning)}." for warning in report.warnings)]
    cohorts = _cohort_lines(report)
    notes = [METHOD, _weights_note(report), *_cohort_notes(report, shown), *_closes_notes(report)]
    rows = [_holding_row(holding, report) for holding in sorted(shown, key=lambda holding: -holding.contribution)]
    head = ["Holding", "Weight", "Return", "Added", "Cohort"]
    return compose(
        [
            header(title),
            section(*lines),
            table([head, *rows, *others, *_total_rows(report)]),
            section(*cohorts),
            context(*notes),
        ],
        [title, *lines, *(_row_line(row) for row in [*rows, *others]), *cohorts, *notes],
    )


def _residual_line(report: HoldingsReport) -> str:
    attribution = report.attribution
    causes = "trades between the days whose weights are known, cash, fees, and shares without prices"
    covered = f"{100 * attribution.covered_weight:.0f}%"
    return f"*{fmt.pp(attribution.residual)}* are explained by no holding: {causes}. {covered} is covered."


def _total_rows(report: HoldingsReport) -> list[list[str]]:
    attribution, blank = report.attribution, fmt.NO_VALUE
    total = [
        fmt.title(report.fund),
        blank,
        fmt.percent(attribution.etf_return),
        fmt.pp(attribution.etf_return),
        blank,
    ]
    return [["The rest", blank, blank, fmt.pp(attribution.residual), blank], total]


def _holding_row(holding: HoldingContribution, report: HoldingsReport) -> list[str]:
    member = report.cohorts.get(holding.ticker)
    return [
        escape(holding.ticker),
        f"{fmt.decimal(100 * holding.weight)}%",
        fmt.NO_VALUE if holding.own_return is None else fmt.percent(holding.own_return),
        fmt.pp(holding.contribution),
        (member.cohort if member else Cohort.OTHER).value,
    ]


def _other_holdings_rows(report: HoldingsReport, shown: list[HoldingContribution]) -> list[list[str]]:
    """Return one row that sums up the holdings not shown; nothing if all are."""
    others = [holding for holding in report.attribution.holdings if holding not in shown]
    if not others:
        return []
    weight, added = sum(holding.weight for holding in others), sum(holding.contribution for holding in others)
    return [[f"{len(others)} more", f"{fmt.decimal(100 * weight)}%", fmt.NO_VALUE, fmt.pp(added), fmt.NO_VALUE]]


def _row_line(row: list[str]) -> str:
    name, weight, change, added, cohort = row
    return f"{name}: added {added}, weight {weight}, return {change}, {cohort}"


def _cohort_lines(report: HoldingsReport) -> list[str]:
    if not report.cohort_effects:
        return ["No cohort can be measured: no share has a price at both ends."]
    return [
        "*Cohorts*, of the shares with prices:",
        *(_cohort_line(effect) for effect in report.cohort_effects),
        _effects_total(report.cohort_effects),
    ]


def _cohort_line(effect: CohortEffect) -> str:
    names = f"{effect.name_count} name{'' if effect.name_count == 1 else 's'}"
    weights = f"{100 * effect.weight:.0f}% of their weight ({100 * effect.equal_weight:.0f}% in equal weights)"
    returns = f"{fmt.percent(effect.fund_return)} ({fmt.percent(effect.equal_weight_return)} in equal weights)"
    parts = f"allocation {fmt.pp(effect.allocation)}, selection {fmt.pp(effect.selection)}"
    name = f"{effect.cohort.value[:1].upper()}{effect.cohort.value[1:]}"
    return f"{name}, {names}: {weights}, {returns}; {parts}."


def _effects_total(effects: tuple[CohortEffect, ...]) -> str:
    allocation, selection = sum(effect.allocation for effect in effects), sum(effect.selection for effect in effects)
    excess = fmt.pp(allocation + selection)
    return f"Beyond equal weights {excess}: allocation {fmt.pp(allocation)}, selection {fmt.pp(selection)}."


def _weights_note(report: HoldingsReport) -> str:
    known = report.attribution.weight_dates
    days = f"{known[0]}" if len(known) == 1 else f"{len(known)} days, {known[0]} to {known[-1]}"
    return f"Weights as of {days}, drifting with prices between."


def _closes_notes(report: HoldingsReport) -> list[str]:
    failed = [f"Problem: {reason(problem)}." for problem in report.problems[:PROBLEMS_SHOWN]]
    return [f"Session closes from {', '.join(map(escape, report.sources))}.", data_quality_line(report.trust), *failed]


def _cohort_notes(report: HoldingsReport, shown: list[HoldingContribution]) -> list[str]:
    """Return when the cohorts of the shown holdings were assessed; their sources are in the cohort file."""
    days = [report.cohorts[holding.ticker].as_of for holding in shown if holding.ticker in report.cohorts]
    if not days:
        return []
    return [f"Cohorts as judged from {min(days)} to {max(days)}, each with its source in the file of cohorts."]
