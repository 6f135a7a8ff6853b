"""Spans in which a reader, or the whole link, could not see. Reading only."""

from msgspec import Struct

from edge.api.dead_letters import letters_tag
from edge.api.empty import strange_reader
from edge.api.endpoint import Api, Call, Endpoint, Path, Query
from edge.api.query import Limit, Text
from edge.view_basis import why_empty


class GapsQuery(Query):
    """Which gaps."""

    reader: Text | None = None
    """Only those of this reader, and those of the whole link."""
    limit: Limit = 100
    """Most rows, newest first."""


class GapRow(Struct, gc=False):
    """One gap: not seen in it does not mean departed."""

    reader: str
    """The reader; empty: the whole link."""
    from_ms: int
    """First moment not covered."""
    to_ms: int
    """End; 0: still open."""
    reason: str
    """Why."""
    lost_events: int
    """Events the reader says it threw away."""


class Gaps(Struct):
    """The newest gaps."""

    gaps: list[GapRow]
    """The rows, newest first."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


async def list_gaps(api: Api, call: Call[GapsQuery, Path]) -> Gaps:
    """The newest gaps."""
    found = await api.tables.gaps(reader=call.query.reader, limit=call.query.limit)
    rows = [GapRow(g.reader, g.from_ms, g.to_ms, g.reason, g.lost_events) for g in found]
    unknown = strange_reader(api, call.query.reader) if not rows else ""
    return Gaps(rows, why_empty(rows, (unknown != "", unknown), (True, _NO_GAP)))


_NO_GAP = "Nobody was away or threw reads away, as far as the daemon was told: nothing is wrong."


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/gaps",
        "gaps",
        "Spans in which a reader or the link could not see.",
        list_gaps,
        Gaps,
        area="state",
        query=GapsQuery,
        tag=letters_tag,
    ),
)
