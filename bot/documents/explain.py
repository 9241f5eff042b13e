"""The document of `minerpulse explain --json`: the attribution of the ETF's return."""

from datetime import date, datetime
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import (
    About,
    Correlation,
    Count,
    DataQuality,
    Document,
    Fraction,
    Seconds,
    Share,
    StandardError,
    close_of,
    data_quality,
    if_known,
    record,
    schema_id,
)
from handlers.render.reasons import sentence, sentences
from services.market import measure
from services.market.basis import Basis
from services.market.measure import Window
from services.research import explain
from services.research.attribution import Attribution, IntradayAttribution, Part
from services.research.explain import Explanation, FactorBetas, LaterSessions, RollingBetas
from services.research.service import ExplainResult, Provenance


class PairSymbolFields(TypedDict):
    """The symbols of both legs."""

    etf: str
    crypto: str


class PartFields(TypedDict):
    """One part of the ETF's return."""

    amount: Fraction
    error: StandardError | None


class Parts(TypedDict):
    """The returns of all three prices, and the parts of the ETF's return, which add up to it."""

    etf_return: Fraction
    crypto_return: Fraction
    proxy_return: Fraction
    crypto: PartFields
    proxy: PartFields
    residual: PartFields


class AttributionFields(Parts):
    """The attribution of the return from the close of `anchor` to the close of `session`."""

    window: Window
    anchor: date
    session: date
    steps: Annotated[Count, About("close-to-close moves that were attributed")]
    lookback: Annotated[Count, About("sessions that each beta comes from")]


class IntradayFields(Parts):
    """The attribution of the open session, from the close of `anchor` to the time `at`."""

    anchor: date
    at: datetime


class BetaFields(TypedDict):
    """A beta."""

    value: float
    error: StandardError | None


class FactorBetaFields(TypedDict):
    """The betas on bitcoin and the AI proxy over the 126 sessions up to `session`."""

    session: date
    crypto: BetaFields
    proxy: BetaFields
    r2: Share


class WaldTestFields(TypedDict):
    """The Wald test of whether both betas are unchanged."""

    statistic: float
    p: Annotated[float, About("probability of a change at least this large if the betas are constant")]
    changed: Annotated[bool, About("whether p is below 0.10")]


class BetaHistory(TypedDict):
    """The betas two years ago, or at the first possible estimate, and now."""

    then: FactorBetaFields
    now: FactorBetaFields
    path: list[FactorBetaFields]
    shared_sessions: Annotated[Count, About("sessions that the two estimates share")]
    test: Annotated[WaldTestFields | None, About("null if the estimates share sessions")]


class CorrelationFields(TypedDict):
    """The correlation of the ETF and bitcoin over 60 sessions, with its 90% interval."""

    value: Correlation
    low: Correlation
    high: Correlation
    r2: Share
    sessions: Count


class SplitReturn(TypedDict):
    """The compounded returns of a leg during sessions and between them."""

    inside: Fraction
    outside: Fraction


class SessionSplit(TypedDict):
    """The returns of both legs during sessions and between them."""

    etf: Annotated[SplitReturn | None, About("null with too few opening prices")]
    crypto: SplitReturn
    unsplit: Annotated[Count, About("number of sessions without an opening price; no return includes them")]
    early_s: Annotated[Seconds, About("usual age of the opening price at the open, in seconds")]


class Later(TypedDict):
    """Sessions after the window, which lack a price."""

    sessions: Count
    last: date
    lacking: Annotated[list[str], About("symbols without a price")]


class ExplanationFields(TypedDict):
    """The attribution, with figures that help to judge it."""

    pair: PairSymbolFields
    proxy: Annotated[str, About("symbol of the AI proxy")]
    sources: Annotated[list[str], About("price sources of the ETF, bitcoin and the proxy")]
    attribution: AttributionFields
    shorter: Annotated[AttributionFields | None, About("the same with betas from 60 sessions")]
    gauge: Annotated[BetaHistory | None, About("betas over the last two years")]
    correlation: CorrelationFields | None
    hours: Annotated[SessionSplit | None, About("null without opening prices")]
    later: Annotated[Later | None, About("null if the window ends with the last session")]


