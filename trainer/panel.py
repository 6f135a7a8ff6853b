"""Daily history as the trainer holds it: one array a measure, a row a key, a column a day.

No files, no database, no models: who reads history (``history.py``, ``imports.py``, benches) makes
a panel; who fits, takes one.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Panel:
    """``measures[name]`` is float32[k, d]: k keys, d days; NaN where a key did not exist yet.

    A day without sales of a key that existed is 0, never NaN, unless nobody looked that day: a day on
    which the daemon was off is NaN. ``days`` counts from 1970-01-01 in the shop's calendar. ``groups`` names roll-ups: level (``category``, ``store``) -> a label a key.
    """

    keys: list[str]
    days: NDArray[np.int64]
    measures: dict[str, Floats]
    groups: dict[str, list[str]] = field(default_factory=dict)
    factors: dict[str, Floats] = field(default_factory=dict)
    """Outside influences by day: name -> float32[d], NaN where unknown (weather, events)."""
    period: int = 7
    """Observations in the main season: 7 for days in a week, 24 for hours in a day."""

    def __post_init__(self) -> None:
        shape = (len(self.keys), len(self.days))
        for name, values in self.measures.items():
            assert values.shape == shape, (name, values.shape, shape)

    def upto(self, day: int) -> "Panel":
        """What was known at the end of ``day``: nothing after it, keys as they were."""
        n = int(np.searchsorted(self.days, day, side="right"))
        return Panel(
            self.keys,
            self.days[:n],
            {name: values[:, :n] for name, values in self.measures.items()},
            self.groups,
            {name: values[:n] for name, values in self.factors.items()},
            self.period,
        )

    def rows(self, chosen: NDArray[np.int64]) -> "Panel":
        """Some of the keys, in the order given."""
        return Panel(
            [self.keys[i] for i in chosen.tolist()],
            self.days,
            {name: values[chosen] for name, values in self.measures.items()},
            {level: [names[i] for i in chosen.tolist()] for level, names in self.groups.items()},
            self.factors,
            self.period,
        )
