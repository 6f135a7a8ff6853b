"""``export``: a trained model signed into a folder, to be carried to the shop's machine."""

import argparse
import json
from pathlib import Path

from edge.errors import Rfid3Error
from trainer.cli import options, show
from trainer.cli.candidates import add_allow_quick, add_from, candidates
from trainer.export import publish

EPILOG = """\
examples:
  rfid3 keys new -c workstation.toml                           once, on the workstation
  rfid3 train export demand --to /media/stick -c workstation.toml
  rsync -a /media/stick/demand/ pi:/var/lib/rfid3/models/demand/

On the shop's machine the workstation's key must be trusted once: rfid3 keys trust FILE.pub. Nothing
is compared here: that machine's daemon does it.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_services(parser)
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="made when it is not there"
    )
    add_from(parser)
    add_allow_quick(parser)
    options.add_key(parser)
    options.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """0 when all are there."""
    config = options.load_config(args)
    key = options.signing_key(args, config)
    made = []
    for one in candidates(args, config):
        if one.quick_refused:
            raise Rfid3Error(f"{one.service} {one.path.name}: {one.refusal}\nCure: {one.cure}")
        if one.passed_over and not args.json:
            show.lines([one.passed_over])
        try:
            made.append(str(publish(one.path, args.to, key)))
        except FileExistsError as error:
            raise Rfid3Error(
                f"{args.to / one.service / one.path.name} is there already\n"
                "Cure: choose another folder for --to, or remove this one"
            ) from error
    if args.json:
        print(json.dumps({"exported": made, "key": key.id}))
    else:
        show.lines([*made, f"signed by {key.id} ({key.path.with_suffix('.pub')})"])
    return 0
