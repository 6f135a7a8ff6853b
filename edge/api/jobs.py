"""Jobs: answers too heavy to wait for, made in a thread or a subprocess, one after the other.

A job computes out of what it was given at its start and changes nothing. Jobs, waiting or done,
and the bytes of their results are bounded; a daemon that starts again has none.
"""

import asyncio
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from msgspec import Raw, Struct

from edge.api.body import Body
from edge.api.encode import encode
from edge.api.endpoint import Answer, Api, Call, Endpoint, Path, Query
from edge.api.problems import Problem
from edge.api.query import Text
from edge.clock import Clock
from edge.errors import Rfid3Error
from edge.notify import guarded
from edge.view_basis import why_empty

log = structlog.get_logger(__name__)

WAITING_MAX = 16
"""Jobs waiting or running at once."""
KEPT_MAX = 64
"""Jobs remembered once they are finished."""
RESULT_MAX_BYTES = 8_388_608
RESULTS_MAX_BYTES = 33_554_432
NICE = 10

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
FINISHED = frozenset({"done", "failed", "cancelled"})
STATUSES = {202: "The job is waiting or at work: see ``Location``."}
"""``Endpoint.statuses`` of an endpoint that starts a job."""
PROBLEMS = ("too-many-jobs", "invalid")
"""What every start of a job may meet."""


class JobCancelled(Exception):
    """Raised inside a job's work when nobody wants it any more."""


class Notify(Body):
    """Who is told when a job has finished."""

    url: Text | None = None
    """Address that gets one POST: on this machine or in a private network, or of a host named in
    ``api.webhook_hosts``."""
    topic: Text | None = None
    """MQTT topic that gets one message."""


class JobListed(Struct, kw_only=True):
    """A job without what it found."""

    job: str
    """Its id."""
    kind: str
    """What it computes."""
    state: JobState
    """How far it is."""
    progress: float
    """Share of the work that is done, as far as it can be told."""
    note: str
    """What it is at, for people."""
    asked_ms: int
    """When it was asked for."""
    started_ms: int
    """When it began."""
    ended_ms: int
    """When it ended."""
    error: str
    """Why it failed."""
    notified: str
    """What became of the notification: ``told``, or what went wrong; empty: nobody is told (yet)."""
    place: str
    """Where to look for it."""
    result_at: str
    """Where to read what it found; empty: it found nothing, or is not done."""


class JobRow(JobListed, kw_only=True):
    """A job."""

    result: Any = None
    """What it found; null while it is not done, or where it was cancelled or failed."""


class JobRows(Struct):
    """Every job that is remembered."""

    as_of_ms: int
    """The moment the state stands for."""
    jobs: list[JobListed]
    """The rows, the newest first, without results: see ``result_at``."""
    why_empty: str = ""
    """Why there is no row, and what is needed for one; empty: there are rows."""


class JobPath(Path):
    """Which job."""

    id: Text
    """``job`` of the answer that started it."""


@dataclass(eq=False)
class Job:
    """One job. Its work calls ``step`` between slices, from whatever thread it runs in."""

    id: str
    kind: str
    asked_ms: int
    state: JobState = "waiting"
    progress: float = 0.0
    note: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    error: str = ""
    notified: str = ""
    result: bytes = b""
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def place(self) -> str:
        """Where to look for it."""
        return f"/api/jobs/{self.id}"

    def step(self, progress: float, note: str = "") -> None:
        """Between two slices of work: tell how far it is. Raises JobCancelled."""
        self.progress, self.note = min(max(progress, 0.0), 1.0), note or self.note
        if self.cancelled.is_set():
            raise JobCancelled

    def row(self) -> JobRow:
        """What people see of it."""
        told = Raw(self.result) if self.state == "done" else None
        return JobRow(result=told, **self._told())

    def listed(self) -> JobListed:
        """The same without its result, which may be large."""
        return JobListed(**self._told())

    def _told(self) -> dict[str, Any]:
        names = ("kind", "state", "progress", "note", "asked_ms", "started_ms", "ended_ms")
        rest = {name: getattr(self, name) for name in (*names, "error", "notified", "place")}
        return rest | {"job": self.id, "result_at": self.place if self.state == "done" else ""}


