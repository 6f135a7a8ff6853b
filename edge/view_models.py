"""What readers see of models and predictions: out of columns and the registry, nothing awaited.

A prediction is what stands in its column; only a row that was never scored by whoever answers now
is scored there and then, which takes some microseconds.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct

from edge.config import Config
from edge.core import Core
from edge.features import catalog
from edge.features.business import class_key
from edge.inference import codes
from edge.inference.answering import Answering, Origin, Reason, Who, answering, origin_of
from edge.inference.drift import Moved
from edge.inference.manifest import Column, Manifest, Service, is_quick
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES
from edge.inference.registry import Measured, Outcome, Registry, State, Version
from edge.inference.scorer import SHARES, SIZES, Contribution, Scorer, Slot
from edge.view_answers import Answer, answers, confidence
from edge.view_types import Counters, Features

HOUR_MS = 3_600_000


class Prediction(Struct, kw_only=True):
    """What a service says of an item or a class."""

    service: str
    """Which service."""
    entity: str
    """``item`` or ``class``."""
    key: str
    """EPC of the item, or SKU of the class."""
    store: str
    """Store of the class; empty for items."""
    version: str
    """Version of the model; empty where no model answered."""
    kind: str
    """Family of the model, or ``rule``."""
    canary: bool
    """Whether a candidate answered that is tried out on a share of the keys."""
    predicted_ms: int
    """The moment of the state that it was made from."""
    stale: bool
    """Whether that is longer ago than ``models.feature_stale_h``."""
    fallback: str
    """Who answered in place of a model: ``historical_average``, ``manual`` (the configuration's value),
    ``base_rate``, ``last_grade`` or ``nothing_known``; empty: a model did."""
    rule: str
    """The simple rule in words; empty where a model answered."""
    why: str = ""
    """Why the simple rule answered; empty where a model did."""
    origin: Origin = ""
    """``starter``: the model came with the program; ``shop``: it learnt from this shop's history; empty:
    no model answered."""
    trained_on: str = ""
    """What the model learnt from, in words."""
    trained_from: str = ""
    """The first day it learnt from, such as ``2024-01-01``; empty: no model, or data without days."""
    trained_to: str = ""
    """The last."""
    known: bool | None = None
    """Whether the model learnt of this very class; false: it answers as for any class that it does not
    know; null: no model answered, or it tells nothing apart by name."""
    confidence: float | None
    """Calibrated probability that acting on it beats not acting; null: the model tells none."""
    answers: list[Answer]
    """The numbers, in the model's order."""
    features: Features | None = None
    """What the model saw; only where contributions were asked for."""
    contributions: list[Contribution] | None = None
    """What each feature adds to the first answer, the largest first; only where asked for."""


class VersionRow(Struct, kw_only=True):
    """One version of a service."""

    version: str
    """Its name; sorts by the time of training."""
    state: State
    """Where it stands."""
    since_ms: int
    """Since when."""
    found_ms: int
    """When the daemon first saw it."""
    who: str
    """Who brought it there."""
    why: str
    """Why."""
    usable: bool
    """Whether the door let it in."""
    kind: str = ""
    """Family of the model; this and what follows is known once the door has let it in."""
    origin: Origin = ""
    """``starter``: it came with the program; ``shop``: it learnt from this shop's history."""
    trained_on: str = ""
    """What it learnt from, in words."""
    trained_from: str = ""
    """The first day it learnt from, such as ``2024-01-01``; empty: data without days."""
    trained_to: str = ""
    """The last: nothing after it was seen."""
    rows: int = 0
    """Rows it learnt from."""
    entities: int = 0
    """Different items or classes in them."""
    reason: str = ""
    """Why it was trained: ``schedule``, ``drift``, ``accuracy``, ``feedback``, ``asked``, ``starter``."""
    quick: bool = False
    """Whether it was a quick look: a small search and small models."""
    notes: str = ""
    """What a person should know: limits, what it refuses to say."""
    metrics: dict[str, float] = {}
    """On data after its training, by name."""
    baselines: dict[str, dict[str, float]] = {}
    """The same of simple rules on the same rows."""
    field: Measured | None = None
    """How good it has been here; null: not measured yet."""


class HistoryRow(Struct, kw_only=True, gc=False):
    """One change of state."""

    at_ms: int
    """When."""
    version: str
    """Which version."""
    state: State
    """What it became."""
    who: str
    """Who did it."""
    why: str
    """Why."""


class LatencyRow(Struct, kw_only=True, gc=False):
    """What scoring took, by batch size."""

    rows_max: int
    """Calls of at most so many rows (and more than the line before)."""
    calls: int
    """How many."""
    mean_us_a_row: float
    """Processor time a row, gathering and interpreting included."""
    worst_ms: float
    """The longest call."""


class ServiceRow(Struct, kw_only=True):
    """One service."""

    service: str
    """Which."""
    entity: str
    """What it speaks of: ``item`` or ``class``."""
    answered_by: Who
    """``model`` (of this shop's own), ``starter`` (it came with the program), ``rule`` (the simple rule), or
    ``canary``: a candidate for its share of the keys, the simple rule for all others."""
    reason: Reason
    """Why the simple rule answers, in one word; empty: a model does."""
    why: str
    """The same in a sentence."""
    trained_on: str
    """What the model that answers learnt from, in words; empty: no model answers."""
    active: str
    """Version that answers; empty: the simple rule does."""
    answering: str
    """Version loaded and asked now; differs from ``active`` only while that is being loaded."""
    beside: str
    """Version tried out beside it; empty: none."""
    beside_state: str
    """``shadow`` or ``canary``; empty: none."""
    previous: str
    """Version that would return after a rollback."""
    canary_share: float
    """Share of the keys that see a canary's answers; 0: there is no canary."""
    waiting: int
    """Candidates that wait for their turn."""
    rule: str
    """The simple rule that speaks where no model does."""
    predictions: int
    """Rows with an answer of the model that answers now."""
    stale: int
    """How many of these were made longer ago than ``models.feature_stale_h``."""


class WorstClass(Struct, kw_only=True, gc=False):
    """A class whose errors weigh more than those of others."""

    question: str
    """What was asked, such as ``units_week_1``."""
    sku: str
    """The class; of a service that speaks of items: that of its items."""
    store: str
    """Its store."""
    answers: int
    """Answers that were held against what happened, all days together."""
    error_mean: float
    """Mean of answer less outcome: above 0 it says too much. In the question's unit."""
    absolute_error_mean: float
    """Mean of the errors without their sign."""
    actual_mean: float
    """Mean of what happened, without its sign."""


class ServiceModels(Struct, kw_only=True):
    """One service with all its versions."""

    service: ServiceRow
    """How it stands."""
    versions: list[VersionRow]
    """Every version known, the newest first."""
    history: list[HistoryRow]
    """Changes of state, the newest first."""
    latency: list[LatencyRow]
    """What scoring takes."""
    scores: dict[str, dict[str, float]]
    """Question -> how good the active version has been over the last days, by figure; empty: nothing
    has happened yet that it can be held against."""
    worst: list[WorstClass] = []
    """Of each question the classes where the active version's errors weigh most, the heaviest first."""
    drift: list[Moved]
    """What the newest look at features and answers says, the most surprising first."""


class Record(Protocol):
    """What the field says of models; ``edge.pipeline_field`` keeps it."""

    drift: dict[Service, list[Moved]]

    def scores(self, service: Service, version: str) -> dict[str, dict[str, float]]:
        """Question -> figure -> value."""
        ...

    def scores_by_day(
        self, service: Service, version: str
    ) -> dict[str, list[tuple[int, dict[str, float]]]]:
        """Question -> (day on which it was asked, figures), the oldest first."""
        ...


class LiveModels:
    """Reads the registry and the scorer's columns."""

    def __init__(
        self,
        core: Core,
        config: Config,
        registry: Registry,
        scorer: Scorer,
        record: Record,
    ) -> None:
        self._state = core.state
        self._config = config
        self._registry = registry
        self._scorer = scorer
        self._record = record
        self.layers = {"l4_hit": 0, "l4_miss": 0}
        """Answers that stood in their column, and those that were made when they were asked for."""
        self._names: tuple[Manifest, list[str]] | None = None
        self._stale_ms = int(config.models.feature_stale_h * HOUR_MS)

    def entity(self, service: Service) -> str:
        """What a service speaks of: ``item`` or ``class``."""
        return SERVICES[service].entity

    # -- predictions ----------------------------------------------------------------------------

    def predict(self, service: Service, key: str, store: str, explain: bool) -> Prediction | None:
        """What a service says of an item (by EPC) or a class; ``None``: nobody knows it."""
        at_edge, slot = SERVICES[service], self._scorer.slots[service]
        of_class = at_edge.entity != "item"
        row = slot.table.keys.get(class_key(store, key) if of_class else key)
        if row < 0:
            return None
        made = self._by_model(slot, row, explain) or self._by_rule(slot, row)
        made.key, made.store = key, store if of_class else ""
        return made

    def _by_model(self, slot: Slot, row: int, explain: bool) -> Prediction | None:
        model = slot.answers_to(int(slot.table.keys.hashes[row]))
        if model is None or slot.shown is None:
            return None
        fresh = slot.shown.holds(row) and slot.shown.by[row] == model.number
        self.layers["l4_hit" if fresh else "l4_miss"] += 1
        if (explain or not fresh) and not self._scorer.one(slot.service, row):
            return None
        at_ms, values = int(slot.shown.at_ms[row]), slot.shown.values[row].tolist()
        told = model.manifest
        made = _prediction(slot, told.columns, values, self._named(told))
        made.version, made.kind, made.origin = told.version, told.kind, origin_of(told)
        made.trained_on = told.training.data
        made.trained_from, made.trained_to = told.training.from_day, told.training.to_day
        if model.side is not None:
            made.known = slot.table.keys.key(row) in model.side.row_of
        made.canary = model is slot.candidate
        made.predicted_ms = at_ms
        made.stale = self._state.now_ms - at_ms > self._stale_ms
        speaker = slot.at_edge.stand_in(self._state, row, model)
        if speaker is not None:
            return self._stood_in(slot, model, row, speaker)
        if explain:
            self._explain(made, slot, told, row)
        return made

    def _stood_in(self, slot: Slot, model: Loaded, row: int, speaker: str) -> Prediction:
        """What stands in the columns for a row that the model itself cannot speak of."""
        assert slot.shown is not None
        told, rule = model.manifest, slot.at_edge.fallback
        made = _prediction(slot, told.columns, slot.shown.values[row].tolist(), self._named(told))
        made.kind, made.fallback, made.rule = "rule", speaker, rule.rules.get(speaker, rule.rule)
        new = model.side is not None and slot.table.keys.key(row) not in model.side.row_of
        made.why = f"{told.version} never saw it" if new else "too few of its days are known here"
        made.predicted_ms = int(slot.shown.at_ms[row])
        made.stale = self._state.now_ms - made.predicted_ms > self._stale_ms
        return made

    def _named(self, manifest: Manifest) -> list[str]:
        """The classes that a manifest numbers, read once for whoever answers."""
        if self._names is None or self._names[0] is not manifest:
            if "classes" not in manifest.extra:
                return []
            self._names = (manifest, codes.named(manifest))
        return self._names[1]

    def _explain(self, made: Prediction, slot: Slot, manifest: Manifest, row: int) -> None:
        rows = np.array([row], np.int64)
        names = manifest.features
        seen = catalog.matrix(self._state, manifest.entity, rows, names)[0].tolist()
        made.features = {n: None if v != v else v for n, v in zip(names, seen, strict=True)}
        made.contributions = self._scorer.explain(slot.service, row)

    def _by_rule(self, slot: Slot, row: int) -> Prediction:
        rule = slot.at_edge.fallback
        values = rule.answer(self._state, np.array([row], np.int64))[0].tolist()
        made = _prediction(slot, rule.columns, values, ())
        speaker = rule.speaker(self._state, row)
        made.kind, made.fallback = "rule", speaker
        made.rule = rule.rules.get(speaker, rule.rule)
        made.why = self._answering(slot).why or "the model's answer for it is no number"
        made.predicted_ms = self._state.now_ms
        return made

    def _answering(self, slot: Slot) -> Answering:
        asked = slot.active.manifest if slot.active is not None else None
        return answering(self._registry, slot.service, asked, slot.share > 0)

    # -- models ---------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Rises when any version changes its state."""
        return self._registry.revision

    def outcome(self, request: str) -> Outcome | None:
        """What became of a command."""
        return self._registry.outcome(request)

    def models(self) -> list[ServiceRow]:
        """Every service, in order of need."""
        return [self.row(service) for service in self._scorer.slots]

    def row(self, service: Service) -> ServiceRow:
        """How one service stands."""
        return self._row(self._scorer.slots[service])

    def model(self, service: Service) -> ServiceModels:
        """One service with its versions and its history."""
        slot = self._scorer.slots[service]
        versions = sorted(
            self._registry.versions[service].values(), key=lambda v: v.version, reverse=True
        )
        history = self._registry.history[service]
        return ServiceModels(
            service=self._row(slot),
            versions=[self._version(version) for version in versions],
            history=[
                HistoryRow(at_ms=x.at_ms, version=x.version, state=x.state, who=x.who, why=x.why)
                for x in reversed(history)
            ],
            latency=_latency(slot),
            scores=self.scores(service),
            drift=self._record.drift.get(service, []),
        )

    def scores(self, service: Service) -> dict[str, dict[str, float]]:
        """Question -> figures of the active version's answers over the last weeks."""
        active = self._registry.active(service)
        return self._record.scores(service, active.version) if active else {}

    def scores_by_day(self, service: Service) -> dict[str, list[tuple[int, dict[str, float]]]]:
        """Question -> (day on which it was asked, figures) of the active version."""
        active = self._registry.active(service)
        return self._record.scores_by_day(service, active.version) if active else {}

    def _row(self, slot: Slot) -> ServiceRow:
        registry, service = self._registry, slot.service
        active, beside = registry.active(service), registry.beside(service)
        previous, asked = registry.previous(service), slot.active
        told = self._answering(slot)
        return ServiceRow(
            service=service,
            entity=slot.at_edge.entity,
            answered_by=told.who,
            reason=told.reason,
            why=told.why,
            trained_on=asked.manifest.training.data if asked else "",
            active=active.version if active else "",
            answering=asked.manifest.version if asked else "",
            beside=beside.version if beside else "",
            beside_state=beside.state if beside else "",
            previous=previous.version if previous else "",
            canary_share=slot.share / SHARES,
            waiting=len(registry.at(service, "candidate")),
            rule=slot.at_edge.fallback.rule,
            predictions=_answered(slot),
            stale=_answered(slot, self._state.now_ms - self._stale_ms),
        )

    def _version(self, version: Version) -> VersionRow:
        told = version.manifest
        made = VersionRow(
            version=version.version,
            state=version.state,
            since_ms=version.since_ms,
            found_ms=version.found_ms,
            who=version.who,
            why=version.why,
            usable=version.usable,
            field=self._registry.field(version.service, version.version),
        )
        if told is not None:
            trained = told.training
            made.kind, made.origin, made.notes = told.kind, origin_of(told), told.notes
            made.trained_on, made.reason = trained.data, trained.reason
            made.trained_from, made.trained_to = trained.from_day, trained.to_day
            made.rows, made.entities = trained.rows, trained.entities
            made.quick = is_quick(told)
            made.metrics, made.baselines = told.metrics, told.baselines
        return made

    # -- numbers ----------------------------------------------------------------------------------

    def counters(self) -> Counters:
        """Groups ``models`` (gauges), ``scored`` and ``model_commands`` (counters)."""
        now: dict[str, int | float] = {}
        total: dict[str, int | float] = {}
        for name, slot in self._scorer.slots.items():
            now[f"{name}_active"] = int(slot.active is not None)
            now[f"{name}_beside"] = int(slot.candidate is not None)
            now[f"{name}_batch_rows"] = slot.size
            now[f"{name}_drifted"] = sum(m.drifted for m in self._record.drift.get(name, ()))
            told = self._registry.active(name)
            measured = self._registry.field(name, told.version) if told else None
            if measured is not None and measured.coverage is not None:
                now[f"{name}_coverage"] = measured.coverage
            total[f"{name}_touched"] = slot.touched
            total[f"{name}_rows"] = slot.scored
            total[f"{name}_missed"] = slot.missed
            total[f"{name}_swaps"] = slot.swaps
            for size, latency in slot.latency.items():
                if latency.calls:
                    total[f"{name}_calls_upto_{size}"] = latency.calls
                    mean_us = latency.total_s / latency.rows * 1e6
                    now[f"{name}_us_a_row_upto_{size}"] = round(mean_us, 2)
        commands: dict[str, int | float] = dict(sorted(self._registry.counts.items()))
        layers: dict[str, int | float] = dict(self.layers)
        return {"models": now, "scored": total, "model_commands": commands, "layers": layers}


def _answered(slot: Slot, before_ms: int | None = None) -> int:
    """Rows with an answer of the model that answers now; only those made before a moment."""
    if slot.active is None or slot.shown is None:
        return 0
    high = slot.table.keys.high
    mine = slot.shown.by[:high] == slot.active.number
    if before_ms is not None:
        mine &= slot.shown.at_ms[:high] < before_ms
    return int(mine.sum())


def _latency(slot: Slot) -> list[LatencyRow]:
    return [
        LatencyRow(
            rows_max=size,
            calls=found.calls,
            mean_us_a_row=round(found.total_s / found.rows * 1e6, 3),
            worst_ms=round(found.worst_s * 1e3, 3),
        )
        for size in SIZES
        if (found := slot.latency[size]).calls
    ]


def _prediction(
    slot: Slot, columns: Sequence[Column], values: list[float], names: Sequence[str]
) -> Prediction:
    """The parts that depend on the numbers alone."""
    told = [_finite(value) for value in values[: len(columns)]]
    return Prediction(
        service=slot.service,
        entity=slot.at_edge.entity,
        key="",
        store="",
        version="",
        kind="",
        canary=False,
        predicted_ms=0,
        stale=False,
        fallback="",
        rule="",
        confidence=confidence(columns, told),
        answers=answers(slot.service, columns, told, names),
    )


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None
