"""One document of each command, from fixed results."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from bot.commands.options import to_json
from bot.documents.explain import explain_document
from bot.documents.fields import DocumentName
from bot.documents.pulse import view_document
from bot.documents.report import report_document
from bot.documents.rules import backtest_document, replay_document, tune_document
from bot.documents.studies import drawdown_document, miners_document, network_document
from services.core.prices import Symbol
from services.core.reason import Code, Reason
from services.market.align import Exclusion, Leg
from services.research.attribution import IntradayAttribution, Part
from services.research.explain import LaterSessions
from services.research.report import summarize_drawdowns
from services.research.service import BacktestResult, DrawdownResult, ExplainResult, Provenance, backtest_with_curve
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, crypto_bars, random_market
from tests.handlers import (
    test_render_explain,
    test_render_miners,
    test_render_network,
    test_render_report,
    test_render_tune,
)
from tests.handlers.boards import closes, shut_view

MARKET = random_market(300)
CRYPTO = crypto_bars({datetime(2026, 11, day, 23, tzinfo=UTC): 90_000.0 + 100 * day for day in range(1, 17)})


def as_json(document: object) -> Any:  # noqa: ANN401 -- what a reader of the output has
    """Return a document as it is read from the output."""
    return json.loads(json.dumps(to_json(document), allow_nan=False))


def _pulse() -> object:
    left_out = [Exclusion(session=date(2026, 3, 3), leg=Leg.ETF, reason=Reason.of(Code.NO_PRICE))]
    return view_document(replace(shut_view(), left_out=tuple(left_out), problems=("Coinbase on BTC: away",)))


def _explain() -> object:
    intraday = IntradayAttribution(
        anchor=date(2026, 6, 18),
        at=datetime(2026, 6, 22, 15, 39, tzinfo=UTC),
        etf_return=0.031,
        crypto_return=0.012,
        proxy_return=0.02,
        crypto=Part(amount=0.007, error=0.001),
        proxy=Part(amount=0.022, error=None),
        residual=Part(amount=0.002, error=None),
    )
    later = LaterSessions(count=2, last=date(2026, 6, 22), missing=(Symbol("SMH"),))
    return explain_document(
        ExplainResult(
            explanation=replace(test_render_explain.EXPLANATION, later_sessions=later),
            provenance=test_render_explain.ONE_SOURCE,
            intraday=intraday,
        )
    )


def _backtest() -> object:
    backtest, curve = backtest_with_curve(MARKET, parse_rule("5d 15pp"))
    return backtest_document(BacktestResult(backtest=backtest, curve=curve, provenance=Provenance()))


def _drawdown() -> object:
    market = closes()
    session, legs = market.sessions[-1].item(), summarize_drawdowns(market, CRYPTO)
    return drawdown_document(DrawdownResult(session=session, legs=legs, provenance=Provenance(simulated=True)))


def _replay() -> object:
    market = aligned_market([20.0, 20.0, 22.0, None, 22.0, 15.0], [50_000.0] * 5 + [30_000.0], first="2026-03-02")
    return replay_document(replay(market, [parse_rule("1d 8pp"), parse_rule("drawdown 20%")]))


def _report() -> object:
    result = test_render_report.a_result(test_render_report.LEGS.aligned.head(180), None, "5d 15pp")
    return report_document(replace(result, power=test_render_network.POWER))


SAMPLES: dict[DocumentName, Callable[[], object]] = {
    "pulse": _pulse,
    "explain": _explain,
    "backtest": _backtest,
    "tune": lambda: tune_document(test_render_tune.a_result()),
    "drawdown": _drawdown,
    "network": lambda: network_document(test_render_network.RESULT, test_render_network.NOW),
    "miners": lambda: miners_document(test_render_miners.REPORT),
    "replay": _replay,
    "report": _report,
}
