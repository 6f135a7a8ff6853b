"""``make starter``: trains the starter models anew and puts them into ``models/``, with checksums.

What they learn from is ``edge.simulate.days``: a simulated shop drawn a day at a time, as the
simulator that speaks message by message would need hours for two years. Their manifests say so.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

from edge.inference.starter import SUMS
from edge.simulate.days import DaysSettings, ShopDays
from trainer.budget import Budget
from trainer.fitting import fit_all
from trainer.imports import import_history
from trainer.orders import Fit, FitOrder
from trainer.services import RECIPES

MODELS = Path(__file__).resolve().parent.parent / "models"
FOLDER_MAX_BYTES = 300_000
"""Packed, as the wheel and the repository hold it: golden rows of demand are mostly alike."""
WORDS = (
    "a simulated shop: {days} generated days of {classes} classes and {items} tagged items "
    "(edge.simulate.days, seed {seed}); nothing of a real shop is in it"
)


def main() -> int:
    """0 with a model of every service that could be trained; 1 when one broke or is too large."""
    made = argparse.ArgumentParser(prog="make starter", description=__doc__)
    made.add_argument("services", nargs="*", choices=[*RECIPES, []], metavar="SERVICE")
    made.add_argument("--days", type=int, default=730)
    made.add_argument("--minutes", type=float, default=30.0, help="for each service")
    args = made.parse_args()
    # A store of another name: no class of a real shop is ever taken for one of the simulated.
    settings = DaysSettings(days=args.days, store="simulated")
    shop = ShopDays(settings)
    with tempfile.TemporaryDirectory(prefix="rfid3-starter-") as directory:
        history = Path(directory) / "history.sqlite"
        print("\n".join(import_history(shop, history).lines()))
        words = WORDS.format(
            days=settings.days,
            classes=settings.rental_classes + settings.articles,
            items=settings.rental_classes * settings.items_per_class,
            seed=settings.seed,
        )
        orders = [
            FitOrder(
                service=service,
                history=[str(history)],
                out=str(Path(directory) / "trained"),
                budget=Budget(seconds=args.minutes * 60, nice=0),
                reason="starter",
                data=words,
                quick=True,
            )
            for service in RECIPES
            if not args.services or service in args.services
        ]
        fits = fit_all(orders, args.minutes * 60 * len(orders), done=tell)
        wrong = [put(fit) for fit in fits.models]
    write_sums()
    return 1 if fits.broken or not all(wrong) else 0


def tell(fit: Fit) -> None:
    """One line about each."""
    print(f"{fit.service}: {fit.became} in {fit.seconds:.0f} s, {fit.peak_mb:.0f} MB {fit.detail}")


def put(fit: Fit) -> bool:
    """The only version of its service in ``models/``; false for one that is too large to ship."""
    folder = Path(fit.path)
    size = sum(len(zlib.compress(path.read_bytes())) for path in folder.iterdir())
    if size > FOLDER_MAX_BYTES:
        print(f"{fit.service}: {size:,} bytes packed, too large to ship; what was there stays")
        return False
    shutil.rmtree(MODELS / fit.service, ignore_errors=True)
    target = MODELS / fit.service / folder.name
    shutil.copytree(folder, target)
    for path in target.iterdir():
        path.chmod(0o644)
    print(f"{fit.service}: {target} ({size:,} bytes packed)")
    return True


def write_sums() -> None:
    """``SHA256SUMS`` of everything in ``models/``."""
    files = sorted(path for path in MODELS.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(MODELS)}\n"
        for path in files
    ]
    (MODELS / SUMS).write_text("".join(lines))


if __name__ == "__main__":
    sys.exit(main())
