"""One arm of the comparison: the world alone, or the world with a daemon whose proposals are carried out.

The daemon is the real one, with the models that are shipped; its clock is the world's. It hears what
the shop's devices say and nothing else. Staff say yes to every proposal that the limits allow.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from bench.impact.world import SERVICE_CENTS, SERVICE_DAYS, SUPPLIER, Money, World
from edge import pipeline_proposals
from edge.app import Daemon, running
from edge.clock import ManualClock
from edge.commands import TOPIC, Command
from edge.config import (
    Api,
    Config,
    DecisionSettings,
    Ingest,
    Maintenance,
    Models,
    Mqtt,
    Storage,
)
from edge.decisions.deeds import Approve
from edge.decisions.rows import Decision
from edge.inference import scorer, starter
from edge.inference.registry import Command as Deed
from edge.ledger.suppliers import PutSupplier, PutSupply
from edge.simulate.days import DAY_MS, DaysSettings

HOUR_MS = 3_600_000
MODELS_TOPIC = "$rfid3/models"
PATIENCE_S = 120.0
KINDS = ("restock", "pricing", "maintenance")
"""What the world can do; packs are told to the till alone."""


@dataclass(frozen=True)
class Plan:
    """How long, and how large a shop."""

    seed: int
    warm_days: int = 365
    """Lived alike in both arms; the daemon watches and does nothing. The trainer of pricing asks for
    230 days with prices that moved."""
    days: int = 365
    kinds: tuple[str, ...] = KINDS
    trains: bool = True
    """Whether models are trained once, on the days before those that count."""

    def world(self) -> World:
        """The shop on its first day."""
        return World(DaysSettings(seed=self.seed, days=self.warm_days + self.days + 1))


def without(plan: Plan) -> Money:
    """The shop as it has always been run."""
    world = plan.world()
    for _ in range(plan.warm_days):
        world.next_day()
    _begin(world)
    for _ in range(plan.days):
        world.next_day()
    return world.money


def _begin(world: World) -> None:
    """The year that counts: prices stand where the list says, in both arms."""
    world.money = Money()
    world.moves_prices = False
    for kind in (*world._rented, *world._sold):
        kind.price_cents = kind.list_cents


class Driver:
    """The world's days, told to a daemon."""

    def __init__(self, plan: Plan, world: World, daemon: Daemon, clock: ManualClock) -> None:
        self.plan = plan
        self.world = world
        self.daemon = daemon
        self.clock = clock
        self.done: set[str] = set()
        self.carried_out: dict[str, int] = {}  # kind -> decisions
        self.trained: list[str] = []

    async def day(self) -> None:
        """One day, until midnight has passed and everything is scored."""
        messages = self.world.next_day()
        for message in messages:
            self._reach(message.arrival_ms)
            self.daemon.pipeline.inbox.put(message, 0)
        await self._applied()
        day = self.world.settings.first_day + self.world.done
        self._reach(day * DAY_MS + 60_000)
        self.daemon.pipeline.tell("$rfid3/beat", b"{}")
        await self._applied()
        await self._scored()

    def _reach(self, at_ms: int) -> None:
        self.clock.advance(max(0, at_ms - self.clock.now_ms()))

    async def command(self, *commands: Command) -> None:
        """Post commands and wait until they are applied."""
        for command in commands:
            self.daemon.pipeline.tell(TOPIC, msgspec.json.encode(command))
        await self._applied()

    async def _applied(self) -> None:
        pipeline = self.daemon.pipeline
        while (
            len(pipeline.inbox)
            or pipeline.progress.waiting_since  # a commit is under way
            or pipeline.behind
            or pipeline._tail.seq > pipeline.applied_seq
        ):
            await asyncio.sleep(0.001)

    async def _scored(self) -> None:
        scoring = self.daemon.scoring
        assert scoring is not None
        while scoring.scorer.busy:
            await scoring.scorer.beat()
            slots = [s for s in scoring.scorer.slots.values() if s.active is not None]
            today = scoring.scorer.state.today
            if all(s.cursor < 0 and (s.at_edge.when != "day" or s.day == today) for s in slots):
                return
            await asyncio.sleep(0)

    async def decide(self) -> None:
        """Ask for proposals, say yes to all that may be done, and do them."""
        assert self.daemon.proposals is not None
        await self.daemon.proposals.round()
        await self._applied()
        ledger = self.daemon.pipeline.core.ledger
        waiting = [
            one
            for status in ("proposed", "pending")
            for one in ledger.by(Decision, "status", status)
            if one.kind in self.plan.kinds and one.impact_cents >= 0
        ]
        await self.command(*(Approve(id=one.id, by="staff", override=True) for one in waiting))
        for one in ledger.by(Decision, "status", "executed"):
            if one.id not in self.done and one.kind in self.plan.kinds:
                self.done.add(one.id)
                self._carry_out(one)

    def _carry_out(self, one: Decision) -> None:
        day = self.world.settings.first_day + self.world.done
        data: dict[str, Any] = one.data
        self.carried_out[one.kind] = self.carried_out.get(one.kind, 0) + 1
        match one.kind:
            case "restock":
                self.world.order(one.target, round(float(data["units"])), day)
            case "pricing":
                self.world.price(one.target, int(data["price_cents"]))
            case "maintenance":
                self.world.service(one.target, day_number(data["day"]))


