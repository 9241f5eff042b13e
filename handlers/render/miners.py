"""The fund from the inside: what each holding added, what cohorts did, and what nothing explains."""

from __future__ import annotations

from handlers.render import fmt
from handlers.render.limits import PROBLEMS_SHOWN
from handlers.render.market import data
from handlers.render.markup import escape, reason, simulated
from handlers.render.message import Message, compose, header, note, section, table
from services.market.holdings import Cohort
from services.research.holdings_effects import Contributor, Effect
from services.research.holdings_report import HoldingsReport

SHOWN = 12  # of the holdings: those that added or took most
METHOD = (
    "Contribution: weight when a day began times the day's return, linked by Cariño's factors, so that all of them and "
    "the rest add up to the fund's return. Allocation and selection (Brinson) hold the fund's weights against equal "
    "ones of the same names; selection has the interaction in it."
)


def miners_message(told: HoldingsReport) -> Message:
    """Render a fund's holdings over a window."""
    found = told.contributions
    span = f"From the close of {fmt.full_day(found.anchor)} to that of {fmt.full_day(found.session)}."
    moved = f"{fmt.title(told.fund)} {fmt.percent(found.etf_return)} {fmt.over(found.window, found.session)}"
    title = simulated(f"{moved}, by holding", when=told.simulated)
    shown = sorted(found.contributors, key=lambda one: -abs(one.added))[:SHOWN]
    others = _others(told, shown)
    lines = [span, _rest(told), *(f"Careful: {reason(one)}." for one in told.warnings)]
    cohorts = _cohorts(told)
    small = [METHOD, _weights(told), *_sources(told, shown), *_closes(told)]
    rows = [_row(one, told) for one in sorted(shown, key=lambda one: -one.added)]
    head = ["Holding", "Weight", "Return", "Added", "Cohort"]
    return compose(
        [
            header(title),
            section(*lines),
            table([head, *rows, *others, *_totals(told)]),
            section(*cohorts),
            note(*small),
        ],
        [title, *lines, *(_line(row) for row in [*rows, *others]), *cohorts, *small],
    )


def _rest(told: HoldingsReport) -> str:
    found = told.contributions
    what = "trades between the days whose weights are known, cash, fees, and shares without prices"
    return f"*{fmt.pp(found.rest)}* are explained by no holding: {what}. {100 * found.covered:.0f}% is covered."


def _totals(told: HoldingsReport) -> list[list[str]]:
    """Put what no holding explains and the whole beneath the holdings."""
    found, nothing = told.contributions, fmt.NOTHING
    whole = [fmt.title(told.fund), nothing, fmt.percent(found.etf_return), fmt.pp(found.etf_return), nothing]
    return [["The rest", nothing, nothing, fmt.pp(found.rest), nothing], whole]


def _row(one: Contributor, told: HoldingsReport) -> list[str]:
    member = told.cohorts.get(one.ticker)
    return [
        escape(one.ticker),
        f"{fmt.decimal(100 * one.weight)}%",
        fmt.NOTHING if one.moved is None else fmt.percent(one.moved),
        fmt.pp(one.added),
        (member.cohort if member else Cohort.OTHER).value,
    ]


def _others(told: HoldingsReport, shown: list[Contributor]) -> list[list[str]]:
    """Sum up the holdings that are not shown."""
    left = [one for one in told.contributions.contributors if one not in shown]
    if not left:
        return []
    weight, added = sum(one.weight for one in left), sum(one.added for one in left)
    return [[f"{len(left)} more", f"{fmt.decimal(100 * weight)}%", fmt.NOTHING, fmt.pp(added), fmt.NOTHING]]


def _line(row: list[str]) -> str:
    name, weight, moved, added, cohort = row
    return f"{name}: added {added}, weight {weight}, return {moved}, {cohort}"


def _cohorts(told: HoldingsReport) -> list[str]:
    if not told.effects:
        return ["No cohort can be measured: no share has a price at both ends."]
    return ["*Cohorts*, of the shares with prices:", *(_cohort(one) for one in told.effects), _sum(told.effects)]


def _cohort(one: Effect) -> str:
    names = f"{one.names} name{'' if one.names == 1 else 's'}"
    weights = f"{100 * one.weight:.0f}% of their weight ({100 * one.equal_weight:.0f}% in equal weights)"
    did = f"{fmt.percent(one.moved)} ({fmt.percent(one.equal_moved)} in equal weights)"
    parts = f"allocation {fmt.pp(one.allocation)}, selection {fmt.pp(one.selection)}"
    name = f"{one.cohort.value[:1].upper()}{one.cohort.value[1:]}"
    return f"{name}, {names}: {weights}, {did}; {parts}."


def _sum(effects: tuple[Effect, ...]) -> str:
    allocation, selection = sum(one.allocation for one in effects), sum(one.selection for one in effects)
    beyond = fmt.pp(allocation + selection)
    return f"Beyond equal weights {beyond}: allocation {fmt.pp(allocation)}, selection {fmt.pp(selection)}."


def _weights(told: HoldingsReport) -> str:
    known = told.contributions.known
    days = f"{known[0]}" if len(known) == 1 else f"{len(known)} days, {known[0]} to {known[-1]}"
    return f"Weights as of {days}, drifting with prices between."


def _closes(told: HoldingsReport) -> list[str]:
    """Say where the closes are from, and what speaks against the last ones."""
    failed = [f"Problem: {reason(problem)}." for problem in told.problems[:PROBLEMS_SHOWN]]
    return [f"Session closes from {', '.join(map(escape, told.sources))}.", data(told.trust), *failed]


def _sources(told: HoldingsReport, shown: list[Contributor]) -> list[str]:
    """Say when the cohorts of the names shown were judged; their sources stand in the file."""
    days = [told.cohorts[one.ticker].as_of for one in shown if one.ticker in told.cohorts]
    if not days:
        return []
    return [f"Cohorts as judged from {min(days)} to {max(days)}, each with its source in the file of cohorts."]
