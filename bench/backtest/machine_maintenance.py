"""100 machines: which fail within 7 days, from errors, failures, replacements, age, model, telemetry.

What it does not say: anything about other machines. These are visited on a beat of their own (every
15 days, most of them), and what fails is found on such a visit; a shop's items have no such beat.
Telemetry covers some machines in the first months only, so it counts for little in the judged weeks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import machine_maintenance as tables
from bench.harness import Context, Figure, Result, Row, result
from trainer import hazard, maintenance
from trainer.hazard import Fitted, Problem
from trainer.survival import Followed

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TITLE = "Failures of machines within 7 days"
EDGES = (7.0, 14.0, 30.0)
WARM_UP_DAYS = 14
WINDOWS_DAYS = (1, 3, 7, 30)
ALONE = "days_since_replacement"


def measure(context: Context) -> Result:
    """Choose on folds of the first 80 % of the days, judge on the last 20 %."""
    whole = problem(tables.read(context.shared["data"]))
    context.say("fitting", 0.1)
    families = hazard.FAMILIES[:: context.size(1, 1, 2)]
    found = hazard.fit(whole, (ALONE,), families)
    context.say("without telemetry", 0.7)
    plain = hazard.fit(
        whole.only([n for n in whole.features if not n.startswith(tables.SENSORS)]), (), families
    )
    got, alone = found.metrics, found.baselines[f"{ALONE}_alone"]
    figures = [
        Figure(name="PR-AUC within 7 days", value=got["pr_auc_7d"], better="higher",
               goal=3 * got["rate_7d"]),
        Figure(name="PR-AUC over the base rate", value=got["pr_auc_7d"] / got["rate_7d"],
               unit="x", better="higher", goal=3.0),
        Figure(name="PR-AUC against time since last replacement alone", value=got["pr_auc_7d"],
               better="higher", goal=alone["pr_auc_7d"]),
        Figure(name="Brier within 7 days", value=got["brier_7d"],
               goal=min(alone["brier_7d"], found.baselines["base_rate"]["brier_7d"])),
        Figure(name="PR-AUC without telemetry", value=plain.metrics["pr_auc_7d"], better="neither"),
        *residual(found),
    ]  # fmt: skip
    return result("machine_maintenance", TITLE, __doc__, figures, rows(found), notes(found))


def residual(found: Fitted) -> list[Figure]:
    """How residual life did, where it could be followed."""
    told = maintenance.checked(found)
    return [
        Figure(name=f"residual life: {name.replace('_', ' ')}", value=value, better="neither")
        for name, value in told.items()
    ]


def rows(found: Fitted) -> dict[str, list[Row]]:
    """Horizons beside baselines, calibration, candidates, importances."""
    answers = {"rfid3": found.metrics, **found.baselines}
    names = ("rate", "pr_auc", "brier", "precision_at_half", "calibration_error")
    return {
        "By horizon": [
            {"answers": who, "within": step} | {n: told[f"{n}_{step}"] for n in names}
            for step in found.problem.names
            for who, told in answers.items()
        ],
        "Calibration within 30 days": [
            {"predicted": p, "observed": o, "rows": n} for p, o, n in found.bins
        ],
        "Candidates on earlier folds": [
            {"kind": t.family.kind, "told": str(t.family.told), "brier": t.brier,
             "pr_auc_over_rate": t.pr_auc} for t in found.trials
        ],
        "Importance": [
            {"feature": name, "share": share}
            for name, share in sorted(found.importances.items(), key=lambda kv: -kv[1])[:12]
        ],
    }  # fmt: skip


def notes(found: Fitted) -> list[str]:
    """What was chosen."""
    return [f"Chosen: {found.family.kind} {found.family.told}, "
            f"calibration {found.model.calibration.kind}; {len(found.judged)} machine-days judged."]  # fmt: skip


# --- features of a machine and day -------------------------------------------------------------------


def problem(read: tables.Machines) -> Problem:
    """An example a machine and day, as known at the day's end; failures within 7, 14 and 30 days."""
    hours = np.concatenate([read.errors.hour, read.failures.hour, read.replacements.hour])
    first, last = int(read.errors.hour.min()) // 24, int(hours.max()) // 24
    days = np.arange(first + WARM_UP_DAYS, last + 1)
    columns: list[dict[str, Floats]] = []
    events: list[Floats] = []
    for i, machine in enumerate(read.machine.tolist()):
        columns.append(features(read, i, machine, days))
        events.append(until(read.failures.hour[read.failures.machine == machine], days))
    names = tuple(columns[0])
    x = np.concatenate([np.stack([c[n] for n in names], axis=1) for c in columns])
    cutoffs = np.tile(days, len(columns))
    return Problem(
        service="machine_maintenance",
        features=names,
        x=x.astype(np.float32),
        cutoffs=cutoffs,
        entity=np.repeat(read.machine, len(days)),
        followed=Followed(np.concatenate(events), (last - cutoffs).astype(np.float64)),
        edges=EDGES,
        names=("7d", "14d", "30d"),
    )


