"""`minerpulse doctor`: print the result of all checks."""

import asyncio
import json

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.commands.options import json_option
from bot.doctor import CheckResult, Finding, run_checks
from bot.settings import load_settings
from services.core.errors import InvalidSettingsError

STYLES = {CheckResult.OK: "green", CheckResult.FAIL: "bold red", CheckResult.SKIP: "yellow"}
SETTINGS_HINT = "Set it right in the environment or .env; .env.example explains every setting."


@click.command()
@json_option
def command(*, as_json: bool) -> int:
    """Check the settings, the database, all sources, Slack and the clock; say what to do about each failure.

    The exit code is 0 where nothing failed; Slack without tokens is left out, and is no failure.
    """
    findings = _run_checks()
    has_failed = any(finding.result is CheckResult.FAIL for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not has_failed, "checks": [_row(finding) for finding in findings]}))
    else:
        Console(highlight=False).print(_table(findings))
    return int(has_failed)


def _run_checks() -> list[Finding]:
    try:
        settings = load_settings()
    except InvalidSettingsError as error:
        problems = str(error).splitlines()
        return [
            Finding(check="settings", result=CheckResult.FAIL, found=problem, next_step=SETTINGS_HINT)
            for problem in problems
        ]
    return asyncio.run(run_checks(settings))


def _row(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "result": finding.result.value,
        "found": finding.found,
        "next_step": finding.next_step,
    }


def _table(findings: list[Finding]) -> Table:
    table = Table("Check", "Result", "Found", box=None, pad_edge=False, title="MinerPulse", title_justify="left")
    for finding in findings:
        found = f"{finding.found}\n→ {finding.next_step}" if finding.next_step else finding.found
        table.add_row(finding.check, f"[{STYLES[finding.result]}]{finding.result.value}[/]", escape(found))
    return table
