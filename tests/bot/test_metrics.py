"""Metrics as Prometheus reads them: from the real server, and from the services with fakes at the HTTP boundary."""

import json
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot.bolt_app import SlackApp, build_bolt
from bot.metric_families import FAMILIES, PREFIX, Kind, SlackResult
from bot.metrics import MAX_NAMES, OTHER, PAIR_LIFETIME, Metrics, serve_metrics
from bot.serve import serve
from services.alerting.alert import DRILL
from services.alerting.ports import AlertChange
from services.alerting.tick_log import Claim, TickOutcome
from services.core.errors import DatabaseUnavailableError, InvalidSettingsError, LeaseLostError, SourceError
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.delivery.dispatcher import MAX_ATTEMPTS
from services.delivery.outbox import Outbox
from services.market.sources.http.client import HttpClient
from services.market.sources.http.vendor import FAILURE_THRESHOLD
from services.storage import SqlStore
from services.storage.engine import Database
from tests.bot.test_serve import eventually, free_port, running, settings_for
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.fakes.clock import SetClock
from tests.fakes.harness import CLOSE, OPEN, Harness, open_harness
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, Fault, command_form, dispatch, error_response, signed_headers
from tests.services.delivery.test_outbox import an_outbox
from tests.services.market.sources.conftest import FakeServer, Reply
from tests.services.market.sources.http.test_vendor import GOOD, acme, fetch

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BEGIN = OPEN + HOUR
IDENTIFYING = {"workspace", "team", "channel", "person", "user", "rule", "alert"}
PROMTOOL = shutil.which("promtool") or ""
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="needs promtool, of Debian's package prometheus")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(database="sqlite")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


@pytest.fixture
def clock() -> SetClock:
    return SetClock(BEGIN)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


def values(metrics: Metrics, name: str, *, zeros: bool = False) -> dict[tuple[str, ...], float]:
    """Return the samples of a family by the values of their labels, without those at 0."""
    found = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == PREFIX + name
    }
    return {labels: value for labels, value in found.items() if value or zeros}


def families_of(text: str) -> dict[str, str]:
    """Return the types of our families in a scrape, by name as the table has it."""
    parsed = [family for family in text_string_to_metric_families(text) if family.name.startswith(PREFIX)]
    suffix = {"counter": "_total"}
    return {family.name.removeprefix(PREFIX) + suffix.get(family.type, ""): family.type for family in parsed}


# The server


async def test_metrics_are_served_on_a_port_of_their_own(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, tmp_path, metrics_port=free_port())

    async with running(settings) as client:
        url = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        await eventually(lambda: scraped(client, url))
        text = (await client.get(url)).text
        on_the_slack_port = await client.get("/metrics")

    assert {family.name: family.kind.value for family in FAMILIES} == families_of(text)
    assert 404 == on_the_slack_port.status_code
    assert 'minerpulse_ticks_total{pair="WGMI/BTC",result="done"}' in text
    assert 'minerpulse_source_up{source="simulated"} 1.0' in text
    assert 'database="sqlite"' in text
    assert "process_resident_memory_bytes" in text
    assert [] == [secret for secret in (TOKEN, SECRET, "T1", "C1", "U1") if secret in text]


async def scraped(client: httpx.AsyncClient, url: str) -> bool:
    """Return whether the first tick is done, and the health check after it."""
    text = (await client.get(url)).text
    return "minerpulse_spread_ratio{" in text and "minerpulse_installations 1.0" in text


async def test_there_are_no_metrics_without_a_port(slack: FakeSlack, tmp_path: Path) -> None:
    async with running(settings_for(slack, tmp_path)) as client:
        assert 404 == (await client.get("/metrics")).status_code


