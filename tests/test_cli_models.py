"""``rfid3 models`` against a running daemon."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from edge import app as app_module
from edge import pipeline_scoring
from tests.corridor import run, until
from tests.inference.open_door import OpenDoor
from tests.test_models_live import S, live


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


def test_models_are_listed_shown_promoted_and_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "SignedDoor", OpenDoor)
    monkeypatch.setattr(pipeline_scoring, "WATCH_S", 0.02)

    async def main() -> None:
        async with live(tmp_path) as shop:
            shop.publish("v1")
            await shop.active("v1")
            shop.publish("v2")
            await until(lambda: "v2" in shop.scoring.registry.versions[S])
            api = ("--api", str(shop.client._base_url).rstrip("/"))
            code, out, err = await rfid3("list", *api)
            assert code == 0, err
            assert any(line.split()[:2] == [S, "v1"] for line in out.splitlines()), out
            assert "simple rule" in out
            code, out, err = await rfid3("promote", S, "--version", "v2", "--why", "I say so", *api)
            assert (code, "active v2" in out) == (0, True), (out, err)
            code, out, err = await rfid3("show", S, *api)
            assert "I say so" in out
            assert "pinball 1 (naive 2)" in out
            code, out, err = await rfid3("promote", S, "--version", "v2", *api)
            assert code == 1
            assert "already" in err
            code, out, err = await rfid3("rollback", S, "--json", *api)
            told: dict[str, Any] = json.loads(out)
            assert (told["applied"], told["active"]) == (True, "v1")
            code, out, err = await rfid3("show", "nonsense", *api)
            assert code == 1
            assert "nonsense" in err

    run(main, within_s=60)


def test_without_a_daemon_it_says_so() -> None:
    async def main() -> None:
        code, _, err = await rfid3("list", "--api", "http://127.0.0.1:9")
        assert code == 1
        assert "no daemon answers" in err

    run(main)
