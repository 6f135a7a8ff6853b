"""The computer: model, memory, kernel settings, and what the configured limits will need."""

import importlib
import os
import re

from edge.checks import Case, Check, size

MEMORY_SHARE = 0.5
"""The daemon should leave this share of the machine's memory to the others."""


def check(case: Case) -> list[Check]:
    """Model, kernel, memory."""
    return [_model(case), *_cgroup(case), _pages(case), *_memory(case)]


def _model(case: Case) -> Check:
    model = case.text("proc/device-tree/model") or "not a Raspberry Pi"
    return Check(
        "machine", "ok", f"{model}, {os.cpu_count()} cores, {size(_meminfo(case, 'MemTotal'))} RAM"
    )


def _meminfo(case: Case, name: str) -> int:
    """A line of /proc/meminfo, bytes; 0: unknown."""
    match = re.search(rf"^{name}:\s+(\d+) kB", case.text("proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1_024 if match else 0


def _cgroup(case: Case) -> list[Check]:
    words = case.text("proc/cmdline").split()
    if "cgroup_disable=memory" in words and "cgroup_enable=memory" not in words:
        return [
            Check(
                "kernel command line",
                "warn",
                "cgroup_disable=memory: MemoryMax= of the service is ignored",
                "add cgroup_enable=memory to /boot/firmware/cmdline.txt and restart",
            )
        ]
    return [Check("kernel command line", "ok", "memory limits of services are honoured")]


def _pages(case: Case) -> Check:
    page = os.sysconf("SC_PAGE_SIZE")
    huge = re.search(r"\[(\w+)\]", case.text("sys/kernel/mm/transparent_hugepage/enabled"))
    setting = huge[1] if huge else "unknown"
    seen = f"pages of {page // 1_024} KiB, transparent huge pages: {setting}"
    if setting == "always":
        cure = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
        return Check(
            "memory pages", "warn", f"{seen}: the daemon may hold more memory than it uses", cure
        )
    return Check("memory pages", "ok", seen)


def _memory(case: Case) -> list[Check]:
    """Needed by the limits, against what the machine has."""
    rows = memory_rows(case)
    if not rows:
        return []
    needed = sum(rows.values())
    most = ", ".join(
        f"{name} {size(rows[name])}" for name in sorted(rows, key=rows.__getitem__)[:-4:-1]
    )
    total = _meminfo(case, "MemTotal")
    seen = f"the state takes up to {size(needed)} of {size(total)} (most: {most})"
    if total and needed > total * MEMORY_SHARE:
        return [Check("memory", "fail", seen, "lower the largest of [limits]")]
    return [Check("memory", "ok", seen)]


def memory_rows(case: Case) -> dict[str, int]:
    """Bytes that the configured limits cost, by part of the state; empty where it cannot be told."""
    try:
        state = importlib.import_module("edge.features.state")
    except ModuleNotFoundError:
        return {}
    table = getattr(state, "memory_table", None)
    if table is None:
        return {}
    rows: list[tuple[str, int, int]] = list(table(case.config.limits))
    if case.config.models.enabled:
        scorer = importlib.import_module("edge.inference.scorer")
        rows += scorer.memory_table(case.config.limits)
    return {name: size_bytes for name, _, size_bytes in rows}
