"""Asking the running daemon for the command line: one request, and its failures in words. Not a command."""

from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What the daemon said."""

    body: bytes
    following: str
    """Path of the next page; empty: there is none."""


def base_of(url: str) -> str:
    """The address of an API; ``http://`` may be left out. Raises WrongUsage for what is no address."""
    from urllib.parse import urlsplit

    from edge.errors import WrongUsage

    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        usable = False
    if not usable:
        raise WrongUsage(
            f"--api {url!r} is no address of an API\n"
            "Cure: write it like http://127.0.0.1:8099, or leave --api out to ask the daemon "
            "that the configuration describes"
        )
    return whole


def ask(
    base: str, method: str, path: str, body: bytes | None, media: str, timeout_s: float
) -> Answer:
    """The daemon's answer. Raises Rfid3Error with what it said, or that nobody answers."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    from edge.errors import Rfid3Error

    headers = {"Content-Type": media} if body is not None else {}
    opener = build_opener(ProxyHandler({}))  # loopback: never through a proxy
    request = Request(base + path, data=body, headers=headers, method=method)
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return Answer(answer.read(), _following(answer.headers.get("Link", "")))
    except HTTPError as error:
        raise Rfid3Error(_problem(error, base)) from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Rfid3Error(
            f"no daemon answers at {base} ({reason}).\n"
            "Cure: start it (rfid3 run), or say where it listens (--api, or bind in [api])"
        ) from None


def _following(link: str) -> str:
    """
    >>> _following('</api/x?cursor=A>; rel="next"')
    '/api/x?cursor=A'
    """
    return link[1 : link.index(">")] if link.startswith("<") and 'rel="next"' in link else ""


def _problem(error: Any, base: str) -> str:
    """What the daemon said was wrong."""
    import json

    try:
        problem = json.load(error)
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "title" not in problem:
        return (
            f"{base} answers {error.code} {error.reason}: it is no rfid3, or one of another version.\n"
            "Cure: say where the daemon listens (--api, or bind in [api])"
        )
    return f"{problem['title']}: {problem.get('detail', '')}\nCure: {problem.get('cure', '-')}"
