"""What a commit costs: bytes written and microseconds by size of batch, page size and company.

What it does not say: a laptop's or server's disk confirms an fsync in well under a millisecond, an
SD card takes 5 to 500; the bytes are what carries over (``fsync_delay_ms`` stands in for the
rest). ``write_bytes`` is what the kernel was asked to write, in whole 4 KB pages of its cache; the
card's own rewriting of blocks and the file system's journal come on top. Payloads are made up: 180
bytes on average, in four shapes with changing tags.

    python bench/journal.py [--directory DIR] [--json FILE] [--commits 2000] [--last FILE]
"""

import argparse
import asyncio
import json
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import uvloop

from edge.config import Storage
from edge.records import Batch, Effects, Message, TimelineEntry
from edge.storage import journal as journal_module
from edge.storage import journal_file, packing
from edge.storage.journal import Journal
from edge.storage.snapshots import SnapshotHeader, read_snapshot, write_snapshot
from edge.storage.writer import JournalWriter

Row = dict[str, Any]
START_MS = 1_772_300_000_000


def message(i: int, chance: Random) -> Message:
    """One made-up reader or till message."""
    epc = f"3034257BF7194E4000{chance.randrange(50_000):06X}"
    antenna, rssi = chance.randint(1, 4), -chance.randint(40, 75)
    moment = f"2026-03-01T09:30:{i // 100 % 60:02d}.{i % 1000:03d}"
    shapes = (
        (
            f"zebra/dock{i % 3}/data",
            f'{{"data":{{"CRC":"ab12","PC":"3000","antenna":{antenna},"channel":911.75,"eventNum":{i},'
            f'"format":"epc","idHex":"{epc}","peakRssi":{rssi},"reads":{1 + i % 6}}},'
            f'"timestamp":"{moment}-0600","type":"SIMPLE"}}',
        ),
        (
            f"impinj/r700-{i % 2}/tagInventory",
            f'{{"timestamp":"{moment}{chance.randrange(10**6):06d}Z","hostname":"impinj-14-04-a1",'
            f'"eventType":"tagInventory","tagInventoryEvent":{{"tagReporting":{{}},"epcHex":"{epc}",'
            f'"antennaPort":{antenna},"peakRssiCdbm":{rssi * 100},"frequency":902750}}}}',
        ),
        (
            f"rfid3/main/tag_read/shelf{i % 9}",
            f'{{"type":"tag_read","epc":"{epc}","antenna":{antenna},"rssi_dbm":{rssi},'
            f'"at":{START_MS + i * 10},"count":3,"seq":{i}}}',
        ),
        (
            f"rfid3/main/pos_line/till{i % 2}",
            f'{{"type":"pos_line","document":"R{i // 3}","kind":"sale","sku":"SKU'
            f'{chance.randrange(5_000):05d}","line":{i % 5 + 1},"quantity":1,"price_cents":'
            f'{chance.randrange(10_000)},"at":{START_MS + i * 10}}}',
        ),
    )
    topic, payload = shapes[i % 4]
    return Message(topic, payload.encode(), START_MS + i * 10, 1, i % 65_535 + 1, 1)


def batches(journal: Journal, count: int, size: int) -> Iterator[Batch]:
    """The next ``count`` batches of ``size`` messages."""
    chance = Random(journal.last().seq)
    for _ in range(count):
        tail = journal.last()
        first = tail.next_ordinal
        made = [message(i, chance) for i in range(first, first + size)]
        yield Batch(tail.seq + 1, first, START_MS + first * 10, made)


