"""Machine states of a milling machine, and which of them fail: F1 in five folds.

What it does not say: anything about time; the table has none, its rows are drawn one by one. The five
columns that name the way it failed are not read. Failures by chance are among them, which nobody can
foresee.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.backtest.tables import ai4i
from bench.harness import Context, Figure, Result, Row, result
from trainer import metrics
from trainer.scores import Boosting
from trainer.survival import Stage

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

TITLE = "Failures of a milling machine"
FOLDS = 5
INNER_FOLDS = 4
TREES = Boosting(trees=100, leaves=15, least_rows=20, ridge=1.0)


def measure(context: Context) -> Result:
    """Fit, choose the threshold within the folds learnt from, call the fold left out."""
    states = ai4i.read(context.shared["data"])
    x = derived(states).astype(np.float32)
    family = replace(TREES, trees=context.size(TREES.trees, TREES.trees, 5))
    made: list[Row] = []
    for seed in range(context.size(3, 1, 1)):
        for what, features in (("with derived", x), ("as measured", states.x.astype(np.float32))):
            context.say(f"{what}, split {seed}", seed / 3)
            found = scores(features, states.failed, seed, family)
            made.append({"features": what, "split": seed} | found)
    ours = [row for row in made if row["features"] == "with derived"]
    rate = float(states.failed.mean())
    figures = [
        Figure(name="F1, mean of five folds", value=float(np.mean([r["f1"] for r in ours])),
               better="higher", goal=0.8),
        Figure(name="F1, worst split", value=min(r["f1"] for r in ours), better="higher"),
        Figure(name="PR-AUC", value=float(np.mean([r["pr_auc"] for r in ours])), better="higher",
               goal=3 * rate),
        Figure(name="F1 of calling every state a failure", value=2 * rate / (1 + rate),
               better="neither"),
    ]  # fmt: skip
    return result("ai4i", TITLE, __doc__, figures, {"By split": made}, [])


def derived(states: ai4i.States) -> Floats:
    """float64[n, 10]: what is measured, and what physics makes of it.

    Power in watts, the temperature difference that carries heat away, wear times torque (strain on
    the tool), speed over torque (how near to standing still).
    """
    air, process, speed, torque, wear, _ = states.x.T
    power = torque * speed * 2 * np.pi / 60
    return np.column_stack([states.x, power, process - air, wear * torque, speed / torque])


def scores(x: NDArray[np.float32], failed: Mask, seed: int, family: Boosting) -> Row:
    """Mean F1 over folds, its spread, and PR-AUC of all rows as they were left out."""
    left_out, found = np.zeros(len(x)), []
    for part in folds(failed, FOLDS, seed):
        learn = np.setdiff1d(np.arange(len(x)), part)
        unseen = out_of_fold(x[learn], failed[learn], family)
        threshold = metrics.best_f1(failed[learn], unseen)[1]
        left_out[part] = told(x[learn], failed[learn], x[part], family)
        found.append(metrics.f1(failed[part], left_out[part] >= threshold))
    return {"f1": float(np.mean(found)), "f1_lowest": min(found),
            "pr_auc": metrics.pr_auc(failed, left_out)}  # fmt: skip


def out_of_fold(x: NDArray[np.float32], failed: Mask, family: Boosting) -> Floats:
    """Log odds of each row by a model that had not seen it: to choose a threshold."""
    made = np.zeros(len(x))
    for part in folds(failed, INNER_FOLDS, 9):
        learn = np.setdiff1d(np.arange(len(x)), part)
        made[part] = told(x[learn], failed[learn], x[part], family)
    return made


def told(
    x: NDArray[np.float32], failed: Mask, others: NDArray[np.float32], family: Boosting
) -> Floats:
    """Log odds of the others."""
    stage = Stage(np.arange(len(x)), failed, np.ones(len(x)))
    return family.fit(x, [stage])(others)[:, 0]


def folds(failed: Mask, count: int, seed: int) -> list[Ints]:
    """Rows of each fold, failures spread evenly."""
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(failed))
    order = order[np.argsort(failed[order], kind="stable")]
    return [np.sort(order[i::count]) for i in range(count)]
