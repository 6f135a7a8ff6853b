"""Any model of a service on held-out days: what it would have said, and how good that was. Fits no model.

The active model is measured here on the very rows that a candidate was measured on, with the same
figures. ``MEASURES`` has a function for each service: ``measure(data, settings, asked)`` gives the
figures, and nothing where the two cannot be compared (other classes of grades, other columns, held-out
days that the active model has seen).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference import demand as edge_demand
from edge.inference import door_run
from edge.inference.demand_columns import HORIZON_DAYS
from edge.inference.demand_history import Drivers
from edge.inference.manifest import ENTITIES, MODEL, Entities, Manifest, Service
from edge.inference.predict import MAINTENANCE_DAYS
from trainer import backtest
from trainer.data import Data, numbered
from trainer.panel import Panel
from trainer.services import Settings

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]
Figures = dict[str, float]


class Asked:
    """A model's folder, ready to be asked. Whether it may be believed is the door's business."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Raises OSError, msgspec.DecodeError, and what onnxruntime raises."""
        self.manifest = manifest
        self._folder = folder
        self._session: Any = None
        self._rows: dict[str, int] = {}
        self._values: Float32 = np.zeros((0, 0), np.float32)
        if manifest.side:
            told = msgspec.msgpack.decode((folder / ENTITIES).read_bytes(), type=Entities)
            self._rows = {key: row for row, key in enumerate(told.keys)}
            values = np.frombuffer(told.values, "<f4")
            self._values = values.reshape(len(told.keys), len(told.columns))

    def constants(self, keys: Sequence[str]) -> Float32:
        """float32[n, k] of these keys; the last row where the model does not know one."""
        other = len(self._values) - 1
        return self._values[[self._rows.get(key, other) for key in keys]]

    def knows(self, keys: Sequence[str]) -> NDArray[np.bool_]:
        """bool[n]: whether it has constants of these keys."""
        return np.array([key in self._rows for key in keys], np.bool_)

    def columns(self, names: Sequence[str]) -> list[int] | None:
        """Numbers of these columns of its answer; ``None``: it has not all of them."""
        held = [column.name for column in self.manifest.columns]
        return [held.index(name) for name in names] if set(names) <= set(held) else None

    def answer(self, given: Mapping[str, Float32]) -> Floats:
        """float64[n, o] for its inputs by name."""
        if self._session is None:
            self._session = door_run.load((self._folder / MODEL).read_bytes())
        wanted = {tensor.name: given[tensor.name] for tensor in self.manifest.inputs}
        outputs = door_run.run(self._session, self.manifest.outputs, wanted, "held-out days")
        return outputs["y"].astype(np.float64)


Measure = Callable[[Data, Settings, Asked], Figures]


# --- items: questions of trainer.hazard ----------------------------------------------------------------


def maintenance(data: Data, settings: Settings, asked: Asked) -> Figures:
    """Failures and repairs of items."""
    from trainer import maintenance as service

    names = [f"p_event_{days}d" for days in MAINTENANCE_DAYS]
    columns = asked.columns(names)
    if columns is None:
        return {}
    return _hazard(service, "problem", data, settings, asked, lambda y: y[:, columns])


def quality(data: Data, settings: Settings, asked: Asked) -> Figures:
    """Grades of items ahead; only where both tell the same groups apart."""
    from trainer import quality as service

    table = service.read(data.sources, last_day=data.last_day)
    groups = service.groups_of(service.grades(table).names)
    ahead = service.HORIZON_DAYS
    columns = asked.columns([f"p_grade_{group}_{ahead}d" for group in groups])
    told = [c.name for c in asked.manifest.columns if c.name.startswith("p_grade_")]
    if columns is None or len(told) != len(groups):
        return {}
    return _hazard(
        service, "grades", data, settings, asked,
        lambda y: np.cumsum(y[:, columns[:0:-1]], axis=1),  # taken by each step, the worst first
    )  # fmt: skip


def _hazard(
    service: ModuleType,
    problem_of: str,
    data: Data,
    settings: Settings,
    asked: Asked,
    taken: Callable[[Floats], Floats],
) -> Figures:
    from trainer import hazard
    from trainer.recipes import hazard_search

    problem = getattr(service, problem_of)(service.read(data.sources, last_day=data.last_day))
    if not set(asked.manifest.features) <= set(problem.features):
        return {}
    most = hazard_search(settings).get("rows_max", hazard.ROWS_MAX)
    problem = hazard.thinned(problem, most)  # the same examples as the candidate's
    judged = problem.where(problem.cutoffs >= data.split_day).only(asked.manifest.features)
    if not len(judged):
        return {}
    return _finite(hazard.figures(judged, taken(asked.answer({"x": judged.x}))))


# --- classes -------------------------------------------------------------------------------------------


def demand(data: Data, settings: Settings, asked: Asked) -> Figures:
    """Units a class and day, from the same origins."""
    from trainer.recipes import DEMAND_FIGURES, demand_plan

    if "demand" not in asked.manifest.extra:
        return {}
    panel = data.panel()
    plan = demand_plan(data, len(panel.days))
    first = int(panel.days[plan.origins[0]])
    if asked.columns(_day_names(plan.horizon, plan.levels)) is None:
        return {}
    if first <= numbered(asked.manifest.training.to_day):
        return {}
    made = backtest.run(panel, "units", plan, [Published(asked)])
    told = backtest.score(made, made.runs[0])
    return _finite({name: told[name] for name in DEMAND_FIGURES})


def _day_names(horizon: int, levels: Sequence[float]) -> list[str]:
    """Columns of the days ahead: means, then each day's quantiles."""
    days = range(1, horizon + 1)
    return [f"units_day_{d}" for d in days] + [
        f"units_day_{d}_p{round(100 * level)}" for d in days for level in levels
    ]


