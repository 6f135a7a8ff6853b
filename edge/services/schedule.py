"""Which items are served on which day by which crew, so that the money saved is greatest.

No dates and no clock: gains, hours and capacities in, a day and a crew for each item out. Of what a
service gains knows ``maintenance.py``.

Each item is served at most once, each crew works no longer than it has hours (a generalised
assignment problem). Hours get prices: every item takes the day that is best for it at these prices,
and prices move until hours are asked for as there are (Lagrangian relaxation; the dual by subgradient
steps of Polyak's length). The prices also bound what any plan could gain, so that a plan knows how
far it can be from the best. Items are then put in by what they gain beyond the price of their
hours, and exchanged as long as that helps.

Source: M. L. Fisher, "The Lagrangian relaxation method for solving integer programming problems",
Management Science 27 (1981).
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

STEPS = 400
"""Most steps of the prices."""
CLOSE = 2e-3
"""Prices stop moving where plan and bound are as close as this."""
ROUND_EVERY = 12
"""A plan is made of the prices every so many steps."""
EXCHANGED_MOST = 500
"""Of at most so many planned services pairs are compared for an exchange."""
FIXED_DAYS = 10
"""Days of the calendar that are filled in one slice."""
BLOCK_ROWS = 2_048
"""Items looked at in one slice, where all are."""
ROUNDS = 8
"""Most rounds of exchanges."""
WORTHWHILE = 1e-4
"""Exchanges go on while a round gains more than this share."""
FILLED_FROM = 100
"""Items that a slot is filled from at most, those worth most an hour."""
STEPS_AN_HOUR = 12
"""Filling a slot anew counts hours in steps of five minutes."""
LIKELY_TIMES = 4
"""Prices are sought with so many times the items that fit, and some hundred more."""
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Assignment:
    """The plan: int64[n] each, -1 where there is none."""

    day: Ints
    crew: Ints
    gain: float
    """What it saves."""
    bound: float
    """No plan saves more."""


@dataclass(slots=True)
class _Problem:
    gain: Floats  # [days, n], -inf where it cannot be
    hours: Floats  # [n]
    pattern: Ints  # [n], which crews may
    may: Mask  # [patterns, crews]
    capacity: Floats  # [days, crews]

    def prices(self, price: Floats) -> tuple[Floats, Ints]:
        """[patterns, days] the cheapest crew's price, and which it is."""
        dear = np.where(self.may[:, None, :], price[None, :, :], np.inf)
        crew = dear.argmin(axis=2)
        return np.take_along_axis(dear, crew[:, :, None], axis=2)[:, :, 0], crew

    def best(self, cheapest: Floats) -> tuple[Floats, Ints]:
        """[n] the greatest gain beyond the price of the hours, and its day."""
        n = len(self.hours)
        top, day = np.full(n, -np.inf), np.full(n, -1, np.int64)
        for d in range(len(self.gain)):
            left = self.gain[d] - self.hours * cheapest[self.pattern, d]
            better = left > top
            top = np.where(better, left, top)
            day[better] = d
        return top, day

    def only(self, rows: Ints) -> "_Problem":
        return _Problem(
            self.gain[:, rows], self.hours[rows], self.pattern[rows], self.may, self.capacity
        )


def assign(gain: Floats, hours: Floats, may: Mask, capacity: Floats) -> Assignment:
    """The plan, at once. See ``assigning``."""
    work = assigning(gain, hours, may, capacity)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Assignment = end.value
            return found


def assigning(
    gain: Floats, hours: Floats, may: Mask, capacity: Floats
) -> Generator[None, None, Assignment]:
    """The plan in slices of some milliseconds; what the generator returns.

    ``gain``: float64[days, n] saved by a service on each day, ``-inf`` or less than nothing where it
    should not be; ``hours``: float64[n], above 0; ``may``: bool[n, crews], which crew can do it;
    ``capacity``: float64[days, crews] hours.
    """
    days, n = gain.shape
    assert hours.shape == (n,), (hours.shape, n)
    assert may.shape[0] == n, may.shape
    assert capacity.shape == (days, may.shape[1]), (capacity.shape, days, may.shape)
    assert not n or hours.min() > 0, "a service takes some time"
    capacity = np.maximum(capacity, 0.0)
    kinds, pattern = _patterns(may)
    longest = (kinds[:, None, :] * capacity[None]).max(axis=2, initial=0.0)  # [patterns, days]
    top = np.full(n, -np.inf)

    def part(rows: Ints) -> _Problem:
        fits = hours[rows] <= longest[pattern[rows]].T + _SLACK
        can = np.where(fits, gain[:, rows], -np.inf)
        return _Problem(can, hours[rows], pattern[rows], kinds, capacity)

    for rows in _blocks(np.arange(n)):
        top[rows] = part(rows).gain.max(axis=0)
        yield
    day, crew = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    some = np.flatnonzero(top > 0)
    if not len(some):
        return Assignment(day, crew, 0.0, 0.0)
    price = _first_price(top[some], hours[some], capacity)
    chosen = some[_likely(top[some] - hours[some] * price[0, 0], hours[some], capacity)]
    few = part(chosen)
    yield
    plan, prices = yield from _priced(few, price)
    yield from _improve(few, *plan)
    day[chosen], crew[chosen] = plan
    value = _value(few, *plan)
    bound = np.inf
    for price in prices:
        total = float((price * capacity).sum())
        for rows in _blocks(some):
            block = part(rows)
            left, _ = block.best(block.prices(price)[0])
            total += float(np.maximum(left, 0.0).sum())
            yield
        bound = min(bound, total)
    return Assignment(day, crew, value, max(bound, value))


