"""The documents of `minerpulse drawdown`, `network` and `miners` with `--json`."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import (
    About,
    Count,
    Document,
    Fraction,
    Percentile,
    Quality,
    Seconds,
    Share,
    Usd,
    close_of,
    if_known,
    quality,
    record,
    schema_id,
)
from handlers.render.reasons import sentences
from services.core.prices import Quote
from services.market.basis import Basis
from services.market.holdings import Cohort, Membership
from services.market.measure import Drawdown, Window
from services.market.mining_power import PowerBound, PowerEstimate
from services.market.network import Retarget, Reward
from services.market.network_history import PercentileRank
from services.research.holdings_effects import CohortEffect, HoldingContribution
from services.research.holdings_report import HoldingsReport
from services.research.report import DrawdownSummary
from services.research.service import DrawdownResult, NetworkResult, Provenance

UsdPerHashrate = Annotated[float, About("US dollars per PH/s per day")]
HashesPerSecond = Annotated[float, About("hashes per second")]
UsdPerKwh = Annotated[float, About("US dollars per kWh")]
JoulesPerTerahash = Annotated[float, About("J/TH")]


class DrawdownFields(TypedDict):
    """The drawdown of one leg: of an ETF or stock at session closes, of a coin at daily UTC closes if there are any."""

    symbol: str
    depth: Annotated[Fraction, About("fraction below the high, from 0 to 1")]
    high: Annotated[Usd, About("US dollars; for an ETF or stock, adjusted for later dividends")]
    high_on: date
    since: Annotated[date, About("first session of the record that the high comes from")]
    now: Annotated[Drawdown, About("`depth`, `high`, `high_on` and `since` again")]
    deepest: Annotated[Fraction, About("deepest drawdown so far, as a fraction from 0 to 1")]
    deepest_on: date
    first: Annotated[date, About("first session, or UTC day, with a price")]
    sessions: Annotated[Count, About("sessions, or UTC days, since the high")]
    rank: Annotated[Percentile, About("percentile from 0 to 100 of the depth among those since `first`")]
    history: Annotated[Basis, About("what the drawdown counts")]


class DrawdownDocument(Document, Quality):
    """The drawdowns of both legs; `as_of` is the close of `session`."""

    session: date
    legs: list[DrawdownFields]


def drawdown_document(result: DrawdownResult) -> DrawdownDocument:
    """Return the document of both drawdowns."""
    return {
        "schema": schema_id("drawdown"),
        "as_of": close_of(result.session),
        "session": result.session,
        "legs": [drawdown_fields(leg) for leg in result.legs],
        **quality(result.provenance),
    }


def drawdown_fields(leg: DrawdownSummary) -> DrawdownFields:
    """Return the fields of one leg's drawdown."""
    current = leg.current
    return {
        "symbol": leg.symbol,
        "depth": current.depth,
        "high": current.high,
        "high_on": current.high_on,
        "since": current.since,
        "now": record(current),
        "deepest": leg.max_depth,
        "deepest_on": leg.max_depth_on,
        "first": leg.first_session,
        "sessions": leg.sessions_since_high,
        "rank": leg.percentile,
        "history": record(leg.basis),
    }


class NextRetarget(TypedDict):
    """The estimated next change of the difficulty."""

    change: Fraction
    height: Annotated[int, About("block number")]
    at: datetime
    in_s: Seconds


class RewardFields(TypedDict):
    """The average reward of the last blocks."""

    blocks: Count
    total_btc: float
    fees_btc: float


class BitcoinPrice(TypedDict):
    """The last price of bitcoin."""

    price: Usd
    source: str
    at: datetime
    age_s: Seconds


class PowerBoundFields(TypedDict):
    """One estimate of the power draw."""

    power_mw: Annotated[float, About("megawatts")]
    energy_twh_year: Annotated[float, About("terawatt-hours in a year at this power")]
    efficiency_j_th: JoulesPerTerahash
    pue: Annotated[float, About("power of the facility divided by that of its machines")]
    machine: Annotated[str | None, About("machine model with this efficiency; null for a mix")]
    standing: Annotated[PercentileRank | None, About("rank of the power among its own past values")]


