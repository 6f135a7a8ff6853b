"""The middle as a whole: the same journal gives the same bits, whatever happens and is told."""

import json
import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import core as core_module
from edge import events as e
from edge.config import Config, Epc, Limits
from edge.core import Core, Step
from edge.features.catalog import BY_ENTITY, FEATURES, matrix, values
from edge.features.keys import key_hash
from edge.features.state import FeatureState
from edge.records import Message
from tests.streams import (
    DAY,
    HOUR,
    KINDS,
    LIMITS,
    MINUTE,
    SECOND,
    START_MS,
    Streams,
    Told,
    config,
    epc,
    run,
)

YEAR = 365 * DAY
PACES: list[dict[str, Any]] = [
    {},
    {"pauses_ms": (0, 0, 0, 1, 20), "rates": {"reader_status": 25}},
    {"pauses_ms": (0, 1, 900, HOUR)},
    {"pauses_ms": (0, SECOND, SECOND, 3 * DAY)},
    {"pauses_ms": (0, 5, 900, SECOND) * 12 + (9 * DAY, YEAR), "items": 30},
    {"start_ms": 1_761_350_000_000, "pauses_ms": (0, MINUTE, HOUR)},  # London's clocks go back
    {"start_ms": 1_772_900_000_000, "pauses_ms": (0, MINUTE, HOUR)},  # New York's go forward
]
ZONES = st.sampled_from(["Europe/London", "America/New_York"])
some = settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def message(kind: str, at_ms: int, /, **fields: Any) -> Message:
    payload = json.dumps({"at": at_ms} | fields).encode()
    return Message(f"rfid3/main/{kind}/s1", payload, at_ms)


def copied(core: Core, shop: Config) -> Core:
    """What a restart makes of a core."""
    arrays, blobs = core.save()
    fresh = Core(shop)
    fresh.load({name: array.copy() for name, array in arrays.items()}, dict(blobs))
    return fresh


# -- the same bits ------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", PACES, ids=str)
@some
@given(
    seed=st.integers(0, 2**32),
    zone=ZONES,
    many=st.integers(1, 120),
    remembered=st.sampled_from([16, 4_096]),
)
def test_a_journal_gives_the_same_bits_however_it_is_cut(
    pace: dict[str, Any], seed: int, zone: str, many: int, remembered: int
) -> None:
    messages = Streams(seed, **pace).messages(many)
    shop = config(zone, dedupe_events=remembered)
    one = Core(shop)
    told = run(one, messages, 1).shown()
    chance = random.Random(seed)
    for sizes in (7, 1_024, [chance.randint(1, 90) for _ in range(5)]):
        core = Core(shop)
        beats = chance if isinstance(sizes, list) else None
        assert run(core, messages, sizes, beats=beats).shown() == told
        assert core.digest() == one.digest()


@pytest.mark.parametrize("pace", PACES, ids=str)
@some
@given(seed=st.integers(0, 2**32), zone=ZONES, many=st.integers(2, 120), data=st.data())
def test_a_restart_from_a_snapshot_changes_nothing(
    pace: dict[str, Any], seed: int, zone: str, many: int, data: st.DataObject
) -> None:
    messages, shop = Streams(seed, **pace).messages(many), config(zone)
    core, restarted, told = Core(shop), Core(shop), Told()
    expected = run(core, messages, 16)
    cut = data.draw(st.integers(0, many))
    run(restarted, messages[:cut], 16, told=told)
    before = restarted.digest()
    restarted = copied(restarted, shop)
    assert restarted.digest() == before
    run(restarted, messages[cut:], 16, first=cut, told=told)
    assert restarted.digest() == core.digest()
    assert told.shown() == expected.shown()


def test_years_of_silence_close_every_day_on_the_way() -> None:
    core = Core(config())
    run(core, Streams(1).messages(200), 50)
    core.advance(START_MS + 5 * YEAR)
    state = core.state
    named = {int(state.item.col["class_row"][row]) for row in state.item.keys.live()}
    assert set(state.cls.keys.live().tolist()) == named - {-1}
    assert all(state.item.col["rented_at_ms"][row] > 0 for row in state.item.keys.live())
    assert state.pool.used() == 0
    assert state.today == state.days.day(START_MS + 5 * YEAR)


