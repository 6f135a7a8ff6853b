"""One suite for both engines: what is written in common SQL reads back alike from SQLite and MariaDB."""

import asyncio
import sqlite3
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Protocol, get_args, get_origin

import asyncmy.errors
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.config import Mysql
from edge.ledger.tables import TABLES
from edge.servers import MariaDb
from edge.storage import migrations, mysql_schema
from edge.storage.changes import Copied, copied_tables
from edge.storage.mysql import connect
from tests.databases import Database

NAMES = [table.name for table in TABLES]


class Engine(Protocol):
    """What the suite asks of both."""

    broken: tuple[type[Exception], ...]

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]: ...
    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None: ...
    def columns(self, table: str) -> dict[str, tuple[str, bool]]: ...
    def indexes(self, table: str) -> set[tuple[str, ...]]: ...
    def close(self) -> None: ...


class Sqlite:
    """The local store's engine."""

    broken = (sqlite3.IntegrityError,)

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        migrations.create(self._connection, 1)

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._connection.executemany(sql, rows)

    def columns(self, table: str) -> dict[str, tuple[str, bool]]:
        """Name -> (type, whether it may be NULL)."""
        rows = self.ask(f"PRAGMA table_info({table})")
        return {row[1]: (row[2].lower(), not row[3]) for row in rows}

    def indexes(self, table: str) -> set[tuple[str, ...]]:
        """The columns of each index."""
        names = [row[1] for row in self.ask(f"PRAGMA index_list({table})")]
        return {tuple(r[2] for r in self.ask(f"PRAGMA index_info({name})")) for name in names}

    def close(self) -> None:
        self._connection.close()


class MySql:
    """The copy's engine; a loop of its own."""

    broken = (asyncmy.errors.MySQLError,)

    def __init__(self, database: Database) -> None:
        server = database.server
        self._loop = asyncio.new_event_loop()
        told = Mysql(host=server.host, port=server.port, user="root", database=database.name)
        self._connection = self._loop.run_until_complete(connect(told))
        self._loop.run_until_complete(mysql_schema.upgrade(self._connection))
        self.ask("SET autocommit = 1")

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        work = mysql_schema.ask(self._connection, sql.replace("?", "%s"), values)
        return [tuple(row) for row in self._loop.run_until_complete(work)]

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        async def work() -> None:
            async with self._connection.cursor() as cursor:
                await cursor.executemany(sql.replace("?", "%s"), list(rows))

        self._loop.run_until_complete(work())

    def columns(self, table: str) -> dict[str, tuple[str, bool]]:
        rows = self.ask(
            "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?",
            table,
        )
        return {name: (str(kind).lower(), null == "YES") for name, kind, null in rows}

    def indexes(self, table: str) -> set[tuple[str, ...]]:
        rows = self.ask(
            "SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            table,
        )
        found: dict[str, list[str]] = {}
        for name, column in rows:
            found.setdefault(name, []).append(column)
        return {tuple(columns) for columns in found.values()}

    def close(self) -> None:
        self._connection.close()
        self._loop.close()


@pytest.fixture(scope="module")
def engines(shared_mariadb: MariaDb) -> Iterator[dict[str, Engine]]:
    """Both with all tables, which are made once."""
    database = Database(shared_mariadb, "engines")
    made: dict[str, Engine] = {"sqlite": Sqlite(), "mariadb": MySql(database)}
    yield made
    for one in made.values():
        one.close()
    database.drop()


@pytest.fixture(params=["sqlite", "mariadb"])
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    made = engines[request.param]
    for table in USED:
        made.ask(f"DELETE FROM {table}")
    return made


USED = ("catalogue_stores", "analytics_predictions", "external_data_factors", "daily_sales")
STORE = (
    "REPLACE INTO catalogue_stores (store, name, city, country, latitude, longitude, opened_on,"
    " active, attributes, created_ms, updated_ms, changed) VALUES (?, ?, '', '', ?, NULL, '', ?, ?,"
    " ?, 0, ?)"
)
READ = "SELECT store, name, latitude, active, attributes, created_ms, changed FROM catalogue_stores"


def put(engine: Engine, store: str, name: str = "", **given: Any) -> None:
    latitude, active = given.get("latitude"), given.get("active", 1)
    words, created = given.get("attributes", "{}"), given.get("created_ms", 0)
    engine.ask(STORE, store, name, latitude, active, words, created, given.get("changed", 1))


def test_a_row_is_written_replaced_and_deleted_by_its_key(engine: Engine) -> None:
    put(engine, "main", "first", changed=1)
    put(engine, "main", "second", changed=2)
    put(engine, "north", "third", changed=3)
    assert [row[:2] for row in engine.ask(f"{READ} ORDER BY changed")] == [
        ("main", "second"),
        ("north", "third"),
    ]
    engine.ask("DELETE FROM catalogue_stores WHERE store = ?", "main")
    assert [row[0] for row in engine.ask(READ)] == ["north"]


