"""`minerpulse drawdown`, `miners` and `network`: answers from history, as messages or as JSON."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from bot.app import App
from bot.commands.live import query_live
from bot.commands.options import json_option, print_document, window_argument
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.drawdown import drawdown_message
from handlers.render.miners import miners_message
from handlers.render.network import network_message
from handlers.render.reasons import sentences
from services.core.prices import Quote
from services.market.holdings import Cohort, Membership
from services.market.measure import Window
from services.market.network import Network
from services.research.holdings_effects import CohortEffect, HoldingContribution
from services.research.holdings_report import HoldingsReport
from services.research.report import DrawdownSummary
from services.research.service import DrawdownResult, NetworkResult, Provenance


@click.command()
@json_option
def drawdown_command(*, as_json: bool) -> None:
    """Tell how far bitcoin and the ETF are below their highs, for how long, and how rare that is."""
    result = asyncio.run(query_live(load_settings(), lambda app: app.research.drawdowns(app.clock.now())))
    if as_json:
        print_document(drawdown_document(result))
    else:
        print_message(drawdown_message(result))


@click.command()
@window_argument
@json_option
def miners_command(*, window: str, as_json: bool) -> None:
    """Part the fund's return between its holdings and cohorts, by the weights that were imported.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd, which is the default; it ends with the last close.
    """
    result = asyncio.run(
        query_live(load_settings(), lambda app: app.research.holdings.report(Window(window), app.clock.now()))
    )
    if as_json:
        print_document(miners_document(result))
    else:
        print_message(miners_message(result))


@click.command()
@json_option
def network_command(*, as_json: bool) -> None:
    """Tell difficulty, hash rate, the next retarget, fees, and what a petahash a second earns a day."""
    result, now = asyncio.run(query_live(load_settings(), _network))
    if as_json:
        print_document(network_document(result, now))
    else:
        print_message(network_message(result, now))


async def _network(app: App) -> tuple[NetworkResult, datetime]:
    now = app.clock.now()
    return await app.research.network(now), now


def drawdown_document(result: DrawdownResult) -> dict[str, Any]:
    """Return both drawdowns as JSON-ready values: depths as fractions, ranks from 0 to 100, lengths in sessions."""
    return {
        "session": result.session,
        "legs": [_drawdown(leg) for leg in result.legs],
        **_provenance_fields(result.provenance),
    }


def _drawdown(leg: DrawdownSummary) -> dict[str, Any]:
    current = asdict(leg.current)
    return {
        "symbol": leg.symbol,
        "now": current,
        "deepest": leg.max_depth,
        "deepest_on": leg.max_depth_on,
        "first": leg.first_session,
        "sessions": leg.sessions_since_high,
        "rank": leg.percentile,
        **current,
    }


def network_document(result: NetworkResult, now: datetime) -> dict[str, Any]:
    """Return the network as JSON-ready values, with the percentile of each figure; unknown values are null."""
    network = result.checked.network
    return {
        "source": network.source,
        "at": network.at,
        "age_s": network.age(now).total_seconds(),
        "difficulty": network.difficulty,
        "hashrate_per_s": network.hashrate,
        "implied_hashrate_per_s": network.implied_hashrate,
        "fee_rate_sat_vb": network.fee_rate,
        **_next_events(network, now),
        "hashprice_usd_ph_day": result.hashprice,
        "hashprice_without_fees_usd_ph_day": result.hashprice_without_fees,
        "btc": _price_fields(result.price, now),
        "standings": {
            "difficulty": result.difficulty_rank and asdict(result.difficulty_rank),
            "hashrate_per_s": result.hashrate_rank and asdict(result.hashrate_rank),
            "hashprice_without_fees_usd_ph_day": result.hashprice_rank and asdict(result.hashprice_rank),
        },
        **_provenance_fields(result.provenance),
    }


def miners_document(result: HoldingsReport) -> dict[str, Any]:
    """Return each holding's and cohort's contribution; with the residual they add up to the return."""
    attribution = result.attribution
    return {
        "fund": result.fund,
        "window": attribution.window.value,
        "from": attribution.anchor,
        "session": attribution.session,
        "etf_return": attribution.etf_return,
        "holdings": [_holding_fields(holding, result.cohorts) for holding in attribution.holdings],
        "rest": attribution.residual,
        "covered_weight": attribution.covered_weight,
        "weights_as_of": list(attribution.weight_dates),
        "weights_carried_back": attribution.backfilled,
        "cohorts": [_cohort_fields(effect) for effect in result.cohort_effects],
        "warnings": list(result.warnings),
        "sources": list(result.sources),
        "verdict": result.trust.verdict.value,
        "reasons": sentences(result.trust.reasons),
        "problems": list(result.problems),
        "simulated": result.simulated,
    }


def _next_events(network: Network, now: datetime) -> dict[str, Any]:
    retarget, reward = network.retarget, network.reward
    return {
        "next_retarget": retarget and {**asdict(retarget), "in_s": (retarget.at - now).total_seconds()},
        "reward": reward and {"blocks": reward.blocks, "total_btc": reward.total, "fees_btc": reward.fees},
    }


def _price_fields(quote: Quote | None, now: datetime) -> dict[str, Any] | None:
    if quote is None:
        return None
    return {"price": quote.price, "source": quote.source, "at": quote.at, "age_s": (now - quote.at).total_seconds()}


def _holding_fields(holding: HoldingContribution, cohorts: Mapping[str, Membership]) -> dict[str, Any]:
    membership = cohorts.get(holding.ticker)
    return {
        "ticker": holding.ticker,
        "weight": holding.weight,
        "return": holding.own_return,
        "contribution": holding.contribution,
        "cohort": (membership.cohort if membership else Cohort.OTHER).value,
        "cohort_as_of": membership and membership.as_of,
        "cohort_source": membership and membership.source,
    }


def _cohort_fields(effect: CohortEffect) -> dict[str, Any]:
    return {
        "cohort": effect.cohort.value,
        "names": effect.name_count,
        "weight": effect.weight,
        "equal_weight": effect.equal_weight,
        "return": effect.fund_return,
        "equal_return": effect.equal_weight_return,
        "allocation": effect.allocation,
        "selection": effect.selection,
    }


def _provenance_fields(provenance: Provenance) -> dict[str, Any]:
    return {
        "verdict": provenance.trust.verdict.value,
        "reasons": sentences(provenance.trust.reasons),
        "problems": list(provenance.problems),
        "simulated": provenance.simulated,
    }
