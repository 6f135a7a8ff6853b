"""Single values, read with tolerance: a device's nonsense in one field never costs the read.

Only what identifies something raises; everything else falls back to "not told".
"""

import base64
import binascii
from typing import Any

from edge.errors import FormatError

NAME_MAX = 128
"""Longest identity or name, characters."""
ANTENNA_MAX = 255
"""Highest antenna port believed."""
COUNT_MAX = 1_000_000
"""Most reads folded into one event that are believed."""
SEQ_MAX = 2**63 - 1
RSSI_MIN_DBM = -150.0
RSSI_MAX_DBM = 50.0

HEX = "0123456789ABCDEF"
_SEPARATORS = str.maketrans("", "", "-: ")
_BASE64_CACHE_MAX = 32_768
_from_base64: dict[str, str] = {}


def identity(told: object) -> str:
    """A tag's identity: uppercase hex without separators, or the trimmed text of a sticker or QR.

    Raises FormatError (``bad_epc``) where it is empty, too long or has control characters.

    >>> identity("e2-80 11:60"), identity(" TENT/7 "), identity(1234)
    ('E2801160', 'TENT/7', '1234')
    """
    if isinstance(told, int) and not isinstance(told, bool):
        told = str(told) if 0 <= told < 1 << 128 else ""
    if not isinstance(told, str):
        raise FormatError("bad_epc", f"a tag's id must be text, not {type(told).__name__}")
    if told and not told.strip(HEX) and len(told) <= NAME_MAX:
        return told
    text = told.strip()
    digits = text.translate(_SEPARATORS).upper() if len(text) <= 3 * NAME_MAX else ""
    if digits and not digits.strip(HEX) and digits.isascii() and len(digits) <= NAME_MAX:
        return digits
    if not text or len(text) > NAME_MAX or not text.isprintable():
        raise FormatError("bad_epc", f"a tag's id must be 1 to {NAME_MAX} printable characters")
    return text


def hex_identity(told: object) -> str:
    """A tag's identity from a field that can only hold hex. Raises FormatError (``bad_epc``)."""
    text = identity(told)
    if text.strip(HEX):
        raise FormatError("bad_epc", f"not hex digits: {text[:40]}")
    return text


def optional_hex(told: object) -> str:
    """A chip id or control word: uppercase hex, or empty where it is not told or unreadable."""
    if not told:
        return ""
    try:
        return hex_identity(told)
    except FormatError:
        return ""


_WORDS_CACHED_MAX = 1_024
_control_words: dict[str, str] = {}
_devices: dict[str, str] = {}


def control_word(told: str) -> str:
    """A PC word as :func:`optional_hex` reads it; a shop has few, so they are remembered."""
    found = _control_words.get(told)
    return found if found is not None else _remembered(_control_words, told, optional_hex(told))


def device(told: str) -> str:
    """A device's name as :func:`name` reads it; a shop has few, so they are remembered."""
    found = _devices.get(told)
    return found if found is not None else _remembered(_devices, told, name(told))


def _remembered(cache: dict[str, str], told: str, found: str) -> str:
    if len(cache) < _WORDS_CACHED_MAX and len(told) <= NAME_MAX:
        cache[told] = found
    return found


def hex_of_base64(text: str) -> str:
    """Uppercase hex of base64 in either alphabet, padded or not. Raises FormatError.

    >>> hex_of_base64("ikUCJA=="), hex_of_base64("4oARYGAAAgpmgfI_")
    ('8A450224', 'E28011606000020A6681F23F')
    """
    found = _from_base64.get(text)
    if found is None:
        found = _decode_base64(text)
        if len(_from_base64) >= _BASE64_CACHE_MAX:
            _from_base64.clear()
        _from_base64[text] = found
    return found


def _decode_base64(text: str) -> str:
    if not text.isascii() or not 0 < len(text) <= 4 * NAME_MAX:
        raise FormatError("bad_epc", f"not base64: {text[:40]!r}")
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)
    except binascii.Error:
        raise FormatError("bad_epc", f"not base64: {text[:40]!r}") from None
    if not 0 < len(data) <= NAME_MAX // 2:
        raise FormatError("bad_epc", f"base64 of {len(data)} bytes; an EPC has 1 to 64")
    return data.hex().upper()


def base64_of_hex(digits: str) -> str:
    """The other way: URL-safe base64 without padding, as Impinj readers write it.

    >>> base64_of_hex("E28011606000020A6681F23F")
    '4oARYGAAAgpmgfI_'
    """
    return base64.urlsafe_b64encode(bytes.fromhex(digits)).rstrip(b"=").decode()


def name(told: object) -> str:
    """A device's or person's name, trimmed; empty where not told; never over 128 characters."""
    if told is None:
        return ""
    if type(told) is str:
        if len(told) <= NAME_MAX and told.isprintable():
            return told.strip()
        return free_text(told, NAME_MAX).rstrip()  # the cut may leave a blank
    if isinstance(told, int) and not isinstance(told, bool) and abs(told) < 1 << 63:
        return str(told)
    return ""


def free_text(told: object, longest: int) -> str:
    """Words for people: control characters become blanks, the rest is cut at ``longest``."""
    if not isinstance(told, str):
        return name(told)
    text = told[: 4 * longest]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text.strip()[:longest]


def number(told: object) -> float | None:
    """A finite number, also as text; None where it is neither.

    >>> number("12.375"), number(True), number("nan"), number(10**400)
    (12.375, None, None, None)
    """
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    if isinstance(told, str) and (len(told) > 40 or "_" in told):
        return None
    try:
        value = float(told)
    except (ValueError, OverflowError):
        return None
    return value if -1e300 < value < 1e300 else None


def integer(told: object, low: int, high: int, otherwise: int) -> int:
    """A whole number within limits, else ``otherwise``; 3.0 is whole, true is not a number."""
    if type(told) is float and told.is_integer():
        told = int(told)
    return told if type(told) is int and low <= told <= high else otherwise


def antenna(told: object) -> int:
    """Antenna port from 1; 0 where not told."""
    return integer(told, 1, ANTENNA_MAX, 0)


def rssi(told: Any, scale: float = 1.0) -> float | None:
    """Signal strength in dBm; None where not told or impossible."""
    if type(told) is not float and type(told) is not int:
        return None
    if not -1e6 < told < 1e6:
        return None
    dbm = told / scale
    return dbm if RSSI_MIN_DBM <= dbm <= RSSI_MAX_DBM else None


def truth(told: object) -> bool:
    """RFID3's booleans: true, 1, or the text "True".

    >>> truth("True"), truth("False"), truth(1), truth(None)
    (True, False, True, False)
    """
    if isinstance(told, str):
        return told.strip().lower() in ("true", "1", "yes", "t", "y")
    return told is True or told == 1