@dataclass(frozen=True, slots=True)
class Published:
    """A published model of demand as a forecaster: it learns nothing more, its states go on."""

    asked: Asked
    name: str = "active"

    def fit(self, panel: Panel, measure: str) -> "RolledOn":
        """What the daemon would know at the end of the panel."""
        return RolledOn(self.asked, panel, measure)


@dataclass(frozen=True, slots=True)
class RolledOn:
    """See :class:`Published`. Classes that the daemon would not ask it about are asked here, too."""

    asked: Asked
    panel: Panel
    measure: str

    def forecast(self, horizon: int, levels: Sequence[float]) -> tuple[Float32, Float32]:
        """float32[k, h] and float32[k, h, q], as the graph answers at the last day's close."""
        from trainer.demand.model import series_of

        extra = msgspec.json.decode(self.asked.manifest.extra["demand"])
        constants = edge_demand.Constants.from_extra(extra)
        unknown = np.full((HORIZON_DAYS, len(constants.factors)), np.nan)
        series, look = series_of(self.panel, self.measure), edge_demand.WINDOW_DAYS
        given = edge_demand.inputs(
            constants,
            self.asked.constants(self.panel.keys),
            _padded(series.y[:, -look:], look),
            int(self.panel.days[-1]),
            unknown,
            Drivers(series.drivers.names, _padded(series.drivers.values[:, :, -look:], look)),
        )
        given["offset"] = np.zeros(self.asked.manifest.offsets, np.float32)
        columns = self.asked.columns(_day_names(horizon, levels))
        assert columns is not None, self.asked.manifest.version
        y = self.asked.answer(given)[:, columns].astype(np.float32)
        return y[:, :horizon], y[:, horizon:].reshape(len(y), horizon, len(levels))


def _padded(values: Floats, days: int) -> Floats:
    """float64[…, days], with days before the first of which nothing is known."""
    short = days - values.shape[-1]
    if short <= 0:
        return values
    blank = np.full((*values.shape[:-1], short), np.nan)
    return np.concatenate([blank, values], axis=-1)


def pricing(data: Data, settings: Settings, asked: Asked) -> Figures:
    """Log units of the held-out weeks, with the elasticities that the model tells."""
    from trainer import pricing as service
    from trainer.price_weeks import weekly

    columns = asked.columns(["elasticity", "elasticity_low", "elasticity_high", "evidence"])
    if columns is None or set(asked.manifest.features) != set(service.FEATURES):
        return {}
    weeks = weekly(data.panel(service.MEASURES))
    split = int(np.searchsorted(weeks.day, data.split_day))
    blank = np.full((len(weeks.keys), len(asked.manifest.features)), np.nan, np.float32)
    told = asked.answer({"x": blank, "s": asked.constants(weeks.keys)})[:, columns]
    silent = np.round(told[:, 3]) == _NOTHING
    sd = (told[:, 2] - told[:, 1]) / (2 * service.Z80)
    given = (np.where(silent, np.nan, told[:, 0]), np.where(silent, np.nan, sd))
    return service.judged_with(weeks, split, given)


_NOTHING = 0
"""``evidence`` of a class of which the model knows nothing (``edge.inference.pricing``)."""


def inventory(data: Data, settings: Settings, asked: Asked) -> Figures:
    """Units of the lead times that began on held-out days."""
    from trainer import velocity as service

    names = [f"units_{days}d_p{round(100 * level)}" for days in service.LEADS
             for level in service.LEVELS]  # fmt: skip
    columns = asked.columns(names)
    if columns is None or list(asked.manifest.features) != list(service.FEATURES):
        return {}
    panel = data.panel(service.MEASURES)
    split = int(np.searchsorted(panel.days, data.split_day))
    later = service.Windows(panel, split, len(panel.days))
    if not later.at.size:
        return {}
    side = asked.constants(panel.keys)
    moved = np.stack([later.moved(days) for days in (7, service.PAST_DAYS)], axis=2)
    told = []
    for at in range(len(later.at)):
        x = np.zeros((len(panel.keys), len(service.FEATURES)), np.float32)
        x[:, 0], x[:, 2] = moved[:, at, 0], moved[:, at, 1]  # rented and sold weigh the same
        told.append(asked.answer({"x": x, "s": side})[:, columns])
    quantiles = np.stack(told, axis=1).reshape(
        len(panel.keys), len(later.at), len(service.LEADS), len(service.LEVELS)
    )
    return service.judged(later, [quantiles[:, :, i] for i in range(len(service.LEADS))])


def packs(data: Data, settings: Settings, asked: Asked) -> Figures:
    """Of the pairs that the model tells, the share that met more than chance says later as well."""
    from trainer import packs as service

    extra = asked.manifest.extra
    if not {"classes", "pairs"} <= extra.keys():
        return {}
    keys = msgspec.json.decode(extra["classes"], type=list[str])
    pairs = msgspec.json.decode(extra["pairs"], type=list[list[float]])
    later = service.from_history(data.sources, data.split_day, data.last_day)
    told = [(keys[int(pair[0])], keys[int(pair[1])]) for pair in pairs]
    return service.met_again(told, later)


def _finite(told: Mapping[str, float]) -> Figures:
    return {name: value for name, value in told.items() if np.isfinite(value)}


MEASURES: dict[Service, Measure] = {
    "demand": demand,
    "maintenance": maintenance,
    "quality": quality,
    "pricing": pricing,
    "inventory": inventory,
    "packs": packs,
}
"""Every service: labels exist for all of them."""
