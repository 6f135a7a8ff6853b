"""Whether a shop's newest days still look like those that a model was trained on. Fits nothing.

The daemon asks the same of live rows once a day and shows it; a night's training asks the history, so
that it needs no daemon to answer. The test is the daemon's own (``edge.inference.drift``).
"""

from collections.abc import Mapping

import numpy as np

from edge.features.history import SLOT_DAYS
from edge.inference import drift
from edge.inference.manifest import Manifest, Service
from trainer.data import Data
from trainer.history import feature_table
from trainer.schedule import Signals
from trainer.services import RECIPES
from trainer.standing import Standing


def noticed(data: Data, standings: Mapping[Service, Standing]) -> dict[Service, Signals]:
    """What is to be noticed about the newest model of each service."""
    return {
        service: Signals(drifted=drifted(data, service, standing.newest))
        for service, standing in standings.items()
        if standing.newest is not None and standing.newest.feature_bins
    }


def drifted(data: Data, service: Service, manifest: Manifest) -> float:
    """Share of the model's features that are distributed otherwise than in training, 0 to 1.

    Classes: their rows of the last day. Items: one row each of the last week, the one that was
    written because it was its turn, so that busy items count no more than others.
    """
    entity = RECIPES[service].rows_of
    days, names = data.days[entity], list(manifest.feature_bins)
    if not days:
        return 0.0
    span = 1 if entity == "class" else SLOT_DAYS
    table = feature_table(
        data.sources, entity, names, first_day=days[-1] - span + 1, last_day=days[-1]
    )
    rows = table.x if entity == "class" else table.x[table.on_turn()]
    live = {name: np.asarray(rows[:, i], np.float64) for i, name in enumerate(names)}
    told = drift.look(manifest.feature_bins, live)
    return sum(moved.drifted for moved in told) / len(told) if told else 0.0
