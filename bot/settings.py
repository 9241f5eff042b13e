"""Settings: the environment and .env, read once into a frozen object."""

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.logs import LogFormat
from bot.setting_types import (
    SIMULATED,
    AppToken,
    BotToken,
    CryptoSources,
    DatabaseUrl,
    EtfSources,
    FolderUrl,
    HeartbeatUrl,
    LogLevel,
    MemberIds,
    NetworkSources,
    SigningSecret,
    SourceUrls,
    Ticker,
    TokenKeys,
    vendor_names,
)
from services.core.errors import InvalidSettingsError
from services.core.prices import Pair, Symbol
from services.market.sources.catalogue import CRYPTO, EQUITY, NETWORK, SOURCES

ENV_FILE = Path(".env")
PREFIX = "MINERPULSE_"
SOURCE_KEYS = {row.name: row.keys for row in SOURCES}  # the settings that a source needs
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


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
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    slack_bot_token: BotToken | None = Field(
        default=None,
        validation_alias="SLACK_BOT_TOKEN",
        description="Bot User OAuth Token (xoxb-…), from OAuth & Permissions. Without it nothing connects to Slack.",
    )
    slack_signing_secret: SigningSecret | None = Field(
        default=None,
        validation_alias="SLACK_SIGNING_SECRET",
        description="Signing Secret, from Basic Information. Needed where Slack calls this app over HTTP.",
    )
    slack_app_token: AppToken | None = Field(
        default=None,
        validation_alias="SLACK_APP_TOKEN",
        description="App-Level Token (xapp-…) with connections:write. Needed for Socket Mode, and only for that.",
    )
    slack_client_id: str | None = Field(
        default=None,
        validation_alias="SLACK_CLIENT_ID",
        description="Client ID, from Basic Information. Where many workspaces install the app; instead of a bot token.",
    )
    slack_client_secret: SecretStr | None = Field(
        default=None,
        validation_alias="SLACK_CLIENT_SECRET",
        description="Client Secret, from Basic Information. Needed with SLACK_CLIENT_ID, and only for that.",
    )
    token_keys: TokenKeys = Field(
        default=(),
        description="Keys that seal the workspaces' tokens, newest first; `minerpulse keys new` prints one.",
    )
    slack_mode: SlackMode = Field(
        default=SlackMode.AUTO,
        description="http, socket or auto. auto uses Socket Mode where SLACK_APP_TOKEN is set, else HTTP.",
    )
    slack_api_url: FolderUrl = Field(
        default="https://slack.com/api/",
        description="Where Slack's Web API is called; only tests change it.",
    )
    database_url: DatabaseUrl = Field(
        default="sqlite+aiosqlite:///minerpulse.db",
        repr=False,
        description="The database: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME.",
    )
    etf: Ticker = Field(default="WGMI", description="The ETF of the pair that the board shows.")
    crypto: Ticker = Field(default="BTC", description="The cryptocurrency that the ETF is held against.")
    ai_proxy: Ticker = Field(
        default="SMH", description="The share or ETF that stands for AI where the ETF's return is explained."
    )
    cohorts: Path | None = Field(
        default=None, description="Your own file of cohorts: Ticker, Cohort, AsOf, Source. One comes with MinerPulse."
    )
    etf_sources: EtfSources = Field(
        default=("yahoo", "nasdaq"),
        description=f"Where ETF prices come from, in order: of {', '.join(vendor_names(EQUITY))}; or simulated.",
    )
    crypto_sources: CryptoSources = Field(
        default=("coinbase", "kraken", "bitstamp"),
        description=f"Where bitcoin's prices come from: of {', '.join(vendor_names(CRYPTO))}; or simulated.",
    )
    network_sources: NetworkSources = Field(
        default=("mempool", "blockchain"),
        description="Where difficulty and hash rate come from: "
        f"of {', '.join(vendor_names(NETWORK))}; made up where prices are.",
    )
    alpaca_key_id: SecretStr | None = Field(default=None, description="Alpaca's key ID, where alpaca is a source.")
    alpaca_secret_key: SecretStr | None = Field(default=None, description="Alpaca's secret key, beside its key ID.")
    tiingo_key: SecretStr | None = Field(default=None, description="Tiingo's API token, where tiingo is a source.")
    twelvedata_key: SecretStr | None = Field(default=None, description="Twelve Data's key, where it is a source.")
    seed: int = Field(default=1, ge=0, description="Which simulated market to draw; the same number, the same prices.")
    source_urls: SourceUrls = Field(
        default_factory=dict,
        description="Where sources are called instead of at home, as in yahoo=http://127.0.0.1:8080; for proxies.",
    )
    tick_seconds: int = Field(
        default=60, ge=15, le=900, description="How often the market is looked at, in seconds, from 15 to 900."
    )
    heartbeat_url: HeartbeatUrl | None = Field(
        default=None,
        description="Asked for after each tick while all is well, so that a watchdog can tell when it is not.",
    )
    editors: MemberIds = Field(
        default=(),
        description="Who may change rules in every channel, as Slack member IDs (U012AB3CD,U045EF6GH); where it is "
        "empty, everyone, unless the channel names people.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen at; 0.0.0.0 for every one.")
    port: int = Field(default=3000, ge=0, le=65535, validation_alias="PORT", description="The port to listen at.")
    log_level: LogLevel = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: LogFormat = Field(default=LogFormat.TEXT, description="How log lines are written: text or json.")

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
            raise ValueError(f"A chosen source lacks its key: set {' and '.join(missing)}, or choose another source.")
        return self

    @model_validator(mode="after")
    def _check_one_workspace_or_many(self) -> Self:
        if self.distributed and (self.slack_bot_token or self.slack_app_token):
            extra = "SLACK_BOT_TOKEN" if self.slack_bot_token else "SLACK_APP_TOKEN"
            raise ValueError(f"SLACK_CLIENT_ID is for many workspaces, {extra} for one: unset one of them.")
        return self

    @model_validator(mode="after")
    def _check_slack_complete(self) -> Self:
        missing = self._missing_slack_variables()
        if missing:
            raise ValueError(f"Slack is half configured: {' and '.join(missing)} not set. {INCOMPLETE_HINT}")
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


