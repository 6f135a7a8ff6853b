"""Baskets: how many pairs are discovered where there is no signal, and where there is.

What it does not say: what a pack would earn.

``groceries`` has members and dates that look randomly assigned: about no pair should be discovered, and
whatever is found there is a false discovery. ``online_retail`` (invoices without cancellations) has
sets sold in colours and sizes: the pairs of the first 80 % of its invoices are judged by the rest.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import files, online_retail
from bench.harness import Context, Figure, Result, Row, result
from trainer import packs

TITLE = "Packs: pairs in baskets"
HELD = 0.2


def measure(context: Context) -> Result:
    """Discoveries in both tables; how many of them later baskets confirm."""
    data = context.shared["data"]
    context.say("groceries", 0.05)
    none = packs.judged(packs.from_documents(groceries(data)))
    context.say("online_retail", 0.3)
    invoices = retail(data)
    split = round(len(invoices) * (1 - HELD))
    before, after = (packs.from_documents(part) for part in (invoices[:split], invoices[split:]))
    found = packs.judged(before)
    told, naive = packs.held_out(before, after)
    figures = [
        Figure(name="groceries: pairs discovered", value=float(len(none.found())), goal=1.0),
        Figure(name="groceries: least q", value=float(none.q.min()), better="higher"),
        Figure(name="online_retail: pairs discovered", value=float(len(found.found())),
               better="higher"),
        Figure(name="online_retail: confirmed later", value=told["precision"],
               better="higher"),
        Figure(name="online_retail: most popular pairs, confirmed later",
               value=naive["precision"], better="higher"),
    ]  # fmt: skip
    tables: dict[str, list[Row]] = {"online_retail, the surest": _rows(found)}
    return result("packs", TITLE, __doc__, figures, tables)


def _rows(found: packs.Tested, most: int = 12) -> list[Row]:
    counts = found.counts
    made: list[Row] = []
    for i in found.found()[:most].tolist():
        a, b = counts.pairs[found.rows[i]].tolist()
        made.append({"a": counts.keys[a].strip("\x1f"), "b": counts.keys[b].strip("\x1f"),
                     "documents": int(counts.together[found.rows[i]]),
                     "lift": float(found.lift[i]), "lift ≥": float(found.lift_low[i]),
                     "plain": float(found.lift_plain[i]), "q": float(found.q[i])})  # fmt: skip
    return made


def groceries(data: Path) -> list[list[str]]:
    """Baskets: what one member bought on one day."""
    raw = files.read(files.find(data, "groceries"),
                     ("Member_number", "Date", "itemDescription"))  # fmt: skip
    day = np.char.add(raw["Member_number"].astype(str), raw["Date"].astype(str))
    return _baskets(day, raw["itemDescription"].astype(str))


def retail(data: Path) -> list[list[str]]:
    """Invoices in the order of their time, products only."""
    raw = files.read(files.find(data, "online_retail"),
                     ("InvoiceNo", "StockCode", "Quantity", "UnitPrice"))  # fmt: skip
    code = np.char.upper(raw["StockCode"].astype(str))
    names, index = files.codes(code)
    product = np.array([online_retail.PRODUCT.fullmatch(name) is not None for name in names])
    sold = (raw["Quantity"] > 0) & (raw["UnitPrice"] > 0) & product[index]
    return _baskets(raw["InvoiceNo"].astype(str)[sold], code[sold])


def _baskets(document: NDArray[Any], what: NDArray[Any]) -> list[list[str]]:
    """By document, in the order of their names (which rise with time)."""
    order = np.argsort(document, kind="stable")
    starts = np.flatnonzero(np.diff(np.unique(document[order], return_inverse=True)[1], prepend=-1))
    return [part.tolist() for part in np.split(what[order], starts[1:])]