def _blocks(rows: Ints) -> Iterator[Ints]:
    """Some rows at a time."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]


def _patterns(may: Mask) -> tuple[Mask, Ints]:
    """(bool[patterns, crews], int64[n] which of them)."""
    bits = may.astype(np.int64) @ (1 << np.arange(may.shape[1], dtype=np.int64))
    kinds, pattern = np.unique(bits, return_inverse=True)
    told = (kinds[:, None] >> np.arange(may.shape[1])) & 1
    return told.astype(np.bool_), pattern.reshape(-1).astype(np.int64)


def _likely(left: Floats, hours: Floats, capacity: Floats) -> Ints:
    """Those with most ``left`` beyond the price of their hours: the others hardly have a chance."""
    many = int(LIKELY_TIMES * capacity.sum() / np.median(hours)) + 500
    if many >= len(left):
        return np.arange(len(left))
    return np.sort(np.argpartition(-left, many)[:many])


def _priced(
    problem: _Problem, price: Floats
) -> Generator[None, None, tuple[tuple[Ints, Ints], list[Floats]]]:
    """((day, crew), prices): the best plan that prices led to, and the prices with the least bound."""
    plan = yield from _put_in(problem, price)
    best = _value(problem, *plan)
    bound, kept, length, stalled = np.inf, price, 1.0, 0
    for step in range(STEPS):
        cheapest, crew = problem.prices(price)
        top, day = problem.best(cheapest)
        dual = float(np.maximum(top, 0.0).sum() + (price * problem.capacity).sum())
        if dual < bound:
            bound, kept, stalled = dual, price, 0
        else:
            stalled += 1
            length *= 0.6 if stalled % 6 == 0 else 1.0
        rows = np.flatnonzero(top > 0)
        asked = np.zeros_like(price)
        np.add.at(asked, (day[rows], crew[problem.pattern[rows], day[rows]]), problem.hours[rows])
        over = asked - problem.capacity
        over[(price <= 0) & (over < 0)] = 0.0
        norm = float((over * over).sum())
        if norm <= _SLACK or bound - best <= CLOSE * abs(bound):
            break
        price = np.maximum(price + length * (dual - best) / norm * over, 0.0)
        if step % ROUND_EVERY == ROUND_EVERY - 1:
            plan, best = yield from _better(problem, price, plan, best)
        yield
    for last in (kept, price):
        plan, best = yield from _better(problem, last, plan, best)
    return plan, [kept, price]


def _better(
    problem: _Problem, price: Floats, plan: tuple[Ints, Ints], best: float
) -> Generator[None, None, tuple[tuple[Ints, Ints], float]]:
    again = yield from _put_in(problem, price)
    value = _value(problem, *again)
    return (again, value) if value > best else (plan, best)


def _first_price(top: Floats, hours: Floats, capacity: Floats) -> Floats:
    """One price for all hours: what the last item gains an hour that all hours together hold."""
    worth = top / hours
    order = np.argsort(-worth, kind="stable")
    last = int(np.searchsorted(np.cumsum(hours[order]), capacity.sum()))
    price = float(worth[order[last]]) if last < len(order) else 0.0
    return np.full_like(capacity, price)


def _value(problem: _Problem, day: Ints, crew: Ints) -> float:
    rows = np.flatnonzero(day >= 0)
    return float(problem.gain[day[rows], rows].sum())


def _put_in(problem: _Problem, price: Floats) -> Generator[None, None, tuple[Ints, Ints]]:
    """Items take the best day with room at these prices; those that gain most an hour go first."""
    n = len(problem.hours)
    day, crew = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    room = problem.capacity.copy()
    rows = np.arange(n)
    while len(rows):
        left = problem.only(rows)
        wanted, by, top = _wishes(left, price, room)
        there = wanted >= 0
        rows, wanted, by, top = rows[there], wanted[there], by[there], top[there]
        if not len(rows):
            break
        slot = wanted * room.shape[1] + by
        hours = problem.hours[rows]
        order = np.lexsort((-top / hours, slot))
        taken = order[_first_that_fit(slot[order], hours[order], room.ravel())]
        day[rows[taken]], crew[rows[taken]] = wanted[taken], by[taken]
        np.subtract.at(room, (wanted[taken], by[taken]), hours[taken])
        stay = np.ones(len(rows), np.bool_)
        stay[taken] = False
        rows = rows[stay]
        yield
    return day, crew


def _wishes(problem: _Problem, price: Floats, room: Floats) -> tuple[Ints, Ints, Floats]:
    """(day, crew, gain beyond the price): the best slot that has room for the item; day -1: none."""
    n = len(problem.hours)
    top, day, crew = np.full(n, -np.inf), np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    for d in range(len(problem.gain)):
        gain = problem.gain[d]
        for c in range(room.shape[1]):
            if room[d, c] <= _SLACK:
                continue
            left = gain - problem.hours * price[d, c]
            ok = (left > top) & (gain > 0) & (problem.hours <= room[d, c] + _SLACK)
            ok &= problem.may[problem.pattern, c]
            top = np.where(ok, left, top)
            day[ok], crew[ok] = d, c
    return day, crew, top


def _first_that_fit(slot: Ints, hours: Floats, room: Floats) -> Ints:
    """Places in ``slot`` (sorted) of those that fit one after the other into their slot's room."""
    total = np.cumsum(hours)
    starts = np.flatnonzero(np.diff(slot, prepend=-1))
    before = np.repeat(total[starts] - hours[starts], np.diff(np.append(starts, len(slot))))
    return np.flatnonzero(total - before <= room[slot] + _SLACK)


