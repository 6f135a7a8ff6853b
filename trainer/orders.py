"""What the trainer's child processes are told, and what they answer. Values only."""

from typing import Literal

from msgspec import Struct

from edge.inference.manifest import Service
from trainer.budget import Budget
from trainer.services import Reason

Became = Literal["fitted", "too_little", "refused", "absent", "over_memory", "over_time", "failed"]
"""What became of a fit: a model; not enough data (normal); the export refused it (its ONNX answers
are not Python's, or the door would not let it in); nothing fits it in this version; ended at its
budget; broken."""


class FitOrder(Struct, frozen=True, kw_only=True):
    """Fit one service."""

    service: Service
    history: list[str]
    """Stores and files of history, the later ones win."""
    out: str
    """Folder for ``<service>/<version>``."""
    budget: Budget
    reason: Reason = "asked"
    data: str = "this shop's own history"
    country: str = ""
    region: str = ""
    seed: int = 1
    quick: bool = False
    active: str = ""
    """Folder of the model that answers now, to be measured on the same later rows; empty: none."""
    split_day: int | None = None
    """First held-out local day; ``None``: so that the last 20 % are held out."""


class BacktestOrder(Struct, frozen=True, kw_only=True):
    """Backtest the demand forecaster beside simple ones."""

    history: list[str]
    out: str
    """Folder for the report and the summary."""
    budget: Budget
    measure: str = "units"
    horizon: int = 28
    origins: int = 4
    classes_max: int = 500
    """The largest by the measure."""
    country: str = ""
    region: str = ""


class Fit(Struct, frozen=True, kw_only=True):
    """What became of one service."""

    service: Service
    became: Became
    detail: str = ""
    """Why there is no model, in words."""
    version: str = ""
    path: str = ""
    reason: Reason = "asked"
    metrics: dict[str, float] = {}
    baselines: dict[str, dict[str, float]] = {}
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0


class Tested(Struct, frozen=True, kw_only=True):
    """What a backtest left."""

    report: str
    summary: str
    classes: int
    figures: dict[str, dict[str, float | None]]
    """Forecaster -> figure -> value."""
