"""``/api/kpis``: the shop in figures, each with the same before and how it is counted. No rules."""

import asyncio
from typing import Literal

from edge.api.endpoint import Api, Call, Endpoint, Path, Query
from edge.api.query import Text
from edge.api.tags import state_tag
from edge.view_kpis import Kpis, KpisView


class KpisQuery(Query):
    """Of which part of the shop."""

    store: Text | None = None
    """Only this store; ``all`` or nothing: all stores."""
    category: Text | None = None
    """Only classes of this category; upper and lower case do not matter."""
    name: Text | None = None
    """Only figures whose name begins so."""
    format: Literal["json", "csv"] | None = None
    """Form of the answer; without it ``Accept`` decides."""


async def kpis(api: Api, call: Call[KpisQuery, Path]) -> Kpis:
    """The figures."""
    query = call.query
    store = "" if query.store is None or query.store.lower() == "all" else query.store
    view = api.view_of(KpisView)
    for _ in view.preparing(store, query.category or ""):
        await asyncio.sleep(0)
    made = view.kpis(store, query.category or "")
    if query.name is not None:
        made.kpis = [one for one in made.kpis if one.name.startswith(query.name)]
    return made


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/kpis",
        "kpis",
        "The shop in figures, each with the same before and how it is counted.",
        kpis,
        Kpis,
        area="kpis",
        query=KpisQuery,
        tag=state_tag,
        rows="kpis",
    ),
)
