"""What became of messages that came through HTTP, gathered from their receipts. No sockets.

A report lives as long as one request. Receipts are told on the event loop's thread.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from edge.api.complaints import readable
from edge.records import Reason

REFUSED_SHOWN_MAX = 1_000
WARNINGS_SHOWN_MAX = 1_000

# Outcomes of events that count, and of those that change nothing because the daemon knows them
# already. Every other outcome is a refusal, and leaves a dead letter with that reason.
ACCEPTED = frozenset(
    {
        Reason.ADMITTED,
        Reason.FOLDED,
        Reason.LATE,
        Reason.POSSIBLE_REPEAT,
        Reason.MUTED,
        Reason.IGNORED,
    }
)
REPEATS = frozenset({Reason.REDELIVERED, Reason.DUPLICATE, Reason.BUSINESS_DUPLICATE})


UPLOADED = {
    200: "Everything was decided; the report says which events were **refused**.",
    202: "Everything is durable, not all of it is decided.",
}
"""``Endpoint.statuses`` of an endpoint that answers with a report."""


class Refusal(Struct, gc=False):
    """One line that was refused."""

    line: int
    """Line of the body, or place in the array, from 1."""
    reason: str
    """Why, in one word."""
    detail: str
    """Why, for people."""


class LineWarning(Struct, gc=False):
    """One line that was not refused, and of which a part was not used."""

    line: int
    """Line of the body, or place in the array, from 1."""
    detail: str
    """What was left out, for people."""


class UploadReport(Struct):
    """What became of an upload, as far as it is known: read it, whatever the status."""

    accepted: int
    """Events that count."""
    repeated: int
    """Events that were known already; sending them again changed nothing."""
    refused_count: int
    """Events or lines that were refused."""
    refused: list[Refusal]
    """The first 1,000 of them, by line."""
    warnings_count: int
    """Parts of events that were not used, such as fields that no event has."""
    warnings: list[LineWarning]
    """The first 1,000 of them, by line."""
    outcomes: dict[str, int]
    """Every outcome by its reason."""
    pending: int
    """Lines that are in the journal but not applied yet; only with status 202."""


class LineReceipt:
    """The receipt of one line's message."""

    __slots__ = ("_report", "line")

    def __init__(self, report: "Report", line: int) -> None:
        self._report = report
        self.line = line

    def committed(self) -> None:
        """The journal holds it."""
        self._report.committed += 1
        self._report.stir()

    def applied(self, outcomes: Sequence[tuple[str, str]]) -> None:
        """One (reason, detail) for each event found inside."""
        report = self._report
        for reason, detail in outcomes:
            report.note(self.line, reason, detail)
        report.applied += 1
        report.stir()


class Report:
    """Counts outcomes line by line, and lets one request wait for more of them."""

    def __init__(self, total: Counter[str]) -> None:
        self._total = total  # of the whole API; every outcome is counted there too
        self._refused: list[Refusal] = []
        self._warnings: list[LineWarning] = []
        self._stirred = asyncio.Event()
        self.outcomes: Counter[str] = Counter()
        self.refused_count = 0
        self.warnings_count = 0
        self.submitted = 0
        self.committed = 0
        self.applied = 0

    @property
    def pending(self) -> int:
        """Messages submitted and not applied yet."""
        return self.submitted - self.applied

    @property
    def durable(self) -> bool:
        """Whether the journal holds every message submitted."""
        return self.committed >= self.submitted

    def receipt(self, line: int) -> LineReceipt:
        """The receipt for the message of ``line``."""
        return LineReceipt(self, line)

    def refuse(self, line: int, reason: str, detail: str) -> None:
        """Refused at the door: it never became a message."""
        self._count(reason)
        self._list(line, reason, detail)

    def warn(self, line: int, detail: str) -> None:
        """A part of it is not used; the rest is, or is refused on its own account."""
        self.warnings_count += 1
        if len(self._warnings) < WARNINGS_SHOWN_MAX:
            self._warnings.append(LineWarning(line, detail))

    def note(self, line: int, reason: str, detail: str) -> None:
        """What the corridor decided about an event."""
        self._count(reason)
        if reason not in ACCEPTED and reason not in REPEATS:
            self._list(line, reason, detail)

    def _count(self, reason: str) -> None:
        self.outcomes[str(reason)] += 1
        self._total[str(reason)] += 1

    def _list(self, line: int, reason: str, detail: str) -> None:
        self.refused_count += 1
        if len(self._refused) < REFUSED_SHOWN_MAX:
            self._refused.append(Refusal(line, str(reason), readable(detail)))

    def stir(self) -> None:
        """Wake whoever waits for progress."""
        self._stirred.set()

    async def progress(self, patience_s: float) -> bool:
        """Wait until any receipt is told something; ``False``: nothing for ``patience_s``."""
        self._stirred.clear()
        try:
            async with asyncio.timeout(patience_s):
                await self._stirred.wait()
        except TimeoutError:
            return False
        return True

    async def settle(self, pending_max: int, patience_s: float) -> bool:
        """Wait until at most ``pending_max`` messages are pending; ``False``: progress stopped."""
        while self.pending > pending_max:
            if not await self.progress(patience_s):
                return False
        return True

    def summary(self) -> UploadReport:
        """What is known now."""
        repeated = sum(self.outcomes[reason] for reason in REPEATS)
        known = sum(self.outcomes.values())
        return UploadReport(
            accepted=known - repeated - self.refused_count,
            repeated=repeated,
            refused_count=self.refused_count,
            refused=sorted(self._refused, key=lambda refusal: refusal.line),
            warnings_count=self.warnings_count,
            warnings=self._warnings.copy(),
            outcomes=dict(sorted(self.outcomes.items())),
            pending=self.pending,
        )
