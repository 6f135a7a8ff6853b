"""What of an event cannot be, as the state stands before it. Reads columns; refuses and changes nothing."""

from edge.events import Event, ItemScan, PosLine, PriceObserved
from edge.features.business import class_key
from edge.features.state import FeatureState
from edge.services.data_quality import line_fault, price_fault, scan_fault


def fault_of(state: FeatureState, event: Event) -> str:
    """A reason of ``data_quality.IMPOSSIBLE``; empty: nothing is wrong with it. ``event.at`` is epoch ms."""
    if type(event) is PosLine:
        at_ms, due_ms = event.at, event.due
        assert isinstance(at_ms, int), at_ms
        due_ms = due_ms if isinstance(due_ms, int) else 0
        usual = usual_cents(state, event)
        return line_fault(event.kind, event.quantity, event.price_cents, usual, at_ms, due_ms)
    if type(event) is PriceObserved:
        return price_fault(event.price_cents, usual_cents(state, event))
    if type(event) is ItemScan:
        row = state.item.keys.get(event.epc)
        if row < 0:
            return ""
        status = int(state.item.col["status_row"][row])
        known = state.status.keys.key(status) != "Unknown"
        return scan_fault(event.scan_type, known, state.group_of(status) == "on_rent")
    return ""


def usual_cents(state: FeatureState, event: PosLine | PriceObserved) -> int:
    """The price of a class as it was last told; 0: never."""
    row = state.cls.keys.get(class_key(event.store, event.sku))
    if row < 0:
        return 0
    col = state.cls.col
    return int(col["list_price_cents"][row]) or int(col["price_cents"][row])
