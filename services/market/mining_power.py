"""Power draw and yearly energy of the bitcoin network, estimated from its hash rate and the machines that mine.

Source: Cambridge Bitcoin Electricity Consumption Index, methodology: a lower bound, an upper bound and a best estimate.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.market.align import Aligned
from services.market.mining_economics import historical_hashprices
from services.market.network_history import NetworkHistory, PercentileRank, percentile_rank

EXA, MW_PER_GW = 1e18, 1_000
HOURS_PER_DAY = 24
TWH_PER_GW_YEAR = 8.76  # 8,760 hours
Number = TypeVar("Number", float, NDArray[np.float64])
HASHRATE_DAYS, HASHPRICE_DAYS = np.timedelta64(7, "D"), np.timedelta64(14, "D")  # averaged over, as Cambridge does


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A mining machine: its efficiency in J/TH at the wall, and who published it; `as_of` is when that was checked."""

    name: str
    released: date
    efficiency: float
    as_of: date
    source: str


class Pue(NamedTuple):
    """Power of a whole facility over the power of its machines, for each bound."""

    lower: float
    best: float
    upper: float


CAMBRIDGE_PUE = Pue(1.01, 1.10, 1.20)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerModel:
    """Assumptions of the estimate: the machines, and the price of electricity in US dollars per kWh."""

    machines: tuple[Machine, ...] = ()
    electricity: float = 0.05
    pue: Pue = CAMBRIDGE_PUE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerRows:
    """Inputs of the estimate by day; NaN if unknown.

    Attributes:
        days: datetime64[D], ascending.
        hashrates: in hashes per second.
        hashprices: in US dollars per PH/s per day, without fees.
    """

    days: NDArray[np.datetime64]
    hashrates: NDArray[np.float64]
    hashprices: NDArray[np.float64]

    def until_known(self) -> "PowerRows":
        """Return the rows up to the last that has a hash rate."""
        known = np.flatnonzero(np.isfinite(self.hashrates))
        return self._head(int(known[-1]) + 1 if len(known) else 0)

    def with_now(self, day: date, hashrate: float | None, hashprice: float | None) -> "PowerRows":
        """Return the rows before `day`, and a last one with the values now."""
        past = self._head(int(np.searchsorted(self.days, np.datetime64(day, "D"))))
        return PowerRows(
            days=np.append(past.days, np.datetime64(day, "D")),
            hashrates=np.append(past.hashrates, np.nan if hashrate is None else hashrate),
            hashprices=np.append(past.hashprices, np.nan if hashprice is None else hashprice),
        )

    def _head(self, count: int) -> "PowerRows":
        return replace(
            self, days=self.days[:count], hashrates=self.hashrates[:count], hashprices=self.hashprices[:count]
        )


