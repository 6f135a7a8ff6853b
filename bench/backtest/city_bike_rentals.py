"""Rentals by station and day against the seasonal naive forecast, in a table with months missing.

What it does not say: anything of stations that open later. Whole months are unknown in this table:
a window lies in one run of known days, and what is unknown is never counted as 0. The newest run is
too short for a window of its own kind: its forecasts start three days after eight unknown months.
"""

from bench.backtest import windows
from bench.backtest.product import Product
from bench.backtest.tables import city_bike_rentals
from bench.harness import Context, Figure, Result, Row, result
from trainer import backtest
from trainer.backtest import Plan
from trainer.backtest_baselines import NAIVE
from trainer.panel import Panel

TITLE = "Rentals of bicycles by station and day"
HORIZON = 28
AFTER_GAP_DAYS = 3


def spans_origins(panel: Panel) -> dict[str, tuple[int, ...]]:
    """Window -> its origins: two in each of the last long runs of known days, newest first."""
    made: dict[str, tuple[int, ...]] = {}
    for first, last in reversed(city_bike_rentals.spans(panel)):
        ends = panel.days[last - 1].astype("datetime64[D]")
        if last - first >= 4 * HORIZON:
            made[f"8 weeks to {ends}"] = (last - 2 * HORIZON, last - HORIZON)
        elif last - first >= HORIZON + AFTER_GAP_DAYS and first > 4 * HORIZON:
            made[f"4 weeks to {ends}, after a gap"] = (last - HORIZON,)
    return made


def measure(context: Context) -> Result:
    """Every window; the two newest long ones carry the goals, and the one after a gap."""
    panel = city_bike_rentals.read(context.shared["data"])
    chosen = list(spans_origins(panel).items())[: context.size(4, 2, 1)]
    figures: list[Figure] = []
    tables: dict[str, list[Row]] = {}
    for i, (name, at) in enumerate(chosen):
        say = windows.saying(context, i / len(chosen), (i + 1) / len(chosen))
        found = backtest.run(panel, "units", Plan(at, HORIZON), [*NAIVE, Product("US")], say)
        made = [*windows.against_naive(name, found, ["seasonal_naive"]),
                *windows.coverage(name, found), *windows.against_static(name, found)]  # fmt: skip
        figures += made
        tables[name] = windows.rows(found)
        tables[f"{name}: time"] = windows.time_rows(found)
        if "gap" not in name and "city_bike_rentals" not in context.shared:
            context.shared["city_bike_rentals"] = True
            windows.write_page(context, "city_bike_rentals", f"{TITLE}, {name}", found, made)
    return result("city_bike_rentals", TITLE, __doc__, figures, tables)
