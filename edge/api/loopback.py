"""Until access control exists the API is for this machine alone. Names only, no sockets.

A page of some other site, opened in a browser on this machine, can reach loopback too. It is
refused by the Host it asked for (DNS rebinding) and by the Origin it comes from.
"""

import ipaddress
from urllib.parse import urlsplit

from edge.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine.

    >>> [is_loopback(h) for h in ("localhost", "127.0.0.2", "::1", "shop.example", "10.0.0.1")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def host_of(authority: str) -> str:
    """The host of ``host:port``, without the brackets of an IPv6 address.

    >>> host_of("[::1]:8099"), host_of("localhost"), host_of("a:b:c")
    ('::1', 'localhost', '')
    """
    try:
        return (
            urlsplit(f"//{authority}").hostname or ""
            if authority.count(":") < 2 or "[" in authority
            else ""
        )
    except ValueError:
        return ""


def is_foreign_origin(origin: str | None) -> bool:
    """Whether a request comes from a page of another machine, by its Origin header.

    >>> [is_foreign_origin(o) for o in (None, "http://localhost:8099", "https://a.example", "null")]
    [False, False, True, True]
    """
    if not origin:
        return False
    return not is_loopback(host_of(origin.partition("://")[2]))


def parse_bind(bind: str) -> tuple[str, int]:
    """(host, port) of ``host:port``.

    Raises ConfigError when it is not loopback: others may not look in before access control.

    >>> parse_bind("127.0.0.1:8099"), parse_bind("[::1]:0")
    (('127.0.0.1', 8099), ('::1', 0))
    """
    host, _, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"api.bind = {bind!r}: write host:port, such as 127.0.0.1:8099")
    if not is_loopback(host):
        raise ConfigError(
            f"api.bind = {bind!r}: only loopback until access control exists; use 127.0.0.1:{port}"
        )
    return host, int(port)
