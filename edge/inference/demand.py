"""Demand at the edge: from a class's last 400 days to the inputs of the demand graph, and back.

The trainer leaves each class's parameters and states at the last day it saw; here they are rolled on
to today by a pure function of the history that is kept anyway, so nothing more has to be saved.
Also the adaptive correction of intervals. No fitting, no files, no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.features.state import FeatureState
from edge.features.windows import DayRing
from edge.inference import (
    demand_fallback,
    demand_history,
    demand_rows,
    demand_states,
    demand_windows,
    tabular,
)
from edge.inference.demand_calendar import Calendar
from edge.inference.demand_columns import DAILY_QUANTILE_DAYS
from edge.inference.demand_columns import HORIZON_DAYS as HORIZON_DAYS
from edge.inference.demand_columns import LEVELS as LEVELS
from edge.inference.demand_fallback import ENOUGH_DAYS, Speaker
from edge.inference.demand_history import Drivers
from edge.inference.demand_states import DIM, Member, State
from edge.inference.demand_windows import Seen
from edge.inference.manifest import Manifest
from edge.inference.model import SIDE as CONSTANTS
from edge.inference.model import Loaded

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]
Ints = NDArray[np.int64]

PERIOD = 7
STATE_MEMBERS = ("smoothing", "seasonal_smoothing", "theta", "arima")
OWN_SEASON = (False, True, False, False)
MEMBERS = (*demand_windows.NAMES, *STATE_MEMBERS, "boosted")
WINDOW_DAYS = 400
STEPS = np.arange(1, HORIZON_DAYS + 1)

_MEMBER = DIM * DIM + DIM + DIM + 1
_STATE = DIM + PERIOD


def _layout() -> dict[str, slice]:
    sizes = {
        "scale": 1,
        "width": 1,
        "week_width": 1,
        "weights": len(MEMBERS),
        "profile": PERIOD,
        **{f"{name}_member": _MEMBER for name in STATE_MEMBERS},
        **{f"{name}_state": _STATE for name in STATE_MEMBERS},
        "shape": PERIOD * (1 + len(LEVELS)),
    }
    ends = np.cumsum(list(sizes.values())).tolist()
    return {
        name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)
    }


LAYOUT = _layout()
"""Part of a class's constants -> its columns in ``entities.msgpack``."""
SIDE = [f"{name}_{i}" for name, part in LAYOUT.items() for i in range(part.stop - part.start)]
STATES = slice(LAYOUT["smoothing_state"].start, LAYOUT["arima_state"].stop)
"""Where the states stand: the part that ``next`` renews."""


@dataclass(frozen=True, slots=True)
class Constants:
    """What the manifest says for all classes together: ``trained_day`` is the last day seen."""

    trained_day: int
    calendar: Calendar
    factors: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()

    @staticmethod
    def from_extra(extra: Mapping[str, list[float] | list[str] | int]) -> "Constants":
        """From the manifest's ``extra["demand"]``, decoded."""
        holidays = np.asarray(extra["holidays"], np.int64)
        closing = np.asarray(extra["closing"], np.float64)
        factors = extra["factors"]
        day = extra["trained_day"]
        assert isinstance(factors, list), extra
        assert isinstance(day, int), extra
        drivers = extra.get("drivers", [])  # models of before had none
        assert isinstance(drivers, list), extra
        return Constants(
            day,
            Calendar(PERIOD, holidays, closing),
            tuple(map(str, factors)),
            tuple(map(str, drivers)),
        )

    def extra(self) -> dict[str, list[int] | list[float] | list[str] | int]:
        """What ``from_extra`` takes."""
        return {
            "trained_day": self.trained_day,
            "holidays": self.calendar.holidays.tolist(),
            "closing": self.calendar.closing.tolist(),
            "factors": list(self.factors),
            "drivers": list(self.drivers),
        }


def member_of(s: Floats, name: str) -> Member:
    """A member's parameters out of rows of constants ``s`` [n, len(SIDE)]."""
    part = s[:, LAYOUT[f"{name}_member"]]
    a, w, g, gamma = np.split(part, [DIM * DIM, DIM * DIM + DIM, _MEMBER - 1], axis=1)
    return Member(a.reshape(-1, DIM, DIM), w, g, gamma[:, 0])


def state_of(s: Floats, name: str) -> State:
    """A member's state out of rows of constants."""
    part = s[:, LAYOUT[f"{name}_state"]]
    return State(part[:, :DIM], part[:, DIM:])


