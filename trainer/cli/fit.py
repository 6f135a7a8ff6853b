"""``fit``: train services from history, each in a process of its own within its budget."""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.config import Config
from edge.errors import WrongUsage
from edge.inference.manifest import Service
from trainer import libraries, places
from trainer.cli import options, show
from trainer.cli.candidates import quick
from trainer.fitting import Fits, fit_all
from trainer.orders import Fit, FitOrder
from trainer.services import Reason, chosen
from trainer.standing import standings

EPILOG = """\
examples:
  rfid3 train fit -c config.toml                        all services, from the daemon's own store
  rfid3 train fit demand --rows sales.csv --mapping invoices --country US
  rfid3 train fit --history old-shop/history.sqlite --out trained --memory-mb 1000

The newest fifth of the days is held out: what the metrics say was measured on days that the model
had not seen, beside simple rules on the same days. Then the model is fitted again on all days, and
its manifest says so. Nothing answers yet: rfid3 train publish hands a model to the daemon.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_services(parser)
    options.add_sources(parser)
    options.add_place(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where models go (default: trained under storage.directory)",
    )
    parser.add_argument(
        "--data",
        default="",
        metavar="TEXT",
        help="for the manifest: what it was trained on, in words",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small search and small models: a look, which publish does not take",
    )
    options.add_budget(parser)
    options.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """0 when every service has a model or too little data; 1 when one failed."""
    config = options.load_config(args)
    options.budget(args)
    libraries.require()
    out = args.out or places.trained_directory(config)
    made = train(args, config, [recipe.name for recipe in chosen(args.services)], {}, out)
    if args.json:
        print(json.dumps(msgspec.to_builtins(made)))
    else:
        show.fits(made.fits)
        if made.models and args.quick:
            show.lines(["A quick look: without --quick the model is fit to be published"])
        elif made.models:
            show.lines(["Next: rfid3 train compare, then rfid3 train publish"])
    return 1 if made.broken else 0


def train(
    args: argparse.Namespace,
    config: Config,
    services: Sequence[Service],
    reasons: dict[Service, Reason],
    out: Path,
) -> Fits:
    """Fit services with a bar on the terminal; older trained versions beyond a few go."""
    paths = [str(path.absolute()) for path in options.history(args, config)]
    _check_out(out)
    active = standings(config, list(services))
    orders = [
        FitOrder(
            service=service,
            history=paths,
            out=str(out.absolute()),
            budget=options.budget(args),
            reason=reasons.get(service, "asked"),
            data=getattr(args, "data", "") or "this shop's own history",
            country=args.country,
            region=args.region,
            quick=getattr(args, "quick", False),
            active=str(folder.absolute())
            if active[service].own and (folder := active[service].active)
            else "",
        )
        for service in services
    ]
    number = {service: i for i, service in enumerate(services)}
    with show.Bar("training") as bar:

        def say(service: Service, text: str, share: float) -> None:
            bar.to(number[service] + share, len(number), f"{service}: {text}")

        def done(fit: Fit) -> None:
            bar.to(number[fit.service] + 1, len(number))
            forget(out, fit.service)

        return fit_all(orders, args.minutes_all * 60.0, say, done)


def _check_out(out: Path) -> None:
    """Raises WrongUsage where no model could be written, before hours are spent on one."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".writable").touch()
        (out / ".writable").unlink()
    except OSError as error:
        raise WrongUsage(
            f"{out}: no model can be written there ({error.strerror})\n"
            "Cure: choose another folder with --out, or run this as the user who owns it"
        ) from error


def forget(root: Path, service: str) -> None:
    """Remove all but the newest few trained versions of a service; never the newest that is no look."""
    versions = places.trained(root, service)
    whole = [path for path in versions if not quick(path)]
    for old in versions[: -places.KEPT]:
        if old not in whole[-1:]:
            shutil.rmtree(old, ignore_errors=True)
