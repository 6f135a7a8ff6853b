"""The product's own demand forecaster behind the protocol of the backtest. Only hands on.

What the harness shows of the horizon (factors that run past the panel's last step) is handed on as
known ahead of time; nothing else is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainer.demand import forecaster
from trainer.demand.model import FittedDemand
from trainer.panel import Panel

Float32 = NDArray[np.float32]
NAME = "rfid3"


@dataclass(frozen=True, slots=True)
class FittedProduct:
    """See :class:`Product`."""

    fitted: FittedDemand
    ahead: dict[str, Float32]

    def forecast(self, horizon: int, levels: Sequence[float]) -> tuple[Float32, Float32]:
        """mean float32[k, h] and quantiles float32[k, h, q]."""
        return self.fitted.forecast(horizon, levels, self.ahead)


@dataclass(frozen=True, slots=True)
class Product:
    """``trainer.demand`` as it is shipped; only the shop's country is set."""

    country: str = ""
    horizon: int = 28
    name: str = NAME

    def fit(self, panel: Panel, measure: str) -> FittedProduct:
        """Fit on what is shown."""
        n = len(panel.days)
        ahead = {name: v[n:] for name, v in panel.factors.items() if len(v) > n}
        seen = replace(panel, factors={name: v[:n] for name, v in panel.factors.items()})
        model = forecaster(self.country, known=tuple(sorted(ahead)), horizon=self.horizon)
        return FittedProduct(model.fit(seen, measure), ahead)
