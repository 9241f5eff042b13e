"""Settings: the environment and .env, read once into a frozen object."""

import difflib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Self

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.env_file import env_file
from bot.logs import LogFormat
from bot.setting_types import (
    SIMULATED,
    AppToken,
    BotToken,
    CryptoSources,
    DatabaseUrl,
    DecimalNumber,
    EtfSources,
    FolderUrl,
    HeartbeatUrl,
    Host,
    LogLevel,
    MemberIds,
    NetworkSources,
    PueBounds,
    Secret,
    SigningSecret,
    SourceUrls,
    Ticker,
    TokenKeys,
    WholeNumber,
    is_plain_http,
    vendor_names,
)
from services.core.errors import InvalidSettingsError
from services.core.prices import Pair, Symbol
from services.market.mining_power import CAMBRIDGE_PUE
from services.market.sources.catalogue import CRYPTO, EQUITY, NETWORK, SOURCES

ENV_ENCODING = "utf-8-sig"  # Windows editors write a byte order mark, which would become a part of the first name
PREFIX = "MINERPULSE_"
FILE_SUFFIX = "_FILE"  # of the variable that names a file with a secret
SOURCE_KEYS = {row.name: row.keys for row in SOURCES}  # the settings that a source needs
MIN_STATUS_TOKEN = 8  # characters
MAX_TYPOS = 2  # letters by which a name of ours is misspelled; with more it may be another program's
MIN_SIMILARITY = 0.75  # of a name that is taken for a misspelled one: TYPO is no CRYPTO
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


class SlackMode(Enum):
    """How the app receives Slack's requests: over HTTP, or over a socket that it opens."""

    AUTO = "auto"
    HTTP = "http"
    SOCKET = "socket"


