"""`minerpulse doctor`: what works, what does not, and what to do next."""

from __future__ import annotations

import asyncio
import json

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.commands.options import as_json
from bot.doctor import Finding, Verdict, examine
from bot.settings import load_settings
from services.core.errors import ConfigurationError

STYLES = {Verdict.OK: "green", Verdict.FAIL: "bold red", Verdict.SKIP: "yellow"}
MEND = "Set it right in the environment or .env; .env.example explains every setting."


@click.command()
@as_json
def command(*, as_json: bool) -> int:
    """Check the settings, the database, all sources, Slack and the clock; say what to do about each failure.

    The exit code is 0 where nothing failed; Slack without tokens is left out, and is no failure.
    """
    findings = _examine()
    failed = any(finding.verdict is Verdict.FAIL for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "checks": [_row(finding) for finding in findings]}))
    else:
        Console(highlight=False).print(_table(findings))
    return int(failed)


def _examine() -> list[Finding]:
    try:
        settings = load_settings()
    except ConfigurationError as error:
        problems = str(error).splitlines()
        return [Finding(check="settings", verdict=Verdict.FAIL, found=problem, next_step=MEND) for problem in problems]
    return asyncio.run(examine(settings))


def _row(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "result": finding.verdict.value,
        "found": finding.found,
        "next_step": finding.next_step,
    }


def _table(findings: list[Finding]) -> Table:
    table = Table("Check", "Result", "Found", box=None, pad_edge=False, title="MinerPulse", title_justify="left")
    for finding in findings:
        found = f"{finding.found}\n→ {finding.next_step}" if finding.next_step else finding.found
        table.add_row(finding.check, f"[{STYLES[finding.verdict]}]{finding.verdict.value}[/]", escape(found))
    return table
