"""What an endpoint is: one row of the table, what its handler is given, what it gives back.

No routing and no handlers here; the table itself is ``table.py``.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web
from msgspec import Struct
from prometheus_client import CollectorRegistry

from edge.api.encode import JSON
from edge.api.exposition import Seconds
from edge.api.ports import Corridor, DeadLetterKey, Models, Tables, View
from edge.clock import Clock
from edge.config import Config
from edge.view_all import Views

BODY_MAX_BYTES = 1_048_576
"""Largest typed body of an endpoint that names no limit of its own."""


class Query(Struct, kw_only=True, forbid_unknown_fields=True):
    """The query parameters an endpoint takes: none. Subclasses add fields, all with defaults."""


class Path(Struct, kw_only=True):
    """The variable parts of an endpoint's path: none. Subclasses add one field a part."""


@dataclass(frozen=True)
class Patience:
    """How long a handler waits for others, seconds."""

    progress_s: float = 5.0
    """For the corridor, without any progress."""
    body_s: float = 30.0
    """For the next piece of a body."""
    full_s: float = 0.05
    """Between two tries at a full inbox."""
    beat_s: float = 0.25
    """A beat is never taken for shorter when two of them are waited for: a slow card commits so."""
    book_s: float = 5.0
    """For a book that nobody has made yet (``books.py``)."""


V = TypeVar("V")


@dataclass
class Api:
    """What every handler is given: the ports, the settings, and the API's own counters."""

    view: View
    corridor: Corridor
    tables: Tables
    settings: Config
    clock: Clock
    instance: str
    """Tells this run of the daemon from every other, in entity tags."""
    registry: CollectorRegistry
    """Prometheus metrics of the process and of the API itself."""
    seconds: Seconds
    """Time to answer, by endpoint."""
    documents: Mapping[str, bytes]
    """Bodies made once, at the start: the index and the OpenAPI document."""
    models: Models | None = None
    """``None``: models are switched off."""
    views: Views | None = None
    """The services' views; ``None`` only where nobody asks for one."""
    jobs: Any = None
    """``edge.api.jobs.Jobs``; set when the server is built."""
    asked: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    """Id -> ``edge.api.commands.Asked``: the newest commands and what became of them."""
    patience: Patience = Patience()
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(path in the table, status) -> requests answered."""
    layers: Counter[str] = field(default_factory=Counter)
    """``l1_hit`` and ``l1_miss``: answers made within the last 100 ms and given again, or not."""
    uploaded: Counter[str] = field(default_factory=Counter)
    """Outcome -> events that came through ``POST /api/events`` or a replay."""
    in_play: set[DeadLetterKey] = field(default_factory=set)
    """Dead letters on their way into the journal: nobody else may play them meanwhile."""

    def view_of(self, kind: type[V]) -> V:
        """The view of a service, by its class."""
        assert self.views is not None, kind
        return self.views.of(kind)


Q = TypeVar("Q", bound=Query)
P = TypeVar("P", bound=Path)


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, P]):
    """One request, read and checked."""

    request: web.Request
    query: Q
    path: P
    body: Any = None
    """The typed body of an endpoint that has one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back when a record with status 200 is not enough."""

    body: Any
    """A record to encode, or bytes to send as they are."""
    status: int = 200
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    lasting: bool = False
    """Whether the body is the same bytes at every request."""


Handler = Callable[[Api, Call[Any, Any]], Any]
Tagger = Callable[[Api, Call[Any, Any]], "str | None"]


@dataclass(frozen=True)
class Endpoint:
    """One row of the table: routing, validation, OpenAPI and the docs check derive from it.

    ``handler`` is a plain function where it only reads the view, so it cannot await between two
    reads; ``tag`` decides a 304 before it runs. ``bodies`` maps the media types that a POST takes
    to the type of one event, or to ``str`` for text with lines.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    answer: Any
    area: str
    query: type[Query] = Query
    parts: type[Path] = Path
    tag: Tagger | None = None
    problems: tuple[str, ...] = ()
    media: str = JSON
    statuses: Mapping[int, str] = field(default_factory=lambda: {200: "As asked for."})
    bodies: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    """What one line of summary cannot say."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Request headers it looks at, and what for."""
    body: Any = None
    """Type of the JSON body (a ``Body``, see ``body.py``), read before the handler runs."""
    body_max_bytes: int = BODY_MAX_BYTES
    """Largest typed body."""
    rows: str = ""
    """Field of the answer that lists rows: where there is one, the answer comes as CSV too. Its
    query is a ``ListQuery``, and the answer's ``next_cursor`` becomes a ``Link`` header."""
