"""Demand a class, store and day: a ladder of forecasters, weighted by how each has done lately."""

from trainer.demand.model import DemandForecaster


def forecaster(
    country: str = "",
    region: str | None = None,
    known: tuple[str, ...] = (),
    horizon: int = 28,
) -> DemandForecaster:
    """The product's forecaster; see ``DemandForecaster`` for the arguments."""
    return DemandForecaster(country=country, region=region, known=known, horizon=horizon)
