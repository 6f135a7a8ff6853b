"""Fits services one after the other, each in a process of its own within its budget. No models here.

One that goes over its budget, or breaks, is ended; the rest goes on.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.inference.manifest import Service
from trainer import budget
from trainer.budget import Budget, Ended, Outcome
from trainer.orders import Became, Fit, FitOrder

PROGRAM = ("-P", "-m", "trainer.one")
LEAST_S = 5.0
"""With less time left than this nothing is begun."""

BECAME: dict[Ended, Became] = {
    Ended.MEMORY: "over_memory",
    Ended.TIME: "over_time",
    Ended.CRASHED: "failed",
}

Say = Callable[[Service, str, float], None]
"""Told which service is at work, what is being done, and the share that is done."""
THREADS_MOST = 4
"""A child computes with no more, unless it is told so: as many as a Pi has."""


class Fits(Struct, frozen=True, kw_only=True):
    """What became of all of them."""

    fits: list[Fit]
    seconds: float
    peak_mb: float
    """The highest of all; one runs after the other."""

    @property
    def models(self) -> list[Fit]:
        """Those that left a model."""
        return [fit for fit in self.fits if fit.became == "fitted"]

    @property
    def broken(self) -> list[Fit]:
        """Those that should have left one: all but too little data, or nothing that fits it."""
        fine = ("fitted", "too_little", "absent")
        return [fit for fit in self.fits if fit.became not in fine]


def fit_all(
    orders: Sequence[FitOrder],
    seconds: float,
    say: Say = lambda service, text, share: None,
    done: Callable[[Fit], None] = lambda fit: None,
    program: Sequence[str] = PROGRAM,
) -> Fits:
    """Carry out orders in turn; all together take no longer than ``seconds``."""
    began, made = time.monotonic(), []
    for order in orders:
        left = seconds - (time.monotonic() - began)
        made.append(fit_one(order, left, say, program))
        done(made[-1])
    return Fits(
        fits=made,
        seconds=round(time.monotonic() - began, 1),
        peak_mb=max((fit.peak_mb for fit in made), default=0.0),
    )


def fit_one(
    order: FitOrder,
    seconds: float,
    say: Say = lambda service, text, share: None,
    program: Sequence[str] = PROGRAM,
) -> Fit:
    """Carry out one order within its budget and ``seconds``; never raises for what goes wrong in it."""
    service = order.service
    if seconds < LEAST_S:
        return Fit(service=service, became="over_time", detail="no time was left for it")
    allowed = msgspec.structs.replace(order.budget, seconds=min(order.budget.seconds, seconds))
    content = msgspec.json.encode(msgspec.structs.replace(order, budget=allowed))
    say(service, "starting", 0.0)
    outcome = budget.run(
        [*program, "fit"],
        content,
        allowed,
        lambda text, share: say(service, text, share),
        environment(os.environ),
    )
    return _told(order, outcome)


def _told(order: FitOrder, outcome: Outcome) -> Fit:
    spent = outcome.spent
    if outcome.ended is Ended.DONE:
        fit = msgspec.json.decode(outcome.answer, type=Fit)
    else:
        fit = Fit(service=order.service, became=BECAME[outcome.ended], detail=outcome.detail)
    return msgspec.structs.replace(
        fit,
        reason=order.reason,
        seconds=spent.seconds,
        cpu_s=spent.cpu_s,
        peak_mb=spent.peak_mb,
    )


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """For children: our own package first, no huge pages, few arenas, few threads, which wait asleep.

    Threads that spin while they wait take most of a small machine's time from each other; on a machine
    of many processors the room that each thread asks for beforehand would be more than the budget.
    """
    package = str(Path(__file__).resolve().parents[1])
    before = given.get("PYTHONPATH", "")
    threads = str(min(THREADS_MOST, len(os.sched_getaffinity(0))))
    return {
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        **given,
        "PYTHONPATH": f"{package}{os.pathsep}{before}" if before else package,
        "NUMPY_MADVISE_HUGEPAGE": "0",
        "MALLOC_ARENA_MAX": "2",
        "MPLBACKEND": "Agg",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def default_budget(memory_mb: int, minutes: float, nice: int = 10) -> Budget:
    """A budget out of what people type."""
    return Budget(memory_mb=memory_mb, seconds=minutes * 60.0, nice=nice)
