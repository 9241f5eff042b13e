"""Values of the metrics, and the server of /metrics on a port of its own.

The services record values as they happen, and the health check once a minute; a scrape prints what is in memory.
"""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.metadata import version

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector

from bot import metric_families as families
from bot.metric_families import FAMILIES, PAUSED, PREFIX, Family, Kind, SlackKind, SlackResult
from services.alerting.alert import EntryKind
from services.alerting.ports import StatusCounts
from services.alerting.tick_log import MISSING, WAITING, TickOutcome, TickResult
from services.core.errors import InvalidSettingsError, NoHistoryError
from services.core.prices import Pair
from services.core.text import bind_failure
from services.core.trust import Verdict
from services.delivery.ports import AttemptOutcome, Backlog
from services.market.measure import Measurement, Window
from services.market.network_service import NetworkService
from services.market.ports import CryptoSource, EquitySource, HasBackoff, NetworkSource, RequestOutcome
from services.market.price_history import PriceHistory
from services.market.sources.catalogue import SOURCES
from services.rules.market_view import MarketView

OTHER = "other"
MAX_NAMES = 20  # of pairs and of symbols, each of which has some series
PAIR_LIFETIME = timedelta(minutes=5)  # of a pair's gauges: another process may have the pair now, or no rule uses it
LATE_S = 3.0  # Slack shows an error after it
SLACK_KINDS = {  # by the type of the body; a command has none
    "event_callback": SlackKind.EVENT,
    "block_actions": SlackKind.ACTION,
    "shortcut": SlackKind.ACTION,
    "message_action": SlackKind.ACTION,
    "view_submission": SlackKind.VIEW,
    "view_closed": SlackKind.VIEW,
}
SOURCE_NAMES = {row.title: row.name for row in SOURCES}  # as settings have them, by the names of the sources
VERDICTS = (*(verdict.value for verdict in Verdict), WAITING, MISSING)


