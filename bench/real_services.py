"""What the services say of the real sets, held against plain recomputation from the files. No product code.

Everything expected is computed here from the files' own columns with numpy: stock, velocity classes,
reorder points, what goes out together, utilisation. The daemon is only asked. Used by
``bench/real_input.py``, which replays the files.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from statistics import NormalDist
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ask = Callable[[str], Awaitable[dict[str, Any]]]

WINDOW_DAYS = 182
RATES_DAYS = (28, 91, 182)
SIMPLE_DAYS = 90
LEAD_DAYS = 7
LEAD_SD_DAYS = LEAD_DAYS / 4
LEVEL = 0.95
INDEPENDENT_SPANS = 8
"""What is seen of whole lead times is weighed against days as if independent, which count for so many."""
DRIFT, DRIFT_DAYS = 0.1, 14
"""Squared share by which a mean changes from season to season before it was measured; twice that for
what lies so many days off."""
CLASSES_A_DOCUMENT = 64
SPARE = 1_000
"""Units of each class that are left when everything in the file is sold: no day is without stock."""


class Compared(NamedTuple):
    """One line of the table."""

    what: str
    compared: int
    equal: int
    differs: str
    """The worst difference in words; empty: none."""

    @property
    def line(self) -> str:
        """For people."""
        verdict = "equal" if self.equal == self.compared else "DIFFERS"
        worst = f"; {self.differs}" if self.differs else ""
        return f"{verdict:8} {self.what}: {self.equal:,} of {self.compared:,}{worst}"


def compare(
    what: str,
    found: Mapping[Any, float],
    expected: Mapping[Any, float],
    relative: float = 1e-6,
    absolute: float = 1e-6,
) -> Compared:
    """Key by key, within a tolerance that only rounding needs."""
    equal, worst, words = 0, 0.0, ""
    for key, value in expected.items():
        told = found.get(key, math.nan)
        if math.isclose(told, value, rel_tol=relative, abs_tol=absolute):
            equal += 1
            continue
        off = abs(told - value) / max(abs(value), 1.0) if told == told else math.inf
        if off > worst:
            worst, words = off, f"{key}: told {told:g}, file {value:g}"
    return Compared(what, len(expected), equal, words)


async def pages(ask: Ask, path: str, rows: str) -> list[dict[str, Any]]:
    """All rows of a list."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        sign = "&" if "?" in path else "?"
        more = f"&cursor={quote(cursor)}" if cursor else ""
        told = await ask(f"{path}{sign}limit=1000{more}")
        found += told[rows]
        cursor = told["next_cursor"] or ""
        if not cursor:
            return found


# -- invoices -------------------------------------------------------------------------------------


