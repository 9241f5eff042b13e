"""What the environment says about the network: proxies, hosts without a proxy, and certificates."""

import os
import ssl
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from services.core.errors import InvalidSettingsError

SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # HTTPS_PROXY holds for WebSockets too
PROXY_FORM = "http://proxy.example.com:3128"


def environment_proxy(url: str) -> str | None:
    """Return the proxy for a URL; None if there is none, or NO_PROXY covers its host.

    HTTPS_PROXY, HTTP_PROXY and ALL_PROXY count, in capitals or not. NO_PROXY lists domains, hosts with or without a
    port, addresses such as ::1 or [::1], networks such as 10.0.0.0/8, or `*` for everything.
    """
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(SCHEMES.get(parts.scheme, parts.scheme)) or proxies.get("all")
    if not proxy or _is_bypassed(parts.hostname or "", parts.port, proxies.get("no", "")):
        return None
    return _with_scheme(proxy)


def check_network_environment() -> None:
    """Raise InvalidSettingsError with a line for each variable that no connection could work with."""
    problems = [*_proxy_problems(), *_certificate_problems()]
    if problems:
        raise InvalidSettingsError("\n".join(problems))


def describe_proxies() -> str:
    """Return which proxies are used, without their passwords."""
    used = {scheme: environment_proxy(f"{scheme}://host.invalid/") for scheme in ("https", "http")}
    names = [f"{_without_user(proxy)} for {scheme}" for scheme, proxy in used.items() if proxy]
    return " and ".join(names) or "no proxy"


def _is_bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    shown = f"[{host}]" if ":" in host else host
    if proxy_bypass(f"{shown}:{port}" if port else shown):
        return True
    with suppress(ValueError):
        address = ip_address(host)
        return any(_is_in_network(address, entry.strip()) for entry in no_proxy.split(","))
    return False


def _is_in_network(address: object, entry: str) -> bool:
    with suppress(ValueError):
        return address in ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    return False


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _without_user(proxy: str) -> str:
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _proxy_problems() -> Iterator[str]:
    proxies = getproxies()
    if any(entry.strip() == "*" for entry in proxies.get("no", "").split(",")):
        return
    kinds = dict.fromkeys(kind if proxies.get(kind) else "all" for kind in ("https", "http"))
    for kind in kinds:
        if proxies.get(kind):
            problem = _proxy_problem(_with_scheme(proxies[kind]))
            if problem:
                yield problem.format(variable=_variable(kind))


def _proxy_problem(proxy: str) -> str | None:
    if proxy.lower().startswith("socks"):
        return (
            "{variable} names a SOCKS proxy, which MinerPulse doesn't support. "
            f"Set HTTPS_PROXY and HTTP_PROXY to a proxy such as {PROXY_FORM}, or unset {{variable}}."
        )
    if _is_proxy_url(proxy):
        return None
    return f"{{variable}} isn't the address of a proxy. Write it as in {PROXY_FORM}, or unset it."


def _is_proxy_url(proxy: str) -> bool:
    if not proxy.lower().startswith(("http://", "https://")) or not proxy.isprintable() or " " in proxy:
        return False
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port
        encoded = host if ":" in host else host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        return False
    return encoded != "" and port != 0


def _variable(kind: str) -> str:
    """Return the name of the variable that sets a kind of proxy; lower case wins, as in curl."""
    lower, upper = f"{kind}_proxy", f"{kind.upper()}_PROXY"
    return lower if os.environ.get(lower) else upper


def _certificate_problems() -> Iterator[str]:
    """Check where certificates are read from: SSL_CERT_FILE, else SSL_CERT_DIR."""
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        except ssl.SSLError:
            yield f"SSL_CERT_FILE names {file}, which has no PEM certificates. Name another file, or unset it."
        except OSError as error:
            yield f"SSL_CERT_FILE names {file}, which can't be read: {error.strerror}. Name another, or unset it."
    elif folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        yield f"SSL_CERT_DIR names {folders}, which isn't a folder. Name a folder of certificates, or unset it."
