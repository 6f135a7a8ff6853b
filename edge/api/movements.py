"""What people were told lately of items coming, moving, going and probably returning. Reading only."""

from msgspec import Struct

from edge.api.endpoint import Api, Call, Endpoint, Path, Query
from edge.api.query import Limit
from edge.api.tags import state_tag
from edge.view_basis import why_empty
from edge.view_types import Movement


class MovementsQuery(Query):
    """How many movements."""

    limit: Limit = 50
    """Most rows, newest first."""


class Movements(Struct):
    """The newest movements since the daemon started."""

    revision: int
    """The revision the rows belong to."""
    as_of_ms: int
    """The moment they stand for."""
    movements: list[Movement]
    """The rows, newest first."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


def list_movements(api: Api, call: Call[MovementsQuery, Path]) -> Movements:
    """The newest movements."""
    rows = api.view.movements(limit=call.query.limit)
    return Movements(api.view.revision, api.view.now_ms, rows, why_empty(rows, (True, _STILL)))


_STILL = (
    "Nothing came, moved or went since the daemon started: readers whose zones are named in [[zones]] say "
    "so (docs/connect.md)."
)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/movements",
        "movements",
        "Items that lately arrived, moved, departed or probably returned.",
        list_movements,
        Movements,
        area="state",
        query=MovementsQuery,
        tag=state_tag,
    ),
)
