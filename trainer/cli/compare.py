"""``compare``: trained models beside those that answer now."""

import argparse
import json
from typing import Any

from trainer.cli import options, show
from trainer.cli.candidates import Candidate, add_from, candidates

EPILOG = """\
examples:
  rfid3 train compare -c config.toml
  rfid3 train compare demand --json

Where the held-out days all came after what the active model has seen, both were measured on the very
same rows. Otherwise each is held against the simple rules on its own held-out days, and the daemon
judges both side by side in the field before it lets the new one answer.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_services(parser)
    add_from(parser)
    options.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Always 0: a worse model is an answer, not a failure."""
    config = options.load_config(args)
    found = candidates(args, config)
    if args.json:
        print(json.dumps({"candidates": [told(one) for one in found]}))
        return 0
    for one in found:
        ours, rules = show.figure(one.manifest.metrics, one.manifest.baselines)
        show.lines(
            [
                f"{one.service} {one.path.name}{' (published)' if one.published else ''}",
                f"  held-out days: {ours or 'no metric'}{f' ({rules})' if rules else ''}",
                f"  active: {one.active.version if one.active else 'none, the simple rule answers'}",
                f"  {one.compared.line()}",
                *([f"  not to be published: {one.refusal}"] if one.refusal else []),
            ]
        )
    return 0


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
        "refusal": one.refusal,
    }
