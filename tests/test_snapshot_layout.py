"""Snapshots outlive versions and settings: what was added starts empty, what does not fit is said."""

import json
from pathlib import Path

import msgspec
import pytest

from edge.config import Config, Limits, Storage, Zone
from edge.core import Core
from edge.errors import ConfigError
from edge.records import Batch, Message
from edge.recovery import header_of, recover
from edge.storage.journal import Journal
from edge.storage.snapshots import write_snapshot

NOW_MS = 1_780_000_000_000


def read(epc: str, reader: str, at_ms: int) -> Message:
    payload = json.dumps({"epc": epc, "at": at_ms}).encode()
    return Message(f"rfid3/main/tag_read/{reader}", payload, at_ms)


def fed(config: Config, readers: tuple[str, ...] = ("r1", "r2")) -> Core:
    core = Core(config)
    told = [read(f"{i:024X}", r, NOW_MS + i) for i in range(5) for r in readers]
    core.step(sorted(told, key=lambda m: m.arrival_ms), 0)
    core.advance(NOW_MS + 5_000)
    return core


def test_a_column_that_an_old_snapshot_lacks_starts_empty() -> None:
    config = Config()
    core = fed(config)
    arrays, blobs = core.save()
    del arrays["item.col.sightings_total"]
    del arrays["zone.part.arrivals_24h.ring"]
    again = Core(config)
    again.load(arrays, blobs)
    assert not again.state.item.col["sightings_total"].any()
    assert again.state.item.col["reads_total"][:5].tolist() == [2, 2, 2, 2, 2]
    again.advance(NOW_MS + 10_000)


def test_a_zone_keeps_its_kind_when_its_row_is_another_than_in_the_settings() -> None:
    plain = Config()
    core = fed(plain, ("gate", "shelf"))  # zones made in the order the readers were heard
    portal = Zone(name="gate", readers=["gate"], kind="portal")
    config = msgspec.structs.replace(plain, zones=[Zone(name="window", readers=["w"]), portal])
    again = Core(config)
    again.load(*core.save())
    row = again.state.zone.keys.get("gate")
    assert again.places.kinds[row] == "portal"
    assert again.presence.zone_kinds[row] == "portal"
    assert again.places.kinds[again.state.zone.keys.get("window")] == "shelf"


def test_more_zones_may_be_allowed_than_before() -> None:
    core = fed(Config())
    wider = Config(limits=Limits(zones_max=128))
    again = Core(wider)
    again.load(*core.save())
    assert again.presence.zone_of([0]).tolist() == core.presence.zone_of([0]).tolist()
    again.step([read("AB" * 12, "r9", NOW_MS + 6_000)], 100)


def test_limits_too_small_for_the_stored_state_are_refused_in_words(tmp_path: Path) -> None:
    config = Config(storage=Storage(directory=str(tmp_path)))
    journal = Journal.open(tmp_path, config.storage)
    try:
        core = fed(config)
        journal.append(Batch(1, 0, NOW_MS + 5_000, []))
        arrays, blobs = core.save()
        write_snapshot(tmp_path, header_of(core, 1), arrays, blobs)
        small = msgspec.structs.replace(config, limits=Limits(items_max=3))
        with pytest.raises(ConfigError, match="limit is 3: raise it"):
            recover(small, journal, tmp_path)
        assert len(recover(config, journal, tmp_path).core.state.item.keys) == 5
    finally:
        journal.close()


def test_a_dead_letter_played_again_tells_what_became_of_it() -> None:
    core = Core(Config())
    again = Message("shop/readers", b"no sense", NOW_MS, origin_ms=NOW_MS - 5)
    step = core.step([again, Message("shop/readers", b"no sense", NOW_MS)], 0)
    assert list(step.outcomes) == [0]
    assert step.effects.dead_letters[0].arrival_ms == NOW_MS - 5
    assert step.effects.dead_letters[1].arrival_ms == NOW_MS
