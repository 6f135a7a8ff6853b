"""``compare``: trained models beside those that answer now."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from edge.config import Config
from edge.inference.manifest import Service, is_quick
from edge.inference.registry import ACTIVE
from trainer import libraries
from trainer.cli import options, show
from trainer.cli.candidates import Candidate, add_allow_quick, add_from, candidates
from trainer.data import Data, numbered
from trainer.fitting import fit_one
from trainer.orders import Fit, FitOrder
from trainer.services import RECIPES, chosen
from trainer.standing import standings

EPILOG = """\
examples:
  rfid3 train compare -c config.toml
  rfid3 train compare demand --json

  rfid3 train compare maintenance --later

Where the held-out days all came after what the active model has seen, both were measured on the very
same rows. Otherwise each is held against the simple rules on its own held-out days, and the daemon
judges both side by side in the field before it lets the new one answer.

--later asks anew: a candidate is fitted on the days that the active model has seen, and both are
measured on the days after them, once these are enough for the service's labels to have come (a grade
in 90 days takes more than 90). It leaves no model behind.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_services(parser)
    add_from(parser)
    add_allow_quick(parser)
    parser.add_argument(
        "--later",
        action="store_true",
        help="fit on what the active model has seen, and measure both on the days after it",
    )
    options.add_place(parser)
    options.add_budget(parser, everything=False)
    options.add_config(parser)
    parser.set_defaults(rows=[], history=[], mapping=None, table="")


def run(args: argparse.Namespace) -> int:
    """Always 0: a worse model is an answer, not a failure."""
    config = options.load_config(args)
    if args.later:
        return _later(args, config)
    found = candidates(args, config)
    if args.json:
        print(json.dumps({"candidates": [told(one) for one in found]}))
        return 0
    for one in found:
        if one.passed_over:
            show.lines([one.passed_over])
        ours, rules = show.figure(one.manifest.metrics, one.manifest.baselines)
        show.lines(
            [
                f"{one.service} {one.path.name}{_marks(one)}",
                f"  held-out days: {ours or 'no metric'}{f' ({rules})' if rules else ''}",
                f"  active: {one.active.version if one.active else 'none of this shop'}",
                f"  {one.compared.line()}",
                *([f"  not to be published: {one.refusal}"] if one.refusal else []),
            ]
        )
    return 0


def _marks(one: Candidate) -> str:
    marks = ["published"] * one.published + ["a quick look"] * is_quick(one.manifest)
    return f" ({', '.join(marks)})" if marks else ""


def told(one: Candidate) -> dict[str, Any]:
    """For programs."""
    return {
        "service": one.service,
        "version": one.path.name,
        "path": str(one.path),
        "active": one.active.version if one.active else "",
        "by": one.compared.by,
        "gain": one.compared.gain,
        "published": one.published,
        "quick": is_quick(one.manifest),
        "refusal": one.refusal,
    }


def _later(args: argparse.Namespace, config: Config) -> int:
    """Fit anew on what each active model has seen; 1 when a fit failed."""
    libraries.require()
    paths = options.history(args, config)
    services = [recipe.name for recipe in chosen(args.services)]
    made: list[tuple[Service, Fit | None, str]] = []
    with Data(paths) as data:
        last = {entity: days[-1] if days else -1 for entity, days in data.days.items()}
    for service, standing in standings(config, services).items():
        if standing.active is None or standing.own is None:
            made.append((service, None, "no model of this shop's own answers now"))
            continue
        split = numbered(standing.own.training.to_day) + 1
        later = last[RECIPES[service].rows_of] + 1 - split
        if later < RECIPES[service].later_days:
            needed = RECIPES[service].later_days
            why = f"{max(later, 0)} days of history are later, {needed} are needed"
            made.append((service, None, why))
            continue
        fit = _fitted(args, service, [str(p.absolute()) for p in paths], standing.active, split)
        made.append((service, fit, fit.detail or _gain(fit)))
    if args.json:
        rows = [
            {"service": s, "why": why} | (msgspec.to_builtins(fit) if fit else {})
            for s, fit, why in made
        ]
        print(json.dumps({"later": rows}))
    else:
        show.lines([f"{service}: {why}" for service, _, why in made])
    return 1 if any(fit and fit.became not in ("fitted", "too_little") for _, fit, _ in made) else 0


def _fitted(
    args: argparse.Namespace, service: Service, paths: list[str], active: Path, split: int
) -> Fit:
    with tempfile.TemporaryDirectory(prefix="rfid3-compare-") as out, show.Bar(service) as bar:
        order = FitOrder(
            service=service,
            history=paths,
            out=out,
            budget=options.budget(args),
            country=args.country,
            region=args.region,
            active=str(active.absolute()),
            split_day=split,
        )
        seconds = args.minutes * 60.0
        return fit_one(order, seconds, lambda _, text, share: bar.to(share, 1.0, text))


def _gain(fit: Fit) -> str:
    ours, beside = show.figure(fit.metrics, fit.baselines)
    if ACTIVE not in fit.baselines:
        return (
            f"{ours} ({beside}); the active model tells other things than this version's (other "
            "features or columns), so that it cannot be measured on the same rows"
        )
    return f"{ours} ({beside})"
