"""Real files, replayed into a real daemon; its answers held against numbers computed from the files.

What it does not say: how fast a daemon is in a shop, for it runs on event time, as fast as broker and
replay let it, on one machine. It says whether what the daemon knows afterwards is right: every row
accounted for as admitted, duplicate or dead letter; units by class and day; the items on rent at
random instants. Then what the services say: stock, velocity classes, safety stock and reorder points,
what goes out together, utilisation. The expected numbers are computed in plain Python and numpy from the
files' own columns, without the mappings, the formats, the features or the services.

The files are those of three public sets, in this layout under --data:

    online_retail/*.parquet        UCI Online Retail
    city_bike_rentals/*.parquet    city bike trips
    rfid_reads/*.parquet           reads of an Impinj R420 (ts, reader, antenna, rssi, epc)

    python bench/real_input.py --data DIR [--only rentals] [--seed 1] [--json FILE]
"""

import argparse
import asyncio
import json
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import aiohttp
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from bench import real_services
from edge import logs
from edge.broker import Broker, BrokerSettings, free_port
from edge.clock import SystemClock
from edge.config import Log, Mqtt
from edge.ingest.mqtt import MqttSource, publisher
from edge.ingest.mqtt_publish import Outgoing
from edge.replay import mappings
from edge.replay.plan import Plan, survey
from edge.replay.reader import open_rows
from edge.replay.run import EVENT_TIME, Replay, Speed
from edge.simulate.brake import Brake
from edge.simulate.publish import Progress, publish_paced

INSTANTS = 20
WITHIN_MS = 600_000
HISTORY_DAYS = 400
CHECK_DAYS_EVERY = 300
PERFORMANCE_DAYS = 91
ITEM_EXPIRY_DAYS = 400
QUIET_DAYS = 31
"""After so long without anything days count as not looked at: some months are missing in the file."""
SETTLE_WITHIN_S = 300.0
RENTALS_ZONE = ZoneInfo("America/New_York")
KEPT = ("admitted", "folded")

Rows = list[dict[str, Any]]


class Disagreement(Exception):
    """The daemon and the file say different things."""


def check(what: str, found: object, expected: object) -> str:
    """One line for the table. Raises Disagreement with the first differences."""
    if found == expected:
        return what
    detail = f"found {found}, expected {expected}"
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = [k for k in {**found, **expected} if found.get(k, 0) != expected.get(k, 0)]
        shown = [(k, found.get(k), expected.get(k)) for k in sorted(keys, key=str)[:8]]
        if not keys:
            return what
        detail = f"{len(keys)} differ; (key, found, expected): {shown}"
    elif isinstance(found, set) and isinstance(expected, set):
        detail = f"too many {sorted(found - expected)[:8]}, missing {sorted(expected - found)[:8]}"
    raise Disagreement(f"{what}: {detail}")