async def test_a_scrape_reads_no_database(slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(slack, tmp_path, metrics_port=free_port())
    transactions = Counter[str]()

    async with running(settings) as client:
        url = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        await eventually(lambda: scraped(client, url))
        for name in ("read", "write"):
            monkeypatch.setattr(Database, name, counted(getattr(Database, name), transactions, name))
        statuses = [(await client.get(url)).status_code for _ in range(5)]
        during_scrapes = dict(transactions)
        await client.get("/readyz")  # reads it, which shows that the count works

    assert [200] * 5 == statuses
    assert {} == during_scrapes
    assert transactions["read"]


def counted(method: Callable[..., object], calls: Counter[str], name: str) -> Callable[..., object]:
    def call(*args: object, **more: object) -> object:
        calls[name] += 1
        return method(*args, **more)

    return call


async def test_a_port_that_is_taken_is_an_error_that_names_the_setting(slack: FakeSlack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_for(slack, tmp_path, metrics_port=taken.getsockname()[1])

        with pytest.raises(InvalidSettingsError, match=r"for metrics \(Address already in use\)\. .*METRICS_PORT"):
            await serve(settings)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_metrics_are_served_over_ipv6(metrics: Metrics) -> None:
    with serve_metrics(metrics, "[::1]", 0) as port:
        assert 200 == httpx.get(f"http://[::1]:{port}/metrics", trust_env=False).status_code


# Names and labels


@needs_promtool
def test_promtool_accepts_the_names(metrics: Metrics) -> None:
    metrics.count_tick(WGMI_BTC, TickOutcome.DONE)

    checked = subprocess.run(  # noqa: S603 -- ours
        [PROMTOOL, "check", "metrics"], input=generate_latest(metrics.registry), capture_output=True, check=False
    )

    assert (0, b"", b"") == (checked.returncode, checked.stdout, checked.stderr)


def test_there_are_27_families_whose_labels_identify_nobody() -> None:
    assert 27 == len({family.name for family in FAMILIES})
    assert set() == IDENTIFYING & {label for family in FAMILIES for label in family.labels}


def test_series_of_known_labels_start_at_0(metrics: Metrics) -> None:
    started = {family.name: len(values(metrics, family.name, zeros=True)) for family in FAMILIES if family.values}
    known = {family.name: len([*family.known_labels()]) for family in FAMILIES if family.kind is not Kind.HISTOGRAM}

    assert started["deliveries_total"] == 20
    assert started["slack_requests_total"] == 20
    assert {} == {name: number for name, number in started.items() if known.get(name, 0) != number and name in known}


def test_pairs_beyond_20_are_counted_as_other(metrics: Metrics) -> None:
    pairs = [Pair(etf=Symbol(f"E{number}"), crypto=Symbol("BTC")) for number in range(MAX_NAMES + 2)]

    for pair in [*pairs, *pairs]:
        metrics.count_tick(pair, TickOutcome.DONE)

    counted_ticks = values(metrics, "ticks_total")
    assert MAX_NAMES + 1 == len(counted_ticks)
    assert 4 == counted_ticks[OTHER, "done"]


# Ticks


async def test_a_tick_records_the_market(harness: Harness, metrics: Metrics) -> None:
    harness.monitor.meter = metrics
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    await harness.tick(BEGIN, 0.05)
    metrics.record_sources(harness.market.history, harness.market.mining, BEGIN)

    assert {("WGMI/BTC", "done"): 1} == values(metrics, "ticks_total")
    assert {("WGMI/BTC", "degraded"): 1} == values(metrics, "price_verdict") or {("WGMI/BTC", "ok"): 1} == values(
        metrics, "price_verdict"
    )
    assert 0.05 == pytest.approx(values(metrics, "spread_ratio")["WGMI/BTC", "1d"])
    assert {("WGMI",): BEGIN.timestamp(), ("BTC",): BEGIN.timestamp()} == values(
        metrics, "last_quote_timestamp_seconds"
    )
    assert {(): 1} == values(metrics, "market_open")
    assert 1 == values(metrics, "rule_evaluations_total")[()]
    assert {"yahoo", "coinbase"} == {name for (name,) in values(metrics, "source_up")}
    assert {("WGMI",), ("BTC",)} == values(metrics, "prices_quarantined", zeros=True).keys()


async def test_prices_that_cannot_be_used_have_a_verdict_and_no_spread(harness: Harness, metrics: Metrics) -> None:
    harness.monitor.meter = metrics
    await harness.tick(BEGIN, 0.05)

    await harness.tick(BEGIN + HOUR)

    assert {("WGMI/BTC", "stale"): 1} == values(metrics, "price_verdict")
    assert {} == values(metrics, "spread_ratio", zeros=True)


async def test_the_market_is_closed_after_the_session(harness: Harness, metrics: Metrics) -> None:
    metrics.record_sources(harness.market.history, harness.market.mining, CLOSE + MINUTE)

    assert {} == values(metrics, "market_open")


@pytest.mark.parametrize(
    ("error", "result"),
    [
        pytest.param(DatabaseUnavailableError("gone"), "failed", id="failed"),
        pytest.param(LeaseLostError("too late"), "overtaken", id="overtaken"),
    ],
)
async def test_a_tick_that_is_not_saved_is_counted(
    harness: Harness, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, error: Exception, result: str
) -> None:
    harness.monitor.meter = metrics

    async def fail(*_args: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(SqlStore, "finish_tick", fail)
        with suppress(DatabaseUnavailableError):
            await harness.tick(BEGIN, 0.05)

    assert {("WGMI/BTC", result): 1} == values(metrics, "ticks_total")
    assert {} == values(metrics, "price_verdict")


async def test_a_tick_of_another_process_is_not_counted(
    harness: Harness, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.monitor.meter = metrics

    async def taken(*_args: object) -> Claim:
        return Claim.TAKEN

    monkeypatch.setattr(SqlStore, "claim_tick", taken)
    await harness.tick(BEGIN, 0.05)

    assert {} == values(metrics, "ticks_total")


async def test_a_pair_that_this_process_no_longer_ticks_has_no_gauges(harness: Harness, metrics: Metrics) -> None:
    harness.monitor.meter = metrics
    await harness.tick(BEGIN, 0.05)

    metrics.record_ticks(0.1, BEGIN, BEGIN + PAIR_LIFETIME)
    kept = values(metrics, "price_verdict", zeros=True)
    metrics.record_ticks(0.1, BEGIN, BEGIN + PAIR_LIFETIME + MINUTE)

    assert kept
    assert {} == values(metrics, "price_verdict", zeros=True)
    assert {} == values(metrics, "spread_ratio", zeros=True)
    assert {("WGMI/BTC", "done"): 1} == values(metrics, "ticks_total")
    assert {(): BEGIN.timestamp()} == values(metrics, "last_tick_timestamp_seconds")
    assert {(): 2} == values(metrics, "tick_duration_seconds_count")


async def test_events_of_alerts_are_counted_except_those_of_test_alerts(harness: Harness, metrics: Metrics) -> None:
    harness.store.on_event = metrics.count_event
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.ticks(BEGIN, [0.09, 0.10, 0.10])
    (alert,) = await harness.open_alerts()
    await harness.commands.acknowledge(CHANNEL, alert.id, "U1")
    drill = replace(an_alert(), subject=DRILL)
    await harness.store.record([], [AlertChange(alert=drill, revision=0, entries=(an_entry(),))], BEGIN)

    assert {("fired",): 1, ("acknowledged",): 1} == values(metrics, "alert_events_total")


async def test_the_database_is_counted_by_state_and_subject(harness: Harness, metrics: Metrics) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.commands.add_rule(CHANNEL, "5d 90pp", "U1")
    await harness.ticks(BEGIN, [0.09, 0.10, 0.10])

    metrics.record_counts(await harness.store.status_counts(harness.clock.at), single_workspace=True)

    assert {("firing",): 1, ("ok",): 1} == values(metrics, "rules")
    assert {("divergence",): 1} == values(metrics, "alerts_open")
    assert {(): 1} == values(metrics, "installations")


# Sources


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        pytest.param(GOOD, "ok", id="ok"),
        pytest.param(Reply(200, b"<html>"), "error", id="unusable"),
        pytest.param(Reply(404), "error", id="404"),
        pytest.param(httpx.ConnectError("no"), "error", id="unreachable"),
        pytest.param(httpx.ReadTimeout("no"), "timeout", id="timeout"),
        pytest.param(Reply(429), "rate_limited", id="429"),
    ],
)
async def test_a_request_to_a_source_is_counted_by_its_result(
    server: FakeServer, clock: SetClock, metrics: Metrics, reply: Reply | Exception, result: str
) -> None:
    client = HttpClient(transport=server.transport)
    client.meter = metrics
    server.respond_with(reply)

    with suppress(SourceError):
        await fetch(acme(client, clock))

    assert {("Acme", result): 1} == values(metrics, "source_requests_total")
    assert {("Acme",): 1} == values(metrics, "source_request_duration_seconds_count")


async def test_a_request_that_an_open_circuit_stops_is_not_counted(
    server: FakeServer, clock: SetClock, metrics: Metrics
) -> None:
    client = HttpClient(transport=server.transport)
    client.meter = metrics
    server.respond_with(Reply(200, b"<html>"))
    vendor = acme(client, clock)

    for _ in range(FAILURE_THRESHOLD + 3):
        with pytest.raises(SourceError):
            await fetch(vendor)

    assert {("Acme", "error"): FAILURE_THRESHOLD} == values(metrics, "source_requests_total")


# Deliveries


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        pytest.param(None, "sent", id="sent"),
        pytest.param(error_response("ratelimited"), "retry", id="retry"),
        pytest.param(Fault(drop=True), "unsure", id="lost response"),
        pytest.param(error_response("is_archived"), "refused", id="refused"),
    ],
)
async def test_a_delivery_is_counted_by_its_outcome(
    slack: FakeSlack, harness: Harness, metrics: Metrics, fault: Fault | None, result: str
) -> None:
    outbox = metered(an_outbox(slack, harness.store, SetClock(AT + 5 * MINUTE)), metrics)
    await open_alert(harness.store)
    slack.fail("chat.postMessage", *([] if fault is None else [fault]))

    await outbox.deliver(AT + 5 * MINUTE)

    accepted = {("slack",): 1.0} if result == "sent" else {}
    assert {("slack", result): 1} == values(metrics, "deliveries_total")
    assert {("slack",): 1} == values(metrics, "delivery_duration_seconds_count")
    assert accepted == values(metrics, "delivery_latency_seconds_count")
    assert dict.fromkeys(accepted, 300.0) == values(metrics, "delivery_latency_seconds_sum")


