"""The configuration's limits, told to the ledger at a start: through the corridor, like all else.

Only when the configuration changed: what people set while the daemon ran stays otherwise. No rules.
"""

import hashlib

import msgspec

from edge.config import Config
from edge.decisions.deeds import SetSafeguards, safeguards
from edge.decisions.rows import Delivery, Safeguards
from edge.ledger.ledger import Ledger


def told_safeguards(ledger: Ledger, config: Config) -> SetSafeguards | None:
    """The command that brings the ledger up to the configuration; ``None``: it knows it already."""
    told = msgspec.to_builtins(config.decisions)
    places = [msgspec.to_builtins(one) for one in config.deliveries]
    source = hashlib.sha256(msgspec.json.encode([told, places])).hexdigest()[:32]
    if safeguards(ledger).source == source:
        return None
    names = {field.name for field in msgspec.structs.fields(Safeguards)}
    limits = {name: value for name, value in told.items() if name in names}
    return SetSafeguards(
        safeguards=Safeguards(
            **limits, source=source, deliveries=msgspec.convert(places, list[Delivery])
        ),
        why="the configuration changed",
    )
