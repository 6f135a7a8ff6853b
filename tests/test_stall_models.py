"""No callback of scoring holds the loop for long, whatever the models: see ``test_stall.py``."""

import json
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
import pytest

from edge import app as app_module
from edge import pipeline_scoring
from edge.app import running
from edge.features.catalog import BY_ENTITY
from edge.inference.manifest import Service
from edge.pipeline_scoring import TOPIC
from tests.corridor import SetClock, run, until
from tests.inference import models
from tests.inference.open_door import OpenDoor
from tests.inference.trees import forest
from tests.stalls import (
    HOUR,
    START_MS,
    Deed,
    Hands,
    epc,
    least,
    many_reads,
    shop,
    watched,
)
from tests.test_stall import HELD_S

ITEM = tuple(BY_ENTITY["item"])
CLASS = tuple(BY_ENTITY["class"])


async def a_swap(made: Hands) -> None:
    """Every row is scored again by the model that comes."""
    scoring = made.daemon.scoring
    assert scoring is not None
    slot = scoring.scorer.slots["maintenance"]
    assert slot.active is not None
    other = "v2" if slot.active.manifest.version == "v1" else "v1"
    told = {"do": "promote", "service": "maintenance", "version": other}
    made.daemon.pipeline.tell(TOPIC, msgspec.json.encode(told))
    goal = slot.swaps + 1
    await until(lambda: slot.swaps >= goal, 20)
    await until(lambda: slot.cursor < 0, 60)


async def everything_is_scored_again(made: Hands) -> None:
    made.clock.advance(7 * HOUR)
    await made.idle()
    scoring = made.daemon.scoring
    assert scoring is not None
    await until(lambda: all(s.cursor < 0 for s in scoring.scorer.slots.values() if s.active), 60)


async def predictions_are_asked_for(made: Hands) -> None:
    for i in range(0, 400, 40):
        await made.get(f"/api/predict/maintenance/{epc(i)}?explain=true")
        await made.get(f"/api/predict/inventory/SKU-{i}?explain=true")
        await made.get(f"/api/predict/quality/{epc(i)}")
    await made.get("/api/models/maintenance")


DEEDS: tuple[Deed, ...] = (
    many_reads,
    a_swap,
    everything_is_scored_again,
    predictions_are_asked_for,
)


def test_no_call_of_scoring_holds_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "SignedDoor", OpenDoor)
    monkeypatch.setattr(pipeline_scoring, "WATCH_S", 0.1)
    slow: dict[str, str] = {}
    published: tuple[tuple[Service, str, tuple[str, ...], bytes | None], ...] = (
        ("maintenance", "v1", ITEM, forest(len(ITEM), 2, 100)),
        ("maintenance", "v2", ITEM, forest(len(ITEM), 2, 300)),
        ("quality", "v1", ITEM, None),
        ("inventory", "v1", CLASS, forest(len(CLASS), 2, 50)),
    )
    for service, version, features, content in published:
        medians = dict.fromkeys(features, 0.0)
        models.publish(
            tmp_path / "models", service, version, content, features=features, medians=medians
        )

    async def main() -> None:
        clock = SetClock(START_MS)
        with watched() as watch:
            async with running(shop(tmp_path), clock) as daemon:
                assert daemon.bound is not None
                assert daemon.scoring is not None
                slots = daemon.scoring.scorer.slots
                async with aiohttp.ClientSession(daemon.bound.url) as client:
                    made = Hands(daemon, client, clock, items=20_000)
                    await made.fill()
                    names = ("maintenance", "quality", "inventory")
                    await until(lambda: all(slots[name].active for name in names), 60)
                    for deed in DEEDS:
                        took_s, what = await least(watch, made, deed, HELD_S)
                        print(f"{took_s * 1e3:6.2f} ms {deed.__name__}")
                        if took_s > HELD_S:
                            slow[deed.__name__] = f"{took_s * 1e3:.1f} ms in {what}"
                    shown = slots["maintenance"].shown
                    assert shown is not None
                    assert np.isfinite(shown.values).all()

    run(main)
    assert not slow, json.dumps(slow, indent=1)
