"""Forecasts that somebody asked for and wants to keep: what was said, to be held against what came.

What is said is computed by whoever asks (``edge.view_demand``) and comes with the command, so that
a replay of the journal keeps the same words. The days of a forecast live in the store alone. Pure.
"""

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

from edge.commands import Command, Done, Outcome, Refused, Told
from edge.ledger.ledger import Deed, Ledger, Table

FORECASTS_MAX = 2_000

Status = Literal["completed", "partial", "empty"]
"""``completed``: every class has numbers; ``partial``: some have none; ``empty``: none has any."""


class Forecast(Struct, frozen=True, kw_only=True):
    """One forecast: for whom, how far, within which bounds."""

    id: str
    """Derived from what was asked and when."""
    name: str = ""
    """Name that people gave it."""
    store: str
    """Store."""
    skus: list[str]
    """Classes."""
    horizon_days: int
    """Days ahead, the first being the day it was made on."""
    minimum: float = 0.0
    """Least units a day of a class that it may say."""
    maximum: float | None = None
    """Most units a day of a class that it may say; null: no bound."""
    first_day: int
    """Its first day, counted from 1970-01-01."""
    status: Status = "completed"
    """Whether all its classes have numbers."""
    total_units: float = 0.0
    """Sum of what it expects."""
    service: str = "demand"
    """Service that spoke."""
    version: str = ""
    """Version of its model; empty: a simple rule spoke."""
    kind: str = ""
    """Family of the model, or ``rule``."""
    fallback: bool = False
    """Whether a simple rule spoke for at least one class."""
    made_from_ms: int = 0
    """The moment of the state it was made from."""
    created_ms: int = 0
    """When it was first asked for."""
    updated_ms: int = 0
    """When it was last made anew, or named."""
    asked_by: str = ""
    """Who asked."""


class ForecastDays(Struct, frozen=True, kw_only=True):
    """What a forecast says of one class."""

    forecast: str
    """Id of the forecast."""
    sku: str
    """Class."""
    store: str
    """Store."""
    first_day: int
    """Day of the first value, counted from 1970-01-01."""
    demand: list[float | None]
    """Units expected, a day each; null: nothing is known."""
    low: list[float | None]
    """Lower ends of the interval; null: not told so far ahead."""
    high: list[float | None]
    """Upper ends of the interval."""
    interval_level: float
    """Share of days that the interval should hold."""
    version: str
    """Version of the model; empty: a simple rule spoke."""
    fallback: bool
    """Whether a simple rule spoke."""
    updated_ms: int
    """When it was made."""


TABLES = (
    Table("forecasts", Forecast, ("id",), FORECASTS_MAX),
    Table("forecast_days", ForecastDays, ("forecast", "sku"), 0, kept="none"),
)


class KeepForecast(Command, tag="keep_forecast", kw_only=True):
    """Keep a forecast, or make one anew that is there."""

    forecast: Forecast
    """The forecast; an empty id is derived, and the moments are set."""
    days: list[ForecastDays]
    """What it says, by class."""
    again: bool = False
    """Whether it must be there already."""


class DropForecast(Command, tag="drop_forecast", kw_only=True):
    """Forget a forecast."""

    id: str
    """Id of the forecast."""


def keep(ledger: Ledger, command: KeepForecast, told: Told) -> Outcome:
    """The forecast as it is now."""
    asked = command.forecast
    id_ = asked.id or _id(asked, told)
    before = ledger.get(Forecast, id_)
    if command.again and before is None:
        return Refused("unknown", f"there is no forecast {id_!r}")
    if before is None and ledger.room(Forecast) <= 0:
        return Refused(
            "limit",
            f"{FORECASTS_MAX} forecasts are kept: delete some (DELETE /api/forecasts/{{id}})",
        )
    if asked.maximum is not None and asked.maximum < asked.minimum:
        return Refused(
            "invalid",
            f"maximum {asked.maximum} is below minimum {asked.minimum}: swap them, or leave one out",
        )
    created_ms = before.created_ms if before is not None else told.at_ms
    row = msgspec.structs.replace(
        asked,
        id=id_,
        created_ms=created_ms,
        updated_ms=told.at_ms,
        asked_by=command.by or asked.asked_by,
    )
    for sku in before.skus if before is not None else ():
        if sku not in row.skus:
            ledger.erase(ForecastDays, id_, sku)
    for days in command.days:
        ledger.put(msgspec.structs.replace(days, forecast=id_, updated_ms=told.at_ms))
    ledger.put(row)
    return Done(row)


def _id(asked: Forecast, told: Told) -> str:
    what = msgspec.json.encode((told.ordinal, asked.store, asked.skus, asked.horizon_days))
    return hashlib.sha256(what).hexdigest()[:16]


def drop(ledger: Ledger, command: DropForecast, told: Told) -> Outcome:
    """What it said goes too."""
    row = ledger.get(Forecast, command.id)
    if row is None:
        return Refused("unknown", f"there is no forecast {command.id!r}")
    for sku in row.skus:
        ledger.erase(ForecastDays, command.id, sku)
    ledger.drop(Forecast, command.id)
    return Done({"dropped": command.id})


DEEDS: dict[type[Command], Deed] = {KeepForecast: keep, DropForecast: drop}
