"""Tables: one life cycle for keys, columns, windows and texts."""

import numpy as np
import pytest

from edge.config import Limits
from edge.features.layout import tables
from edge.features.tables import Column, Table
from edge.features.windows import DayLog, DayRing, RingWindow

COLUMNS = (
    Column("total", np.int64, merge="sum"),
    Column("newest", np.int64),
    Column("first", np.int64, merge="first"),
    Column("friend", np.int32, -1, ref="own"),
)
PARTS = {
    "ring": lambda rows: RingWindow(rows, 3, 10),
    "days": lambda rows: DayRing(rows, 3, windows=(2,)),
    "log": lambda rows: DayLog(rows, (2,), 100),
}


def table(limit: int = 4) -> Table:
    return Table("own", limit, COLUMNS, PARTS, ("name",))  # type: ignore[arg-type]


def filled(*keys: str, amount: int = 1) -> Table:
    told = table()
    told.roll(1_000, 50)
    for key in keys:
        row = told.keys.claim(key)
        told.col["total"][row] += amount
        told.col["newest"][row] = told.col["first"][row] = amount * 100
        told.col["friend"][row] = 0
        told.part["ring"].add(np.array([row]), np.array([1_000]), np.array([amount]))  # type: ignore[union-attr]
        told.part["days"].add(row, 50, amount)  # type: ignore[union-attr,call-arg,arg-type]
        told.part["log"].add(row, 50, amount)  # type: ignore[union-attr,call-arg,arg-type]
        told.text["name"][row] = f"name of {key}"
    return told


def canonical(told: Table) -> dict[str, object]:
    return {k: np.asarray(v).tolist() for k, v in told.canonical({"own": told.rank()}).items()}


def test_the_order_in_which_keys_came_does_not_show() -> None:
    assert canonical(filled("a", "b", "c"))["keys"] == ["a", "b", "c"]
    one, other = filled("a", "b", "c"), filled("a", "c", "b")
    assert canonical(one) == canonical(other)


def test_a_released_row_is_as_new() -> None:
    told, fresh = filled("a", "b"), filled("a")
    told.release(np.array([told.keys.get("b")]))
    assert canonical(told) == canonical(fresh)
    row = told.keys.claim("z")
    assert (told.col["total"][row], told.col["friend"][row]) == (0, -1)
    assert row not in told.text["name"]
    assert told.part["ring"].totals[row] == 0  # type: ignore[union-attr]


def test_saved_and_loaded_it_is_the_same() -> None:
    told, fresh = filled("a", "b", "c"), table()
    told.release(np.array([1]))
    arrays, blobs = told.save()
    fresh.load({k: v.copy() for k, v in arrays.items()}, blobs)
    assert canonical(fresh) == canonical(told)
    assert fresh.keys.claim("next") == told.keys.claim("next")


def test_rows_of_two_parts_add_up_or_keep_the_greater_or_the_first() -> None:
    mine, theirs = filled("a", "b", amount=2), filled("b", "c", amount=3)
    rows = theirs.keys.live()
    to = mine.keys.claim_all(theirs.keys.keys())
    remap = np.full(4, -1)
    remap[rows] = to
    mine.absorb(theirs, rows, to, {"own": remap})
    content = canonical(mine)
    assert content["keys"] == ["a", "b", "c"]
    assert content["total"] == [2, 5, 3]
    assert content["newest"] == [200, 300, 300]
    assert content["first"] == [200, 200, 300]
    assert content["ring.totals"] == [2, 5, 3]
    assert content["log.log"] == [[50, 50, 50], [0, 1, 2], [2, 5, 3]]
    assert content["friend"] == [0, 1, 1]  # theirs pointed at b


def test_sums_of_days_are_made_anew_after_a_load_and_a_merge() -> None:
    told, again = filled("a", "b", amount=2), table()
    arrays, blobs = told.save()
    assert not any("sums" in name for name in arrays)
    again.load(arrays, blobs)
    b = again.keys.get("b")
    assert again.part["days"].sums[2][b] == 2  # type: ignore[union-attr,call-overload,index]
    other = filled("b", amount=3)
    rows, to = other.keys.live(), np.array([b])
    again.absorb(other, rows, to, {"own": np.zeros(4, np.int64)})
    assert again.part["days"].sums[2][b] == 5  # type: ignore[union-attr,call-overload,index]
    again.roll(1_000, 52)
    assert again.part["days"].sums[2][b] == 0  # type: ignore[union-attr,call-overload,index]


@pytest.mark.parametrize("limits", [Limits(), Limits(items_max=7, classes_max=3, zones_max=2)])
def test_the_size_is_that_of_all_arrays(limits: Limits) -> None:
    for made in tables(limits).values():
        arrays = list(made.col.values())
        for part in made.part.values():
            arrays += [a for a in vars(part).values() if isinstance(a, np.ndarray)]
            arrays += getattr(part, "sums", {}).values() if isinstance(part, DayRing) else []
        assert made.nbytes() == sum(a.nbytes for a in arrays)
