"""`minerpulse explain`: attribute the ETF's return, from price files or live, with standard errors."""

import asyncio
from pathlib import Path
from typing import Any

import click

from bot.commands.live import query_live
from bot.commands.options import AI_HELP, FILE, btc_option, etf_option, json_option, print_document, window_argument
from bot.price_files import PriceFiles, align_files, build_calendar, read_price_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.explain import explain_message
from handlers.render.reasons import sentences
from services.core.prices import Closes, Symbol
from services.core.trust import Trust
from services.market.measure import Window
from services.market.sources.files.prices import read_etf_csv
from services.research.attribution import Attribution, IntradayAttribution, Legs, Part
from services.research.explain import (
    Beta,
    Explanation,
    FactorBetas,
    LaterSessions,
    RollingBetas,
    SessionSplit,
    SplitReturn,
    explain,
)
from services.research.service import ExplainResult, Provenance


@click.command()
@window_argument
@etf_option
@btc_option
@click.option("--ai", type=FILE, help=AI_HELP)
@json_option
def explain_command(*, window: str, etf: Path | None, btc: Path | None, ai: Path | None, as_json: bool) -> None:
    """Tell what of the ETF's return came with bitcoin, what with AI, and what with neither.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd, which is the default; it ends with the last close.
    """
    settings = load_settings()
    if etf and btc and ai:
        result = _explain_files(
            read_price_files(etf, btc, settings.pair), read_etf_csv(ai, Symbol(settings.ai_proxy)), Window(window)
        )
    elif etf or btc or ai:
        raise click.UsageError("--etf, --btc and --ai go together: all three come from files, or none.")
    else:
        result = asyncio.run(query_live(settings, lambda app: app.research.explain(Window(window), app.clock.now())))
    if as_json:
        print_document(explain_document(result))
    else:
        print_message(explain_message(result))


def _explain_files(files: PriceFiles, proxy: Closes, window: Window) -> ExplainResult:
    explanation = explain(Legs.of(align_files(files), proxy), window, files.closes, files.bars, build_calendar(files))
    return ExplainResult(explanation=explanation, provenance=Provenance(problems=files.warnings))


def explain_document(result: ExplainResult) -> dict[str, Any]:
    """Return an explanation as JSON-ready values; unknown parts are null."""
    return {
        "explanation": _explanation(result.explanation),
        "basis": _provenance(result.provenance),
        "so_far": result.intraday and _intraday(result.intraday),
        "unlive": result.no_intraday_reason,
    }


def _explanation(explanation: Explanation) -> dict[str, Any]:
    return {
        "pair": {"etf": explanation.pair.etf, "crypto": explanation.pair.crypto},
        "proxy": explanation.proxy,
        "sources": list(explanation.sources),
        "attribution": _attribution(explanation.attribution),
        "shorter": explanation.short_lookback and _attribution(explanation.short_lookback),
        "gauge": explanation.betas and _rolling_betas(explanation.betas),
        "hours": explanation.session_split and _session_split(explanation.session_split),
        "later": explanation.later_sessions and _later_sessions(explanation.later_sessions),
    }


def _attribution(attribution: Attribution) -> dict[str, Any]:
    return {
        "window": attribution.window.value,
        "anchor": str(attribution.anchor),
        "session": str(attribution.session),
        "steps": attribution.steps,
        "lookback": attribution.lookback,
        **_parts(attribution),
    }


def _intraday(attribution: IntradayAttribution) -> dict[str, Any]:
    return {"anchor": str(attribution.anchor), "at": str(attribution.at), **_parts(attribution)}


def _parts(attribution: Attribution | IntradayAttribution) -> dict[str, Any]:
    return {
        "etf_return": attribution.etf_return,
        "crypto_return": attribution.crypto_return,
        "proxy_return": attribution.proxy_return,
        "crypto": _part(attribution.crypto),
        "proxy": _part(attribution.proxy),
        "residual": _part(attribution.residual),
    }


def _part(part: Part) -> dict[str, float]:
    return {"amount": part.amount, "error": part.error}


def _rolling_betas(betas: RollingBetas) -> dict[str, Any]:
    return {
        "then": _factor_betas(betas.first),
        "now": _factor_betas(betas.last),
        "path": [_factor_betas(estimate) for estimate in betas.path],
    }


def _factor_betas(betas: FactorBetas) -> dict[str, Any]:
    return {
        "session": str(betas.session),
        "crypto": _beta(betas.crypto),
        "proxy": _beta(betas.proxy),
        "r2": betas.r2,
    }


def _beta(beta: Beta) -> dict[str, float]:
    return {"value": beta.value, "error": beta.error}


def _session_split(split: SessionSplit) -> dict[str, Any]:
    return {
        "etf": split.etf and _split_return(split.etf),
        "crypto": _split_return(split.crypto),
        "unsplit": split.excluded,
        "early": str(split.open_price_age),
    }


def _split_return(split: SplitReturn) -> dict[str, float]:
    return {"inside": split.in_session, "outside": split.out_of_session}


def _later_sessions(later: LaterSessions) -> dict[str, Any]:
    return {"sessions": later.count, "last": str(later.last), "lacking": list(later.missing)}


def _provenance(provenance: Provenance) -> dict[str, Any]:
    return {
        "trust": _trust(provenance.trust),
        "problems": list(provenance.problems),
        "simulated": provenance.simulated,
    }


def _trust(trust: Trust) -> dict[str, Any]:
    return {"verdict": trust.verdict.value, "reasons": sentences(trust.reasons)}
