"""Whether what is told can be believed: impossible values, sources that fall silent, a day's account. Pure.

Nothing is refused here (that is for decoding and admission): it is counted, told and stored. No clock;
time is what the caller says. The same events in any cut give the same account.

Silence is judged by each source's own usual rate at that hour of the week. An hour without a word is
likely enough at night; the hours of one silence are taken together, and it is told once they would be
as rare as :data:`FALSE_ALARMS` a source and day if the source were well.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOUR_MS = 3_600_000
HOURS = 168
FALSE_ALARMS = 0.01
"""Share of source-days with a silence told of a source that is well."""
FADING = 0.9
"""What an earlier week counts beside the next."""
WEEKS_MIN = 1 + FADING + FADING**2 - 1e-9
"""An hour of the week must have been seen three times before it says anything."""
BUSY = 0.2
BUSY_FADING = 0.999
"""What an earlier busy hour counts beside the next."""
SOURCES_MAX = 512
HOURS_LEAPT = 168
"""After a leap of the clock by more hours than this nothing is said of the time between."""
SILENCES_MAX = 64
"""Most silences told of one day."""
CENTS_MAX = 100_000_000
UNITS_MAX = 10_000.0
PRICE_FACTOR = 20.0
"""A price so many times the class's own, or so small a part of it, is absurd."""

_LOG_LEAST = math.log(FALSE_ALARMS / 24)  # a silence may begin in any hour of the day

IMPOSSIBLE: Mapping[str, str] = {
    "price_absurd": "a price 20 times the class's own, a twentieth of it, or above 1,000,000.00",
    "price_zero": "a sale or rental for nothing",
    "units_absurd": "a line of more than 10,000 units",
    "return_before_rental": "an item came back that was not out",
    "rental_while_out": "an item went out that was out",
    "due_before_rental": "a rental due back before it begins",
    "out_of_range": "a value that no field of its kind can have; refused, see dead letters",
    "future": "dated after its arrival; refused, see dead letters",
}
"""Reason -> what it means. ``out_of_range`` and ``future`` are dead letters' reasons."""


class Silence(Struct, frozen=True, kw_only=True):
    """A source said nothing where it usually speaks."""

    source: str
    """Reader, till or program."""
    from_ms: int
    """First moment of the hours without a word."""
    to_ms: int = 0
    """When it spoke again, to the hour; 0: it had not by the day's end."""
    expected: float
    """Events that it would usually have told when it was noticed."""


def price_fault(cents: int, usual_cents: int) -> str:
    """What is wrong with a price beside the class's own (0: not known); empty: nothing.

    >>> price_fault(1_000, 900), price_fault(100_000, 900), price_fault(0, 900)
    ('', 'price_absurd', 'price_zero')
    """
    if cents == 0:
        return "price_zero"
    if abs(cents) > CENTS_MAX:
        return "price_absurd"
    if usual_cents <= 0:
        return ""
    ratio = cents / usual_cents
    return "price_absurd" if not 1 / PRICE_FACTOR <= ratio <= PRICE_FACTOR else ""


def line_fault(
    kind: str, units: float, cents: int, usual_cents: int, at_ms: int, due_ms: int
) -> str:
    """What is wrong with a document line; empty: nothing.

    >>> line_fault("rental", 1, 900, 900, 5_000, 4_000)
    'due_before_rental'
    """
    if units > UNITS_MAX:
        return "units_absurd"
    if kind == "rental" and 0 < due_ms < at_ms:
        return "due_before_rental"
    return price_fault(cents, usual_cents) if kind in ("sale", "rental") else ""


def scan_fault(scan_type: str, known: bool, out: bool) -> str:
    """What is wrong with a scan of an item that was ``out`` before it; ``known``: its status was set.

    >>> scan_fault("Return", True, False), scan_fault("Return", False, False)
    ('return_before_rental', '')
    """
    if not known:
        return ""
    if scan_type == "Return" and not out:
        return "return_before_rental"
    return "rental_while_out" if scan_type == "Rental" and out else ""


def log_nothing(total: Floats, weeks: Floats, empty: Floats, busy: Floats) -> Floats:
    """float64[n]: logarithm of the probability that an hour brings nothing from a source that is well.

    ``total`` events were seen in ``weeks`` such hours: Poisson with a rate that is itself uncertain
    (a gamma of no weight before it). Many sources are more often empty than that: of ``busy`` hours
    with a probability below :data:`BUSY`, ``empty`` were empty, and no hour is rarer than that share.
    Source: Gelman et al., Bayesian Data Analysis (2013), 2.6.

    >>> one = np.ones(1)
    >>> log_nothing(100 * one, 10 * one, 0 * one, 1e6 * one).round(2).tolist()
    [-9.53]
    >>> log_nothing(100 * one, 10 * one, 0 * one, 99 * one).round(2).tolist()
    [-5.3]
    """
    plain = -total * np.log1p(1.0 / np.maximum(weeks, 1e-9))
    seen = np.log((empty + 0.5) / (busy + 1.0))
    return np.asarray(np.maximum(plain, seen), np.float64)


