"""Power draw and yearly energy of the bitcoin network: a range, its rank in its own past, and its assumptions."""

from handlers.render import fmt
from handlers.render.markup import escape
from services.market.mining_power import PowerBound, PowerEstimate
from services.market.network_history import PercentileRank

UNKNOWN = "*Power draw* unknown: it needs the hash rate and at least one machine on the market"
METHOD = (
    "Power draw: hash rate × efficiency × facility factor (PUE), by the method of the Cambridge Bitcoin Electricity "
    "Consumption Index. An estimate, not a measurement."
)


def power_lines(estimate: PowerEstimate | None) -> list[str]:
    """Return the range of power and energy, its rank, and the break-even, one line each."""
    if estimate is None:
        return [UNKNOWN]
    return [*_range_lines(estimate), *_rank_lines(estimate), _break_even_line(estimate)]


def power_notes(estimate: PowerEstimate | None) -> list[str]:
    """Return the method and the assumptions."""
    return [] if estimate is None else [METHOD, *power_assumptions(estimate)]


def power_assumptions(estimate: PowerEstimate | None) -> list[str]:
    """Return which machines the bounds and the best estimate assume, and the basis of the break-even."""
    if estimate is None:
        return []
    lower, best, upper, count = estimate.lower, estimate.best, estimate.upper, estimate.machines
    bounds = [
        f"Lower bound: {escape(lower.machine)}, {_assumption(lower)}, the most efficient of {count} on the market."
    ]
    if best and upper:
        mix = f"an equal mix of the {estimate.profitable} that earn more than their electricity costs"
        bounds.append(f"Best estimate: {mix}, {_assumption(best)}.")
        least = f"the least efficient of those {estimate.profitable}"
        bounds.append(f"Upper bound: {escape(upper.machine)}, {_assumption(upper)}, {least}.")
    if estimate.hashprice is not None and estimate.break_even is not None:
        hashprice = f"14-day mean hashprice {fmt.price(estimate.hashprice)}/PH/s/day excluding fees"
        bounds.append(f"Break-even: {hashprice} ÷ (24 h × electricity at {fmt.electricity(estimate.electricity)}).")
    return [f"{' '.join(bounds)} Machine list as of {fmt.full_day(estimate.table_as_of)}."]


def power_rows(estimate: PowerEstimate) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table with one figure per row."""
    names = ("Lower bound", "Best estimate", "Upper bound")
    bounds = (estimate.lower, estimate.best, estimate.upper)
    header = ["Figure", "Power", "Energy a year", "Efficiency", "PUE", "Percentile"]
    return header, [_row(name, bound) for name, bound in zip(names, bounds, strict=True)]


def _row(name: str, bound: PowerBound | None) -> list[str]:
    if bound is None:
        return [name, *[fmt.NO_VALUE] * 5]
    rank = _standing(bound.rank) if bound.rank else fmt.NO_VALUE
    return [
        name,
        fmt.gigawatts(bound.power_gw),
        fmt.terawatt_hours(bound.energy_twh),
        fmt.efficiency(bound.efficiency),
        fmt.ratio(bound.pue),
        rank,
    ]


def _range_lines(estimate: PowerEstimate) -> list[str]:
    lower, best, upper = estimate.lower, estimate.best, estimate.upper
    if best is None or upper is None:
        power, energy = fmt.gigawatts(lower.power_gw), fmt.terawatt_hours(lower.energy_twh)
        return [f"*Power draw* at least {power} ({energy} a year); best estimate and upper bound unknown"]
    power = f"{fmt.gigawatts(lower.power_gw)} to {fmt.gigawatts(upper.power_gw)}"
    energy = f"{fmt.terawatt_hours(lower.energy_twh)} to {fmt.terawatt_hours(upper.energy_twh)}"
    return [
        f"*Power draw* {fmt.gigawatts(best.power_gw)}, range {power}",
        f"*Energy* {fmt.terawatt_hours(best.energy_twh)} a year at this power draw, range {energy}",
    ]


def _rank_lines(estimate: PowerEstimate) -> list[str]:
    """Return one line with the rank of each figure, and once what all of them are ranked among."""
    named = (("lower bound", estimate.lower), ("best estimate", estimate.best), ("upper bound", estimate.upper))
    ranks = [(name, bound.rank) for name, bound in named if bound and bound.rank]
    if not ranks:
        return ["*Percentiles* unknown"]
    spans = [_span(rank) for _name, rank in ranks]
    if len(set(spans)) == 1:
        words = ", ".join(f"{name} {_standing(rank)}" for name, rank in ranks)
        return [f"*Percentiles* {words} ({spans[0]})"]
    words = "; ".join(f"{name} {_standing(rank)} ({span})" for (name, rank), span in zip(ranks, spans, strict=True))
    return [f"*Percentiles* {words}"]


def _standing(rank: PercentileRank) -> str:
    if rank.is_highest:
        return "at its high"
    return "at its low" if rank.is_lowest else fmt.percentile_cell(rank.rank)


def _span(rank: PercentileRank) -> str:
    return f"n = {rank.count:,} sessions since {fmt.full_day(rank.since)}"


def _break_even_line(estimate: PowerEstimate) -> str:
    if estimate.hashprice is None or estimate.break_even is None or estimate.break_even_electricity is None:
        return "*Break-even* unknown: it needs the hashprice"
    line = f"*Break-even* {fmt.efficiency(estimate.break_even)}"
    if estimate.profitable:
        models = f"{estimate.profitable} of {estimate.machines} machine models"
        return f"{line}; {models} earn more than their electricity costs"
    return (
        f"{line}; no machine earns more than its electricity costs. "
        f"The most efficient, {escape(estimate.lower.machine)}, "
        f"breaks even at {fmt.electricity(estimate.break_even_electricity)}"
    )


def _assumption(bound: PowerBound) -> str:
    return f"{fmt.efficiency(bound.efficiency)}, PUE {fmt.ratio(bound.pue)}"