class BasisFields(TypedDict):
    """Data quality, source failures, whether the prices are simulated, and the sessions that the statistics count."""

    trust: DataQuality
    problems: Annotated[list[str], About("sentences: source failures, and warnings about files")]
    simulated: bool
    history: Annotated[Basis | None, About("sessions that are counted; null if only a window is counted, or none")]


class ExplainDocument(Document):
    """The attribution of the ETF's return to bitcoin, AI and a residual; `as_of` is the close of its last session."""

    explanation: ExplanationFields
    basis: BasisFields
    so_far: Annotated[IntradayFields | None, About("attribution of the open session")]
    unlive: Annotated[str, About("why the open session has no attribution; empty if it has one or is over")]


def explain_document(result: ExplainResult) -> ExplainDocument:
    """Return the document of an explanation."""
    return {
        "schema": schema_id("explain"),
        "as_of": close_of(result.explanation.attribution.session),
        "explanation": explanation_fields(result.explanation),
        "basis": _basis(result.provenance),
        "so_far": if_known(result.intraday, _intraday),
        "unlive": sentence(result.no_intraday_reason),
    }


def explanation_fields(explanation: Explanation) -> ExplanationFields:
    """Return the fields of an explanation."""
    return {
        "pair": {"etf": explanation.pair.etf, "crypto": explanation.pair.crypto},
        "proxy": explanation.proxy,
        "sources": list(explanation.sources),
        "attribution": attribution_fields(explanation.attribution),
        "shorter": if_known(explanation.short_lookback, attribution_fields),
        "gauge": if_known(explanation.betas, _beta_history),
        "correlation": if_known(explanation.correlation, _correlation),
        "hours": if_known(explanation.session_split, _session_split),
        "later": if_known(explanation.later_sessions, _later),
    }


def attribution_fields(attribution: Attribution) -> AttributionFields:
    """Return the fields of an attribution."""
    return {
        "window": attribution.window,
        "anchor": attribution.anchor,
        "session": attribution.session,
        "steps": attribution.steps,
        "lookback": attribution.lookback,
        **_parts(attribution),
    }


def _intraday(attribution: IntradayAttribution) -> IntradayFields:
    return {"anchor": attribution.anchor, "at": attribution.at, **_parts(attribution)}


def _parts(attribution: Attribution | IntradayAttribution) -> Parts:
    return {
        "etf_return": attribution.etf_return,
        "crypto_return": attribution.crypto_return,
        "proxy_return": attribution.proxy_return,
        "crypto": _part(attribution.crypto),
        "proxy": _part(attribution.proxy),
        "residual": _part(attribution.residual),
    }


def _part(part: Part) -> PartFields:
    return {"amount": part.amount, "error": part.error}


def _beta_history(betas: RollingBetas) -> BetaHistory:
    return {
        "then": _factor_betas(betas.first),
        "now": _factor_betas(betas.last),
        "path": [_factor_betas(estimate) for estimate in betas.path],
        "shared_sessions": betas.shared_sessions,
        "test": betas.test and {"statistic": betas.test.statistic, "p": betas.test.p, "changed": betas.have_changed},
    }


def _factor_betas(betas: FactorBetas) -> FactorBetaFields:
    return {
        "session": betas.session,
        "crypto": _beta(betas.crypto),
        "proxy": _beta(betas.proxy),
        "r2": betas.r2,
    }


def _beta(beta: explain.Beta) -> BetaFields:
    return {"value": beta.value, "error": beta.error}


def _correlation(correlation: measure.Correlation) -> CorrelationFields:
    low, high = correlation.interval
    return {"value": correlation.value, "low": low, "high": high, "r2": correlation.r2, "sessions": correlation.pairs}


def _session_split(split: explain.SessionSplit) -> SessionSplit:
    return {
        "etf": if_known(split.etf, _split_return),
        "crypto": _split_return(split.crypto),
        "unsplit": split.excluded,
        "early_s": split.open_price_age.total_seconds(),
    }


def _split_return(split: explain.SplitReturn) -> SplitReturn:
    return {"inside": split.in_session, "outside": split.out_of_session}


def _later(later: LaterSessions) -> Later:
    return {"sessions": later.count, "last": later.last, "lacking": list(later.missing)}


def _basis(provenance: Provenance) -> BasisFields:
    return {
        "trust": data_quality(provenance.trust),
        "problems": sentences(provenance.problems),
        "simulated": provenance.simulated,
        "history": if_known(provenance.basis, record),
    }
