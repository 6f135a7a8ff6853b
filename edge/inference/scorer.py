"""Rows that something happened to -> predictions, service by service, in slices the loop can bear.

Everything here runs on the loop's thread, between two slices of the corridor's work, so a slice
sees one state and one set of models: a swap happens between two slices or not at all. Which model
is used is the registry's word; loading happens elsewhere.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.config import Limits, Models
from edge.features.state import FeatureState
from edge.features.tables import Table
from edge.inference import tabular
from edge.inference.manifest import Manifest, Service
from edge.inference.model import SIDE, Loaded
from edge.inference.predict import SERVICES, ServiceAtEdge
from edge.inference.predictions import Predictions, row_bytes
from edge.inference.session import ROWS_MAX, Trouble

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Role = Literal["active", "beside"]
Troubled = Callable[[Service, Loaded, Role, Trouble], None]

SLICE_TARGET_S = 0.002
"""A slice of scoring aims to hold the loop no longer."""
SWEEP_ROWS = 2_048
"""Rows that nothing happened to, scored again in one beat at most."""
SWEPT_ROWS = 64
"""Most of them in one slice, except where rows are only ever swept: nobody waits for a sweep, but
answers that are asked for meanwhile wait for its slices."""
SWEEPS = 4
"""So often within ``models.feature_stale_h`` is every row scored again."""
HOUR_MS = 3_600_000
SHARES = 10_000
"""A canary's share of the keys is counted in parts of this."""
SIZES = (1, 16, 64, ROWS_MAX)
"""Upper ends of the batch sizes that latencies are counted by."""
KNOWN_MODELS = 256
"""Manifests of models whose answers may still stand in the columns."""


@dataclass(slots=True)
class Latency:
    """Calls of one batch size: how many, and how long they held the loop, seconds."""

    calls: int = 0
    rows: int = 0
    total_s: float = 0.0
    worst_s: float = 0.0


@dataclass(slots=True)
class Slot:
    """What answers for one service now."""

    service: Service
    at_edge: ServiceAtEdge
    table: Table
    shown: Predictions | None = None
    """What people see."""
    beside: Predictions | None = None
    """What a candidate says of the same rows; never shown unless it is a canary's turn."""
    active: Loaded | None = None
    candidate: Loaded | None = None
    share: int = 0
    """Of ``SHARES`` keys so many see the candidate's answers."""
    share_asked: float = 0.0
    """The same as it was asked for."""
    size: int = 1
    cursor: int = -1
    """The next row of the present sweep over all rows; -1: none is under way."""
    swept_at_ms: int = 0
    """When the newest sweep began: older predictions are made again by it."""
    day: int = -1
    touched: int = 0
    scored: int = 0
    """Rows scored by whoever is shown; each touched row once."""
    swaps: int = 0
    gone: int = 0
    """Touched rows that were forgotten before their turn."""
    missed: int = 0
    """Touched rows that nobody could answer for: a sweep by whoever follows makes up for them."""
    latency: dict[int, Latency] = field(default_factory=lambda: {n: Latency() for n in SIZES})
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        self.plain = self.at_edge.plain

    def answers_to(self, key_hash: int) -> Loaded | None:
        """Whose answer the owner of this key sees."""
        if self.share and self.candidate is not None and key_hash % SHARES < self.share:
            return self.candidate
        return self.active


class Contribution(Struct, frozen=True, gc=False):
    """What one feature adds to an answer, against its median in training."""

    feature: str
    """Its name in the catalogue."""
    value: float | None
    """What it was; null: it has no value."""
    median: float
    """What it usually is."""
    adds: float
    """The answer less what it would be with the median, in the answer's unit."""


