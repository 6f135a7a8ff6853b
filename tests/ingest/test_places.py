"""Which zone an antenna looks at, and which zones a reader's silence makes blind."""

import numpy as np

from edge.config import Limits, Zone
from edge.features.layout import tables
from edge.ingest.places import Places

LIMITS = Limits(items_max=4, active_items_max=4, classes_max=2, zones_max=6, readers_max=4)
ZONES = [
    Zone(name="shelf", readers=["r0", "r1/1"], store="annex"),
    Zone(name="door", readers=["r1"], kind="portal"),
    Zone(name="back", readers=["r2/2"], kind="exit"),
]


def places(limits: Limits = LIMITS) -> Places:
    return Places(ZONES, "main", limits, tables(limits))


def zone(told: Places, reader: str, antenna: int = 0) -> str:
    row = told.reader.keys.claim(reader)
    rows = told.zones(np.array([row]), np.array([antenna]), [None])
    return told.name(int(rows[0]))


def test_an_antenna_of_its_own_goes_before_the_whole_reader() -> None:
    told = places()
    assert [zone(told, "r0"), zone(told, "r0", 3)] == ["shelf", "shelf"]
    assert [zone(told, "r1"), zone(told, "r1", 1), zone(told, "r1", 2)] == ["door", "shelf", "door"]


def test_a_reader_nobody_named_makes_a_zone_of_its_own() -> None:
    told = places()
    assert zone(told, "new") == "new"
    assert told.store_of(told.zone.keys.get("new")) == "main"
    assert told.kinds[told.zone.keys.get("new")] == "shelf"


def test_an_antenna_nobody_named_of_a_reader_that_is_makes_one_too() -> None:
    told = places()
    assert [zone(told, "r2", 2), zone(told, "r2", 1)] == ["back", "r2/1"]


def test_kinds_and_stores_are_as_configured() -> None:
    told = places()
    rows = {name: told.zone.keys.get(name) for name in ("shelf", "door", "back")}
    assert [told.kinds[row] for row in rows.values()] == ["shelf", "portal", "exit"]
    assert [told.store_of(row) for row in rows.values()] == ["annex", "main", "main"]
    assert told.name(-1) == ""


def test_every_antenna_number_has_a_place_also_the_highest() -> None:
    assert zone(places(), "new", 255) == zone(places(), "new", 64) == "new"


def test_a_full_table_has_no_zone_for_newcomers_and_no_reader_none() -> None:
    told = places(Limits(items_max=4, classes_max=2, zones_max=3, readers_max=4))
    assert zone(told, "new") == ""
    assert told.zones(np.array([-1]), np.array([0]), [None]).tolist() == [-1]
    assert zone(told, "r0") == "shelf"


def names(told: Places, reader: str) -> list[str]:
    return sorted(told.name(row) for row in told.zones_of(told.reader.keys.claim(reader)))


def test_a_reader_covers_the_zones_of_all_its_antennas() -> None:
    told = places()
    for reader, antenna in (("r1", 1), ("r2", 1), ("r2", 2), ("new", 1)):
        zone(told, reader, antenna)
    assert names(told, "r1") == ["door", "shelf"]
    assert names(told, "r2") == ["back", "r2/1"]
    assert names(told, "new") == ["new"]


def test_a_zone_is_blind_while_any_of_its_readers_is() -> None:
    told = places()
    for reader, antenna in (("r0", 0), ("r1", 1), ("r2", 1), ("dock/7", 0)):
        zone(told, reader, antenna)

    def blind() -> set[str]:
        rows = told.zone.keys.live().tolist()
        return {told.name(row) for row in rows if told.blinded(row, told.reader)}

    col = told.reader.col
    assert blind() == set()
    for reader, zones in (
        ("r0", {"shelf"}),
        ("r1", {"shelf", "door"}),
        ("r2", {"back", "r2/1"}),
        ("dock/7", {"dock/7"}),
    ):
        row = told.reader.keys.get(reader)
        col["offline_since_ms"][row] = 1
        assert blind() == zones
        col["offline_since_ms"][row], col["silent"][row] = 0, 1
        assert blind() == zones
        col["silent"][row] = 0


def test_what_was_asked_before_is_forgotten_when_the_tables_were_replaced() -> None:
    told = places()
    zone(told, "new")
    arrays, blobs = told.zone.save()
    fresh = places()
    fresh.zone.load(arrays, blobs)
    fresh.refresh()
    assert zone(fresh, "new") == "new"
    assert fresh.zone.keys.get("new") == told.zone.keys.get("new")
