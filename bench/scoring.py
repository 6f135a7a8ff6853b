"""Models at the edge: features gathered, scored, interpreted and kept, one row and in batches.

What the numbers do not say: the forests and weights are made up (they cost what trained ones cost, but
their answers mean nothing), the state is small enough for the caches, and nothing else wants the
loop. scikit-learn's time is that of its `predict` alone, on a row that is there already, and so is
onnxruntime's in the ratio; what gathering costs is in the figures above it.

Each service's own model decides what it costs; measured are a linear model and one of 100 trees with
31 leaves on every feature of an item, and on those of a class that are kept ready to be read; and the
models that are shipped, one row each: a graph of small steps takes 0.4 µs for each, whatever it does.
Demand is another case: its model reads a year of days of a class and is asked when a day closes, in
batches. Who asks for one class reads what was said then, which stands beside under its own name and has
no goal; one class computed anew misses the goal for one row by far.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from bench.api import percentile
from bench.harness import Context, Figure, Result, Row, result, scheduling
from bench.models import CLASS, ITEM, a_state, forest, linear, loaded
from edge.config import Models
from edge.features.state import FeatureState
from edge.inference.manifest import ENTITIES, MANIFEST, MODEL, Entities, Service, decode_manifest
from edge.inference.model import Loaded
from edge.inference.predict import SERVICES
from edge.inference.scorer import Scorer
from edge.inference.session import ROWS_MAX

TITLE = "Scoring: one row and batches"
GOAL_ONE_P50_US, GOAL_ONE_P99_US = 12.0, 60.0
GOAL_LINEAR_US, GOAL_TREES_US = 1.0, 6.0
GOAL_RATIO = 10.0
TREES = 100
READ = "{}, read as said when the day closed,"
STARTERS = Path(__file__).resolve().parent.parent / "models"


def micros(work: Callable[[], object], times: int) -> list[float]:
    """µs of each call, ascending."""
    clock, found = time.perf_counter_ns, []
    for _ in range(times):
        began = clock()
        work()
        found.append((clock() - began) / 1e3)
    return sorted(found)


def asked(scorer: Scorer, service: Service, model: Loaded, times: int) -> tuple[Row, Row]:
    """(one row, a batch): gathered, scored, interpreted, kept."""
    scorer.use(service, model)
    slot = scorer.slots[service]
    rows = slot.table.keys.live()
    turn = iter(np.resize(rows, times + 200).tolist())
    micros(lambda: scorer.one(service, next(turn)), 200)
    one = micros(lambda: scorer.one(service, next(turn)), times)
    batch = rows[:ROWS_MAX]
    assert len(batch) == ROWS_MAX, len(batch)
    scorer._slice(slot, batch, swept=True)
    many = micros(lambda: scorer._slice(slot, batch, swept=True), max(times // 50, 5))
    run = micros(lambda: model.session.run(ROWS_MAX), max(times // 50, 5))
    kind = f"{service}, {model.manifest.kind}, {len(model.manifest.features)} features"
    return (
        {"what": kind, "p50 µs": percentile(one, 0.5), "p99 µs": percentile(one, 0.99)},
        {
            "what": kind,
            "µs a row": median(many) / ROWS_MAX,
            "of it in onnxruntime": median(run) / ROWS_MAX,
        },
    )


def shipped(state: FeatureState, scorer: Scorer, times: int) -> list[Row]:
    """One row of each service by the model that is shipped: all of it, and the session alone."""
    rows: list[Row] = []
    for number, path in enumerate(sorted(STARTERS.glob("*/*/")), start=1):
        told = decode_manifest((path / MANIFEST).read_bytes())
        side = path / ENTITIES
        model = Loaded(
            told,
            (path / MODEL).read_bytes(),
            msgspec.msgpack.decode(side.read_bytes(), type=Entities) if side.exists() else None,
            state,
            -number,
            SERVICES[told.service].columns_max,
        )
        scorer.use(told.service, model)
        known = scorer.slots[told.service].table.keys.live()
        turn = iter(np.resize(known, times + 100).tolist())
        one = partial(_one, scorer, told.service, turn)
        micros(one, 100)
        took = micros(one, times)
        run = micros(partial(model.session.run, 1), times)
        rows.append({"service": told.service, "model": told.kind, "p50 µs": percentile(took, 0.5),
                     "p99 µs": percentile(took, 0.99), "of it in onnxruntime": median(run)})  # fmt: skip
        if SERVICES[told.service].when == "day":
            shown = scorer.slots[told.service].shown
            assert shown is not None
            said = np.zeros((len(known), len(told.columns)), np.float32)
            shown.put(known, said, state.now_ms, model.number)
            turn = iter(np.resize(known, times).tolist())
            took = micros(partial(_read, scorer, told.service, turn), times)
            rows.append({"service": READ.format(told.service), "model": told.kind,
                         "p50 µs": percentile(took, 0.5), "p99 µs": percentile(took, 0.99),
                         "of it in onnxruntime": 0.0})  # fmt: skip
    return rows


def _read(scorer: Scorer, service: Service, rows: Iterator[int]) -> None:
    """What was said when the day closed, as whoever asks for one class gets it."""
    shown, row = scorer.slots[service].shown, next(rows)
    assert shown is not None
    assert shown.holds(row)
    shown.values[row].tolist()


def _one(scorer: Scorer, service: Service, rows: Iterator[int]) -> None:
    scorer.one(service, next(rows))


def against_sklearn(times: int) -> list[Row]:
    """One row: scikit-learn's predict against a run of the session, the same model in both."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression

    from edge.inference.manifest import Tensor
    from edge.inference.session import Session
    from trainer.onnx_linear import Linear
    from trainer.onnx_trees import boosted
    from trainer.scores import one_thread

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, len(ITEM))).astype(np.float32)
    y = x[:, 0] + x[:, 1] ** 2
    rows: list[Row] = []
    line = LinearRegression().fit(x, y)
    with one_thread():  # of the fit only: predict is measured as it comes
        trees = HistGradientBoostingRegressor(max_iter=TREES).fit(x, y)
    none, all_ = np.zeros(len(ITEM)), np.ones(len(ITEM))
    by_hand = Linear(none, none, all_, line.coef_[None], np.array([line.intercept_]))
    for name, fitted, content in (
        ("linear", line, by_hand.onnx()),
        (f"{TREES} trees", trees, boosted(trees)),
    ):
        taken = Tensor(name="x", shape=["n", len(ITEM)])
        session = Session(content, [taken], Tensor(name="y", shape=["n", 1]))
        session.inputs[taken.name][0] = x[0]
        session.run(1)
        assert abs(float(session.output[0, 0]) - float(fitted.predict(x[:1])[0])) < 1e-3
        theirs = median(micros(lambda f=fitted: f.predict(x[:1]), max(times // 20, 5)))  # type: ignore[misc]
        ours = median(micros(lambda s=session: s.run(1), times))  # type: ignore[misc]
        rows.append({"model": name, "scikit-learn µs": theirs, "session µs": ours,
                     "times as fast": theirs / ours})  # fmt: skip
    return rows


def measure(context: Context) -> Result:
    """One row and batches of 256, by service and kind of model; and scikit-learn beside it."""
    times = context.size(5_000, 1_000, 50)
    state = a_state(2_000, 512)
    scorer = Scorer(state, Models(), lambda service, model, role, trouble: _fail(str(trouble)))
    cases: tuple[tuple[Service, tuple[str, ...]], ...] = (
        ("maintenance", ITEM),
        ("inventory", CLASS),
    )
    ones: list[Row] = []
    batches: list[Row] = []
    figures: list[Figure] = []
    for turn, (service, features) in enumerate(cases):
        for kind, content, goal_us in (
            ("linear", linear(len(features), 3), GOAL_LINEAR_US),
            (f"{TREES} trees", forest(len(features), 3, TREES), GOAL_TREES_US),
        ):
            context.say(f"{service}, {kind}", turn / 3)
            model = loaded(state, service, kind, features, content)
            one, batch = asked(scorer, service, model, times)
            ones.append(one)
            batches.append(batch)
            figures += [
                Figure(name=f"one row, {service}, {kind}: p50", value=one["p50 µs"], unit="µs",
                       goal=GOAL_ONE_P50_US),
                Figure(name=f"one row, {service}, {kind}: p99", value=one["p99 µs"], unit="µs",
                       goal=GOAL_ONE_P99_US),
                Figure(name=f"a row of {ROWS_MAX}, {service}, {kind}", value=batch["µs a row"],
                       unit="µs", goal=goal_us),
            ]  # fmt: skip
    context.say("what is shipped", 0.7)
    own = shipped(state, scorer, times)
    for row in own:
        name = f"one row, {row['service']} as shipped"
        read = (
            row["service"] not in SERVICES
        )  # nothing is gathered or scored: no goal is reached by it
        figures += [
            Figure(name=f"{name}: {at}", value=row[f"{at} µs"], unit="µs",
                   goal=None if read else goal_us)
            for at, goal_us in (("p50", GOAL_ONE_P50_US), ("p99", GOAL_ONE_P99_US))
        ]  # fmt: skip
    context.say("scikit-learn", 0.8)
    ratios = against_sklearn(times)
    figures += [
        Figure(name=f"against scikit-learn, one row, {row['model']}", value=row["times as fast"],
               unit="times", better="higher", goal=GOAL_RATIO)
        for row in ratios
    ]  # fmt: skip
    tables = {
        "one row": ones,
        "one row, models that are shipped": own,
        f"batches of {ROWS_MAX}": batches,
        "scikit-learn": ratios,
    }
    notes = [
        f"{times:,} single rows each, batches a fiftieth of that; medians over calls.",
        scheduling(),
    ]
    return result("scoring", TITLE, __doc__, figures, tables, notes)


def _fail(why: str) -> None:
    raise AssertionError(why)
