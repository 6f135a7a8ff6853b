"""How wide each version's intervals must be, learnt from what its day-ahead intervals missed. Pure.

One correction a version of demand, moved a little by every day's judged forecasts, in the order of
the days (``demand.missed``). No storage: the judged days are kept, and give the same again.
"""

from edge.inference import demand
from edge.inference.accuracy import Scores
from edge.inference.demand import Conformal, Float32
from edge.inference.manifest import Service

SERVICE: Service = "demand"
QUESTION = "units_day_1"


class Corrections:
    """Version -> correction."""

    def __init__(self) -> None:
        self._now: dict[str, Conformal] = {}

    def learn(self, service: str, version: str, question: str, scores: Scores) -> None:
        """One question's scores of one day, told once and in the order of the days."""
        if (service, question) != (SERVICE, QUESTION) or not scores.interval_n:
            return
        low = demand.LEVELS[0]  # where no low quantile could be missed, none was missed too often
        self._now[version] = demand.missed(
            self._now.get(version, demand.begun()),
            scores.under / scores.under_n if scores.under_n else low,
            scores.over / scores.interval_n,
            scores.covered / scores.interval_n,
        )

    def offset(self, version: str) -> Float32 | None:
        """float32[3], the input ``offset`` of a version's graph; ``None``: nothing is learnt yet."""
        known = self._now.get(version)
        return known.offset if known is not None else None