def put_member(s: Floats, name: str, member: Member, state: State) -> None:
    """The reverse: write both into rows of constants."""
    n = len(s)
    flat = (member.a.reshape(n, -1), member.w, member.g, member.gamma[:, None])
    s[:, LAYOUT[f"{name}_member"]] = np.concatenate(flat, axis=1)
    s[:, LAYOUT[f"{name}_state"]] = np.concatenate([state.x, state.s], axis=1)


@dataclass(frozen=True, slots=True)
class Dates:
    """What the calendar says of d days up to one, and of the ``HORIZON_DAYS`` after it: the same for
    every class. ``columns`` are ``Calendar.columns`` of the days ahead."""

    today: int
    phases: Ints
    shares: Floats
    later_phases: Ints
    later_shares: Floats
    columns: Floats


def dates_of(constants: Constants, today: int, days: int) -> Dates:
    """Of the days up to and with ``today``."""
    moments, later = np.arange(today - days + 1, today + 1), today + STEPS
    shares = constants.calendar.shares
    columns = constants.calendar.columns(later)
    return Dates(
        today, moments % PERIOD, shares(moments), later % PERIOD, shares(later), columns
    )  # fmt: skip


def inputs(
    constants: Constants,
    s: Float32,
    y: Floats,
    today: int,
    factors: Floats | None = None,
    drivers: Drivers | None = None,
    dates: "Dates | None" = None,
) -> dict[str, Float32]:
    """Inputs of the graph by name, all float32 with n rows.

    ``s`` [n, len(SIDE)] the classes' constants, ``y`` float64[n, d] their demand of the days up to
    and with ``today``, NaN where not observed (no class yet, or out of stock). ``factors``
    float64[HORIZON_DAYS, e]: outside influences of the days ahead, where known; ``drivers`` of the
    same days as ``y``. ``dates`` are ``dates_of`` these days, if somebody has them already.
    """
    beside = drivers or demand_history.none(*y.shape)
    y, beside = demand_history.lately(y, beside.chosen(constants.drivers))
    side = s.astype(np.float64)
    at = dates or dates_of(constants, today, y.shape[1])
    profile = side[:, LAYOUT["profile"]]
    flat, ahead = profile[:, at.phases] * at.shares, profile[:, at.later_phases] * at.later_shares
    own = np.broadcast_to(at.shares, flat.shape)
    own_ahead = np.broadcast_to(at.later_shares, ahead.shape)
    scaled = y / side[:, LAYOUT["scale"]]
    fresh = min(max(today - constants.trained_day, 0), y.shape[1])
    rolled = _rolled(side, scaled, flat, own, fresh)
    newest = np.full((len(s), 3), np.nan)
    if fresh:
        newest = np.stack([scaled[:, -1], flat[:, -1], own[:, -1]], axis=1)
    v = demand_rows.view(y, flat, PERIOD)
    known = np.zeros((HORIZON_DAYS, 0)) if factors is None else factors
    rows = demand_rows.rows(v, ahead, STEPS, at.columns, PERIOD, known, beside)
    return {
        "s": rolled.astype(np.float32),
        "shape": _shapes(s, at.later_phases[:DAILY_QUANTILE_DAYS]),
        "newest": newest.astype(np.float32),
        "index": np.concatenate([ahead, own_ahead], axis=1).astype(np.float32),
        "other": _others(side, y, v.of, ahead, at.later_shares).astype(np.float32),
        "rows": rows.reshape(len(s), -1),
        "base": (v.level[:, None] * ahead).astype(np.float32),
    }


def _shapes(s: Float32, phases: Ints) -> Float32:
    """float32[n, 28 * 4]: of each day ahead how much of its quantiles is the class's own, then what
    that is, less 1 (``Shape`` of the trainer). Models of before know of none: no columns."""
    part = s[:, LAYOUT["shape"]]
    if not part.shape[1]:
        return part
    gap = part[:, PERIOD:].reshape(len(s), PERIOD, len(LEVELS))[:, phases]
    return np.concatenate([part[:, phases], gap.reshape(len(s), -1)], axis=1)