def day_number(text: str) -> int:
    """Days since 1970-01-01 of ``YYYY-MM-DD``.

    >>> day_number("2024-01-01")
    19723
    """
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@dataclass(frozen=True)
class Helped:
    """A year with the daemon."""

    money: Money
    done: dict[str, int]
    """Kind -> decisions carried out."""
    trained: list[str]
    """Services whose models were made of this shop's own days; of the others the shipped ones answer."""


async def _with(plan: Plan, directory: Path) -> Helped:
    world = plan.world()
    first_ms = world.settings.first_day * DAY_MS
    clock = ManualClock(first_ms)
    config = Config(
        mqtt=Mqtt(enabled=False),
        api=Api(enabled=False),
        ingest=Ingest(beat_ms=2, inbox_max=100_000),
        storage=Storage(directory=str(directory), snapshot_every_events=10_000_000),
        models=Models(),
        maintenance=Maintenance(  # what its owner knows: nothing is paid but what the books show
            labour_cents=0,
            service_parts_cents=SERVICE_CENTS,
            emergency_factor=1.0,
            failure_cents=0,
            failure_days=2.5,
            service_days=SERVICE_DAYS,
        ),
        decisions=DecisionSettings(dry_run=False, daily_budget_cents=2**50, propose_every_s=86_400),
    )
    await asyncio.to_thread(starter.install, directory / "models", directory / "keys")
    async with unhurried(), running(config, clock) as daemon:
        driver = Driver(plan, world, daemon, clock)
        await _models_answer(daemon)
        await driver.command(
            PutSupplier(supplier=SUPPLIER, fields={"lead_days": 5.5, "order_cost_cents": 500}),
            PutSupply(sku="*", fields={"supplier": SUPPLIER, "holding_rate": 0.25}),
            *(
                PutSupply(
                    sku=kind.sku, fields={"supplier": SUPPLIER, "cost_cents": world.cost(kind)}
                )
                for kind in world._by_sku.values()
            ),
        )
        for _ in range(plan.warm_days):
            await driver.day()
        if plan.trains:
            await _trained(daemon, driver, directory)
        decided = list(daemon.pipeline.core.ledger.rows(Decision))
        assert not decided, f"the daemon decided something while it only watched: {decided}"
        _begin(world)
        if "restock" in plan.kinds:
            world.habits = False
        for sku in world._by_sku:
            world.tell_price(sku)
        for _ in range(plan.days):
            await driver.decide()
            await driver.day()
    return Helped(world.money, driver.carried_out, driver.trained)


@asynccontextmanager
async def unhurried() -> AsyncIterator[None]:
    """A daemon whose proposals are asked for by the driver, and that scores all classes in one slice:
    nobody waits for an answer here. Afterwards everything is as it was."""
    with (
        patch.object(pipeline_proposals.Proposals, "run", _asked_by_the_driver),
        patch.object(scorer, "SLICE_TARGET_S", 1.0),
    ):
        yield


async def _asked_by_the_driver(self: pipeline_proposals.Proposals) -> None:
    """In place of the daemon's own rounds: those go by the clock on the wall, the world's days do not.

    A round of its own while it only watches would place orders that nobody carries out; goods that come
    months later would then be taken for them, and the supplier for one who takes months.
    """
    await asyncio.Event().wait()


async def _trained(daemon: Daemon, driver: Driver, directory: Path) -> None:
    """Models of the shop's own days so far take the place of the shipped ones, as after a night."""
    scoring = daemon.scoring
    assert scoring is not None
    await daemon.pipeline.flush()
    file = directory / "train.toml"
    file.write_text(f'[shop]\nstore = "main"\n[storage]\ndirectory = "{directory}"\n')
    await _train("fit", file, "--nice", "0")
    told = await _train("publish", file, "--force")
    made = {one["service"]: one["version"] for one in told["published"] if one["version"]}
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while any(_version(scoring.scorer.slots[name]) != new for name, new in made.items()):
        assert loop.time() < until, "the shop's own models did not come in"
        for name, version in made.items():
            for one in scoring.registry.at(name, "candidate", "shadow", "canary"):
                if one.usable and one.version == version:
                    deed = Deed(do="promote", service=name, version=version, why="trained")
                    daemon.pipeline.tell(MODELS_TOPIC, msgspec.json.encode(deed))
        await asyncio.sleep(0.5)
    driver.trained = sorted(made)


async def _train(verb: str, file: Path, *more: str) -> dict[str, Any]:
    """``rfid3 train``; what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge", "train", verb, "-c", str(file), "--json", *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate()
    if process.returncode:
        print(f"train {verb}: {wrong.decode()[-600:]}", file=sys.stderr)
    told = dict(json.loads(said))
    for fit in told.get("fits", ()):
        if fit["became"] != "fitted":
            print(f"{fit['service']} was not trained: {fit['detail']}", file=sys.stderr)
    return told


def _version(slot: scorer.Slot) -> str:
    return slot.active.manifest.version if slot.active is not None else ""


async def _models_answer(daemon: Daemon) -> None:
    """Until the shipped models have passed the door."""
    scoring = daemon.scoring
    assert scoring is not None
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while not all(slot.active is not None for slot in scoring.scorer.slots.values()):
        assert loop.time() < until, "the shipped models did not come in"
        await asyncio.sleep(0.1)


def with_proposals(plan: Plan, directory: Path) -> Helped:
    """The same shop with a daemon, which keeps its files in ``directory``."""
    return asyncio.run(_with(plan, directory))