class _Saved(Struct, array_like=True):
    hour_ms: int
    names: list[str]
    counts: list[int]
    today: list[int]
    total: bytes
    weeks: bytes
    empty: list[float]
    busy: list[float]
    log_p: list[float]
    expected: list[float]
    since_ms: list[int]
    told: list[int]
    silences: list[Silence]
    odd: dict[str, int]
    mark: dict[str, int]
    blind: bool


class Account(Struct, kw_only=True):
    """What one day, or what there is of it, was like."""

    counts: dict[str, int] = field(default_factory=dict)
    """Counter -> how much it rose."""
    impossible: dict[str, int] = field(default_factory=dict)
    """Reason of :data:`IMPOSSIBLE` -> how often."""
    sources: dict[str, int] = field(default_factory=dict)
    """Source -> events heard."""
    silences: list[Silence] = field(default_factory=list)
    """Sources that fell silent."""


class Watch:
    """Counts what is odd and who is heard; the owner tells it time and the counters."""

    def __init__(self) -> None:
        self.hour_ms = 0
        """First moment of the hour under way; 0: time has not begun."""
        self._row: dict[str, int] = {}
        self._counts = np.zeros(0, np.int64)
        self._today = np.zeros(0, np.int64)
        self._total = np.zeros((0, HOURS))
        self._weeks = np.zeros((0, HOURS))
        self._empty = np.zeros(0)
        self._busy = np.zeros(0)
        self._log_p = np.zeros(0)
        self._expected = np.zeros(0)
        self._since_ms = np.zeros(0, np.int64)
        self._told = np.zeros(0, np.int64)  # number of the silence told that lasts, plus 1
        self._silences: list[Silence] = []
        self._odd: Counter[str] = Counter()
        self._mark: dict[str, int] = {}
        self._blind = False

    # -- while events come ----------------------------------------------------------------------------

    def heard(self, source: str, events: int = 1) -> None:
        """A source told something; sources beyond :data:`SOURCES_MAX` are not watched."""
        row = self._row.get(source)
        if row is None:
            if not source or len(self._row) >= SOURCES_MAX:
                return
            row = self._claim(source)
        self._counts[row] += events
        self._today[row] += events

    def odd(self, reason: str, events: int = 1) -> None:
        """Something impossible was told."""
        self._odd[reason] += events

    def blind(self) -> None:
        """Nobody could be heard for some of the hour under way: it says nothing of anybody."""
        self._blind = True

    def _claim(self, source: str) -> int:
        row = self._row[source] = len(self._row)
        for name in ("counts", "today", "empty", "busy", "log_p", "expected", "since_ms", "told"):
            column: NDArray[Any] = getattr(self, f"_{name}")
            setattr(self, f"_{name}", np.append(column, np.zeros(1, column.dtype)))
        for name in ("total", "weeks"):
            table = getattr(self, f"_{name}")
            setattr(self, f"_{name}", np.concatenate([table, np.zeros((1, HOURS))]))
        self._since_ms[row] = -1  # its first hour is not whole
        return row

    # -- time ---------------------------------------------------------------------------------------

    def due(self, now_ms: int) -> bool:
        """Whether an hour has ended."""
        return now_ms >= self.hour_ms + HOUR_MS

    def advance(
        self, now_ms: int, hour_of_week: Callable[[int], int], *, blind: bool = False
    ) -> None:
        """Close the hours that have ended; ``hour_of_week(ms)`` says where in the week a moment is.

        ``blind``: nobody could be heard until ``now_ms``.
        """
        if not self.hour_ms or now_ms - self.hour_ms > HOURS_LEAPT * HOUR_MS:
            self._leap(now_ms)
            return
        while self.due(now_ms):
            self._blind |= blind
            self._close_hour(hour_of_week(self.hour_ms))
            self.hour_ms += HOUR_MS

    def _leap(self, now_ms: int) -> None:
        self.hour_ms = now_ms // HOUR_MS * HOUR_MS
        self._counts[:] = 0
        self._forget_quiet(np.ones(len(self._counts), np.bool_))

    def _close_hour(self, at: int) -> None:
        n = len(self._counts)
        if n:
            k, new = self._counts, self._since_ms < 0
            self._since_ms[new] = 0
            total, weeks = self._total[:, at], self._weeks[:, at]
            if self._blind:
                self._forget_quiet(np.ones(n, np.bool_))
            else:
                self._judge(k, total, weeks)
            learn = ~new & (self._told == 0) & (not self._blind)
            self._learn_busy(k, total, weeks, learn)
            self._total[learn, at] = total[learn] * FADING + k[learn]
            self._weeks[learn, at] = weeks[learn] * FADING + 1.0
        self._counts = np.zeros(n, np.int64)
        self._blind = False

    def _judge(self, k: NDArray[np.int64], total: Floats, weeks: Floats) -> None:
        """Who spoke is well; the silence of the others grows by this hour, where that says something."""
        self._forget_quiet(k > 0)
        known = (k == 0) & (weeks >= WEEKS_MIN)
        begins = known & (self._since_ms == 0)
        self._since_ms[begins] = self.hour_ms
        self._log_p[known] += log_nothing(
            total[known], weeks[known], self._empty[known], self._busy[known]
        )
        self._expected[known] += total[known] / weeks[known]
        names = list(self._row)
        silent = np.flatnonzero((self._log_p <= _LOG_LEAST) & (self._told == 0)).tolist()
        for row in sorted(silent, key=names.__getitem__):
            if len(self._silences) < SILENCES_MAX:
                self._silences.append(
                    Silence(
                        source=names[row],
                        from_ms=int(self._since_ms[row]),
                        expected=round(float(self._expected[row]), 2),
                    )
                )
            self._told[row] = 1

    def _forget_quiet(self, spoke: NDArray[np.bool_]) -> None:
        ended = spoke & (self._told > 0)
        if ended.any():
            names = list(self._row)
            back = {names[row] for row in np.flatnonzero(ended).tolist()}
            self._silences = [
                msgspec.structs.replace(s, to_ms=self.hour_ms)
                if s.source in back and not s.to_ms
                else s
                for s in self._silences
            ]
        self._told[spoke] = 0
        self._log_p[spoke], self._expected[spoke] = 0.0, 0.0
        self._since_ms[spoke & (self._since_ms > 0)] = 0

    def _learn_busy(
        self, k: NDArray[np.int64], total: Floats, weeks: Floats, learn: NDArray[np.bool_]
    ) -> None:
        """How often hours in which chance alone would hardly leave nothing were empty all the same."""
        well = learn & (weeks >= WEEKS_MIN)
        busy = np.flatnonzero(well)
        busy = busy[-total[busy] * np.log1p(1.0 / weeks[busy]) < math.log(BUSY)]
        self._busy[busy] = self._busy[busy] * BUSY_FADING + 1.0
        self._empty[busy] = self._empty[busy] * BUSY_FADING + (k[busy] == 0)

    # -- days ---------------------------------------------------------------------------------------

    def account(self, counters: Mapping[str, int]) -> Account:
        """The day so far; ``counters`` as they stand now."""
        names = list(self._row)
        return Account(
            counts={
                name: value - self._mark.get(name, 0)
                for name, value in sorted(counters.items())
                if value != self._mark.get(name, 0)
            },
            impossible=dict(sorted(self._odd.items())),
            sources={name: int(n) for name, n in zip(names, self._today, strict=True) if n},
            silences=list(self._silences),
        )

    def close_day(self, counters: Mapping[str, int]) -> Account:
        """The day's account; the next one begins. A silence that lasts is told again while it does."""
        made = self.account(counters)
        self._mark = dict(counters)
        self._odd = Counter()
        self._today = np.zeros(len(self._today), np.int64)
        self._silences = [silence for silence in self._silences if not silence.to_ms]
        return made

    # -- saving ---------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """Everything, for ``load``; the same watch gives the same bytes, whoever was heard first."""
        names = sorted(self._row)
        order = np.array([self._row[name] for name in names], np.int64)
        return msgspec.msgpack.encode(
            _Saved(
                self.hour_ms,
                names,
                self._counts[order].tolist(),
                self._today[order].tolist(),
                self._total[order].tobytes(),
                self._weeks[order].tobytes(),
                self._empty[order].tolist(),
                self._busy[order].tolist(),
                self._log_p[order].tolist(),
                self._expected[order].tolist(),
                self._since_ms[order].tolist(),
                self._told[order].tolist(),
                self._silences,
                dict(sorted(self._odd.items())),
                dict(sorted(self._mark.items())),
                self._blind,
            )
        )

    def load(self, told: bytes) -> None:
        """Take back what ``save`` gave."""
        saved = msgspec.msgpack.decode(told, type=_Saved)
        self.hour_ms = saved.hour_ms
        self._row = {name: row for row, name in enumerate(saved.names)}
        self._counts = np.array(saved.counts, np.int64)
        self._today = np.array(saved.today, np.int64)
        self._total = np.frombuffer(saved.total).reshape(-1, HOURS).copy()
        self._weeks = np.frombuffer(saved.weeks).reshape(-1, HOURS).copy()
        self._empty = np.array(saved.empty, np.float64)
        self._busy = np.array(saved.busy, np.float64)
        self._log_p = np.array(saved.log_p, np.float64)
        self._expected = np.array(saved.expected, np.float64)
        self._since_ms = np.array(saved.since_ms, np.int64)
        self._told = np.array(saved.told, np.int64)
        self._silences, self._odd = saved.silences, Counter(saved.odd)
        self._mark, self._blind = saved.mark, saved.blind
