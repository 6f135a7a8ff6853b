"""What is said of stock in words, and numbers as people are told them. No columns, no state."""

import math

from edge.inference.codes import CODES
from edge.services import lead_time
from edge.services.lead_time import UNKNOWN
from edge.view_inventory_plans import RAISED, TOGETHER, WAITS
from edge.view_inventory_types import StockRow


def reasons(row: StockRow) -> list[str]:
    """Why a class should be ordered, for people, the weightiest first."""
    if row.chance_of_stockout is None:
        point = row.right_size if row.kind == "rental" else row.reorder_point
        made = [f"the position is {row.position:g}, {point:g} were set by hand"]
        made.append(row.why_unknown)
    elif row.kind == "rental":
        made = [f"{row.owned:g} units are owned and {row.on_order:g} on order"]
        if row.reorder_point_by_hand:
            made.append(f"{row.right_size:g} were set by hand")
        else:
            enough = f"{row.right_size:g} would serve {row.service_level:.0%} of requests"
            made[0] = f"{made[0]}; {enough}"
            made.append(f"{row.chance_of_stockout:.1%} of requests find nothing now")
    else:
        made = [
            f"the position is {row.position:g} units, the reorder point {row.reorder_point:g}",
            f"{row.chance_of_stockout:.0%} chance of running out before an order is there",
        ]
        if row.estimated_stockout_date is not None:
            made.append(f"the stock is likely gone by {row.estimated_stockout_date}")
    if row.evidence == "simple":
        made.append("little is known of its demand: the simple rule speaks")
    if row.minimum_note:
        made.append(row.minimum_note)
    if row.cost_source == "assumed":
        made.append("its cost is not known and taken from its price")
    if not row.stock_known:
        made.append("its stock was never counted: none is taken to be here")
    return made


def fleet_note(row: StockRow, gap: float | None, filled: float, days: float) -> str:
    """Why the advice on a fleet seems to disagree with what its last days served; empty: it does not."""
    if gap is None or row.reorder_point_by_hand or not math.isfinite(filled):
        return ""
    past = f"of the last {days:.0f} days {filled:.1%} was served as far as days without stock tell"
    wanted = f"{row.service_level:.0%} are wanted"
    if gap > 0 and filled >= row.service_level:
        return (
            f"{past}: who found nothing for some hours of a day that closed with stock is not in that. The"
            f" requests behind it come at random, and {row.chance_of_stockout or 0:.1%} of those to come would"
            f" find nothing; {wanted}"
        )
    if gap <= 0 and filled < row.service_level:
        grown = "units were bought since" if gap < 0 or row.on_order else "few days tell it"
        return (
            f"{past}, {wanted}; {grown}: {row.right_size:g} serve so many of the requests to come"
        )
    return ""


def number(value: float, digits: int = 3) -> float | None:
    return round(value, digits) + 0.0 if math.isfinite(value) else None  # no -0.0


def minimum_note(told: dict[str, float], supplier: str) -> str:
    """What the smallest order of the supplier does to a suggestion."""
    least = f"{supplier} takes no order below {told['minimum'] / 100:,.2f}"
    if told["short"] == WAITS:
        return f"it waits: {least}, all that is suggested comes to {told['together'] / 100:,.2f}"
    if told["short"] == RAISED:
        return f"raised from {told['wish']:g} to {told['suggested']:g} units: {least}"
    if told["short"] == TOGETHER and told["value"] < told["minimum"]:
        return f"{least}: to be ordered together with its other classes"
    return ""


def why_unknown(evidence: float, days: float) -> str:
    if evidence != UNKNOWN:
        return ""
    from_when = (
        f"from {lead_time.QUIET_DAYS_MIN} such days on, or the first on which something moved"
    )
    if days < 1:
        return (
            "nothing is known of its demand: no whole day with stock has closed since it is known; it is"
            f" told {from_when}"
        )
    return (
        f"nothing is known of its demand: nothing moved on its {days:.0f} whole days with stock; it is told"
        f" {from_when}"
    )


def whole_cents(value: float) -> int | None:
    """An amount of money; ``None``: it is not known."""
    return round(value) if math.isfinite(value) else None


def letter(column: str, value: float) -> str:
    words = CODES["inventory", column]
    return words[int(value)] if math.isfinite(value) and 0 <= value < len(words) else ""