# -- order ----------------------------------------------------------------------------------------

WINDOWS = [
    f
    for f in FEATURES
    if f.window
    and f.measure not in ("rate", "last")
    and f.entity != "customer"
    and not f.name.startswith(("sightings", "moves", "arrivals", "departures", "utilisation"))
    and f.name != "stockout_days_28d"
]


@some
@given(seed=st.integers(0, 2**32), zone=ZONES)
def test_inside_the_lateness_windows_do_not_depend_on_the_order_of_events(
    seed: int, zone: str
) -> None:
    """Sightings, moves, levels and rates follow arrival, as documented; other windows do not."""
    chance = random.Random(seed)
    kinds = dict.fromkeys(KINDS, 0.0) | {"tag_read": 20, "pos_line": 10, "item_scan": 10}
    streams = Streams(seed, rates=kinds, ages_ms=(0,), redeliveries=False)
    events = []
    for _ in range(120):
        streams.now_ms += chance.randrange(20 * SECOND)
        made = streams.event()
        if made.get("kind") != "void" and made["at"]:
            # an item's class, once known, stays: or a scan would count for the class of the moment
            made = made | {"sku": f"S{made['epc'][-1]}"} if made["type"] == "item_scan" else made
            made = made | {"document": f"D{len(events)}"} if "document" in made else made
            events.append({k: v for k, v in made.items() if k != "id"})
    final = streams.now_ms

    def features(order: list[dict[str, Any]]) -> dict[str, Any]:
        core = Core(config(zone))
        told = [
            Message("rfid3/main/events/s1", json.dumps(made).encode(), final - 5_000 + i)
            for i, made in enumerate(order)
        ]
        run(core, told, 50)
        core.advance(final)
        out = {}
        for entity in ("item", "class", "zone", "reader"):
            names = [f.name for f in WINDOWS if f.entity == entity]
            for key, row in core.state.tables[entity].keys.items():
                read = matrix(core.state, entity, np.array([row]), names)[0]
                out[entity, key] = dict(zip(names, np.nan_to_num(read).tolist(), strict=True))
        return out

    shuffled = events.copy()
    chance.shuffle(shuffled)
    assert features(events) == features(shuffled)


# -- splitting and merging --------------------------------------------------------------------------


@some
@given(seed=st.integers(0, 2**32), parts=st.integers(1, 5), many=st.integers(1, 120))
def test_a_state_split_and_merged_is_the_same(seed: int, parts: int, many: int) -> None:
    core = Core(config())
    run(core, Streams(seed, **random.Random(seed).choice(PACES)).messages(many), 64)
    pieces = core.state.split(parts)
    assert sum(len(piece.customer.keys) for piece in pieces) == len(core.state.customer.keys)
    assert FeatureState.merge(pieces).digest() == core.state.digest()
    assert FeatureState.merge(pieces[::-1]).item.rank().tolist() is not None
    for piece in pieces:  # a part goes on by itself
        piece.advance(core.state.now_ms + 2 * DAY)


NOT_ADDITIVE = {
    # presence knows an item in one place only
    "dwell_s", "moves_24h", "items_present", "arrivals_24h", "departures_24h",
    "dwell_p50_s", "dwell_p90_s", "gaps_total",
    # levels and their history want lines and items side by side
    "on_hand_units", "on_rent_units", "fleet_units", "utilisation_now", "utilisation_7d",
    "utilisation_28d", "stockout_days_28d",
    # a document line may name an item, and a customer may meet several classes in a day
    "turnover_cents_total", "visits_total",
    # the newest of several parts is not known
    "clock_ahead_ms", "class_price_cents",
}  # fmt: skip