def test_rows_are_read_back_by_the_number_of_their_change(engine: Engine) -> None:
    engine.many(STORE, [(f"s{i}", "", None, 1, "{}", 0, i) for i in range(1, 101)])
    rows = engine.ask(f"{READ} WHERE changed > ? ORDER BY changed LIMIT ?", 40, 5)
    assert [row[-1] for row in rows] == [41, 42, 43, 44, 45]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " blank at both ends ",
        "Größe ñ 椅子 кресло",
        "emoji 🏠 and 👩‍👩‍👧‍👦",
        "quote ' double \" backslash \\ percent %s per cent 100 % ? mark",
        "tab\tline\nreturn\rnull\0end",
        "x" * 60_000,
    ],
    ids=["empty", "blanks", "letters", "emoji", "signs", "controls", "long"],
)
def test_every_text_comes_back_as_it_was(engine: Engine, text: str) -> None:
    put(engine, "main", text, attributes=text)
    assert engine.ask(READ)[0][1] == text
    assert engine.ask(READ)[0][4] == text


def test_keys_that_differ_in_case_blanks_or_accents_are_different_keys(engine: Engine) -> None:
    keys = ["a", "A", "a ", "à", "a\u0300", "ß", "ss", "", " ", "🏠", "🏡"]
    for number, key in enumerate(keys):
        put(engine, key, str(number))
    assert {row[0]: row[1] for row in engine.ask(READ)} == {k: str(i) for i, k in enumerate(keys)}
    assert engine.ask(f"{READ} WHERE store = ?", "A")[0][1] == "1"


def test_a_key_may_have_255_signs_of_any_kind(engine: Engine) -> None:
    for sign in "xé椅🏠":
        put(engine, sign * 255, sign)
    assert {row[0] for row in engine.ask(READ)} == {sign * 255 for sign in "xé椅🏠"}


