"""Keys and rows against a dict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.features.keys import KeyTable, key_hash

names = st.sampled_from([f"k{n}" for n in range(6)])
kinds = st.sampled_from(["claim", "claim", "claim", "release", "release", "restart"])
steps = st.lists(st.tuples(kinds, names), min_size=20, max_size=60)


@given(steps=steps, limit=st.integers(1, 6))
def test_a_table_gives_the_lowest_free_row_also_after_a_restart(
    steps: list[tuple[str, str]], limit: int
) -> None:
    table, rows, refused = KeyTable(limit), dict[str, int](), 0
    for step, key in steps:
        if step == "restart":
            table = KeyTable.load(limit, table.dump(), table.hashes[: table.high].copy())
            refused = 0
        elif step == "release":
            if key in rows:
                table.release([rows.pop(key)])
        else:
            free = [row for row in range(limit) if row not in rows.values()]
            expected = rows.get(key, free[0] if free else -1)
            refused += expected < 0
            assert table.claim(key) == expected
            if expected >= 0:
                rows[key] = expected
        assert dict(table.items()) == rows
        assert table.live().tolist() == sorted(rows.values())
        assert {table.key(row): row for row in table.live().tolist()} == rows
        assert table.keys() == [key for key, _ in sorted(rows.items(), key=lambda kr: kr[1])]
        assert table.full == (len(rows) == limit)
        assert table.refused == refused
        for known, row in rows.items():
            assert table.hashes[row] == key_hash(known)


def test_bulk_and_single_claims_agree() -> None:
    one, many = KeyTable(3), KeyTable(3)
    keys = ["a", "b", "a", "c", "d", "b"]
    assert many.claim_all(keys).tolist() == [one.claim(key) for key in keys] == [0, 1, 0, 2, -1, 1]
    assert many.lookup(["c", "z"]).tolist() == [2, -1]
    assert ("c" in many, many.get("z")) == (True, -1)


def test_a_hash_is_the_same_on_every_machine() -> None:
    assert key_hash("A") == 0x46507CCA99A3891A
    assert len({key_hash(f"{n}") for n in range(10_000)}) == 10_000


def test_more_keys_than_the_limit_are_said_and_not_dropped() -> None:
    table = KeyTable(3)
    table.claim_all(["a", "b", "c"])
    with pytest.raises(ValueError, match="raise it"):
        KeyTable.load(2, table.dump(), table.hashes[:3])


@pytest.mark.parametrize("bad", ["", "a\0b"])
def test_what_cannot_be_a_key_is_a_mistake(bad: str) -> None:
    with pytest.raises(AssertionError):
        KeyTable(1).claim(bad)


def test_an_empty_table_loads_empty() -> None:
    table = KeyTable.load(2, KeyTable(2).dump(), np.zeros(0, np.uint64))
    assert len(table) == 0
    assert table.claim("a") == 0