def written() -> int:
    """Bytes this process caused to be written so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def spread(seconds: list[float]) -> Row:
    """Median, 99th percentile and largest, milliseconds."""
    ordered = sorted(seconds)
    at = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
    return {k: round(ordered[int(q * (len(ordered) - 1))] * 1e3, 3) for k, q in at.items()}


def commits(
    directory: Path, count: int, size: int, *, idle: bool = True, lines: int = 0, every: int = 1
) -> Row:
    """Commit latency and bytes, after the WAL has been filled once and is reused.

    ``idle``: checkpoints run between commits, as in the daemon. ``lines`` timeline rows ride
    along at every ``every``-th commit.
    """
    shutil.rmtree(directory, ignore_errors=True)
    journal = Journal.open(directory, Storage(disk_reserve_bytes=0))
    chance = Random(2)

    def effects(batch: Batch) -> tuple[Any, ...]:
        if not lines or batch.seq % every:
            return ()
        rows = [
            TimelineEntry(
                batch.seq,
                k,
                f"3034257BF7194E4000{chance.randrange(50_000):06X}",
                batch.beat_ms,
                "moved",
                '{"from":"shelf 1","to":"shelf 2"}',
            )
            for k in range(lines * every)
        ]
        return Effects([], rows, []), batch.seq - 1

    for batch in batches(journal, max(50, 6_000_000 // (size * 40 + 2_600)), size):
        journal.append(batch, *effects(batch))
        if idle:
            journal.checkpoint_if_due()
    took, before, packed = [], written(), journal.packed_bytes
    for batch in batches(journal, count, size):
        journal.append(batch, *effects(batch))
        took.append(journal.commit_s)
        if idle:
            journal.checkpoint_if_due()
    amount, packed = written() - before, journal.packed_bytes - packed
    journal.close()
    events = count * size
    return {
        "messages": size,
        "packed_bytes": round(packed / events, 1),
        "write_bytes": round(amount / events),
        **spread(took),
        "events_per_s": round(events / sum(took)),
    }


def page_sizes(directory: Path, count: int) -> list[Row]:
    """Five messages a commit (100 events/s, a beat of 50 ms) with other page sizes and vacuums."""
    rows = []
    for page, vacuum in (
        (512, "NONE"),
        (1024, "NONE"),
        (1024, "INCREMENTAL"),
        (2048, "NONE"),
        (4096, "NONE"),
    ):
        every = tuple(
            f"wal_autocheckpoint = {journal_file.WAL_MAX_BYTES // page}" if "auto" in p else p
            for p in journal_file.EVERY_TIME
        )
        creation = (f"page_size = {page}", f"auto_vacuum = {vacuum}")
        with (
            patch.object(journal_module, "PAGE_BYTES", page),
            patch.object(journal_file, "PAGE_BYTES", page),
            patch.object(journal_file, "BEFORE_CREATION", creation),
            patch.object(journal_file, "EVERY_TIME", every),
        ):
            found = commits(directory, count, 5)
        rows.append({"page": page, "vacuum": vacuum, **found})
    return rows


def packings() -> list[Row]:
    """Bytes and time a message of the codec, by size of batch."""
    chance = Random(1)
    made = [message(i, chance) for i in range(20_480)]
    rows = []
    for size in (1, 2, 5, 20, 100, 1_024):
        parts = [made[k : k + size] for k in range(0, len(made), size)][:2_000]
        began = time.perf_counter()
        blobs = [packing.pack(part) for part in parts]
        middle = time.perf_counter()
        for codec, blob in blobs:
            packing.unpack(codec, blob)
        end = time.perf_counter()
        events = len(parts) * size
        rows.append(
            {
                "messages": size,
                "packed_bytes": round(sum(len(b) for _, b in blobs) / events, 1),
                "pack_us": round((middle - began) / events * 1e6, 2),
                "unpack_us": round((end - middle) / events * 1e6, 2),
            }
        )
    return rows


def sizes(directory: Path, count: int) -> list[Row]:
    """Commits of one message to a full batch."""
    wanted = (1, 5, 10, 20, 100, 1_024)
    return [commits(directory, max(100, count // max(1, size // 20)), size) for size in wanted]


def checkpoints(directory: Path, count: int) -> list[Row]:
    """Checkpoints between commits (as the writer does) and inside them (SQLite's own)."""
    return [
        {"between": between, **commits(directory, count * 2, 5, idle=between)}
        for between in (True, False)
    ]


def with_timeline(directory: Path, count: int) -> list[Row]:
    """Timeline rows of changing items: how many a commit, written every how many commits."""
    return [
        {"rows": rows, "every": every, **commits(directory, count, 5, lines=rows, every=every)}
        for rows, every in ((0, 1), (1, 1), (1, 20), (5, 1))
    ]


def in_company(directory: Path, count: int) -> list[Row]:
    """Commit latency alone, while 250 MB of snapshot are written, and between slices of a trim."""
    shutil.rmtree(directory, ignore_errors=True)
    columns = {"c": np.random.default_rng(1).integers(0, 2**60, 31_250_000)}
    journal = Journal.open(directory, Storage(disk_reserve_bytes=0))
    header = SnapshotHeader(catalogue="bench", seq=1, next_ordinal=0, beat_ms=0)

    def timed(while_: threading.Thread | None) -> list[float]:
        took = []
        for batch in batches(journal, count if while_ is None else 1 << 40, 5):
            began = time.perf_counter()
            journal.append(batch)
            took.append(time.perf_counter() - began)
            journal.checkpoint_if_due()
            if while_ is not None and not while_.is_alive():
                break
        return took

    rows = [{"beside": "nothing", **spread(timed(None))}]
    snapshot = threading.Thread(target=write_snapshot, args=(directory, header, columns, {}))
    snapshot.start()
    rows.append({"beside": "a snapshot of 250 MB", **spread(timed(snapshot))})
    for batch in batches(journal, 4_000, 20):
        journal.append(batch)
    slices, removed, before = [], 0, written()
    while True:
        began = time.perf_counter()
        if not (n := journal.trim(1 << 60, journal.last().seq)):
            break
        slices.append(time.perf_counter() - began)
        removed += n
    rows.append({"beside": f"slices of a trim ({removed} batches)", **spread(slices)})
    print(f"trim: {(written() - before) / removed:.0f} write_bytes a batch removed")
    journal.close()
    return rows


def snapshots(directory: Path) -> list[Row]:
    """Writing and reading 250 MB: full of noise, and mostly empty."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    noise = np.random.default_rng(1).integers(0, 2**60, (625_000, 50))
    empty = np.zeros((625_000, 50), np.int64)
    empty[::50, ::7] = noise[::50, ::7] % 1_000
    rows = []
    for name, column in (("noise", noise), ("mostly empty", empty)):
        for compress in (False, True):
            header = SnapshotHeader(catalogue="bench", seq=1, next_ordinal=0, beat_ms=0)
            began = time.perf_counter()
            path = write_snapshot(directory, header, {"c": column}, {}, compress=compress)
            middle = time.perf_counter()
            read_snapshot(path)
            end = time.perf_counter()
            rows.append(
                {
                    "content": name,
                    "compress": compress,
                    "file_mb": round(path.stat().st_size / 1e6, 1),
                    "write_s": round(middle - began, 2),
                    "read_s": round(end - middle, 2),
                }
            )
    return rows


def on_the_loop(directory: Path, count: int) -> list[Row]:
    """What a commit costs the event loop: handing over, and being woken."""
    shutil.rmtree(directory, ignore_errors=True)

    async def main() -> Row:
        writer = JournalWriter(Journal.open(directory, Storage(disk_reserve_bytes=0)))
        made: list[Batch] = list(batches(writer._journal, 1, 5))
        template = made[0].messages
        handing, cpu = 0.0, time.thread_time()
        for seq in range(1, count + 1):
            batch = Batch(seq, (seq - 1) * 5, START_MS + seq, template)
            began = time.perf_counter()
            waiting = writer.commit(batch)
            handing += time.perf_counter() - began
            await waiting
        cpu = time.thread_time() - cpu
        await writer.close()
        return {
            "handing_over_us": round(handing / count * 1e6, 1),
            "loop_cpu_us": round(cpu / count * 1e6, 1),
        }

    return [{"loop": "asyncio", **asyncio.run(main())}, _wiped(directory, uvloop.run, main)]


def _wiped(directory: Path, run: Any, main: Any) -> Row:
    shutil.rmtree(directory, ignore_errors=True)
    return {"loop": "uvloop", **run(main())}


def show(title: str, rows: list[Row], last: list[Row] | None) -> None:
    """One table; figures of the last accepted run in brackets where they differ."""
    print(f"\n{title}")
    head = list(rows[0])
    cells = [head]
    for k, row in enumerate(rows):
        old = last[k] if last and k < len(last) else {}
        cells.append(
            [f"{row[c]}" + (f" ({old[c]})" if old.get(c, row[c]) != row[c] else "") for c in head]
        )
    widths = [max(len(line[k]) for line in cells) for k in range(len(head))]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--directory", help="where to write; default: a temporary directory")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--last", help="figures of the last accepted run, shown in brackets")
    parser.add_argument("--commits", type=int, default=2_000, help="commits measured a row")
    arguments = parser.parse_args()
    last = json.loads(Path(arguments.last).read_text()) if arguments.last else {}
    machine = f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}"
    print(__doc__.split("\n\n")[1], f"\n\nmachine: {machine}")
    found: dict[str, Any] = {"machine": machine}
    with tempfile.TemporaryDirectory(dir=arguments.directory) as temporary:
        room, n = Path(temporary) / "journal", arguments.commits
        tables: dict[str, Callable[[], Any]] = {
            "packing, a message": packings,
            "page size, 5 messages a commit": lambda: page_sizes(room, n),
            "size of a commit": lambda: sizes(room, n),
            "checkpoints between commits, or inside them": lambda: checkpoints(room, n),
            "timeline rows riding along, a commit": lambda: with_timeline(room, n),
            "commits in company": lambda: in_company(room, n),
            "snapshots of 250 MB": lambda: snapshots(room),
            "on the event loop": lambda: on_the_loop(room, n),
        }
        for title, measure in tables.items():
            found[title] = measure()
            show(title, found[title], last.get(title))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