class Settings(BaseSettings):
    """All settings. Each field is read from the environment variable that `variable_name` returns."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=PREFIX,
        env_file_encoding=ENV_ENCODING,
        env_ignore_empty=True,
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    slack_bot_token: BotToken | None = Field(
        default=None,
        validation_alias="SLACK_BOT_TOKEN",
        description="Bot User OAuth Token (xoxb-…), from OAuth & Permissions. Without it or SLACK_CLIENT_ID, "
        "MinerPulse doesn't connect to Slack.",
    )
    slack_signing_secret: SigningSecret | None = Field(
        default=None,
        validation_alias="SLACK_SIGNING_SECRET",
        description="Signing Secret, from Basic Information. Required if Slack reaches this app over HTTP.",
    )
    slack_app_token: AppToken | None = Field(
        default=None,
        validation_alias="SLACK_APP_TOKEN",
        description="App-Level Token (xapp-…) with connections:write. Required only for Socket Mode.",
    )
    slack_client_id: str | None = Field(
        default=None,
        validation_alias="SLACK_CLIENT_ID",
        description="Client ID, from Basic Information. Set it instead of a bot token to serve many workspaces.",
    )
    slack_client_secret: Secret | None = Field(
        default=None,
        validation_alias="SLACK_CLIENT_SECRET",
        description="Client Secret, from Basic Information. Required only with SLACK_CLIENT_ID.",
    )
    token_keys: TokenKeys = Field(
        default=(),
        description="Keys that encrypt workspace tokens and sink secrets, newest first. "
        "`minerpulse keys new` prints one.",
    )
    slack_mode: SlackMode = Field(
        default=SlackMode.AUTO,
        description="http, socket or auto. auto uses Socket Mode if SLACK_APP_TOKEN is set, and HTTP if not.",
    )
    slack_api_url: FolderUrl = Field(
        default="https://slack.com/api/",
        description="Address of Slack's Web API. Only tests change it.",
    )
    database_url: DatabaseUrl = Field(
        default="",
        validate_default=True,
        repr=False,
        description="The database: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME. By default, minerpulse.db "
        "in this folder if it exists, otherwise in $XDG_DATA_HOME/minerpulse (~/.local/share/minerpulse).",
    )
    sinks_file: Path | None = Field(
        default=None,
        description="TOML file with the sinks that channels can page: PagerDuty, webhooks and email.",
    )
    etf: Ticker = Field(default="WGMI", description="The ETF of the pair that the board shows.")
    crypto: Ticker = Field(default="BTC", description="The cryptocurrency that the ETF is compared with.")
    ai_proxy: Ticker = Field(
        default="SMH", description="The stock or ETF that represents AI in the return attribution."
    )
    cohorts: Path | None = Field(
        default=None,
        description="Your own CSV of cohorts, with the columns Ticker, Cohort, AsOf, Source. By default, the built-in "
        "file.",
    )
    etf_sources: EtfSources = Field(
        default=("yahoo", "nasdaq"),
        description=f"Sources of ETF prices, in order: any of {', '.join(vendor_names(EQUITY))}; or simulated.",
    )
    crypto_sources: CryptoSources = Field(
        default=("coinbase", "kraken", "bitstamp"),
        description=f"Sources of bitcoin prices, in order: any of {', '.join(vendor_names(CRYPTO))}; or simulated.",
    )
    network_sources: NetworkSources = Field(
        default=("mempool", "blockchain"),
        description="Sources of difficulty and hash rate, in order: "
        f"any of {', '.join(vendor_names(NETWORK))}. Ignored if prices are simulated; the network then is, too.",
    )
    electricity_usd_kwh: DecimalNumber = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Electricity price that miners pay, in US dollars per kWh, to estimate the network's power draw.",
    )
    pue: PueBounds = Field(
        default=CAMBRIDGE_PUE,
        description="PUE: a mining facility's total power divided by the power that its machines draw. Lower bound, "
        "best estimate, upper bound.",
    )
    machines: Path | None = Field(
        default=None,
        description="Your own CSV of mining machines, with the columns Machine, Released, J/TH, AsOf, Source. By "
        "default, the built-in file.",
    )
    alpaca_key_id: Secret | None = Field(default=None, description="Alpaca's key ID, if alpaca is a source.")
    alpaca_secret_key: Secret | None = Field(default=None, description="Alpaca's secret key. Required with the key ID.")
    tiingo_key: Secret | None = Field(default=None, description="Tiingo's API token, if tiingo is a source.")
    twelvedata_key: Secret | None = Field(default=None, description="Twelve Data's key, if twelvedata is a source.")
    seed: WholeNumber = Field(
        default=1, ge=0, description="Random seed for the simulated market. The same seed gives the same prices."
    )
    source_urls: SourceUrls = Field(
        default_factory=dict,
        description="Addresses to use instead of the sources' own, such as yahoo=http://127.0.0.1:8080 for a proxy.",
    )
    tick_seconds: WholeNumber = Field(
        default=60, ge=15, le=900, description="Seconds between checks of the market, from 15 to 900."
    )
    heartbeat_url: HeartbeatUrl | None = Field(
        default=None,
        description="Watchdog URL that gets a heartbeat after each market check, if MinerPulse is healthy.",
    )
    editors: MemberIds = Field(
        default=(),
        description="Editors for all channels, as Slack member IDs (U012AB3CD,U045EF6GH); they also see undelivered "
        "messages in all channels. If empty, everyone in the workspace is an editor, except in "
        "channels that name their own.",
    )
    max_rules_per_channel: WholeNumber = Field(default=50, ge=1, description="Maximum number of rules in a channel.")
    max_rules_per_workspace: WholeNumber = Field(
        default=10_000, ge=1, description="Maximum number of rules in a workspace."
    )
    commands_per_minute: WholeNumber = Field(
        default=30,
        ge=1,
        description="Maximum number of commands and button presses per minute for each person in each channel.",
    )
    keep_days: WholeNumber | None = Field(
        default=None,
        ge=730,
        description="Days after which closed alerts with their threads and votes, closed notices, delivery "
        "attempts and records of changes are deleted; at least 730. If empty, they are kept.",
    )
    host: Host = Field(
        default="127.0.0.1", description="Address to listen on. 0.0.0.0 is every IPv4 address; :: includes IPv6."
    )
    port: WholeNumber = Field(default=3000, ge=0, le=65535, validation_alias="PORT", description="Port to listen on.")
    status_token: SecretStr | None = Field(
        default=None,
        min_length=MIN_STATUS_TOKEN,
        description="A password of your choice for the details in /readyz, sent as `Authorization: Bearer TOKEN`. "
        "Without it, /readyz only names the categories of problems.",
    )
    metrics_port: WholeNumber | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port on which Prometheus can scrape /metrics. Without it, metrics are off.",
    )
    metrics_host: Host = Field(
        default="127.0.0.1",
        description="Address to serve metrics on. The metrics have no authentication, so use an address on a private "
        "network.",
    )
    allow_plain_http: bool = Field(
        default=False,
        description="true allows http:// addresses on other machines. Others on the network can read and change that "
        "traffic.",
    )
    log_level: LogLevel = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: LogFormat = Field(default=LogFormat.TEXT, description="Format of log lines: text or json.")

    @property
    def pair(self) -> Pair:
        """The default pair of the board and of rules."""
        return Pair(etf=Symbol(self.etf), crypto=Symbol(self.crypto))

    @property
    def simulated(self) -> bool:
        """Whether a leg has simulated prices."""
        return SIMULATED in (*self.etf_sources, *self.crypto_sources)

    @property
    def network_source_names(self) -> tuple[str, ...]:
        """The sources of the bitcoin network; simulated if prices are."""
        return (SIMULATED,) if self.simulated else self.network_sources

    @property
    def source_keys(self) -> dict[str, str]:
        """The vendors' keys that are set, by setting name."""
        keys = {name: getattr(self, name) for names in SOURCE_KEYS.values() for name in names}
        return {name: key.get_secret_value() for name, key in keys.items() if key}

    @property
    def keep(self) -> timedelta | None:
        """How long closed alerts, final notices and delivery attempts are kept; None for always."""
        return None if self.keep_days is None else timedelta(days=self.keep_days)

    @property
    def tick_interval(self) -> timedelta:
        """The time between ticks."""
        return timedelta(seconds=self.tick_seconds)

    @property
    def has_slack(self) -> bool:
        """Whether Slack is configured, for one workspace or many."""
        return self.slack_bot_token is not None or self.distributed

    @property
    def distributed(self) -> bool:
        """Whether many workspaces install the app, instead of one bot token."""
        return self.slack_client_id is not None

    @property
    def socket_mode(self) -> bool:
        """Whether Slack is reached over Socket Mode. An app token serves nothing else, so it decides for `auto`."""
        if self.slack_mode is SlackMode.AUTO or self.distributed:  # distributed apps support HTTP only
            return self.slack_app_token is not None
        return self.slack_mode is SlackMode.SOCKET

    @model_validator(mode="after")
    def _check_source_keys(self) -> Self:
        values = self.source_keys
        sources = dict.fromkeys((*self.etf_sources, *self.crypto_sources))
        missing = [
            variable_name(name) for source in sources for name in SOURCE_KEYS.get(source, ()) if name not in values
        ]
        if missing:
            raise ValueError(f"A source has no key: set {' and '.join(missing)}, or choose another source.")
        return self

    @model_validator(mode="after")
    def _check_plain_http(self) -> Self:
        """Raise ValueError for an http:// address beyond this machine: prices and tokens could be read and changed."""
        addresses = {
            "slack_api_url": self.slack_api_url,
            "heartbeat_url": self.heartbeat_url.get_secret_value() if self.heartbeat_url else "",
            **{f"source_urls {name}": address for name, address in self.source_urls.items()},
        }
        plain = [name for name, address in addresses.items() if is_plain_http(address)]
        if plain and not self.allow_plain_http:
            setting, _, source = plain[0].partition(" ")
            raise ValueError(
                f"{variable_name(setting)}: {source or 'it'} has an unencrypted http:// address on another machine. "
                f"Use https://, or set {variable_name('allow_plain_http')}=true."
            )
        return self

    @model_validator(mode="after")
    def _check_one_workspace_or_many(self) -> Self:
        if self.distributed and (self.slack_bot_token or self.slack_app_token):
            extra = "SLACK_BOT_TOKEN" if self.slack_bot_token else "SLACK_APP_TOKEN"
            raise ValueError(f"SLACK_CLIENT_ID is for many workspaces, {extra} for one. Unset one of them.")
        return self

    @model_validator(mode="after")
    def _check_slack_complete(self) -> Self:
        missing = self._missing_slack_variables()
        if missing:
            raise ValueError(f"Slack is only partly configured: missing {' and '.join(missing)}. {INCOMPLETE_HINT}")
        return self

    def _missing_slack_variables(self) -> list[str]:
        if self.slack_client_id or self.slack_client_secret or self.token_keys:
            required = ("slack_client_id", "slack_client_secret", "slack_signing_secret", "token_keys")
            return [variable_name(name) for name in required if not getattr(self, name)]
        if not (self.slack_bot_token or self.slack_signing_secret or self.slack_app_token):
            return []
        missing = [] if self.slack_bot_token else ["SLACK_BOT_TOKEN"]
        if self.socket_mode and not self.slack_app_token:
            return [*missing, "SLACK_APP_TOKEN (for Socket Mode)"]
        if not self.socket_mode and not self.slack_signing_secret:
            either = " (for HTTP) or SLACK_APP_TOKEN (for Socket Mode)"
            return [*missing, f"SLACK_SIGNING_SECRET{either if self.slack_mode is SlackMode.AUTO else ' (for HTTP)'}"]
        return missing


