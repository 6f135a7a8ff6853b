"""Demand a class, store and day: a ladder of forecasters, weighted by how each has done lately."""

from typing import TYPE_CHECKING

from trainer.demand.model import DemandForecaster

if TYPE_CHECKING:
    from trainer.data import Data
    from trainer.export import Exportable
    from trainer.services import Settings


def forecaster(
    country: str = "",
    region: str | None = None,
    known: tuple[str, ...] = (),
    horizon: int = 28,
) -> DemandForecaster:
    """The product's forecaster; see ``DemandForecaster`` for the arguments."""
    return DemandForecaster(country=country, region=region, known=known, horizon=horizon)


def fit(data: "Data", settings: "Settings") -> "Exportable":
    """The service's fit: see ``trainer.demand.artifact``. Raises TooLittle."""
    from trainer.demand import artifact

    return artifact.fit(data, settings)
