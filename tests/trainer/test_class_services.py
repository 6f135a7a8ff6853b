"""Pricing, packs and inventory from a shop's own history: receipts in, a folder the door lets in out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.config import Limits
from edge.core import Core
from edge.inference.manifest import ENTITIES, MANIFEST, Entities, decode_manifest
from edge.records import Message
from edge.storage.history import HistoryFile
from tests.streams import DAY, config
from trainer.data import Data
from trainer.export import write_artifact
from trainer.services import RECIPES, Settings, TooLittle

HOUR = 3_600_000
START_MS = int(datetime(2025, 1, 6, tzinfo=UTC).timestamp() * 1000)
DAYS = 300
CLASSES = 8


def receipts(days: int, moving: bool) -> Iterator[list[Message]]:
    """A day's receipts: prices change every three weeks (but class 7's), classes 0 and 1 go together."""
    random = np.random.default_rng(1)
    price = np.full(CLASSES, 1_000.0)
    for day in range(days):
        if moving and day % 21 == 0:
            price[:7] = 1_000 * np.exp(random.normal(0, 0.2, 7))
        rate = 2.0 * (price / 1_000) ** -1.5
        told = []
        for number in range(12):
            at_ms = START_MS + day * DAY + (8 + number) * HOUR // 2 * 2
            rows = set(np.flatnonzero(random.random(CLASSES) < 1 - np.exp(-rate / 12)).tolist())
            if random.random() < 0.05:
                rows |= {0, 1}
            for row in sorted(rows):
                line = {"document": f"R{day}-{number}", "kind": "sale", "sku": f"S{row}",
                        "line": row, "at": at_ms, "quantity": 1, "category": "tents",
                        "price_cents": round(price[row])}  # fmt: skip
                told.append(Message("rfid3/main/pos_line/till", json.dumps(line).encode(), at_ms))
        yield told


def written(path: Path, days: int, moving: bool = True) -> Path:
    core = Core(config(limits=Limits(items_max=64, active_items_max=64)))
    core.tells_history = True
    file = HistoryFile(path)
    ordinal = 0
    for told in receipts(days, moving):
        file.write(core.step(told, ordinal).effects.history)
        ordinal += len(told)
    file.write(core.advance(core.day_end_ms()).effects.history)
    file.close()
    return path


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("history") / "history.sqlite", DAYS)


@pytest.mark.parametrize("service", ["pricing", "inventory", "packs"])
def test_a_shops_history_becomes_an_artifact(service: str, history: Path, tmp_path: Path) -> None:
    with Data([history]) as data:
        made = RECIPES[service].fit(data, Settings(quick=True))  # type: ignore[index]
    folder = write_artifact(tmp_path, made)
    manifest = decode_manifest((folder / MANIFEST).read_bytes())
    (rule,) = RECIPES[service].baselines  # type: ignore[index]
    assert set(manifest.baselines) == {rule}
    assert manifest.training.from_day >= "2025-01-05"
    entities = msgspec.msgpack.decode((folder / ENTITIES).read_bytes(), type=Entities)
    side = np.frombuffer(entities.values, "<f4").reshape(len(entities.keys), -1)
    row = {key: side[i] for i, key in enumerate(entities.keys)}
    judge = {"pricing": elastic, "inventory": moves, "packs": together}[service]
    judge(row, entities)


def elastic(row: dict[str, np.ndarray], entities: Entities) -> None:
    evidence = entities.columns.index("evidence")
    assert row["main\x1fS0"][evidence] == 2
    assert row["main\x1fS7"][evidence] == 1  # its price never moved
    assert -2.4 < row["main\x1fS2"][entities.columns.index("elasticity")] < -0.6
    assert row[""][evidence] == 0


def moves(row: dict[str, np.ndarray], entities: Entities) -> None:
    long = entities.columns.index("rate_long")
    assert 0.0 < row["main\x1fS7"][long] < 3.0  # its weight is in it


def together(row: dict[str, np.ndarray], entities: Entities) -> None:
    assert entities.keys[int(row["main\x1fS0"][0])] == "main\x1fS1"
    assert entities.keys[int(row["main\x1fS1"][0])] == "main\x1fS0"
    assert row["main\x1fS5"][0] == -1


def test_without_a_move_of_price_there_is_no_model_of_it(tmp_path: Path) -> None:
    path = written(tmp_path / "still.sqlite", 240, moving=False)
    with Data([path]) as data, pytest.raises(TooLittle, match="no price moved"):
        RECIPES["pricing"].fit(data, Settings())