class Metrics:
    """All families in a registry of their own; implements the meters of the services.

    The first 20 pairs and symbols have series of their own. Counters count the rest as `other`; gauges leave it out.
    """

    def __init__(self, *, database: str, every: timedelta = timedelta(minutes=1)) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters = {one: Counter(*_definition(one), registry=self.registry) for one in _of(Kind.COUNTER)}
        self._gauges = {one: Gauge(*_definition(one), registry=self.registry) for one in _of(Kind.GAUGE)}
        self._histograms = {
            one: Histogram(*_definition(one), buckets=one.buckets, registry=self.registry)
            for one in _of(Kind.HISTOGRAM)
        }
        self._names: dict[str, set[str]] = {"pair": set(), "symbol": set()}
        self._pair_lifetime = max(PAIR_LIFETIME, 3 * every)
        self._recorded_at: dict[str, datetime] = {}  # by pair
        self._set_known_to_zero()
        self._gauges[families.BUILD].labels(version("minerpulse"), platform.python_version(), database).set(1)
        self._gauges[families.TOKEN_VALID].set(1)
        self._gauges[families.DATABASE_UP].set(1)

    def _set_known_to_zero(self) -> None:
        """Create the series of all known label values, so that the first event is an increase from 0."""
        for family, metric in (*self._counters.items(), *self._gauges.items(), *self._histograms.items()):
            for labels in family.known_labels():
                metric.labels(*labels)

    def count_request(self, source: str, outcome: RequestOutcome, seconds: float, problem: str | None = None) -> None:
        """Count a request to a source; see RequestMeter."""
        del problem
        name = SOURCE_NAMES.get(source, source)
        self._counters[families.REQUESTS].labels(name, outcome.value).inc()
        self._histograms[families.REQUEST_DURATION].labels(name).observe(seconds)

    def count_tick(self, pair: Pair, outcome: TickOutcome) -> None:
        """Count a tick of a pair; see TickMeter."""
        self._counters[families.TICKS].labels(self._name("pair", str(pair)) or OTHER, outcome.value).inc()

    def record_market(self, result: TickResult, view: MarketView | NoHistoryError, rules: int) -> None:
        """Record what a tick found; see TickMeter."""
        self._counters[families.EVALUATIONS].inc(rules)
        pair = self._name("pair", str(result.pair))
        if pair is not None:
            self._recorded_at[pair] = result.at
            for verdict in VERDICTS:
                self._gauges[families.VERDICT].labels(pair, verdict).set(verdict == result.verdict)
            self._record_spreads(pair, _spreads(view) if result.usable else {})
        for price in result.prices:
            if symbol := self._name("symbol", price.symbol):
                self._gauges[families.LAST_QUOTE].labels(symbol).set(price.at.timestamp())

    def _record_spreads(self, pair: str, spreads: Mapping[Window, float]) -> None:
        """Set the spread of each window; a window that cannot be measured now has no series."""
        gauge = self._gauges[families.SPREAD]
        for window in Window:
            if window in spreads:
                gauge.labels(pair, window.value).set(spreads[window])
            else:
                gauge.remove_by_labels({"pair": pair, "window": window.value})

    def record_ticks(self, seconds: float, last_good_at: datetime | None, now: datetime) -> None:
        """Record one tick over all pairs, and remove the gauges of pairs that this process no longer ticks."""
        self._histograms[families.TICK_DURATION].observe(seconds)
        if last_good_at is not None:
            self._gauges[families.LAST_TICK].set(last_good_at.timestamp())
        for pair in [pair for pair, at in self._recorded_at.items() if now - at > self._pair_lifetime]:
            del self._recorded_at[pair]
            self._names["pair"].discard(pair)
            self._gauges[families.VERDICT].remove_by_labels({"pair": pair})
            self._gauges[families.SPREAD].remove_by_labels({"pair": pair})

    def count_event(self, event: EntryKind) -> None:
        """Count an event of an alert."""
        self._counters[families.EVENTS].labels(event.value).inc()

    def count_attempt(self, sink: str, outcome: AttemptOutcome, seconds: float, latency: timedelta | None) -> None:
        """Count a delivery attempt; see DeliveryMeter."""
        self._counters[families.DELIVERIES].labels(sink, outcome.value).inc()
        self._histograms[families.DELIVERY_DURATION].labels(sink).observe(seconds)
        if latency is not None:
            self._histograms[families.DELIVERY_LATENCY].labels(sink).observe(latency.total_seconds())

    def count_slack_request(
        self, body: Mapping[str, object], result: SlackResult, seconds: float | None = None
    ) -> None:
        """Count a request of Slack, with the time until its acknowledgement if it was acknowledged."""
        if seconds is not None:
            self._histograms[families.ACK_DURATION].observe(seconds)
            if result is SlackResult.OK and seconds > LATE_S:
                result = SlackResult.LATE
        self._counters[families.SLACK_REQUESTS].labels(_slack_kind(body).value, result.value).inc()

    def record_sources(self, history: PriceHistory, network: NetworkService, now: datetime) -> None:
        """Record which sources may be asked, what is quarantined, and whether New York trades."""
        priced: list[EquitySource | CryptoSource | NetworkSource] = [*history.equities, *history.cryptos]
        sources = [*priced, *(feed.source for feed in network.feeds)]
        up: dict[str, bool] = {}
        for source in sources:
            is_up = not (isinstance(source, HasBackoff) and source.backoff_until(now) is not None)
            up[source.name] = is_up and up.get(source.name, True)
        for name, is_up in up.items():
            self._gauges[families.SOURCE_UP].labels(SOURCE_NAMES.get(name, name)).set(is_up)
        for symbol, number in history.quarantined().items():
            if known := self._name("symbol", symbol):
                self._gauges[families.QUARANTINED].labels(known).set(number)
        self._gauges[families.MARKET_OPEN].set(history.sessions(now).state_at(now).is_open)

    def record_health(self, *, database: bool, slack_refuses: bool) -> None:
        """Record whether the database answers and Slack accepts the token."""
        self._gauges[families.DATABASE_UP].set(database)
        self._gauges[families.TOKEN_VALID].set(not slack_refuses)

    def record_backlog(self, sink: str, backlog: Backlog) -> None:
        """Record the messages that a sink does not have yet."""
        age = backlog.oldest_age.total_seconds() if backlog.oldest_age else 0
        self._gauges[families.WAITING].labels(sink).set(backlog.waiting)
        self._gauges[families.OLDEST].labels(sink).set(age)
        self._gauges[families.DEAD_LETTERED].labels(sink).set(backlog.dead_lettered)

    def record_counts(self, counts: StatusCounts, *, single_workspace: bool) -> None:
        """Record what the database has. A single workspace has no row among the installations."""
        states = {status.value: number for status, number in counts.rules.items()} | {PAUSED: counts.paused_rules}
        for state, number in states.items():
            self._gauges[families.RULES].labels(state).set(number)
        for subject in families.SUBJECTS:
            self._gauges[families.ALERTS_OPEN].labels(subject).set(counts.alerts.get(subject, 0))
        self._gauges[families.INSTALLATIONS].set(1 if single_workspace else counts.installations)

    def _name(self, label: str, value: str) -> str | None:
        """Return a label's value; None if there are too many."""
        known = self._names[label]
        if value in known or len(known) < MAX_NAMES:
            known.add(value)
            return value
        return None


def _definition(family: Family) -> tuple[str, str, tuple[str, ...]]:
    return PREFIX + family.name, family.help, family.labels


def _of(kind: Kind) -> list[Family]:
    return [family for family in FAMILIES if family.kind is kind]


def _slack_kind(body: Mapping[str, object]) -> SlackKind:
    return SlackKind.COMMAND if "command" in body else SLACK_KINDS.get(str(body.get("type")), SlackKind.OTHER)


def _spreads(view: MarketView | NoHistoryError) -> Mapping[Window, float]:
    """Return the spread over each window that can be measured."""
    if isinstance(view, NoHistoryError):
        return {}
    measured = view.current.measurements.items()
    return {window: one.spread for window, one in measured if isinstance(one, Measurement)}


@contextmanager
def serve_metrics(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Serve /metrics in a thread until the block ends; yield the port.

    A thread of its own answers also while the event loop is busy. Raises InvalidSettingsError if the address is taken.
    """
    try:
        server, thread = prometheus_client.start_http_server(port, host.strip("[]"), metrics.registry)
    except OSError as error:
        raise InvalidSettingsError(
            f"Can't listen on {host}:{port} for metrics ({bind_failure(error)}). Free the port, or change "
            "MINERPULSE_METRICS_PORT or MINERPULSE_METRICS_HOST."
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
