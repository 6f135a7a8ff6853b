"""A folder in the making: its files as bytes, and tools to make a spoilt one look right again."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from onnx import ModelProto

from edge.inference import keys
from edge.inference.manifest import (
    GOLDEN,
    MANIFEST,
    MODEL,
    SIGNATURE,
    File,
    Golden,
    Manifest,
    decode_manifest,
    encode_manifest,
)

Leave = Callable[[Path], None]


@dataclass
class Draft:
    """``files`` by name; ``leave`` is done to the folder at last (links, pipes)."""

    service: str
    version: str
    files: dict[str, bytes]
    trusted: keys.Key
    stranger: keys.Key
    others: dict[str, bytes]
    """Files of another good model."""
    leave: list[Leave] = field(default_factory=list)

    @property
    def manifest(self) -> Manifest:
        return decode_manifest(self.files[MANIFEST])

    @manifest.setter
    def manifest(self, told: Manifest) -> None:
        self.files[MANIFEST] = encode_manifest(told)

    def model(self) -> ModelProto:
        return ModelProto.FromString(self.files[MODEL])

    def golden(self) -> Golden:
        return msgspec.msgpack.decode(self.files[GOLDEN], type=Golden)

    def refit(self) -> None:
        """Let the manifest speak of the files as they are now."""
        told = self.manifest
        digest = hashlib.sha256(self.files[MODEL]).hexdigest()
        self.version = f"{told.version.partition('-')[0]}-{digest[:8]}"
        files = [
            File(name=n, size_bytes=len(b), sha256=hashlib.sha256(b).hexdigest())
            for n, b in self.files.items()
            if n not in (MANIFEST, SIGNATURE)
        ]
        self.manifest = msgspec.structs.replace(told, version=self.version, files=files)

    def sign(self, key: keys.Key | None = None) -> None:
        """By the trusted key unless told otherwise."""
        self.files[SIGNATURE] = keys.sign(self.files[MANIFEST], key or self.trusted)

    def put(self, model: ModelProto) -> None:
        """A spoilt model, correctly named and signed."""
        self.files[MODEL] = model.SerializeToString(deterministic=True)
        self.refit()
        self.sign()

    def tell(self, **changes: object) -> None:
        """A spoilt manifest, correctly signed."""
        self.manifest = msgspec.structs.replace(self.manifest, **changes)
        self.sign()

    def write(self, root: Path) -> Path:
        """``<root>/<service>/<version>``."""
        folder = root / self.service / self.version
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        for leave in self.leave:
            leave(folder)
        return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every regular file of a folder."""
    return {
        entry.name: Path(entry.path).read_bytes() for entry in os.scandir(folder) if entry.is_file()
    }
