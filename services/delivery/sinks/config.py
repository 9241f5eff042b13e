"""Configuration of sinks: the types that exist, the operator's file, and how a sink is built from its options."""

import hashlib
import ipaddress
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

from services.alerting.paging import is_sink_name
from services.core.clock import Clock
from services.core.errors import InvalidSinkError
from services.core.rows import by_key
from services.delivery.pages import Page, Sink
from services.delivery.sinks.email import EmailSink, SmtpServer
from services.delivery.sinks.http import PORTS, AddressGuard, Network, SinkClient
from services.delivery.sinks.pagerduty import ENDPOINTS, KEY_LENGTH, PagerDutySink
from services.delivery.sinks.webhook import WebhookSink, parse_secret

Options: TypeAlias = Mapping[str, str]
ENV, FILE = "env:", "file:"
SECRET, TYPE = "secret", "type"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWords:
    """What pages say; the words are written where the app's other words are."""

    summary: Callable[[Page], str]
    details: Callable[[Page], Mapping[str, object]]
    body: Callable[[Page], str]
    document: Callable[[Page], Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkConfig:
    """One sink as its operator defined it; several values of an option are separated by spaces."""

    name: str
    type: str
    options: Options
    secret: str = field(repr=False)

    @property
    def version(self) -> str:
        """A hash of everything that matters to the sink, without telling what it is."""
        content = json.dumps([self.type, sorted(self.options.items()), self.secret])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the options and the secret as JSON, to be encrypted."""
        return json.dumps({"options": dict(self.options), "secret": self.secret})

    @classmethod
    def from_json(cls, name: str, sink_type: str, text: str) -> "SinkConfig":
        """Parse what `to_json` returned."""
        document = json.loads(text)
        return cls(name=name, type=sink_type, options=document["options"], secret=document["secret"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkTools:
    """What every sink is built with."""

    clock: Clock
    words: PageWords


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkType:
    """A kind of sink. Raises InvalidSinkError from `build` if an option can't be used.

    Attributes:
        required: Options that it needs.
        optional: Options that it may have.
        credential: What its secret is, for people.
    """

    name: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    credential: str
    build: Callable[[SinkConfig, SinkTools], Sink]


def build_sink(config: SinkConfig, tools: SinkTools) -> Sink:
    """Build a sink. Raises InvalidSinkError that names the option and what to do."""
    sink_type = SINK_TYPES.get(config.type)
    if sink_type is None:
        raise InvalidSinkError(config.name, f"“{config.type}” isn't a type of sink. Use {', '.join(SINK_TYPES)}.")
    known = {*sink_type.required, *sink_type.optional}
    if unknown := sorted(config.options.keys() - known):
        names = ", ".join(sorted(known)) or "none"
        raise InvalidSinkError(config.name, f"“{unknown[0]}” isn't an option of {config.type}. Options: {names}.")
    if missing := [option for option in sink_type.required if not config.options.get(option)]:
        raise InvalidSinkError(
            config.name, f"Option “{missing[0]}” is missing. Sinks of type {config.type} require it."
        )
    return sink_type.build(config, tools)


def parse_sinks_file(text: str, read_secret: Callable[[str], str]) -> dict[str, SinkConfig]:
    """Parse the operator's sinks, TOML with a table per sink; `read_secret` reads `env:NAME` or `file:PATH`.

    Raises InvalidSinkError.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSinkError("", f"The sinks file isn't valid TOML: {error}.") from error
    return {name: _parse_sink(name, table, read_secret) for name, table in tables.items()}


def _parse_sink(name: str, table: object, read_secret: Callable[[str], str]) -> SinkConfig:
    if not is_sink_name(name):
        raise InvalidSinkError(name, "Use at most 40 lowercase letters, digits, hyphens and underscores as its name.")
    if not isinstance(table, dict):
        raise InvalidSinkError(name, f"Write it as a table: [{name}], then its options.")
    reference = table.get(SECRET, "")
    if reference and not str(reference).startswith((ENV, FILE)):
        raise InvalidSinkError(name, f"Its secret is in the file itself. Use `{ENV}VARIABLE` or `{FILE}/path`.")
    options = {
        key: " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in table.items()
        if key not in (SECRET, TYPE)
    }
    secret = read_secret(str(reference)) if reference else ""
    return SinkConfig(name=name, type=str(table.get(TYPE, "")), options=options, secret=secret)


def _pagerduty(config: SinkConfig, tools: SinkTools) -> PagerDutySink:
    region = config.options.get("region", "us")
    if region not in ENDPOINTS:
        raise InvalidSinkError(config.name, f"Its region is “{region}”. Use {' or '.join(ENDPOINTS)}.")
    if len(config.secret) != KEY_LENGTH or not config.secret.isalnum():
        raise InvalidSinkError(config.name, f"Its secret isn't an integration key ({KEY_LENGTH} letters and digits).")
    return PagerDutySink(
        url=config.options.get("url") or ENDPOINTS[region],
        routing_key=config.secret,
        client=_client(config),
        summarize=tools.words.summary,
        details=tools.words.details,
    )


def _webhook(config: SinkConfig, tools: SinkTools) -> WebhookSink:
    secrets = tuple(parse_secret(config.name, one) for one in config.secret.split())
    if not secrets:
        raise InvalidSinkError(config.name, "It has no secret, so its receiver can't verify that pages are genuine.")
    return WebhookSink(
        name=config.name,
        url=config.options["url"],
        secrets=secrets,
        client=_client(config),
        clock=tools.clock,
        document=tools.words.document,
    )


def _email(config: SinkConfig, tools: SinkTools) -> EmailSink:
    options, sender = config.options, config.options["from"]
    recipients = tuple(options["to"].replace(",", " ").split())
    if not all(address.count("@") == 1 for address in (sender, *recipients)):
        raise InvalidSinkError(config.name, "“from” and “to” must be email addresses such as desk@example.com.")
    security = options.get("security", "starttls")
    if security not in ("starttls", "tls", "none"):
        raise InvalidSinkError(config.name, f"Its security is “{security}”. Use starttls, tls or none.")
    port = options.get("port", "465" if security == "tls" else "587")
    if not port.isdecimal():
        raise InvalidSinkError(config.name, f"Its port is “{port}”. Use a number.")
    server = SmtpServer(
        host=options["host"],
        port=int(port),
        username=options.get("username", ""),
        password=config.secret,
        use_tls=security == "tls",
        start_tls=security == "starttls",
    )
    return EmailSink(
        server=server, sender=sender, recipients=recipients, subject=tools.words.summary, body=tools.words.body
    )


def _client(config: SinkConfig) -> SinkClient:
    networks = tuple(_network(config.name, text) for text in config.options.get("allow_networks", "").split())
    url = config.options.get("url", "https://")
    scheme = urlsplit(url).scheme
    if scheme not in ("https", "http") or (scheme == "http" and not networks):
        raise InvalidSinkError(
            config.name, "Its url must start with https://. Only networks in `allow_networks` can use http://."
        )
    guard = AddressGuard(allowed=networks, ports=PORTS)
    return SinkClient(guard=guard, https_only=not networks)


def _network(name: str, text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidSinkError(name, f"“{text}” isn't a network such as 10.20.0.0/16.") from error


_ROWS = (
    SinkType(
        name="pagerduty",
        optional=("region", "url", "allow_networks"),
        credential="the integration key of an Events API v2 integration",
        build=_pagerduty,
    ),
    SinkType(
        name="webhook",
        required=("url",),
        optional=("allow_networks",),
        credential="`whsec_` and 24 to 64 bytes in base64; two during a rotation, separated by a space",
        build=_webhook,
    ),
    SinkType(
        name="email",
        required=("host", "from", "to"),
        optional=("port", "username", "security"),
        credential="the password of the mail server",
        build=_email,
    ),
)
SINK_TYPES = by_key("SINK_TYPES", lambda row: row.name, _ROWS)