Work = Callable[[Job], Any]
"""Runs in a thread; what it returns is encoded as JSON there. Or a coroutine function: a
subprocess."""
Publish = Callable[[str, bytes], Awaitable[None]]


class Jobs:
    """Runs jobs, one of each lane at a time."""

    def __init__(
        self, clock: Clock, hosts: list[str], own_port: int = 0, publish: Publish | None = None
    ) -> None:
        self.known: OrderedDict[str, Job] = OrderedDict()
        self.publish = publish
        self._clock = clock
        self._hosts = frozenset(hosts)
        self._own_port = own_port
        self._lanes: dict[str, asyncio.Lock] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, "job", initializer=_behind_others)

    def start(
        self, kind: str, work: Work, *, lane: str = "compute", notify: Notify | None = None
    ) -> Job:
        """Let ``work`` be done when its lane is free. Raises Problem ``too-many-jobs``, ``invalid``."""
        if len(self._tasks) >= WAITING_MAX:
            raise Problem("too-many-jobs", f"{WAITING_MAX} are waiting or at work.")
        if notify is not None:
            self._check(notify)
        job = Job(secrets.token_hex(8), kind, self._clock.now_ms())
        self.known[job.id] = job
        self._let_go()
        self._tasks[job.id] = asyncio.create_task(
            self._run(job, work, lane, notify), name=f"job {kind}"
        )
        return job

    def cancel(self, job: Job) -> None:
        """Nobody wants it any more; a thread ends after its slice."""
        job.cancelled.set()
        task = self._tasks.get(job.id)
        if task is not None and job.state == "waiting":
            task.cancel()

    async def finished(self, job: Job) -> None:
        """Wait until it has ended, well or not."""
        task = self._tasks.get(job.id)
        if task is not None:
            await asyncio.wait([task])

    async def close(self) -> None:
        """Cancel everything and wait until it has ended."""
        for job in self.known.values():
            job.cancelled.set()
        tasks = [*self._tasks.values(), *self._telling]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._thread.shutdown(wait=False, cancel_futures=True)

    # -- running --------------------------------------------------------------------------------

    async def _run(self, job: Job, work: Work, lane: str, notify: Notify | None) -> None:
        try:
            async with self._lanes.setdefault(lane, asyncio.Lock()):
                job.state, job.started_ms = "running", self._clock.now_ms()
                await self._work(job, work)
        except asyncio.CancelledError:
            job.state = "cancelled"  # the daemon stops, or nobody wants it
        finally:
            job.ended_ms = self._clock.now_ms()
            self._tasks.pop(job.id, None)
            self._let_go()
        if notify is not None and job.state != "cancelled":
            task = asyncio.create_task(self._tell(job, notify), name=f"told {job.kind}")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _work(self, job: Job, work: Work) -> None:
        try:
            if asyncio.iscoroutinefunction(work):
                job.result = encode(await work(job))
            else:
                loop = asyncio.get_running_loop()
                job.result = await loop.run_in_executor(self._thread, _in_thread, job, work)
            if len(job.result) > RESULT_MAX_BYTES:
                job.result, detail = (
                    b"",
                    f"the answer is over {RESULT_MAX_BYTES} bytes: ask for less",
                )
                raise Problem("limit", detail)
            job.state, job.progress = "done", 1.0
        except JobCancelled:
            job.state = "cancelled"
        except Problem as problem:
            job.state, job.error = "failed", f"{problem.slug}: {problem.detail}"
        except Exception as error:
            # As in app.py: a mistake in one answer is told to the one who asked; no state changed.
            log.exception("job_mistake", kind=job.kind, error=repr(error))
            job.state, job.error = "failed", f"internal: {type(error).__name__}: {error}"

    def _let_go(self) -> None:
        """Forget the oldest that have finished, beyond the limits."""
        finished = [job for job in self.known.values() if job.state in FINISHED]
        held = sum(len(job.result) for job in finished)
        while finished and (len(finished) > KEPT_MAX or held > RESULTS_MAX_BYTES):
            oldest = finished.pop(0)
            held -= len(oldest.result)
            del self.known[oldest.id]

    # -- telling --------------------------------------------------------------------------------

    def _check(self, notify: Notify) -> None:
        """Raises Problem ``invalid``."""
        if notify.topic is not None:
            if self.publish is None:
                raise Problem("invalid", "notify.topic: there is no broker to publish to.")
            if set(notify.topic) & {"+", "#"} or notify.topic.startswith("$"):
                raise Problem("invalid", "notify.topic: no wildcards, and no topic of a broker.")
        if notify.url is not None:
            try:
                guarded.checked_url(notify.url, self._hosts, self._own_port)
            except guarded.ForbiddenAddressError as error:
                raise Problem("invalid", f"notify.url: {error}.") from None

    async def _tell(self, job: Job, notify: Notify) -> None:
        body = encode(job.listed())
        wrong = ""
        if notify.url is not None:
            url = guarded.checked_url(notify.url, self._hosts, self._own_port)
            headers = {"Content-Type": "application/json", "Idempotency-Key": job.id}
            wrong = await guarded.post(url, body, headers, self._hosts)
        if notify.topic is not None and self.publish is not None:
            try:
                await self.publish(notify.topic, body)
            except Rfid3Error as error:
                wrong = f"the broker did not take it: {error}"
        job.notified = wrong or "told"


