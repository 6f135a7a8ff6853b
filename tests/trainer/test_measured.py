"""What the active model would have said on days that came after it, measured as a candidate is."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge.inference.manifest import SERVICES, Service, Training
from edge.inference.registry import ACTIVE, METRICS
from edge.simulate.days import DaysSettings, ShopDays
from tests.trainer.worn_items import FIRST_DAY, worn
from trainer import hazard, maintenance, packs, quality
from trainer.compare import measure_active, read_manifest
from trainer.data import Data
from trainer.export import write_artifact
from trainer.history import FeatureTable
from trainer.imports import import_history
from trainer.measured import MEASURES, Asked
from trainer.scores import Logistic
from trainer.services import RECIPES, Settings

SHOP = DaysSettings(days=330, rental_classes=6, articles=4, items_per_class=10, rentals_a_day=12.0)
SEEN = 240
QUICK = Settings(quick=True)
FEW = (Logistic(c=0.001),)
TRAINING = Training(
    data="simulated items", from_day="2024-10-04", to_day="2025-11-07", rows=1, entities=1,
    reason="asked",
)  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "history.sqlite"
    import_history(ShopDays(SHOP), path)
    return path


def test_there_is_a_measure_for_every_service() -> None:
    assert set(MEASURES) == set(SERVICES)


@pytest.mark.parametrize("service", ["demand", "pricing", "inventory", "packs"])
def test_a_model_of_classes_is_measured_on_the_candidates_days_with_its_figure(
    service: Service, history: Path, tmp_path: Path
) -> None:
    """The candidate learnt the same days, so both must do about equally well on those after them."""
    with Data([history]) as data:
        last_seen = data.first_day + SEEN - 1
    with Data([history], last_day=last_seen) as data:
        folder = write_artifact(tmp_path, RECIPES[service].fit(data, QUICK))
    with Data([history], split_day=last_seen + 1) as data:
        candidate = RECIPES[service].fit(data, QUICK)
        made = measure_active(candidate, folder, data, QUICK)
    active = made.baselines[ACTIVE]
    first = next(name for name, _ in METRICS if name in candidate.metrics)
    assert active[first] == pytest.approx(candidate.metrics[first], rel=0.1)
    with Data([history], split_day=last_seen) as data:  # a day that the model has seen
        assert ACTIVE not in measure_active(candidate, folder, data, QUICK).baselines


@dataclass
class Items:
    """Stands where ``Data`` is asked for its span; the table is read from elsewhere."""

    last_day: int
    split_day: int
    sources: list[object] = field(default_factory=list)


def upto(table: FeatureTable, day: int) -> FeatureTable:
    kept = table.day <= day
    number = table.key_of_rows()[kept]
    return replace(
        table,
        start=np.searchsorted(number, np.arange(len(table.keys) + 1)),
        day=table.day[kept],
        x=table.x[kept],
        levels={name: values[kept] for name, values in table.levels.items()},
    )


@pytest.mark.parametrize(
    ("service", "problem_of", "days", "later"),
    [(maintenance, "problem", 400, 60), (quality, "grades", 500, 120)],
)
def test_a_model_of_items_is_measured_as_python_would(
    service: ModuleType,
    problem_of: str,
    days: int,
    later: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = worn(days=days)
    split = FIRST_DAY + days - later
    fitted: Any = service.fit(upto(table, split - 1), families=FEW)
    folder = write_artifact(tmp_path, fitted.exportable(TRAINING))
    monkeypatch.setattr(service, "read", lambda sources, last_day: table)
    manifest = read_manifest(folder)
    assert manifest is not None
    data = Items(FIRST_DAY + days - 1, split)
    asked = Asked(folder, manifest)
    found = MEASURES[manifest.service](data, Settings(), asked)  # type: ignore[arg-type]
    learnt = fitted.grades if service is quality else fitted.fitted
    problem = hazard.thinned(getattr(service, problem_of)(table), hazard.ROWS_MAX)
    judged = problem.where(problem.cutoffs >= split).only(learnt.problem.features)
    assert len(judged) > 100
    wanted = hazard.figures(judged, learnt.model(judged.x))
    assert found["brier"] == pytest.approx(wanted["brier"], rel=1e-3)
    candidate: Any = service.fit(table, families=FEW, split_day=split)
    ours = candidate.grades if service is quality else candidate.fitted
    assert len(ours.judged) == len(judged)
    assert found["brier"] < 1.5 * ours.metrics["brier"]
    manifest.columns.pop(0)  # a model that tells other things
    assert MEASURES[manifest.service](data, Settings(), asked) == {}  # type: ignore[arg-type]


def test_pairs_count_as_met_again_whichever_is_named_first() -> None:
    later = packs.from_documents([["a", "b"], ["a", "b"], ["c"], ["d"], ["c"], ["d"]])
    a, b, c = ("\x1fa", "\x1fb", "\x1fc")
    assert packs.met_again([(a, b)], later) == packs.met_again([(b, a)], later)
    assert packs.met_again([(a, b), (a, c)], later) == {"precision": 0.5}
    assert packs.met_again([("\x1fx", a)], later) == {}
