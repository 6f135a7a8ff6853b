"""``/api/kpis``: the shop in figures, each with the same before and how it is counted. No rules."""

from typing import Literal

from edge.api.books import prepared
from edge.api.empty import strange
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
    await prepared(view, store, query.category or "")
    made = view.kpis(store, query.category or "")
    if query.name is not None:
        known = made.kpis
        made.kpis = [one for one in known if one.name.startswith(query.name)]
        if not made.kpis:
            names = ", ".join(sorted({one.name for one in known}))
            made.why_empty = f"No figure's name begins with {query.name!r}; there are {names}."
    if not made.classes:
        made.why_empty = strange(api, query) or made.why_empty or _NO_CLASS
    return made


_NO_CLASS = (
    "Nothing was told of any class yet: send the till's lines, or link tags (POST /api/events, "
    "docs/events.md)."
)


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
