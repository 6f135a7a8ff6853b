"""Imports point one way: every module has a place in the table, and imports nothing above it.

The tables are the rules; the code below only reads them. Each rule is shown to be able to fail.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("edge", "edge.errors", "edge.clock"),
    (
        "edge.events",
        "edge.commands",
        "edge.records",
        "edge.config*",
        "edge.view_types",
        "edge.sdnotify",
    ),
    ("edge.logs", "edge.ingest", "edge.ingest.*", "edge.features", "edge.features.*"),
    ("edge.inference", "edge.inference.*"),
    ("edge.ledger.ledger",),
    (
        "edge.alerts",
        "edge.alerts.*",
        "edge.decisions",
        "edge.decisions.*",
        "edge.services",
        "edge.services.*",
        "edge.ledger",
        "edge.ledger.*",
    ),
    ("edge.core", "edge.core_*"),
    ("edge.view", "edge.view_*"),
    ("edge.storage", "edge.storage.*", "edge.notify", "edge.notify.*"),
    ("edge.pipeline", "edge.pipeline_*", "edge.recovery", "edge.outbox"),
    ("edge.health", "edge.tables"),
    ("edge.api", "edge.api.*"),
    ("edge.app",),
    # Round the daemon: they start it, feed it, look at it or stand in for its parts.
    ("edge.broker", "edge.servers", "edge.checks", "edge.checks.*", "edge.testing"),
    ("edge.simulate", "edge.simulate.*", "edge.replay", "edge.replay.*"),
    ("edge.doctor", "edge.__main__", "edge.cli", "edge.cli.*"),
)
"""Lowest first. Modules of one layer may know each other, but never in a circle."""

PURE = (
    "edge.core",
    "edge.events",
    "edge.commands",
    "edge.features*",
    "edge.ingest.formats*",
    "edge.ingest.decode",
    "edge.ingest.admit",
    "edge.ingest.presence",
    "edge.ingest.smoothing",
    "edge.ingest.seen",
    "edge.ingest.movements",
    "edge.ingest.outages",
    "edge.ingest.places",
    "edge.ingest.epc",
    "edge.ingest.times",
    "edge.ingest.topics",
    "edge.inference.drift",
    "edge.inference.accuracy",
    "edge.inference.pricing",
    "edge.inference.velocity",
    "edge.alerts*",
    "edge.decisions*",
    "edge.ledger*",
    "edge.services*",
)
"""The middle: time is an argument, and nothing is read or written."""
IMPURE = (
    *("aiohttp", "asyncio", "edge.clock", "edge.logs", "edge.sdnotify", "multiprocessing", "os"),
    *("random", "select", "socket", "sqlite3", "ssl", "subprocess", "threading", "time", "urllib"),
    "uvloop",
)
CLOCK_CALLS = ("now", "utcnow", "today")
"""Methods of ``datetime`` and ``date`` that read a clock."""

ONLY: dict[str, tuple[str, ...]] = {
    "mqtt5": ("edge.ingest.mqtt*",),
    "sqlite3": ("edge.storage*", "edge.tables", "edge.replay*", "edge.checks.versions"),
    "asyncmy": ("edge.storage.mysql*", "edge.replay*"),
    "redis": ("edge.storage.mirror*",),
    "onnxruntime": ("edge.inference*", "trainer*"),
    "onnx": ("edge.inference.door*", "trainer*"),
    "cryptography": ("edge.inference.keys",),
    "pyarrow": ("edge.replay*", "trainer*"),
    "aiohttp": (
        "edge.api*",
        "edge.app",
        "edge.cli*",
        "edge.notify*",
        "edge.replay*",
        "edge.simulate*",
    ),
    "trainer": ("trainer*",),
    "edge.testing": ("edge.testing",),
    "tests": (),
    "bench": (),
}
"""Who alone may import what."""

TRAINER_MAY = (
    *("edge.errors", "edge.clock", "edge.events", "edge.records", "edge.config*"),
    *("edge.ingest*", "edge.features*", "edge.inference*", "edge.storage*"),
    *("edge.ledger*", "edge.services*"),  # pure: what an import is held against, and how it is told
    *("edge.core", "edge.replay*"),  # imported history goes once through the daemon's own state
)


def module_name(path: Path) -> str:
    """``edge/api/__init__.py`` -> ``edge.api``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path.read_text()
    for folder in ("edge", "trainer")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
