"""What a decision commits, in money: what was said, or what its units cost where that is more. Pure.

A limit that is held against the word of who proposes is none: whoever left the value out, or named
too little, would pass it.
"""

from msgspec.structs import replace

from edge.commands import Propose
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.ledger import Ledger
from edge.ledger.suppliers import terms_of

CENTS_MOST = 2**53


def valued(ledger: Ledger, proposal: Propose) -> Propose:
    """The same with the cost of a restock's units, where it is known and more than was said.

    A restock whose value is 0 afterwards costs nobody knows what.
    """
    units = proposal.data.get("units")
    if proposal.kind != "restock" or not isinstance(units, int | float):
        return proposal
    cents = proposal.data.get("cost_cents")
    if not isinstance(cents, int | float) or not cents > 0:
        cents = cost_of(ledger, proposal.target, proposal.store)
    costs = round(min(units * cents, CENTS_MOST))
    return replace(proposal, value_cents=max(proposal.value_cents, costs))


def cost_of(ledger: Ledger, sku: str, store: str) -> int:
    """Cost of a unit as its terms or the catalogue say, cents; 0: neither does."""
    terms = terms_of(ledger, sku, store)
    listed = ledger.get(CatalogueClass, sku)
    return (terms.cost_cents if terms else None) or (listed.cost_cents if listed else 0)
