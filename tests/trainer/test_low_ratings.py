"""Bad ratings, told to a real daemon by its API, are a reason for the night to train a service again."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from edge.clock import SystemClock
from edge.commands import Propose
from edge.config import DecisionSettings, Models
from edge.decisions.rows import Decision
from edge.inference.manifest import MANIFEST, Service, decode_manifest, encode_manifest
from edge.simulate.days import DaysSettings, ShopDays
from edge.storage.feedback import low_ratings
from tests.api.shop import Shop, daemon
from tests.inference import models
from trainer.__main__ import main
from trainer.data import Data, named
from trainer.imports import import_history

EPC = "425445000000000000000001"
VERSION = "20260101T000000Z-0000000a"
FEATURES = {"maintenance": models.ITEM_FEATURES, "pricing": ("price_last_cents",)}
HOUR_S = 3_600


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A shop with a month of history, and models trained on all of it but a day, an hour ago."""
    room = tmp_path / "var"
    (room / "imported").mkdir(parents=True)
    path = room / "imported" / "shop.sqlite"
    import_history(ShopDays(DaysSettings(days=30, rental_classes=2, articles=2)), path)
    with Data([path]) as data:
        to_day = {entity: named(days[-1] - 1) for entity, days in data.days.items()}
    for service, entity in (("maintenance", "item"), ("pricing", "class")):
        published(room / "models", service, to_day[entity])  # type: ignore[arg-type]
    made = tmp_path / "config.toml"
    made.write_text(f'[storage]\ndirectory = "{room}"\n')
    return made


def published(root: Path, service: Service, to_day: str) -> None:
    path = models.publish(root, service, VERSION, features=FEATURES[service]) / MANIFEST
    made = decode_manifest(path.read_bytes())
    trained_at = datetime.fromtimestamp(SystemClock().now_ms() / 1000 - HOUR_S, UTC)
    training = msgspec.structs.replace(made.training, to_day=to_day)
    made = msgspec.structs.replace(made, training=training, created_at=trained_at.isoformat())
    path.write_bytes(encode_manifest(made))


async def due(config: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the night would do, asked while the daemon runs."""
    words = ["schedule", "maintenance", "pricing", "--dry-run", "--json", "-c", str(config)]
    capsys.readouterr()
    assert await asyncio.to_thread(main, words) == 0
    plans = json.loads(capsys.readouterr().out)["due"]
    return {plan["service"]: plan for plan in plans}


async def rated(shop: Shop, rating: int) -> None:
    """A mechanic's word on an item, and somebody's on a decision of the pricing service."""
    body = {"item": EPC, "verdict": "false_alarm", "rating": rating, "note": "nothing was wrong"}
    await shop.ask("POST", "/api/predictive/maintenance/feedback", 201, json=body)
    proposal = Propose(
        kind="pricing", target="TENT", period=uuid4().hex, confidence=0.7, impact_cents=100,
        change_ratio=0.05, service="pricing", data={"price_cents": 900},
    )  # fmt: skip
    known = set(shop.daemon.pipeline.core.ledger.rows(Decision))
    shop.daemon.pipeline.tell("$rfid3/do", msgspec.json.encode(proposal))
    deadline = time.monotonic() + 60
    while not (new := set(shop.daemon.pipeline.core.ledger.rows(Decision)) - known):
        assert time.monotonic() < deadline, "no decision was made of the proposal"
        await asyncio.sleep(0.01)
    ((id_,),) = new
    said = {"score": rating, "note": "far too dear"}
    await shop.ask("POST", f"/api/decisions/{id_}/feedback", json=said)


def test_five_bad_ratings_have_a_service_trained_again(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    room = config.parent / "var"

    async def story() -> None:
        async with daemon(
            room, models=Models(enabled=False), decisions=DecisionSettings(dry_run=False)
        ) as shop:
            await shop.events({"type": "item_link", "epc": EPC, "sku": "TENT"})
            for rating in (1, 1, 5, 2, 1):
                await rated(shop, rating)
            await shop.daemon.pipeline.flush()
            plans = await due(config, capsys)
            assert {plan["reason"] for plan in plans.values()} == {None}, plans
            await rated(shop, 1)
            await shop.daemon.pipeline.flush()
            plans = await due(config, capsys)
            assert {plan["reason"] for plan in plans.values()} == {"feedback"}, plans
            assert all("5 low ratings" in plan["why"] for plan in plans.values())

    asyncio.run(story())
    now_ms = SystemClock().now_ms()
    assert low_ratings(room / "journal.db", {"maintenance": now_ms, "pricing": now_ms}) == {}
