"""``schedule``: train what is due and publish what is not worse. The nightly timer runs it."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from edge.config import Config
from edge.errors import WrongUsage
from trainer import libraries, places
from trainer.cli import options, show
from trainer.cli.candidates import candidates
from trainer.cli.fit import train
from trainer.cli.publish import line, publish_all
from trainer.data import Data
from trainer.schedule import Due, due
from trainer.services import chosen
from trainer.signals import noticed
from trainer.standing import standings

EPILOG = """\
examples:
  rfid3 train schedule --dry-run -c config.toml     what is due, and why
  rfid3 train schedule -c config.toml               do it
  rfid3 train schedule demand --asked               now, whether it is due or not

A service is due when it has no model of the shop's own, when the daemon took its model back because
it was worse than the simple rule (accuracy), when its features have drifted (drift), when people gave
its answers models.feedback_ratings low ratings (feedback), when enough days are new to it (schedule),
or when it is asked for. The reason is kept in the model's manifest. With no history yet there is
nothing to do, and that is no failure.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_services(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what is due, and why")
    parser.add_argument(
        "--asked", action="store_true", help="the services named are due, whatever their age"
    )
    options.add_place(parser)
    options.add_key(parser)
    options.add_budget(parser)
    options.add_config(parser)
    parser.set_defaults(rows=[], history=[], mapping=None, table="", source=None, force=False)


def run(args: argparse.Namespace) -> int:
    """0 also where nothing is due; 1 when a fit failed."""
    config = options.load_config(args)
    options.budget(args)
    if args.asked and not args.services:
        raise WrongUsage(
            "--asked trains services whatever their age, and none is named\n"
            "Cure: name them, such as: rfid3 train schedule demand --asked"
        )
    services = [recipe.name for recipe in chosen(args.services)]
    plans = decide(config, services, services if args.asked else ())
    if not args.json:
        show.lines([plan.line() for plan in plans])
    reasons = {plan.service: plan.reason for plan in plans if plan.reason is not None}
    if args.dry_run or not reasons:
        if args.json:
            print(json.dumps({"due": [_told(plan) for plan in plans]}))
        return 0
    libraries.require()
    out = places.trained_directory(config)
    made = train(args, config, list(reasons), reasons, out)
    published = _publish(args, config, [fit.service for fit in made.models])
    if args.json:
        whole = {"due": [_told(plan) for plan in plans], "published": published}
        print(json.dumps(whole | msgspec.to_builtins(made)))
    else:
        show.fits(made.fits)
        show.lines([line(one) for one in published])
    return 1 if made.broken else 0


def decide(config: Config, services: Sequence[str], asked: Sequence[str] = ()) -> list[Due]:
    """What is due, from the store and the folder of models."""
    recipes = chosen(services)
    now = standings(config, [recipe.name for recipe in recipes])
    paths = places.history(config)
    if not paths:
        return due(recipes, now, {"class": -1, "item": -1})
    with Data(paths) as data:
        last = {entity: days[-1] if days else -1 for entity, days in data.days.items()}
        signals = noticed(data, now, places.store(config), asked)
        return due(recipes, now, last, signals, config.models.feedback_ratings)


def _publish(args: argparse.Namespace, config: Config, services: list[str]) -> list[dict[str, Any]]:
    if not services:
        return []
    args.services = services
    key = options.signing_key(args, config)
    return publish_all(candidates(args, config), config, key, args)


def _told(plan: Due) -> dict[str, Any]:
    return {"service": plan.service, "reason": plan.reason, "why": plan.why}
