"""Which classes, items, stores and packs there are, for who must refuse what nobody knows. Reads only."""

from collections.abc import Iterable

from edge.features.business import class_key
from edge.ledger.catalogue import CatalogueCategory, CatalogueClass, CatalogueStore
from edge.ledger.packs import Pack
from edge.view_basis import Sources

ALIKE_LETTERS = 3
"""First letters that names have in common to be looked at as similar …"""
ALIKE_MOST = 50
"""… at most so many of them."""
NAMED_MOST = 10
"""Names that are shown of those that there are."""


class KnownView:
    """Looks things up by name."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._state = sources.core.state
        self._ledger = sources.core.ledger

    def knows_class(self, sku: str, store: str = "") -> bool:
        """Whether anything was told of a class there (empty: in any store), or the catalogue has it.

        What stands in the catalogue is known in every store that is.
        """
        keys = self._state.cls.keys
        if store and class_key(store, sku) in keys:
            return True
        if self.in_catalogue(sku):
            return not store or self.knows_store(store)
        return not store and bool(self.stores_of(sku))

    def in_catalogue(self, sku: str) -> bool:
        """Whether the catalogue has a class."""
        return self._ledger.get(CatalogueClass, sku) is not None

    def stores_of(self, sku: str) -> list[str]:
        """Stores in which anything was told of a class, some of them where they are many."""
        end = class_key("", sku)
        told = (key for key, _ in self._state.cls.keys.items() if key.endswith(end))
        return _some({key.partition("\x1f")[0] for key in told})

    def strangers(self, skus: Iterable[str]) -> set[str]:
        """Of these classes those that nobody knows, in any store."""
        seen = {key.partition("\x1f")[2] for key, _ in self._state.cls.keys.items()}
        new = set(skus) - seen
        return {sku for sku in new if self._ledger.get(CatalogueClass, sku) is None}

    def knows_store(self, store: str) -> bool:
        """Whether a store is configured, in the catalogue, or anything was told of it."""
        if store == self._sources.config.shop.store or self._ledger.get(CatalogueStore, store):
            return True
        start = class_key(store, "")
        return any(key.startswith(start) for key, _ in self._state.cls.keys.items())

    def stores(self) -> list[str]:
        """Stores that there are, some of them where they are many."""
        told = {key.partition("\x1f")[0] for key, _ in self._state.cls.keys.items()}
        told |= {row.store for row in self._ledger.rows(CatalogueStore).values()}
        return _some(told | {self._sources.config.shop.store})

    def knows_category(self, category: str) -> bool:
        """Whether any class is of this category, or the catalogue has it; in upper or lower case."""
        return category.casefold() in {name.casefold() for name in self._categories()}

    def categories(self) -> list[str]:
        """Categories that there are, some of them where they are many."""
        return _some(self._categories())

    def _categories(self) -> set[str]:
        told = set(self._state.cls.text["category"].values())
        told |= {row.category for row in self._ledger.rows(CatalogueClass).values()}
        told |= {row.name for row in self._ledger.rows(CatalogueCategory).values()}
        return told - {""}

    def knows_item(self, epc: str) -> bool:
        """Whether anything was told of a tag."""
        return epc in self._state.item.keys

    def store_of_item(self, epc: str) -> str:
        """Store of a tag; empty: not known."""
        row = self._state.item.keys.get(epc)
        of = int(self._state.item.col["store_row"][row]) if row >= 0 else -1
        return self._state.store.keys.key(of) if of >= 0 else ""

    def zones(self) -> list[str]:
        """Zones that are configured, or that something was seen in, some of them where they are many."""
        return _some(self._zones())

    def knows_zone(self, zone: str) -> bool:
        """Whether there is such a zone."""
        return zone in self._zones()

    def _zones(self) -> set[str]:
        told = {zone.name for zone in self._sources.config.zones}
        return told | {key for key, _ in self._state.zone.keys.items() if key}

    def statuses(self) -> list[str]:
        """Statuses that items have or had, some of them where they are many."""
        return _some({key for key, _ in self._state.status.keys.items() if key})

    def knows_status(self, status: str) -> bool:
        """Whether any item has or had this status; in upper or lower case."""
        wanted = status.strip().lower()
        return any(key.strip().lower() == wanted for key, _ in self._state.status.keys.items())

    def readers(self) -> list[str]:
        """Readers that spoke, some of them where they are many."""
        return _some({key for key, _ in self._state.reader.keys.items()})

    def knows_reader(self, reader: str) -> bool:
        """Whether a reader ever spoke."""
        return reader in self._state.reader.keys

    def dead_reasons(self) -> list[str]:
        """Reasons for which something became a dead letter."""
        told = (
            name.removeprefix("dead_") for name in self._state.counters if name.startswith("dead_")
        )
        return sorted(reason for reason in told if reason != "letters")

    def knows_pack(self, id_: str) -> bool:
        """Whether a pack is, or was, offered."""
        return self._ledger.get(Pack, id_) is not None

    def store_of_pack(self, id_: str) -> str:
        """Store that a pack is offered in; empty: all."""
        pack = self._ledger.get(Pack, id_)
        return pack.store if pack is not None else ""

    def alike(self, sku: str) -> list[str]:
        """Known classes that begin as this one does."""
        start, found = sku[:ALIKE_LETTERS].casefold(), dict[str, None]()
        for key in self._state.cls.keys.keys():  # noqa: SIM118 - a table of ours
            name = key.partition("\x1f")[2]
            if name[:ALIKE_LETTERS].casefold() == start:
                found[name] = None
                if len(found) == ALIKE_MOST:
                    break
        return list(found)


def _some(names: set[str]) -> list[str]:
    shown = sorted(names)
    return shown if len(shown) <= NAMED_MOST else [*shown[:NAMED_MOST], "…"]
