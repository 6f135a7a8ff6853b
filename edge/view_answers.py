"""A model's columns as answers that people and programs can read: intervals, quantiles, words.

Columns and values in, answers out; knows no model and no state.
"""

from collections.abc import Sequence

from msgspec import Struct

from edge.inference import codes
from edge.inference.manifest import Column, Service, central, stem


class Interval(Struct, kw_only=True, gc=False):
    """What should hold the actual in a stated share of cases; as many fall below it as above."""

    low: float | None
    """Lower end; null: nothing can be said."""
    high: float | None
    """Upper end."""
    level: float
    """Share of cases that it should hold: 0.8 from the quantiles of 0.1 and 0.9."""


class Quantile(Struct, kw_only=True, gc=False):
    """What should suffice in a stated share of cases."""

    level: float
    """Share of cases in which the actual is at most the value."""
    value: float | None
    """The number; null: nothing can be said."""


class Answer(Struct, kw_only=True, gc=False):
    """One number a prediction tells."""

    name: str
    """Which."""
    unit: str
    """``1`` for probabilities, ratios and codes."""
    horizon_days: float
    """How far ahead it looks; 0: now."""
    value: float | None
    """The number; null: nothing can be said."""
    word: str = ""
    """What the number means where it is a code, such as ``A`` or ``lumpy``; empty: it is none."""
    interval: Interval | None = None
    """Null: the model tells no two quantiles that leave the same share out on either side."""
    quantiles: list[Quantile] = []
    """Every quantile told of it, by rising level; empty: fewer than two."""


Told = tuple[Column, float | None]
About = tuple[str, float, str]
"""(what, horizon, unit)"""


def answers(
    service: Service,
    columns: Sequence[Column],
    values: Sequence[float | None],
    names: Sequence[str] = (),
) -> list[Answer]:
    """One answer a column, in the columns' order; quantiles join the answer that they speak of.

    A quantile speaks of the column whose name it continues (``units_week_1_p90``) at the same horizon
    and unit. Quantiles of something that has no column of its own make one answer, the one nearest to
    the median. ``names``: see ``codes.named``.
    """
    told = [t for t in zip(columns, values, strict=True) if t[0].name != CONFIDENCE]
    left = codes.silent(service, {column.name: value for column, value in told})
    if left:
        told = [(c, v if c.name == left else None) for c, v in told]
    quantiles: dict[About, list[Told]] = {}
    for column, value in told:
        if column.quantile is not None:
            quantiles.setdefault(_about(column), []).append((column, value))
    own = {_about(column) for column, _ in told if column.quantile is None}
    made = []
    for column, value in told:
        about = _about(column)
        group = quantiles.get(about, [])
        if column.quantile is None or (about not in own and column is _middle(group)):
            made.append(_answer(service, column, value, group, names))
    return made


CONFIDENCE = "confidence"


def confidence(columns: Sequence[Column], values: Sequence[float | None]) -> float | None:
    """The column of that name; only a model can say it."""
    for column, value in zip(columns, values, strict=True):
        if column.name == CONFIDENCE:
            return value
    return None


def _about(column: Column) -> About:
    name = column.name if column.quantile is None else stem(column.name)
    return name, column.horizon_days, column.unit


def _middle(group: Sequence[Told]) -> Column:
    return min((column for column, _ in group), key=lambda c: abs(_level(c) - 0.5))


def _level(column: Column) -> float:
    assert column.quantile is not None, column.name
    return column.quantile


def _answer(
    service: Service,
    column: Column,
    value: float | None,
    group: Sequence[Told],
    names: Sequence[str],
) -> Answer:
    by_level = {_level(c): v for c, v in sorted(group, key=lambda told: _level(told[0]))}
    ends = central(by_level)
    return Answer(
        name=column.name,
        unit=column.unit,
        horizon_days=column.horizon_days,
        value=value,
        word=codes.word(service, column, value, names),
        interval=Interval(
            low=by_level[ends[0]], high=by_level[ends[1]], level=round(ends[1] - ends[0], 6)
        )
        if ends
        else None,
        quantiles=[Quantile(level=level, value=v) for level, v in by_level.items()]
        if len(by_level) > 1
        else [],
    )
