"""``rfid3 models`` against a running daemon."""

import asyncio
import json
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge import app as app_module
from edge import pipeline_scoring
from edge.__main__ import main
from edge.features.business import class_key
from edge.inference.accuracy import Scores
from edge.storage.field import ByClass, Scored, score
from tests.corridor import run, until
from tests.inference.open_door import OpenDoor
from tests.test_models_live import Live, S, live


async def rfid3(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of a command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge", "models", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def judged(shop: Live, version: str, **errors: float) -> None:
    """Let a day's four answers about each class be off by so much together."""
    scored = Scored(S, version, "shown", "p_event_7d", 7, 1, Scores(n=4 * len(errors)))
    classes = [
        ByClass(S, version, "p_event_7d", class_key("main", sku), 4, 1.0, off, 2.0, 0)
        for sku, off in errors.items()
    ]
    assert shop.daemon.record is not None
    await shop.daemon.record._write(partial(score, scored=scored, by_class=classes))


def test_models_are_listed_shown_promoted_and_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "SignedDoor", OpenDoor)
    monkeypatch.setattr(pipeline_scoring, "WATCH_S", 0.02)

    async def told() -> None:
        async with live(tmp_path) as shop:
            shop.publish("v1")
            await shop.active("v1")
            shop.publish("v2")
            await until(lambda: "v2" in shop.scoring.registry.versions[S])
            api = ("--api", str(shop.client._base_url).rstrip("/"))
            code, out, err = await rfid3("list", *api)
            assert code == 0, err
            assert any(line.split()[:3] == [S, "model", "v1"] for line in out.splitlines()), out
            assert any(
                line.split()[:3] == ["demand", "simple", "rule"] for line in out.splitlines()
            )
            assert (
                "packs: nothing is said of packs without a model, because no model has come in"
                in out
            )
            code, out, err = await rfid3("promote", S, "--version", "v2", "--why", "I say so", *api)
            assert (code, "active v2" in out) == (0, True), (out, err)
            await judged(shop, "v1", HAT=9.0)
            await judged(shop, "v2", TENT=3.0, CUP=1.0)
            code, out, err = await rfid3("show", S, *api)
            assert "p_event_7d  TENT (main): off by 0.75 of 0.5 on average, +0.25 with" in out
            assert out.index("TENT (main)") < out.index("CUP (main)")
            assert "HAT" not in out  # that was another version's
            assert "I say so" in out
            assert "pinball 1 (naive 2)" in out
            assert "trained on: a test" in out
            assert "1 rows of 1; reason: asked" in out
            code, out, err = await rfid3("promote", S, "--version", "v2", *api)
            assert code == 1
            assert "already" in err
            code, out, err = await rfid3("rollback", S, "--json", *api)
            told: dict[str, Any] = json.loads(out)
            assert (told["applied"], told["active"]) == (True, "v1")
            code, out, err = await rfid3("rollback", S, "--version", "v9", *api)
            assert code == 1
            assert "v9" in err
            code, out, err = await rfid3("rollback", S, "--why", "no tents", *api)
            assert (code, "simple rule" in out) == (0, True), (out, err)
            code, out, err = await rfid3("list", *api)
            assert "because v1 was rolled back by" in out
            assert "no tents" in out

    run(told)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("show", "nonsense"), 2, "there is no service 'nonsense'"),
        (("show", "demand", "--api", "ftp://127.0.0.1"), 2, "is no address of an API"),
        (("list", "--api", "http://"), 2, "is no address of an API"),
        (("list", "--api", "http://127.0.0.1:http"), 2, "is no address of an API"),
        (("list", "--api", "127.0.0.1:9"), 1, "no daemon answers at http://127.0.0.1:9"),
        (("list", "--api", "http://nowhere.invalid"), 1, "no daemon answers at"),
    ],
)
def test_a_wrong_word_is_told_with_its_cure(
    words: tuple[str, ...], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *words]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Cure:" in error


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"rows": 1}'])
def test_what_is_no_rfid3_is_told_so(body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert main(["models", "list", "--api", f"http://127.0.0.1:{server.server_port}"]) == 1
        thread.join()
    assert "no rfid3" in capsys.readouterr().err


def test_without_a_daemon_it_says_so() -> None:
    async def told() -> None:
        code, _, err = await rfid3("list", "--api", "http://127.0.0.1:9")
        assert code == 1
        assert "no daemon answers" in err

    run(told)