async def test_a_message_that_is_dead_lettered_is_counted_and_shown(
    slack: FakeSlack, harness: Harness, metrics: Metrics
) -> None:
    outbox = metered(an_outbox(slack, harness.store), metrics)
    await open_alert(harness.store)
    slack.fail("chat.postMessage", *[error_response("msg_too_long")] * MAX_ATTEMPTS)

    for hour in range(MAX_ATTEMPTS - 1):
        await outbox.deliver(AT + hour * HOUR)
    metrics.record_backlog("slack", await harness.store.backlog(AT + HOUR))
    waiting, oldest = values(metrics, "deliveries_waiting"), values(metrics, "deliveries_oldest_waiting_seconds")
    await outbox.deliver(AT + MAX_ATTEMPTS * HOUR)
    metrics.record_backlog("slack", await harness.store.backlog(AT + HOUR))

    assert {("slack",): 1} == waiting
    assert {("slack",): 3600} == oldest
    assert {("slack", "refused"): MAX_ATTEMPTS - 1, ("slack", "dead_lettered"): 1} == values(
        metrics, "deliveries_total"
    )
    assert {("slack",): 1} == values(metrics, "deliveries_dead_lettered")
    assert {} == values(metrics, "deliveries_waiting")


def metered(outbox: Outbox, metrics: Metrics) -> Outbox:
    return Outbox(store=outbox.store, notifier=outbox.notifier, clock=outbox.clock, meter=metrics)


