"""The types of setting values. Each validates its value; its error explains the fix."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from services.market.sources.catalogue import CRYPTO, EQUITY, NETWORK, SOURCES, SourceKind
from services.storage.location import default_url

SIMULATED = "simulated"
PUE_COUNT, MAX_PUE = 3, 3.0
_SOURCE_NAMES = tuple(row.name for row in SOURCES if row.name != SIMULATED)
_KEY = re.compile(r"[\w-]{43}=", re.ASCII)  # 32 bytes in base64
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,9}", re.ASCII)


def _check_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text[:1] in {'"', "'"}:
        raise ValueError("it begins with a quotation mark; remove the quotation marks")
    if not re.fullmatch(r"[!-~]*", text):
        raise ValueError("it contains a space or a character that tokens never have; copy it again")
    return secret


def _require_prefix(prefix: str, what: str) -> AfterValidator:
    def check(token: SecretStr) -> SecretStr:
        _check_secret(token)
        if not token.get_secret_value().startswith(prefix):
            raise ValueError(f"it doesn't begin with {prefix}; copy the {what}")
        return token

    return AfterValidator(check)


def _check_signing_secret(secret: SecretStr) -> SecretStr:
    _check_secret(secret)
    if secret.get_secret_value().startswith("x"):
        raise ValueError("it isn't a signing secret (32 hex characters); copy it from Basic Information")
    return secret


def _check_fernet_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(_KEY.fullmatch(key.get_secret_value()) for key in keys):
        raise ValueError("it isn't a list of keys; create them with `minerpulse keys new`; separate them with commas")
    return keys


def _split(change: Callable[[str], str] = str) -> BeforeValidator:
    """Split text at commas and spaces, in order, and change each item; another value is kept as is."""

    def split(text: object) -> object:
        return tuple(change(item) for item in re.split(r"[,\s]+", text) if item) if isinstance(text, str) else text

    return BeforeValidator(split)


def _require_number(pattern: re.Pattern[str], problem_type: str, problem: str) -> BeforeValidator:
    """Refuse what Python reads as a number and people don't write as one, as in 6_0 or digits of other scripts."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        if not pattern.fullmatch(text := value.strip()):
            raise PydanticCustomError(problem_type, problem)
        return text

    return BeforeValidator(check)


def _check_host(text: str) -> str:
    """Return a host name or an IP address, without the brackets of IPv6."""
    host = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        ip_address(host)
    except ValueError:
        if host is not text or not _HOST.fullmatch(host):
            raise ValueError("it isn't a host name or IP address such as 127.0.0.1, without a port") from None
    return host


def parse_symbol(text: str) -> str:
    """Return a ticker symbol in capitals. Raises ValueError with the expected form."""
    if not _SYMBOL.fullmatch(text.upper()):
        raise ValueError("it isn't a ticker symbol; use one such as WGMI or BTC")
    return text.upper()


def _parse_pue(text: object) -> object:
    """Parse three numbers. Raises ValueError with the expected form."""
    if not isinstance(text, str):
        return text
    items = [item for item in re.split(r"[,\s]+", text) if item]
    numbers = tuple(map(float, items)) if all(map(_DECIMAL.fullmatch, items)) else ()
    if len(numbers) != PUE_COUNT or not 1 <= numbers[0] <= numbers[1] <= numbers[2] <= MAX_PUE:
        raise ValueError(
            f"it isn't three ascending numbers from 1 to {MAX_PUE:g}; write the lower, best and upper values, "
            "such as 1.01,1.10,1.20"
        )
    return numbers


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or re.search(r"\s", text):
        raise ValueError("it isn't a web address; use one that begins with https:// (or http:// on this machine)")
    return text.rstrip("/")


def is_plain_http(address: str) -> bool:
    """Return whether an address is http:// on another machine."""
    parsed = urlsplit(address)
    if parsed.scheme != "http":
        return False
    host = parsed.hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")


def _check_secret_url(text: SecretStr) -> SecretStr:
    return SecretStr(_check_url(text.get_secret_value()))


def _check_folder_url(text: str) -> str:
    return f"{_check_url(text)}/"


