"""The record of predictions: kept at each day's close, judged when their day has come.

Beside the corridor and the models' task: reads the state and the scorer between their slices, writes
through the journal's thread, changes neither. What it learns is told to the registry (``measured``)
and to readers (``scores``, ``drift``).
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from edge.core import Core
from edge.errors import JournalFull
from edge.inference import drift
from edge.inference.accuracy import Scores, by_group, figures, judge
from edge.inference.drift import Moved
from edge.inference.field import JUDGED, Kept, Question, actual, chosen, questions
from edge.inference.manifest import SERVICES as NAMES
from edge.inference.manifest import Column, Service
from edge.inference.model import Loaded
from edge.inference.registry import Measured
from edge.inference.scorer import Scorer, Slot
from edge.inference.session import ROWS_MAX
from edge.storage import field as tables
from edge.storage.field import ByClass, Scored
from edge.storage.journal import Journal
from edge.storage.writer import JournalWriter

log = structlog.get_logger(__name__)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LOOK_S = 5.0
"""How often somebody looks whether a day has closed."""
FRESH_MS = 2 * 3_600_000
"""Later than this after a day's close nothing is kept for it: the next day would be known already."""
SLICE_KEYS = 500
"""So many keys are looked up in one go on the loop."""
REMEMBERED_DAYS = 28
"""Scores of so many days are held in memory and told; the tables keep more."""
KEPT_DAYS = 400
SHOWN, BESIDE, RULE = "shown", "beside", "rule"
RULE_VERSION = "rule"

Key = tuple[str, str, str, int]


