"""What the API needs from the rest of the daemon, declared by the one who calls it.

No implementation: ``edge/view.py``, ``edge/pipeline.py`` and ``edge/storage`` satisfy these
without inheriting from them, and so do the fakes of the tests.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from edge.inference.manifest import Service
from edge.inference.registry import Outcome
from edge.records import DeadLetter, Gap, Message, Receipt, TimelineEntry
from edge.view_models import Prediction, ServiceModels, ServiceRow, WorstClass
from edge.view_types import (
    ClassDetail,
    ClassPage,
    Counters,
    DeadLetterHead,
    Dependency,
    FeatureRow,
    ItemDetail,
    ItemPage,
    Metric,
    Movement,
    ReaderRow,
    UnknownTagPage,
    ZoneRow,
)

R = TypeVar("R", bound=Struct)
DeadLetterKey = tuple[int, int]
"""(ordinal, index) of a dead letter; they sort from oldest to newest."""


class View(Protocol):
    """Rows gathered from the live columns between beats. Synchronous: no method may await.

    All methods called without an await in between see one revision. ``start`` is a row position
    (0 at first, later the ``next_start`` of the page before); rows keep their position while they
    live, so paging misses nothing that stays and shows nothing twice. What is returned belongs to
    the caller and does not change any more.
    """

    @property
    def revision(self) -> int:
        """Rises whenever any answer below could differ, also when a window closed by itself."""
        ...

    @property
    def now_ms(self) -> int:
        """The moment the state stands for: the newest beat applied, epoch milliseconds."""
        ...

    def stats(self) -> Counters:
        """Every counter: group -> name -> number."""
        ...

    def metrics(self) -> Iterable[Metric]:
        """The same for Prometheus, with gauges."""
        ...

    def items(
        self, *, zone: str | None, sku: str | None, status: str | None, start: int, limit: int
    ) -> ItemPage:
        """Items that pass every filter given. Status is compared without case or outer spaces."""
        ...

    def item(self, epc: str) -> ItemDetail | None:
        """One item by exact identity."""
        ...

    def item_revision(self, epc: str) -> int | None:
        """The revision in which anything about this item last changed; ``None``: no such item.

        Cheap: it decides a 304 before anything is built. ``revision`` itself is a correct answer.
        """
        ...

    def classes(
        self, *, store: str | None, category: str | None, start: int, limit: int
    ) -> ClassPage:
        """Classes that pass every filter given."""
        ...

    def class_detail(self, sku: str, store: str, days: int) -> ClassDetail | None:
        """One class in one store, with at most ``days`` days of history."""
        ...

    def zones(self) -> list[ZoneRow]:
        """Every zone."""
        ...

    def readers(self) -> list[ReaderRow]:
        """Every reader."""
        ...

    def unknown_tags(self, *, start: int, limit: int) -> UnknownTagPage:
        """Tags waiting to be linked."""
        ...

    def movements(self, *, limit: int) -> list[Movement]:
        """The newest movements since the daemon started, newest first; a few hundred are kept."""
        ...

    def features(self) -> list[FeatureRow]:
        """The catalogue; it does not change while the daemon runs."""
        ...


class Corridor(Protocol):
    """The one way in."""

    def submit(self, entries: Sequence[tuple[Message, Receipt]]) -> None:
        """Put all messages into the inbox, or none. Never blocks.

        Each receipt is told, on the event loop's thread, once ``committed`` and then once
        ``applied`` with an outcome for every event found in its message. The corridor may raise
        ``arrival_ms`` so that it never decreases. The commit of a ``Replayed`` message drops the
        dead letter it names, in one step. Raises InboxFull.
        """
        ...

    def health(self) -> list[Dependency]:
        """Every dependency by name, in a fixed order. Cheap: reads flags, asks nobody."""
        ...


class Models(Protocol):
    """What models say, and how they stand. Synchronous: no method may await."""

    def entity(self, service: Service) -> str:
        """What a service speaks of: ``item`` or ``class``."""
        ...

    def predict(self, service: Service, key: str, store: str, explain: bool) -> Prediction | None:
        """What a service says of an item (by EPC) or a class (by SKU and store)."""
        ...

    def models(self) -> list[ServiceRow]:
        """Every service, in order of need."""
        ...

    def row(self, service: Service) -> ServiceRow:
        """How one service stands."""
        ...

    def model(self, service: Service) -> ServiceModels:
        """One service with its versions and its history."""
        ...

    def outcome(self, request: str) -> Outcome | None:
        """What became of a command, by the id it was given; ``None``: not applied yet."""
        ...


class Tables(Protocol):
    """What is kept in the local store rather than in columns; read without holding the loop."""

    @property
    def revision(self) -> int:
        """The newest view revision whose effects can all be read here.

        It has risen by the time a reader could see anything else than before: also for what is
        only waiting to be stored, where reading shows (or stores) that too, and when a dead
        letter goes because it was played again, or is trimmed away. It need not rise for anything else.
        """
        ...

    async def dead_letters(
        self, *, reason: str | None, after: DeadLetterKey | None, newest_first: bool, limit: int
    ) -> list[DeadLetterHead]:
        """At most ``limit`` dead letters beyond ``after`` in the direction asked for."""
        ...

    async def dead_letter(self, key: DeadLetterKey) -> DeadLetter | None:
        """One dead letter, whole."""
        ...

    async def timeline(self, epc: str, *, limit: int) -> list[TimelineEntry]:
        """The newest ``limit`` lines of an item's story, newest first."""
        ...

    async def ledger_rows(
        self,
        kind: type[R],
        where: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int = 1_000,
        offset: int = 0,
    ) -> list[R]:
        """Rows of a table of the ledger whose columns equal ``where``, those of the store too.

        ``order`` is a column; with ``-`` before it, falling.
        """
        ...

    async def worst_classes(
        self, service: Service, version: str, *, limit: int
    ) -> list[WorstClass]:
        """Of each question at most ``limit`` classes where a version's errors weigh most."""
        ...

    async def gaps(self, *, reader: str | None, limit: int) -> list[Gap]:
        """The newest ``limit`` gaps, newest first."""
        ...
