"""Which items fail or need a repair within 7, 14 and 30 days, and in how many days half of them would.

From what the daemon knows of an item at a day's close: use, age, time since each kind of maintenance,
failures, defects, grade. An event is the first failure, repair or replacement after that day. The
probability is that of an item which stays: who is retired, sold or missing is no longer watched
(``trainer.survival``). Choice, calibration and figures: ``trainer.hazard``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features.history import ITEM_LEVELS
from edge.features.layout import RENTAL_WINDOWS_DAYS
from edge.inference.manifest import Column, Training
from edge.inference.predict import MAINTENANCE_DAYS
from edge.storage.history import HistoryReader
from trainer import hazard, survival
from trainer.ageing import Ageing, ageing, gaps
from trainer.examples import Rises, examples, watched_until
from trainer.export import Exportable, binned, golden_rows, quantiles21
from trainer.hazard import Fitted, Problem
from trainer.history import FeatureTable, feature_table
from trainer.onnx_graph import Graph, line

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

COUNTS = ("failures_total", "repairs_total")
"""An event is a rise of any of these; ``repairs_total`` counts replacements, too, and no planned service."""
FEATURES: tuple[str, ...] = (
    *(f"rentals_{days}d" for days in RENTAL_WINDOWS_DAYS),
    *(f"returns_{days}d" for days in RENTAL_WINDOWS_DAYS),
    "rentals_total",
    "on_rent_days_total",
    "on_rent_days_current",
    "reads_total",
    "sightings_total",
    "age_days",
    "days_since_read",
    "days_since_scan",
    "days_since_inspection",
    "days_since_maintenance",
    "days_since_repair",
    "days_in_status",
    "repairs_total",
    "repair_cost_cents_total",
    "maintenance_minutes_total",
    "failures_total",
    "grade_last",
    "grade_previous",
    "grade_changes_total",
    "days_since_grade",
    "defects_count_last",
    "rating_mean",
)
ALONE = ("days_since_maintenance", "days_since_repair", "age_days")
"""Each a baseline by itself."""
LONGEST_DAYS = 365.0
"""A residual life says no more than this: nobody watched for longer than the last horizon."""
FOUNDED_SHARE = 0.5
"""Residual life is told only where at least so many of the judged examples with an early one
could be followed until it."""
_TINY = 1e-6


def read(
    sources: Sequence[HistoryReader], first_day: int = -(1 << 62), last_day: int = 1 << 62
) -> FeatureTable:
    """The columns of the items' history that this service learns from."""
    return feature_table(
        sources, "item", FEATURES, levels=ITEM_LEVELS, first_day=first_day, last_day=last_day
    )


