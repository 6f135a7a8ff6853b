"""Send mutants to the door, and hold what it let in against the originals."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from edge.inference import door, keys
from edge.inference.door import Limits, Reason, Verdict
from tests.hostile.attacks import ATTACKS, choose
from tests.hostile.draft import Draft, contents
from tests.hostile.originals import published

LIMITS = Limits(memory_mb=256, seconds=60.0, model_max_bytes=4_000_000, folder_max_bytes=8_000_000)
BATCH = 100
CONTROL_EVERY = 50
"""One of so many folders is the untouched original, which must be let in."""


@dataclass
class Report:
    """What became of the mutants."""

    mutants: int = 0
    controls: int = 0
    controls_refused: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    """Mutants that came in: none may."""
    unanswered: list[str] = field(default_factory=list)
    """Folders the check did not speak of."""
    reasons: Counter[str] = field(default_factory=Counter)
    attacks: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: "Report") -> None:
        for name in ("mutants", "controls", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("controls_refused", "accepted", "unanswered"):
            getattr(self, name).extend(getattr(other, name))
        self.reasons.update(other.reasons)
        self.attacks.update(other.attacks)

    @property
    def good(self) -> bool:
        return not (self.accepted or self.unanswered or self.controls_refused)


class Siege:
    """Originals, keys and a place to put mutants."""

    def __init__(self, root: Path, seed: int, program: Sequence[str] = door.PROGRAM) -> None:
        self.root, self.seed, self.program = root, seed, program
        self.originals = published(root)
        self.files = [contents(folder) for folder in self.originals]
        self.trusted = root / "keys" / keys.TRUSTED
        self.key = keys.machine_key(root / "keys")
        self.stranger = keys.new_key(root / "elsewhere", "stranger")

    def draft(self, number: int, attack: str | None = None) -> tuple[str, Draft]:
        """Mutant ``number``: the same for the same seed, if the models are."""
        random = Random(f"{self.seed}/{number}")
        for _ in range(100):
            which = random.randrange(len(self.originals))
            folder, files = self.originals[which], self.files[which]
            others = self.files[1 - which]
            draft = Draft(
                folder.parent.name, folder.name, dict(files), self.key, self.stranger, others
            )
            spoil = ATTACKS[attack] if attack else choose(number, random)
            spoil(draft, random)
            moved = (draft.service, draft.version) != (folder.parent.name, folder.name)
            if draft.files != files or draft.leave or moved:
                return spoil.__name__, draft
        raise AssertionError(f"{attack} does not change anything")

    def batch(self, numbers: Sequence[int], attack: str | None = None) -> Report:
        """Write, inspect, compare and remove some of them."""
        place = self.root / f"siege-{numbers[0]}"
        names: list[str] = []
        folders: list[Path] = []
        for number in numbers:
            name, draft = self.draft(number, attack)
            names.append(f"{name} {number}")
            folders.append(draft.write(place / str(number)))
        controls = self.originals if len(numbers) >= CONTROL_EVERY else self.originals[:1]
        started = time.monotonic()
        verdicts = door.inspect_many([*folders, *controls], self.trusted, LIMITS, self.program)
        report = self._judge(names, folders, verdicts)
        report.seconds = time.monotonic() - started
        shutil.rmtree(place)
        return report

    def _judge(self, names: list[str], folders: list[Path], verdicts: list[Verdict]) -> Report:
        report = Report(mutants=len(folders), controls=len(verdicts) - len(folders))
        for name, verdict in zip(names, verdicts, strict=False):
            report.attacks[name.split()[0]] += 1
            report.reasons[str(verdict.reason or "accepted")] += 1
            if verdict.ok:  # every mutant differs from its original, so none may come in
                report.accepted.append(name)
            elif verdict.reason == Reason.NO_CHECK:
                report.unanswered.append(f"{name}: {verdict.detail}")
        for verdict in verdicts[len(folders) :]:
            if not verdict.ok:
                report.controls_refused.append(str(verdict))
        return report

    def run(
        self,
        number: int,
        attack: str | None = None,
        jobs: int = 2,
        tell: Callable[[Report], None] = lambda report: None,
    ) -> Report:
        """All of them, in batches, two at a time."""
        whole = Report()
        batches = [range(i, min(i + BATCH, number)) for i in range(0, number, BATCH)]
        with ThreadPoolExecutor(jobs) as pool:
            for report in pool.map(lambda numbers: self.batch(numbers, attack), batches):
                whole.add(report)
                tell(whole)
        return whole
