"""Grades of items ahead: as a model tells them, else falling evenly with use. Columns in, columns out."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.services import quality
from edge.services.lifecycle import MONTH_DAYS, MONTHS
from edge.services.quality import HORIZONS_DAYS
from edge.view_quality_rows import GradePoint

Floats = NDArray[np.float64]

RENEWED_GRADE = 8.0
"""Grade of an item that was just refurbished: A."""
BY_MONTH = tuple(float(m * MONTH_DAYS) for m in range(MONTHS + 1))


def shares_ahead(
    grade: Floats, after: Floats, change: Floats, loss: Floats, days: Sequence[float]
) -> Floats:
    """float64[n, t, 3] groups of grades: as a model tells it, else the group of an evenly falling grade.

    ``after``, ``change``, ``loss``: as in ``edge.view_quality_book.Book``.
    """
    shares = quality.curve(grade, after, change, days).shares
    silent = np.isnan(after).any(axis=1) & ~np.isnan(grade)
    if silent.any():
        path, _ = quality.worn(grade[silent], loss[silent], days)
        shares[silent] = quality.shares_of(path)
    return shares


def renewed_by_model(change: Floats) -> Floats:
    """float64[13, 3]: grades of an item that was just refurbished, month by month."""
    found = quality.curve(np.array([RENEWED_GRADE]), change[:1], change, BY_MONTH)
    return np.asarray(found.shares[0], np.float64)


def renewed_ahead(after: Floats, by_model: Floats, loss: Floats) -> Floats:
    """float64[n, 13, 3]: once refurbished, as items of that grade in the shop or with the same wear."""
    path, _ = quality.worn(np.full(len(loss), RENEWED_GRADE), loss, BY_MONTH)
    silent = np.asarray(np.isnan(after).any(axis=1))
    return np.where(silent[:, None, None], quality.shares_of(path), by_model)


def points(
    grade: Floats, after: Floats, change: Floats, loss: Floats
) -> tuple[list[GradePoint], float | None]:
    """(mean of these items' curves, days until C of the first)."""
    shares = shares_ahead(grade, after, change, loss, HORIZONS_DAYS)
    model = quality.curve(grade, after, change)
    path, until = quality.worn(grade, loss)
    by_model = np.asarray(~np.isnan(after).any(axis=1))
    level = np.where(by_model[:, None], model.grade, path).mean(axis=0)
    days = float(np.where(by_model, model.threshold_days, until)[0])
    share = shares.mean(axis=0)
    made = [
        GradePoint(
            days=int(day),
            grade=_rounded(level[t], 4),
            p_a=_rounded(share[t, 0]),
            p_b=_rounded(share[t, 1]),
            p_c=_rounded(share[t, 2]),
        )
        for t, day in enumerate(HORIZONS_DAYS)
    ]
    return made, round(days, 2) if math.isfinite(days) else None


def _rounded(value: float, places: int = 6) -> float | None:
    return round(float(value), places) if math.isfinite(value) else None