def problem(table: FeatureTable) -> Problem:
    """Every item once a week, while it is watched."""
    days = np.unique(table.day).tolist()
    found = examples(table, FEATURES, days, Rises(COUNTS[0]), max(MAINTENANCE_DAYS))
    number = table.key_of_rows()[found.rows]
    until = watched_until(table)[number] if len(found) else np.zeros(0, np.int64)
    made = Problem(
        service="maintenance",
        features=FEATURES,
        x=found.x,
        cutoffs=found.cutoffs,
        entity=number,
        followed=survival.follow(table, found.rows, COUNTS, until),
        edges=tuple(float(days) for days in MAINTENANCE_DAYS),
        names=tuple(f"{days}d" for days in MAINTENANCE_DAYS),
    )
    return made.where(made.followed.watched > 0)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A fitted model that can be exported."""

    fitted: Fitted
    residual: dict[str, float]
    """What became of residual life on the judged examples (:func:`checked`)."""
    ageing: Ageing | None = None
    """How items age between renewals; ``None``: too few failures came after a renewal that was seen."""

    @property
    def tells_residual(self) -> bool:
        """Whether residual life is a column."""
        return self.residual.get("followed_share", 0.0) >= FOUNDED_SHARE

    @property
    def columns(self) -> list[Column]:
        """Of ``y``."""
        made = [
            Column(name=f"p_event_{days}d", unit="1", horizon_days=days, lowest=0.0, highest=1.0)
            for days in MAINTENANCE_DAYS
        ]
        if self.tells_residual:
            made.append(
                Column(name="days_to_event_p50", unit="d", quantile=0.5, lowest=0.0,
                       highest=LONGEST_DAYS)
            )  # fmt: skip
        return made

    def predict(self, x: Float32) -> Floats:
        """float64[n, o] for float32[n, f]."""
        model, edges = self.fitted.model, self.fitted.problem.edges
        answers = model(x)
        if not self.tells_residual:
            return answers
        return np.column_stack([answers, median_days(model.hazards(x), edges)])

    def onnx(self) -> bytes:
        """``x`` float32[n, f] -> ``y`` float32[n, o]."""
        graph, edges = Graph(), self.fitted.problem.edges
        k, width = len(edges), self.fitted.problem.x.shape[1]
        hazards = hazard.add_hazards(graph, "x", width, [self.fitted.model])
        y = add_answers(
            graph,
            hazards,
            gone=np.triu(np.ones((k, k))),
            turn=-np.eye(k),
            rest=np.ones(k),
            own=np.eye(k) if self.tells_residual else None,
            edges=edges,
        )
        shape = {"x": ["n", width]}
        return graph.model(shape, {"y": (y, ["n", len(self.columns)])})

    def exportable(self, training: Training) -> Exportable:
        """For ``trainer.export.write_artifact``."""
        return exportable(
            self.fitted,
            service="maintenance",
            onnx_bytes=self.onnx(),
            columns=self.columns,
            predict=self.predict,
            training=training,
            metrics=self.fitted.metrics
            | self.residual
            | (self.ageing.figures if self.ageing else {}),
            notes=NOTES,
        )


NOTES = (
    "Probability that a failure, repair or replacement is recorded within the horizon, for an item "
    "that stays: retired, sold and missing items are no longer watched. Figures are of the last 20 % "
    "of the time by the same recipe fitted on what came before; the model itself is fitted on all. "
    "Work that staff plan (a wash, an inspection) is no event. Calibration bins: the longest horizon."
)


def fit(table: FeatureTable, **search: Any) -> Maintenance:
    """Raises TooLittleKnown; ``search``: as ``trainer.hazard.fit``."""
    found = hazard.fit(problem(table), **{"alone": ALONE, **search})
    aged = ageing(gaps(table, watched_until(table)))
    return Maintenance(found, checked(found), aged)


# --- residual life -----------------------------------------------------------------------------------


def _spans(edges: Sequence[float]) -> tuple[Floats, Floats, Floats]:
    """(hazards -> hazard of each span and before it: float64[k, k + 1] both, length of spans).

    After the last horizon the mean hazard up to it goes on until ``LONGEST_DAYS``.
    """
    k, last = len(edges), edges[-1]
    length = np.diff([0.0, *edges, LONGEST_DAYS])
    of = np.eye(k, k + 1)
    of[:, k] = length[-1] / last
    before = np.triu(np.ones((k, k + 1)), 1)
    return of, before, length


def median_days(hazards: Floats, edges: Sequence[float]) -> Floats:
    """float64[n]: days until the event for half of the items that look like this one.

    Cumulated hazard reaches ln 2 there; even within each interval.
    """
    of, before, length = _spans(edges)
    share = (np.log(2.0) - hazards @ before) / (hazards @ of + _TINY)
    return np.asarray(np.clip(share, 0.0, 1.0) @ length, np.float64)


def add_answers(
    graph: Graph,
    hazards: str,
    *,
    gone: Floats,
    turn: Floats,
    rest: Floats,
    own: Floats | None,
    edges: Sequence[float],
) -> str:
    """``exp(-hazards @ gone) @ turn + rest`` and, by the hazards ``own``, :func:`median_days`.

    ``hazards`` is float32[n, h], ``gone`` float64[h, s], ``turn`` float64[s, o], ``rest`` float64[o],
    ``own`` float64[h, k], or ``None`` for an answer without days; ``edges`` are k. The name of
    float32[n, o] or [n, o + 1]. Sums are made for all of them at once: nodes are what costs.
    """
    if own is None:
        left_over = graph.node("Exp", line(graph, hazards, -gone))
        return line(graph, left_over, turn, rest)
    of, before, length = _spans(edges)
    spans, kept = len(length), gone.shape[1]
    sums = line(
        graph,
        hazards,
        np.hstack([-gone, -own @ before, own @ of]),
        np.concatenate([np.zeros(kept), np.full(spans, np.log(2.0)), np.full(spans, _TINY)]),
    )
    kept_log, left, rate = graph.nodes("Split", 3, sums, graph.axis(kept, spans, spans), axis=1)
    ratio = graph.node("Div", left, rate)
    share = graph.node("Clip", ratio, graph.constant(0.0), graph.constant(1.0))
    both = graph.node("Concat", graph.node("Exp", kept_log), share, axis=1)
    weights = np.zeros((kept + spans, turn.shape[1] + 1))
    weights[:kept, :-1] = turn
    weights[kept:, -1] = length
    return line(graph, both, weights, np.append(rest, 0.0))


def checked(found: Fitted, within_days: float = 60.0) -> dict[str, float]:
    """Did half of the judged examples really have their event by the median told?

    Of those told a median within ``within_days``: how many, the share followed until then or their
    event, and the share with the event (weighted for censoring; 0.5 is right).
    """
    hazards = np.diff(-np.log1p(-np.minimum(found.answers, 1 - 1e-12)), axis=1, prepend=0.0)
    told = median_days(hazards, found.problem.edges)
    early = told <= within_days
    if not early.any():
        return {}
    happened, weight = survival.labels(found.judged.followed.where(early), told[early])
    known = weight > 0
    result = {"residual_rows": float(early.sum()), "followed_share": float(known.mean())}
    if known.any():
        result["events_by_median_share"] = float(np.average(happened, weights=weight))
    return result


def exportable(
    found: Fitted,
    *,
    service: Any,
    onnx_bytes: bytes,
    columns: Sequence[Column],
    predict: Any,
    training: Training,
    metrics: Mapping[str, float],
    notes: str,
) -> Exportable:
    """What the manifest says of any model of ``trainer.hazard``."""
    x = found.problem.x
    answers = predict(x)
    return Exportable(
        service=service,
        kind=found.family.kind,
        entity="item",
        onnx_bytes=onnx_bytes,
        features=found.problem.features,
        columns=columns,
        training=training,
        golden_inputs={"x": golden_rows(x)},
        predict=lambda inputs: predict(inputs["x"]),
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
        baselines=found.baselines,
        hyperparameters=found.hyperparameters,
        importances=found.importances,
        calibration=found.bins,
        feature_quantiles=quantiles21(x, found.problem.features),
        output_quantiles=quantiles21(answers, [column.name for column in columns]),
        feature_bins=binned(x, found.problem.features),
        output_bins=binned(answers, [column.name for column in columns]),
        notes=notes,
    )
