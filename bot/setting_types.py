"""The types of setting values. Each validates its value; its error explains the fix."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

SIMULATED = "simulated"
_KEY = re.compile(r"[\w-]{43}=", re.ASCII)  # 32 bytes in base64
_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,9}", re.ASCII)


def _require_prefix(prefix: str, what: str) -> AfterValidator:
    def check(token: SecretStr) -> SecretStr:
        if not token.get_secret_value().startswith(prefix):
            raise ValueError(f"it does not begin with {prefix}; copy the {what}")
        return token

    return AfterValidator(check)


def _check_signing_secret(secret: SecretStr) -> SecretStr:
    if secret.get_secret_value().startswith("x"):
        raise ValueError("it is a token; copy the Signing Secret from Basic Information")
    return secret


def _check_fernet_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(_KEY.fullmatch(key.get_secret_value()) for key in keys):
        raise ValueError("it is no list of keys; `minerpulse keys new` prints one, and commas stand between several")
    return keys


def _split_secrets(text: object) -> object:
    """Split a list of secrets, in order; a tuple is returned as is."""
    return tuple(item for item in re.split(r"[,\s]+", text) if item) if isinstance(text, str) else text


def parse_symbol(text: str) -> str:
    """Return a ticker symbol in capitals. Raises ValueError with the expected form."""
    if not _SYMBOL.fullmatch(text.upper()):
        raise ValueError("it is not a ticker symbol; write it as in WGMI or BTC")
    return text.upper()


def _check_url(text: str) -> str:
    if not re.match(r"https?://[^/\s]+", text):
        raise ValueError("it is not a web address; it begins with https:// (or http:// on this machine)")
    return text.rstrip("/")


def _check_secret_url(text: SecretStr) -> SecretStr:
    return SecretStr(_check_url(text.get_secret_value()))


def _check_folder_url(text: str) -> str:
    return f"{_check_url(text)}/"


def _check_database_url(text: str) -> str:
    if not re.match(r"[\w+]+://", text):
        raise ValueError("it is not a database URL; write it as in sqlite:///minerpulse.db")
    return text


def _split_names(text: object) -> object:
    """Split a list of names, in order; a tuple is returned as is."""
    return tuple(item.lower() for item in re.split(r"[,\s]+", text) if item) if isinstance(text, str) else text


def _check_sources(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("it names no source")
    if len(set(names)) < len(names):
        raise ValueError("it names a source twice")
    if SIMULATED in names and len(names) > 1:
        raise ValueError("simulated prices stand alone; name it by itself, or only vendors")
    return names


def _parse_source_urls(text: object) -> object:
    """Parse URLs by source name, such as yahoo=http://127.0.0.1:8080; a mapping is returned as is."""
    if not isinstance(text, str):
        return text
    pairs = [item.partition("=") for item in re.split(r"[,\s]+", text) if item]
    if any(not (name and separator and address) for name, separator, address in pairs):
        raise ValueError("it is no list of addresses; write it as in yahoo=http://127.0.0.1:8080")
    return {name.lower(): _check_url(address) for name, _separator, address in pairs}


def _split_member_ids(text: object) -> object:
    """Split a list of Slack member IDs, in order; a tuple is returned as is."""
    return tuple(item.upper() for item in re.split(r"[,\s]+", text) if item) if isinstance(text, str) else text


def _check_member_ids(member_ids: tuple[str, ...]) -> tuple[str, ...]:
    invalid = [member_id for member_id in member_ids if not re.fullmatch(r"[UW][A-Z0-9]{4,}", member_id)]
    if invalid:
        raise ValueError("it is no list of member IDs; copy each from a profile in Slack, as in U012AB3CD")
    return member_ids


def _uppercase(text: object) -> object:
    return text.upper() if isinstance(text, str) else text


BotToken = Annotated[SecretStr, _require_prefix("xoxb-", "Bot User OAuth Token from OAuth & Permissions")]
AppToken = Annotated[SecretStr, _require_prefix("xapp-", "App-Level Token from Basic Information")]
SigningSecret = Annotated[SecretStr, AfterValidator(_check_signing_secret)]
TokenKeys = Annotated[
    tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_secrets), AfterValidator(_check_fernet_keys)
]
Ticker = Annotated[str, AfterValidator(parse_symbol)]
Url = Annotated[str, AfterValidator(_check_url)]
HeartbeatUrl = Annotated[SecretStr, AfterValidator(_check_secret_url)]
FolderUrl = Annotated[str, AfterValidator(_check_folder_url)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]
EtfSources = Annotated[
    tuple[Literal["yahoo", "nasdaq", "alpaca", "tiingo", "twelvedata", "simulated"], ...],
    NoDecode,
    BeforeValidator(_split_names),
    AfterValidator(_check_sources),
]
CryptoSources = Annotated[
    tuple[Literal["coinbase", "kraken", "bitstamp", "binance", "alpaca", "simulated"], ...],
    NoDecode,
    BeforeValidator(_split_names),
    AfterValidator(_check_sources),
]
NetworkSources = Annotated[
    tuple[Literal["mempool", "blockchain"], ...],
    NoDecode,
    BeforeValidator(_split_names),
    AfterValidator(_check_sources),
]
MemberIds = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_member_ids), AfterValidator(_check_member_ids)]
SourceUrls = Annotated[dict[str, str], NoDecode, BeforeValidator(_parse_source_urls)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_uppercase)]
