"""Messages in the order of their moments, and an account of every row."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge.replay.plan import survey
from edge.replay.reader import BadRow, Row
from tests.replay.rows import InMemory, compiled, plan_of, sent

TRIPS = """
time = { time = "out", unit = "s" }
[[skip]]
when = { column = "who", one_of = ["test"] }
reason = "a test"
[[messages]]
format = "json"
topic = "out"
when = [{ column = "who", present = true }]
fields = { n = "who" }
[[messages]]
format = "json"
topic = "back"
time = { time = "back", unit = "s" }
when = [{ column = "who", present = true }]
fields = { n = "who" }
"""
COLUMNS = ("out", "back", "who")

trips = st.lists(
    st.one_of(
        st.tuples(
            st.integers(0, 50), st.integers(0, 60), st.sampled_from(["a", "b", "test", None])
        ),
        st.just(("never", 3, "c")),
        st.just(BadRow("torn")),
    ),
    max_size=30,
)


def naive(rows: list[Row | BadRow]) -> Counter[tuple[int, str, str]]:
    """Every message, without regard to order: (second, topic, who)."""
    told: Counter[tuple[int, str, str]] = Counter()
    for row in rows:
        if isinstance(row, BadRow) or row[2] in ("test", None):
            continue
        out = row[0] if isinstance(row[0], int) else -1
        told[(out, "out", row[2])] += 1
        told[(row[1], "back", row[2])] += 1
    return told


@given(trips)
def test_every_message_comes_once_and_every_row_is_accounted_for(rows: list[Row | BadRow]) -> None:
    plan = plan_of(TRIPS, InMemory(COLUMNS, rows))
    told = sent(plan)
    shown = Counter((at // 1000, topic, str(said["n"])) for at, topic, said in told)
    timeless = {key for key in shown if key[2] == "c" and key[1] == "out"}
    expected = naive(rows)
    for key in timeless:
        expected[key] = shown[key]
    del expected[(-1, "out", "c")]
    assert shown == +expected
    tally = plan.close()
    assert tally.rows == len(rows) == tally.sent + sum(tally.skipped.values())
    assert tally.skipped["torn"] == sum(isinstance(row, BadRow) for row in rows)
    assert tally.waiting == 0


@given(trips)
def test_no_message_overtakes_a_later_row(rows: list[Row | BadRow]) -> None:
    orderly = [row for row in rows if not isinstance(row, BadRow) and row[0] != "never"]
    forward = [row for row in orderly if row[1] >= row[0]]
    moments = [at for at, _, _ in sent(plan_of(TRIPS, InMemory(COLUMNS, forward)))]
    assert moments == sorted(moments)


@given(trips, st.lists(st.integers(0, 60), max_size=4).map(sorted))
def test_stopping_at_any_instants_and_going_on_changes_nothing(
    rows: list[Row | BadRow], stops: list[int]
) -> None:
    whole = sent(plan_of(TRIPS, InMemory(COLUMNS, rows)))
    plan, pieces = plan_of(TRIPS, InMemory(COLUMNS, rows)), []
    for stop in stops:
        plan.until(stop * 1000)
        piece = sent(plan)
        assert all(at <= stop * 1000 for at, _, _ in piece)
        pieces += piece
        tally = plan.close()
        assert tally.rows == tally.sent + sum(tally.skipped.values()) + tally.waiting
    plan.until(None)
    assert pieces + sent(plan) == whole


def test_equal_moments_keep_the_order_of_the_file() -> None:
    rows = [(5, 9, "late"), (1, 1, "a"), (1, 1, "b"), (1, 1, "c")]
    told = sent(plan_of(TRIPS, InMemory(COLUMNS, rows)))
    assert [said["n"] for _, topic, said in told if topic == "out"] == ["a", "b", "c", "late"]


def test_at_one_moment_what_is_owed_comes_before_what_begins() -> None:
    told = sent(plan_of(TRIPS, InMemory(COLUMNS, [(1, 5, "a"), (5, 9, "b")])))
    assert [(topic, said["n"]) for _, topic, said in told] == [
        ("out", "a"),
        ("back", "a"),
        ("out", "b"),
        ("back", "b"),
    ]


def test_a_limit_stops_after_so_many_rows() -> None:
    plan = plan_of(TRIPS, InMemory(COLUMNS, [(n, n, "a") for n in range(9)]), limit=4)
    assert len(sent(plan)) == 8
    assert plan.close().rows == 4


def test_a_row_that_cannot_be_written_is_skipped_with_its_reason_once() -> None:
    plan = plan_of(TRIPS, InMemory(COLUMNS, [(1, 2, "\ud800"), (1, 2, "b")]))
    assert len(sent(plan)) == 2
    tally = plan.close()
    assert tally.sent == 1
    (reason,) = tally.skipped
    assert "cannot be expressed" in reason


def test_the_survey_tells_the_span_and_the_order() -> None:
    rows = InMemory(COLUMNS, [(7, 0, "a"), ("x", 0, "a"), BadRow("torn"), (3, 0, "a"), (9, 0, "a")])
    found = survey(rows, compiled(TRIPS, rows).at)
    assert (found.rows, found.timeless, found.ordered) == (5, 1, False)
    assert (found.first_ms, found.last_ms) == (3_000, 9_000)