def _rolled(side: Floats, y: Floats, flat: Floats, own: Floats, fresh: int) -> Floats:
    """The constants with states rolled to the day before the newest; the graph does the last step.

    Where nothing happened since the training, the newest day is told as not observed and the
    rotation of a day is undone beforehand, by leaving the states a day behind.
    """
    out = side.copy()
    days = y.shape[1]
    if fresh <= 1:
        return out if fresh else _behind(out)
    part = slice(days - fresh, days - 1)
    weights = side[:, LAYOUT["weights"]][:, len(demand_windows.NAMES) :]
    asked = np.flatnonzero((weights[:, : len(STATE_MEMBERS)] > 0).any(axis=1))
    if not len(asked):  # classes unknown in training have no states that count
        return out
    some, y, flat, own = side[asked], y[asked], flat[asked], own[asked]
    # All members in one pass over the days: what a day costs is numpy's calls, not its numbers.
    members = [member_of(some, name) for name in STATE_MEMBERS]
    states = [state_of(some, name) for name in STATE_MEMBERS]
    index = np.concatenate([own if has_own else flat for has_own in OWN_SEASON])[:, part]
    rolled = demand_states.roll(
        Member(
            np.concatenate([m.a for m in members]),
            np.concatenate([m.w for m in members]),
            np.concatenate([m.g for m in members]),
            np.concatenate([m.gamma for m in members]),
        ),
        State(np.concatenate([s.x for s in states]), np.concatenate([s.s for s in states])),
        np.tile(y[:, part], (len(STATE_MEMBERS), 1)),
        index,
    )
    n = len(asked)
    for i, (name, member) in enumerate(zip(STATE_MEMBERS, members, strict=True)):
        mine = slice(i * n, (i + 1) * n)
        put_member(some, name, member, State(rolled.x[mine], rolled.s[mine]))
    out[asked] = some
    return out


def _behind(out: Floats) -> Floats:
    """States such that one step without an observation gives those there are."""
    for name in STATE_MEMBERS:
        member, state = member_of(out, name), state_of(out, name)
        # A step without an observation is x = A x and a rotation: both undone.
        x = np.linalg.pinv(member.a) @ state.x[:, :, None]
        put_member(out, name, member, State(x[:, :, 0], np.roll(state.s, 1, axis=1)))
    return out


def _others(side: Floats, y: Floats, z: Seen, ahead: Floats, shares: Floats) -> Floats:
    """float64[n, h]: weighted sum of the members that need no state."""
    paths = demand_windows.forecasts(y, z, ahead, PERIOD, PERIOD)
    paths[:4] *= shares
    weights = side[:, LAYOUT["weights"]][:, : len(demand_windows.NAMES)]
    return np.asarray(np.einsum("mnh,nm->nh", paths, weights))


# -- at the daemon ----------------------------------------------------------------------------------

UNITS = ("rented_milli", "sold_milli")


def history(state: FeatureState, rows: Ints) -> Floats:
    """float64[n, d]: units of the last closed days, the newest last; NaN before the first sale, sold
    out, or where nobody looked. The present day is not among them: it has only begun."""
    return gathered(state, rows, ())[0]


def drivers(state: FeatureState, rows: Ints, names: Sequence[str]) -> Drivers:
    """What stood beside the units on the same days."""
    return gathered(state, rows, names)[1]


def gathered(state: FeatureState, rows: Ints, names: Sequence[str]) -> tuple[Floats, Drivers]:
    """The history of classes ``rows``, and of the drivers those that are asked for."""
    days = partial(_days, state, rows, _order(_ring(state, UNITS[0])))
    unseen = days("unseen") > 0
    ran_out = (days("stockouts") > 0) | (days("empty_close") > 0)
    out = np.where(unseen, np.nan, ran_out)
    units = demand_history.rounded(days(UNITS[0]) + days(UNITS[1]), 0.001)
    units[unseen] = np.nan
    beside = np.empty((len(names), *units.shape))
    asked = [name for name in demand_history.DRIVERS if name in names]
    for i, name in enumerate(asked):
        if name == "price":
            beside[i] = demand_history.rounded(days("price_close_cents"), 1.0)
            np.copyto(beside[i], np.nan, where=beside[i] == 0)
        elif name == "on_rent":
            beside[i] = demand_history.rounded(days("on_rent_close_milli"), 0.001)
            np.copyto(beside[i], np.nan, where=unseen)
        else:
            beside[i] = out
    y = demand_history.demand(units, out)
    there = demand_history.begun(y)
    y[~there] = np.nan
    return y, Drivers(tuple(asked), beside[: len(asked)])


def _order(ring: DayRing) -> Ints:
    """Where in a ring the closed days stand, the newest last."""
    return (ring.today - np.arange(WINDOW_DAYS - 1, 0, -1)) % ring.days