INCOMPLETE_HINT = "Set it, or unset the others to run without Slack."


def load_settings() -> Settings:
    """Read the environment and .env. Raises InvalidSettingsError with one line per problem, and no secret."""
    problems = _unknown_variables()
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_describe_error(details) for details in error.errors(include_url=False, include_context=False)]
    except UnicodeDecodeError as error:
        raise InvalidSettingsError(f"{ENV_FILE} is not UTF-8 text; save it as UTF-8.") from error
    else:
        if not problems:
            return settings
    raise InvalidSettingsError("\n".join(problems))


def variable_name(name: str) -> str:
    """Return the environment variable of a field."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


@contextmanager
def without_proxies() -> Iterator[None]:
    """Unset the proxy variables temporarily: slack_sdk sends even local calls through them."""
    saved = {name: os.environ.pop(name) for name in PROXY_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(saved)


def _unknown_variables() -> list[str]:
    known = [variable_name(name) for name in Settings.model_fields]
    given = {name.upper() for name in (*os.environ, *_env_file_names())}
    unknown = sorted(name for name in given - set(known) if name.startswith(PREFIX) or _resembles(name, known))
    return [f"{name}: there is no such setting{_suggestion(name, known)}." for name in unknown]


def _resembles(name: str, known: list[str]) -> bool:
    """Return whether this is a misspelled Slack variable, not one of another program."""
    return name.startswith("SLACK_") and bool(difflib.get_close_matches(name, known, n=1, cutoff=0.88))


def _env_file_names() -> list[str]:
    try:
        return list(dotenv_values(ENV_FILE, encoding="utf-8", interpolate=False))
    except UnicodeDecodeError:
        return []  # Settings reports this


def _suggestion(name: str, known: list[str]) -> str:
    candidates = {variable.removeprefix(PREFIX): variable for variable in known}
    matches = difflib.get_close_matches(name.removeprefix(PREFIX), candidates, n=1)
    return f"; did you mean {candidates[matches[0]]}" if matches else "; .env.example lists all there are"


def _describe_error(problem: ErrorDetails) -> str:
    """Return one of pydantic's errors as a sentence: variable, problem, fix."""
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if not problem["loc"]:
        return message
    location = str(problem["loc"][0])
    name = (
        location
        if location in Settings.model_fields
        else next(n for n in Settings.model_fields if variable_name(n) == location)
    )
    if problem["type"] == "value_error":
        return f"{variable_name(name)}: {message}."
    return f"{variable_name(name)}: {message}. {Settings.model_fields[name].description}"
