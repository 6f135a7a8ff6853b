"""Which services are due for training, and why. Pure: what is known goes in, reasons come out.

``REASONS`` is the table of them, the most urgent first: somebody asked; the daemon took the model back
because it was worse than a simple rule in the field (accuracy); its features have drifted (drift);
people rated its answers low (feedback); enough days are new to it (schedule).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge.inference.manifest import Manifest, Service
from trainer.data import numbered
from trainer.services import Reason, Recipe
from trainer.standing import Standing

DRIFT_MOST = 0.25
"""Share of features that have drifted beyond which a model is trained again early."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What has been noticed of the newest model of one service; nothing by default."""

    drifted: float = 0.0
    """Share of its features whose distribution is not that of training."""
    low_ratings: int = 0
    """Low ratings that people have given its answers since it was trained."""
    asked: bool = False
    """Whether somebody wants it now."""


@dataclass(frozen=True, slots=True)
class Known:
    """All that a reason may look at: a service whose newest model has been outlived by the history."""

    recipe: Recipe
    newest: Manifest
    complaint: str
    age_days: int
    """Days of history that the newest model has not seen."""
    signals: Signals
    feedback_ratings: int
    """So many low ratings are a reason; 0: none are."""


Why = Callable[[Known], str]
"""Why a service is due; empty: not for this reason."""


def _asked(known: Known) -> str:
    return "somebody asked for it" if known.signals.asked else ""


def _accuracy(known: Known) -> str:
    told = known.complaint
    return f"{known.newest.version} was taken back: {told}" if told else ""


def _drift(known: Known) -> str:
    share = known.signals.drifted
    return f"{share:.0%} of its features have drifted" if share >= DRIFT_MOST else ""


def _feedback(known: Known) -> str:
    many, enough = known.signals.low_ratings, known.feedback_ratings
    if not 0 < enough <= many:
        return ""
    return f"{many} low ratings since {known.newest.version} was trained ({enough} are enough)"


def _schedule(known: Known) -> str:
    if known.age_days < known.recipe.every_days:
        return ""
    return f"{known.age_days} days of history are new to it"


REASONS: tuple[tuple[Reason, Why], ...] = (
    ("asked", _asked),
    ("accuracy", _accuracy),
    ("drift", _drift),
    ("feedback", _feedback),
    ("schedule", _schedule),
)
"""The first that holds is the one that is told, and kept in the model's manifest."""


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
    feedback_ratings: int = 0,
) -> list[Due]:
    """What to do about each service; ``last_day``: entity -> its last day of history, -1 without.

    ``feedback_ratings``: so many low ratings are a reason; 0: none are.
    """
    told, made = signals or {}, []
    for recipe in recipes:
        found = told.get(recipe.name, Signals())
        last = last_day[recipe.rows_of]
        made.append(_due(recipe, standings[recipe.name], last, found, feedback_ratings))
    return made


def _due(
    recipe: Recipe, standing: Standing, last_day: int, signals: Signals, feedback_ratings: int
) -> Due:
    name, newest = recipe.name, standing.newest
    if not recipe.installed:
        return Due(name, None, "nothing fits it in this version")
    if last_day < 0:
        return Due(name, None, "there is no history yet")
    if newest is None or not newest.training.to_day:
        reason: Reason = "asked" if signals.asked else "schedule"
        return Due(name, reason, "it has no model of this shop's own yet")
    age = last_day - numbered(newest.training.to_day)
    if age < 1 and not signals.asked:
        return Due(name, None, f"nothing has happened since {newest.version} was trained")
    known = Known(recipe, newest, standing.complaint, age, signals, feedback_ratings)
    for reason, why in REASONS:
        if told := why(known):
            return Due(name, reason, told)
    return Due(name, None, f"{age} of {recipe.every_days} days have passed")