def _days(state: FeatureState, rows: Ints, order: Ints, name: str) -> Ints:
    """int64[n, d] of a day measure."""
    ring = _ring(state, name)
    assert ring.today == _ring(state, UNITS[0]).today, name
    if len(rows) == 1:  # one column: the same numbers by a call that costs a quarter
        return ring.ring[:, rows[0]].take(order).astype(np.int64)[None]
    return ring.ring[order[:, None], rows].astype(np.int64).T


def _ring(state: FeatureState, name: str) -> DayRing:
    ring = state.cls.part[name]
    assert isinstance(ring, DayRing), name
    return ring


def prepare(state: FeatureState, rows: Ints, model: Loaded) -> None:
    """Fill the first n rows of the model's inputs for classes ``rows`` int64[n], at a day's close.

    About a quarter of a millisecond a class: ask for a few rows at a time. A model that asks for
    features of the catalogue instead gets those. What is said of classes that the model cannot speak
    of is made ready for ``interpret``.
    """
    if "demand" not in model.manifest.extra:
        tabular.prepare(state, rows, model)
        return
    assert model.side is not None, model.name
    into = model.session.inputs
    key = state.cls.keys.key
    keys = [key(row) for row in rows.tolist()]
    model.side.put(keys, into[CONSTANTS])
    constants = _constants(model)
    closed = _ring(state, UNITS[0]).today - 1
    unknown = np.full((HORIZON_DAYS, len(constants.factors)), np.nan)
    n = len(rows)
    y, beside = gathered(state, rows, constants.drivers)
    dates = _dates(model, closed)
    given = inputs(constants, into[CONSTANTS][:n], y, closed, unknown, beside, dates)
    for name, values in given.items():
        if name in into:
            into[name][:n] = values
    _instead[model] = _stand_ins(state, rows, y, model)


def interpret(model: Loaded, n: int) -> Float32:
    """float32[n, o]: the model's answers, and others' for classes that it cannot speak of."""
    answers = tabular.interpret(model, n)
    at, said = _instead.get(model, _NOBODY)
    if len(at):
        answers[at] = said
    return answers


def others(model: Loaded) -> Ints:
    """int64[m]: rows of the last call that the model could not speak of."""
    return _instead.get(model, _NOBODY)[0]