@some
@given(seed=st.integers(0, 2**32), shards=st.integers(2, 4))
def test_a_sharded_stream_merged_has_the_additive_features_of_the_whole(
    seed: int, shards: int
) -> None:
    kinds = {"reservation": 0, "correction": 0, "reader_status": 0}
    messages = Streams(seed, rates=kinds, redeliveries=False, ages_ms=(0, 90)).messages(200)
    messages = [m for m in messages if m.topic.startswith("rfid3/")]
    shop = config()
    whole = Core(shop)
    parts = [Core(shop) for _ in range(shards)]
    for i, told in enumerate(messages):
        decoded = whole.decoder.decode(told)
        for event in decoded.events:
            if isinstance(event, e.ItemLink) and event.action == "replace":
                continue  # both tags would have to live in one shard
            event.id = ""
            if isinstance(event, e.Review) and event.epc:
                event.sku = ""  # one or the other: a review of both goes to two shards
            if isinstance(event, e.PosLine):
                event.epc, event.document = "", f"D{i}"  # lines are compared in their own shard
            key = getattr(event, "epc", "") or getattr(event, "sku", "")
            one = Message("$http/events/s1", msgspec.json.encode(event), told.arrival_ms)
            whole.step([one], i)
            parts[key_hash(key) % shards].step([one], i)
    now = messages[-1].arrival_ms + 1 if messages else START_MS
    for core in (whole, *parts):
        core.advance(now)
    merged = FeatureState.merge([core.state for core in parts])
    for entity, features in BY_ENTITY.items():
        for key, row in whole.state.tables[entity].keys.items():
            right = values(whole.state, entity, row)
            found = values(merged, entity, merged.tables[entity].keys.get(key))
            for name in features.keys() - NOT_ADDITIVE:
                assert found[name] == pytest.approx(right[name], abs=2e-3), (entity, key, name)


# -- bounds -----------------------------------------------------------------------------------------

TIGHT = Limits(
    items_max=5,
    active_items_max=2,
    rental_log_max=4,
    classes_max=2,
    zones_max=4,
    readers_max=2,
    customers_max=2,
    lines_max=3,
)


@some
@given(seed=st.integers(0, 2**32), many=st.integers(1, 120))
def test_full_tables_refuse_with_a_reason_and_stay_the_same_however_cut(
    seed: int, many: int
) -> None:
    pace = random.Random(seed).choice(PACES[:5])
    messages, shop = Streams(seed, **pace).messages(many), config(limits=TIGHT)
    core, other = Core(shop), Core(shop)
    told = run(core, messages, 1)
    assert run(other, messages, 40).shown() == told.shown()
    assert other.digest() == core.digest()
    for table in core.state.tables.values():
        assert len(table.keys) <= table.keys.limit
    assert len(core.state.lines) <= TIGHT.lines_max
    refused = [letter for letter in told.dead_letters if letter.reason == "key_limit"]
    assert core.state.counters.get("events_key_limit", 0) == len(refused)


def test_every_limit_is_told_when_it_is_reached() -> None:
    core = Core(config(limits=TIGHT))
    now, told = START_MS, []
    for i in range(8):
        told += [
            message("tag_read", now, epc=epc(i), source="r0"),
            message("tag_read", now, epc=epc(0), source=f"q{i}"),
            message("item_scan", now, epc=epc(i), scan_type="Rental", sku=f"S{i}"),
            message("item_link", now, epc=epc(i), sku=f"S{i}"),
            message("stock_count", now, sku=f"S{i}", quantity=1),
            message("reader_status", now, reader=f"q{i}", status="heartbeat"),
            message("pos_line", now, document=f"D{i}", kind="sale", sku="S0", customer=f"k{i}"),
        ]
    letters = run(core, told, 9).dead_letters
    kinds = {letter.topic.split("/")[1] for letter in letters}
    assert kinds == {"tag_read", "item_scan", "item_link", "stock_count", "reader_status"}
    assert {letter.reason for letter in letters} == {"key_limit"}
    counters = core.state.counters
    for name in ("window_pool_full", "classes_full", "customers_full", "events_key_limit"):
        assert counters[name] > 0, name


def test_what_was_refused_for_room_is_new_when_it_is_told_again() -> None:
    shop = config(limits=TIGHT)
    core = Core(shop)
    counts = [message("stock_count", START_MS, sku=f"S{i}", quantity=i) for i in range(3)]
    letters = run(core, counts, 3).dead_letters
    assert [letter.reason for letter in letters] == ["key_limit"]
    roomy = config(limits=msgspec.structs.replace(TIGHT, classes_max=3))
    arrays, blobs = core.save()
    core = Core(roomy)
    core.load(arrays, blobs)
    again = Message(letters[0].topic, letters[0].payload, START_MS + HOUR, origin_ms=START_MS)
    assert not run(core, [again], 1).dead_letters
    row = core.state.cls.keys.get("main\x1fS2")
    assert values(core.state, "class", row)["on_hand_units"] == 2


