"""``backtest``: how good forecasts of demand would have been, as a report."""

import argparse
import json
import os
from pathlib import Path

import msgspec

from edge.errors import Rfid3Error, WrongUsage
from trainer import budget, libraries
from trainer.budget import Ended
from trainer.cli import options, show
from trainer.fitting import PROGRAM, environment
from trainer.orders import BacktestOrder, Tested

EPILOG = """\
examples:
  rfid3 train backtest --to report -c config.toml
  rfid3 train backtest --rows sales.csv --mapping invoices --measure sold --horizon 14

At each of some days in the past forecasts are made with what was known then, and held against what
came, beside simple rules. demand.html opens in any browser, demand.summary.json is for programs.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_sources(parser)
    options.add_place(parser)
    parser.add_argument(
        "--to", type=Path, default=Path("backtest"), metavar="DIR", help="(default %(default)s)"
    )
    parser.add_argument(
        "--measure",
        choices=("units", "rented", "sold"),
        default="units",
        help="what is forecast (default %(default)s: rented and sold)",
    )
    parser.add_argument("--horizon", type=int, default=28, metavar="DAYS")
    parser.add_argument("--origins", type=int, default=4, metavar="N", help="(default 4)")
    parser.add_argument(
        "--classes", type=int, default=500, metavar="N", help="the largest (default 500)"
    )
    options.add_budget(parser, everything=False)
    options.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """0 with a report. Raises Rfid3Error without one."""
    if min(args.horizon, args.origins, args.classes) < 1:
        raise WrongUsage(
            "--horizon, --origins and --classes must be 1 or more\nCure: leave them out"
        )
    config = options.load_config(args)
    options.budget(args)
    libraries.require()
    paths = [str(path.absolute()) for path in options.history(args, config)]
    order = BacktestOrder(
        history=paths,
        out=str(args.to.absolute()),
        budget=options.budget(args),
        measure=args.measure,
        horizon=args.horizon,
        origins=args.origins,
        classes_max=args.classes,
        country=args.country,
        region=args.region,
    )
    with show.Bar("backtest") as bar:
        outcome = budget.run(
            [*PROGRAM, "backtest"],
            msgspec.json.encode(order),
            order.budget,
            lambda text, share: bar.to(share, 1.0, text),
            environment(os.environ),
        )
    if outcome.ended is not Ended.DONE:
        raise Rfid3Error(
            f"the backtest gave no report: {outcome.detail}\n"
            "Cure: fewer --classes, a shorter --horizon, or a larger budget"
        )
    tested = msgspec.json.decode(outcome.answer, type=Tested)
    if args.json:
        print(json.dumps(msgspec.to_builtins(tested) | msgspec.to_builtins(outcome.spent)))
        return 0
    for name, figures in tested.figures.items():
        told = ", ".join(f"{key} {v:.4g}" for key, v in figures.items() if v is not None)
        show.lines([f"{name}: {told}"])
    show.lines([f"{tested.classes} classes; {tested.report}"])
    return 0