class Invoices:
    """The invoices of a file by class and day, and which classes each document held."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.sold: Counter[tuple[str, date]] = Counter()
        self.cents: Counter[tuple[str, date]] = Counter()
        self.net: Counter[str] = Counter()
        self.documents: dict[str, set[str]] = defaultdict(set)
        self.day_of: dict[str, date] = {}
        self.first_us = min(row["InvoiceDate"] for row in rows)
        self.last = date.min
        for row in rows:
            back = row["InvoiceNo"].startswith("C")
            units = -row["Quantity"] if back else row["Quantity"]
            day = datetime.fromtimestamp(row["InvoiceDate"] / 1e6, UTC).date()
            self.last = max(self.last, day)
            if units <= 0:
                continue
            sku = row["StockCode"]
            cents = round(row["UnitPrice"] * 100) * units
            self.net[sku] += -units if back else units
            self.cents[sku, day] += -cents if back else cents
            if not back:
                self.sold[sku, day] += units
                self.documents[row["InvoiceNo"]].add(sku)
                self.day_of[row["InvoiceNo"]] = day
        self.skus = sorted(self.net)

    def counted(self) -> dict[str, int]:
        """Units to begin with, so that no class ever runs out."""
        sold: Counter[str] = Counter()
        for (sku, _), units in self.sold.items():
            sold[sku] += units
        return {sku: sold[sku] + SPARE for sku in self.skus}

    def days(self, of: Mapping[tuple[str, date], float]) -> Floats:
        """float64[182, classes]: the whole days before the last, oldest first."""
        first = self.last - timedelta(days=WINDOW_DAYS)
        number = {sku: i for i, sku in enumerate(self.skus)}
        made = np.zeros((WINDOW_DAYS, len(self.skus)))
        for (sku, day), amount in of.items():
            place = (day - first).days
            if 0 <= place < WINDOW_DAYS:
                made[place, number[sku]] += amount
        return made


def letters_abc(revenue: Floats) -> list[str]:
    """A until 80 % of the revenue is reached, B until 95 %; nothing earned is C."""
    earned = np.maximum(revenue, 0.0)
    total, before, made = float(earned.sum()), 0.0, ["C"] * len(earned)
    for i in np.argsort(-earned, kind="stable").tolist():
        if earned[i] > 0:
            made[i] = "A" if before < 0.80 * total else "B" if before < 0.95 * total else "C"
        before += float(earned[i])
    return made


def letter_xyz(weeks: Floats) -> str:
    """By the coefficient of variation of weekly units, 0.5 and 1.0; see ``docs/inventory.md``."""
    n, mean = len(weeks), float(weeks.mean())
    if mean <= 0:
        return "Z"
    spread = float(weeks.std(ddof=1)) / mean * (1 + 1 / (4 * n))
    letter = "X" if spread < 0.5 else "Y" if spread < 1.0 else "Z"
    sizes = weeks[weeks > 0]
    deviation = float(sizes.std(ddof=1)) if len(sizes) > 1 else 0.0
    uneven = (deviation / float(sizes.mean())) ** 2 >= 0.49
    seldom = n / len(sizes) >= 1.32
    if seldom and uneven:
        return "Z"
    return "Y" if seldom and letter == "X" else letter


async def of_invoices(ask: Ask, file: Invoices, store: str) -> list[Compared]:
    """Stock, velocity, reorder points and pairs; asked of a daemon without models."""
    rows = {row["sku"]: row for row in await pages(ask, "/api/inventory", "items")}
    made = [_stock(rows, file), *_velocity(rows, file), *_points(rows, file)]
    told = await ask("/api/predictive/packs/co-demand?limit=1000")
    return [*made, *_pairs(told, file)]


def _stock(rows: Mapping[str, Any], file: Invoices) -> Compared:
    found = {sku: row["current_stock"] for sku, row in rows.items()}
    began = file.counted()
    return compare("stock", found, {sku: began[sku] - file.net[sku] for sku in file.skus})


def _velocity(rows: Mapping[str, Any], file: Invoices) -> list[Compared]:
    revenue = file.days(file.cents).sum(axis=0)
    weekly = file.days(file.sold).reshape(WINDOW_DAYS // 7, 7, -1).sum(axis=1)
    made = []
    for what, name, letters in (
        ("velocity class by revenue (ABC)", "abc", letters_abc(revenue)),
        ("velocity class by evenness (XYZ)", "xyz", [letter_xyz(w) for w in weekly.T]),
    ):
        expected = {sku: float(ord(x)) for sku, x in zip(file.skus, letters, strict=True)}
        found = {sku: float(ord(rows[sku][name])) for sku in file.skus if sku in rows}
        made.append(compare(what, found, expected))
    return made


def _points(rows: Mapping[str, Any], file: Invoices) -> list[Compared]:
    """Means of all; reorder point and safety stock by the textbook where only that speaks; and how
    often the others would have sufficed in the weeks of the file."""
    days = file.days(file.sold)
    number = {sku: i for i, sku in enumerate(file.skus)}
    history = {sku for sku in rows if rows[sku]["evidence"] == "history"}
    plain = {sku for sku in rows if rows[sku]["evidence"] == "simple"}
    seldom = {sku for sku in file.skus if int((days[:, number[sku]] > 0).sum()) < 4}
    rate = np.mean([days[-span:].mean(axis=0) for span in RATES_DAYS], axis=0)
    made = [
        compare(
            "who has too few days with sales for more than the simple rule",
            {sku: float(sku in plain) for sku in rows},
            {sku: float(sku in seldom) for sku in file.skus},
        ),
        compare(
            "units expected in a lead time, of the class's own half year",
            {sku: rows[sku]["lead_time_demand"] for sku in history},
            {sku: LEAD_DAYS * float(rate[number[sku]]) for sku in history},
            relative=1e-3,
            absolute=1e-3,
        ),
    ]
    z = NormalDist().inv_cdf(LEVEL)
    points, safeties = {}, {}
    for sku in plain & seldom:
        late = days[-SIMPLE_DAYS:, number[sku]]
        spare = z * float(late.std(ddof=1)) * math.sqrt(LEAD_DAYS)
        safeties[sku] = float(math.ceil(spare - 1e-9))
        points[sku] = float(math.ceil(late.mean() * LEAD_DAYS + safeties[sku] - 1e-9))
    for what, name, expected in (
        ("safety stock, z sd sqrt(lead time) of 90 days", "safety_stock", safeties),
        ("reorder point, the same", "reorder_point", points),
    ):
        made.append(compare(what, {s: rows[s][name] for s in expected}, expected))
    told = sorted(history)
    own = points_of_history(days[:, [number[sku] for sku in told]])
    made.append(
        compare(
            "reorder point, a negative binomial of the class's own half year",
            {sku: rows[sku]["reorder_point"] for sku in told},
            dict(zip(told, own.tolist(), strict=True)),
        )
    )
    made.append(_sufficed({sku: rows[sku]["reorder_point"] for sku in history}, days, number))
    made.append(
        compare(
            "safety stock + what is expected = reorder point, of the same classes",
            {s: rows[s]["safety_stock"] + rows[s]["lead_time_demand"] for s in history},
            {s: max(rows[s]["reorder_point"], rows[s]["lead_time_demand"]) for s in history},
            relative=1e-3,
            absolute=2e-3,
        )
    )
    return made


def points_of_history(days: Floats, drift: float = DRIFT) -> Floats:
    """float64[classes]: reorder points from daily units float64[182, classes], class by class.

    The variance of a lead time is that of the seven-day sums as they were (overlapping ones, unbiased for
    independent days), leaning on seven independent days; wider because the rate is an estimate, because
    it drifts, and because the lead time varies. The point is the quantile of a negative binomial.
    """
    n, points = len(days), np.zeros(days.shape[1])
    shared = sum(1 / max(a, b) for a in RATES_DAYS for b in RATES_DAYS) / len(RATES_DAYS) ** 2
    windows = n - LEAD_DAYS + 1
    spans = windows // LEAD_DAYS
    for i, daily in enumerate(days.T):
        rate = sum(daily[-span:].mean() for span in RATES_DAYS) / len(RATES_DAYS)
        day = float(daily.var(ddof=1))
        sums = np.convolve(daily, np.ones(LEAD_DAYS), "valid")
        seen = float(((sums - sums.mean()) ** 2).sum()) / (windows - LEAD_DAYS)
        variance = (spans * seen + INDEPENDENT_SPANS * LEAD_DAYS * day) / (
            spans + INDEPENDENT_SPANS
        )
        variance += day * LEAD_DAYS**2 * shared
        variance += drift * (1 + LEAD_DAYS / DRIFT_DAYS) * (rate * LEAD_DAYS) ** 2
        mean = rate * LEAD_DAYS
        points[i] = enough(mean, max(variance, mean) + (rate * LEAD_SD_DAYS) ** 2, LEVEL)
    return points


def enough(mean: float, variance: float, level: float) -> int:
    """The fewest units that a negative binomial of these moments stays within so often; chances added up.

    >>> enough(2.0, 2.0 + 1e-9, 0.95), enough(3.0, 12.0, 0.95)
    (5, 10)
    """
    if mean <= 0:
        return 0
    p, size = mean / variance, mean**2 / (variance - mean)
    k = np.arange(1.0, mean + 20 * math.sqrt(variance) + 20)
    first = size * math.log(p)
    steps = np.cumsum(np.log((size + k - 1) / k) + math.log1p(-p))
    within = np.cumsum(np.exp(first + np.concatenate([[0.0], steps])))
    return int(np.searchsorted(within, level - 1e-12))


def _sufficed(points: Mapping[str, float], days: Floats, number: Mapping[str, int]) -> Compared:
    """Share of the file's lead times in which the reorder point would have sufficed, against 0.95.

    These are the weeks that the points were made from, so they should suffice a little more often;
    ``make backtest`` judges later weeks. Equal: between 0.93 and 0.99.
    """
    running = np.cumsum(np.vstack([np.zeros(days.shape[1]), days]), axis=0)
    spans = running[LEAD_DAYS:] - running[:-LEAD_DAYS]
    within = [(spans[:, number[sku]] <= point).mean() for sku, point in points.items()]
    share = float(np.mean(within))
    good = 0.93 <= share <= 0.99
    words = f"sufficed in {share:.3f} of the lead times of {len(within):,} classes"
    return Compared("reorder points at a level of 0.95", 1, int(good), words)


def _pairs(told: Mapping[str, Any], file: Invoices) -> list[Compared]:
    """Documents with both and lift, of the pairs that are told."""
    whole = [
        skus
        for name, skus in file.documents.items()
        if file.day_of[name] < file.last and len(skus) <= CLASSES_A_DOCUMENT
    ]
    single: Counter[str] = Counter()
    both: Counter[tuple[str, str]] = Counter()
    lines = met = 0
    asked = {tuple(sorted((p["sku"], p["other"]))) for p in told["pairs"]}
    some = {sku for pair in asked for sku in pair}
    for skus in whole:
        single.update(skus)
        lines += len(skus)
        met += len(skus) * (len(skus) - 1) // 2
        for pair in combinations(sorted(skus & some), 2):
            if pair in asked:
                both[pair] += 1
    found_both, found_lift, found_single = {}, {}, {}
    lift, missed = {}, 0
    for p in told["pairs"]:
        pair = tuple(sorted((p["sku"], p["other"])))
        found_both[pair], found_lift[pair] = p["documents"], p["lift"]
        found_single[p["sku"]], found_single[p["other"]] = p["of_sku"], p["of_other"]
        chance = single[p["sku"]] * single[p["other"]] * 2 * met / lines**2
        lift[pair] = both[pair[0], pair[1]] / chance
        missed += both[pair[0], pair[1]] - p["documents"]
    # a day's pairs are kept in a bounded table: what it misses is told, and never too much
    most = {pair: min(float(n), float(found_both[pair])) for pair, n in both.items()}
    close = [abs(found_lift[pair] / lift[pair] - 1) for pair in lift if lift[pair] > 0]
    words = (
        f"{missed:,} of {sum(both.values()):,} documents with both were let go by the bounded table; "
        f"lift off by {float(np.median(close)) if close else 0:.2%} (median), "
        f"{max(close, default=0):.2%} (most)"
    )
    sure = {pair: value for pair, value in lift.items() if found_both[pair] == both[pair]}
    return [
        compare("documents with a class", found_single, {s: float(single[s]) for s in some}),
        compare("documents with both of a pair: never too many", found_both, most),
        Compared("the bounded table of pairs", 1, int(missed >= 0), words),
        compare("lift of those", found_lift, sure, relative=1e-3, absolute=1e-3),
    ]


# -- rentals --------------------------------------------------------------------------------------


async def of_rentals(
    ask: Ask, days: int, out_at_close: Floats, known_at_close: Floats, rented: float
) -> list[Compared]:
    """Utilisation of the last ``days`` whole days, of those that were looked at: ``out_at_close`` items
    out, ``known_at_close`` items known."""
    told = await ask(f"/api/inventory/performance?days={days}")
    (row,) = [row for row in told["classes"] if row["sku"] == "bicycle"]
    owned = float(known_at_close.mean())
    pairs = {
        "days looked at": (row["days"], float(len(out_at_close))),
        "rented": (row["rented"], rented),
        "on rent at a day's close, mean": (row["on_rent_mean"], float(out_at_close.mean())),
        "owned, mean": (row["on_hand_mean"] + row["on_rent_mean"], owned),
        "utilisation": (row["utilisation"], float(out_at_close.mean()) / owned),
    }
    found = {name: float(told) for name, (told, _) in pairs.items()}
    expected = {name: value for name, (_, value) in pairs.items()}
    return [
        compare(f"{name} over {days} days", {name: found[name]}, {name: value}, 1e-4, 5e-5)
        for name, value in expected.items()
    ]


# -- who answers ----------------------------------------------------------------------------------

SERVICES = (
    ("demand", "/api/predictive/demand/forecast?weeks=4", ""),
    ("maintenance", "/api/predictive/maintenance/schedule?days=14", "services"),
    ("quality", "/api/predictive/quality/health", "health"),
    ("pricing", "/api/predictive/pricing/recommendations", "recommendations"),
    ("inventory", "/api/inventory", "items"),
    ("packs", "/api/predictive/packs/co-demand", "pairs"),
)


async def answering(ask: Ask) -> list[str]:
    """One line a service: whether it answers, how many rows, and who spoke."""
    lines = []
    for service, path, rows in SERVICES:
        told = await ask(path)
        basis = told.get("basis", told)
        who = f"{basis.get('kind', '')} {basis.get('version', '')}".strip()
        many = f"{len(told[rows]):,} rows" if rows and rows in told else "an answer"
        lines.append(f"answers  {service}: {many}, {who or 'counted'}")
    return lines
