"""``publish``: sign trained models and put them where the daemon looks."""

import argparse
import json
from typing import Any

from edge.config import Config
from edge.inference.keys import Key
from trainer.cli import options, show
from trainer.cli.candidates import Candidate, add_allow_quick, add_from, candidates
from trainer.export import publish
from trainer.standing import models_directory

EPILOG = """\
examples:
  rfid3 train publish -c config.toml
  rfid3 train publish demand --force            also when it is worse than the active model
  rfid3 train publish --from trained --key 0123456789abcdef

A model that is worse than the active one by more than models.margin is refused; so is a quick look
(fit --quick), which gives way to the newest model that is none. What is published is
a candidate: the daemon examines it, and lets it answer when it is better by that margin, at once by
the backtest or after models.shadow_days beside the active one (rfid3 models list).
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_services(parser)
    add_from(parser)
    add_allow_quick(parser)
    options.add_key(parser)
    parser.add_argument(
        "--force", action="store_true", help="publish also what is worse than the active model"
    )
    options.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """0 when all are published; 1 when one was refused."""
    config = options.load_config(args)
    made = publish_all(candidates(args, config), config, options.signing_key(args, config), args)
    if args.json:
        print(json.dumps({"published": made}))
    else:
        show.lines([line(one) for one in made])
    return 1 if any(one["became"] == "refused" for one in made) else 0


def publish_all(
    found: list[Candidate], config: Config, key: Key, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Publish what may be; what became of each."""
    return [_publish(one, config, key, force=args.force) for one in found]


def _publish(one: Candidate, config: Config, key: Key, *, force: bool) -> dict[str, Any]:
    told = {"service": one.service, "version": one.path.name, "why": one.compared.line()}
    if one.passed_over:
        told |= {"passed_over": one.passed_over}
    if one.published:
        return told | {"became": "already"}
    if one.refusal and (one.quick_refused or not force):
        return told | {"became": "refused", "why": one.refusal, "cure": one.cure}
    path = publish(one.path, models_directory(config), key)
    return told | {"became": "published", "path": str(path), "key": key.id}


def line(one: dict[str, Any]) -> str:
    """For people."""
    name = f"{one['service']} {one['version']}"
    if "passed_over" in one:
        name = f"{one['passed_over']}\n{name}"
    if one["became"] == "already":
        return f"{name}: published before"
    if one["became"] == "refused":
        return f"{name}: not published: {one['why']}\n  Cure: {one['cure']}"
    return f"{name}: published ({one['why']}), signed by {one['key']}"