class Rig:
    """Broker, daemon on event time, and a publisher; one set is replayed into it."""

    def __init__(self, directory: Path, config: str) -> None:
        self._directory = directory
        self._config = config
        self._port = free_port()
        # Should the brake ever fail, lost messages would look like a daemon's mistake.
        self._broker = Broker(directory / "broker", BrokerSettings(queued_max=5_000_000))
        self.url = f"http://127.0.0.1:{self._port}"
        self.api: aiohttp.ClientSession
        self.client: MqttSource
        self.brake: Brake
        self.progress = Progress()
        self.publish_s = 0.0
        self.settle_s = 0.0
        self.beside = 0
        """Messages of ours beside the file's."""
        self._daemon: subprocess.Popen[bytes]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        """Everything up while the block runs."""
        with self._broker:
            async with (
                aiohttp.ClientSession(self.url) as self.api,
                publisher(Mqtt(port=self._broker.port), "real-input") as self.client,
            ):
                await self._start(self._config)
                try:
                    self.brake = Brake(self.api, self.url)
                    yield self
                finally:
                    await self._stop()

    async def again(self, config: str) -> None:
        """Stop the daemon and start it on what it has, configured otherwise."""
        await self._stop()
        await self._start(config)

    async def _start(self, config: str) -> None:
        path = self._directory / "config.toml"
        path.write_text(
            f'[mqtt]\nport = {self._broker.port}\n[ingest]\nclock = "events"\n'
            f'[storage]\ndirectory = "{self._directory}/var"\n'
            f'[api]\nbind = "127.0.0.1:{self._port}"\n{config}',
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "edge", "run", "--config", str(path)]
        with (self._directory / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(command, stdout=log, stderr=log)
        await self._until_ready(self._daemon)

    async def _stop(self) -> None:
        self._daemon.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._daemon.wait, 60)

    async def _until_ready(self, daemon: "subprocess.Popen[bytes]") -> None:
        while daemon.poll() is None:
            with suppress(aiohttp.ClientError):
                async with self.api.get("/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)
        log = (self._directory / "daemon.log").read_text(encoding="utf-8")
        raise SystemExit(f"the daemon did not start:\n{log[-2_000:]}")

    async def get(self, path: str) -> dict[str, Any]:
        """A JSON answer."""
        async with self.api.get(path) as answer:
            if answer.status != 200:
                raise Disagreement(f"{path} answered {answer.status}: {await answer.text()}")
            return dict(await answer.json())

    async def stats(self) -> dict[str, dict[str, float]]:
        """The daemon's counters."""
        return dict((await self.get("/api/stats"))["stats"])

    async def ask(self, path: str) -> dict[str, Any]:
        """A JSON answer, waited for while a job prepares it."""
        deadline = time.monotonic() + SETTLE_WITHIN_S
        while True:
            async with self.api.get(path) as answer:
                told = dict(await answer.json())
                if answer.status == 200:
                    return told
            if answer.status != 202 or time.monotonic() > deadline:
                raise Disagreement(f"{path} answered {answer.status}: {told}")
            await asyncio.sleep(0.2)

    async def tell(self, topic: str, events: list[dict[str, Any]], at_ms: int) -> None:
        """Publish events of our own, some to a message."""
        moment = ((EVENT_TIME, str(at_ms)),)
        for start in range(0, len(events), 100):
            payload = json.dumps(events[start : start + 100]).encode()
            await self.client.publish_many([Outgoing(topic, payload, moment)], 1)
            self.progress.published += 1
        self.beside += len(events)

    async def play(self, replay: Replay) -> None:
        """Publish what the plan gives now, and wait until the daemon has applied all of it."""
        began = time.monotonic()
        await publish_paced(self.client, replay.messages(), self.progress, brake=self.brake)
        self.publish_s += time.monotonic() - began
        began = time.monotonic()
        while True:
            stats = await self.stats()
            if stats.get("state", {}).get("messages", 0) >= self.progress.published:
                break
            if time.monotonic() - began > SETTLE_WITHIN_S:
                raise Disagreement(f"of {self.progress.published} messages came {stats['mqtt']}")
            await asyncio.sleep(0.02)
        self.settle_s += time.monotonic() - began

    async def account(self, plan: Plan, expected_dead: Counter[str]) -> list[str]:
        """Every row and message: sent, and admitted, duplicate or dead letter."""
        stats, tally = await self.stats(), plan.close()
        events = {name: int(many) for name, many in stats["events"].items()}
        events.pop("late", None)  # a note on admitted events, no outcome of its own
        events["admitted"] -= self.beside
        dead = {k: int(v) for k, v in stats.get("dead", {}).items() if k != "letters"}
        refused = sum(many for name, many in events.items() if name not in KEPT)
        return [
            check(f"{tally.sent:,} of {tally.rows:,} rows sent", tally.sent, tally.rows),
            check(
                f"{tally.messages:,} messages all have an outcome: {events}",
                sum(events.values()),
                tally.messages,
            ),
            check(f"dead letters {dead or 'none'}", dead, dict(expected_dead)),
            check("nothing else refused", refused, sum(expected_dead.values())),
        ]


def rows_of(path: Path) -> Rows:
    """A Parquet file as dictionaries, moments as integers in their own unit."""
    table = pq.read_table(path)
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(place, column.name, table[column.name].cast(pa.int64()))
    return list(table.to_pylist())


def plan_for(path: Path, mapping: str) -> tuple[Plan, Replay]:
    """What ``rfid3 replay`` would do with the file."""
    spec = mappings.load(mapping)
    rows = open_rows(path)
    compiled = mappings.compile_mapping(spec, rows, "main")
    found = survey(rows, compiled.at)
    plan = Plan(rows, compiled, found)
    return plan, Replay(plan, Speed(), SystemClock(), shift_to_now=False, first_ms=found.first_ms)


# -- invoices -------------------------------------------------------------------------------------

INVOICES_CONFIG = '[shop]\ntimezone = "Europe/London"\n[limits]\npairs_max = 262144\n'
NO_MODELS = "[models]\nenabled = false\n"
INVOICE_MEASURES = ("sold_units", "returned_units", "revenue_cents")


def expect_invoices(rows: Rows) -> tuple[Counter[tuple[str, str, str]], Counter[str]]:
    """(measure, SKU, day) -> amount; and dead letters by reason."""
    amounts: Counter[tuple[str, str, str]] = Counter()
    dead: Counter[str] = Counter()
    for row in rows:
        back = row["InvoiceNo"].startswith("C")
        units = -row["Quantity"] if back else row["Quantity"]
        if units <= 0:
            dead["out_of_range"] += 1
            continue
        moment = datetime.fromtimestamp(row["InvoiceDate"] / 1e6, UTC)  # its own local time
        key = (row["StockCode"], moment.date().isoformat())
        amounts[("returned_units" if back else "sold_units", *key)] += units
        cents = round(row["UnitPrice"] * 100) * units
        amounts[("revenue_cents", *key)] += -cents if back else cents
    return amounts, dead


async def run_invoices(path: Path, rig: Rig, _seed: int) -> list[str]:
    """Units sold and returned and money taken, by class and day."""
    rows = rows_of(path)
    expected, dead = expect_invoices(rows)
    file = real_services.Invoices(rows)
    plan, replay = plan_for(path, "invoices")
    began_ms = file.first_us // 1000 - 60_000
    counted = [{"sku": k, "quantity": n, "at": began_ms} for k, n in file.counted().items()]
    await rig.tell("rfid3/main/stock_count/real-input", counted, began_ms)
    await rig.play(replay)
    lines = await rig.account(plan, dead)
    found: Counter[tuple[str, str, str]] = Counter()
    skus = {sku for _, sku, _ in expected}
    for sku in sorted(skus):
        told = await rig.get(f"/api/classes/{quote(sku, safe='')}?days={HISTORY_DAYS}")
        history = told["class"]["history"]
        for measure in INVOICE_MEASURES:
            for day, amount in zip(history["days"], history["columns"][measure], strict=True):
                found[measure, sku, day] += round(amount or 0)
    cells = sum(1 for amount in expected.values() if amount)
    lines.append(
        check(
            f"{cells:,} amounts of {len(skus):,} classes by day are equal",
            _nonzero(found),
            _nonzero(expected),
        )
    )
    await rig.again(INVOICES_CONFIG + NO_MODELS)
    await until_looked(rig)
    lines += [row.line for row in await real_services.of_invoices(rig.ask, file, "main")]
    await rig.again(INVOICES_CONFIG)
    await until_looked(rig)
    await until_scored(rig)
    return lines + await real_services.answering(rig.ask)


async def until_looked(rig: Rig) -> None:
    """The daemon looks for pairs some seconds after its start."""
    deadline = time.monotonic() + SETTLE_WITHIN_S
    while not (await rig.ask("/api/predictive/packs/co-demand"))["counted_days"]:
        if time.monotonic() > deadline:
            raise Disagreement("the daemon did not look for pairs")
        await asyncio.sleep(0.5)


async def until_scored(rig: Rig) -> None:
    """Models come in one after the other after a start, and each scores every row once."""
    deadline, before = time.monotonic() + SETTLE_WITHIN_S, None
    while True:
        rows = (await rig.ask("/api/models"))["services"]
        now = {row["service"]: (row["answering"], row["predictions"]) for row in rows}
        if now == before and all(version for version, _ in now.values()):
            return
        if time.monotonic() > deadline:
            raise Disagreement(f"not every service's model answers: {now}")
        before = now
        await asyncio.sleep(3)


def _nonzero(amounts: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str, str]]:
    return Counter({key: amount for key, amount in amounts.items() if amount})


