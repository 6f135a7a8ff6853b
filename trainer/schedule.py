"""Which services are due for training, and why. Pure: what is known goes in, reasons come out.

The order of reasons is the order of urgency: a model that the daemon took back because it was worse
than a simple rule in the field (accuracy), one whose features have drifted (drift), one that people
have corrected (feedback), and one that has grown old (schedule).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.inference.manifest import Service
from trainer.data import numbered
from trainer.services import Reason, Recipe
from trainer.standing import Standing

DRIFT_MOST = 0.25
"""Share of features that have drifted beyond which a model is trained again early."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What the daemon has noticed of the active model of one service; nothing by default."""

    drifted: float = 0.0
    """Share of its features whose distribution is not that of training."""
    corrections: int = 0
    """Answers that people have corrected since it was trained."""


@dataclass(frozen=True, slots=True)
class Due:
    """A service to be trained, or why not now."""

    service: Service
    reason: Reason | None
    """``None``: not now."""
    why: str

    def line(self) -> str:
        """For people."""
        return f"{self.service}: {self.reason or 'not now'}: {self.why}"


def due(
    recipes: Sequence[Recipe],
    standings: Mapping[Service, Standing],
    last_day: Mapping[str, int],
    signals: Mapping[Service, Signals] | None = None,
) -> list[Due]:
    """What to do about each service; ``last_day``: entity -> its last day of history, -1 without."""
    told = signals or {}
    return [
        _due(recipe, standings[recipe.name], last_day[recipe.rows_of], told.get(recipe.name))
        for recipe in recipes
    ]


def _due(recipe: Recipe, standing: Standing, last_day: int, signals: Signals | None) -> Due:
    name, newest = recipe.name, standing.newest
    if not recipe.installed:
        return Due(name, None, "nothing fits it in this version")
    if last_day < 0:
        return Due(name, None, "there is no history yet")
    if newest is None or not newest.training.to_day:
        return Due(name, "schedule", "it has no model of this shop's own yet")
    age = last_day - numbered(newest.training.to_day)
    if age < 1:
        return Due(name, None, f"nothing has happened since {newest.version} was trained")
    if standing.complaint:
        return Due(name, "accuracy", f"{newest.version} was taken back: {standing.complaint}")
    if signals is not None and signals.drifted >= DRIFT_MOST:
        return Due(name, "drift", f"{signals.drifted:.0%} of its features have drifted")
    if signals is not None and signals.corrections:
        return Due(name, "feedback", f"{signals.corrections} answers were corrected")
    if age >= recipe.every_days:
        return Due(name, "schedule", f"{age} days of history are new to it")
    return Due(name, None, f"{age} of {recipe.every_days} days have passed")
