"""Payloads that are one text: a bare UID, or the words of a last will. No JSON.

Impinj readers say ``connected`` and ``connection lost``, Tasmota ``Online`` and ``Offline``.
"""

from edge.events import TagRead
from edge.ingest.formats import values
from edge.ingest.formats.reading import Reading

WORDS = {
    "connected": "online",
    "online": "online",
    "connection lost": "offline",
    "disconnected": "offline",
    "offline": "offline",
}
"""Last words and first words of readers -> their status; compared trimmed, in lower case."""

_HEX = frozenset("0123456789abcdefABCDEF")
_DROP = str.maketrans("", "", "-: ")


def is_uid(text: str) -> bool:
    """Whether a text is a UID: 8 to 64 hex digits, separators aside.

    >>> is_uid("d1f21b2b"), is_uid("E0-04-01-50-12-34-56-78"), is_uid("23.5"), is_uid("beef")
    (True, True, False, False)
    """
    digits = text.translate(_DROP)
    return 8 <= len(digits) <= 64 and _HEX.issuperset(digits)


def read_word(text: str, reading: Reading) -> bool:
    """A reader's last or first words; False where the text is none."""
    status = WORDS.get(text.lower())
    if status is None:
        return False
    reading.status(reading.source.named(), status, text, reading.moment(None))
    return True


def read(text: str, reading: Reading) -> None:
    """A UID, or the text of a sticker. Raises FormatError (``bad_epc``)."""
    reading.add(
        TagRead(
            at=reading.arrival_ms,
            time_quality="arrival",
            store=reading.source.store,
            source=reading.source.named(),
            epc=values.identity(text),
        )
    )