# -- rentals --------------------------------------------------------------------------------------

RENTALS_CONFIG = """
[shop]
timezone = "America/New_York"
[limits]
readers_max = 512
[[sources]]
topic = "handheld/+/scans"
format = "rfid3"
reader_level = 1
"""
RENTAL_MEASURES = ("rented_units", "returned_units", "scans_out", "scans_in")


def local_ms(naive_us: int, after_ms: int | None = None) -> int:
    """Local wall-clock microseconds -> epoch ms; the second of two equal hours where it must be."""
    seconds, rest_us = divmod(naive_us, 10**6)
    naive = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=RENTALS_ZONE)
    first = int(naive.timestamp()) * 1000 + rest_us // 1000
    if after_ms is not None and first < after_ms:
        return int(naive.replace(fold=1).timestamp()) * 1000 + rest_us // 1000
    return first


class Trips:
    """What happened to every bike, from the file alone."""

    def __init__(self, rows: Rows) -> None:
        self.moments: dict[str, list[tuple[int, int]]] = defaultdict(list)  # (ms, 0 back, 1 out)
        self.days: Counter[tuple[str, str]] = Counter()
        outs, backs = [], []
        for row in rows:
            bike = f"425445{row['bikeid']:018X}"
            out_ms = local_ms(row["starttime"])
            back_ms = local_ms(row["stoptime"], out_ms)
            self.moments[bike] += [(out_ms, 1), (back_ms, 0)]
            outs.append(out_ms)
            backs.append(back_ms)
        for moments in self.moments.values():
            moments.sort()
        self.outs, self.backs = sorted(outs), sorted(backs)
        self.first_ms = self.outs[0]
        self.last_ms = max(self.outs[-1], self.backs[-1])

    def on_rent(self, at_ms: int) -> set[str]:
        """Bikes whose newest event up to a moment is a start."""
        found = set()
        for bike, moments in self.moments.items():
            place = bisect_right(moments, (at_ms, 9))
            if place and moments[place - 1][1]:
                found.add(bike)
        return found

    def known(self, at_ms: int) -> int:
        """Bikes seen up to a moment, and last on a day that is at most ``ITEM_EXPIRY_DAYS`` ago."""
        oldest_ms = _midnight_ms(_day_of(at_ms) - timedelta(days=ITEM_EXPIRY_DAYS))
        many = 0
        for moments in self.moments.values():
            place = bisect_right(moments, (at_ms, 9))
            many += bool(place) and moments[place - 1][0] >= oldest_ms
        return many

    def heard(self, end_ms: int) -> bool:
        """Whether anything came within the days after which a daemon that hears nothing is not looking."""
        found = [times[place - 1] for times in (self.outs, self.backs)
                 if (place := bisect_right(times, end_ms))]  # fmt: skip
        return bool(found) and end_ms - max(found) <= QUIET_DAYS * 86_400_000

    def by_day(self, from_ms: int, until_ms: int) -> Counter[tuple[str, str]]:
        """(measure, day) -> number, of events after ``from_ms`` up to ``until_ms``."""
        found: Counter[tuple[str, str]] = Counter()
        for moments, measures in (
            (self.outs, ("rented_units", "scans_out")),
            (self.backs, ("returned_units", "scans_in")),
        ):
            for at_ms in moments[bisect_right(moments, from_ms) : bisect_right(moments, until_ms)]:
                day = datetime.fromtimestamp(at_ms / 1000, RENTALS_ZONE).date().isoformat()
                for measure in measures:
                    found[measure, day] += 1
        return found


