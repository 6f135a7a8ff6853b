"""Which version of each service answers, and why: states, commands, judgement, history. One owner.

No files, no threads, no clock, no onnxruntime. Commands arrive in the order of the journal and are
applied once, however often they are replayed; what they changed is handed out as lines to be kept
(``history.py`` keeps them), and the lines alone give the registry back.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from edge.config import Models
from edge.inference.manifest import SERVICES, Manifest, Service

State = Literal["candidate", "shadow", "canary", "active", "previous", "rejected"]
Deed = Literal["found", "refuse", "shadow", "canary", "promote", "rollback"]

DAY_MS = 86_400_000
CANARY_DAYS = 1.0
"""So long a canary answers for its share before it answers for all."""
FIELD_ROWS = 200
"""So many judged predictions make a measure from the field worth believing."""
HISTORY = 1_000
"""Lines kept in memory, and told to those who ask; the file keeps more."""
DAEMON = "rfid3"
"""Who acts when nobody asked."""
METRICS: tuple[tuple[str, bool], ...] = (
    ("pinball", False),
    ("rmsse", False),
    ("mase", False),
    ("wape", False),
    ("pr_auc", True),
    ("log_loss", False),
    ("brier", False),
    ("mae", False),
    ("f1", True),
    ("precision", True),
)
"""What two models are compared by: the first that both tell; and whether higher is better."""
ACTIVE = "active"
"""Name of the baseline that is the active model, measured by the trainer on the same rows."""


class Command(Struct, frozen=True, kw_only=True):
    """One message of ``$rfid3/models``."""

    do: Deed
    service: Service
    version: str = ""
    """Empty: whichever is next (promote) or active now (rollback)."""
    who: str = DAEMON
    why: str = ""
    id: str = ""
    """Of the request, so that whoever asked finds what became of it."""
    mark: str = ""
    """Tells the folder's content from that of another folder of the same name."""


class Line(Struct, frozen=True, kw_only=True):
    """One line of the history: a version came into a state."""

    at_ms: int
    """The journal's time."""
    service: Service
    version: str
    state: State
    who: str
    why: str
    ordinal: int = -1
    """Of the command in the journal."""
    journal: str = ""
    """Which journal."""
    usable: bool = True
    """Whether it passed the door."""
    mark: str = ""
    """See ``Command``."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a command."""

    done: bool
    reason: str
    """``applied``, or one word for why not."""
    detail: str = ""
    version: str = ""
    """The version that is active now; empty: none."""


class Measured(Struct, frozen=True, kw_only=True):
    """How good a version has been in the field; the same loss on the same rows for each."""

    rows: int
    """Predictions whose actual has arrived."""
    loss: float
    """Lower is better."""
    baseline_loss: float | None = None
    """Of the service's simple rule on the same rows."""
    coverage: float | None = None
    """Share of actuals inside the interval."""


class Version(Struct, kw_only=True):
    """One version of a service, as the registry knows it."""

    service: Service
    version: str
    state: State
    since_ms: int
    found_ms: int
    who: str
    why: str
    usable: bool
    mark: str = ""
    manifest: Manifest | None = None
    """Known once the door has let it pass in this run."""


Field = Callable[[Service, str], "Measured | None"]


def _unmeasured(service: Service, version: str) -> Measured | None:
    return None


