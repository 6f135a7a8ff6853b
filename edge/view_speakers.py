"""Which models spoke when a book was made, and whether others speak now. Reads only.

A book is made anew when another version answers. Right after a swap few rows are scored, and simple
rules stand in for the rest: then it is made anew, too, once the model has spoken of many more; and so it
is when many items came that it does not know.
"""

from dataclasses import dataclass

import numpy as np

from edge.inference.manifest import Service
from edge.view_basis import Sources

MORE = 1.02
MORE_ROWS = 5
"""So many rows more than before, beyond that share, are many more."""


@dataclass(frozen=True, slots=True)
class Speakers:
    """Of some services."""

    versions: tuple[str, ...]
    """Version that answers; empty: none does."""
    rows: tuple[int, ...]
    """Rows that it has spoken of; in the end the items that are known."""

    def still(self, now: "Speakers") -> bool:
        """Whether what they said is what would be said ``now``."""
        many = zip(self.rows, now.rows, strict=True)
        return self.versions == now.versions and all(
            later <= then * MORE + MORE_ROWS for then, later in many
        )


def speakers(sources: Sources, *services: Service) -> Speakers:
    """Who answers for these services now."""
    return Speakers(
        tuple(sources.of_service(service).version for service in services),
        (*(_spoken_of(sources, name) for name in services), len(sources.core.state.item.keys)),
    )


def _spoken_of(sources: Sources, service: Service) -> int:
    slot = sources.scorer.slots.get(service) if sources.scorer is not None else None
    if slot is None or slot.active is None or slot.shown is None:
        return 0
    return int(np.count_nonzero(slot.shown.by == slot.active.number))
