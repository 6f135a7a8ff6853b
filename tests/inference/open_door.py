"""A stand-in for the door that asks for no signature: for tests of what happens behind it."""

from pathlib import Path

from edge.inference.door import Limits, Loaded, Reason, Refused, Verdict
from edge.inference.manifest import MANIFEST, MODEL, Golden, decode_manifest


class OpenDoor:
    """Lets in every folder that has a manifest; ``refuses`` names versions that it does not."""

    refuses: frozenset[str] = frozenset()

    def __init__(self, trusted: Path = Path(), limits: Limits | None = None) -> None:
        self.inspected: list[str] = []

    def inspect(self, folder: Path) -> Verdict:
        self.inspected.append(folder.name)
        if folder.name in self.refuses:
            return Verdict(folder=str(folder), reason=Reason.BAD_SIGNATURE, detail="not signed")
        manifest = decode_manifest((folder / MANIFEST).read_bytes())
        return Verdict(folder=str(folder), ok=True, manifest=manifest)

    def load(self, folder: Path, verdict: Verdict) -> Loaded:
        assert verdict.manifest is not None
        try:
            model = (folder / MODEL).read_bytes()
        except OSError as error:
            raise Refused(Reason.MISSING_FILE, MODEL, str(error)) from error
        golden = Golden(rows=0, inputs={}, outputs={}, tolerance=0.0)
        return Loaded(manifest=verdict.manifest, model=model, entities=None, golden=golden)

    def trust(self) -> str:
        return ""
