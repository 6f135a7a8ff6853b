"""The catalogue as readers see it: what people say of classes, categories and stores. Rows only."""

from collections.abc import Collection
from functools import partial

from msgspec import Struct

from edge.features.business import class_key
from edge.ledger.catalogue import ROWS, CatalogueCategory, CatalogueClass, CatalogueStore, Kind
from edge.view_basis import Basis, Sources

CatalogueRow = CatalogueClass | CatalogueCategory | CatalogueStore


class CatalogueView:
    """Reads the ledger's catalogue."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._ledger = sources.core.ledger
        self.in_order = partial(self._ledger.in_order, CatalogueClass)

    def classes(self) -> Collection[CatalogueClass]:
        """Every class."""
        return self._ledger.rows(CatalogueClass).values()

    def categories(self) -> Collection[CatalogueCategory]:
        """Every category."""
        return self._ledger.rows(CatalogueCategory).values()

    def stores(self) -> Collection[CatalogueStore]:
        """Every store."""
        return self._ledger.rows(CatalogueStore).values()

    def one(self, kind: Kind, name: str) -> Struct | None:
        """One row; ``None``: the catalogue does not have it."""
        return self._ledger.get(ROWS[kind], name)

    def seen_in(self, sku: str) -> list[str]:
        """Stores in which something of the class was ever told."""
        state = self._sources.core.state
        stores = state.store.keys.keys()
        return [store for store in stores if class_key(store, sku) in state.cls.keys]

    def counted(self) -> Basis:
        """What the rows stand on."""
        return self._sources.counted()
