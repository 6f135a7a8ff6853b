"""The private MariaDB and Redis that other tests stand on."""

import socket
from pathlib import Path

import pytest

from edge.servers import MariaDb, Redis, Server, ServerError, find
from tests.databases import Database, ask


def _talk(server: Redis, said: bytes) -> bytes:
    with socket.create_connection((server.host, server.port), timeout=2.0) as connection:
        connection.sendall(said)
        return connection.recv(1_000)


def test_a_private_mariadb_answers_keeps_its_rows_through_kill_and_stops(tmp_path: Path) -> None:
    with MariaDb(tmp_path / "m") as server:
        assert ask(server, "SELECT version()")[0][0].startswith("10.11")
        made = Database(server, "kept")
        made.ask("CREATE TABLE t (a INT PRIMARY KEY)")
        made.ask("INSERT INTO t VALUES (7)")
        server.kill()
        assert server.pid == 0
        server.start()
        assert made.ask("SELECT a FROM t") == [(7,)]
        pid = server.pid
    assert not Path(f"/proc/{pid}").exists()


def test_a_private_redis_answers_and_stops(redis_server: Redis) -> None:
    assert _talk(redis_server, b"SET a 1\r\n").startswith(b"+OK")
    redis_server.stop()
    redis_server.start()
    assert _talk(redis_server, b"GET a\r\n").startswith(b"$-1")  # nothing is saved


def test_each_test_has_an_empty_database(database: Database) -> None:
    assert database.ask("SHOW TABLES") == []
    assert database.name in {name for (name,) in ask(database.server, "SHOW DATABASES")}


def test_a_server_that_cannot_start_is_quoted(tmp_path: Path, redis_server: Redis) -> None:
    with pytest.raises(ServerError, match=r"log ends: .*"):
        Redis(tmp_path / "second", redis_server.port + 100_000).start()


def test_a_missing_program_is_loud_and_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("edge.servers.SEARCH_ALSO", ())
    with pytest.raises(ServerError, match="apt-get install mariadb-server"):
        find("mariadbd", "mariadb-server")


def test_every_server_has_a_name_of_its_own() -> None:
    assert len({kind.name for kind in Server.__subclasses__()}) == len(Server.__subclasses__())