async def run_rentals(path: Path, rig: Rig, seed: int) -> list[str]:
    """Bikes on rent at random instants, and rentals and returns by day."""
    trips = Trips(rows_of(path))
    rng = random.Random(seed)
    # Drawn from the first minutes of random trips: by the clock alone most would fall into nights.
    drawn_ms = [rng.choice(trips.outs) + rng.randrange(WITHIN_MS) for _ in range(INSTANTS)]
    instants = dict.fromkeys(drawn_ms, True)
    step_ms = CHECK_DAYS_EVERY * 86_400_000
    instants |= dict.fromkeys(range(trips.first_ms + step_ms, trips.last_ms, step_ms), False)
    instants[trips.last_ms] = False
    plan, replay = plan_for(path, "rentals")
    sizes, compared_until_ms, days = [], trips.first_ms - 1, 0
    for at_ms, drawn in sorted(instants.items()):
        plan.until(at_ms)
        await rig.play(replay)
        if drawn:
            expected = trips.on_rent(at_ms)
            check(f"on rent at {at_ms}", await _on_rent(rig), expected)
            sizes.append(len(expected))
        if not drawn:
            days += await _compare_days(rig, trips, compared_until_ms, at_ms)
            compared_until_ms = at_ms
    plan.until(None)
    await rig.play(replay)
    lines = await rig.account(plan, Counter())
    lines.append(f"bikes on rent at {len(sizes)} random instants are equal, one by one: {sizes}")
    lines.append(f"rentals, returns, scans out and in are equal on {days:,} days")
    last = datetime.fromtimestamp(trips.last_ms / 1000, RENTALS_ZONE).date()
    ends = [_midnight_ms(last - timedelta(days=back)) - 1 for back in range(PERFORMANCE_DAYS)]
    ends = [end_ms for end_ms in ends if trips.heard(end_ms)]
    begun_ms = _midnight_ms(last - timedelta(days=PERFORMANCE_DAYS))
    rented = trips.by_day(begun_ms - 1, _midnight_ms(last) - 1)
    lines += [
        row.line
        for row in await real_services.of_rentals(
            rig.ask,
            PERFORMANCE_DAYS,
            np.array([len(trips.on_rent(end_ms)) for end_ms in ends], np.float64),
            np.array([trips.known(end_ms) for end_ms in ends], np.float64),
            float(sum(n for (measure, _), n in rented.items() if measure == "rented_units")),
        )
    ]
    await rig.again(RENTALS_CONFIG)
    await until_scored(rig)
    return lines + await real_services.answering(rig.ask)


