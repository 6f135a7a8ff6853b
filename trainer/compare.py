"""A new model beside the one that answers now: on the same later rows where there are any. Fits nothing.

The active model has seen everything up to its own last day, so only days after that are fair to
both. Where they are too few, both are compared by how much each was better than the simple rules on
its own held-out days, and the daemon judges them side by side in the field (``models.shadow_days``).
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.inference.manifest import MANIFEST, Manifest, decode_manifest
from edge.inference.registry import ACTIVE, METRICS, better, over_active, skill
from trainer.data import Data, numbered
from trainer.export import Exportable
from trainer.services import RECIPES, Settings


@dataclass(frozen=True, slots=True)
class Compared:
    """By how much a candidate is better than the active model; ``gain`` None: nothing to compare by."""

    by: str
    """The metric, and on what."""
    gain: float | None
    """Share; negative: it is worse."""
    candidate: float | None = None
    active: float | None = None

    def line(self) -> str:
        """For people."""
        if self.gain is None:
            return f"nothing to compare by: {self.by}"
        word = "better" if self.gain >= 0 else "worse"
        figures = ""
        if self.candidate is not None and self.active is not None:
            figures = f" ({self.candidate:.4g}, active {self.active:.4g})"
        return f"{abs(self.gain):.1%} {word}: {self.by}{figures}"


def compare(candidate: Manifest, active: Manifest | None) -> Compared:
    """The candidate's manifest beside the active one's."""
    if active is None:
        gain = skill(candidate)
        if gain is None:
            return Compared(
                "no model of this shop's own answers now, and no simple rule is told to compare with",
                None,
            )
        return Compared(
            f"{gain[0]} over the simple rules; no model of this shop's own answers now", gain[1]
        )
    later = over_active(candidate)
    if later is not None:
        name, gain_ = later
        return Compared(
            f"{name} on the same later days",
            gain_,
            candidate.metrics[name],
            candidate.baselines[ACTIVE][name],
        )
    return _by_skill(candidate, active)


def _by_skill(candidate: Manifest, active: Manifest) -> Compared:
    for name, higher in METRICS:
        shared = [
            rule
            for rule, told in candidate.baselines.items()
            if rule != ACTIVE and name in told and name in active.baselines.get(rule, {})
        ]
        if not shared or name not in candidate.metrics or name not in active.metrics:
            continue
        gains = [
            min(
                better(model.metrics[name], model.baselines[rule][name], higher=higher)
                for rule in shared
            )
            for model in (candidate, active)
        ]
        by = f"{name} over the simple rules, each on its own held-out days"
        return Compared(by, gains[0] - gains[1], *gains)
    return Compared("they tell no metric in common", None)


def may_publish(compared: Compared, active: Manifest | None, margin: float) -> str:
    """Why a candidate must not be published; empty: it may.

    Not worse than the active model by more than the margin. Without one: any honest model, as the
    daemon lets it answer only when it beats the simple rules, and tries it in the shadow else.
    """
    if active is None or compared.gain is None or compared.gain >= -margin:
        return ""
    return f"it is worse than the active model by more than {margin:.1%}: {compared.line()}"


def read_manifest(folder: Path) -> Manifest | None:
    """A folder's manifest; ``None`` when it cannot be read. Believes nothing else of it."""
    try:
        return decode_manifest((folder / MANIFEST).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def measure_active(fitted: Exportable, active: Path, data: Data, settings: Settings) -> Exportable:
    """The same, with the active model's metrics on the candidate's held-out rows as a baseline.

    Only where the held-out days all come after what the active model has seen, there are enough of
    them for the service's labels, and both can be measured alike (``measured.py``).
    """
    manifest = read_manifest(active)
    if manifest is None or not manifest.training.to_day:
        return fitted
    seen, later = numbered(manifest.training.to_day), data.last_day - data.split_day + 1
    if data.split_day <= seen or later < RECIPES[fitted.service].later_days:
        return fitted
    from trainer.measured import MEASURES, Asked

    found = MEASURES[fitted.service](data, settings, Asked(active, manifest))
    if not found:
        return fitted
    return dataclasses.replace(fitted, baselines={**fitted.baselines, ACTIVE: found})
