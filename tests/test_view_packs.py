"""Packs that could be, as a view over a core reads them: from a model's list, for the classes that are here."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edge.commands import Told
from edge.config import Config
from edge.core import Core
from edge.ledger import deeds
from edge.ledger.catalogue import PutCatalogue
from edge.ledger.packs import CreatePack, Pack, PackPart
from edge.records import Message
from edge.view_basis import Sources, why_empty
from edge.view_packs import PacksView

START_MS = 1_772_409_600_000
PAIRS = [("TENT", "POLE"), ("TENT", "FOREIGN"), ("OTHER", "FOREIGN")]


class Shop:
    """A core, and the view over it with a model that lists ``PAIRS``."""

    def __init__(self) -> None:
        self.core, self.ordinal = Core(Config()), 0
        classes = ["TENT", "POLE", "FOREIGN", "OTHER"]
        row = (
            40,
            0.1,
            0.5,
            0.6,
            3.0,
            2.0,
            4.0,
            0.01,
        )  # documents … q, as trainer/packs.py lists them
        pairs = [[classes.index(a), classes.index(b), *row] for a, b in PAIRS]
        extra = {
            "classes": msgspec.Raw(msgspec.json.encode([f"main\x1f{sku}" for sku in classes])),
            "pairs": msgspec.Raw(msgspec.json.encode(pairs)),
        }
        active = SimpleNamespace(number=7, manifest=SimpleNamespace(extra=extra, columns=[]))
        slot = SimpleNamespace(active=active, shown=None)
        empty = SimpleNamespace(active=None, shown=None)
        scorer: Any = SimpleNamespace(slots={"packs": slot, "pricing": empty})
        self.view = PacksView(Sources(self.core, Config(), scorer=scorer))

    def sells(self, *skus: str) -> None:
        for sku in skus:
            payload = msgspec.json.encode(
                {"type": "pos_line", "document": f"R{self.ordinal}", "kind": "sale", "sku": sku,
                 "quantity": 1.0, "price_cents": 500, "at": START_MS + self.ordinal}
            )  # fmt: skip
            self.core.step(
                [Message("$http/pos_line/till", payload, START_MS + self.ordinal)], self.ordinal
            )
            self.ordinal += 1

    def do(self, command: Any) -> None:
        assert deeds.do(self.core.ledger, command, Told(START_MS, 0))[0] == "done"

    def candidates(self, saving_cents: float = 0.0) -> list[set[str]]:
        for _ in self.view.looking(saving_cents):
            pass
        return [{part.sku for part in one.parts} for one in self.view.candidates(saving_cents)]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_pairs_of_classes_that_nobody_knows_here_are_no_packs(shop: Shop) -> None:
    assert shop.candidates() == []
    words = why_empty([], *shop.view.why_no_candidates())
    assert "3 pairs" in words
    assert "nobody knows here" in words
    assert "counted once a day" in words
    assert [one for one in shop.view.proposals() if one is not None] == []


def test_pairs_of_classes_that_were_sold_or_stand_in_the_catalogue_are(shop: Shop) -> None:
    shop.sells("TENT")
    assert shop.candidates(1.0) == []
    shop.do(PutCatalogue(kind="class", rows=[{"sku": "POLE"}], merge=True))
    assert shop.candidates(2.0) == [{"TENT", "POLE"}]
    parts = [PackPart("TENT"), PackPart("POLE")]
    shop.do(CreatePack(pack=Pack(name="P", store="main", parts=parts, price_cents=900)))
    assert shop.candidates(2.0) == []
    assert "as a pack already" in why_empty([], *shop.view.why_no_candidates())
