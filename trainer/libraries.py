"""What training needs beyond the daemon's own libraries. Asks whether it is there; imports nothing.

Looking (``--help``, ``compare``, ``schedule --dry-run``) and handing over (``publish``, ``export``) need
none of it.
"""

import importlib.util

from edge.errors import Rfid3Error

NEEDS = (
    ("sklearn", "scikit-learn"),
    ("scipy", "scipy"),
    ("holidays", "holidays"),
    ("matplotlib", "matplotlib"),
)
"""What the extra ``trainer`` installs: module, and its name as people install it."""


class Missing(Rfid3Error):
    """The extra ``trainer`` is not installed here."""


def missing() -> list[str]:
    """Names of what is not installed."""
    return [name for module, name in NEEDS if not _there(module)]


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # somebody has put None in its place
        return False


def require() -> None:
    """Raises Missing with what to install."""
    if names := missing():
        raise Missing(
            f"training needs {', '.join(names)}, which this installation does not have.\n"
            "Cure: 'make trainer' in the project's folder, or pip install --require-hashes "
            "-r requirements/trainer.txt, here or on a workstation (docs/training.md)"
        )
