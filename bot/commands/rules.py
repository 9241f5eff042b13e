"""`minerpulse rules`: rules and settings of channels as a file that is kept in Git."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, assert_never

import click

from bot.asyncio_runner import run_async
from bot.commands.base import group
from bot.commands.options import STDOUT, json_option, print_document, write_output
from bot.documents.rules_plan import alert_count, rules_document
from bot.rules_files import RulesFileReader, address_name, write_rules_file
from bot.settings import Settings, load_settings
from bot.sinks import read_sinks_file
from bot.streams import echo, note
from handlers.addressees import parse_addressee
from services.channels.rules_file import Action, ChannelPlan, Drift, Plan, RulePlan, RulesFile, RulesFileError
from services.channels.rules_file_commands import Options, RulesFiles
from services.core.rows import complete
from services.core.text import counted
from services.research.service import RulePreview
from services.rules.rule import Rule

if TYPE_CHECKING:
    from bot.app import App

DIFFERENCES = 3  # exit code of `diff --exit-code`
MARKS = complete(
    "MARKS",
    Action,
    {
        Action.ADD: "+",
        Action.CHANGE: "~",
        Action.REMOVE: "-",
        Action.PAUSE: "~",
        Action.RESUME: "~",
        Action.TAKE: "~",
        Action.RELEASE: "~",
    },
)
DRIFTS = complete(
    "DRIFTS",
    Drift,
    {
        Drift.EDITED: "edited outside the file: {made} → {found}",
        Drift.REMOVED: "removed outside the file: {made}",
        Drift.PAUSED: "{made} was paused in Slack; --unpause resumes it",
        Drift.RESUMED: "{made} was resumed in Slack",
    },
)
KEY_WIDTH = 14
FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
TEAM = click.option("--team", default="", metavar="TEAM", help="The workspace's ID, if the file doesn't name it.")
ALERT_FATES = {
    True: "its open alert stays open",
    False: "its open alert resolves unless another rule keeps it open",
    None: "",
}
OFFLINE = click.option("--offline", is_flag=True, help="Don't fetch prices: no backtests and no check of new symbols.")
UNPAUSE = click.option("--unpause", is_flag=True, help="Resume rules that were paused in Slack.")
TAKE_OVER = click.option("--take-over", is_flag=True, help="Take over rules that another file manages.")
Previews = Mapping[Rule, RulePreview]
Result = TypeVar("Result")


@group("minerpulse rules export -o rules.yaml", "minerpulse rules diff rules.yaml")
def rules_command() -> None:
    """Manage channel rules and settings in a file.

    Rules that a file manages can't be edited or removed in Slack. The file is YAML or JSON; see docs/schemas.
    """


@rules_command.command(
    name="export",
    examples=("minerpulse rules export > rules.yaml", "minerpulse rules export --channel C0123ABCD --json"),
)
@click.option("--channel", metavar="CHANNEL", help="Export only the channel with this ID.")
@click.option("--team", default="", metavar="TEAM", help="The workspace's ID, if the database has several workspaces.")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=STDOUT,
    help="File to write, replaced if it exists; - means standard output.  [default: -]",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of YAML.")
def export_rules(*, channel: str | None, team: str, path: Path, as_json: bool) -> None:
    """Write a rules file with the rules and settings of all channels."""

    async def describe(app: "App") -> RulesFile:
        owner = await _team(app, team)
        return await _service(app).describe(owner, channel, address_name)

    file = run_async(_with_app(describe))
    write_output(path, write_rules_file(file, as_json=as_json).encode())


@rules_command.command(
    name="check", examples=("minerpulse rules check rules.yaml", "minerpulse rules check rules.yaml --online")
)
@FILE
@TEAM
@click.option("--online", is_flag=True, help="Also ask Slack and the price sources.")
def check_rules(*, file: Path, team: str, online: bool) -> None:
    """Check FILE without a database: keys, rules, settings and sinks. It checks sinks if MINERPULSE_SINKS_FILE is set.

    With --online, it asks Slack whether the app is in each channel, including channels that alerts escalate to. It also
    asks the price sources whether they have each symbol. Nothing is changed, and no one is notified.
    """
    reader = RulesFileReader(file)
    rules_file, _ = reader.read(team)
    settings = load_settings()
    if settings.sinks_file is not None and not settings.token_keys:  # else a workspace can have sinks of its own
        known = read_sinks_file(settings.sinks_file)
        used = {route.sink for channel in rules_file.channels for route in channel.routes or ()}
        if unknown := sorted(used - known.keys()):
            raise RulesFileError(f"{file.name}: {settings.sinks_file} has no sink “{unknown[0]}”. Define it first.")
    reached = run_async(_check_online(settings, reader, team)) if online else ""
    count = sum(len(channel.rules) for channel in rules_file.channels)
    echo(f"{file.name} is valid: {counted(count, 'rule')} in {counted(len(rules_file.channels), 'channel')}.")
    if reached:
        echo(reached)


async def _check_online(settings: Settings, reader: RulesFileReader, team: str) -> str:
    """Check a file online. The database is only opened for the tokens of workspaces."""
    from bot.app import build  # noqa: PLC0415 -- imports Slack's libraries, which a check without --online doesn't need
    from bot.rules_online import check_online  # noqa: PLC0415 -- the same

    stored = settings if settings.distributed else settings.model_copy(update={"database_url": "sqlite://"})
    async with build(stored, create_database=not settings.distributed) as app:
        return await check_online(app, reader, team)


@rules_command.command(
    name="diff", examples=("minerpulse rules diff rules.yaml", "minerpulse rules diff rules.yaml --exit-code --json")
)
@FILE
@TEAM
@click.option("--exit-code", is_flag=True, help=f"Exit with {DIFFERENCES} if anything differs.")
@UNPAUSE
@TAKE_OVER
@OFFLINE
@json_option
def diff_rules(
    *, file: Path, team: str, exit_code: bool, unpause: bool, take_over: bool, offline: bool, as_json: bool
) -> int:
    """Show what FILE would change. It also shows what was changed outside the file since it was applied.

    For each changed rule, it shows the number of alerts in the last two years with the old and the new rule.
    """
    options = Options(unpause=unpause, take_over=take_over, is_offline=offline)
    plan, previews = run_async(_with_app(lambda app: _plan(app, file, team, options)))
    _print(plan, previews, as_json=as_json, applied=False)
    if not as_json and plan.has_changes:
        note(f"`minerpulse rules apply {file} --revision {plan.revision}` applies exactly this plan.")
    return DIFFERENCES if exit_code and plan.has_differences else 0


@rules_command.command(
    name="apply", examples=("minerpulse rules apply rules.yaml", "minerpulse rules apply rules.yaml --yes --as ci")
)
@FILE
@TEAM
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask for confirmation. Required without a terminal.")
@click.option(
    "--revision", default="", metavar="REVISION", help="Apply only if this plan from `diff` is still current."
)
@click.option(
    "--as",
    "operator",
    default="",
    metavar="NAME",
    help="Name to record in the audit log as the person applying the file.",
)
@UNPAUSE
@TAKE_OVER
@OFFLINE
@json_option
def apply_rules(
    *,
    file: Path,
    team: str,
    dry_run: bool,
    yes: bool,
    revision: str,
    operator: str,
    unpause: bool,
    take_over: bool,
    offline: bool,
    as_json: bool,
) -> None:
    """Apply FILE to the channels: all changes, or none.

    Each channel gets a message about its changes.
    """
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError("There is no terminal to ask for confirmation. Use --yes, or --dry-run to preview.")
    options = Options(unpause=unpause, take_over=take_over, is_offline=offline)

    async def apply(app: "App") -> None:
        plan, previews = await _plan(app, file, team, options)
        is_asking = not (dry_run or yes)
        if not as_json or is_asking:
            _print(plan, previews, as_json=False, applied=False, err=as_json)
        applies = not dry_run
        if is_asking and plan.has_changes:
            click.confirm("Apply this?", abort=True, err=True)
        if applies:
            await _service(app).apply(plan.file, revision or plan.revision, operator, options)
        if as_json:
            print_document(rules_document(plan, previews, applied=applies))
        elif applies and plan.has_changes:
            echo(f"Applied {file.name}.")

    run_async(_with_app(apply))


async def _with_app(work: "Callable[[App], Awaitable[Result]]") -> Result:
    from bot.app import build  # noqa: PLC0415 -- imports Slack's libraries, which `check` doesn't need

    async with build(load_settings(), create_database=False) as app:
        return await work(app)


def _service(app: "App") -> RulesFiles:
    return RulesFiles(store=app.store, commands=app.commands, resolve=parse_addressee)


async def _plan(app: "App", path: Path, team: str, options: Options) -> tuple[Plan, Previews]:
    """Return what a file changes, and what its rules would have fired unless prices may not be fetched."""
    file, owner = RulesFileReader(path).read()
    if owner and team and owner != team:
        raise RulesFileError(f"{path.name} is for the workspace {owner}, not {team}.")
    service, owner = _service(app), owner or await _team(app, team)
    plan = await service.plan(replace(file, team=owner), options)
    if options.is_offline or not plan.has_changes:
        return plan, {}
    previews = await service.previews(plan)
    if previews and app.history.wanted_older(app.clock.now()):
        note("Loading older prices…")
        await app.backfill.complete()
        previews = await service.previews(plan)
    return plan, previews


async def _team(app: "App", team: str) -> str:
    """Return the workspace; without one, the only one in the database. Raises RulesFileError."""
    if team:
        return team
    teams = await app.store.teams()
    if len(teams) != 1:
        found = f"The database has {len(teams)} workspaces" if teams else "The database has no workspace yet"
        raise RulesFileError(f"{found}. Name one with --team, or as `workspace` in the file.")
    return teams[0]


def _print(plan: Plan, previews: Previews, *, as_json: bool, applied: bool, err: bool = False) -> None:
    if as_json:
        print_document(rules_document(plan, previews, applied=applied))
        return
    for channel in plan.channels:
        lines = _channel_lines(channel, previews)
        if lines:
            name = f" ({channel.wanted.name})" if channel.wanted.name else ""
            echo("\n".join([f"{channel.wanted.id}{name}", *lines]), err=err)
    echo(_summary(plan), err=err)


def _channel_lines(channel: ChannelPlan, previews: Previews) -> list[str]:
    paused = {one.key for one in channel.wanted.rules if one.paused}
    rules = [
        f"  {MARKS[one.action]} {one.key:<{KEY_WIDTH}} {_rule_text(one, previews, starts_paused=one.key in paused)}"
        for one in channel.rules
    ]
    drifts = [
        f"  ! {one.key:<{KEY_WIDTH}} rule {one.rule_id}: {DRIFTS[one.drift].format(made=one.made, found=one.found)}"
        for one in channel.drifts
    ]
    settings = [f"  ~ {one.word:<{KEY_WIDTH}} {one.before} → {one.after}" for one in channel.setting_plans]
    return [*drifts, *rules, *settings]


def _rule_text(one: RulePlan, previews: Previews, *, starts_paused: bool) -> str:
    match one.action:
        case Action.ADD:
            what = f"{one.after}{', paused' if starts_paused else ''}"
        case Action.CHANGE:
            what = f"rule {one.rule_id}: {one.before} → {one.after}"
        case Action.REMOVE:
            what = f"rule {one.rule_id}: {one.before}"
        case Action.PAUSE | Action.RESUME:
            what = f"rule {one.rule_id}: {one.action.value} {one.after}"
        case Action.TAKE:
            what = f"rule {one.rule_id}: {one.after}, managed by this file from now on"
        case Action.RELEASE:
            what = f"rule {one.rule_id}: {one.before}, no longer managed by this file"
        case _:
            assert_never(one.action)
    alert = ALERT_FATES[one.keeps_alert]
    return "; ".join(filter(None, [what, _record(one, previews), alert]))


def _record(one: RulePlan, previews: Previews) -> str:
    """Return the alerts of two years before and after, as far as they are known."""
    counts = [alert_count(rule, previews) for rule in (one.before, one.after) if isinstance(rule, Rule)]
    known = ["–" if count is None else str(count) for count in counts]
    if not any(count is not None for count in counts):
        return ""
    return f"{' → '.join(known)} alert{'' if known == ['1'] else 's'} in 2 years"


def _summary(plan: Plan) -> str:
    rules = [one.action for channel in plan.channels for one in channel.rules]
    drifts = sum(len(channel.drifts) for channel in plan.channels)
    settings = sum(len(channel.setting_plans) for channel in plan.channels)
    counts = {
        "to add": rules.count(Action.ADD),
        "to change": len(rules) - rules.count(Action.ADD) - rules.count(Action.REMOVE) + settings,
        "to remove": rules.count(Action.REMOVE),
        "changed outside the file": drifts,
    }
    parts = [f"{count} {what}" for what, count in counts.items() if count]
    return f"{', '.join(parts) or 'No changes'}. Revision {plan.revision}."