NO_ROWS = PowerRows(days=np.empty(0, "datetime64[D]"), hashrates=np.empty(0), hashprices=np.empty(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerBound:
    """One figure of the estimate.

    Attributes:
        efficiency: in J/TH.
        machine: the machine with this efficiency; empty for a mix.
        power_mw: of the whole network, in megawatts, including what facilities add.
        rank: among the sessions before; None if there are none.
    """

    efficiency: float
    pue: float
    power_mw: float
    machine: str = ""
    rank: PercentileRank | None = None

    @property
    def power_gw(self) -> float:
        """The power in gigawatts."""
        return self.power_mw / MW_PER_GW

    @property
    def energy_twh(self) -> float:
        """The energy of a year at this power, in terawatt hours."""
        return self.power_gw * TWH_PER_GW_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerEstimate:
    """Power draw of the bitcoin network on a day.

    Attributes:
        hashrate: in hashes per second.
        electricity: in US dollars per kWh.
        hashprice: mean of the 14 days up to `day`, in US dollars per PH/s per day, without fees; None if unknown.
        lower: the most efficient machine on the market.
        best, upper: an equal mix of the machines that earn more than their electricity, and the least efficient of
            them; None if there is none, or if the hashprice is unknown.
        machines: how many machines of the table were on the market.
        profitable: how many of them earn more than their electricity.
        table_as_of: the newest date in the table of machines.
    """

    day: date
    hashrate: float
    electricity: float
    hashprice: float | None
    lower: PowerBound
    best: PowerBound | None
    upper: PowerBound | None
    machines: int
    profitable: int
    table_as_of: date

    @property
    def break_even(self) -> float | None:
        """The efficiency at which a machine earns exactly its electricity, in J/TH; None without a hashprice."""
        return None if self.hashprice is None else break_even(self.hashprice, self.electricity)

    @property
    def break_even_electricity(self) -> float | None:
        """The price of electricity, in US dollars per kWh, at which the most efficient machine breaks even."""
        return None if self.hashprice is None else self.hashprice / (HOURS_PER_DAY * self.lower.efficiency)

    @property
    def bounds(self) -> tuple[PowerBound, ...]:
        """The known figures: lower bound, best estimate, upper bound."""
        return tuple(bound for bound in (self.lower, self.best, self.upper) if bound)


def break_even(hashprice: Number, electricity: float) -> Number:
    """Return the efficiency, in J/TH, at which a machine earns exactly its electricity.

    `hashprice` is in US dollars per PH/s per day, `electricity` in US dollars per kWh. One PH/s at 1 J/TH draws 1 kW.
    """
    return hashprice / (HOURS_PER_DAY * electricity)


def power_mw(hashrate: Number, efficiency: Number, pue: float) -> Number:
    """Return the power in megawatts; `hashrate` is in hashes per second, `efficiency` in J/TH.

    1 EH/s at 1 J/TH draws 1 MW.
    """
    return hashrate / EXA * efficiency * pue


def power_rows(aligned: Aligned, history: NetworkHistory) -> PowerRows:
    """Return the network's hash rate, the mean of the 7 days up to each session, and the hashprice at its close."""
    hashrates = _trailing_mean(history.days, history.hashrates, HASHRATE_DAYS)
    rows = np.searchsorted(history.days, aligned.sessions)
    known = np.append(history.days, np.datetime64("NaT", "D"))[rows] == aligned.sessions
    return PowerRows(
        days=aligned.sessions,
        hashrates=np.where(known, np.append(hashrates, np.nan)[rows], np.nan),
        hashprices=historical_hashprices(history, aligned.at, aligned.crypto),
    )


def estimate_power(model: PowerModel, rows: PowerRows) -> PowerEstimate | None:
    """Estimate the power draw on the last row's day, with the rank of each figure among the rows before.

    Each row knows only the machines released by its day and the hashprices of its last 14 days. Returns None if there
    are no rows, or if the last one has no hash rate or no machine on the market.
    """
    if not len(rows.days) or not np.isfinite(rows.hashrates[-1]):
        return None
    day = rows.days[-1].item()
    on_market = sorted((one for one in model.machines if one.released <= day), key=lambda one: one.efficiency)
    if not on_market:
        return None
    fleet = _fleet(model, rows)
    hashprice = float(fleet.hashprices[-1])
    profitable = [one for one in on_market if one.efficiency < break_even(hashprice, model.electricity)]
    return PowerEstimate(
        day=day,
        hashrate=float(rows.hashrates[-1]),
        electricity=model.electricity,
        hashprice=hashprice if np.isfinite(hashprice) else None,
        lower=_bound(rows, fleet.lower, model.pue.lower, on_market[0].name),
        best=_bound(rows, fleet.best, model.pue.best) if profitable else None,
        upper=_bound(rows, fleet.upper, model.pue.upper, profitable[-1].name) if profitable else None,
        machines=len(on_market),
        profitable=len(profitable),
        table_as_of=max(one.as_of for one in model.machines),
    )


class _Fleet(NamedTuple):
    """By row: the smoothed hashprice, and the efficiency of each figure in J/TH; NaN if no machine qualifies."""

    hashprices: NDArray[np.float64]
    lower: NDArray[np.float64]
    best: NDArray[np.float64]
    upper: NDArray[np.float64]


def _fleet(model: PowerModel, rows: PowerRows) -> _Fleet:
    efficiencies = np.array([machine.efficiency for machine in model.machines])
    released = np.array([machine.released for machine in model.machines], "datetime64[D]")
    hashprices = _trailing_mean(rows.days, rows.hashprices, HASHPRICE_DAYS)
    on_market = released <= rows.days[:, np.newaxis]
    profitable = on_market & (efficiencies < break_even(hashprices, model.electricity)[:, np.newaxis])
    counts = profitable.sum(axis=1)
    return _Fleet(
        hashprices=hashprices,
        lower=_nan_unless(on_market.sum(axis=1) > 0, np.where(on_market, efficiencies, np.inf).min(axis=1)),
        best=_nan_unless(counts > 0, np.where(profitable, efficiencies, 0.0).sum(axis=1) / np.maximum(counts, 1)),
        upper=_nan_unless(counts > 0, np.where(profitable, efficiencies, 0.0).max(axis=1)),
    )


def _trailing_mean(
    days: NDArray[np.datetime64], values: NDArray[np.float64], span: np.timedelta64
) -> NDArray[np.float64]:
    """Return the mean of the known values in the `span` up to each day; NaN if there are none."""
    known = np.isfinite(values)
    totals = np.append(0.0, np.cumsum(np.where(known, values, 0.0)))
    counts = np.append(0, np.cumsum(known))
    starts = np.searchsorted(days, days - span, side="right")
    count: NDArray[np.int64] = counts[1:] - counts[starts]
    return _nan_unless(count > 0, (totals[1:] - totals[starts]) / np.maximum(count, 1))


def _nan_unless(known: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(known, values, np.nan)


def _bound(rows: PowerRows, efficiencies: NDArray[np.float64], pue: float, machine: str = "") -> PowerBound:
    powers = power_mw(rows.hashrates, efficiencies, pue)
    return PowerBound(
        efficiency=float(efficiencies[-1]),
        pue=pue,
        power_mw=float(powers[-1]),
        machine=machine,
        rank=percentile_rank(float(powers[-1]), rows.days[:-1], powers[:-1]),
    )
