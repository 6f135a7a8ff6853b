"""HTTP to addresses that somebody named in a request: only where the shop wants it to go. No rules.

A name is resolved once, every address it has is judged, and the connection goes to what was judged:
a name that changes its mind meanwhile leads nowhere. Redirects are not followed.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Collection

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from edge.errors import Rfid3Error

TIMEOUT_S = 10.0
TRIES_WAIT_S = (1.0, 4.0, 16.0)
"""Waiting after the first, second and third try that failed; then once more, then no more."""


class ForbiddenAddressError(Rfid3Error):
    """The address is not one that may be posted to."""


def may_reach(address: str) -> bool:
    """Whether an address belongs to the shop's own network, or this machine.

    >>> [may_reach(a) for a in ("192.168.1.4", "127.0.0.1", "fd00::1", "8.8.8.8", "169.254.169.254")]
    [True, True, True, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return False
    return ip.is_private or ip.is_loopback


def checked_url(text: str, hosts: Collection[str], own_port: int = 0) -> URL:
    """``text`` as an address whose scheme and form are right; who it belongs to shows ``resolved``.

    Raises ForbiddenAddressError.
    """
    try:
        url = URL(text)
    except ValueError:
        raise ForbiddenAddressError(f"{text!r} is no address") from None
    if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
        raise ForbiddenAddressError(f"{text!r}: http or https, with a host and without a user")
    try:
        literal = ipaddress.ip_address(url.host)
    except ValueError:
        literal = None
    if url.port == own_port and (url.host == "localhost" or (literal and literal.is_loopback)):
        raise ForbiddenAddressError(f"{text!r} is this daemon itself")
    if literal is not None and url.host not in hosts and not may_reach(url.host):
        raise ForbiddenAddressError(_refusal(url.host))
    return url


def _refusal(host: str) -> str:
    return f"{host} is outside the shop's network: name it in api.webhook_hosts to allow it"


async def resolved(url: URL, hosts: Collection[str]) -> list[str]:
    """Every address of the host. Raises ForbiddenAddressError if one of them may not be reached."""
    assert url.host, url
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if url.host not in hosts and not all(may_reach(address) for address in addresses):
        raise ForbiddenAddressError(_refusal(url.host))
    return addresses


class _Pinned(AbstractResolver):
    """Knows only the addresses that were judged."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The judged addresses, whatever the name."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def post_once(url: URL, body: bytes, headers: dict[str, str], hosts: Collection[str]) -> int:
    """One try; the status. Raises ForbiddenAddressError, OSError, aiohttp.ClientError, TimeoutError."""
    connector = aiohttp.TCPConnector(resolver=_Pinned(await resolved(url, hosts)))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status


async def post(
    url: URL,
    body: bytes,
    headers: dict[str, str],
    hosts: Collection[str],
    waits_s: tuple[float, ...] = TRIES_WAIT_S,
) -> str:
    """Post until it is taken (2xx), refused for good (4xx), or the tries are used up.

    Returns what went wrong last; empty: it was taken.
    """
    wrong = ""
    for wait_s in (*waits_s, -1.0):
        try:
            status = await post_once(url, body, headers, hosts)
        except ForbiddenAddressError as error:
            return str(error)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            wrong = f"{type(error).__name__}: {error}"
        else:
            if 200 <= status < 300:
                return ""
            wrong = f"HTTP {status}"
            if 400 <= status < 500 and status not in (408, 425, 429):
                return wrong
        if wait_s >= 0:
            await asyncio.sleep(wait_s)
    return wrong
