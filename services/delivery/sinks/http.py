"""POST to a sink over HTTPS, with a guard against addresses inside the network where the app runs."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

import httpx

from services.core.errors import DeliveryError, MessageRefusedError

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S = 5.0, 20.0
MAX_ANSWER_BYTES = 16 * 1024
PORTS = frozenset({443, 8443})
ACCEPTED = range(200, 300)
REDIRECTS = range(300, 400)
TOO_MANY, GONE, SERVER_ERROR = 429, 410, 500
REFUSED = frozenset({400, 413, 422})  # of this page, not of the sink
MAX_RETRY_AFTER = timedelta(hours=1)
# Prefixes behind which an address of IPv4 or of a site can be: NAT64, 6to4, Teredo, IPv4-compatible and -translated.
EMBEDDING = ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96", "fec0::/10")
MAPPED = tuple(map(ipaddress.ip_network, EMBEDDING))
NEVER = tuple(map(ipaddress.ip_network, ("169.254.0.0/16", "fe80::/10")))  # cloud metadata; no list opens them


class AddressRefusedError(DeliveryError):
    """A sink's host is at an address that pages may not reach."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(
            f"{host} {reason}. An operator can allow its network with `allow_networks`.",
            permanent=True,
            surely_not_posted=True,
        )


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Decides which addresses a sink may be at: public ones, and those that its operator allows."""

    allowed: tuple[Network, ...] = ()
    ports: frozenset[int] = PORTS

    def permits(self, address: Address) -> bool:
        """Return whether pages may be sent to an address."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if _is_in(address, NEVER):
            return False
        if _is_in(address, self.allowed):
            return True
        return address.is_global and not address.is_multicast and not _is_in(address, MAPPED)

    async def resolve(self, host: str, port: int, *, is_plain: bool = False) -> str:
        """Return an address of a host, after every one of its addresses was checked.

        The connection is made to this address, so that the name cannot mean another one by then. Raises DeliveryError.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise DeliveryError(f"{host} can't be found.", permanent=False, surely_not_posted=True) from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        is_listed = all(_is_in(address, self.allowed) for address in addresses)
        if is_plain and not is_listed:
            raise AddressRefusedError(host, "is reached without encryption, outside the listed networks")
        if port not in self.ports and not is_listed:
            raise AddressRefusedError(f"{host}:{port}", f"isn't on port {' or '.join(map(str, sorted(self.ports)))}")
        for address in addresses:
            if not self.permits(address):
                raise AddressRefusedError(host, f"is at {address}, which is inside a private network")
        return str(addresses[0])


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to the checked address of a host; TLS and the Host header keep the host's name."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, retries=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to a checked address. Raises DeliveryError or an httpx error."""
        host, is_plain = request.url.host, request.url.scheme == "http"
        port = request.url.port or (80 if is_plain else 443)
        address = await self._guard.resolve(host, port, is_plain=is_plain)
        request.headers["Host"] = request.url.netloc.decode()
        request.url = request.url.copy_with(host=address)
        request.extensions = {**request.extensions, "sni_hostname": host}
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@dataclass(slots=True)
class SinkClient:
    """POSTs pages to one host; maps each outcome to what the dispatcher must do about it."""

    guard: AddressGuard = field(default_factory=AddressGuard)
    https_only: bool = True

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        """POST and return the start of the answer, which is never shown in Slack. Raises DeliveryError."""
        if self.https_only and not url.startswith("https://"):
            raise DeliveryError("Sinks are reached over https only.", permanent=True, surely_not_posted=True)
        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        transport = GuardedTransport(self.guard)
        client = httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)
        async with client:
            try:
                async with client.stream("POST", url, content=content, headers=dict(headers)) as response:
                    body = await _read_start(response)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                raise DeliveryError(
                    f"No connection to {_host(url)}.", permanent=False, surely_not_posted=True
                ) from error
            except httpx.HTTPError as error:
                raise DeliveryError(
                    f"{_host(url)} didn't respond ({type(error).__name__}).", permanent=False, surely_not_posted=False
                ) from error
        check_status(_host(url), response.status_code, response.headers.get("retry-after"))
        return body


async def _read_start(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES]


def _host(url: str) -> str:
    return httpx.URL(url).host


def check_status(host: str, status: int, retry_after: str | None = None) -> None:
    """Raise DeliveryError, or MessageRefusedError, unless the status says that the page was accepted."""
    if status in ACCEPTED:
        return
    problem = f"{host} returned HTTP {status}."
    if status in REFUSED:
        raise MessageRefusedError(f"{problem} It rejected this page.", permanent=False, surely_not_posted=True)
    if status == TOO_MANY:
        wait = _retry_after(retry_after)
        raise DeliveryError(problem, permanent=False, surely_not_posted=True, retry_after=wait)
    if status >= SERVER_ERROR:
        raise DeliveryError(problem, permanent=False, surely_not_posted=False)
    hint = "It redirects, which pages don't follow" if status in REDIRECTS else "Check its address and secret"
    hint = "The address is no longer in use" if status == GONE else hint
    raise DeliveryError(f"{problem} {hint}.", permanent=True, surely_not_posted=True)


def _retry_after(value: str | None) -> timedelta | None:
    seconds = int(value) if value and value.isdecimal() and len(value) <= len("86400") else None
    return None if seconds is None else min(timedelta(seconds=seconds), MAX_RETRY_AFTER)
