"""Models in the running daemon: found, loaded, asked, swapped, rolled back, replayed."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest

from edge import app as app_module
from edge import pipeline_scoring
from edge.app import Daemon, running
from edge.config import Api, Config, Ingest, Limits, Models, Mqtt, Storage
from edge.inference.manifest import Column, Service
from edge.inference.registry import Command
from edge.inference.scorer import Scorer, Slot
from edge.pipeline_scoring import TOPIC, Scoring
from edge.records import Message
from tests.corridor import SetClock, run, until
from tests.inference import models
from tests.inference.open_door import OpenDoor

START_MS = 1_760_000_000_000
SWAPS = int(os.environ.get("RFID3_TEST_SWAPS", "25"))
S: Service = "maintenance"
EPC = "E28011606000{:012X}"


@pytest.fixture(autouse=True)
def _open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "SignedDoor", OpenDoor)
    monkeypatch.setattr(pipeline_scoring, "WATCH_S", 0.02)
    monkeypatch.setattr(OpenDoor, "refuses", frozenset())


@dataclass
class Live:
    """A running daemon with its models, and hands to feed it."""

    daemon: Daemon
    client: aiohttp.ClientSession
    clock: SetClock
    folder: Path
    serial: int = 0

    @property
    def scoring(self) -> Scoring:
        assert self.daemon.scoring is not None
        return self.daemon.scoring

    def slot(self, service: Service = S) -> Slot:
        return self.scoring.scorer.slots[service]

    def publish(self, version: str, service: Service = S, **told: Any) -> None:
        models.publish(self.folder, service, version, **told)

    def read(self, *items: int) -> None:
        """Tag reads that were never told before."""
        self.serial += 1
        self.clock.advance(1)
        body = [
            {"epc": EPC.format(i), "at": self.clock.now_ms(), "seq": self.serial} for i in items
        ]
        self.daemon.pipeline.inbox.put(
            Message("rfid3/main/tag_read/r1", msgspec.json.encode(body), self.clock.now_ms())
        )

    def told(self, **command: Any) -> None:
        """A command for the corridor."""
        payload = msgspec.json.encode(Command(service=S, **command))
        self.daemon.pipeline.tell(TOPIC, payload)

    async def active(self, version: str, service: Service = S) -> None:
        """Wait until a version is asked; empty: none is."""

        def there() -> bool:
            model = self.slot(service).active
            return (model.manifest.version if model else "") == version

        await until(there)

    async def get(self, path: str) -> Any:
        async with self.client.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str) -> tuple[int, Any]:
        async with self.client.post(path) as answer:
            return answer.status, await answer.json(content_type=None)

    async def said(self, item: int, extra: str = "") -> Any:
        """The prediction for an item."""
        return (await self.get(f"/api/predict/{S}/{EPC.format(item)}{extra}"))["prediction"]


def config(directory: Path, **told: Any) -> Config:
    return Config(
        mqtt=Mqtt(enabled=False),
        ingest=Ingest(beat_ms=2, quiet_beat_s=0.05),
        limits=Limits(items_max=2_000, active_items_max=2_000),
        storage=Storage(directory=str(directory), disk_reserve_bytes=0),
        api=Api(bind="127.0.0.1:0"),
        models=Models(**told),
    )


@asynccontextmanager
async def live(directory: Path, **told: Any) -> AsyncIterator[Live]:
    clock = SetClock(START_MS)
    async with running(config(directory, **told), clock) as daemon:
        assert daemon.bound is not None
        async with aiohttp.ClientSession(daemon.bound.url) as client:
            yield Live(daemon, client, clock, directory / "models")


def test_a_published_model_goes_live_and_speaks_of_every_item(tmp_path: Path) -> None:
    columns = [
        *models.chances(1),
        Column(name="p_event_7d_p10", unit="1", horizon_days=7, quantile=0.1),
        Column(name="p_event_7d_p90", unit="1", horizon_days=7, quantile=0.9),
        Column(name="confidence", unit="1"),
    ]

    async def main() -> None:
        async with live(tmp_path) as shop:
            shop.read(*range(20))
            await until(lambda: len(shop.daemon.pipeline.core.state.item.keys) == 20)
            before = await shop.said(3)
            assert before["fallback"] == "base_rate"
            assert before["version"] == ""
            assert "rate" in before["rule"]
            assert "no model has come in" in before["why"]
            assert (before["origin"], before["trained_on"]) == ("", "")
            shop.publish("v1", columns=columns, medians=dict.fromkeys(models.ITEM_FEATURES, 1.0))
            await shop.active("v1")
            shop.read(*range(20))
            shown = shop.slot().shown
            assert shown is not None
            await until(lambda: int((shown.at_ms > 0).sum()) == 20)
            said = await shop.said(3)
            assert (said["version"], said["kind"], said["fallback"]) == ("v1", "linear", "")
            row = shop.daemon.pipeline.core.state.item.keys.get(EPC.format(3))
            values = shown.values[row, :4].tolist()
            assert said["answers"] == [
                {
                    "name": "p_event_7d",
                    "unit": "1",
                    "horizon_days": 7.0,
                    "value": pytest.approx(values[0]),
                    "word": "",
                    "interval": {
                        "low": pytest.approx(values[1]),
                        "high": pytest.approx(values[2]),
                        "level": pytest.approx(0.8),
                    },
                    "quantiles": [
                        {"level": 0.1, "value": pytest.approx(values[1])},
                        {"level": 0.9, "value": pytest.approx(values[2])},
                    ],
                }
            ]
            assert (said["origin"], said["trained_on"], said["why"]) == ("shop", "a test", "")
            assert said["confidence"] == pytest.approx(values[3])
            assert not said["stale"]
            assert said["features"] is None
            more = await shop.said(3, "?explain=true")
            assert set(more["features"]) == set(models.ITEM_FEATURES)
            assert {c["feature"] for c in more["contributions"]} == set(models.ITEM_FEATURES)
            listed = {s["service"]: s for s in (await shop.get("/api/models"))["services"]}
            assert listed[S]["active"] == listed[S]["answering"] == "v1"
            assert (listed[S]["answered_by"], listed[S]["reason"]) == ("model", "")
            assert listed["demand"]["active"] == ""
            assert (listed["demand"]["answered_by"], listed["demand"]["reason"]) == (
                "rule",
                "no_model",
            )
            one = (await shop.get(f"/api/models/{S}"))["model"]
            assert [h["state"] for h in one["history"]] == ["active", "candidate"]
            assert one["versions"][0]["metrics"] == {"pinball": 1.0}
            assert one["latency"]
            stats = (await shop.get("/api/stats"))["stats"]
            assert stats["models"][f"{S}_active"] == 1
            assert stats["scored"][f"{S}_rows"] >= 20

    run(main)


def test_promote_and_roll_back_come_through_the_corridor_and_survive_a_restart(
    tmp_path: Path,
) -> None:
    async def first() -> None:
        async with live(tmp_path) as shop:
            shop.publish("v1")
            await shop.active("v1")
            shop.publish("v2")
            await until(lambda: "v2" in shop.scoring.registry.versions[S])
            status, report = await shop.post(f"/api/models/{S}/promote?version=v2&who=anna&why=x")
            assert (status, report["applied"], report["active"]) == (200, True, "v2")
            await shop.active("v2")
            status, problem = await shop.post(f"/api/models/{S}/promote?version=v2")
            assert status == 409
            assert "already" in problem["detail"]
            status, report = await shop.post(f"/api/models/{S}/rollback?who=anna")
            assert (status, report["active"], report["answering"]) == (200, "v1", "v1")
            history = (await shop.get(f"/api/models/{S}"))["model"]["history"]
            assert [(h["version"], h["state"], h["who"]) for h in history[:2]] == [
                ("v1", "active", "anna"),
                ("v2", "rejected", "anna"),
            ]
            for path, status in (("nonsense/promote", 404), (f"{S}/promote?version=v9", 409)):
                assert (await shop.post(f"/api/models/{path}"))[0] == status

    async def second() -> None:
        async with live(tmp_path) as shop:
            assert shop.scoring.registry.active(S) is not None
            await shop.active("v1")
            states = {v.version: v.state for v in shop.scoring.registry.versions[S].values()}
            assert states == {"v1": "active", "v2": "rejected"}
            history = (await shop.get(f"/api/models/{S}"))["model"]["history"]
            told = [(h["version"], h["state"]) for h in reversed(history)]
            assert told == [
                ("v1", "candidate"),
                ("v1", "active"),
                ("v2", "candidate"),
                ("v1", "previous"),
                ("v2", "active"),
                ("v2", "rejected"),
                ("v1", "active"),
            ]

    run(first)
    run(second)


def test_what_was_not_kept_when_the_power_went_comes_out_of_the_journal_again(
    tmp_path: Path,
) -> None:
    async def first() -> None:
        async with live(tmp_path) as shop:
            shop.publish("v1")
            await shop.active("v1")
            shop.publish("v2")
            await until(lambda: "v2" in shop.scoring.registry.versions[S])
            await shop.post(f"/api/models/{S}/promote?version=v2")

    async def second() -> None:
        async with live(tmp_path) as shop:
            await shop.active("v2")

    run(first)
    shots = [path for path in tmp_path.iterdir() if path.name.startswith("snapshot")]
    assert shots
    for path in shots:
        path.unlink()
    (tmp_path / "models" / "history.jsonl").unlink()
    run(second)


@pytest.mark.parametrize("content", [models.failing(5, 2), models.odd(5, 2)], ids=["fails", "nan"])
def test_a_new_model_that_fails_is_rolled_back_by_itself(tmp_path: Path, content: bytes) -> None:
    async def main() -> None:
        async with live(tmp_path) as shop:
            shop.read(*range(20))
            shop.publish("v1")
            await shop.active("v1")
            shop.publish("v2", content=content)
            await until(lambda: "v2" in shop.scoring.registry.versions[S])
            shop.told(do="promote", version="v2")

            def over() -> bool:
                states = {v.version: v.state for v in shop.scoring.registry.versions[S].values()}
                return states == {"v1": "active", "v2": "rejected"}

            deadline = asyncio.get_running_loop().time() + 60
            while not over():
                assert asyncio.get_running_loop().time() < deadline
                shop.read(*range(20))
                await asyncio.sleep(0.02)
            await shop.active("v1")
            said = await shop.said(3)
            assert (said["version"], said["fallback"]) == ("v1", "")
            assert shop.scoring.registry.versions[S]["v2"].who == "rfid3"

    run(main)


def test_what_the_door_refuses_is_told_and_never_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenDoor, "refuses", frozenset({"v1"}))

    async def main() -> None:
        async with live(tmp_path) as shop:
            shop.publish("v1")
            await until(lambda: "v1" in shop.scoring.registry.versions[S])
            version = (await shop.get(f"/api/models/{S}"))["model"]["versions"][0]
            assert (version["state"], version["usable"]) == ("rejected", False)
            assert "bad_signature" in version["why"]
            status, _ = await shop.post(f"/api/models/{S}/promote?version=v1")
            assert status == 409
            assert shop.slot().active is None

    run(main)


def test_without_models_the_endpoints_say_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            live(tmp_path, enabled=False) as shop,
            shop.client.get("/api/models") as answer,
        ):
            assert answer.status == 404
            assert "models-off" in (await answer.json(content_type=None))["type"]

    run(main)


def test_hot_swaps_under_load_drop_nothing_and_score_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: Counter[int] = Counter()
    scored: Counter[int] = Counter()
    by: set[str] = set()
    real_touched, real_slice = Scorer._touched, Scorer._slice

    def touched(self: Scorer) -> Any:
        found = real_touched(self)
        taken.update(found["item"].tolist())
        return found

    def slice_(self: Scorer, slot: Slot, rows: Any, swept: bool) -> float:
        if slot.service == S and not swept:
            assert slot.active is not None
            scored.update(rows.tolist())
            by.add(slot.active.manifest.version)
        took_s = real_slice(self, slot, rows, swept)
        if slot.service == S and not swept:
            assert slot.shown is not None
            assert (slot.shown.by[rows] == slot.active.number).all()
        return took_s

    async def main() -> None:
        async with live(tmp_path) as shop:
            shop.read(*range(500))
            for i, version in enumerate(("v1", "v2", "v3")):
                shop.publish(version, seed=i)
            await shop.active("v3")  # the newest of the first
            await until(lambda: len(shop.scoring.registry.versions[S]) == 3)
            state = shop.daemon.pipeline.core.state
            await until(lambda: len(state.item.keys) == 500 and not state.item.touched.any())
            await until(lambda: shop.slot().scored == shop.slot().touched)
            monkeypatch.setattr(Scorer, "_touched", touched)
            monkeypatch.setattr(Scorer, "_slice", slice_)
            at_first = shop.slot().swaps
            rng = np.random.default_rng(0)
            for swap in range(SWAPS):
                shop.told(do="promote", version=f"v{swap % 3 + 1}", why="test")
                goal = at_first + swap + 1
                while shop.slot().swaps < goal:
                    shop.read(*rng.integers(0, 500, 40).tolist())
                    await asyncio.sleep(0.002)
            for version in sorted({"v1", "v2", "v3"} - by):  # swapped out again before its turn
                shop.told(do="promote", version=version, why="test")
                while version not in by:
                    shop.read(*rng.integers(0, 500, 40).tolist())
                    await asyncio.sleep(0.002)
            await until(lambda: not len(shop.daemon.pipeline.inbox))
            await until(lambda: not state.item.touched.any())
            slot = shop.slot()
            await until(lambda: slot.touched == slot.scored + slot.missed + slot.gone)
            print(slot.touched, slot.scored, slot.missed, slot.gone)
            assert slot.missed == slot.gone == 0
            assert scored == taken
            assert by == {"v1", "v2", "v3"}

    run(main)