class FieldRecord:
    """One daemon's record."""

    def __init__(self, core: Core, scorer: Scorer, writer: JournalWriter) -> None:
        self.drift: dict[Service, list[Moved]] = {}
        """What the newest look at each service's active model said, the most surprising first."""
        self._state = core.state
        self._scorer = scorer
        self._writer = writer
        self._scores: dict[tuple[str, str], list[Scored]] = {}
        self._closed = -1

    # -- what others ask ------------------------------------------------------------------------

    def scores(self, service: Service, version: str) -> dict[str, dict[str, float]]:
        """Question -> figures over the last days, for people; empty: nothing is known yet."""
        told: dict[str, Scores] = {}
        for scored in self._scores.get((service, version), ()):
            told[scored.question] = told.get(scored.question, Scores()).add(scored.scores)
        return {question: figures(sums) for question, sums in told.items()}

    def measured(self, service: Service, version: str) -> Measured | None:
        """How good a version has been, on days on which all that are known were judged alike."""
        told = {
            name: scored for (of, name), scored in self._scores.items() if of == service and scored
        }
        if version not in told:
            return None
        asked = set.intersection(
            *({(s.horizon_days, s.question) for s in scored} for scored in told.values())
        )
        if not asked:
            return None
        _, question = min(asked)
        days = {
            name: {s.day: s.scores for s in scored if s.question == question}
            for name, scored in told.items()
        }
        common = set.intersection(*(set(found) for found in days.values()))
        if not common:
            return None
        ours, rule = _sum([days[version][day] for day in common]), days.get(RULE_VERSION)
        return Measured(
            rows=ours.n,
            loss=_loss(ours),
            baseline_loss=_loss(_sum([rule[day] for day in common])) if rule else None,
            coverage=figures(ours).get("coverage"),
        )

    # -- the task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        await self.restore()
        while True:
            closed = self._state.today - 1
            if self._state.now_ms and closed > self._closed:
                try:
                    await self.close(closed)
                except JournalFull as error:
                    log.warning("field_record_waits", reason=str(error), cure=error.cure)
                else:
                    self._closed = closed
            await asyncio.sleep(LOOK_S)

    async def restore(self) -> None:
        """Remember the scores of the last days."""
        from_day = self._state.today - REMEMBERED_DAYS if self._state.now_ms else 0
        for scored in await self._writer.read(lambda c: list(tables.scores(c, from_day))):
            self._remember(scored)

    async def close(self, day: int) -> None:
        """A day has closed: judge what can be judged now, then keep what is said today.

        Raises JournalFull: then it is done again later, and nothing counts twice.
        """
        for key in await self._writer.read(tables.waiting):
            await self._judge(key, day)
        if self._state.now_ms - self._state.days.end_ms(day) <= FRESH_MS:
            for slot in self._scorer.slots.values():
                await self._keep(slot, day)
        await self._write(partial(tables.trim, closed_day=day, before_day=day - KEPT_DAYS))
        for scored in self._scores.values():
            scored[:] = [s for s in scored if s.day > day - REMEMBERED_DAYS]

    async def _write(self, work: "partial[None]", bytes_needed: int = 0) -> None:
        def run(journal: Journal) -> None:
            journal.write_field(work, bytes_needed)

        await self._writer.run(run)

    # -- keeping --------------------------------------------------------------------------------

    async def _keep(self, slot: Slot, day: int) -> None:
        """Keep what a service's models, and its simple rule, say of the chosen rows."""
        service, active = slot.service, slot.active
        if (
            active is None
            or service not in JUDGED
            or not questions(service, active.manifest.columns)
        ):
            return
        live = slot.table.keys.live()
        keys = [slot.table.keys.key(row) for row in live.tolist()]
        rows = live[chosen(keys)].astype(np.int64)
        seen, said, ruled = await self._asked(slot, active, rows)
        if said is None:
            return
        self._look(service, active, seen, said)
        rule = slot.at_edge.fallback
        await self._store(slot, SHOWN, active.manifest.version, active.manifest.columns, rows,
                          said, day, (active.manifest.features, seen))  # fmt: skip
        await self._store(slot, RULE, RULE_VERSION, rule.columns, rows, ruled, day)
        candidate = slot.candidate
        if candidate is not None and slot.beside is not None:
            held = slot.beside.held(rows) & (slot.beside.by[rows] == candidate.number)
            columns = candidate.manifest.columns
            values = np.where(held[:, None], slot.beside.values[rows, : len(columns)], np.nan)
            await self._store(slot, BESIDE, candidate.manifest.version, columns, rows,
                              values.astype(np.float32), day)  # fmt: skip

    async def _asked(
        self, slot: Slot, active: Loaded, rows: Ints
    ) -> tuple[Floats, Floats | None, Floats]:
        """(features, answers, the rule's answers) of rows, a slice at a time; ``None``: trouble."""
        seen, said, ruled = [], [], []
        for start in range(0, len(rows), slot.size):
            piece = rows[start : start + min(slot.size, ROWS_MAX)]
            found = self._scorer.seen(slot.service, piece)
            if found is None or found[2] != active.number:
                return np.zeros((0, 0), np.float32), None, np.zeros((0, 0), np.float32)
            seen.append(found[0])
            said.append(found[1])
            ruled.append(slot.at_edge.fallback.answer(self._state, piece))
            await asyncio.sleep(0)
        if not said:
            return np.zeros((0, 0), np.float32), None, np.zeros((0, 0), np.float32)
        return np.concatenate(seen), np.concatenate(said), np.concatenate(ruled)

    async def _store(
        self,
        slot: Slot,
        role: str,
        version: str,
        columns: Sequence[Column],
        rows: Ints,
        values: Floats,
        day: int,
        seen: tuple[list[str], Floats] | None = None,
    ) -> None:
        asked = questions(slot.service, columns)
        if not asked:
            return
        told = sorted({i for question in asked for i in question.columns})
        kept = Kept(
            day=day,
            at_ms=self._state.now_ms,
            keys=[slot.table.keys.key(row) for row in rows.tolist()],
            columns=[columns[i] for i in told],
            values=np.ascontiguousarray(values[:, told], "<f4").tobytes(),
            basis=JUDGED[slot.service].basis(self._state, rows).astype("<i8").tobytes(),
            features=seen[0] if seen and seen[1].shape[1] else [],
            seen=np.ascontiguousarray(seen[1], "<f4").tobytes() if seen else b"",
        )
        until = day + max(question.horizon_days for question in asked)
        work = partial(
            tables.keep,
            service=slot.service,
            version=version,
            role=role,
            kept=kept,
            until_day=until,
        )
        await self._write(work, len(kept.values) + len(kept.seen))

    def _look(self, service: Service, model: Loaded, seen: Floats, said: Floats) -> None:
        """Whether what the model sees or says has moved from its training."""
        told = model.manifest
        live = {name: seen[:, i] for i, name in enumerate(told.features) if i < seen.shape[1]}
        reference = dict(told.feature_bins)
        for i, column in enumerate(told.columns):
            if column.name in told.output_bins:
                reference[f"answer {column.name}"] = told.output_bins[column.name]
                live[f"answer {column.name}"] = said[:, i]
        self.drift[service] = drift.look(reference, live)
        moved = [m.name for m in self.drift[service] if m.drifted]
        if moved:
            log.info("model_drift", service=service, version=told.version, moved=moved)

    # -- judging --------------------------------------------------------------------------------

    async def _judge(self, key: Key, closed: int) -> None:
        """Score the questions of one kept row whose horizon has passed."""
        service, _, _, day = key
        if service not in NAMES:
            return
        kept = await self._writer.read(partial(tables.kept, key=key))
        if kept is None:
            return
        done = await self._writer.read(partial(tables.judged, key=key))
        for asked in questions(service, kept.columns):
            if asked.name in done or day + asked.horizon_days > closed:
                continue
            truth = await self._truth(service, kept, asked)
            scored, by_class = await asyncio.to_thread(
                _scored, key, kept, asked, truth, self._classes(service, kept)
            )
            await self._write(partial(tables.score, scored=scored, by_class=by_class))
            self._remember(scored)

    async def _truth(self, service: Service, kept: Kept, asked: Question) -> NDArray[np.float64]:
        found = []
        for start in range(0, len(kept.keys), SLICE_KEYS):
            stop = min(start + SLICE_KEYS, len(kept.keys))
            found.append(actual(service, self._state, kept, asked, start, stop))
            await asyncio.sleep(0)
        return np.concatenate(found) if found else np.zeros(0)

    def _classes(self, service: Service, kept: Kept) -> list[str]:
        """The class of each key, now; empty where it has none."""
        if JUDGED[service].entity == "class":
            return kept.keys
        item, cls = self._state.item, self._state.cls
        rows = [item.keys.get(key) for key in kept.keys]
        of = [int(item.col["class_row"][row]) if row >= 0 else -1 for row in rows]
        return [cls.keys.key(row) if row >= 0 else "" for row in of]

    def _remember(self, scored: Scored) -> None:
        key = (scored.service, scored.version)
        self._scores.setdefault(key, []).append(scored)


