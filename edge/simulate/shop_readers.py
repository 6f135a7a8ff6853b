"""The readers of a simulated shop: what they see, and how they fail. They know tags, not goods."""

from collections import Counter
from functools import partial

from edge.simulate import speak
from edge.simulate.shop_stage import NS_PER_MS, Stage
from edge.simulate.stock import MUTED_TAG, READERS, Item, Reader

SHELF_READERS = tuple(reader for reader in READERS if reader.kind == "shelf")
DOOR_READERS = tuple(reader for reader in READERS if reader.kind != "shelf")
IMPINJ_READERS = tuple(reader for reader in READERS if reader.maker == "impinj")
READS_MAX = 8


class Readers:
    """All readers of one shop."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._heartbeat_ms = int(stage.settings.heartbeat_s * 1000)
        self._last_read: dict[tuple[str, str], int] = {}
        self._seen: Counter[str] = Counter()  # messages by reader
        self._away: set[str] = set()

    def open(self) -> None:
        """Each says that it is well, from now on, one after the other."""
        for place, reader in enumerate(READERS):
            first_ms = self._stage.now_ms + place * self._heartbeat_ms // len(READERS)
            self._stage.at(first_ms, partial(self.heartbeat, reader))

    def heartbeat(self, reader: Reader) -> None:
        """A reader says that it is well, and will again."""
        self._stage.at(self._stage.now_ms + self._heartbeat_ms, partial(self.heartbeat, reader))
        if reader.name in self._away:
            return
        if reader.maker == "zebra":
            said = speak.zebra_heartbeat(
                self._stage.now_ms,
                event_number=self._next_number(reader),
                tag_reads=self._seen[reader.name],
                uptime_s=(self._stage.now_ms - self._stage.start_ms) // 1000,
                antennas=len(reader.zones),
            )
            self._stage.say(f"zebra/{reader.name}/events", speak.payload(said), "zebra", qos=0)
        else:
            said = speak.impinj_status(
                self._stage.now_ms * NS_PER_MS, "running", hostname=reader.name
            )
            self._stage.say(f"impinj/{reader.name}", speak.payload(said), "impinj", qos=0)

    def _next_number(self, reader: Reader) -> int:
        self._seen[reader.name] += 1
        return self._seen[reader.name]

    def read(self) -> None:
        """A shelf's reader reports some of what lies before one of its antennas."""
        reader = self._stage.rng.choice(SHELF_READERS)
        antenna = self._stage.rng.randrange(len(reader.zones)) + 1
        lying = self._stage.lying[reader.zones[antenna - 1]]
        seen = self._stage.rng.sample(
            lying, min(len(lying), self._stage.rng.randrange(1, READS_MAX + 1))
        )
        tags = [(item.epc, item.loudness_dbm) for item in seen]
        if reader is SHELF_READERS[0] and self._stage.rng.random() < 0.5:
            tags.append((MUTED_TAG, 9))
        self._report(reader, antenna, tags)

    def _report(self, reader: Reader, antenna: int, tags: list[tuple[str, int]]) -> None:
        """A reader tells of tags; it never reports one tag twice within a millisecond."""
        fresh = [
            tag for tag in tags if self._last_read.get((reader.name, tag[0])) != self._stage.now_ms
        ]
        if not fresh or reader.name in self._away:
            return
        for epc, _ in fresh:
            self._last_read[(reader.name, epc)] = self._stage.now_ms
        unset = self._stage.rng.random() < self._stage.settings.noise.clock_unset
        at_ms = self._seen[reader.name] if unset else self._stage.now_ms
        if reader.maker == "zebra":
            self._report_zebra(reader, antenna, fresh, at_ms)
        else:
            self._report_impinj(reader, antenna, fresh, at_ms)
        if not unset:
            self._stage.say_it_twice()

    def _report_zebra(
        self, reader: Reader, antenna: int, tags: list[tuple[str, int]], at_ms: int
    ) -> None:
        said = [
            speak.zebra_read(
                at_ms,
                epc,
                mode="PORTAL" if reader.kind == "portal" else "INVENTORY",
                antenna=antenna,
                rssi_dbm=self._loudness(loudness),
                reads=self._stage.rng.randrange(1, 9),
                event_number=self._next_number(reader),
                offset_minutes=-360,
            )
            for epc, loudness in tags
        ]
        payload = speak.payload(said if len(said) > 1 else said[0])
        self._stage.say(f"zebra/{reader.name}/data", payload, "zebra", len(said))

    def _report_impinj(
        self, reader: Reader, antenna: int, tags: list[tuple[str, int]], at_ms: int
    ) -> None:
        said = [
            speak.impinj_read(
                at_ms * NS_PER_MS + self._stage.rng.randrange(NS_PER_MS),
                epc,
                antenna=antenna,
                rssi_dbm=self._loudness(loudness) + self._stage.rng.randrange(0, 4) / 4,
                frequency_khz=902_750 + 500 * self._stage.rng.randrange(50),
                power_cdbm=3_000,
                hostname=reader.name,
            )
            for epc, loudness in tags
        ]
        self._next_number(reader)
        payload = speak.payload(said if len(said) > 1 else said[0])
        self._stage.say(f"impinj/{reader.name}", payload, "impinj", len(said))

    def _loudness(self, item_dbm: int) -> int:
        return -58 + item_dbm + self._stage.rng.randrange(-3, 4)

    def pass_door(self, items: list[Item]) -> None:
        """Through the portal and past the exit; not every tag is caught at both."""
        tags = [(item.epc, item.loudness_dbm) for item in items]
        for reader in DOOR_READERS:
            caught = [tag for tag in tags if self._stage.rng.random() < 0.85]
            self._report(reader, 1, caught)

    def stranger(self) -> None:
        """A tag of another shop's goods is carried past the door."""
        epc = f"E2801160600002{self._stage.rng.randrange(40):010X}"
        if DOOR_READERS[0].name not in self._away:
            self._stage.truth.strays.add(epc)
        self._report(DOOR_READERS[0], 1, [(epc, 0)])

    def overflow(self) -> None:
        """A reader says that it had to throw reads away."""
        reader = self._stage.rng.choice(IMPINJ_READERS)
        if reader.name in self._away:
            return
        said = speak.impinj_overflow(
            self._stage.now_ms * NS_PER_MS,
            from_ns=(self._stage.now_ms - 800) * NS_PER_MS,
            purged=self._stage.rng.randrange(50, 900),
            hostname=reader.name,
        )
        self._stage.say(f"impinj/{reader.name}", speak.payload(said), "impinj")
        self._stage.truth.overflows += 1

    def lose_one(self) -> None:
        """Its broker connection breaks, and comes back after a while."""
        reader = self._stage.rng.choice(IMPINJ_READERS)
        if reader.name in self._away:
            return
        self._away.add(reader.name)
        self._stage.say(f"impinj/{reader.name}/will", speak.IMPINJ_WILL, "impinj")
        self._stage.truth.outages += 1
        self._stage.at(
            self._stage.now_ms + self._stage.rng.randrange(2_000, 20_000),
            partial(self._back, reader),
        )

    def _back(self, reader: Reader) -> None:
        self._away.discard(reader.name)
        self._stage.say(f"impinj/{reader.name}/will", speak.IMPINJ_BIRTH, "impinj")