class PowerFields(TypedDict):
    """The estimated power draw of the bitcoin network on `day`."""

    day: date
    hashrate_per_s: HashesPerSecond
    lower: PowerBoundFields
    best: Annotated[PowerBoundFields | None, About("null if no machine covers its electricity cost")]
    upper: Annotated[PowerBoundFields | None, About("null if no machine covers its electricity cost")]
    electricity_usd_kwh: UsdPerKwh
    hashprice_14d_mean_usd_ph_day: UsdPerHashrate | None
    break_even_j_th: JoulesPerTerahash | None
    break_even_electricity_usd_kwh: UsdPerKwh | None
    machines: Annotated[Count, About("machine models on the market")]
    profitable_machines: Count
    machines_as_of: date


class Standings(TypedDict):
    """The rank of each figure in its own history; null without one."""

    difficulty: PercentileRank | None
    hashrate_per_s: PercentileRank | None
    hashprice_without_fees_usd_ph_day: PercentileRank | None


class NetworkDocument(Document, Quality):
    """The bitcoin network now; null for what its source doesn't report."""

    at: Annotated[datetime, About("the same as `as_of`")]
    age_s: Seconds
    source: str
    difficulty: float | None
    hashrate_per_s: HashesPerSecond | None
    implied_hashrate_per_s: Annotated[HashesPerSecond | None, About("at one block per ten minutes")]
    fee_rate_sat_vb: Annotated[float | None, About("for the next block, satoshis per virtual byte")]
    next_retarget: NextRetarget | None
    reward: RewardFields | None
    hashprice_usd_ph_day: UsdPerHashrate | None
    hashprice_without_fees_usd_ph_day: UsdPerHashrate | None
    power: PowerFields | None
    btc: BitcoinPrice | None
    standings: Standings


def network_document(result: NetworkResult, now: datetime) -> NetworkDocument:
    """Return the document of the network at `now`."""
    network = result.checked.network
    return {
        "schema": schema_id("network"),
        "as_of": network.at,
        "source": network.source,
        "at": network.at,
        "age_s": network.age(now).total_seconds(),
        "difficulty": network.difficulty,
        "hashrate_per_s": network.hashrate,
        "implied_hashrate_per_s": network.implied_hashrate,
        "fee_rate_sat_vb": network.fee_rate,
        "next_retarget": if_known(network.retarget, partial(_next_retarget, now=now)),
        "reward": if_known(network.reward, _reward),
        "hashprice_usd_ph_day": result.hashprice,
        "hashprice_without_fees_usd_ph_day": result.hashprice_without_fees,
        "power": if_known(result.power, power_fields),
        "btc": if_known(result.price, partial(_bitcoin_price, now=now)),
        "standings": {
            "difficulty": if_known(result.difficulty_rank, record),
            "hashrate_per_s": if_known(result.hashrate_rank, record),
            "hashprice_without_fees_usd_ph_day": if_known(result.hashprice_rank, record),
        },
        **quality(result.provenance),
    }


def _next_retarget(retarget: Retarget, now: datetime) -> NextRetarget:
    return {
        "change": retarget.change,
        "height": retarget.height,
        "at": retarget.at,
        "in_s": (retarget.at - now).total_seconds(),
    }


def _reward(reward: Reward) -> RewardFields:
    return {"blocks": reward.blocks, "total_btc": reward.total, "fees_btc": reward.fees}


def _bitcoin_price(quote: Quote, now: datetime) -> BitcoinPrice:
    return {"price": quote.price, "source": quote.source, "at": quote.at, "age_s": quote.age(now).total_seconds()}


def power_fields(estimate: PowerEstimate) -> PowerFields:
    """Return the fields of a power estimate."""
    return {
        "day": estimate.day,
        "hashrate_per_s": estimate.hashrate,
        "lower": _power_bound(estimate.lower),
        "best": if_known(estimate.best, _power_bound),
        "upper": if_known(estimate.upper, _power_bound),
        "electricity_usd_kwh": estimate.electricity,
        "hashprice_14d_mean_usd_ph_day": estimate.hashprice,
        "break_even_j_th": estimate.break_even,
        "break_even_electricity_usd_kwh": estimate.break_even_electricity,
        "machines": estimate.machines,
        "profitable_machines": estimate.profitable,
        "machines_as_of": estimate.table_as_of,
    }


