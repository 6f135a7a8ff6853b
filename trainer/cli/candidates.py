"""Trained models that could be published, and how they compare. Not a command."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from edge.config import Config
from edge.errors import Rfid3Error
from edge.inference.manifest import Manifest, Service
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


def add_from(parser: argparse.ArgumentParser) -> None:
    """Add ``--from DIR``."""
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="where trained models are (default: trained under storage.directory)",
    )


def candidates(args: argparse.Namespace, config: Config) -> list[Candidate]:
    """The newest of each service that was asked for. Raises Rfid3Error where there is none at all."""
    root = args.source or places.trained_directory(config)
    services = [recipe.name for recipe in chosen(args.services)]
    now, found = standings(config, services), []
    for service in services:
        for path in places.trained(root, service)[-1:]:
            manifest = read_manifest(path)
            if manifest is None:
                raise Rfid3Error(
                    f"{path}: its manifest cannot be read\nCure: rfid3 train fit {service}"
                )
            active = now[service].own
            compared = compare(manifest, active)
            published = (models_directory(config) / service / path.name).exists()
            refusal = may_publish(compared, active, config.models.margin)
            found.append(Candidate(service, path, manifest, active, compared, published, refusal))
    if not found:
        raise Rfid3Error(f"{root}: no trained model is there\nCure: rfid3 train fit")
    return found
