"""What the services of a running demo say, in a few short words each. Asks the API; shows nothing."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp

Answer = dict[str, Any]


def _demand(told: Answer) -> str:
    week = told["weeks"][0] if told["weeks"] else {"units": None}
    if week["units"] is None:
        return ""
    span = f" ({week['low']:,.0f} to {week['high']:,.0f})" if week["low"] is not None else ""
    return f"{week['units']:,.0f} units{span}"


def _orders(told: Answer) -> str:
    counts = told["counts"]
    many = sum(counts.values())
    return f"{many} classes, {counts.get('critical', 0)} of them at once" if many else ""


def _plan(told: Answer) -> str:
    first = told["services"][0] if told["services"] else None
    return f"{first['name']} on {first['day']}" if first else ""


def _grades(told: Answer) -> str:
    return f"{told['mean']:.0f} of 100, {told['items']} items" if told["items"] else ""


def _pairs(told: Answer) -> str:
    pair = told["create"][0] if told["create"] else None
    return " + ".join(part["name"] for part in pair["parts"]) if pair else ""


def _waiting(told: Answer) -> str:
    return f"{len(told['decisions'])}" if told["decisions"] else ""


SAYINGS: tuple[tuple[str, str, Callable[[Answer], str]], ...] = (
    ("expected in seven days", "/api/predictive/demand/forecast?weeks=1", _demand),
    ("to order", "/api/predictive/inventory/restock-alerts", _orders),
    ("next service", "/api/predictive/maintenance/schedule?limit=1", _plan),
    ("health of the stock", "/api/predictive/quality/health?limit=1", _grades),
    ("go together", "/api/predictive/packs/recommendations?limit=1", _pairs),
    ("decisions for a person", "/api/decisions?status=proposed", _waiting),
)
"""(what it is about, where the API says it, how to say it in short; empty: nothing yet)."""


async def sayings(api: aiohttp.ClientSession) -> list[tuple[str, str]]:
    """(what it is about, what is said) of every service that has something to say."""
    found = []
    for title, path, short in SAYINGS:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with api.get(path) as answer:
                words = short(await answer.json()) if answer.status == 200 else ""
            if words:
                found.append((title, words))
    return found