MESSAGES = {  # by pydantic's type of error, where its own message is for programmers
    "bool_parsing": "it should be true or false",
    "int_parsing": "it should be a whole number",
    "too_short": "it is too short; use at least 8 characters",
}
INCOMPLETE_HINT = "Set what is missing, or unset all Slack variables to run without Slack."


def load_settings() -> Settings:
    """Read the environment and .env. Raises InvalidSettingsError with one line per problem, and no secret."""
    lines, problems = _read_env_file()
    secrets, secret_problems = _read_secret_files()
    problems += [*_unknown_variables(lines), *secret_problems]
    try:
        options: dict[str, Any] = {"_env_file": env_file.get(), **secrets}
        settings = Settings(**options)
    except ValidationError as error:
        problems += [_describe_error(one, lines) for one in error.errors(include_url=False, include_context=False)]
    else:
        if not problems:
            return settings
    raise InvalidSettingsError("\n".join(problems))


def variable_name(name: str) -> str:
    """Return the environment variable of a field."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


def secret_names() -> list[str]:
    """Return the fields that hold a secret; a file can hold its value."""
    return [name for name, one in Settings.model_fields.items() if "SecretStr" in repr(one.annotation) or not one.repr]


def _read_secret_files() -> tuple[dict[str, Any], list[str]]:
    """Return the secrets that variables like SLACK_BOT_TOKEN_FILE name, by field, and a sentence for each problem."""
    in_file = dotenv_values(env_file.get(), encoding=ENV_ENCODING) if env_file.get().is_file() else {}
    given = {name.upper(): value for name, value in {**in_file, **os.environ}.items() if value}
    secrets, problems = dict[str, Any](), list[str]()
    for field in secret_names():
        variable = variable_name(field)
        file = given.get(f"{variable}{FILE_SUFFIX}")
        if file is None:
            continue
        if variable in given:
            problems.append(f"{variable} and {variable}{FILE_SUFFIX} are both set. Unset one of them.")
            continue
        try:
            secrets[field] = Path(file).read_text(encoding=ENV_ENCODING).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it isn't UTF-8 text"
            problems.append(f"{variable}{FILE_SUFFIX}: can't read {file} ({why}). Name a readable text file.")
        else:
            if not secrets[field]:
                problems.append(f"{variable}{FILE_SUFFIX}: {file} is empty. Put the value in it.")
    return secrets, problems


@contextmanager
def without_variables(names: Sequence[str]) -> Iterator[None]:
    """Unset environment variables temporarily, because a library would act on them."""
    saved = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(saved)


def _read_env_file() -> tuple[dict[str, int], list[str]]:
    """Return the line of each name in .env, in capitals, and a sentence for each line that cannot be read.

    Raises InvalidSettingsError if all of it cannot be read; pydantic would ignore a folder without a word.
    """
    file = env_file.get()
    if not os.path.lexists(file):
        return {}, []
    if file.is_dir():
        raise InvalidSettingsError(f"{file} is a folder. Rename it, and put the settings in a file with that name.")
    if not file.is_file():
        raise InvalidSettingsError(f"{file} is neither a file nor a link to one. Replace it with a text file.")
    try:
        text = file.read_text(encoding=ENV_ENCODING)
    except UnicodeDecodeError as error:
        raise InvalidSettingsError(f"{file} isn't UTF-8 text. Save it as UTF-8.") from error
    except OSError as error:
        raise InvalidSettingsError(f"Can't read {file}: {error.strerror}. Make it readable by this user.") from error
    return _parse_env_lines(text)


def _parse_env_lines(text: str) -> tuple[dict[str, int], list[str]]:
    """Return the line of each name, in capitals, and a sentence for each line that is wrong."""
    file, lines, problems = env_file.get(), dict[str, int](), list[str]()
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original.string
        blank = original[: len(original) - len(original.lstrip())]
        line = binding.original.line + blank.count("\n")  # dotenv counts from the blank lines above
        if binding.error:
            quote = any(mark in original for mark in "\"'")
            advice = ", and close each quotation mark" if quote else ", or begin a comment with #"
            problems.append(f"Line {line} of {file} can't be read. Write NAME=value{advice}.")
        elif binding.key is not None and binding.value is None:
            problems.append(f"Line {line} of {file} has no value. Write NAME=value, or begin a comment with #.")
        elif binding.key is not None:
            name = binding.key.upper()
            if name in lines and _is_ours(name):
                problems.append(f"Lines {lines[name]} and {line} of {file} both set {name}. Delete one of them.")
            lines[name] = line
    return lines, problems


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) or name in known_variables()


def known_variables() -> list[str]:
    """Return the variables that settings are read from: one per field, and one per secret for a file that holds it."""
    files = (f"{variable_name(name)}{FILE_SUFFIX}" for name in secret_names())
    return [*map(variable_name, Settings.model_fields), *files]


def _unknown_variables(lines: Mapping[str, int]) -> list[str]:
    known = known_variables()
    given = {name.upper() for name in (*os.environ, *lines)}
    unknown = sorted(name for name in given - set(known) if name.startswith(PREFIX) or _resembles(name, known))
    return [f"{_located(name, lines)}: there is no such setting. {_suggestion(name, known)}" for name in unknown]


def _located(name: str, lines: Mapping[str, int]) -> str:
    """Return a variable's name, with its line in .env if the environment doesn't set it."""
    is_in_environment = any(one.upper() == name for one in os.environ)
    return name if is_in_environment or name not in lines else f"{name} (line {lines[name]} of {env_file.get()})"


def _resembles(name: str, known: list[str]) -> bool:
    """Return whether this is a misspelled name of ours, not one of another program; `PORT` resembles too many."""
    long_names = [one for one in known if one.startswith((PREFIX, "SLACK_"))]
    similar = difflib.get_close_matches(name, long_names, cutoff=MIN_SIMILARITY)
    return any(_typos(name, one) <= MAX_TYPOS for one in similar)


def _typos(text: str, other: str) -> int:
    """Return the edit distance of two texts: how many letters to insert, delete or replace."""
    distances = list(range(len(other) + 1))
    for row, letter in enumerate(text, 1):
        diagonal, distances[0] = distances[0], row
        for column, expected in enumerate(other, 1):
            change = diagonal + (letter != expected)
            diagonal = distances[column]
            distances[column] = min(change, diagonal + 1, distances[column - 1] + 1)
    return distances[-1]


def _suggestion(name: str, known: list[str]) -> str:
    candidates = {variable.removeprefix(PREFIX): variable for variable in known}
    nearest = name if name.startswith(PREFIX) else min(known, key=partial(_typos, name))
    matches = difflib.get_close_matches(nearest.removeprefix(PREFIX), candidates, n=1, cutoff=MIN_SIMILARITY)
    return f"Did you mean {candidates[matches[0]]}?" if matches else ".env.example lists all settings."


def _describe_error(problem: ErrorDetails, lines: Mapping[str, int]) -> str:
    """Return one of pydantic's errors as a sentence: variable, problem, fix."""
    message = MESSAGES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    message = message.replace("Input should", "it should")
    if not problem["loc"]:
        return message
    location = str(problem["loc"][0])
    name = (
        location
        if location in Settings.model_fields
        else next(n for n in Settings.model_fields if variable_name(n) == location)
    )
    variable = _located(variable_name(name), lines)
    line = f"{variable} {message[3:]}." if message.startswith("it ") else f"{variable}: {message}."
    return line if problem["type"] == "value_error" else f"{line} {Settings.model_fields[name].description}"
