"""What planned services could save in the simulated shop at best: its wear, known exactly. No daemon.

A thing is served every so many uses, and mended when it breaks; either makes it new. That is age
replacement (Barlow and Proschan, Mathematical Theory of Reliability, 1965, chapter 4.2), with uses in
place of time: the cost of a use in the long run is the expected cost of a life over its expected
length. The shop's own daemon knows neither the hazard nor how frail a thing is.
"""

from typing import NamedTuple

import numpy as np

from bench.impact.world import SERVICE_CENTS, SERVICE_DAYS
from edge.simulate.days import (
    FRAILTY_SCALE,
    FRAILTY_SHAPE,
    REPAIR_CENTS,
    REPAIR_DAYS,
    failing,
)

AFTER = (*range(1, 60), 300)
"""Uses between services that are tried; no thing of this shop lasts as many as the last: never."""
DAYS_RENT_CENTS = 2_600
"""What a thing on rent earns a day: about 65 a rental, 2.5 days each."""


class Life(NamedTuple):
    """Of a thing that is served after so many uses: in the long run, by use."""

    cents: float
    failures: float


class Saved(NamedTuple):
    """Shares of what repairs and services cost, and of failures, without any service."""

    cost: float
    failures: float


def life(frailty: float, served_after: int, day_cents: float) -> Life:
    """``day_cents``: what a day costs on which the thing is in the workshop."""
    repair = (sum(REPAIR_CENTS) - 1) / 2 + day_cents * (sum(REPAIR_DAYS) - 1) / 2
    service = SERVICE_CENTS + day_cents * SERVICE_DAYS
    alive, uses, failures = 1.0, 0.0, 0.0
    for use in range(1, served_after + 1):
        chance = failing(frailty, use)
        uses += alive
        failures += alive * chance
        alive *= 1 - chance
    return Life((failures * repair + alive * service) / uses, failures / uses)


def saved(day_cents: float, each: bool, things: int = 200, seed: int = 0) -> Saved:
    """With the best number of uses between services: of each thing, or one for all of them."""
    drawn = np.random.default_rng(seed).gamma(FRAILTY_SHAPE, FRAILTY_SCALE, things)
    after = np.array([[life(frailty, n, day_cents) for n in AFTER] for frailty in drawn])
    never = after[:, -1].mean(axis=0)
    if each:
        chosen = after[np.arange(things), after[:, :, 0].argmin(axis=1)].mean(axis=0)
    else:
        chosen = after.mean(axis=0)[after[:, :, 0].mean(axis=0).argmin()]
    return Saved(*(1 - chosen / never))


if __name__ == "__main__":
    for what, cents in (("nothing", 0), ("its rent", DAYS_RENT_CENTS)):
        for whose, each in (("its own interval", True), ("one interval for all", False)):
            found = saved(cents, each)
            print(
                f"{whose}, a day in the workshop costs {what}: "
                f"cost {-found.cost:+.1%}, failures {-found.failures:+.1%}"
            )