async def open_alert(store: SqlStore, channel: Channel = CHANNEL) -> None:
    change = AlertChange(alert=an_alert(channel=channel), revision=0, entries=(an_entry(silent=True),))
    await store.record([], [change], AT)


# Requests from Slack


@pytest.fixture
def bolt(slack: FakeSlack, metrics: Metrics) -> SlackApp:
    app = build_bolt(AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), SECRET)
    app.metrics = metrics

    @app.command("/minerpulse")
    async def answer(ack: AsyncAck) -> None:
        await ack("ok")

    return app


async def send(app: SlackApp, body: Mapping[str, object]) -> BoltResponse:
    return await dispatch(app, json.dumps(body), "application/json")


async def test_requests_of_slack_are_counted_by_kind_and_result(bolt: SlackApp, metrics: Metrics) -> None:
    event = {"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": {"type": "app_home_opened"}}
    bolt.only_team = "T1"

    await dispatch(bolt, urlencode(command_form("")))
    await dispatch(bolt, urlencode(command_form("", team_id="T2")))
    await send(bolt, event)
    await send(bolt, event)
    await dispatch(bolt, urlencode({"payload": json.dumps({"type": "block_actions", "team": {"id": "T2"}})}))

    assert {
        ("command", "ok"): 1,
        ("command", "refused"): 1,
        ("event", "ok"): 1,
        ("event", "replayed"): 1,
        ("action", "refused"): 1,
    } == values(metrics, "slack_requests_total")
    assert {(): 5} == values(metrics, "slack_ack_duration_seconds_count")


def test_an_acknowledgement_after_three_seconds_is_late(metrics: Metrics) -> None:
    metrics.count_slack_request({"command": "/minerpulse"}, SlackResult.OK, 3.2)

    assert {("command", "late"): 1} == values(metrics, "slack_requests_total")


async def test_unsigned_and_repeated_requests_are_counted_over_http(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, tmp_path, metrics_port=free_port())
    body = urlencode(command_form("help"))
    headers = signed_headers(body)

    async with running(settings) as client:
        for more in (headers, headers, {**headers, "x-slack-signature": "v0=0"}):
            await client.post("/slack/events", content=body, headers=more)
        text = (await client.get(f"http://127.0.0.1:{settings.metrics_port}/metrics")).text

    assert 'minerpulse_slack_requests_total{kind="command",result="ok"} 1.0' in text
    assert 'minerpulse_slack_requests_total{kind="command",result="replayed"} 1.0' in text
    assert 'minerpulse_slack_requests_total{kind="other",result="refused"} 1.0' in text
    assert "minerpulse_slack_ack_duration_seconds_count 1.0" in text