# --- exchanges -----------------------------------------------------------------------------------


def _improve(problem: _Problem, day: Ints, crew: Ints) -> Generator[None, None, None]:
    """Move, put in and exchange while that gains something; changes ``day`` and ``crew``."""
    room = problem.capacity.copy()
    planned = np.flatnonzero(day >= 0)
    np.subtract.at(room, (day[planned], crew[planned]), problem.hours[planned])
    for _ in range(ROUNDS):
        gained = yield from _move(problem, day, crew, room)
        gained += yield from _refill(problem, day, crew, room)
        gained += yield from _swap(problem, day, crew, room)
        if gained <= WORTHWHILE * _value(problem, day, crew):
            break


def _move(problem: _Problem, day: Ints, crew: Ints, room: Floats) -> Generator[None, None, float]:
    """Each planned item to a better slot with room."""
    gained = 0.0
    for number, i in enumerate(np.flatnonzero(day >= 0).tolist()):
        now = problem.gain[day[i], i]
        fits = problem.may[problem.pattern[i]] & (problem.hours[i] <= room + _SLACK)
        gain = np.where(fits, problem.gain[:, i][:, None], -np.inf)
        best = int(gain.argmax())
        d, c = divmod(best, room.shape[1])
        if gain[d, c] > now + _SLACK:
            gained += float(gain[d, c] - now)
            room[day[i], crew[i]] += problem.hours[i]
            day[i], crew[i] = d, c
            room[d, c] -= problem.hours[i]
        if number % 64 == 63:
            yield
    return gained


def _refill(problem: _Problem, day: Ints, crew: Ints, room: Floats) -> Generator[None, None, float]:
    """Each slot is emptied and filled as well as it can be, with whoever waits or stands elsewhere."""
    gained = 0.0
    hours, may, pattern = problem.hours, problem.may, problem.pattern
    for d in range(len(room)):
        for c in range(room.shape[1]):
            held = (day == d) & (crew == c)
            elsewhere = np.flatnonzero((day >= 0) & ~held)
            worth = np.where(may[pattern, c], problem.gain[d], -np.inf)
            worth[elsewhere] -= problem.gain[day[elsewhere], elsewhere]
            before = float(worth[held].sum())
            likely = np.flatnonzero(worth > 0)
            likely = likely[np.argsort(-worth[likely] / hours[likely], kind="stable")]
            likely = likely[:FILLED_FROM]
            size = float(room[d, c] + hours[held].sum())
            chosen = likely[_knapsack(worth[likely], hours[likely], size)]
            after = float(worth[chosen].sum())
            if after <= before + _SLACK:
                continue
            gained += after - before
            room[d, c] = size - hours[chosen].sum()
            moved = chosen[(day[chosen] >= 0) & ~held[chosen]]
            np.add.at(room, (day[moved], crew[moved]), hours[moved])
            day[held] = crew[held] = -1
            day[chosen], crew[chosen] = d, c
        yield
    return gained


