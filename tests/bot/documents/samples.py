"""One document of each command, from fixed results."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bot.commands.options import to_json
from bot.documents.alert import alert_document
from bot.documents.errors import error_document
from bot.documents.explain import explain_document
from bot.documents.fields import DocumentName
from bot.documents.health import health_document
from bot.documents.operations import (
    CheckFields,
    CheckResult,
    doctor_document,
    holdings_document,
    migrate_document,
    sinks_document,
)
from bot.documents.pulse import view_document
from bot.documents.report import report_document
from bot.documents.rules import backtest_document, replay_document, tune_document
from bot.documents.rules_plan import rules_document
from bot.documents.studies import drawdown_document, miners_document, network_document
from bot.health import SourceState, Vitals
from services.alerting.channel_settings import ChannelSettings
from services.alerting.paging import Severity, Stage
from services.alerting.ports import ChannelRules, StoredChannel
from services.alerting.tick_log import PairStatus
from services.channels.rules_file import (
    Action,
    ChannelPlan,
    Drift,
    FileChannel,
    Plan,
    RuleDrift,
    RulePlan,
    RulesFile,
    SettingPlan,
)
from services.core.prices import Pair, PriceStamp, Symbol
from services.core.reason import Code, Reason
from services.delivery.pages import Page
from services.delivery.ports import Backlog
from services.market.align import Exclusion, Leg
from services.market.holdings import Holding, HoldingKind, Holdings
from services.market.source_log import SourceRecord
from services.research.attribution import IntradayAttribution, Part
from services.research.explain import LaterSessions
from services.research.report import summarize_drawdowns
from services.research.service import (
    BacktestResult,
    DrawdownResult,
    ExplainResult,
    Provenance,
    RulePreview,
    backtest_with_curve,
)
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from services.storage import SchemaStatus
from tests.fakes.alerts import CHANNEL, an_alert
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
CHECK: CheckFields = {
    "check": "Slack token",
    "result": CheckResult.FAIL,
    "found": "Slack returned “invalid_auth”",
    "next_step": "Copy the Bot User OAuth Token from OAuth & Permissions.",
}
HOLDINGS = Holdings(
    fund=Symbol("WGMI"),
    as_of=date(2026, 7, 7),
    source="wgmi.csv",
    positions=(
        Holding(ticker="IREN", weight=0.6, exchange="US", name="IREN Ltd", shares=1_000.0, market_value=60.0),
        Holding(ticker="", weight=0.01, kind=HoldingKind.CASH, name="US Dollars"),
    ),
)
CRYPTO = crypto_bars({datetime(2026, 11, day, 23, tzinfo=UTC): 90_000.0 + 100 * day for day in range(1, 17)})


def as_json(document: object) -> Any:  # noqa: ANN401 -- what a reader of the output has
    """Return a document as it is read from the output."""
    return json.loads(json.dumps(to_json(document), allow_nan=False))


def _pulse() -> object:
    left_out = [Exclusion(session=date(2026, 3, 3), leg=Leg.ETF, reason=Reason.of(Code.NO_PRICE))]
    return view_document(replace(shut_view(), left_out=tuple(left_out), problems=("Coinbase (BTC): away",)))


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
    left_out = (Exclusion(session=date(2026, 3, 3), leg=Leg.ETF, reason=Reason.of(Code.NO_PRICE)),)
    return backtest_document(BacktestResult(backtest=backtest, curve=curve, provenance=Provenance(), left_out=left_out))


def _rules() -> object:
    day, week = parse_rule("1d 8pp"), parse_rule("5d 15pp")
    stored = StoredChannel(channel=CHANNEL, settings=ChannelSettings(), revision=0)
    plan = ChannelPlan(
        wanted=FileChannel(id=CHANNEL.id),
        found=ChannelRules(channel=CHANNEL, stored=stored),
        rules=(
            RulePlan(action=Action.ADD, key="day", after=day),
            RulePlan(action=Action.REMOVE, key="week", rule_id=2, before=week, keeps_alert=False),
        ),
        drifts=(RuleDrift(drift=Drift.REMOVED, key="day", rule_id=1, made="1d 8pp", found=""),),
        setting_plans=(SettingPlan(word="quiet", before="off", after="22:00-07:00"),),
    )
    file = RulesFile(name="rules.yaml", team=CHANNEL.team, channels=())
    previews = {day: RulePreview(rule=day, since=date(2024, 11, 18), fired_on=(date(2026, 3, 3),))}
    document = rules_document(Plan(file=file, channels=(plan,)), previews, applied=False)
    return {**document, "revision": "899cfa7d2363"}  # else any new setting would change it


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


def _health() -> object:
    at = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
    prices = tuple(
        PriceStamp(symbol=symbol, source=source, price=price, at=at)
        for symbol, source, price in (("WGMI", "Yahoo", 20.0), ("BTC", "Coinbase", 50_000.0))
    )
    status = PairStatus(
        pair=Pair(etf=Symbol("WGMI"), crypto=Symbol("BTC")),
        at=at,
        reason=Reason.of(Code.NO_PRICE),
        usable_at=at - timedelta(hours=1),
        nodata_since=at - timedelta(hours=1),
        prices=prices,
        simulated=False,
    )
    return health_document(
        at=at,
        version="0.1.0",
        results={"ticks": CheckResult.OK, "prices": CheckResult.FAIL},
        problems={"prices": "no usable prices"},
        database=("/var/lib/minerpulse/minerpulse.db", 1_000_000),
        vitals=Vitals(last_good_at=at - timedelta(seconds=30), every=timedelta(minutes=1), feeds={}),
        pairs=[status],
        sources=[
            SourceState(name="yahoo", used_for=("etf",), record=SourceRecord(source="Yahoo", last_success_at=at)),
            SourceState(
                name="coinbase",
                used_for=("crypto",),
                record=SourceRecord(
                    source="Coinbase",
                    failures=3,
                    failing_since=at - timedelta(minutes=3),
                    problem="HTTP 503 Service Unavailable",
                ),
            ),
            SourceState(name="mempool", used_for=("network",), record=None),
        ],
        queues={"slack": Backlog(waiting=2, dead_lettered=1, oldest_age=timedelta(minutes=5))},
        needs_a_person=["channel C1: 1 dead-lettered"],
    )


def _webhook() -> object:
    page = Page(
        alert=an_alert(id=12),
        stage=Stage.OPEN,
        key="minerpulse/T1/alert/12/1795275600",
        version=3,
        severity=Severity.ERROR,
        is_first=True,
        link="https://example.slack.com/archives/C1/p1794929700000100",
    )
    return alert_document(page)


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
    "doctor": lambda: doctor_document([CHECK], ok=False),
    "holdings": lambda: holdings_document(HOLDINGS),
    "migrate": lambda: migrate_document(SchemaStatus.BEHIND, is_dry_run=True),
    "health": _health,
    "rules": _rules,
    "sinks": lambda: sinks_document({"desk": "pagerduty", "bus": "webhook"}),
    "webhook": _webhook,
    "error": lambda: error_document("usage", "Unknown command “plse”. Did you mean “pulse”?", 2),
}
