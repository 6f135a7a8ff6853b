"""GS1's EPC binary encodings, both ways: enrichment only, never identity. No sockets, no clock.

Most real tags are not GS1's, and a random number may decode cleanly. So a decoded EPC is a hint:
believe it where the tag's PC word does not deny it and its company prefix is one you know
(:class:`EpcReader`). The identity of a tag stays its uppercase hex.

Knows SGTIN-96/198, SSCC-96, SGLN-96/195, GRAI-96/170 and GIAI-96/202, as pure identity URI
(``urn:epc:id:…``), tag URI (``urn:epc:tag:…``), GS1 key and GS1 Digital Link.

Source: GS1 EPC Tag Data Standard 1.13, sections 6.3, 12 and 14 (partition tables 14-1 to 14-26),
table 7-1 (characters), annex E.3 (examples).
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from edge.errors import FormatError

Kind = Literal["sgtin", "sscc", "sgln", "grai", "giai"]

# Partition value -> (bits, digits) of the company prefix; 7 does not exist.
PARTITIONS = ((40, 12), (37, 11), (34, 10), (30, 9), (27, 8), (24, 7), (20, 6))

# Characters of alphanumeric serials (TDS table A-1), and those that a URI must escape.
_SERIAL = re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]+")
_ESCAPES = {'"': "%22", "%": "%25", "&": "%26", "/": "%2F", "<": "%3C", ">": "%3E", "?": "%3F"}
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")


class Scheme(Struct, frozen=True):
    """One binary layout: header 8 | filter 3 | partition 3 | prefix | reference | serial."""

    name: str  # as in the tag URI
    kind: Kind
    header: int
    bits: int
    reference_bits: int  # bits of prefix and reference together
    reference_digits: int  # digits of prefix and reference together; 0: GIAI, the rest of the tag
    serial_bits: int = 0
    serial_text: bool = False  # 7-bit characters instead of a number
    serial_max: int = 0  # characters, for texts
    zeros: int = 0  # unused bits at the end


SCHEMES = (
    Scheme("sgtin-96", "sgtin", 0x30, 96, 44, 13, 38),
    Scheme("sscc-96", "sscc", 0x31, 96, 58, 17, zeros=24),
    Scheme("sgln-96", "sgln", 0x32, 96, 41, 12, 41),
    Scheme("grai-96", "grai", 0x33, 96, 44, 12, 38),
    Scheme("giai-96", "giai", 0x34, 96, 82, 0),
    Scheme("sgtin-198", "sgtin", 0x36, 198, 44, 13, 140, True, 20),
    Scheme("grai-170", "grai", 0x37, 170, 44, 12, 112, True, 16),
    Scheme("giai-202", "giai", 0x38, 202, 188, 0, serial_text=True, serial_max=30),
    Scheme("sgln-195", "sgln", 0x39, 195, 41, 12, 140, True, 20),
)
_BY_HEADER = {s.header: s for s in SCHEMES}
_BY_NAME = {s.name: s for s in SCHEMES}
_SHORT = {s.kind: s for s in SCHEMES if s.bits == 96}
_LONG = {s.kind: s for s in SCHEMES if s.bits > 96}


class Gs1(Struct, frozen=True):
    """One decoded EPC. Texts keep their leading zeros; ``serial`` is unescaped."""

    scheme: str
    """Binary layout, such as ``sgtin-96``."""
    filter: int
    """Packaging level, 0 to 7; for SGTIN 1 is a point-of-sale item."""
    company_prefix: str
    """GS1 company prefix, 6 to 12 digits."""
    reference: str
    """Item reference with indicator, serial reference, location or asset type; empty for GIAI."""
    serial: str
    """Serial, extension or individual asset reference; empty for SSCC."""

    @property
    def kind(self) -> Kind:
        """The key behind it: sgtin, sscc, sgln, grai or giai."""
        return _BY_NAME[self.scheme].kind

    @property
    def uri(self) -> str:
        """Pure identity URI, such as ``urn:epc:id:sgtin:0614141.812345.6789``."""
        return f"urn:epc:id:{self.kind}:{self._body()}"

    @property
    def tag_uri(self) -> str:
        """Tag URI: the layout and filter too."""
        return f"urn:epc:tag:{self.scheme}:{self.filter}.{self._body()}"

    @property
    def key(self) -> str:
        """GTIN-14, SSCC-18, GLN-13, GRAI (13 digits and serial, without the leading 0) or GIAI."""
        prefix, reference = self.company_prefix, self.reference
        if self.kind in ("sgtin", "sscc"):
            return with_check_digit(reference[:1] + prefix + reference[1:])
        if self.kind == "giai":
            return prefix + self.serial
        key = with_check_digit(prefix + reference)
        return key + self.serial if self.kind == "grai" else key

    @property
    def gtin(self) -> str:
        """GTIN-14 of an SGTIN, else empty."""
        return self.key if self.kind == "sgtin" else ""

    def _body(self) -> str:
        serial = _escape(self.serial)
        if self.kind == "sscc":
            return f"{self.company_prefix}.{self.reference}"
        if self.kind == "giai":
            return f"{self.company_prefix}.{serial}"
        return f"{self.company_prefix}.{self.reference}.{serial}"


def with_check_digit(digits: str) -> str:
    """Append the modulo-10 check digit of GTIN, SSCC and GLN.

    Source: GS1 General Specifications, section 7.9.

    >>> with_check_digit("8061414112345")
    '80614141123458'
    """
    weighted = sum(int(d) * (1 if i % 2 else 3) for i, d in enumerate(reversed(digits)))
    return digits + str(-weighted % 10)


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in text) if not text.isalnum() else text


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text) if "%" in text else text


# ── binary -> identity ────────────────────────────────────────────────────────────────────────


def decode(epc: str) -> Gs1:
    """The GS1 identity in an EPC's hex digits.

    Raises FormatError (``bad_epc``) where it is none: another header, a wrong length, partition 7,
    a field with more digits than its partition allows, or bits set where the layout has none.

    >>> decode("3074257BF7194E4000001A85").uri
    'urn:epc:id:sgtin:0614141.812345.6789'
    """
    try:
        data = bytes.fromhex(epc)
    except ValueError:
        raise FormatError("bad_epc", "not hex digits") from None
    scheme = _BY_HEADER.get(data[0]) if data else None
    if scheme is None:
        raise FormatError("bad_epc", "the header is not a GS1 scheme known here")
    spare = len(data) * 8 - scheme.bits
    if len(data) not in (_octets(scheme.bits), _words(scheme.bits)):
        raise FormatError("bad_epc", f"{scheme.name} has {scheme.bits} bits, not {len(data) * 8}")
    number = int.from_bytes(data, "big")
    if number & ((1 << spare) - 1):
        raise FormatError("bad_epc", "bits set after the end")
    return _split(scheme, number >> spare)


def _octets(bits: int) -> int:
    """Bytes that hold ``bits``."""
    return -(-bits // 8)


def _words(bits: int) -> int:
    """Bytes that hold ``bits`` in the 16-bit words of a tag's memory."""
    return -(-bits // 16) * 2


def _split(scheme: Scheme, number: int) -> Gs1:
    """Header and fields of a whole EPC, most significant bit first."""
    left = scheme.bits - 14
    rest = number & ((1 << left) - 1)
    filter_value, partition = (number >> (left + 3)) & 7, (number >> left) & 7
    if partition == 7:
        raise FormatError("bad_epc", "partition 7 does not exist")
    prefix_bits, prefix_digits = PARTITIONS[partition]
    left -= prefix_bits
    prefix = _digits(rest >> left, prefix_digits, "company prefix")
    rest &= (1 << left) - 1
    if not scheme.reference_digits:  # GIAI: the rest of the tag is the asset reference
        serial = _text(rest, left, 30 - prefix_digits) if scheme.serial_text else str(rest)
        return Gs1(scheme.name, filter_value, prefix, "", serial)
    left -= scheme.reference_bits - prefix_bits
    reference = _digits(rest >> left, scheme.reference_digits - prefix_digits, "reference")
    rest &= (1 << left) - 1
    if scheme.zeros:
        if rest:
            raise FormatError("bad_epc", "bits set after the end")
        return Gs1(scheme.name, filter_value, prefix, reference, "")
    serial = _text(rest, left, scheme.serial_max) if scheme.serial_text else str(rest)
    return Gs1(scheme.name, filter_value, prefix, reference, serial)


def _digits(value: int, digits: int, what: str) -> str:
    if value >= 10**digits:
        raise FormatError("bad_epc", f"the {what} has more than {digits} digits")
    return str(value).zfill(digits) if digits else ""


def _text(value: int, bits: int, longest: int) -> str:
    """7-bit characters from the left, ended by zeros."""
    spare = bits % 7
    if value & ((1 << spare) - 1):
        raise FormatError("bad_epc", "bits set after the serial")
    value >>= spare
    count = bits // 7
    codes = [(value >> (7 * (count - 1 - i))) & 0x7F for i in range(count)]
    text = "".join(map(chr, codes)).rstrip("\0")
    if len(text) > longest or not _SERIAL.fullmatch(text):
        raise FormatError("bad_epc", "the serial has characters that GS1 does not allow")
    return text


# ── identity -> binary ────────────────────────────────────────────────────────────────────────


def encode(identity: Gs1, *, words: bool = False) -> str:
    """Uppercase hex of an identity; ``decode`` gives it back.

    ``words``: padded to whole 16-bit words, as a reader reports long EPCs; else to whole bytes.
    Raises FormatError (``bad_epc``) where a field does not fit its layout.

    >>> encode(from_uri("urn:epc:tag:sgtin-96:3.0614141.812345.6789"))
    '3074257BF7194E4000001A85'
    """
    scheme = _BY_NAME.get(identity.scheme)
    if scheme is None:
        raise FormatError("bad_epc", f"no scheme {identity.scheme[:20]}")
    prefix = identity.company_prefix
    if not 6 <= len(prefix) <= 12 or not 0 <= identity.filter <= 7:
        raise FormatError("bad_epc", "a company prefix has 6 to 12 digits, a filter is 0 to 7")
    partition = 12 - len(prefix)
    prefix_bits, prefix_digits = PARTITIONS[partition]
    number = (scheme.header << 6 | identity.filter << 3 | partition) << prefix_bits
    number |= _number(prefix, prefix_digits)
    reference_bits = scheme.reference_bits - prefix_bits
    if not scheme.reference_digits:
        serial_max = 30 - prefix_digits
        number = number << reference_bits | _serial(identity, scheme, reference_bits, serial_max)
    else:
        reference = _number(identity.reference, scheme.reference_digits - prefix_digits)
        number = number << reference_bits | reference
        serial = _serial(identity, scheme, scheme.serial_bits, scheme.serial_max)
        number = (number << scheme.serial_bits | serial) << scheme.zeros
    size = _words(scheme.bits) if words else _octets(scheme.bits)
    return (number << (size * 8 - scheme.bits)).to_bytes(size, "big").hex().upper()


def _number(text: str, digits: int) -> int:
    if len(text) != digits or (text and not (text.isascii() and text.isdigit())):
        raise FormatError("bad_epc", f"expected {digits} digits, not {text[:20]!r}")
    return int(text or "0")


def _serial(identity: Gs1, scheme: Scheme, bits: int, longest: int) -> int:
    """The serial field's value. A number must be canonical: no leading zeros, and it must fit."""
    text = identity.serial
    if not bits:
        if text:
            raise FormatError("bad_epc", f"{scheme.name} has no serial")
        return 0
    if scheme.serial_text:
        if not 0 < len(text) <= longest or not _SERIAL.fullmatch(text):
            raise FormatError("bad_epc", f"serial {text[:20]!r} does not fit {scheme.name}")
        value = 0
        for char in text:
            value = value << 7 | ord(char)
        return value << (bits - 7 * len(text))
    if not _fits_number(text, bits):
        raise FormatError("bad_epc", f"serial {text[:20]!r} does not fit {scheme.name}")
    return int(text)


def _fits_number(text: str, bits: int) -> bool:
    canonical = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    return canonical and len(text) <= 30 and int(text) < 1 << bits


def from_uri(uri: str, *, filter_value: int | None = None) -> Gs1:
    """An identity from a tag URI or a pure identity URI.

    A pure identity does not say which layout and filter its tag has: the short layout is taken
    where the serial fits it, and filter 1 (point-of-sale item) for SGTIN, 0 for the others, unless
    ``filter_value`` says otherwise. Raises FormatError (``bad_epc``).

    >>> from_uri("urn:epc:id:grai:0614141.12345.400").scheme
    'grai-96'
    """
    parts = uri.split(":", 4)
    if len(parts) != 5 or parts[:2] != ["urn", "epc"] or parts[2] not in ("id", "tag"):
        raise FormatError("bad_epc", f"not an EPC URI: {uri[:60]}")
    _, _, form, name, body = parts
    fields = body.split(".")
    if form == "tag":
        scheme = _BY_NAME.get(name)
        if scheme is None or fields[0] not in set("01234567"):
            raise FormatError("bad_epc", f"not a tag URI known here: {uri[:60]}")
        return _checked(_of_fields(scheme.name, scheme.kind, int(fields[0]), fields[1:]))
    short = _SHORT.get(name)  # type: ignore[call-overload]
    if short is None:
        raise FormatError("bad_epc", f"no layout for {name[:20]}")
    level = filter_value if filter_value is not None else int(name == "sgtin")
    identity = _of_fields(short.name, short.kind, level, fields)
    return _shortest(identity)


def _of_fields(scheme: str, kind: Kind, level: int, fields: list[str]) -> Gs1:
    """``prefix.reference.serial``; a serial may hold dots, an SSCC has none, a GIAI no reference."""
    prefix, rest = fields[0], fields[1:]
    if kind == "giai":
        return Gs1(scheme, level, prefix, "", _unescape(".".join(rest)))
    reference = rest[0] if rest else ""
    return Gs1(scheme, level, prefix, reference, _unescape(".".join(rest[1:])))


def _checked(identity: Gs1) -> Gs1:
    encode(identity)
    return identity


def _shortest(identity: Gs1) -> Gs1:
    """The same identity in the 96-bit layout where it fits, else in the long one."""
    long = _LONG.get(identity.kind)
    try:
        return _checked(identity)
    except FormatError:
        if long is None:
            raise
    return _checked(
        Gs1(
            long.name,
            identity.filter,
            identity.company_prefix,
            identity.reference,
            identity.serial,
        )
    )


# ── GS1 Digital Link ──────────────────────────────────────────────────────────────────────────

_LINK = re.compile(
    r"https?://[^/]+(?:/[^?#]*?)?/(?:"
    r"01/(?P<sgtin>\d{8}|\d{12,14})(?:/22/[^/?#]+)?(?:/10/[^/?#]+)?(?:/21/(?P<item>[^/?#]+))?"
    r"|00/(?P<sscc>\d{18})"
    r"|414/(?P<sgln>\d{13})(?:/254/(?P<place>[^/?#]+))?"
    r"|8003/0(?P<grai>\d{13})(?P<asset>[^/?#]*)"
    r"|8004/(?P<giai>[^/?#]+)"
    r")(?:[?#].*)?",
    re.ASCII,
)


def gtin_of_link(link: str) -> str:
    """GTIN-14 named by a Digital Link, or empty.

    >>> gtin_of_link("https://id.gs1.org/01/70614141123451/21/2017")
    '70614141123451'
    """
    found = _LINK.fullmatch(link)
    return found["sgtin"].zfill(14) if found and found["sgtin"] else ""


def from_link(link: str, company_prefixes: Sequence[str]) -> Gs1:
    """An identity from a GS1 Digital Link.

    A link does not say how long its company prefix is, so only prefixes known to the caller can be
    found in it. Raises FormatError (``bad_epc``) for an unknown prefix, a wrong check digit, or a
    link to a class instead of one item.
    """
    found = _LINK.fullmatch(link)
    if found is None:
        raise FormatError("bad_epc", f"not a Digital Link known here: {link[:60]}")
    kind, digits, serial = _of_link(found)
    for prefix in sorted(company_prefixes, key=len, reverse=True):
        if digits.startswith(prefix, 1 if kind in ("sgtin", "sscc") else 0):
            return _shortest(_of_key(kind, digits, prefix, serial))
    raise FormatError("bad_epc", f"no known company prefix in {link[:60]}")


def _of_link(found: re.Match[str]) -> tuple[Kind, str, str]:
    """Key kind, key digits (with check digit) and serial."""
    serials: dict[Kind, str] = {"sgtin": "item", "sgln": "place", "grai": "asset"}
    for kind in _SHORT:
        digits = found[kind]
        if digits:
            serial = _unescape(found[serials[kind]] or "") if kind in serials else ""
            if kind == "sgtin":
                digits = digits.zfill(14)
            if kind == "sgln":
                serial = serial or "0"
            return kind, _unescape(digits), serial
    raise FormatError("bad_epc", "a Digital Link without a key")


def _of_key(kind: Kind, key: str, prefix: str, serial: str) -> Gs1:
    scheme = _SHORT[kind].name
    if kind == "giai":
        return Gs1(scheme, 0, prefix, "", key[len(prefix) :])
    if with_check_digit(key[:-1]) != key:
        raise FormatError("bad_epc", f"wrong check digit in {key}")
    end = len(prefix)
    if kind in ("sgtin", "sscc"):
        reference = key[0] + key[1 + end : -1]
        return Gs1(scheme, int(kind == "sgtin"), prefix, reference, serial)
    return Gs1(scheme, 0, prefix, key[end:-1], serial)


# ── which of them to believe ──────────────────────────────────────────────────────────────────


def pc_denies_gs1(pc: str) -> bool:
    """Whether a tag's protocol control word says that its EPC memory is not GS1's.

    Bit 17h (the toggle) is 0 for an EPC and 1 for an ISO 15961 application family. Source: GS1
    UHF Gen2 air interface, 6.3.2.1.2.2. An unreadable word denies nothing.

    >>> pc_denies_gs1("3000"), pc_denies_gs1("3100"), pc_denies_gs1("")
    (False, True, False)
    """
    try:
        return len(pc) >= 4 and bool(int(pc[:4], 16) & 0x100)
    except ValueError:
        return False


class EpcReader:
    """Decodes the EPCs that may be believed; remembers the last ``limit`` answers."""

    def __init__(self, company_prefixes: Sequence[str] = (), limit: int = 4_096) -> None:
        """``company_prefixes``: those believed; empty: any that decodes."""
        assert limit > 0, limit
        self._prefixes = frozenset(company_prefixes)
        self._limit = limit
        self._known: OrderedDict[tuple[str, bool], Gs1 | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, epc: str, pc: str = "") -> Gs1 | None:
        """What the tag says it is, or None where it is not GS1's or not to be believed."""
        key = (epc, pc_denies_gs1(pc))
        try:
            self._known.move_to_end(key)
            return self._known[key]
        except KeyError:
            found = None if key[1] else self._decode(epc)
        self._known[key] = found
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return found

    def _decode(self, epc: str) -> Gs1 | None:
        try:
            found = decode(epc)
        except FormatError:
            return None
        return found if not self._prefixes or found.company_prefix in self._prefixes else None
