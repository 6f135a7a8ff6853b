"""Every service the trainer knows: what it needs, who fits it, how often. A table; nothing is fitted here.

``trainer/recipes.py`` has a function ``<service>(data, settings) -> Exportable`` for each: a model
measured on held-out newer days beside its simple rules, then fitted again on all days with what was
chosen. Too little data is no error but an answer: ``TooLittle``, told to whoever
asked, and the simple rule of the service goes on answering.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from edge.errors import Rfid3Error, WrongUsage
from edge.inference.manifest import Entity, Service
from trainer.data import Data
from trainer.export import Exportable

Reason = Literal["schedule", "drift", "accuracy", "feedback", "asked", "starter"]
Say = Callable[[str, float], None]


class TooLittle(Rfid3Error):
    """There is not enough to learn this from; the message says what there is and what is needed."""


class Untrained(Rfid3Error):
    """This installation has nothing that fits the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a fit is told besides the data."""

    reason: Reason = "asked"
    data: str = "this shop's own history"
    """For the manifest: what it was trained on."""
    country: str = ""
    """ISO 3166 code, for holidays; empty: none are known."""
    region: str = ""
    """Subdivision of the country (a state, a Land), for holidays."""
    known: tuple[str, ...] = ()
    """Outside influences that are known ahead of time, such as a weather forecast."""
    seed: int = 1
    quick: bool = False
    """A small search and small models: for tests and starters."""
    say: Say = lambda text, share: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One service."""

    name: Service
    module: str
    """Where its model is fitted."""
    entity: Entity
    rows_of: Literal["class", "item"]
    """Whose history it learns from."""
    needs: str
    """For people: what the history must hold."""
    days_min: int
    """Days of history without which nothing is tried."""
    baselines: tuple[str, ...]
    """Simple rules measured beside it."""
    every_days: int
    """How often it is trained again without any other reason."""
    later_days: int
    """So many days after what a model has seen tell how good it is: its labels must have come."""

    def fit(self, data: Data, settings: Settings) -> Exportable:
        """Raises TooLittle, Untrained, and what the service's own fit raises."""
        self.check(data)
        return self._fit()(data, settings)

    def check(self, data: Data) -> None:
        """Whether it is worth a try. Raises TooLittle."""
        days = len(data.days[self.rows_of])
        if days < self.days_min:
            of = "classes" if self.rows_of == "class" else "items"
            raise TooLittle(
                f"{days} days with {of} are known, {self.days_min} are needed at least "
                f"({self.needs})"
            )

    @property
    def installed(self) -> bool:
        """Whether there is something that fits it."""
        found = importlib.util.find_spec(self.module) is not None
        return found and hasattr(importlib.import_module("trainer.recipes"), self.name)

    def _fit(self) -> Callable[[Data, Settings], Exportable]:
        if not self.installed:
            raise Untrained(f"{self.name}: {self.module} is not part of this version")
        found = getattr(importlib.import_module("trainer.recipes"), self.name)
        return cast("Callable[[Data, Settings], Exportable]", found)


RECIPES: dict[Service, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="demand",
            module="trainer.demand",
            entity="class",
            rows_of="class",
            needs="units rented or sold, by class and day",
            days_min=56,
            baselines=("seasonal_naive", "historical_average"),
            every_days=1,
            later_days=28,
        ),
        Recipe(
            name="maintenance",
            module="trainer.maintenance",
            entity="item",
            rows_of="item",
            needs="failures and repairs of tagged items",
            days_min=90,
            baselines=("base_rate",),
            every_days=7,
            later_days=21,
        ),
        Recipe(
            name="quality",
            module="trainer.quality",
            entity="item",
            rows_of="item",
            needs="grades of tagged items, given more than once",
            days_min=90,
            baselines=("grade_stays",),
            every_days=7,
            later_days=104,
        ),
        Recipe(
            name="pricing",
            module="trainer.pricing",
            entity="class",
            rows_of="class",
            needs="units and prices by class and day, with prices that moved",
            days_min=230,  # 26 weeks before the newest fifth, which is held out
            baselines=("no_price",),
            every_days=7,
            later_days=28,
        ),
        Recipe(
            name="inventory",
            module="trainer.velocity",
            entity="class",
            rows_of="class",
            needs="units and revenue by class and day",
            days_min=56,
            baselines=("normal",),
            every_days=1,
            later_days=21,
        ),
        Recipe(
            name="packs",
            module="trainer.packs",
            entity="class",
            rows_of="class",
            needs="receipts or contracts with more than one line",
            days_min=28,
            baselines=("popularity",),
            every_days=7,
            later_days=14,
        ),
    )
}
"""In the order in which they are fitted: those first that others build on."""


def chosen(names: Sequence[str]) -> list[Recipe]:
    """The recipes of these services, in the table's order; all without any. Raises WrongUsage."""
    if unknown := [name for name in names if name not in RECIPES]:
        raise WrongUsage(
            f"there is no service {unknown[0]}\nCure: choose among {', '.join(RECIPES)}"
        )
    return [recipe for name, recipe in RECIPES.items() if not names or name in names]