def _day_of(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, RENTALS_ZONE).date()


def _midnight_ms(day: date) -> int:
    return int(datetime.combine(day, datetime.min.time(), RENTALS_ZONE).timestamp()) * 1000


async def _on_rent(rig: Rig) -> set[str]:
    found, cursor = set(), ""
    while True:
        more = f"&cursor={quote(cursor)}" if cursor else ""
        told = await rig.get(f"/api/items?status=On%20Rent&limit=1000{more}")
        found |= {row["epc"] for row in told["items"]}
        cursor = told["next_cursor"]
        if not cursor:
            return found


async def _compare_days(rig: Rig, trips: Trips, from_ms: int, until_ms: int) -> int:
    """Days between two checks; the first may be shared with the check before."""
    told = await rig.get(f"/api/classes/bicycle?days={HISTORY_DAYS}")
    history = told["class"]["history"]
    first_day = datetime.fromtimestamp((from_ms + 1) / 1000, RENTALS_ZONE).date()
    expected = trips.by_day(from_ms, until_ms)
    started = datetime.combine(first_day, datetime.min.time(), RENTALS_ZONE).timestamp() * 1000
    for key, number in trips.by_day(int(started) - 1, from_ms).items():
        expected[key] += number
    found: Counter[tuple[str, str]] = Counter()
    for measure in RENTAL_MEASURES:
        for day, amount in zip(history["days"], history["columns"][measure], strict=True):
            if day >= first_day.isoformat():
                found[measure, day] += round(amount or 0)
    check(f"days from {first_day}", +found, +expected)
    return len({day for _, day in expected})


# -- raw reads ------------------------------------------------------------------------------------

