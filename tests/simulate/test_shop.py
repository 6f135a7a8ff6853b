"""The simulated shop says the same every time, and a core that hears it comes to the shop's truth."""

from collections import Counter
from datetime import UTC, datetime
from itertools import islice, pairwise

import msgspec
import pytest

from edge.config import Config
from edge.core import Core
from edge.records import Message
from edge.simulate.daemon_config import daemon_config
from edge.simulate.shop import Shop
from edge.simulate.shop_settings import Noise, ShopSettings
from edge.simulate.shop_stage import Spoken
from edge.view import LiveView
from tests.simulate.noise import QUIET

START_MS = 1_725_520_021_785
ZONE = "America/Chicago"
LOUD = Noise(
    twice=0.05,
    garbage=0.02,
    clock_ahead=0.01,
    clock_unset=0.02,
    stray=0.02,
    corrected=0.03,
    overflow_every_s=60,
    outage_every_s=100,
)
SLOW = msgspec.structs.replace(LOUD, overflow_every_s=36_000, outage_every_s=36_000)


def shop(seed: int = 1, **settings: object) -> Shop:
    given = {"items": 60, "rate": 2.0, "day_s": 3_600.0, "timezone": ZONE, **settings}
    return Shop(ShopSettings(**given), seed=seed, start_ms=START_MS)  # type: ignore[arg-type]


def test_the_same_seed_says_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (list(islice(shop(seed).messages(), 800)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_time_never_goes_back_and_the_rate_is_kept() -> None:
    told = list(islice(shop(rate=50.0).messages(), 1_001))
    assert all(a.at_ms <= b.at_ms for a, b in pairwise(told))
    assert told[-1].at_ms - told[0].at_ms == 20_000


def test_every_maker_is_heard_and_mostly_readers() -> None:
    told = shop(noise=LOUD)
    formats = Counter(spoken.format for spoken in islice(told.messages(), 3_000))
    assert set(formats) == {"zebra", "impinj", "rfid3", "native", "msgpack", "garbage"}
    assert formats["zebra"] + formats["impinj"] > 1_500


def hear(told: Shop, until_ms: int) -> tuple[Core, LiveView, list[Spoken]]:
    """A core that was told everything up to a moment, with the daemon's configuration."""
    text = daemon_config(told.settings, broker_port=1, directory="var", bind="127.0.0.1:0")
    config = msgspec.toml.decode(text, type=Config)
    core, spoken = Core(config), list(told.until(until_ms))
    messages = [
        Message(one.topic, one.payload, one.at_ms, session=1, packet_id=i % 60_000 + 1, flags=1)
        for i, one in enumerate(spoken)
    ]
    for first in range(0, len(messages), 200):
        core.step(messages[first : first + 200], first)
    return core, LiveView(core, config, dict), spoken


def local_days_until(told: Shop) -> int:
    return (told.now_ms - START_MS) // 86_400_000 + 2


@pytest.mark.parametrize("noise", [QUIET, LOUD], ids=["quiet", "loud"])
def test_a_core_that_heard_everything_knows_the_shops_truth(noise: Noise) -> None:
    told = shop(seed=3, noise=noise)
    core, view, _ = hear(told, START_MS + 3_600_000)
    truth = told.truth
    items = {
        row.epc: row
        for row in view.items(zone=None, sku=None, status=None, start=0, limit=10_000).items
    }
    assert {epc: items[epc].status for epc in truth.status} == truth.status
    assert {epc: items[epc].grade for epc in truth.grade} == truth.grade
    assert {epc: items[epc].sku for epc in truth.sku} == truth.sku
    on_rent = {epc for epc, row in items.items() if row.status in ("On Rent", "Delivered")}
    assert on_rent == truth.on_rent
    unknown = {tag.epc for tag in view.unknown_tags(start=0, limit=1_000).tags}
    assert unknown == truth.strays
    for sku, units in truth.ledger.items():
        detail = view.class_detail(sku, "main", 1)
        assert detail is not None
        assert detail.on_hand == units, sku
        alone = view.class_detail(sku, "main", 0)
        assert alone is not None
        assert alone.history.days == []
    counters = core.state.counters
    assert counters.get("events_unreadable", 0) == truth.unreadable
    assert counters.get("events_future", 0) == truth.future
    again = counters.get("events_duplicate", 0) + counters.get("events_business_duplicate", 0)
    assert again == truth.duplicates


def test_units_by_class_and_day_are_those_of_the_shop_over_several_days() -> None:
    told = shop(seed=5, rate=0.02, day_s=86_400.0, heartbeat_s=7_200.0, noise=SLOW)
    _, view, _ = hear(told, START_MS + 3 * 86_400_000)
    found: Counter[tuple[str, str, str]] = Counter()
    scans: Counter[tuple[str, str, str]] = Counter()
    for row in view.classes(store="main", category=None, start=0, limit=100).classes:
        detail = view.class_detail(row.sku, "main", 10)
        assert detail is not None
        for measure, names in (
            (found, {"sold": "sold_units", "rented": "rented_units", "returned": "returned_units"}),
            (scans, {"out": "scans_out", "in": "scans_in"}),
        ):
            for ours, theirs in names.items():
                for day, units in zip(
                    detail.history.days, detail.history.columns[theirs], strict=True
                ):
                    measure[ours, row.sku, day] += int(units or 0)
    assert +found == +told.truth.units
    assert +scans == +told.truth.scans
    assert len({day for _, _, day in +found}) >= 3


def test_the_truth_counts_days_by_the_shops_zone() -> None:
    late = int(datetime(2024, 9, 5, 3, 0, tzinfo=UTC).timestamp() * 1000)
    told = Shop(ShopSettings(items=20, timezone=ZONE, rate=5), seed=1, start_ms=late)
    list(told.until(late + 600_000))
    assert {day for _, _, day in told.truth.units} == {"2024-09-04"}


def test_a_core_finds_what_lies_on_the_shelves_where_it_lies() -> None:
    told = shop(seed=4, rate=40.0, noise=QUIET)
    _, view, _ = hear(told, START_MS + 120_000)
    rows = view.items(zone=None, sku=None, status=None, start=0, limit=10_000).items
    found = {row.epc: row.zone for row in rows if row.present}
    assert {epc: found.get(epc) for epc in told.truth.zone} == told.truth.zone