def _check_database_url(text: str) -> str:
    if not text:
        return default_url()
    if not re.match(r"[\w+]+://", text):
        raise ValueError("it isn't a database URL; use one such as sqlite:///minerpulse.db")
    return text


def vendor_names(kind: SourceKind[Any]) -> tuple[str, ...]:
    """Return the names of the vendors of one kind, in the catalogue's order."""
    return tuple(row.name for row in SOURCES if kind.factory(row) and row.name != SIMULATED)


def _require_sources(*choices: str) -> AfterValidator:
    *first, last = (f"'{name}'" for name in choices)

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if not set(names) <= set(choices):
            raise PydanticCustomError("unknown_source", f"it should be {', '.join(first)} or {last}")
        if not names:
            raise ValueError("it doesn't name a source")
        if len(set(names)) < len(names):
            raise ValueError("it names a source twice")
        if SIMULATED in names and len(names) > 1:
            raise ValueError("simulated can't be combined with other sources; use one or the other")
        return names

    return AfterValidator(check)


def _parse_source_urls(text: object) -> object:
    """Parse URLs by source name, such as yahoo=http://127.0.0.1:8080; a mapping is returned as is."""
    if not isinstance(text, str):
        return text
    pairs = [item.partition("=") for item in re.split(r"[,\s]+", text) if item]
    if any(not (name and separator and address) for name, separator, address in pairs):
        raise ValueError("it isn't a list of addresses; use NAME=ADDRESS, such as yahoo=http://127.0.0.1:8080")
    unknown = next((name for name, _separator, _address in pairs if name.lower() not in _SOURCE_NAMES), None)
    if unknown is not None:
        raise ValueError(f"“{unknown}” isn't a source; use one of {', '.join(_SOURCE_NAMES)}")
    names = [name.lower() for name, _separator, _address in pairs]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"it has two addresses for {repeated}; keep one of them")
    return {name.lower(): _check_url(address) for name, _separator, address in pairs}


def _check_member_ids(member_ids: tuple[str, ...]) -> tuple[str, ...]:
    invalid = [member_id for member_id in member_ids if not re.fullmatch(r"[UW][A-Z0-9]{4,}", member_id)]
    if invalid:
        raise ValueError("it isn't a list of member IDs, such as U012AB3CD; copy each from the person's Slack profile")
    return member_ids


def _uppercase(text: object) -> object:
    return text.upper() if isinstance(text, str) else text


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
BotToken = Annotated[SecretStr, _require_prefix("xoxb-", "Bot User OAuth Token from OAuth & Permissions")]
AppToken = Annotated[SecretStr, _require_prefix("xapp-", "App-Level Token from Basic Information")]
SigningSecret = Annotated[SecretStr, AfterValidator(_check_signing_secret)]
TokenKeys = Annotated[tuple[SecretStr, ...], NoDecode, _split(), AfterValidator(_check_fernet_keys)]
PueBounds = Annotated[tuple[float, float, float], NoDecode, BeforeValidator(_parse_pue)]
WholeNumber = Annotated[int, _require_number(_WHOLE, "int_parsing", "it should be a whole number")]
DecimalNumber = Annotated[float, _require_number(_DECIMAL, "float_parsing", "it should be a number, such as 0.05")]
Host = Annotated[str, AfterValidator(_check_host)]
Ticker = Annotated[str, AfterValidator(parse_symbol)]
Url = Annotated[str, AfterValidator(_check_url)]
HeartbeatUrl = Annotated[SecretStr, AfterValidator(_check_secret_url)]
FolderUrl = Annotated[str, AfterValidator(_check_folder_url)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]
SourceNames = Annotated[tuple[str, ...], NoDecode, _split(str.lower)]
EtfSources = Annotated[SourceNames, _require_sources(*vendor_names(EQUITY), SIMULATED)]
CryptoSources = Annotated[SourceNames, _require_sources(*vendor_names(CRYPTO), SIMULATED)]
NetworkSources = Annotated[SourceNames, _require_sources(*vendor_names(NETWORK))]
MemberIds = Annotated[tuple[str, ...], NoDecode, _split(str.upper), AfterValidator(_check_member_ids)]
SourceUrls = Annotated[dict[str, str], NoDecode, BeforeValidator(_parse_source_urls)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_uppercase)]
