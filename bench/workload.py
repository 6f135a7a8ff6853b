"""The messages every bench is fed with: what a shop's readers, handhelds and tills send, in their
makers' formats.

Not a shop: nothing here is rented before it is returned, and nobody leaves. Each message holds one
event, as Zebra and Impinj readers send them (an array of reads is cheaper an event). Items are drawn
uniformly, so that the next one is never in the processor's cache: the worst case; ``skew`` draws a
few of them often instead. An item is read where it lives (item number modulo readers), 1 read in 100
elsewhere.

    python -m bench.workload --port 1883 --rate 2000 --seconds 10     publishes at a steady rate
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from random import Random

import msgspec
import numpy as np
import uvloop
from msgspec import Struct
from numpy.typing import NDArray

from edge.config import Config, Mqtt, SourceRule, Zone
from edge.ingest.formats.values import base64_of_hex
from edge.ingest.mqtt import publisher
from edge.ingest.mqtt_publish import Outgoing
from edge.records import Message

READERS = 16
CLASSES = 900
ELSEWHERE = 0.01
MIX = (("zebra", 0.55), ("impinj", 0.35), ("native", 0.05), ("scan", 0.04), ("line", 0.01))
"""Share of the messages by kind: 95 % tag reads, 4 % scans by people, 1 % document lines."""

SAID = (
    "messages of about 190 bytes, one event each: 55 % Zebra, 35 % Impinj and 5 % native tag reads, "
    "4 % handheld scans (half rentals, half returns), 1 % document lines"
)
SOURCES = [SourceRule(topic="handheld/+/scans", format="rfid3", reader_level=1)]


class Made(Struct, gc=False):
    """One message before it is sent: its topic and its bytes."""

    topic: str
    payload: bytes


def epc(item: int) -> str:
    """The tag id of an item: 96 bits, uppercase hex.

    >>> epc(255)
    '3034257BF7194E40000000FF'
    """
    return f"3034257BF7194E40{item:08X}"


def sku(item: int, classes: int = CLASSES) -> str:
    """The class an item belongs to."""
    return f"SKU{item % classes:04d}"


def uniform(items: int, count: int, seed: int) -> NDArray[np.int64]:
    """int64[count] item numbers, every item equally likely."""
    return np.random.default_rng(seed).integers(0, items, count)


def skewed(items: int, count: int, seed: int) -> NDArray[np.int64]:
    """int64[count] item numbers, the r-th most read item in proportion to 1/r (Zipf's law)."""
    chance = np.random.default_rng(seed)
    # the inverse of the distribution function, H(r) being about ln r
    ranks = np.exp(chance.random(count) * np.log(items + 1)).astype(np.int64) - 1
    drawn: NDArray[np.int64] = chance.permutation(items)[np.minimum(ranks, items - 1)]
    return drawn


class Workload:
    """Makes messages of the production mix, dated by the caller.

    The same seed gives the same messages. Times are UTC, as the makers write them.
    """

    def __init__(self, seed: int = 1, classes: int = CLASSES) -> None:
        self._chance = Random(seed)
        self._classes = classes
        self._number = 0
        self._second = -1
        self._text = ""
        self._kinds = [kind for kind, _ in MIX]
        self._weights = [share for _, share in MIX]

    def messages(self, items: NDArray[np.int64], from_ms: int, per_s: float) -> Iterator[Made]:
        """One message for each of ``items``, its event dated ``from_ms`` and on, ``per_s`` a second."""
        kinds = self._chance.choices(self._kinds, self._weights, k=len(items))
        makers = {kind: getattr(self, f"_{kind}") for kind in self._kinds}
        step_ms = 1000 / per_s
        for i, (item, kind) in enumerate(zip(items.tolist(), kinds, strict=True)):
            self._number += 1
            yield makers[kind](item, from_ms + int(i * step_ms))

    def arrays(
        self, items: NDArray[np.int64], size: int, from_ms: int, per_s: float
    ) -> Iterator[Made]:
        """Tag reads only, ``size`` to a message, as a Zebra reader sends them that batches."""
        made: list[Made] = []
        for one in self.reads(items, from_ms, per_s):
            made.append(one)
            if len(made) == size:
                yield Made(made[0].topic, b"[" + b",".join(m.payload for m in made) + b"]")
                made = []

    def reads(self, items: NDArray[np.int64], from_ms: int, per_s: float) -> Iterator[Made]:
        """The same, tag reads only."""
        step_ms = 1000 / per_s
        for i, item in enumerate(items.tolist()):
            self._number += 1
            yield self._zebra(item, from_ms + int(i * step_ms))

    def scans(self, items: NDArray[np.int64], from_ms: int, per_s: float) -> Iterator[Made]:
        """The same, rental scans only."""
        step_ms = 1000 / per_s
        for i, item in enumerate(items.tolist()):
            self._number += 1
            yield self._rental(item, from_ms + int(i * step_ms), "Rental")

    def _where(self, item: int) -> tuple[int, int]:
        """Reader and antenna that see an item now."""
        if self._chance.random() < ELSEWHERE:
            item = self._chance.randrange(1 << 30)
        return item % READERS, 1 + item // READERS % 4

    def _moment(self, at_ms: int) -> str:
        second, millisecond = divmod(at_ms, 1000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{millisecond:03d}"

    def _zebra(self, item: int, at_ms: int) -> Made:
        reader, antenna = self._where(item)
        text = (
            f'{{"data":{{"CRC":"ab12","PC":"3000","antenna":{antenna},"channel":911.75,'
            f'"eventNum":{self._number},"format":"epc","idHex":"{epc(item)}",'
            f'"peakRssi":{-40 - self._number % 35},"reads":{1 + self._number % 3}}},'
            f'"timestamp":"{self._moment(at_ms)}+0000","type":"SIMPLE"}}'
        )
        return Made(f"zebra/reader{reader}/data", text.encode())

    def _impinj(self, item: int, at_ms: int) -> Made:
        reader, antenna = self._where(item)
        text = (
            f'{{"timestamp":"{self._moment(at_ms)}{self._number % 1000:03d}Z",'
            f'"hostname":"reader{reader}","eventType":"tagInventory","tagInventoryEvent":{{'
            f'"epc":"{base64_of_hex(epc(item))}","antennaPort":{antenna},'
            f'"peakRssiCdbm":{-4000 - self._number % 3500},"frequency":902750}}}}'
        )
        return Made(f"impinj/reader{reader}/tagInventory", text.encode())

    def _native(self, item: int, at_ms: int) -> Made:
        reader, antenna = self._where(item)
        text = (
            f'{{"epc":"{epc(item)}","at":{at_ms},"antenna":{antenna},'
            f'"rssi_dbm":{-40 - self._number % 35},"seq":{self._number}}}'
        )
        return Made(f"rfid3/main/tag_read/reader{reader}", text.encode())

    def _scan(self, item: int, at_ms: int) -> Made:
        return self._rental(item, at_ms, "Rental" if self._number & 1 else "Return")

    def _rental(self, item: int, at_ms: int, scan_type: str) -> Made:
        moment = self._moment(at_ms).replace("T", " ")
        text = (
            f'{{"tag_id":"{epc(item)}","scan_type":"{scan_type}","scan_date":"{moment}",'
            f'"contract_number":"C{self._number}","rental_class_id":"{sku(item, self._classes)}",'
            f'"status":"{"On Rent" if scan_type == "Rental" else "Ready to Rent"}","quality":"A-"}}'
        )
        return Made("handheld/desk1/scans", text.encode())

    def _line(self, item: int, at_ms: int) -> Made:
        text = (
            f'{{"document":"R{self._number}","line":1,"kind":"sale","sku":"{sku(item, self._classes)}",'
            f'"quantity":1,"price_cents":1995,"at":{at_ms}}}'
        )
        return Made("rfid3/main/pos_line/till1", text.encode())


def zones() -> list[Zone]:
    """A zone a pair of readers, those that Zebra's and those that Impinj's topics name alike."""
    return [
        Zone(name=f"zone{i}", readers=[f"reader{i}", f"reader{i + 1}"])
        for i in range(0, READERS, 2)
    ]


def arriving(made: Iterator[Made], from_ms: int, per_s: float) -> list[Message]:
    """The messages as the corridor sees them, ``per_s`` a second from ``from_ms``."""
    step_ms = 1000 / per_s
    return [
        Message(m.topic, m.payload, from_ms + int(i * step_ms), 1, i % 65_535 + 1, 1)
        for i, m in enumerate(made)
    ]


def shop(config: Config | None = None) -> Config:
    """A configuration that knows the workload's readers and formats."""
    return msgspec.structs.replace(config or Config(), zones=zones(), sources=SOURCES)


async def publish_steadily(
    settings: Mqtt,
    items: int,
    per_s: float,
    seconds: float,
    seed: int = 7,
    classes: int = CLASSES,
) -> int:
    """Publish the mix at a steady rate (QoS 1, every millisecond what is due); how many.

    As even as that, because a burst with a pause after it makes the corridor commit early, which
    many readers together never give it.
    """
    chunk = max(1, round(per_s / 1_000))
    count = max(chunk, int(per_s * seconds))
    workload, drawn = Workload(seed, classes), uniform(items, count, seed)
    async with publisher(settings, "bench-steady") as client:
        began = time.perf_counter()
        for start in range(0, count, chunk):
            await asyncio.sleep(max(0.0, began + start / per_s - time.perf_counter()))
            part = drawn[start : start + chunk]
            made = workload.messages(part, int(time.time() * 1000), 1e6)
            await client.publish_many((Outgoing(m.topic, m.payload) for m in made), 1)
    return count


def main() -> int:
    """Publish at a steady rate to a broker of this machine."""
    parser = argparse.ArgumentParser(description="Publish the benches' messages at a steady rate.")
    parser.add_argument("--port", type=int, default=1883, help="the broker's port (1883)")
    parser.add_argument("--items", type=int, default=20_000, help="how many items (20000)")
    parser.add_argument("--rate", type=float, default=2_000, help="messages a second (2000)")
    parser.add_argument("--seconds", type=float, default=10, help="how long (10)")
    parser.add_argument("--classes", type=int, default=CLASSES, help=f"how many ({CLASSES})")
    given = parser.parse_args()
    settings = Mqtt(port=given.port)
    steadily = publish_steadily(
        settings, given.items, given.rate, given.seconds, classes=given.classes
    )
    uvloop.run(steadily)
    return 0


if __name__ == "__main__":
    sys.exit(main())
