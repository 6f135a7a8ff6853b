"""What speaks for training a model again: its features have drifted, people rated it low. Fits nothing.

The daemon asks the same of live rows once a day and shows it; a night's training asks the history, so
that it needs no daemon to answer. The test is the daemon's own (``edge.inference.drift``).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from edge.features.history import SLOT_DAYS
from edge.inference import drift
from edge.inference.manifest import Manifest, Service
from edge.storage.feedback import low_ratings
from trainer.data import Data
from trainer.history import feature_table
from trainer.schedule import Signals
from trainer.services import RECIPES
from trainer.standing import Standing


def noticed(
    data: Data, standings: Mapping[Service, Standing], store: Path, asked: Collection[str] = ()
) -> dict[Service, Signals]:
    """What is to be noticed about each service's newest model; ``store``: the ``journal.db``."""
    newest = {name: s.newest for name, s in standings.items() if s.newest is not None}
    low = low_ratings(store, {name: _trained_ms(model) for name, model in newest.items()})
    return {
        name: Signals(
            drifted=drifted(data, name, newest[name])
            if name in newest and newest[name].feature_bins
            else 0.0,
            low_ratings=low.get(name, 0),
            asked=name in asked,
        )
        for name in standings
    }


def _trained_ms(manifest: Manifest) -> int:
    """When it was trained, epoch milliseconds; 0: its manifest does not tell."""
    try:
        return int(datetime.fromisoformat(manifest.created_at).timestamp() * 1000)
    except ValueError:
        return 0


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
