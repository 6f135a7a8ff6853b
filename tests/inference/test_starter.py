"""Starter models: as shipped, signed by this machine, let in by the door, and answering at once."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.features.catalog import catalogue_hash
from edge.inference import door, keys, starter
from edge.inference.manifest import ENTITIES, MANIFEST, Entities, Service, decode_manifest
from tests.inference import models
from tests.inference.test_registry import S, Told

SHIPPED = starter.shipped()
SERVICES: list[Service] = starter.needed(Path("/nonexistent"), SHIPPED)
EPC = "425445000000000000000001"


@pytest.fixture
def room(tmp_path: Path) -> tuple[Path, Path]:
    """(folder of models, folder of keys) of a machine that was never started."""
    return tmp_path / "models", tmp_path / "keys"


def test_there_are_starters() -> None:
    assert {"demand", "maintenance", "quality"} <= set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_starter_is_small_and_says_what_it_was_trained_on(service: Service) -> None:
    (folder,) = (SHIPPED / service).iterdir()
    manifest = decode_manifest((folder / MANIFEST).read_bytes())
    assert "simulated shop" in manifest.training.data
    assert manifest.training.reason == "starter"
    assert manifest.metrics
    assert manifest.baselines
    assert manifest.catalogue == catalogue_hash(), "features have changed: make starter"
    packed = sum(len(zlib.compress(path.read_bytes())) for path in folder.iterdir())
    assert packed < 300_000


@pytest.mark.parametrize("service", SERVICES)
def test_a_starter_takes_no_class_of_a_real_shop_for_one_of_the_simulated(service: Service) -> None:
    (folder,) = (SHIPPED / service).iterdir()
    if (folder / ENTITIES).exists():
        held = msgspec.msgpack.decode((folder / ENTITIES).read_bytes(), type=Entities)
        assert all(key.startswith("simulated\x1f") for key in held.keys[:-1])


def test_every_shipped_file_has_its_checksum() -> None:
    told = starter._sums(SHIPPED)
    files = {path for path in SHIPPED.rglob("*") if path.is_file() and path.name != starter.SUMS}
    assert {SHIPPED / path for path in told} == files
    for path, digest in told.items():
        assert hashlib.sha256((SHIPPED / path).read_bytes()).hexdigest() == digest, path


def test_a_first_start_brings_every_starter_through_the_door(room: tuple[Path, Path]) -> None:
    models, key_folder = room
    starter.install(models, key_folder)
    folders = [path for service in SERVICES for path in (models / service).iterdir()]
    assert len(folders) == len(SERVICES)
    for verdict in door.inspect_many(folders, key_folder / keys.TRUSTED, door.Limits()):
        assert verdict.ok, str(verdict)
    assert starter.needed(models) == []


def test_a_service_that_has_a_model_gets_no_starter(room: tuple[Path, Path]) -> None:
    models, key_folder = room
    own = models / SERVICES[0] / "20261121T000000Z-00000000"
    own.mkdir(parents=True)
    (own / MANIFEST).write_text("{}")
    made = starter.copy(SHIPPED, models, key_folder)
    assert {path.parent.name for path in made} == set(SERVICES[1:])
    assert starter.copy(SHIPPED, models, key_folder) == []


def test_a_damaged_file_is_not_signed(tmp_path: Path, room: tuple[Path, Path]) -> None:
    models, key_folder = room
    source = tmp_path / "shipped"
    shutil.copytree(SHIPPED, source)
    path = next((source / SERVICES[0]).iterdir()) / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(starter.StarterDamaged, match="install rfid3 again"):
        starter.copy(source, models, key_folder)
    assert not (models / SERVICES[0]).exists()


def test_the_daemons_own_process_holds_no_key() -> None:
    text = "import sys, edge.app; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_goes_wrong_leaves_the_daemon_alone(tmp_path: Path) -> None:
    in_the_way = tmp_path / "models"
    in_the_way.write_text("a file, not a folder")
    starter.install(in_the_way, tmp_path / "keys")


# --- what takes its place ------------------------------------------------------------------------------


def judged(metric: float | None, *, starter_skill: float) -> str:
    """What becomes of the shop's first own model while a starter answers; its simple rule is at 2."""
    told = Told()
    shipped = models.manifest(S, "20260101T000000Z-00000000", metrics={"brier": starter_skill},
                              baselines={"rule": {"brier": 2.0}})  # fmt: skip
    training = msgspec.structs.replace(shipped.training, reason="starter")
    told.found(shipped.version, msgspec.structs.replace(shipped, training=training))
    assert told.due() == [("promote", shipped.version)]
    own = {"discoveries": 3.0} if metric is None else {"brier": metric}
    told.found("20260201T000000Z-00000000", metrics=own, baselines={"rule": {"brier": 2.0}})
    ((deed, _),) = told.due()
    return deed


def test_the_first_model_of_the_shops_own_takes_a_starters_place() -> None:
    assert judged(1.5, starter_skill=0.1) == "promote"
    assert judged(2.0, starter_skill=0.1) == "promote"
    assert judged(None, starter_skill=0.1) == "promote"


def test_a_model_that_is_worse_than_the_simple_rules_does_not() -> None:
    assert judged(2.1, starter_skill=1.9) == "shadow"


# --- a daemon that was never started before -----------------------------------------------------------


def asked(url: str, body: list[dict[str, Any]] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def polled(url: str, good: Any, deadline: float) -> Any:
    told: Any = None
    while time.monotonic() < deadline:
        try:
            told = asked(url)
            if good(told):
                return told
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            told = error
        time.sleep(0.1)
    pytest.fail(f"{url}: {told}")


def test_a_fresh_install_answers_with_a_starter_model_and_not_with_a_fallback(
    tmp_path: Path,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "config.toml"
    config.write_text(
        f'[storage]\ndirectory = "{tmp_path / "var"}"\n[mqtt]\nenabled = false\n'
        f'[api]\nbind = "{bind}"\n'
    )
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "edge", "run", "-c", str(config)], stdout=log, stderr=log
        )
    try:
        deadline, base = time.monotonic() + 300, f"http://{bind}"
        polled(f"{base}/healthz", lambda told: True, deadline)
        told = [
            {"type": "item_link", "epc": EPC, "sku": "61001", "name": "Linen"},
            {"type": "item_scan", "epc": EPC, "scan_type": "Touch Scan", "grade": "A"},
        ]
        asked(f"{base}/api/events", told)
        answer = polled(
            f"{base}/api/predict/maintenance/{EPC}",
            lambda told: not told["prediction"]["fallback"],
            deadline,
        )
        (folder,) = (SHIPPED / "maintenance").iterdir()
        assert answer["prediction"]["version"] == folder.name
        assert answer["prediction"]["origin"] == "starter"
        assert "simulated shop" in answer["prediction"]["trained_on"]
    finally:
        daemon.terminate()
        assert daemon.wait(120) == 0, (tmp_path / "log").read_text()[-2_000:]