class Registry:
    """``journal`` names the journal whose ordinals count; ``field`` tells what was measured."""

    def __init__(
        self,
        settings: Models,
        journal: str = "",
        lines: Iterable[Line] = (),
        field: Field = _unmeasured,
    ) -> None:
        self.versions: dict[Service, dict[str, Version]] = {name: {} for name in SERVICES}
        self.history: dict[Service, list[Line]] = {name: [] for name in SERVICES}
        self.counts: Counter[str] = Counter()
        self.revision = 0
        self.field = field
        self._settings = settings
        self._journal = journal
        self._last_ordinal = -1
        self._unkept: list[Line] = []
        self._outcomes: dict[str, Outcome] = {}
        for line in lines:
            self._enter(line)
            if line.journal == journal:
                self._last_ordinal = max(self._last_ordinal, line.ordinal)

    # -- what others ask --------------------------------------------------------------------------

    def at(self, service: Service, *states: State) -> list[Version]:
        """Versions of a service in one of these states, the newest last."""
        found = [v for v in self.versions[service].values() if v.state in states]
        return sorted(found, key=lambda v: (v.since_ms, v.version))

    def active(self, service: Service) -> Version | None:
        """Who answers."""
        return next(iter(self.at(service, "active")), None)

    def beside(self, service: Service) -> Version | None:
        """Who is tried out beside it."""
        return next(iter(self.at(service, "shadow", "canary")), None)

    def previous(self, service: Service) -> Version | None:
        """Who answered before, and would again."""
        return next(iter(reversed(self.at(service, "previous"))), None)

    def knows(self, service: Service, version: str, mark: str) -> bool:
        """Whether this very folder was judged by the door before, or its model is in use already."""
        known = self.versions[service].get(version)
        if known is None:
            return False
        return known.mark == mark or known.state not in ("candidate", "rejected")

    def outcome(self, request: str) -> Outcome | None:
        """What became of a command by its id."""
        return self._outcomes.get(request)

    def take_lines(self) -> list[Line]:
        """What is to be kept, in order; handed out once."""
        lines, self._unkept = self._unkept, []
        return lines

    def give_back(self, lines: list[Line]) -> None:
        """They could not be kept: hand them out again, before what has come since."""
        self._unkept = lines + self._unkept

    # -- commands ---------------------------------------------------------------------------------

    def apply(self, ordinal: int, at_ms: int, payload: bytes) -> Outcome | None:
        """Apply one command of the journal; ``None``: it was applied before."""
        if ordinal <= self._last_ordinal:
            return None
        self._last_ordinal = ordinal
        try:
            command = msgspec.json.decode(payload, type=Command)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.counts["unreadable"] += 1
            return Outcome(done=False, reason="unreadable", detail=str(error))
        outcome = getattr(self, f"_do_{command.do}")(command, ordinal, at_ms)
        assert isinstance(outcome, Outcome)
        self.counts[f"{command.do}_{'done' if outcome.done else 'refused'}"] += 1
        self.revision += 1
        if command.id:
            self._outcomes[command.id] = outcome
            while len(self._outcomes) > HISTORY:
                del self._outcomes[next(iter(self._outcomes))]
        return outcome

    def _do_found(self, command: Command, ordinal: int, at_ms: int) -> Outcome:
        return self._arrived(command, ordinal, at_ms, "candidate", usable=True)

    def _do_refuse(self, command: Command, ordinal: int, at_ms: int) -> Outcome:
        known = self.versions[command.service].get(command.version)
        if known is not None and known.mark == command.mark and known.usable:
            self._move(known, "rejected", command, ordinal, at_ms, usable=False)
            return self._said(command.service)
        return self._arrived(command, ordinal, at_ms, "rejected", usable=False)

    def _arrived(
        self, command: Command, ordinal: int, at_ms: int, state: State, *, usable: bool
    ) -> Outcome:
        known = self.versions[command.service].get(command.version)
        refused = known is not None and not known.usable and known.state == "rejected"
        same = self.knows(command.service, command.version, command.mark)
        if same and not (usable and refused):
            return self._no("already", f"{command.version} is known", command.service)
        self._note(command, command.version, state, ordinal, at_ms, usable=usable)
        return self._said(command.service)

    def _do_shadow(self, command: Command, ordinal: int, at_ms: int) -> Outcome:
        return self._beside(command, "shadow", ordinal, at_ms)

    def _do_canary(self, command: Command, ordinal: int, at_ms: int) -> Outcome:
        return self._beside(command, "canary", ordinal, at_ms)

    def _beside(self, command: Command, state: State, ordinal: int, at_ms: int) -> Outcome:
        """Only one is tried out at a time."""
        version = self._usable(command)
        if isinstance(version, Outcome):
            return version
        if version.state in ("active", state):
            return self._no("already", f"{version.version} is {version.state}", command.service)
        for other in self.at(command.service, "shadow", "canary"):
            if other is not version:
                why = f"{version.version} is tried out instead"
                self._move(other, "candidate", command, ordinal, at_ms, why=why)
        self._move(version, state, command, ordinal, at_ms)
        return self._said(command.service)

    def _do_promote(self, command: Command, ordinal: int, at_ms: int) -> Outcome:
        version = self._usable(command)
        if isinstance(version, Outcome):
            return version
        if version.state == "active":
            return self._no("already", f"{version.version} is active", command.service)
        for other in self.at(command.service, "active"):
            why = f"{version.version} took its place"
            self._move(other, "previous", command, ordinal, at_ms, why=why)
        self._move(version, "active", command, ordinal, at_ms)
        return self._said(command.service)

    def _do_rollback(self, command: Command, ordinal: int, at_ms: int) -> Outcome:
        """Reject the one named (or the active one); where it was active, the one before returns."""
        active = self.active(command.service)
        named = command.version or (active.version if active else "")
        version = self.versions[command.service].get(named)
        if version is None:
            detail = f"there is no {named}" if named else "none is active"
            return self._no("unknown-version", detail, command.service)
        if version.state == "rejected":
            return self._no("already", f"{named} is {version.state}", command.service)
        self._move(version, "rejected", command, ordinal, at_ms)
        if version is active:
            before = self.previous(command.service)
            if before is not None:
                why = f"{named} was rolled back"
                self._move(before, "active", command, ordinal, at_ms, why=why)
        return self._said(command.service)

    def _usable(self, command: Command) -> "Version | Outcome":
        """The version a command means, if it passed the door."""
        service = command.service
        if command.version:
            version = self.versions[service].get(command.version)
        else:
            waiting = [*self.at(service, "candidate"), *self.at(service, "shadow", "canary")]
            version = waiting[-1] if waiting else None
        if version is None:
            detail = f"there is no {command.version}" if command.version else "none is waiting"
            return self._no("unknown-version", detail, service)
        if not version.usable:
            return self._no("not-usable", f"the door refused it: {version.why}", service)
        return version

    def _said(self, service: Service) -> Outcome:
        active = self.active(service)
        return Outcome(done=True, reason="applied", version=active.version if active else "")

    def _no(self, reason: str, detail: str, service: Service) -> Outcome:
        active = self.active(service)
        version = active.version if active else ""
        return Outcome(done=False, reason=reason, detail=detail, version=version)

    def _move(
        self,
        version: Version,
        state: State,
        command: Command,
        ordinal: int,
        at_ms: int,
        *,
        why: str = "",
        usable: bool | None = None,
    ) -> None:
        passed = version.usable if usable is None else usable
        self._note(
            msgspec.structs.replace(command, why=why or command.why, mark=version.mark),
            version.version,
            state,
            ordinal,
            at_ms,
            usable=passed,
        )

    def _note(
        self,
        command: Command,
        version: str,
        state: State,
        ordinal: int,
        at_ms: int,
        *,
        usable: bool,
    ) -> None:
        line = Line(
            at_ms=at_ms,
            service=command.service,
            version=version,
            state=state,
            who=command.who,
            why=command.why,
            ordinal=ordinal,
            journal=self._journal,
            usable=usable,
            mark=command.mark,
        )
        self._enter(line)
        self._unkept.append(line)

    def _enter(self, line: Line) -> None:
        """Let a line of the history happen."""
        known = self.versions[line.service].get(line.version)
        self.versions[line.service][line.version] = Version(
            service=line.service,
            version=line.version,
            state=line.state,
            since_ms=line.at_ms,
            found_ms=known.found_ms if known and known.mark == line.mark else line.at_ms,
            who=line.who,
            why=line.why,
            usable=line.usable,
            mark=line.mark,
            manifest=known.manifest if known and known.mark == line.mark else None,
        )
        lines = self.history[line.service]
        lines.append(line)
        del lines[:-HISTORY]

    # -- judgement --------------------------------------------------------------------------------

    def due(self, now_ms: int) -> list[Command]:
        """What the registry would have done now; the commands are for the corridor."""
        found = (self._due(service, now_ms) for service in SERVICES)
        return [command for command in found if command is not None]

    def _due(self, service: Service, now_ms: int) -> Command | None:
        active, beside = self.active(service), self.beside(service)
        if active is not None and (why := self._worse(active)):
            return Command(do="rollback", service=service, version=active.version, why=why)
        if beside is not None:
            return self._judged(active, beside, now_ms)
        waiting = [v for v in self.at(service, "candidate") if v.manifest is not None]
        if active is not None:
            waiting = [v for v in waiting if v.version > active.version]
        if not waiting:
            return None
        newest = max(waiting, key=lambda v: v.version)
        older = next((v for v in waiting if v is not newest), None)
        if older is not None:
            why = f"{newest.version} is newer"
            return Command(do="rollback", service=service, version=older.version, why=why)
        return self._welcome(active, newest)

    def _welcome(self, active: Version | None, new: Version) -> Command:
        """What a model that just passed the door becomes."""
        assert new.manifest is not None
        told = Command(do="shadow", service=new.service, version=new.version)
        replace = msgspec.structs.replace
        if active is None or _starter(active):
            if _starter(new) and active is None:
                return replace(told, do="promote", why="the first model, as shipped")
            gain = skill(new.manifest)
            if gain is not None and gain[1] >= self._settings.margin:
                why = f"{gain[0]} is better than the best simple rule's by {gain[1]:.1%}"
                return replace(told, do="promote", why=why)
            if active is not None and not _starter(new) and (gain is None or gain[1] >= 0):
                why = "the first of this shop's own: a starter knows nothing of the shop"
                return replace(told, do="promote", why=why)
            return replace(told, why="it does not beat the simple rules by the margin")
        gain = over_active(new.manifest)
        if gain is not None and gain[1] >= self._settings.margin:
            why = f"{gain[0]} is better than the active model's by {gain[1]:.1%} in the backtest"
            return replace(
                told, do="canary" if self._settings.canary_share > 0 else "promote", why=why
            )
        return replace(told, why=f"to be judged after {self._settings.shadow_days:g} days")

    def _judged(self, active: Version | None, beside: Version, now_ms: int) -> Command | None:
        days = CANARY_DAYS if beside.state == "canary" else self._settings.shadow_days
        if now_ms - beside.since_ms < days * DAY_MS or beside.manifest is None:
            return None
        told = Command(do="promote", service=beside.service, version=beside.version)
        replace = msgspec.structs.replace
        gain = self._gain(active, beside)
        if beside.state == "canary":
            if gain is not None and gain[1] < 0:
                return replace(told, do="rollback", why=f"{gain[0]} is worse by {-gain[1]:.1%}")
            return replace(told, why="no trouble as a canary")
        if gain is None or gain[1] < self._settings.margin:
            why = "nothing to compare it by" if gain is None else f"{gain[0]}: {gain[1]:+.1%}"
            return replace(told, do="rollback", why=f"not better by the margin ({why})")
        why = f"{gain[0]} is better by {gain[1]:.1%}"
        canary = self._settings.canary_share > 0 and active is not None
        return replace(told, do="canary" if canary else "promote", why=why)

    def _gain(self, active: Version | None, beside: Version) -> tuple[str, float] | None:
        """(what, share) by which the one beside is better: in the field, else in the backtests."""
        ours = self.field(beside.service, beside.version)
        theirs = self.field(active.service, active.version) if active else None
        if ours and theirs and min(ours.rows, theirs.rows) >= FIELD_ROWS:
            return "loss in the field", better(ours.loss, theirs.loss, higher=False)
        assert beside.manifest is not None
        mine = skill(beside.manifest)
        if active is None or active.manifest is None or _starter(active):
            return mine  # how good a starter was in a simulated shop says nothing here
        yours = skill(active.manifest)
        if mine is None or yours is None:
            return None
        return f"{mine[0]} over the simple rules", mine[1] - yours[1]

    def _worse(self, active: Version) -> str:
        """Why the active model is not good enough in the field; empty: it is, or nobody knows."""
        told = self.field(active.service, active.version)
        if told is None or told.rows < FIELD_ROWS or told.baseline_loss is None:
            return ""
        gain = better(told.loss, told.baseline_loss, higher=False)
        return (
            "" if gain >= -self._settings.margin else f"worse than the simple rule by {-gain:.1%}"
        )


