"""UCI Online Retail, a UK gift shop's invoices -> units and price of each product and day.

What counts as demand:
- products only: codes of five digits and up to two letters (postage, fees, vouchers, samples are
  left out); letters are made capitals;
- a sale is a line with a quantity and a price above 0 on an invoice that is no cancellation;
- a cancelled line (invoice ``C…``) takes away a sale of the same customer, product, quantity and
  day: a mistake at the till. A cancellation of a later day is a return: the demand was real, and
  that day's demand does not go below 0;
- write-offs (quantity below 0 without a cancellation, price 0) are no demand.

A product exists from its first sale on: NaN before. Every day of the calendar is a column, Saturdays
included, on which this shop sold nothing.
Source: Chen, Sain & Guo, Data mining for the online retail industry (2012); CC BY 4.0.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import files
from trainer.panel import Panel

COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
PRODUCT = re.compile(r"\d{5}[A-Z]{0,2}")


def read(data: Path) -> Panel:
    """Panel with ``units`` and ``price_cents`` (mean price paid, the newest known; NaN before)."""
    raw = files.read(files.find(data, "online_retail"), COLUMNS)
    names, product = files.codes(np.char.upper(raw["StockCode"].astype(str)))
    is_product = np.array([PRODUCT.fullmatch(name) is not None for name in names])
    day = files.days(raw["InvoiceDate"])
    sold = sales(raw, product, day) & is_product[product]
    kept = np.flatnonzero(np.bincount(product[sold], minlength=len(names)) > 0)
    row = np.searchsorted(kept, product[sold])
    days = np.arange(day.min(), day.max() + 1)
    shape, column = (len(kept), len(days)), day[sold] - day.min()
    quantity = raw["Quantity"][sold].astype(np.float64)
    units, paid = np.zeros(shape), np.zeros(shape)
    np.add.at(units, (row, column), quantity)
    np.add.at(paid, (row, column), quantity * raw["UnitPrice"][sold] * 100)
    begun = np.maximum.accumulate(units > 0, axis=1)
    return Panel(
        [names[i] for i in kept.tolist()],
        days,
        {
            "units": np.where(begun, units, np.nan).astype(np.float32),
            "price_cents": _newest(units, paid).astype(np.float32),
        },
    )


def sales(
    raw: dict[str, NDArray[Any]], product: NDArray[np.int64], day: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which lines are demand; see the module's docstring."""
    cancelled = np.char.startswith(raw["InvoiceNo"].astype(str), "C")
    quantity = raw["Quantity"].astype(np.int64)
    sold = ~cancelled & (quantity > 0) & (raw["UnitPrice"] > 0)
    customer = np.nan_to_num(raw["CustomerID"].astype(np.float64), nan=-1.0)
    open_lines: dict[tuple[float, int, int, int], list[int]] = {}
    for i in np.flatnonzero(sold).tolist():
        key = (customer[i], int(product[i]), int(quantity[i]), int(day[i]))
        open_lines.setdefault(key, []).append(i)
    for i in np.flatnonzero(cancelled & (quantity < 0)).tolist():
        key = (customer[i], int(product[i]), int(-quantity[i]), int(day[i]))
        if lines := open_lines.get(key):
            sold[lines.pop()] = False
    return sold


def _newest(units: NDArray[np.float64], paid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean price of each day with sales, carried on to days without."""
    price = np.divide(paid, units, out=np.full_like(paid, np.nan), where=units > 0)
    last = np.maximum.accumulate(np.where(units > 0, np.arange(units.shape[1]), 0), axis=1)
    return np.take_along_axis(price, last, axis=1)


def top(panel: Panel, count: int, known: int) -> Panel:
    """The products sold most in the first ``known`` columns: chosen without the future."""
    total = np.nansum(panel.measures["units"][:, :known], axis=1)
    return panel.rows(np.sort(np.argsort(-total, kind="stable")[:count]).astype(np.int64))
