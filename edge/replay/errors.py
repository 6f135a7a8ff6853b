"""What can be wrong with a replay before its first message. Each message says the cure."""

import difflib
from collections.abc import Iterable

from edge.errors import Rfid3Error


class ReplayError(Rfid3Error):
    """The file or the mapping cannot be used."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to append to a complaint, or nothing.

    >>> did_you_mean("InvoiceNr", ["InvoiceNo", "Country"])
    '; did you mean InvoiceNo?'
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
