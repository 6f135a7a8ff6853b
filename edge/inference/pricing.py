"""Service ``pricing`` as others read it: an answer's columns -> a response to price, or nothing. Pure.

A model must answer every row with numbers; where nothing is known of a class it says ``evidence`` 0
and the widest interval. Here that becomes ``None``, so that nobody takes it for a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CHANGES = (-20, -10, -5, 5, 10, 20)
"""Changes of the present price, percent, that an answer tells of."""

Evidence = Literal["category", "own"]
_EVIDENCE: dict[int, Evidence] = {1: "category", 2: "own"}


def change_name(percent: int) -> str:
    """Column of one change of price.

    >>> change_name(-5), change_name(10)
    ('units_ratio_minus_5', 'units_ratio_plus_10')
    """
    return f"units_ratio_{'plus' if percent > 0 else 'minus'}_{abs(percent)}"


@dataclass(frozen=True, slots=True)
class Interval:
    """Median, and what 80 % of the belief lies between."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PriceResponse:
    """What is believed of one class."""

    evidence: Evidence
    """``own``: its own prices moved; ``category``: only those of its like did."""
    extrapolated: bool
    """The present price is outside of what was ever charged."""
    elasticity: Interval
    units_ratio: Interval
    """Expected units at the present price over those at the price it used to have."""
    changes: dict[int, Interval]
    """Change of price, percent -> expected units over those at the present price."""


def response(answer: Mapping[str, float]) -> PriceResponse | None:
    """Read an answer by column name; ``None``: nothing is known, and nothing is invented."""
    evidence = _EVIDENCE.get(round(answer["evidence"]))
    if evidence is None:
        return None
    return PriceResponse(
        evidence,
        answer["extrapolated"] > 0.5,
        _interval(answer, "elasticity"),
        _interval(answer, "units_ratio"),
        {percent: _interval(answer, change_name(percent)) for percent in CHANGES},
    )


def _interval(answer: Mapping[str, float], name: str) -> Interval:
    return Interval(answer[name], answer[f"{name}_low"], answer[f"{name}_high"])