READS_CONFIG = """
[limits]
unknown_expiry_days = 1000
""" + "".join(
    f'[[zones]]\nname = "antenna {port}"\nreaders = ["192.168.0.219:5084/{port}", "unknown/{port}"]\n'
    for port in range(1, 5)
)


async def run_reads(path: Path, rig: Rig, _seed: int) -> list[str]:
    """Reads of every tag, and the newest of each."""
    rows = rows_of(path)
    expected = Counter(row["epc"].upper() for row in rows)
    newest: dict[str, int] = defaultdict(int)
    for row in rows:
        newest[row["epc"].upper()] = max(newest[row["epc"].upper()], row["ts"] // 10**6)
    days = {datetime.fromtimestamp(row["ts"] / 1e9, UTC).date() for row in rows}
    plan, replay = plan_for(path, "raw-reads")
    await rig.play(replay)
    lines = await rig.account(plan, Counter())
    tags = (await rig.get("/api/unknown-tags?limit=1000"))["tags"]
    lines.append(
        check(
            f"reads of {len(expected)} tags are equal",
            {tag["epc"]: tag["reads"] for tag in tags},
            dict(expected),
        )
    )
    lines.append(
        check(
            f"and so is the newest read of each, on {len(days)} days with reads",
            {tag["epc"]: tag["last_seen_ms"] for tag in tags},
            dict(newest),
        )
    )
    return lines


SETS: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "invoices": ("online_retail", INVOICES_CONFIG, run_invoices),
    "rentals": ("city_bike_rentals", RENTALS_CONFIG + NO_MODELS, run_rentals),
    "reads": ("rfid_reads", READS_CONFIG, run_reads),
}


async def run_set(name: str, data: Path, seed: int) -> dict[str, Any]:
    """Replay one set and compare; the finding."""
    folder, config, run = SETS[name]
    files = sorted((data / folder).glob("*.parquet"))
    if len(files) != 1:
        raise SystemExit(f"{data / folder}: one Parquet file is expected, found {len(files)}")
    with tempfile.TemporaryDirectory(prefix="rfid3-real-") as directory:
        rig = Rig(Path(directory), config)
        async with rig.running():
            try:
                lines, wrong = await run(files[0], rig, seed), ""
            except Disagreement as error:
                lines, wrong = [], str(error)
    total_s = rig.publish_s + rig.settle_s
    return {
        "set": name,
        "file": files[0].name,
        "equal": not wrong and not any(line.startswith("DIFFERS") for line in lines),
        "findings": lines,
        "wrong": wrong,
        "messages": rig.progress.published,
        "seconds": round(total_s, 1),
        "messages_per_s": round(rig.progress.published / total_s) if total_s else 0,
    }


def machine() -> str:
    """What this ran on."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, Python {platform.python_version()}, {platform.system()}"


def findings(names: list[str], data: Path, seed: int) -> Iterator[dict[str, Any]]:
    """One finding a set, each in its own daemon."""
    for name in names:
        yield asyncio.run(run_set(name, data, seed))


def main() -> int:
    """0 when everything is equal."""
    first = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(description=first[0], epilog=first[1])
    parser.add_argument("--data", type=Path, required=True, help="where the three folders are")
    parser.add_argument("--only", choices=sorted(SETS), action="append", help="only this set")
    parser.add_argument("--seed", type=int, default=1, help="of the random instants")
    parser.add_argument("--json", type=Path, help="also write the findings here")
    args = parser.parse_args()
    logs.configure(Log(level="error", format="text"))
    print(f"{machine()}\n{first[1]}\n")
    made = []
    for found in findings(args.only or list(SETS), args.data, args.seed):
        made.append(found)
        verdict = "equal" if found["equal"] else "NOT EQUAL"
        print(
            f"{found['set']}: {verdict}; {found['messages']:,} messages in {found['seconds']} s "
            f"({found['messages_per_s']:,}/s)"
        )
        for line in found["findings"] or [found["wrong"]]:
            print(f"  {line}")
    if args.json:
        told = {"machine": machine(), "seed": args.seed, "sets": made}
        args.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0 if all(found["equal"] for found in made) else 1


if __name__ == "__main__":
    sys.exit(main())