def _knapsack(worth: Floats, hours: Floats, size: float) -> Ints:
    """Places of the items that are worth most and fit into ``size`` hours, to five minutes."""
    units = np.ceil(hours * STEPS_AN_HOUR - _SLACK).astype(np.int64)
    limit = int(size * STEPS_AN_HOUR + _SLACK)
    best = np.zeros(limit + 1)
    takes = np.zeros((len(worth), limit + 1), np.bool_)
    for i, (value, unit) in enumerate(zip(worth.tolist(), units.tolist(), strict=True)):
        if unit > limit:
            continue
        with_it = best[: limit + 1 - unit] + value
        takes[i, unit:] = with_it > best[unit:] + _SLACK
        best[unit:] = np.where(takes[i, unit:], with_it, best[unit:])
    left, chosen = limit, []
    for i in range(len(worth) - 1, -1, -1):
        if takes[i, left]:
            chosen.append(i)
            left -= int(units[i])
    return np.array(chosen[::-1], np.int64)


def _swap(problem: _Problem, day: Ints, crew: Ints, room: Floats) -> Generator[None, None, float]:
    """Two planned items change places."""
    planned = np.flatnonzero(day >= 0)
    if not 1 < len(planned) <= EXCHANGED_MOST:
        return 0.0
    gained = 0.0
    for number, i in enumerate(planned.tolist()):
        d, c, hours = day[i], crew[i], problem.hours[i]
        there = problem.gain[day[planned], i] + problem.gain[d, planned]
        here = problem.gain[d, i] + problem.gain[day[planned], planned]
        may = problem.may[problem.pattern[planned], c]
        may &= problem.may[problem.pattern[i], crew[planned]]
        others = problem.hours[planned]
        may &= others <= room[d, c] + hours + _SLACK
        may &= hours <= room[day[planned], crew[planned]] + others + _SLACK
        may &= (day[planned] != d) | (crew[planned] != c)
        more = np.where(may, there - here, -np.inf)
        at = int(more.argmax())
        if more[at] > _SLACK:
            j = int(planned[at])
            gained += float(more[at])
            room[d, c] += hours - problem.hours[j]
            room[day[j], crew[j]] += problem.hours[j] - hours
            day[i], crew[i], day[j], crew[j] = day[j], crew[j], d, c
        if number % 32 == 31:
            yield
    return gained


# --- the plan of people who serve by the calendar --------------------------------------------------


def fixed_intervals(
    due_day: Floats, hours: Floats, may: Mask, capacity: Floats, earliest: Ints
) -> tuple[Ints, Ints]:
    """(day, crew): int64[n], who was longest due first, on the first day with room; -1: none."""
    work = fixing_intervals(due_day, hours, may, capacity, earliest)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: tuple[Ints, Ints] = end.value
            return found


def fixing_intervals(
    due_day: Floats, hours: Floats, may: Mask, capacity: Floats, earliest: Ints
) -> Generator[None, None, tuple[Ints, Ints]]:
    """The same in slices.

    ``due_day``: float64[n], below 0 where it is overdue, NaN where nobody knows.
    """
    days, crews = capacity.shape
    n = len(hours)
    day, crew = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    waiting = np.argsort(due_day, kind="stable")
    waiting = waiting[: int(np.searchsorted(due_day[waiting], days))]  # NaN sorts last
    for d in range(days):
        if d % FIXED_DAYS == 0:
            yield
        due = int(np.searchsorted(due_day[waiting], d, side="right"))
        there = earliest <= d
        for c in range(crews):
            taken = _in_turn(waiting[:due], hours, may[:, c], there, day, capacity[d, c])
            day[taken], crew[taken] = d, c
        waiting = waiting[day[waiting] < 0]
    return day, crew


def _in_turn(order: Ints, hours: Floats, may: Mask, there: Mask, day: Ints, room: float) -> Ints:
    """The first of these, in their order, that fit one after the other."""
    taken, used = [], 0.0
    for start in range(0, len(order), BLOCK_ROWS):
        part = order[start : start + BLOCK_ROWS]
        part = part[may[part] & there[part] & (day[part] < 0)]
        total = used + np.cumsum(hours[part])
        fits = int(np.searchsorted(total, room + _SLACK, side="right"))
        taken.append(part[:fits])
        if fits < len(part):
            break
        used = float(total[-1]) if len(total) else used
    return np.concatenate(taken) if taken else np.zeros(0, np.int64)
