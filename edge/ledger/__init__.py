"""The domain's rows: what the shop owns, promises, orders, tests and decides. Pure.

One :class:`~edge.ledger.ledger.Ledger` belongs to the core. Rows change only through commands and
events of the journal; every change leaves as a row for the local store.
"""