BY_ZONE = ("dwell_s", "moves_24h")
"""How long a silent tag is believed present is learned by zone; zones and readers are never forgotten."""


@some
@given(seed=st.integers(0, 2**32))
def test_a_row_used_again_knows_nothing_of_the_key_before(seed: int) -> None:
    """After a pause in which everything is forgotten, a core is as good as new."""
    # readers are never forgotten, nor that one of them is away
    pace = random.Random(seed).choice(PACES[:3]) | {"rates": {"reader_status": 0}}
    used, fresh = Core(config()), Core(config())
    first = [m for m in Streams(seed, **pace).messages(120) if not m.topic.startswith("$rfid3")]
    run(used, first, 64)
    rented = used.state.item.col["rented_at_ms"]
    retire = [
        message(
            "item_link", first[-1].arrival_ms, epc=used.state.item.keys.key(row), action="retire"
        )
        for row in used.state.item.keys.live().tolist()
        if rented[row]
    ]
    run(used, retire, 64, first=len(first))
    # silence: what is forgotten must be forgotten everywhere
    later = first[-1].arrival_ms + 3 * YEAR
    used.advance(later)
    for name in ("item", "class", "customer"):
        assert len(used.state.tables[name].keys) == 0, name
    assert not used.state.lines
    assert not used.state.reserved
    assert not used.state.zone.col["items_present"].any()
    second = Streams(seed + 1, start_ms=later + DAY, items=20, named=0, **pace)
    told = second.messages(120)
    told = [m for m in told if not m.topic.startswith("$rfid3") and not m.flags & 4]
    run(used, told, 64, first=10_000)
    run(fresh, told, 64, first=10_000)
    for entity in ("item", "class", "customer"):
        mine, right = used.state.tables[entity], fresh.state.tables[entity]
        assert set(mine.keys.keys()) == set(right.keys.keys())
        for key, row in right.keys.items():
            expected = values(fresh.state, entity, row)
            found = values(used.state, entity, mine.keys.get(key))
            for name in BY_ZONE:
                expected.pop(name, None), found.pop(name, None)
            assert found == expected, (entity, key)


def test_an_item_forgotten_in_a_blind_zone_is_no_longer_in_it() -> None:
    core = Core(config())
    now = START_MS
    told = [message("tag_read", now + i * 400, epc=epc(1), source="r0") for i in range(10)]
    run(core, told, 3)
    core.advance(now + MINUTE)
    shelf = core.state.zone.keys.get("shelf")
    assert core.state.zone.col["items_present"][shelf] == 1
    off = message("reader_status", now + MINUTE, reader="r0", status="offline")
    run(core, [off], 1, first=10)
    core.advance(now + 6 * DAY)
    assert core.state.zone.col["items_present"][shelf] == 1
    core.advance(now + 10 * DAY)
    assert epc(1) not in core.state.item.keys
    assert core.state.zone.col["items_present"][shelf] == 0


# -- hostile values -----------------------------------------------------------------------------------

HUGE = {
    "quantity": [1e-9, 1e9, 999_999_999.999],
    "price_cents": [0, 10**12, -(10**12)],
    "discount_cents": [10**12, -(10**12)],
    "cost_cents": [10**12, -(10**12)],
    "minutes": [0, 1_000_000],
    "lost_events": [0, 2**63 - 1],
    "line": [None, 0, 2**63 - 1],
    "seq": [0, 2**63 - 1],
    "count": [1, 1_000_000],
    "antenna": [0, 64, 65, 255],
    "rssi_dbm": [None, -150, 0, 1e300, -1e300, 30],
    "rating": [1, 5],
    "value": [1e15, -1e15],
    "at": [
        0,
        946_684_800_000,
        START_MS,
        4_294_943_999_999,
        -1,
        2**63 - 1,
        1e300,
        "2025-10-26T01:30",
    ],
    "due": [0, 1, 4_294_943_999_999, 2**63 - 1],
    "start": [0, 946_684_800_000],
    "end": [0, 4_294_943_999_999, 946_684_800_001],
    "scanned_at": [0, 946_684_800_000, START_MS],
    "gap_from": [0, 946_684_800_000],
    "epc": ["A" * 128, "00", "élan", "E2" * 12, "3034257BF7194E4000001A85"],
    "replaces": ["00", "A" * 128],
    "pc": ["", "3000", "zz"],
    "sku": ["", "S" * 128, "ü"],
    "store": ["", "elsewhere", "x" * 128],
    "source": ["", "r0", "a/b/c", "s" * 128],
    "name": ["", "n" * 200, "a\x00b", "tab\there"],
    "status": ["", "Nowhere", "x" * 64],
    "bin": ["", "b" * 128],
    "customer": ["", "c" * 128],
    "document": ["D", "d" * 128],
    "id": ["", "1", "i" * 128],
}