def features(read: tables.Machines, i: int, machine: int, days: Ints) -> dict[str, Floats]:
    """Name -> float64[d] at the end of each day."""
    end = (days + 1) * 24
    made = {"age_years": np.full(len(days), read.age_years[i])}
    made["model"] = np.full(len(days), float(read.model[i][-1]))
    replaced = _hours(read.replacements, machine)
    for part in sorted(set(read.replacements.what)):
        made[f"days_since_{part}"] = since(replaced.get(part, _NONE), end)
    visits = np.unique(np.concatenate([_NONE, *replaced.values()]))
    made[ALONE] = since(visits, end)
    made["visit_interval_days"] = beat(visits, end)
    interval = np.where(made["visit_interval_days"] > 0, made["visit_interval_days"], np.nan)
    made["days_to_next_visit"] = np.ceil(made[ALONE] / interval) * interval - made[ALONE]
    failed = np.sort(read.failures.hour[read.failures.machine == machine])
    made["days_since_failure"] = since(failed, end)
    made["failures_90d"] = within(failed, end, 90)
    for error, at in _hours(read.errors, machine, sorted(set(read.errors.what))).items():
        for window in WINDOWS_DAYS:
            made[f"{error}_{window}d"] = within(at, end, window)
    return made | telemetry(read, machine, end)


_NONE = np.zeros(0, np.int64)


def _hours(happened: tables.Happenings, machine: int, names: Sequence[str] = ()) -> dict[str, Ints]:
    what = np.array(happened.what)
    mine = happened.machine == machine
    return {n: happened.hour[mine & (what == n)] for n in names or sorted(set(happened.what))}


def until(hours: Ints, days: Ints) -> Floats:
    """Days from each day's end to the next moment; inf without one."""
    at = np.searchsorted(hours, (days + 1) * 24, side="left")
    following = np.append(hours // 24, 1 << 40)[at]
    return np.where(following < 1 << 40, following - days, np.inf).astype(np.float64)


def since(hours: Ints, end: Ints) -> Floats:
    """Days since the last moment before each end; NaN without one."""
    at = np.searchsorted(hours, end, side="left")
    last = np.append(-1, hours)[at]
    return np.where(at > 0, (end - last) / 24, np.nan)


def within(hours: Ints, end: Ints, days: int) -> Floats:
    """Moments in the days before each end."""
    counts = np.searchsorted(hours, end, side="left")
    return (counts - np.searchsorted(hours, end - 24 * days, side="left")).astype(np.float64)


def beat(visits: Ints, end: Ints) -> Floats:
    """Median days between visits before each end; NaN before the second."""
    gaps = np.diff(visits) / 24
    count = np.searchsorted(visits, end, side="left") - 1
    return np.array([np.median(gaps[:n]) if n > 0 else np.nan for n in count.tolist()])


def telemetry(read: tables.Machines, machine: int, end: Ints) -> dict[str, Floats]:
    """The last day's mean less the last 30 days', and its spread; NaN where nothing was measured."""
    mine = read.telemetry_machine == machine
    day, values = read.telemetry_hour[mine] // 24, read.telemetry[mine]
    made: dict[str, Floats] = {}
    today = end // 24 - 1
    for i, sensor in enumerate(tables.SENSORS):
        measured = [values[day == d, i] for d in today.tolist()] if len(day) else []
        mean = np.array([v.mean() if len(v) else np.nan for v in measured] or [np.nan] * len(end))
        made[f"{sensor}_spread_1d"] = np.array(
            [v.std() if len(v) else np.nan for v in measured] or [np.nan] * len(end)
        )
        usual = [_known_mean(mean[max(0, at - 29) : at + 1]) for at in range(len(end))]
        made[f"{sensor}_off_usual_1d"] = mean - np.array(usual)
    return made


def _known_mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
