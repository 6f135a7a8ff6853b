"""Parts in items as readers see them: how old, how much is left, how many are due.

The lives of each kind are learnt once a day, and when one of it was replaced.
"""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from edge.config import Maintenance
from edge.ledger.workshop import Component, ComponentKind
from edge.services.components import Life, life_of
from edge.view_basis import Basis, Sources
from edge.view_maintenance_rows import ComponentKindRow, ComponentRow

Floats = NDArray[np.float64]

DAY_MS = 86_400_000
HORIZON_DAYS = 30
RUNNING_MOST = 1_000
"""Parts in use that a life is learnt from; of more every so many-th, counting as many."""
ROWS = 128
"""Parts looked at in one slice."""
AGES_ROWS = 4_096

Ages = dict[str, Floats]
"""Kind of part -> days in use of each of it."""


class ComponentsView:
    """Reads the ledger."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._settings: Maintenance = sources.config.maintenance
        self._lives: dict[str, tuple[ComponentKind | None, int, Life]] = {}

    def counted(self) -> Basis:
        """The basis of what nobody predicted."""
        formula = "Weibull lives of what was replaced and what goes on, held towards the configured"
        return self._sources.computed(formula)

    def of_item(self, epc: str) -> list[ComponentRow]:
        """The parts of one item."""
        return self._rows(self._sources.core.ledger.by(Component, "epc", epc))

    def life(self, component: str) -> Life:
        """Of one kind of part."""
        ledger, today = self._sources.core.ledger, self._sources.core.state.today
        kind = ledger.get(ComponentKind, component)
        known = self._lives.get(component)
        if known is None or known[0] is not kind or known[1] != today:
            usual = self._settings.component_lives.get(
                component, self._settings.component_life_days
            )
            parts = ledger.by(Component, "component", component)
            every = len(parts) // RUNNING_MOST + 1
            running = np.array([self._age(part) for part in parts[::every]], np.float64)
            ended = np.array(kind.lives_days if kind else [], np.float64)
            known = self._lives[component] = kind, today, life_of(ended, running, usual, every)
        return known[2]

    def _age(self, part: Component) -> float:
        return max(self._sources.now_ms - part.installed_ms, 0) / DAY_MS

    def rows(
        self, epc: str | None, component: str | None
    ) -> Generator[None, None, list[ComponentRow]]:
        """Parts of an item, of a kind, or all, in slices."""
        ledger = self._sources.core.ledger
        if epc is not None:
            parts = ledger.by(Component, "epc", epc)
        elif component is not None:
            parts = ledger.by(Component, "component", component)
        else:
            parts = list(ledger.rows(Component).values())
        parts = [part for part in parts if component in (None, part.component)]
        parts.sort(key=lambda part: part.component)
        made: list[ComponentRow] = []
        for start in range(0, len(parts), ROWS):
            made += self._rows(parts[start : start + ROWS])
            yield
        return made

    def _rows(self, parts: list[Component]) -> list[ComponentRow]:
        """Together, where neighbours are of one kind."""
        made: list[ComponentRow] = []
        start = 0
        for end in range(1, len(parts) + 1):
            if end < len(parts) and _alike(parts[start], parts[end]):
                continue
            made += self._alike(parts[start:end])
            start = end
        return made

    def _alike(self, parts: list[Component]) -> list[ComponentRow]:
        """Parts of one kind of which the same life is expected."""
        life = self.life(parts[0].component)
        expected = parts[0].expected_days
        if expected > 0:  # somebody told it
            life = Life(life.shape, life.scale_days * expected / life.mean_days, 0, 0)
        age = np.array([self._age(part) for part in parts])
        left, ends = life.remaining_days(age), life.chance_within(age, HORIZON_DAYS)
        return [
            ComponentRow(
                epc=part.epc,
                component=part.component,
                installed_ms=part.installed_ms,
                age_days=round(float(age[i]), 3),
                expected_days=round(life.mean_days, 2),
                remaining_days=round(float(left[i]), 2),
                probability_30d=round(float(ends[i]), 6),
                replaced=part.replaced,
                learnt_from=life.ended,
            )
            for i, part in enumerate(parts)
        ]

    def ages(self) -> Generator[None, None, Ages]:
        """Days in use of every part, by kind, in slices."""
        found: dict[str, list[float]] = {}
        for number, part in enumerate(list(self._sources.core.ledger.rows(Component).values())):
            found.setdefault(part.component, []).append(self._age(part))
            if number % AGES_ROWS == AGES_ROWS - 1:
                yield
        return {name: np.array(ages) for name, ages in found.items()}

    def kinds(self, only: str | None) -> Generator[None, None, list[ComponentKindRow]]:
        """Every kind of part, or one, in slices."""
        ages = yield from self.ages()
        ledger = self._sources.core.ledger
        known = {kind.component for kind in ledger.rows(ComponentKind).values()}
        made = []
        for name in sorted(known | set(ages)):
            if only in (None, name):
                made.append(self._kind(name, ages.get(name, np.zeros(0))))
                yield
        return made

    def _kind(self, name: str, ages: Floats) -> ComponentKindRow:
        kind, life = self._sources.core.ledger.get(ComponentKind, name), self.life(name)
        return ComponentKindRow(
            component=name,
            in_use=len(ages),
            replaced=kind.replaced if kind else 0,
            expected_days=round(life.mean_days, 2),
            shape=round(life.shape, 3),
            learnt_from=life.ended,
            due_30d=round(float(life.chance_within(ages, HORIZON_DAYS).sum()), 3),
            cost_cents=mean_cost(kind),
        )

    def cost(self, component: str) -> int | None:
        """Mean cost of a replacement, cents; ``None``: never told."""
        return mean_cost(self._sources.core.ledger.get(ComponentKind, component))


def _alike(one: Component, other: Component) -> bool:
    return (one.component, one.expected_days) == (other.component, other.expected_days)


def mean_cost(kind: ComponentKind | None) -> int | None:
    """Of a replacement, cents; ``None``: never told."""
    if kind is None or not kind.replaced or not kind.cost_cents:
        return None
    return round(kind.cost_cents / kind.replaced)