def hostile(chance: random.Random, kind: str) -> dict[str, Any]:
    """One event of a kind with every field at an end of its range, or left out."""
    event_type, made = e.BY_KIND[kind], dict[str, Any]()
    for info in msgspec.structs.fields(event_type):
        words = next((t for t in (info.type,) if getattr(t, "__args__", None)), None)
        if info.name in HUGE and not (info.name == "status" and kind == "reader_status"):
            choices = HUGE[info.name]
        elif info.name == "defects":
            choices = [[], ["oil", "oil", "wet"]]
        elif words is not None and all(isinstance(a, str) for a in words.__args__):
            choices = list(words.__args__)
        else:
            continue
        if info.required or chance.random() < 0.7:
            made[info.name] = chance.choice(choices)
    return made


@pytest.mark.filterwarnings("error")
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_nothing_that_the_decoder_lets_through_raises_or_wraps_around(seed: int) -> None:
    chance = random.Random(seed)
    shop = msgspec.structs.replace(config(), epc=Epc(link_gtin=True))
    core, now, told = Core(shop), START_MS, []
    for _ in range(80):
        now += chance.choice([0, 1, HOUR, DAY])
        kind = chance.choice(list(e.BY_KIND))
        payload = json.dumps(hostile(chance, kind)).encode()
        told.append(Message(f"rfid3/main/{kind}/r0", payload, now))
    run(core, told, chance.choice([1, 9, 80]))
    assert core.state.counters["events_admitted"] > 0
    assert "dead_decoder_fault" not in core.state.counters
    for entity in BY_ENTITY:
        for row in core.state.tables[entity].keys.live().tolist():
            for name, value in values(core.state, entity, row).items():
                assert value is None or abs(value) < 1e18, (entity, name, value)
    again = copied(core, shop)
    assert again.digest() == core.digest()


@pytest.mark.filterwarnings("error")
def test_the_largest_amounts_stay_at_the_end_of_their_range() -> None:
    core = Core(config(dedupe_events=100_000))
    line = {"document": "D", "sku": "A", "quantity": 1e9, "price_cents": 10**12, "kind": "sale"}
    lines = [
        message("pos_line", START_MS, line=i, customer="k", epc=epc(1), **line) for i in range(9)
    ]
    reads = [
        message("tag_read", START_MS, epc=epc(1), count=1_000_000, rssi_dbm=-150, seq=i + 1)
        for i in range(3_000)
    ]
    flood = [
        message("reader_status", START_MS, reader="r0", status="overflow", lost_events=2**63 - 1)
    ] * 3
    run(core, reads + lines + flood, 1_024)
    item = values(core.state, "item", core.state.item.keys.get(epc(1)))
    assert item["turnover_cents_total"] == 2**53
    assert item["reads_total"] == 3_000 * 65_535
    assert item["reads_24h"] == (2**31 - 1) // 24
    assert item["rssi_mean_1h_dbm"] == -150
    customer = values(core.state, "customer", core.state.customer.keys.get("k"))
    assert customer["spend_cents_total"] == 2**53
    assert customer["sold_units_total"] == 9e9
    reader = values(core.state, "reader", core.state.reader.keys.get("r0"))
    assert reader["lost_events_total"] == 2**53


def test_limits_of_the_streams_are_roomy_enough() -> None:
    """So that the tests above judge features and not refusals."""
    core = Core(config())
    run(core, Streams(8).messages(300), 64)
    assert "events_key_limit" not in core.state.counters
    assert LIMITS.items_max > len(core.state.item.keys)