@pytest.mark.parametrize("number", [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_whole_numbers_of_64_bits_are_exact(engine: Engine, number: int) -> None:
    put(engine, "main", created_ms=number)
    assert engine.ask(READ)[0][5] == number


@pytest.mark.parametrize(
    "number", [0.0, 0.1, -1.5, 1e-300, 1.7976931348623157e308, 1 / 3, 123_456_789.123_456_78]
)
def test_doubles_are_exact_to_the_last_bit(engine: Engine, number: float) -> None:
    put(engine, "main", latitude=number)
    told = engine.ask(READ)[0][2]
    assert told == number
    assert isinstance(told, float)


def test_null_is_no_zero_and_no_empty_text(engine: Engine) -> None:
    put(engine, "main", latitude=None)
    assert engine.ask(f"{READ} WHERE latitude IS NULL")[0][2] is None
    assert engine.ask(f"{READ} WHERE latitude = 0") == []


def test_truth_is_0_and_1(engine: Engine) -> None:
    put(engine, "yes", active=True)
    put(engine, "no", active=False)
    assert [row[0] for row in engine.ask(f"{READ} WHERE active = 1")] == ["yes"]
    assert {r[0]: r[3] for r in engine.ask(READ)} == {"yes": 1, "no": 0}


def test_what_must_not_be_null_is_refused_as_null(engine: Engine) -> None:
    with pytest.raises(engine.broken):
        engine.ask(STORE, "main", None, None, 1, "{}", 0, 1)
    assert engine.ask(READ) == []


def test_a_rating_beyond_1_to_5_is_refused(engine: Engine) -> None:
    names = "id, prediction_type, target_key, target_store, question, role, prediction_date"
    names += ", horizon_days, model_version, created_at, changed, feedback_rating"
    sql = f"INSERT INTO analytics_predictions ({names}) VALUES"
    sql += " (?, 'demand', 'k', 'main', 'q', 'shown', '2026-01-01 00:00:00', 7, ?,"
    sql += " '2026-01-01 00:00:00', 1, ?)"
    engine.ask(sql, 1, "v1", 5)
    with pytest.raises(engine.broken):
        engine.ask(sql, 2, "v2", 6)


def test_a_moment_and_a_day_come_back_as_they_were(engine: Engine) -> None:
    engine.ask(
        "INSERT INTO external_data_factors (id, factor_type, factor_name, factor_store,"
        " factor_value, measurement_date, data_source, quality_confidence, created_at, changed)"
        " VALUES (1, 'weather', 't', '', 1.5, '2026-03-29 01:30:00', 'x', 1, '2026-01-01 00:00:00', 1)"
    )
    told = "SELECT measurement_date FROM external_data_factors WHERE measurement_date >"
    assert str(engine.ask(f"{told} '2026-03-29 01:29:59'")[0][0]) == "2026-03-29 01:30:00"
    assert engine.ask(f"{told} '2026-03-29 01:30:00'") == []
    engine.ask(
        "INSERT INTO daily_sales (day, store, sku, rented_units, sold_units, returned_units,"
        " revenue_cents, stockouts, changed) VALUES ('2026-02-28', 'm', 's', 0, 0, 0, 0, 0, 1)"
    )
    assert str(engine.ask("SELECT day FROM daily_sales WHERE day < '2026-03-01'")[0][0]) == (
        "2026-02-28"
    )


def test_a_transaction_is_there_wholly_or_not_at_all(engine: Engine) -> None:
    put(engine, "main", "before")
    engine.ask("BEGIN")
    put(engine, "main", "after")
    put(engine, "north", "new")
    engine.ask("ROLLBACK")
    assert [row[:2] for row in engine.ask(READ)] == [("main", "before")]
    engine.ask("BEGIN")
    put(engine, "north", "new")
    engine.ask("DELETE FROM catalogue_stores WHERE store = 'main'")
    engine.ask("COMMIT")
    assert [row[:2] for row in engine.ask(READ)] == [("north", "new")]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(rows=st.dictionaries(texts, st.tuples(texts, st.none() | st.floats(-1e9, 1e9)), max_size=8))
def test_any_rows_come_back_as_they_were(engine: Engine, rows: dict[str, Any]) -> None:
    engine.ask("DELETE FROM catalogue_stores")
    told = [
        (key, name, value, 1, "{}", 0, i) for i, (key, (name, value)) in enumerate(rows.items())
    ]
    if told:
        engine.many(STORE, told)
    assert {r[0]: (r[1], r[2]) for r in engine.ask(READ)} == rows


# -- tables and structs ---------------------------------------------------------------------------------


def expected(kind: Any) -> tuple[set[str], bool]:
    """(types of SQL that hold such a field, whether it may be NULL)."""
    if get_origin(kind) in (typing.Union, UnionType):
        inner = [one for one in get_args(kind) if one is not type(None)]
        held = [expected(one)[0] for one in inner]
        return set.intersection(*held), len(inner) < len(get_args(kind))
    if get_origin(kind) is Literal:
        return {"varchar", "text"}, False
    by_type = {bool: {"smallint"}, int: {"bigint", "smallint"}, float: {"double"}}
    by_type[str] = {"varchar", "text", "mediumtext"}
    return by_type.get(kind, {"text", "mediumtext"}), False


@pytest.mark.parametrize("table", TABLES, ids=NAMES)
def test_every_field_of_a_ledger_row_has_its_column(engine: Engine, table: Any) -> None:
    columns = engine.columns(table.name)
    assert columns, f"no schema/0004_*.sql makes {table.name}"
    fields = {f.name: f.type for f in msgspec.structs.fields(table.row)}
    assert set(columns) == {*fields, "changed"}
    for name, kind in fields.items():
        held, null = expected(kind)
        sort = columns[name][0].partition("(")[0]
        assert sort in held, f"{table.name}.{name} is {columns[name][0]}, the field is {kind}"
        if null:
            assert columns[name][1], f"{table.name}.{name} must take NULL"


@pytest.mark.parametrize("table", TABLES, ids=NAMES)
def test_every_ledger_table_is_found_by_its_key_and_by_its_changes(
    engine: Engine, table: Any
) -> None:
    indexes = engine.indexes(table.name)
    assert tuple(table.key) in indexes
    assert any(columns[0] == "changed" for columns in indexes), f"{table.name} (changed)"


def test_every_copied_table_has_the_same_columns_and_indexes_in_both(
    engines: dict[str, Engine],
) -> None:
    local, there = engines["sqlite"], engines["mariadb"]
    assert isinstance(local, Sqlite)
    tables: list[Copied] = copied_tables(local._connection)
    assert {t.name for t in tables} >= {*NAMES, "analytics_predictions", "daily_sales"}
    for table in tables:
        mine, theirs = local.columns(table.name), there.columns(table.name)
        assert list(mine) == list(theirs)
        for name, (kind, null) in mine.items():
            other = theirs[name][0]
            same = kind.partition("(")[0] == other.partition("(")[0]
            assert same, f"{table.name}.{name}: {kind}, {other}"
            assert null == theirs[name][1] or name in table.key
        assert local.indexes(table.name) == there.indexes(table.name), table.name


def test_every_copied_table_stands_on_the_page_of_the_store(engines: dict[str, Engine]) -> None:
    local = engines["sqlite"]
    assert isinstance(local, Sqlite)
    page = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
    names = [table.name for table in copied_tables(local._connection)]
    assert [name for name in names if f"`{name}`" not in page] == []
