"""A city's rentals by day and by hour against the seasonal naive forecast, with and without weather.

What it does not say: what a real weather forecast is worth. ``weather known`` shows the weather that
came over the whole horizon, a forecast that is always right; ``weather unknown`` shows none of it.
By hour the naive forecast is the better one of the last day and the last week again.
"""

from bench.backtest import windows
from bench.backtest.product import NAME, Product
from bench.backtest.tables import bike_sharing
from bench.harness import Context, Figure, Result, Row, result
from trainer import backtest
from trainer.backtest import Forecaster, Plan
from trainer.backtest_baselines import NAIVE, SeasonalAverage, SeasonalNaive
from trainer.backtest_splits import origins

TITLE = "Rentals of a whole city by day and by hour, with weather"
CASES = {"by day": (7, 28, 7), "by hour": (24, 168, 168)}
"""Case -> (period, horizon, steps between origins)."""
WEEKLY = SeasonalNaive("weekly_naive", 168)


def measure(context: Context) -> Result:
    """Both cases, both windows of 8 weeks, weather known and unknown."""
    figures: list[Figure] = []
    tables: dict[str, list[Row]] = {}
    for i, (case, (period, horizon, step)) in enumerate(CASES.items()):
        panel = bike_sharing.read(context.shared["data"], period)
        weeks = 56 * (24 if period == 24 else 1)
        inside = context.size((weeks - horizon) // step + 1, 2, 1)
        for j, known in enumerate((False, True)):
            say = windows.saying(context, (2 * i + j) / 4, (2 * i + j + 1) / 4)
            last = origins(len(panel.days), horizon, inside, step)
            before = origins(len(panel.days) - weeks, horizon, inside, step)
            both = Plan(tuple(sorted({*before, *last})), horizon, known_ahead=known)
            found = backtest.run(panel, "units", both, naive(period, horizon), say)
            for name, at in (("last 8 weeks", last), ("8 weeks before", before)):
                window = backtest.at_origins(found, [both.origins.index(o) for o in at])
                told = f"{case}, weather {'known' if known else 'unknown'}, {name}"
                rivals = ["seasonal_naive", *(["weekly_naive"] if period == 24 else [])]
                made = [*windows.against_naive(told, window, rivals),
                        *windows.coverage(told, window),
                        *windows.against_static(told, window)]  # fmt: skip
                figures += made
                tables[told] = windows.rows(window)
                if name == "last 8 weeks":
                    tables[f"{told}: time"] = windows.time_rows(window)
                    page = f"bike_sharing_{case.split()[-1]}_{'known' if known else 'unknown'}"
                    bands = windows.BANDS if period == 7 else ((1, 24), (25, 72), (73, 168))
                    windows.write_page(context, page, f"{TITLE}: {told}", window, made, bands)
    assert NAME in {r["forecaster"] for rows in tables.values() for r in rows}
    return result("bike_sharing", TITLE, __doc__, figures, tables)


def naive(period: int, horizon: int) -> list[Forecaster]:
    """What is run: by hour, static quantiles are those of the hour of the week."""
    product = Product("US", horizon)
    if period == 7:
        return [*NAIVE, product]
    return [NAIVE[0], WEEKLY, NAIVE[1], SeasonalAverage(period=168), product]
