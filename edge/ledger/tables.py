"""Every table of the ledger: its rows, key and limit. One line a table, no code.

An area adds its tables here, its migration to ``edge/storage/schema`` and its handlers to
``deeds.py``.
"""

from edge.decisions import budget, rows
from edge.ledger import (
    catalogue,
    contracts,
    data_quality,
    forecasts,
    inspections,
    orders,
    packs,
    price_tests,
    prices,
    stock_take,
    suppliers,
    workshop,
)
from edge.ledger.ledger import Table

TABLES: tuple[Table, ...] = (
    *rows.TABLES,
    *budget.TABLES,
    *catalogue.TABLES,
    *contracts.TABLES,
    *data_quality.TABLES,
    *forecasts.TABLES,
    *inspections.TABLES,
    *workshop.TABLES,
    *orders.TABLES,
    *stock_take.TABLES,
    *suppliers.TABLES,
    *prices.TABLES,
    *price_tests.TABLES,
    *packs.TABLES,
)