def test_a_refused_event_and_an_unreadable_element_are_two_dead_letters() -> None:
    bad, good = {"epc": "", "scan_type": "Rental"}, {"epc": "AB", "scan_type": "Return"}
    good["at"] = START_MS + 10 * DAY
    payload = json.dumps([bad, good]).encode()
    step = Core(config()).step([Message("rfid3/main/item_scan/h1", payload, START_MS)], 0)
    letters = step.effects.dead_letters
    assert len(letters) == 2
    assert len({(letter.ordinal, letter.index) for letter in letters}) == 2


def statuses(*told: tuple[int, str]) -> list[Message]:
    return [
        message("reader_status", START_MS + at, reader="r0", status=status) for at, status in told
    ]


def test_a_reader_falls_silent_at_the_same_moment_however_messages_are_cut() -> None:
    minutes = statuses(*((i * 10 * 60 * SECOND, "heartbeat") for i in range(3)))
    told = [run(Core(config()), minutes, size).shown() for size in (1, 2, 7)]
    assert told[0] == told[1] == told[2]


def test_a_crowd_departs_in_slices_and_gives_the_same_bits_as_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = [message("tag_read", START_MS, epc=epc(i), source="r1") for i in range(50)]
    told = []
    for crowd in (1, 7, 1_000):
        monkeypatch.setattr(core_module, "CROWD", crowd)
        core, out = Core(config()), Step()
        core.step(reads, 0)
        slices = len(list(core.passing(START_MS + 500 * SECOND, out)))
        assert slices >= 49 // crowd
        assert (core.state.item.col["zone_row"][:50] < 0).all()
        told.append((core.digest(), [(t.epc, t.index, t.kind) for t in out.effects.timeline]))
    assert told[0] == told[1] == told[2]


def test_online_and_offline_in_one_batch_let_time_pass_between_them() -> None:
    for apart_ms in (2 * SECOND, 20 * SECOND, 1_200 * SECOND):
        reads = [message("tag_read", START_MS, epc=epc(i), source="r0") for i in range(5)]
        both = statuses((599 * SECOND, "online"), (599 * SECOND + apart_ms, "offline"))
        one, many = Core(config()), Core(config())
        assert run(one, reads + both, 1).shown() == run(many, reads + both, 100).shown()
        assert one.digest() == many.digest()


def test_a_status_with_an_id_counts_once() -> None:
    core = Core(config())
    lost = [
        message("reader_status", START_MS, reader="r0", status="overflow", lost_events=7, id="a")
    ] * 2
    run(core, lost, 1)
    assert values(core.state, "reader", core.state.reader.keys.get("r0"))["lost_events_total"] == 7


def test_after_a_start_nobody_departs_before_the_link_is_up() -> None:
    core = Core(config())
    core.step([message("tag_read", START_MS, epc=epc(1), source="r0")], 0)
    core.advance(START_MS + 5 * SECOND)
    assert core.state.item.col["zone_row"][0] >= 0
    began = START_MS + 7_200 * SECOND
    core.step([Message("$rfid3/start", b"{}", began)], 1)
    core.advance(began + 7_200 * SECOND)
    assert core.state.item.col["zone_row"][0] >= 0
    core.step([Message("$rfid3/link", b'{"up":true}', began + 7_200 * SECOND)], 2)
    core.advance(began + 15_000 * SECOND)
    assert core.state.item.col["zone_row"][0] < 0


def test_a_poisoned_message_of_our_own_is_passed_over() -> None:
    core = Core(config())
    core.poisoned = frozenset({0})
    step = core.step([Message("$rfid3/link", b"no json", START_MS)], 0)
    assert [letter.reason for letter in step.effects.dead_letters] == ["poison"]


def test_a_clock_that_jumps_from_1970_gives_the_same_bits_as_one_that_was_right() -> None:
    right, jumps, passes = Core(config()), Core(config()), Core(config())
    for at_ms in (1_000, 5 * DAY, 400 * DAY, START_MS):
        passes.advance(at_ms)
    jumps.advance(1_000)
    jumps.advance(START_MS)
    right.advance(START_MS)
    messages = Streams(1).messages(60)
    for core in (right, jumps, passes):
        run(core, messages, 7)
        core.advance(START_MS + 30 * DAY)
    assert right.digest() == jumps.digest() == passes.digest()
