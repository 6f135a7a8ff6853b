"""Trained models that could be published, and how they compare. Not a command."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.config import Config
from edge.errors import Rfid3Error, WrongUsage
from edge.inference.manifest import Manifest, Service, is_quick
from trainer import places
from trainer.compare import Compared, compare, may_publish, read_manifest
from trainer.services import chosen
from trainer.standing import models_directory, standings


@dataclass(frozen=True, slots=True)
class Candidate:
    """The newest trained version of a service beside the one that answers now."""

    service: Service
    path: Path
    manifest: Manifest
    active: Manifest | None
    compared: Compared
    published: bool
    """Whether this very version is in the folder of models already."""
    refusal: str
    """Why it must not be published; empty: it may."""
    passed_over: str = ""
    """Of newer versions that were quick looks; empty: there is none."""
    quick_refused: bool = False
    """Whether the refusal is that it is a quick look: then ``--force`` does not help."""

    @property
    def cure(self) -> str:
        """What to do about the refusal."""
        return QUICK_CURE.format(service=self.service) if self.quick_refused else FORCE_CURE


def add_from(parser: argparse.ArgumentParser) -> None:
    """Add ``--from DIR``."""
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="where trained models are (default: trained under storage.directory)",
    )


def add_allow_quick(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-quick``."""
    parser.add_argument(
        "--allow-quick",
        action="store_true",
        help="also a model of 'fit --quick', which was only meant for a look",
    )


def candidates(args: argparse.Namespace, config: Config) -> list[Candidate]:
    """The newest of each service that was asked for. Raises Rfid3Error where there is none at all.

    A quick look gives way to the newest model that is none, unless ``--allow-quick`` is given.
    """
    root = args.source or places.trained_directory(config)
    services = [recipe.name for recipe in chosen(args.services)]
    if args.source is not None and not args.source.is_dir():
        raise WrongUsage(
            f"--from {args.source}: there is no such folder\n"
            "Cure: name the folder that 'rfid3 train fit --out' wrote to, or leave --from out"
        )
    now, found = standings(config, services), []
    quick_too = getattr(args, "allow_quick", False)
    for service in services:
        path, passed_over = _newest(places.trained(root, service), quick_too)
        if path is None:
            continue
        manifest = read_manifest(path)
        if manifest is None:
            raise Rfid3Error(
                f"{path}: its manifest cannot be read\n"
                f"Cure: remove this folder, and rfid3 train fit {service}"
            )
        active = now[service].own
        compared = compare(manifest, active)
        published = (models_directory(config) / service / path.name).exists()
        refusal = may_publish(compared, active, config.models.margin)
        look = is_quick(manifest) and not quick_too
        if look:
            refusal = QUICK_LOOK
        one = Candidate(service, path, manifest, active, compared, published, refusal)
        found.append(replace(one, passed_over=passed_over, quick_refused=look))
    if not found:
        raise Rfid3Error(f"{root}: no trained model is there\nCure: rfid3 train fit")
    return found


QUICK_LOOK = "it is a quick look (fit --quick), with a small search and a small model"
QUICK_CURE = "rfid3 train fit {service}, or --allow-quick"
FORCE_CURE = "--force publishes it all the same"


def _newest(versions: Sequence[Path], quick_too: bool) -> tuple[Path | None, str]:
    """(the newest version that may be meant, what was passed over for it in words)."""
    newest = versions[-1] if versions else None
    if quick_too or newest is None or not quick(newest):
        return newest, ""
    whole = next((path for path in reversed(versions) if not quick(path)), None)
    if whole is None:
        return newest, ""
    passed = f"{newest.parent.name} {newest.name} is newer, but a quick look (fit --quick)"
    return whole, f"{passed}: passed over without --allow-quick"


def quick(path: Path) -> bool:
    """Whether the model in a folder was a quick look."""
    manifest = read_manifest(path)
    return manifest is not None and is_quick(manifest)