_Instead = tuple[Ints, Float32]
_NOBODY: _Instead = (np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
_instead: WeakKeyDictionary[Loaded, _Instead] = WeakKeyDictionary()
"""Which of the rows prepared last are answered by others, and what these say."""


def _stand_ins(state: FeatureState, rows: Ints, y: Floats, model: Loaded) -> _Instead:
    at = np.flatnonzero(_beyond(state, rows, y, model))
    if not len(at) or len(model.manifest.columns) != len(demand_fallback.COLUMNS):
        return _NOBODY
    return at, _spoken(state, rows[at], y[at], model)[0]


def _beyond(state: FeatureState, rows: Ints, y: Floats, model: Loaded) -> NDArray[np.bool_]:
    """bool[n]: classes that the model never saw, or of which too few days are known lately."""
    assert model.side is not None, model.name
    key, known = state.cls.keys.key, model.side.row_of
    strange = np.array([key(row) not in known for row in rows.tolist()], np.bool_)
    return np.asarray(strange | (demand_fallback.known_days(y) < ENOUGH_DAYS))


def _spoken(
    state: FeatureState, rows: Ints, y: Floats, model: Loaded | None
) -> tuple[Float32, list[Speaker]]:
    """What is said of classes without a model, and who says it."""
    keys = [state.cls.keys.key(row) for row in rows.tolist()]
    skus = [key.partition("\x1f")[2] for key in keys]
    category = state.cls.text["category"]
    manual = demand_fallback.manual_units(
        state.manual_demand, skus, [category.get(row, "") for row in rows.tolist()]
    )
    week, who = demand_fallback.spoken(y, _trained(keys, state, model), manual)
    return week.answer(), who


def _trained(keys: list[str], state: FeatureState, model: Loaded | None) -> Floats:
    """float64[n, 7]: mean of the next seven days in what the model learnt from, NaN: not in it."""
    out = np.full((len(keys), PERIOD), np.nan)
    if model is None or model.side is None:
        return out
    side, tomorrow = model.side, _ring(state, UNITS[0]).today
    phases = (tomorrow + np.arange(PERIOD)) % PERIOD
    for i, key in enumerate(keys):
        row = side.row_of.get(key)
        if row is not None and key:
            constants = side.values[row].astype(np.float64)
            out[i] = constants[LAYOUT["scale"]] * constants[LAYOUT["profile"]][phases]
    return out


def without_model(state: FeatureState, rows: Ints) -> Float32:
    """float32[n, len(COLUMNS)]: what is said of classes where no model answers at all."""
    return _spoken(state, rows, history(state, rows), None)[0]


def speakers(state: FeatureState, rows: Ints) -> list[Speaker]:
    """Who says that."""
    return _spoken(state, rows, history(state, rows), None)[1]


def stand_in(state: FeatureState, row: int, model: Loaded) -> Speaker | None:
    """Who speaks of a class in place of the model; ``None``: the model does."""
    if "demand" not in model.manifest.extra:
        return None
    if len(model.manifest.columns) != len(demand_fallback.COLUMNS):
        return None
    rows = np.array([row], np.int64)
    y = history(state, rows)
    if not _beyond(state, rows, y, model)[0]:
        return None
    return _spoken(state, rows, y, model)[1][0]


def unfit(manifest: Manifest) -> str:
    """Why a model cannot be asked: its rows are not those that are made here; empty: it can."""
    if "demand" not in manifest.extra:
        return ""
    told = Constants.from_extra(msgspec.json.decode(manifest.extra["demand"]))
    made = HORIZON_DAYS * len(demand_rows.names(told.factors, told.drivers))
    asked = {tensor.name: tensor.shape[-1] for tensor in manifest.inputs}.get("rows", made)
    return (
        "" if asked == made else f"it looks at rows of {asked} numbers, not {made}: train it again"
    )


_known: WeakKeyDictionary[Loaded, Constants] = WeakKeyDictionary()


def _constants(model: Loaded) -> Constants:
    """What its manifest says, read once."""
    found = _known.get(model)
    if found is None:
        found = Constants.from_extra(msgspec.json.decode(model.manifest.extra["demand"]))
        _known[model] = found
    return found


_at: WeakKeyDictionary[Loaded, Dates] = WeakKeyDictionary()


def _dates(model: Loaded, closed: int) -> Dates:
    """What its calendar says of the closed days and those ahead, made once a day."""
    found = _at.get(model)
    if found is None or found.today != closed:
        found = _at[model] = dates_of(_constants(model), closed, WINDOW_DAYS - 1)
    return found


# -- intervals that follow what happens -------------------------------------------------------------

STEP = 0.05
OFFSET_LOW, OFFSET_HIGH = -1.0, 1.5


@dataclass(frozen=True, slots=True)
class Conformal:
    """Corrections of the widths: ``offset`` float32[3] multiplies them by its exponential.

    ``coverage`` is the share of actuals within 10 % and 90 %, ``days`` how many updates it stands on.
    """

    offset: Float32
    coverage: float = 0.8
    days: int = 0


def begun() -> Conformal:
    """Before anything was observed."""
    return Conformal(np.zeros(len(LEVELS), np.float32))


def adapted(now: Conformal, actual: Floats, quantiles: Floats) -> Conformal:
    """After one day's actuals [n] and the quantiles [n, 3] that were told for it.

    Each side widens by ``STEP`` times the share missed beyond its 10 %, and narrows otherwise. A low
    quantile of 0 cannot be missed, so it does not count. NaN actuals (out of stock) do not either.
    Source: Gibbs & Candès, Adaptive conformal inference under distribution shift (2021).
    """
    told = ~np.isnan(actual) & ~np.isnan(quantiles).any(axis=1)
    if not told.any():
        return now
    y, q = actual[told], quantiles[told]
    low, high, can = y < q[:, 0], y > q[:, 2], q[:, 0] > 0
    under = float(low[can].mean()) if can.any() else LEVELS[0]
    within = float((~low & ~high).mean())
    return missed(now, under, float(high.mean()), within)


def missed(now: Conformal, under: float, over: float, within: float) -> Conformal:
    """The same from shares: of actuals below a low quantile above 0, above the high one, and inside."""
    moved = now.offset.astype(np.float64)
    moved[0] += STEP * (under - LEVELS[0])
    moved[2] += STEP * (over - (1 - LEVELS[2]))
    weight = max(1 / (now.days + 1), 1 / 28)
    return replace(
        now,
        offset=np.clip(moved, OFFSET_LOW, OFFSET_HIGH).astype(np.float32),
        coverage=now.coverage + weight * (within - now.coverage),
        days=now.days + 1,
    )
