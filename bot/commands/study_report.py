"""Drawdowns, holdings and the network as JSON: fractions, US dollars and UTC, with sources, ages and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.core.prices import Quote
from services.market.holdings import Cohort, Membership
from services.market.network import Network
from services.research.holdings_effects import Contributor, Effect
from services.research.holdings_report import HoldingsReport
from services.research.results import DrawdownResult, NetworkView, Provenance


def drawdown_document(told: DrawdownResult) -> dict[str, Any]:
    """Write how far both legs are below their highs: depths as fractions, ranks from 0 to 100, lengths in sessions."""
    legs = [asdict(leg) for leg in told.legs]
    return {"session": told.session, "legs": [{**leg, **leg.pop("now")} for leg in legs], **_basis(told.basis)}


def network_document(told: NetworkView, now: datetime) -> dict[str, Any]:
    """Write the network with each figure's standing in its past; what is not known is null."""
    seen = told.judged.network
    return {
        "source": seen.source,
        "at": seen.at,
        "age_s": seen.age(now).total_seconds(),
        "difficulty": seen.difficulty,
        "hashrate_per_s": seen.hashrate,
        "implied_hashrate_per_s": seen.implied_hashrate,
        "fee_rate_sat_vb": seen.fee_rate,
        **_coming(seen, now),
        "hashprice_usd_ph_day": told.hashprice,
        "hashprice_without_fees_usd_ph_day": told.without_fees,
        "btc": _price(told.price, now),
        "standings": {
            "difficulty": told.difficulty and asdict(told.difficulty),
            "hashrate_per_s": told.hashrate and asdict(told.hashrate),
            "hashprice_without_fees_usd_ph_day": told.hashprice_standing and asdict(told.hashprice_standing),
        },
        **_basis(told.basis),
    }


def miners_document(told: HoldingsReport) -> dict[str, Any]:
    """Write what each holding and each cohort added; with the rest, the contributions add up to the return."""
    found = told.contributions
    return {
        "fund": told.fund,
        "window": found.window.value,
        "from": found.anchor,
        "session": found.session,
        "etf_return": found.etf_return,
        "holdings": [_holding(one, told.cohorts) for one in found.contributors],
        "rest": found.rest,
        "covered_weight": found.covered,
        "weights_as_of": list(found.known),
        "weights_carried_back": found.carried_back,
        "cohorts": [_cohort(one) for one in told.effects],
        "warnings": list(told.warnings),
        "sources": list(told.sources),
        "verdict": told.trust.verdict.value,
        "reasons": list(told.trust.reasons),
        "problems": list(told.problems),
        "simulated": told.simulated,
    }


def _coming(seen: Network, now: datetime) -> dict[str, Any]:
    retarget, reward = seen.retarget, seen.reward
    return {
        "next_retarget": retarget and {**asdict(retarget), "in_s": (retarget.at - now).total_seconds()},
        "reward": reward and {"blocks": reward.blocks, "total_btc": reward.total, "fees_btc": reward.fees},
    }


def _price(quote: Quote | None, now: datetime) -> dict[str, Any] | None:
    if quote is None:
        return None
    return {"price": quote.price, "source": quote.source, "at": quote.at, "age_s": (now - quote.at).total_seconds()}


def _holding(one: Contributor, cohorts: Mapping[str, Membership]) -> dict[str, Any]:
    member = cohorts.get(one.ticker)
    return {
        "ticker": one.ticker,
        "weight": one.weight,
        "return": one.moved,
        "contribution": one.added,
        "cohort": (member.cohort if member else Cohort.OTHER).value,
        "cohort_as_of": member and member.as_of,
        "cohort_source": member and member.source,
    }


def _cohort(one: Effect) -> dict[str, Any]:
    return {
        "cohort": one.cohort.value,
        "names": one.names,
        "weight": one.weight,
        "equal_weight": one.equal_weight,
        "return": one.moved,
        "equal_return": one.equal_moved,
        "allocation": one.allocation,
        "selection": one.selection,
    }


def _basis(told: Provenance) -> dict[str, Any]:
    return {
        "verdict": told.trust.verdict.value,
        "reasons": list(told.trust.reasons),
        "problems": list(told.problems),
        "simulated": told.simulated,
    }
