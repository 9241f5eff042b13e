"""The alert rules and the dashboard of deploy, with the metrics that exist and with a real Prometheus."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bot.metric_families import FAMILIES, PREFIX, Kind
from tests.bot.test_serve import eventually, free_port, running, settings_for
from tests.fakes.slack import FakeSlack

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES, CASES = DEPLOY / "prometheus/alerts.yml", Path(__file__).parent / "alerts_test.yml"
PROMTOOL, PROMETHEUS = shutil.which("promtool") or "", shutil.which("prometheus") or ""
needs_prometheus = pytest.mark.skipif(not (PROMTOOL and PROMETHEUS), reason="needs Debian's package prometheus")
BY_NAME = {PREFIX + family.name: family for family in FAMILIES}
OF_PROMETHEUS = {"job", "instance", "le"}


def alert_rules() -> dict[str, str]:
    """Return the expression of each alert rule."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def dashboard_queries() -> dict[str, str]:
    """Return the query of each panel, with Grafana's variables filled in."""
    panels = json.loads((DEPLOY / "grafana/minerpulse.json").read_text(encoding="utf-8"))["panels"]
    return {
        panel["title"]: target["expr"].replace("$job", "minerpulse").replace("$__rate_interval", "1m")
        for panel in panels
        for target in panel["targets"]
    }


QUERIES = {**alert_rules(), **dashboard_queries()}


def unknown_names(query: str) -> set[str]:
    """Return the metrics of a query that don't exist, and the labels that none of its metrics has."""
    metrics = set(re.findall(rf"\b{PREFIX}\w+", query))
    grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", query)
    labels = {label.strip() for group in grouped for label in group.split(",")}
    labels |= set(re.findall(r"(\w+)=~?\"", query))
    histograms = {f"{name}_bucket": family for name, family in BY_NAME.items() if family.kind is Kind.HISTOGRAM}
    plain = {name: family for name, family in BY_NAME.items() if family.kind is not Kind.HISTOGRAM}
    known = plain | histograms
    of_metrics = {label for name in metrics & known.keys() for label in known[name].labels}
    return (metrics - known.keys()) | (labels - of_metrics - OF_PROMETHEUS)


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_uses_only_metrics_and_labels_that_exist(title: str) -> None:
    assert set() == unknown_names(QUERIES[title])


def test_the_panels_lie_side_by_side_on_grafanas_24_columns() -> None:
    panels = json.loads((DEPLOY / "grafana/minerpulse.json").read_text(encoding="utf-8"))["panels"]
    cells = [
        (panel["gridPos"]["x"] + right, panel["gridPos"]["y"] + down)
        for panel in panels
        for right in range(panel["gridPos"]["w"])
        for down in range(panel["gridPos"]["h"])
    ]

    assert len(panels) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    assert len(cells) == len(set(cells))
    assert set(range(24)) == {column for column, _ in cells}


def test_a_metric_or_a_label_that_does_not_exist_is_found() -> None:
    query = 'max by (channel) (minerpulse_rules{state="ok"}) + minerpulse_nothing + minerpulse_tick_duration_seconds'

    assert {"channel", "minerpulse_nothing", "minerpulse_tick_duration_seconds"} == unknown_names(query)


def test_each_alert_rule_fires_in_a_case_and_is_quiet_in_another() -> None:
    cases = [
        case for test in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"] for case in test["alert_rule_test"]
    ]

    assert alert_rules().keys() == {case["alertname"] for case in cases if case.get("exp_alerts")}
    assert alert_rules().keys() == {case["alertname"] for case in cases if not case.get("exp_alerts")}


@needs_prometheus
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("check", "rules", str(RULES)), id="rules"),
        pytest.param(("check", "config", str(DEPLOY / "prometheus/prometheus.yml")), id="config"),
        pytest.param(("test", "rules", str(CASES)), id="cases"),
    ],
)
def test_promtool_accepts(arguments: tuple[str, ...]) -> None:
    checked = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 -- ours

    assert 0 == checked.returncode, checked.stdout + checked.stderr


@needs_prometheus
async def test_a_real_prometheus_scrapes_the_app_and_answers_every_query(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, tmp_path, metrics_port=free_port())

    async with running(settings), prometheus(f"127.0.0.1:{settings.metrics_port}", tmp_path) as client:
        await eventually(lambda: has_result(client, "minerpulse_installations == 1"))
        answers = {title: await ask(client, query) for title, query in QUERIES.items()}
        rules = (await client.get("/api/v1/rules")).json()["data"]["groups"]

    assert dict.fromkeys(QUERIES, "success") == {title: answer["status"] for title, answer in answers.items()}
    assert [] == [title for title in ("Since the last tick", "Spread", "Rules") if not answers[title]["data"]["result"]]
    assert [*alert_rules()] == [rule["name"] for group in rules for rule in group["rules"]]
    assert [] == [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]


@asynccontextmanager
async def prometheus(target: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run a Prometheus that scrapes a target each second and has the alert rules."""
    config, address = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    jobs = [{"job_name": "minerpulse", "static_configs": [{"targets": [target]}]}]
    timing = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config.write_text(yaml.safe_dump({"global": timing, "scrape_configs": jobs, "rule_files": [str(RULES)]}))
    options = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(PROMETHEUS, *options, stdout=quiet, stderr=quiet)
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def ask(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get("/api/v1/query", params={"query": query})).json()
    return answer


async def has_result(client: httpx.AsyncClient, query: str) -> bool:
    try:
        return bool((await client.get("/api/v1/query", params={"query": query})).json()["data"]["result"])
    except (httpx.TransportError, KeyError, json.JSONDecodeError):
        return False
