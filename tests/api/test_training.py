"""Training on request: a job of its own, one of a service at a time, or a problem with its cure."""

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge.api import training
from edge.config import Config, Demand, ManualDemand, Shop, Storage
from edge.config_file import read
from tests.api.shop import Shop as Daemon
from tests.api.shop import daemon
from trainer import libraries

PLACE = "/api/predictive/demand/retrain"


def run(tmp_path: Path, case: Any) -> None:
    async def main() -> None:
        async with daemon(tmp_path) as shop:
            await case(shop)

    asyncio.run(main())


def test_what_training_needs_is_what_the_trainer_says() -> None:
    assert tuple(module for module, _ in libraries.NEEDS) == training.NEEDS


def test_training_is_a_job_and_is_not_begun_twice(tmp_path: Path) -> None:
    async def case(shop: Daemon) -> None:
        job = await shop.ask("POST", PLACE, 202, json={"why": "new tents"})
        assert (job["kind"], job["note"]) == ("train demand", "new tents")
        again = await shop.ask("POST", "/api/predictive/models/retrain/demand", 409)
        assert again["place"] == job["place"]
        busy = await shop.get("/api/predictive/models/status")
        assert (busy["training"], busy["trainer"]) == (["demand"], True)
        async with asyncio.timeout(300):
            while job["state"] not in ("done", "failed"):
                await asyncio.sleep(0.1)
                job = await shop.get(job["place"])
        assert job["state"] == "done", job
        assert (job["result"]["service"], job["result"]["code"]) == ("demand", 0)
        assert job["result"]["told"], job  # too little data: the trainer says so, and fails not
        assert not list(tmp_path.glob("asked-*"))

    run(tmp_path, case)


def test_training_that_nobody_wants_any_more_ends(tmp_path: Path) -> None:
    async def case(shop: Daemon) -> None:
        job = await shop.ask("POST", PLACE, 202)
        await shop.ask("DELETE", job["place"])
        async with asyncio.timeout(120):
            while (job := await shop.get(job["place"]))["state"] != "cancelled":
                await asyncio.sleep(0.05)

    run(tmp_path, case)


def test_without_the_trainer_the_cure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "NEEDS", ("no_such_module",))

    async def case(shop: Daemon) -> None:
        told = await shop.ask("POST", PLACE, 501)
        assert told["type"].endswith("no-trainer")
        assert "make trainer" in told["cure"]
        wrong = await shop.ask("POST", "/api/predictive/models/retrain/magic", 404)
        assert wrong["type"].endswith("unknown-service")

    run(tmp_path, case)


def test_the_trainer_reads_the_settings_that_hold_here(tmp_path: Path) -> None:
    config = Config(
        shop=Shop(store='no"rth', timezone="Europe/Vienna"),
        storage=Storage(directory=str(tmp_path)),
        demand=Demand(manual=ManualDemand(default=2.5, classes={"A B.c": 1.0})),
    )
    path = tmp_path / "asked.toml"
    training._write(path, config)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "mqtt" not in tomllib.loads(path.read_text())
    found = read(path, {}, machine=False)
    assert found.problems == []
    for table in training.TABLES:
        assert getattr(found.config, table) == getattr(config, table), table
