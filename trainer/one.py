"""``python -m trainer.one``: one fit or backtest, in a process of its own (``budget.py`` watches it).

Started with an order on stdin (JSON); says how it goes on stdout, its answer last. Whatever breaks,
breaks here alone.
"""

import dataclasses
import os
import sys
import time
import warnings
from pathlib import Path

import msgspec

from edge.inference.manifest import QUICK
from trainer.budget import MB, Said, limit_self, resident_bytes, tell
from trainer.orders import BacktestOrder, Fit, FitOrder, Tested


def main() -> int:
    """Do what stdin says; 0 with an answer, which may be that there is no model."""
    kind = sys.argv[1]
    content = sys.stdin.buffer.read()
    warnings.filterwarnings("ignore")  # of libraries, about what their next version will do
    order: FitOrder | BacktestOrder
    if kind == "fit":
        order = msgspec.json.decode(content, type=FitOrder)
    else:
        order = msgspec.json.decode(content, type=BacktestOrder)
    limit_self(order.budget)
    told = fit(order) if isinstance(order, FitOrder) else backtest(order)
    tell(Said(answer=msgspec.Raw(msgspec.json.encode(told))))
    return 0


def say(text: str, share: float) -> None:
    """How far it is."""
    tell(Said(say=text, share=share))


def fit(order: FitOrder) -> Fit:
    """Fit one service and write its artifact; or why not."""
    from trainer.compare import measure_active
    from trainer.data import Data
    from trainer.export import ExportRefused, write_artifact
    from trainer.services import RECIPES, Settings, TooLittle, Untrained

    began = time.monotonic()
    settings = Settings(
        reason=order.reason,
        data=order.data,
        country=order.country,
        region=order.region,
        seed=order.seed,
        quick=order.quick,
        say=lambda text, share: say(text, 0.95 * share),
    )
    say("reading history", 0.0)
    with Data([Path(path) for path in order.history], split_day=order.split_day) as data:
        try:
            fitted = RECIPES[order.service].fit(data, settings)
            if order.active:
                fitted = measure_active(fitted, Path(order.active), data, settings)
        except TooLittle as error:
            return Fit(service=order.service, became="too_little", detail=str(error))
        except Untrained as error:
            return Fit(service=order.service, became="absent", detail=str(error))
    say("comparing ONNX with Python", 0.95)
    seconds = round(time.monotonic() - began, 1)
    cost = {"seconds": seconds, "resident_mb": round(resident_bytes(os.getsid(0)) / MB)}
    fitted = dataclasses.replace(
        fitted,
        training=msgspec.structs.replace(
            fitted.training, reason=order.reason, seconds=seconds, data=order.data
        ),
        extra={**fitted.extra, "cost": cost} | ({QUICK: True} if order.quick else {}),
    )
    try:
        path = write_artifact(Path(order.out), fitted)
    except ExportRefused as error:
        return Fit(service=order.service, became="refused", detail=str(error))
    return Fit(
        service=order.service,
        became="fitted",
        version=path.name,
        path=str(path),
        reason=order.reason,
        metrics=dict(fitted.metrics),
        baselines={name: dict(values) for name, values in fitted.baselines.items()},
    )


def backtest(order: BacktestOrder) -> Tested:
    """Backtest demand; a report and a summary."""
    from trainer.demand_backtest import run

    return run(order, say)


if __name__ == "__main__":
    sys.exit(main())