PACKAGES = {name.rpartition(".")[0] for name in MODULES} - {""}


def imports(module: str, tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported; a name out of a package of ours is its module, if it is one.

    Imports inside functions and for type checking count: they tie files together all the same.
    """
    package = module if module in PACKAGES else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            source = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            inner = [f"{source}.{alias.name}" for alias in node.names]
            modules = [name for name in inner if name in MODULES]
            yield from modules
            if len(modules) < len(inner):
                yield source


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns is this module's."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def layer(module: str) -> int | None:
    """The module's place, counted from the bottom; an exact name wins over a pattern."""
    for patterns_are_exact in (True, False):
        for level, patterns in enumerate(LAYERS):
            if (module in patterns) if patterns_are_exact else matches(module, patterns):
                return level
    return None


def within(name: str, package: str) -> bool:
    """Whether ``name`` is the package or something in it."""
    return name == package or name.startswith(package + ".")


def complaints(module: str, source: str) -> list[str]:
    """What is wrong with one module; empty when nothing is."""
    tree = ast.parse(source)
    own, targets = layer(module), sorted(set(imports(module, tree)))
    found = [f"imports {t}: only {who} may" for t in targets for name, who in ONLY.items()
             if within(t, name) and not matches(module, who)]  # fmt: skip
    if within(module, "trainer"):
        ours = [target for target in targets if within(target, "edge")]
        found += [f"imports {t}: not for the trainer" for t in ours if not matches(t, TRAINER_MAY)]
        return found
    if own is None:
        return [*found, "has no place: give it one in LAYERS"]
    for target in targets:
        level = layer(target) if within(target, "edge") else None
        if level is not None and level > own:
            found.append(f"imports {target} from a layer above its own")
    if matches(module, PURE):
        found += [
            f"imports {target}, but is pure"
            for target in targets
            if any(within(target, bad) for bad in IMPURE)
        ]
        found += [
            f"line {node.lineno}: .{node.attr} reads a clock"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in CLOCK_CALLS
            and ast.unparse(node.value).rpartition(".")[2] in ("datetime", "date")
        ]
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one import circle; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    assert complaints(module, MODULES[module]) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        name: {target for target in imports(name, ast.parse(text)) if target in MODULES} - {name}
        for name, text in MODULES.items()
    }
    assert circle(graph) == []


@pytest.mark.parametrize(
    ("module", "wrong", "complaint"),
    [
        ("edge.errors", "import edge.events", "layer above"),
        ("edge.features.windows", "from edge import storage", "layer above"),
        ("edge.storage.journal", "def f():\n    from edge.pipeline import step", "layer above"),
        ("edge.ingest.decode", "from ..api import app", "layer above"),
        ("edge.api.app", "from edge.cli.run import main", "layer above"),
        ("edge.features.state", "import asyncio", "is pure"),
        ("edge.ingest.formats.zebra", "from time import time", "is pure"),
        ("edge.ingest.admit", "from edge.clock import SystemClock", "is pure"),
        ("edge.ingest.presence", "import datetime\ndatetime.datetime.now()", "reads a clock"),
        ("edge.ingest.inbox", "import mqtt5", "only"),
        ("edge.pipeline", "import sqlite3", "only"),
        ("edge.app", "from trainer import demand", "only"),
        ("edge.app", "from edge.testing import ManualShop", "only"),
        ("edge.utils", "", "no place"),
        ("trainer.demand", "import edge.app", "not for the trainer"),
    ],
)
def test_each_rule_can_say_no(module: str, wrong: str, complaint: str) -> None:
    assert any(complaint in text for text in complaints(module, wrong)), complaints(module, wrong)


def test_a_circle_is_seen() -> None:
    assert circle({"a": {"b"}, "b": {"a"}})
    assert not circle({"a": {"b"}, "b": set()})
