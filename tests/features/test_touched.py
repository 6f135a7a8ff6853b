"""Which rows something happened to: for whoever scores, and no part of the state."""

import numpy as np

from edge.core import Core
from tests.streams import Streams, config, run


def test_touched_rows_are_told_once() -> None:
    core = Core(config())
    stream = Streams(3)
    messages = stream.messages(300)
    run(core, messages[:200], 16)
    core.state.item.take_touched()
    core.state.cls.take_touched()
    known = len(core.state.item.keys)
    before = {n: core.state.item.col[n].copy() for n in ("last_event_ms", "zone_row", "status_row")}
    run(core, messages[200:], 16, first=200)
    changed = np.zeros(core.state.item.keys.limit, bool)
    for name, values in before.items():
        changed |= core.state.item.col[name] != values
    touched = core.state.item.take_touched()
    assert known
    assert len(touched)
    assert set(np.flatnonzero(changed)) <= set(touched.tolist())
    assert not len(core.state.item.take_touched())


def test_a_class_is_touched_when_its_items_change() -> None:
    core = Core(config())
    run(core, Streams(4, rates={"item_scan": 5.0}).messages(200), 16)
    state = core.state
    state.cls.take_touched()
    row = next(r for r in state.item.keys.live().tolist() if state.item.col["class_row"][r] >= 0)
    state.shift_group(row, +1)
    assert state.cls.take_touched().tolist() == [int(state.item.col["class_row"][row])]