def _starter(version: Version) -> bool:
    """Whether it came with the program, trained on a simulated shop."""
    return version.manifest is not None and version.manifest.training.reason == "starter"


def better(ours: float, theirs: float, *, higher: bool) -> float:
    """By which share ours is better.

    >>> better(0.9, 1.0, higher=False), round(better(0.33, 0.3, higher=True), 3)
    (0.09999999999999998, 0.1)
    """
    if theirs == 0:
        return 0.0 if ours == theirs else (1.0 if (ours > theirs) == higher else -1.0)
    return (ours / theirs - 1.0 if higher else 1.0 - ours / theirs) * (1 if theirs > 0 else -1)


def skill(manifest: Manifest) -> tuple[str, float] | None:
    """(metric, share by which it is better than the best simple rule), as measured in training."""
    for name, higher in METRICS:
        simple = [m[name] for rule, m in manifest.baselines.items() if rule != ACTIVE and name in m]
        if name in manifest.metrics and simple:
            best = max(simple) if higher else min(simple)
            return name, better(manifest.metrics[name], best, higher=higher)
    return None


def over_active(manifest: Manifest) -> tuple[str, float] | None:
    """(metric, share by which it is better than the model that was active when it was trained)."""
    active = manifest.baselines.get(ACTIVE, {})
    for name, higher in METRICS:
        if name in manifest.metrics and name in active:
            return name, better(manifest.metrics[name], active[name], higher=higher)
    return None
