"""What the simulated shop owns and where it lies: classes, tagged items, zones, readers. Data only."""

import random

from msgspec import Struct

from edge.events import Grade

READY = "Ready to Rent"
GRADES: tuple[Grade, ...] = ("A+", "A", "A-", "B+", "B", "B-", "C+", "C", "C-")
"""From best to worst."""


class RentalClass(Struct, frozen=True):
    """A class of things that are rented."""

    sku: str
    name: str
    category: str
    zone: str
    share: int
    price_cents: int
    washed: bool = False


class Article(Struct, frozen=True):
    """Something sold by number, without tags."""

    sku: str
    name: str
    price_cents: int


class Reader(Struct, frozen=True):
    """A fixed reader; ``zones`` by antenna, from 1."""

    name: str
    maker: str
    zones: tuple[str, ...]
    kind: str = "shelf"


class Item(Struct):
    """One tagged thing, as it stands now."""

    epc: str
    rental_class: RentalClass
    bin: str
    grade: int
    loudness_dbm: int
    contract: str = ""
    customer: str = ""
    line: int = 0


CLASSES = (
    RentalClass("61001", "90 Round Linen White", "Round Linen", "linen", 20, 1_150, washed=True),
    RentalClass("61044", "60x120 Rectangle Linen Ivory", "Rectangle Linen", "linen", 16, 1_275, washed=True),
    RentalClass("61202", "Napkin Navy", "Napkins", "linen", 14, 85, washed=True),
    RentalClass("62010", "60 in Round Table", "Tables", "furniture", 12, 1_195),
    RentalClass("62110", "White Folding Chair", "Chairs", "furniture", 22, 325),
    RentalClass("63005", "20x20 Frame Tent Top", "Frame Tent Tops", "tents", 6, 39_500),
    RentalClass("63110", "8x20 Window Sidewall", "Sidewall", "tents", 8, 4_200),
    RentalClass("64001", "Dance Floor Panel 4x4", "Flooring", "tents", 2, 2_450),
)  # fmt: skip

ARTICLES = (
    Article("R-1001", "Taper Candles, box of 12", 1_495),
    Article("R-1002", "Chafing Fuel, can", 349),
    Article("R-1003", "Paper Lantern 12 in", 695),
    Article("R-1004", "Disposable Plates, 50", 2_295),
    Article("R-1005", "Tent Stake 42 in", 1_850),
    Article("R-1006", "Stain Remover", 1_250),
)

READERS = (
    Reader("fx-linen", "zebra", ("linen", "linen")),
    Reader("fx-furniture", "zebra", ("furniture",)),
    Reader("r700-tents", "impinj", ("tents", "tents", "tents")),
    Reader("r700-service", "impinj", ("repair", "wash")),
    Reader("fx-portal", "zebra", ("portal",), "portal"),
    Reader("r700-exit", "impinj", ("exit",), "exit"),
)

MUTED_TAG = "425445FFFFFFFFFFFFFFFF01"
"""Glued to a rack that a reader always sees."""


def make_items(count: int, rng: random.Random) -> list[Item]:
    """Tagged items, shared among the classes; three in four bear RFID3's own numbers, the rest GS1's."""
    shares = [each.share for each in CLASSES]
    items = []
    for number in range(1, count + 1):
        rental_class = rng.choices(CLASSES, shares)[0]
        own = number % 4 != 0
        epc = f"425445{number:018X}" if own else sgtin_96(CLASSES.index(rental_class) + 1, number)
        items.append(
            Item(
                epc=epc,
                rental_class=rental_class,
                bin=f"NR{rng.randrange(1, 6)}x{rng.randrange(1, 4)}",
                grade=rng.choices(range(6), (2, 6, 5, 4, 3, 2))[0],
                loudness_dbm=rng.randrange(-6, 7),
            )
        )
    return items


def sgtin_96(item_reference: int, serial: int) -> str:
    """An SGTIN-96 of a made-up company with seven digits (partition 5), filter 1: sold at a till.

    >>> sgtin_96(812345, 6789)
    '3034257BF7194E4000001A85'
    """
    prefix = 614_141
    bits = (0x30 << 88) | (1 << 85) | (5 << 82) | (prefix << 58) | (item_reference << 38) | serial
    return f"{bits:024X}"


def zones_of(readers: tuple[Reader, ...] = READERS) -> dict[str, tuple[str, list[str]]]:
    """Zone -> (kind, its ``reader/antenna`` names), as the daemon's configuration wants them."""
    zones: dict[str, tuple[str, list[str]]] = {}
    for reader in readers:
        for antenna, zone in enumerate(reader.zones, 1):
            zones.setdefault(zone, (reader.kind, []))[1].append(f"{reader.name}/{antenna}")
    return zones
