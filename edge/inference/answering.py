"""Who answers for a service now, and why a simple rule does where no model answers. Pure.

The registry's states and what is loaded go in; a word for programs and a sentence for people come out.
"""

from dataclasses import dataclass
from typing import Literal

from edge.inference.manifest import Manifest, Service
from edge.inference.registry import DAEMON, Registry, Version

Who = Literal["model", "starter", "canary", "rule"]
"""``canary``: a candidate answers for its share of the keys, and the rule for all others."""
Origin = Literal["", "starter", "shop"]
Reason = Literal["", "no_model", "refused", "rolled_back", "loading", "trial", "waiting"]
"""Why a simple rule answers; empty: it does not."""


NO_MODEL = (
    "no model has come in: after a first start starters are examined for a moment, later models are made "
    "by rfid3 train fit and handed over by rfid3 train publish"
)


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers, and why."""

    who: Who
    reason: Reason
    why: str
    """For people; empty where a model answers for everybody."""


def origin_of(manifest: Manifest | None) -> Origin:
    """Whether a model came with the program or learnt from this shop; empty: nobody knows yet.

    What was trained elsewhere and published here by a trusted key counts as the shop's own.
    """
    if manifest is None:
        return ""
    return "starter" if manifest.training.reason == "starter" else "shop"


def answering(
    registry: Registry, service: Service, asked: Manifest | None, canary: bool
) -> Answering:
    """``asked``: of the model that is loaded and asked now; ``canary``: one is, for its share."""
    if asked is not None:
        return Answering("starter" if origin_of(asked) == "starter" else "model", "", "")
    reason, why = _why(registry, service)
    return Answering("canary" if canary else "rule", reason, why)


def _why(registry: Registry, service: Service) -> tuple[Reason, str]:
    """The first of these that is so; the order is that of what will happen next."""
    active, beside = registry.active(service), registry.beside(service)
    if active is not None:
        return "loading", f"{active.version} is active, and is being examined and loaded"
    if beside is not None:
        return "trial", f"{beside.version} is tried out first ({beside.state}): {_of(beside)}"
    if waiting := registry.at(service, "candidate"):
        return "waiting", f"{waiting[-1].version} has passed the door and waits for its turn"
    if (gone := _last_rejected(registry, service)) is not None:
        return _rejected(gone)
    return "no_model", NO_MODEL


def _last_rejected(registry: Registry, service: Service) -> Version | None:
    """The version that was rejected last, in the order of the history."""
    known = registry.versions[service]
    lines = (line for line in reversed(registry.history[service]) if line.state == "rejected")
    return next((v for line in lines if (v := known[line.version]).state == "rejected"), None)


def _rejected(version: Version) -> tuple[Reason, str]:
    if not version.usable:
        return "refused", f"{version.version} was refused at the door: {_of(version)}"
    by = "the daemon" if version.who == DAEMON else version.who
    return "rolled_back", f"{version.version} was rolled back by {by}: {_of(version)}"


def _of(version: Version) -> str:
    return version.why or "nobody said why"
