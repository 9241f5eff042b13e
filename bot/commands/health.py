"""`minerpulse health`: the state of a running installation on one screen, judged as /readyz judges it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version

from rich.markup import escape
from rich.table import Table

from bot.app import App, build
from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.doctor import STYLES
from bot.commands.options import json_option, print_document
from bot.documents.health import HealthDocument, health_document
from bot.documents.operations import CheckResult
from bot.health import (
    HealthReport,
    SourceState,
    Vitals,
    ask_database,
    find_slack_problem,
    judge,
    sources_by_name,
    stored_vitals,
)
from bot.setting_types import SIMULATED
from bot.settings import Settings, load_settings
from bot.terminal import SafeConsole
from handlers.render import fmt
from handlers.render.reasons import sentence
from services.alerting.tick_log import PairStatus
from services.core.text import counted
from services.delivery.ports import Backlog
from services.storage import database_path
from services.storage.exports import SLACK

NAMES = {"ticks": "Ticks", "prices": "Prices", "database": "Database", "slack": "Slack"}
NOT_CONNECTED = "not connected to Slack: no tokens are set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one look at an installation finds.

    Attributes:
        queues: What waits for Slack and for each sink that is paged.
        pairs: The last tick of each watched pair.
        checked: The categories of `report` that were checked.
        database: The file of the database, or its URL without the password.
        database_bytes: The size of an SQLite file.
    """

    at: datetime
    version: str
    settings: Settings
    report: HealthReport
    vitals: Vitals
    queues: dict[str, Backlog]
    pairs: tuple[PairStatus, ...]
    checked: frozenset[str]
    database: str
    database_bytes: int | None


@command("minerpulse health", "minerpulse health --json | jq .ready")
@json_option
def health_command(*, as_json: bool) -> int:
    """Show the state of the running app: ticks, prices, sources, queues, Slack, and the database.

    It uses the same criteria as /readyz. The exit code is 1 if the app isn't ready.
    """
    condition = run_async(_examine(load_settings()))
    if as_json:
        print_document(document_of(condition))
    else:
        SafeConsole().print(_table(condition))
    return 0 if condition.report.ready else 1


async def _examine(settings: Settings) -> Condition:
    async with build(settings, create_database=False) as app:
        return await examine(app)


async def examine(app: App) -> Condition:
    """Return what the database and Slack say about the processes that run."""
    settings, now = app.settings, app.clock.now()
    pairs = await app.monitor.watch_pairs()
    statuses = await app.store.pair_statuses()
    vitals = stored_vitals(pairs, await app.store.last_ticks(pairs), statuses, app.monitor.every)
    overdue_tokens = app.oauth.overdue_tokens if app.oauth else None
    answer = await ask_database(app.store, overdue_tokens, sources_by_name(settings), now)
    slack_problem = await find_slack_problem(app.client) if settings.has_slack else None
    path = database_path(settings.database_url)
    return Condition(
        at=now,
        version=version("minerpulse"),
        settings=settings,
        report=judge(now, vitals, answer, slack_problem),
        vitals=vitals,
        queues={SLACK: answer.backlog, **await app.store.page_backlogs(now)} if answer.backlog else {},
        pairs=tuple(status for status in statuses if status.pair in pairs),
        checked=frozenset(NAMES) if settings.has_slack else frozenset(NAMES) - {"slack"},
        database=app.store.name,
        database_bytes=path.stat().st_size if path else None,
    )


def document_of(condition: Condition) -> HealthDocument:
    """Return what --json prints."""
    report = condition.report
    return health_document(
        at=condition.at,
        version=condition.version,
        results={name: _result(condition, name) for name in NAMES},
        problems=dict(zip(report.categories, report.problems, strict=True)),
        database=(condition.database, condition.database_bytes),
        vitals=condition.vitals,
        pairs=condition.pairs,
        sources=report.sources,
        queues=condition.queues,
        needs_a_person=report.action_needed,
    )