def _behind_others() -> None:
    """This thread gives way to all others."""
    thread = threading.get_native_id()
    with suppress(OSError):
        before = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(before, NICE))


def _in_thread(job: Job, work: Work) -> bytes:
    """Do the work, and encode what it found."""
    job.step(0.0)
    return encode(work(job))


def started(job: Job) -> Answer:
    """202 with the place to look."""
    return Answer(job.row(), status=202, headers={"Location": job.place})


def _job(api: Api, id_: str) -> Job:
    jobs: Jobs = api.jobs
    job = jobs.known.get(id_)
    if job is None:
        raise Problem("unknown-job", f"Nothing is remembered of {id_!r}.")
    return job


def list_jobs(api: Api, call: Call[Query, Path]) -> JobRows:
    """Every job that is remembered."""
    jobs: Jobs = api.jobs
    rows = [job.listed() for job in reversed(jobs.known.values())]
    return JobRows(api.view.now_ms, rows, why_empty(rows, (True, _NO_JOB)))


_NO_JOB = (
    "No job was started since the daemon was: POST /api/forecasts/bulk starts one, and answers that take "
    "long become one by themselves."
)


def get_job(api: Api, call: Call[Query, JobPath]) -> JobRow:
    """One job with what it found."""
    return _job(api, call.path.id).row()


def cancel_job(api: Api, call: Call[Query, JobPath]) -> JobListed:
    """Cancel a job; one that has finished is forgotten."""
    job = _job(api, call.path.id)
    jobs: Jobs = api.jobs
    if job.state in FINISHED:
        del jobs.known[job.id]
    else:
        jobs.cancel(job)
    told = job.listed()
    told.result_at = ""
    return told


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/jobs",
        "jobs",
        "Every job that is remembered, the newest first.",
        list_jobs,
        JobRows,
        area="jobs",
        rows="jobs",
    ),
    Endpoint(
        "GET",
        "/api/jobs/{id}",
        "job",
        "One job: how far it is, and what it found.",
        get_job,
        JobRow,
        area="jobs",
        parts=JobPath,
        problems=("unknown-job",),
    ),
    Endpoint(
        "DELETE",
        "/api/jobs/{id}",
        "cancel_job",
        "Cancel a job, or forget one that has finished.",
        cancel_job,
        JobListed,
        area="jobs",
        parts=JobPath,
        problems=("unknown-job",),
    ),
)