def _power_bound(bound: PowerBound) -> PowerBoundFields:
    return {
        "power_mw": bound.power_mw,
        "energy_twh_year": bound.energy_twh,
        "efficiency_j_th": bound.efficiency,
        "pue": bound.pue,
        "machine": bound.machine or None,
        "standing": if_known(bound.rank, record),
    }


_HoldingReturn = TypedDict(
    "_HoldingReturn", {"return": Annotated[Fraction | None, About("fraction; null without a price")]}
)
_CohortReturn = TypedDict(
    "_CohortReturn", {"return": Annotated[Fraction, About("fraction: the return of the fund's holdings in the cohort")]}
)
_WindowStart = TypedDict("_WindowStart", {"from": Annotated[date, About("session whose close the returns start from")]})


class HoldingReturnFields(_HoldingReturn):
    """The contribution of one stock to the fund's return."""

    ticker: str
    weight: Annotated[Share, About("weight at the start of the window, from 0 to 1")]
    contribution: Fraction
    cohort: Cohort
    cohort_as_of: date | None
    cohort_source: str | None


class CohortFields(_CohortReturn):
    """The Brinson effects of one cohort against an equal-weighted portfolio of the same names."""

    cohort: Cohort
    names: Count
    weight: Share
    equal_weight: Share
    equal_return: Fraction
    allocation: Fraction
    selection: Fraction


class MinersDocument(Document, Quality, _WindowStart):
    """The fund's return by holding and by cohort; `as_of` is the close of `session`.

    The contributions and `rest` add up to `etf_return`.
    """

    fund: str
    window: Window
    session: date
    etf_return: Fraction
    holdings: list[HoldingReturnFields]
    rest: Annotated[Fraction, About("fraction: the residual, which the weights don't explain")]
    covered_weight: Annotated[Share, About("weight from 0 to 1 of the stocks with a price")]
    weights_as_of: list[date]
    weights_carried_back: Annotated[
        bool, About("whether the first known weights are later than the start of the window")
    ]
    cohorts: list[CohortFields]
    warnings: Annotated[list[str], About("sentences: what is missing from the weights")]
    sources: list[str]


def miners_document(result: HoldingsReport) -> MinersDocument:
    """Return the document of a holdings report."""
    attribution = result.attribution
    return {
        "schema": schema_id("miners"),
        "as_of": close_of(attribution.session),
        "fund": result.fund,
        "window": attribution.window,
        "from": attribution.anchor,
        "session": attribution.session,
        "etf_return": attribution.etf_return,
        "holdings": [_holding_fields(holding, result.cohorts) for holding in attribution.holdings],
        "rest": attribution.residual,
        "covered_weight": attribution.covered_weight,
        "weights_as_of": list(attribution.weight_dates),
        "weights_carried_back": attribution.backfilled,
        "cohorts": [_cohort_fields(effect) for effect in result.cohort_effects],
        "warnings": sentences(result.warnings),
        "sources": list(result.sources),
        **quality(Provenance(trust=result.trust, problems=result.problems, simulated=result.simulated)),
    }


def _holding_fields(holding: HoldingContribution, cohorts: Mapping[str, Membership]) -> HoldingReturnFields:
    membership = cohorts.get(holding.ticker)
    return {
        "ticker": holding.ticker,
        "weight": holding.weight,
        "return": holding.own_return,
        "contribution": holding.contribution,
        "cohort": membership.cohort if membership else Cohort.OTHER,
        "cohort_as_of": membership.as_of if membership else None,
        "cohort_source": membership.source if membership else None,
    }


def _cohort_fields(effect: CohortEffect) -> CohortFields:
    return {
        "cohort": effect.cohort,
        "names": effect.name_count,
        "weight": effect.weight,
        "equal_weight": effect.equal_weight,
        "return": effect.fund_return,
        "equal_return": effect.equal_weight_return,
        "allocation": effect.allocation,
        "selection": effect.selection,
    }