def _result(condition: Condition, category: str) -> CheckResult:
    if category not in condition.checked:
        return CheckResult.SKIP
    return CheckResult.FAIL if category in condition.report.categories else CheckResult.OK


def _table(condition: Condition) -> Table:
    report, settings = condition.report, condition.settings
    state = "ready" if report.ready else f"not ready: {', '.join(report.categories)}"
    table = Table(box=None, pad_edge=False, show_header=False, title_justify="left")
    for _ in range(3):
        table.add_column(overflow="fold")  # a path that is cut can't be copied
    table.title = f"MinerPulse {condition.version}, {state}"
    problems = dict(zip(report.categories, report.problems, strict=True))
    found = {
        "ticks": _ticks(condition),
        "prices": "\n".join(_prices(status, condition.at) for status in condition.pairs) or "none yet",
        "database": f"{condition.database}{_size(condition.database_bytes)}",
        "slack": "responds without errors" if settings.has_slack else NOT_CONNECTED,
    }
    for name, title in NAMES.items():
        result = _result(condition, name)
        lines = [found[name]] if name not in problems else [problems[name], *([found[name]] if name != "slack" else [])]
        table.add_row(title, f"[{STYLES[result]}]{result.value}[/]", escape("\n".join(lines)))
    legs = {"etf": settings.pair.etf, "crypto": settings.pair.crypto, "network": "bitcoin network"}
    for at, one in enumerate(report.sources):
        used_for = ", ".join(legs[kind] for kind in one.used_for)
        result = _source_result(one)
        shown = escape(f"{one.name} ({used_for}): {_source(one, condition.at)}")
        table.add_row("" if at else "Sources", f"[{STYLES[result]}]{result.value}[/]", shown)
    queues = (f"{sink}: {_queue(backlog)}" for sink, backlog in condition.queues.items())
    table.add_row("Queues", "", escape("\n".join(queues)))
    if report.action_needed:
        table.add_row("Action needed", "", escape("\n".join(report.action_needed)))
    return table


def _ticks(condition: Condition) -> str:
    last, every = condition.vitals.last_good_at, fmt.duration(condition.vitals.every)
    return f"every {every}" if last is None else f"last {fmt.plain_instant(last)}, every {every}"


def _prices(status: PairStatus, now: datetime) -> str:
    """Return a pair's prices with their sources, or why they can't be used."""
    if not status.prices:
        return f"{status.pair}: {sentence(status.reason)}" if status.reason else f"{status.pair}: none yet"
    stamps = ", ".join(f"{one.symbol} from {one.source}" for one in status.prices)
    if status.reason is not None and status.usable_at is not None:
        why = sentence(status.reason).rstrip(".")
        return f"{status.pair}: {why}; last usable {fmt.plain_instant(status.usable_at)} ({stamps})"
    return f"{status.pair}: {stamps}, {fmt.age(now - status.at)}"


def _source_result(state: SourceState) -> CheckResult:
    if state.record is None:
        return CheckResult.SKIP
    return CheckResult.WARN if state.failures else CheckResult.OK


def _source(state: SourceState, now: datetime) -> str:
    """Return a source's last success, and its failures since."""
    record = state.record
    if record is None:
        return "not queried" if state.name == SIMULATED else "not queried yet"
    success_at = record.last_success_at
    last = "no usable response yet" if success_at is None else f"last response {fmt.age(now - success_at)}"
    if not record.failures or record.failing_since is None:
        return last
    failures = f"{counted(record.failures, 'failure')} since {fmt.plain_instant(record.failing_since)}"
    return f"{failures}, {last}: {record.problem}"


def _size(size: int | None) -> str:
    return "" if size is None else f", {size / 1_000_000:,.1f} MB"


def _queue(backlog: Backlog) -> str:
    oldest = f", the oldest for {fmt.duration(backlog.oldest_age or timedelta(0))}" if backlog.waiting else ""
    held = f"; {backlog.withheld:,} held by mutes or quiet hours" if backlog.withheld else ""
    return f"{backlog.waiting:,} waiting{oldest}; {backlog.dead_lettered:,} dead-lettered{held}"
