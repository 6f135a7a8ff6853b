"""The demo's past is the same every time, and the live shop goes on where it ended."""

from itertools import pairwise

import msgspec

from edge.config import Config
from edge.core import Core
from edge.records import Message
from edge.simulate.daemon_config import daemon_config
from edge.simulate.past import Past
from edge.simulate.shop import Shop
from edge.simulate.shop_settings import ShopSettings
from edge.view import LiveView
from tests.simulate.noise import QUIET

NOW_MS = 1_795_000_000_000
SETTINGS = ShopSettings(items=120, rate=20.0, day_s=60.0, noise=QUIET)


def past(seed: int = 1, weeks: int = 3) -> Past:
    return Past(SETTINGS, seed=seed, weeks=weeks, now_ms=NOW_MS)


def test_the_same_seed_has_the_same_past_and_another_seed_has_not() -> None:
    first, again, other = (list(past(seed).messages()) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_past_ends_now_and_never_goes_back() -> None:
    told = list(past().messages())
    assert all(a.arrival_ms <= b.arrival_ms for a, b in pairwise(told))
    assert told[-1].arrival_ms == NOW_MS
    assert told[-2].arrival_ms < NOW_MS // 86_400_000 * 86_400_000
    assert NOW_MS - told[0].arrival_ms > 20 * 86_400_000


def heard(messages: list[Message], core: Core, first: int) -> int:
    for start in range(0, len(messages), 200):
        core.step(messages[start : start + 200], first + start)
    return first + len(messages)


def test_a_core_that_heard_the_past_and_then_the_live_shop_knows_the_shops_truth() -> None:
    text = daemon_config(SETTINGS, broker_port=1, directory="var", bind="127.0.0.1:0")
    config = msgspec.toml.decode(text, type=Config)
    core, behind = Core(config), past()
    ordinal = heard(list(behind.messages()), core, 0)
    shop = Shop(SETTINGS, seed=1, start_ms=NOW_MS, past=behind)
    before = dict(shop.truth.status)
    assert "On Rent" in before.values()
    view = LiveView(core, config, dict)

    def items(name: str) -> dict[str, str]:
        page = view.items(zone=None, sku=None, status=None, start=0, limit=10_000)
        return {row.epc: getattr(row, name) for row in page.items if row.epc in before}

    assert items("status") == before  # the moment it begins, they agree
    assert items("grade") == shop.truth.grade
    live = [
        Message(one.topic, one.payload, one.at_ms, session=1, packet_id=i % 60_000 + 1, flags=1)
        for i, one in enumerate(shop.until(NOW_MS + 240_000))
    ]
    heard(live, core, ordinal)
    assert items("status") == shop.truth.status  # and after four of its days
    assert items("grade") == shop.truth.grade
    back = [epc for epc, status in before.items() if status == "On Rent"]
    assert sum(shop.truth.status[epc] != "On Rent" for epc in back) > len(back) / 2
    for sku, units in shop.truth.ledger.items():
        detail = view.class_detail(sku, "main", 1)
        assert detail is not None
        assert detail.on_hand == units, sku
    assert core.state.counters.get("events_unreadable", 0) == 0
    late = core.state.counters.get("events_late", 0)
    assert late == 0