def _scored(
    key: Key,
    kept: Kept,
    asked: Question,
    truth: NDArray[np.float64],
    classes: list[str],
) -> tuple[Scored, list[ByClass]]:
    """Pure, in a thread: sums over all keys, and by class."""
    service, version, role, day = key
    values = np.frombuffer(kept.values, "<f4").reshape(len(kept.keys), len(kept.columns))
    columns = [kept.columns[i] for i in asked.columns]
    said = values[:, asked.columns]
    scored = Scored(
        service, version, role, asked.name, asked.horizon_days, day, judge(columns, said, truth)
    )
    return scored, _by_class(scored, columns, said, truth, classes)


def _by_class(
    scored: Scored,
    columns: list[Column],
    said: Floats,
    truth: NDArray[np.float64],
    classes: list[str],
) -> list[ByClass]:
    names, at = np.unique(np.array(classes, np.str_), return_inverse=True)
    sums = by_group(columns, said, truth, at.astype(np.int64), len(names))
    return [
        ByClass(
            scored.service,
            scored.version,
            scored.question,
            name,
            int(n),
            error,
            absolute_error,
            absolute_actual,
            int(covered),
        )
        for name, (n, error, absolute_error, absolute_actual, covered) in zip(
            names.tolist(), sums.tolist(), strict=True
        )
        if name and n
    ]


def _sum(parts: Sequence[Scores]) -> Scores:
    total = Scores()
    for part in parts:
        total = total.add(part)
    return total


def _loss(scores: Scores) -> float:
    """What versions and the simple rule are compared by: Brier, or the root mean squared error,
    which is fair to means."""
    told = figures(scores)
    return told.get("brier", told.get("rmse", float("nan")))
