"""Training on request: the trainer as a job in a process of its own, behind all others. No learning.

The daemon never imports the trainer; it starts ``rfid3 train schedule <service> --asked`` with the
settings that matter to it, and tells what became of that. The daemon finds what it publishes by itself.
"""

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from edge.api import jobs
from edge.api.body import Body
from edge.api.endpoint import Answer, Api
from edge.api.jobs import FINISHED, Job, JobCancelled, Jobs, Notify
from edge.api.problems import Problem
from edge.config import Config
from edge.config_file import toml_value

NEEDS = ("sklearn", "scipy", "holidays", "matplotlib")
"""Modules of the extra ``trainer``; it knows best itself, a test holds the two together."""
TABLES = ("shop", "storage", "models", "limits", "ingest", "demand", "epc")
"""Tables of the configuration that matter to training."""
LOOK_S = 0.2
SAID_MAX = 20_000
"""Characters kept of what the trainer said."""
PROBLEMS = ("no-trainer", "conflict", *jobs.PROBLEMS)


class Retrain(Body):
    """Why, and who is told when it is done."""

    why: str = ""
    """Why, for the list of jobs."""
    notify: Notify | None = None
    """Who is told when it is done."""


class Trained(Struct, kw_only=True):
    """What became of a training."""

    service: str
    """Service that was to be trained."""
    code: int
    """Exit code of the trainer: 0 also where there is too little data."""
    told: Any
    """What the trainer said."""


def missing() -> list[str]:
    """Modules that training needs and that are not installed here."""
    return [name for name in ("trainer", *NEEDS) if importlib.util.find_spec(name) is None]


def asked(api: Api, service: str, told: Retrain) -> Answer:
    """Start training. Raises Problem ``no-trainer``, ``conflict``, ``too-many-jobs``."""
    if names := missing():
        raise Problem("no-trainer", f"Not installed: {', '.join(names)}.")
    all_jobs: Jobs = api.jobs
    kind = f"train {service}"
    for job in all_jobs.known.values():
        if job.kind == kind and job.state not in FINISHED:
            detail = f"{service} is being trained already: see {job.place}."
            raise Problem("conflict", detail, job=job.id, place=job.place)

    async def work(job: Job) -> Trained:
        return await _train(job, service, api.settings)

    job = all_jobs.start(kind, work, lane="train", notify=told.notify)
    job.note = told.why or "asked for"
    return jobs.started(job)


async def _train(job: Job, service: str, config: Config) -> Trained:
    path = Path(config.storage.directory) / f"asked-{service}.toml"
    await asyncio.to_thread(_write, path, config)
    package = str(Path(__file__).resolve().parents[2])
    before = os.environ.get("PYTHONPATH", "")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "trainer", "schedule", service, "--asked", "--json"),
        *("-c", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{package}{os.pathsep}{before}" if before else package},
        start_new_session=True,
    )
    try:
        said = await _until_done(job, process)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        await asyncio.to_thread(path.unlink, missing_ok=True)
    out, wrong = (text.decode(errors="replace")[-SAID_MAX:] for text in said)
    if process.returncode != 0:
        raise Problem("invalid", (wrong or out).strip() or f"exit code {process.returncode}")
    return Trained(service=service, code=process.returncode, told=_read(said[0]) or out)


async def _until_done(job: Job, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    talking = asyncio.create_task(process.communicate())
    try:
        while not talking.done():
            await asyncio.wait({talking}, timeout=LOOK_S)
            if job.cancelled.is_set():
                raise JobCancelled
        return talking.result()
    finally:
        talking.cancel()


def _read(text: bytes) -> Raw | None:
    """What was said, if it is one JSON value of reasonable size."""
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return Raw(text.strip()) if len(text) <= SAID_MAX else None


# -- the settings as a file --------------------------------------------------------------------------


def _write(path: Path, config: Config) -> None:
    tree = msgspec.to_builtins(config)
    text = "\n".join(line for name in TABLES if name in tree for line in _table(name, tree[name]))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _table(name: str, fields: Mapping[str, Any]) -> Iterator[str]:
    """One table in TOML."""
    yield f"[{name}]"
    for key, value in fields.items():
        if value is not None:
            yield f"{key} = {toml_value(value)}"
