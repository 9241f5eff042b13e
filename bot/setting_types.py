"""The values that settings take: each type checks itself, and says what to do where it does not fit."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

SIMULATED = "simulated"
_KEY = re.compile(r"[\w-]{43}=", re.ASCII)  # 32 bytes in base64
_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,9}", re.ASCII)


def _token(prefix: str, what: str) -> AfterValidator:
    def check(token: SecretStr) -> SecretStr:
        if not token.get_secret_value().startswith(prefix):
            raise ValueError(f"it does not begin with {prefix}; copy the {what}")
        return token

    return AfterValidator(check)


def _signing_secret(secret: SecretStr) -> SecretStr:
    if secret.get_secret_value().startswith("x"):
        raise ValueError("it is a token; copy the Signing Secret from Basic Information")
    return secret


def _fernet_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(_KEY.fullmatch(key.get_secret_value()) for key in keys):
        raise ValueError("it is no list of keys; `minerpulse keys new` prints one, and commas stand between several")
    return keys


def _parts(text: object) -> object:
    """Read a list of secrets, in their order; a tuple is one already."""
    return tuple(word for word in re.split(r"[,\s]+", text) if word) if isinstance(text, str) else text


def symbol(text: str) -> str:
    """Read a ticker symbol, in capitals. Raises ValueError, which says how to write one."""
    if not _SYMBOL.fullmatch(text.upper()):
        raise ValueError("it is not a ticker symbol; write it as in WGMI or BTC")
    return text.upper()


def _url(text: str) -> str:
    if not re.match(r"https?://[^/\s]+", text):
        raise ValueError("it is not a web address; it begins with https:// (or http:// on this machine)")
    return text.rstrip("/")


def _secret_url(text: SecretStr) -> SecretStr:
    return SecretStr(_url(text.get_secret_value()))


def _folder_url(text: str) -> str:
    return f"{_url(text)}/"


def _database_url(text: str) -> str:
    if not re.match(r"[\w+]+://", text):
        raise ValueError("it is not a database URL; write it as in sqlite:///minerpulse.db")
    return text


def _names(text: object) -> object:
    """Read a list of names, in their order; a tuple is one already."""
    return tuple(word.lower() for word in re.split(r"[,\s]+", text) if word) if isinstance(text, str) else text


def _choice(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("it names no source")
    if len(set(names)) < len(names):
        raise ValueError("it names a source twice")
    if SIMULATED in names and len(names) > 1:
        raise ValueError("simulated prices stand alone; name it by itself, or only vendors")
    return names


def _addresses(text: object) -> object:
    """Read addresses by name, as in yahoo=http://127.0.0.1:8080; a mapping is one already."""
    if not isinstance(text, str):
        return text
    pairs = [word.partition("=") for word in re.split(r"[,\s]+", text) if word]
    if any(not (name and mark and address) for name, mark, address in pairs):
        raise ValueError("it is no list of addresses; write it as in yahoo=http://127.0.0.1:8080")
    return {name.lower(): _url(address) for name, _mark, address in pairs}


def _members(text: object) -> object:
    """Read a list of Slack member IDs, in their order; a tuple is one already."""
    return tuple(word.upper() for word in re.split(r"[,\s]+", text) if word) if isinstance(text, str) else text


def _member_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    strangers = [one for one in ids if not re.fullmatch(r"[UW][A-Z0-9]{4,}", one)]
    if strangers:
        raise ValueError("it is no list of member IDs; copy each from a profile in Slack, as in U012AB3CD")
    return ids


def _upper(text: object) -> object:
    return text.upper() if isinstance(text, str) else text


BotToken = Annotated[SecretStr, _token("xoxb-", "Bot User OAuth Token from OAuth & Permissions")]
AppToken = Annotated[SecretStr, _token("xapp-", "App-Level Token from Basic Information")]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]
TokenKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_parts), AfterValidator(_fernet_keys)]
Ticker = Annotated[str, AfterValidator(symbol)]
Url = Annotated[str, AfterValidator(_url)]
HeartbeatUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
FolderUrl = Annotated[str, AfterValidator(_folder_url)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
EtfSources = Annotated[
    tuple[Literal["yahoo", "nasdaq", "alpaca", "tiingo", "twelvedata", "simulated"], ...],
    NoDecode,
    BeforeValidator(_names),
    AfterValidator(_choice),
]
CryptoSources = Annotated[
    tuple[Literal["coinbase", "kraken", "bitstamp", "binance", "alpaca", "simulated"], ...],
    NoDecode,
    BeforeValidator(_names),
    AfterValidator(_choice),
]
NetworkSources = Annotated[
    tuple[Literal["mempool", "blockchain"], ...], NoDecode, BeforeValidator(_names), AfterValidator(_choice)
]
Members = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_members), AfterValidator(_member_ids)]
Addresses = Annotated[dict[str, str], NoDecode, BeforeValidator(_addresses)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
