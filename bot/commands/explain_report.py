"""Explanations as JSON: fractions, dates, and standard errors beside every estimate."""

from typing import Any

from handlers.render.reasons import sentences
from services.core.trust import Trust
from services.research.attribution import Attribution, IntradayAttribution, Part
from services.research.explain import (
    Beta,
    Explanation,
    FactorBetas,
    LaterSessions,
    RollingBetas,
    SessionSplit,
    SplitReturn,
)
from services.research.results import ExplainResult, Provenance


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