class Scorer:
    """Keeps every service's predictions up to date. ``troubled`` hears what cannot go on."""

    def __init__(self, state: FeatureState, settings: Models, troubled: Troubled) -> None:
        self.state = state
        self.slots: dict[Service, Slot] = {
            name: Slot(name, at_edge, state.tables[at_edge.entity])
            for name, at_edge in SERVICES.items()
            if at_edge.entity in state.tables
        }
        self.manifests: dict[int, Manifest] = {}
        self._troubled = troubled
        self._again_ms = int(settings.feature_stale_h * HOUR_MS / SWEEPS)

    # -- whose turn it is -----------------------------------------------------------------------

    def use(
        self,
        service: Service,
        active: Loaded | None,
        candidate: Loaded | None = None,
        share: float = 0.0,
    ) -> None:
        """From the next slice on these answer; every row is scored again in the background."""
        slot = self.slots[service]
        if slot.active is not active or slot.candidate is not candidate:
            slot.swaps += slot.active is not active
            slot.size, slot.cursor = slot.at_edge.slice_first, 0
            slot.swept_at_ms = self.state.now_ms
        slot.active, slot.candidate = active, candidate
        slot.share_asked = share
        slot.share = round(share * SHARES) if candidate is not None else 0
        for loaded in (active, candidate):
            if loaded is not None:
                self.manifests[loaded.number] = loaded.manifest
        while len(self.manifests) > KNOWN_MODELS:
            del self.manifests[next(iter(self.manifests))]
        if active is not None or slot.share:
            slot.shown = slot.shown or Predictions(slot.table, slot.at_edge.columns_max)
        if candidate is not None:
            slot.beside = slot.beside or Predictions(slot.table, slot.at_edge.columns_max)
        else:
            slot.beside = None

    @property
    def busy(self) -> bool:
        """Whether any model is there to be asked."""
        return any(slot.active or slot.candidate for slot in self.slots.values())

    # -- scoring what was touched ---------------------------------------------------------------

    async def beat(self) -> float:
        """Score what was touched since the last beat, and some of what was not; seconds it took.

        Between two slices everybody else has a turn.
        """
        took_s = 0.0
        for slot, rows, swept in self._work():
            start = 0
            most = SWEPT_ROWS if swept and slot.at_edge.when == "touched" else ROWS_MAX
            while start < len(rows):
                piece = rows[start : start + min(slot.size, most)]
                start += len(piece)
                took_s += self._slice(slot, piece, swept)
                await asyncio.sleep(0)
        return took_s

    def _work(self) -> list[tuple[Slot, Ints, bool]]:
        touched = self._touched()
        slots = [s for s in self.slots.values() if s.active is not None or s.candidate is not None]
        work: list[tuple[Slot, Ints, bool]] = []
        for slot in slots:
            rows = touched.get(slot.at_edge.entity)
            if slot.at_edge.when == "touched" and rows is not None and len(rows):
                slot.touched += len(rows)
                work.append((slot, rows, False))
        for slot in slots:
            rows = self._sweep(slot)
            if len(rows):
                work.append((slot, rows, True))
        return work

    def _touched(self) -> dict[str, Ints]:
        """Entity -> int64[n] rows; a class is touched with each of its items."""
        item, cls = self.state.item, self.state.cls
        items = item.take_touched()
        classes = item.col["class_row"][items]
        cls.touched[classes[classes >= 0]] = True
        return {"item": items, "class": cls.take_touched()}

    def _sweep(self, slot: Slot) -> Ints:
        """The next rows of a sweep over all; one begins when a day closes, or rows grow old."""
        now_ms, today = self.state.now_ms, self.state.today
        due = now_ms - slot.swept_at_ms >= self._again_ms
        if slot.at_edge.when == "day":
            due, slot.day = slot.day != today, today
        if slot.cursor < 0 and due:
            slot.cursor, slot.swept_at_ms = 0, now_ms
            for kept in (slot.shown, slot.beside):
                if kept is not None:
                    kept.sweep()
        if slot.cursor < 0:
            return np.zeros(0, np.int64)
        stop = min(slot.cursor + SWEEP_ROWS, slot.table.keys.high)
        rows = slot.cursor + np.flatnonzero(slot.table.keys.hashes[slot.cursor : stop])
        slot.cursor = stop if stop < slot.table.keys.high else -1
        return rows[self._old(slot, rows)].astype(np.int64)

    def _old(self, slot: Slot, rows: Ints) -> NDArray[np.bool_]:
        """bool[n]: whether these were not scored since the sweep began, by those who answer now."""
        old = np.zeros(len(rows), np.bool_)
        if slot.active is not None and slot.shown is not None:
            numbers = [slot.active.number]
            if slot.share and slot.candidate is not None:
                numbers.append(slot.candidate.number)
            fresh = slot.shown.held(rows) & (slot.shown.at_ms[rows] >= slot.swept_at_ms)
            old |= ~(fresh & np.isin(slot.shown.by[rows], numbers))
        if slot.candidate is not None and slot.beside is not None:
            fresh = slot.beside.held(rows) & (slot.beside.at_ms[rows] >= slot.swept_at_ms)
            old |= ~(fresh & (slot.beside.by[rows] == slot.candidate.number))
        return old

    def _slice(self, slot: Slot, rows: Ints, swept: bool) -> float:
        """Score at most ``ROWS_MAX`` rows by everybody who answers for a service; seconds."""
        many = len(rows)
        rows = rows[slot.table.keys.hashes[rows] != 0]
        if not swept:
            slot.gone += many - len(rows)
        if not len(rows):
            return 0.0
        began = time.thread_time()
        active, candidate = slot.active, slot.candidate
        answered = False
        if active is not None and slot.shown is not None:
            answered = self._keep(slot, active, "active", rows, slot.shown) is not None
        if candidate is not None and slot.beside is not None:
            answers = self._keep(slot, candidate, "beside", rows, slot.beside)
            if answers is not None and slot.share and slot.shown is not None:
                turn = slot.table.keys.hashes[rows] % np.uint64(SHARES) < slot.share
                slot.shown.put(rows[turn], answers[turn], self.state.now_ms, candidate.number)
        if not swept and answered:
            slot.scored += len(rows)
        elif not swept:
            slot.missed += len(rows)
        took_s = time.thread_time() - began
        self._pace(slot, took_s, len(rows))
        return took_s

    def _keep(
        self, slot: Slot, model: Loaded, role: Role, rows: Ints, into: Predictions
    ) -> Floats | None:
        """Ask one model about rows and keep its answers; ``None``: it could not answer."""
        found = self._ask(slot, model, rows)
        if isinstance(found, Trouble):
            self._out(slot, model, role, found)
            return None
        # a model that knows entities by name may say one thing of all whom it does not know
        by_features = model.plan is not None and model.side is None
        x = model.plan.x[: len(rows)] if by_features and model.plan is not None else None
        into.put(rows, found, self.state.now_ms, model.number)
        others = slot.at_edge.others(model)
        # nobody is to blame for what somebody else said in its place, such as that nothing is known
        own = np.delete(found, others, axis=0) if len(others) else found
        trouble = model.conduct.answered(x, own) if len(own) else None
        if model.conduct.odd_rows or len(others):
            odd = ~np.isfinite(found).all(axis=1)
            into.drop(rows[odd])
        if trouble is not None:
            self._out(slot, model, role, trouble)
            return None
        return found

    def _ask(self, slot: Slot, model: Loaded, rows: Ints) -> Floats | Trouble:
        """float32[n, o], overwritten by the next call."""
        began = time.thread_time()
        slot.at_edge.prepare(self.state, rows, model)
        prepared = time.thread_time()
        trouble = model.session.run(len(rows))
        if trouble is not None:
            return trouble
        ran_s = time.thread_time() - prepared  # what the model itself takes, and may be blamed for
        answers = slot.at_edge.interpret(model, len(rows))
        self._count(slot, time.thread_time() - began, len(rows))
        return model.conduct.took(ran_s, len(rows)) or answers

    def _out(self, slot: Slot, model: Loaded, role: Role, trouble: Trouble) -> None:
        """A model is not asked any more, from this slice on; the registry decides what follows."""
        if role == "active":
            if slot.active is model:
                slot.active = None
        elif slot.candidate is model:
            slot.candidate, slot.share = None, 0
        for kept in (slot.shown, slot.beside):
            if kept is not None:
                high = slot.table.keys.high
                kept.drop(np.flatnonzero(kept.by[:high] == model.number))
        self._troubled(slot.service, model, role, trouble)

    @staticmethod
    def _count(slot: Slot, took_s: float, rows: int) -> None:
        latency = slot.latency[next(size for size in SIZES if rows <= size)]
        latency.calls += 1
        latency.rows += rows
        latency.total_s += took_s
        latency.worst_s = max(latency.worst_s, took_s)

    @staticmethod
    def _pace(slot: Slot, took_s: float, rows: int) -> None:
        """Choose the next slice so that it takes no longer than the target."""
        if took_s > SLICE_TARGET_S:
            slot.size = max(1, int(min(slot.size, rows) * SLICE_TARGET_S / took_s))
        elif rows >= slot.size and took_s < SLICE_TARGET_S / 2:
            slot.size = min(ROWS_MAX, slot.size * 2)

    # -- one row ----------------------------------------------------------------------------------

    def one(self, service: Service, row: int) -> bool:
        """Score one live row now, for somebody who asks; whether there is an answer."""
        slot = self.slots[service]
        model = slot.answers_to(int(slot.table.keys.hashes[row])) if slot.share else slot.active
        if model is None or slot.shown is None:
            return False
        if slot.plain:
            answered = tabular.one(self.state, row, model)
            told = model.told
        else:
            found = self._ask(slot, model, np.array([row], np.int64))
            first = model.first if isinstance(found, Trouble) else found[0].astype(np.float32)
            answered = found if isinstance(found, Trouble) else bool(np.isfinite(first).all())
            told = memoryview(first.data).cast("B")
        if isinstance(answered, Trouble):
            self._out(slot, model, "active" if model is slot.active else "beside", answered)
            return False
        if not answered:
            model.conduct.odd_rows += not len(slot.at_edge.others(model))
            return False
        slot.shown.put_one(row, told, self.state.now_ms, model.number)
        return True

    def explain(self, service: Service, row: int, column: int = 0) -> list[Contribution]:
        """What each feature adds to one column of a row's answer, the largest first.

        Each feature in turn is set to its median in training, all of them in one batch; for a
        linear answer that is the linear term itself. Empty where the model has no such medians.
        """
        slot = self.slots[service]
        model = slot.answers_to(int(slot.table.keys.hashes[row]))
        if model is None or model.plan is None or not slot.at_edge.plain:
            return []
        medians = [
            (i, float(levels[len(levels) // 2]))
            for i, name in enumerate(model.manifest.features)
            if (levels := model.manifest.feature_quantiles.get(name))
        ][: ROWS_MAX - 1]
        tabular.prepare(self.state, np.array([row], np.int64), model)
        x, n = model.plan.x, len(medians) + 1
        x[1:n] = x[0]
        if model.side is not None:
            model.session.inputs[SIDE][1:n] = model.session.inputs[SIDE][0]
        seen = x[0].tolist()
        for k, (i, median) in enumerate(medians, start=1):
            x[k, i] = median
        if model.session.run(n) is not None:
            return []
        answers = tabular.interpret(model, n)[:, column].tolist()
        found = [
            Contribution(
                model.manifest.features[i],
                None if seen[i] != seen[i] else seen[i],
                median,
                answers[0] - answers[k],
            )
            for k, (i, median) in enumerate(medians, start=1)
        ]
        return sorted(found, key=lambda c: -abs(c.adds))

    def instead(self, service: Service, rows: Ints, values: Mapping[str, float]) -> Floats | None:
        """float32[n, o]: what the active model would say of these rows if features had these values.

        At most ``ROWS_MAX`` rows, asked now; nothing is kept. Names that the model does not look at
        change nothing. ``None``: no model answers, or none that looks at features alone.
        """
        slot = self.slots[service]
        model = slot.active
        if model is None or model.plan is None or not slot.at_edge.plain:
            return None
        tabular.prepare(self.state, rows, model)
        for i, name in enumerate(model.manifest.features):
            if name in values:
                model.plan.x[: len(rows), i] = values[name]
        if model.session.run(len(rows)) is not None:
            return None  # the next scoring of its rows will find the same, and let it go
        return tabular.interpret(model, len(rows)).copy()

    def seen(self, service: Service, rows: Ints) -> tuple[Floats, Floats, int] | None:
        """For predictions that are kept: features float32[n, f], answers float32[n, o], model.

        At most ``ROWS_MAX`` rows, asked now so that both belong together; copies.
        """
        slot = self.slots[service]
        model = slot.active
        if model is None:
            return None
        answers = self._ask(slot, model, rows)
        if isinstance(answers, Trouble):
            self._out(slot, model, "active", answers)
            return None
        x = (
            model.plan.x[: len(rows)]
            if model.plan is not None
            else np.zeros((len(rows), 0), np.float32)
        )
        return x.copy(), answers.copy(), model.number


def memory_table(limits: Limits) -> list[tuple[str, int, int]]:
    """(what, rows, bytes when full) of the predictions, shown and beside."""
    rows_of = {"item": limits.items_max, "class": limits.classes_max}
    return [
        (f"predictions: {name}", rows, 2 * rows * row_bytes(at_edge.columns_max))
        for name, at_edge in SERVICES.items()
        if (rows := rows_of.get(at_edge.entity, 0))
    ]
