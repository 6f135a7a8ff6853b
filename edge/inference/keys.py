"""Ed25519 keys: who may say that a model is good. No models, no network, and never in the daemon.

The only file that knows ``cryptography``; the door's subprocess, ``rfid3 keys`` and the trainer
import it. Private keys are ``<keys>/<id>.pem`` and ``<keys>/machine.pem`` (mode 0600), what this
machine believes is ``<keys>/trusted/*.pub``. An id is the first 16 hex digits of the SHA-256 of the
32 raw bytes of the public key.

Source: RFC 8032 (Ed25519), RFC 8410 (its PEM).
"""

import contextlib
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.errors import Rfid3Error

MACHINE = "machine"
"""Name of the key that this machine made for itself."""
PRIVATE_SUFFIX = ".pem"
PUBLIC_SUFFIX = ".pub"
TRUSTED = "trusted"
"""Folder, beside the private keys, of the public keys that are believed."""
ID_DIGITS = 16
FILE_MAX_BYTES = 4_096
"""No key file is larger; what is, is none."""


class KeyProblem(Rfid3Error):
    """A key file is missing, unreadable or open to others; says what, where and the cure."""


class Untrusted(Rfid3Error):
    """The signature names a key that is not among the trusted ones."""


class BadSignature(Rfid3Error):
    """The signature is unreadable, or not of these bytes."""


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``manifest.sig``: JSON."""

    key: str
    """Id of the key, hex."""
    signature: str
    """64 bytes, hex, over the manifest's exact bytes."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair: it can sign."""

    id: str
    path: Path
    private: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Trusted:
    """A public key that is believed."""

    id: str
    path: Path
    public: Ed25519PublicKey


def keys_directory(storage: str | Path) -> Path:
    """Where keys are, under ``storage.directory``."""
    return Path(storage) / "keys"


def key_id(public: Ed25519PublicKey) -> str:
    """The id of a public key: 16 hex digits."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:ID_DIGITS]


def new_key(keys: Path, name: str | None = None) -> Key:
    """Make a pair: ``<name or id>.pem``, mode 0600, and its public half beside it, not yet trusted.

    Raises FileExistsError when there is a key of this name, KeyProblem when it cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    identity = key_id(private.public_key())
    path = keys / f"{name or identity}{PRIVATE_SUFFIX}"
    content = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(path, content, 0o600)
    with contextlib.suppress(FileExistsError):  # left over from a pair whose private half is gone
        path.with_suffix(PUBLIC_SUFFIX).unlink(missing_ok=True)
        _write(path.with_suffix(PUBLIC_SUFFIX), public_pem(private.public_key()), 0o644)
    return Key(identity, path, private)


def machine_key(keys: Path) -> Key:
    """This machine's own key, made and trusted at the first need. Raises KeyProblem.

    Trust that somebody took away later is not given again.
    """
    path = keys / f"{MACHINE}{PRIVATE_SUFFIX}"
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process was faster: take its key
            key = new_key(keys, MACHINE)
            trust(keys, key.path.with_suffix(PUBLIC_SUFFIX))
            return key
    return load_key(path)


def load_key(path: Path) -> Key:
    """A private key from its file. Raises KeyProblem, also when others may read the file."""
    content = _read(path)
    if path.stat().st_mode & 0o077:
        raise KeyProblem(
            f"{path}: others may read this private key.\n"
            f"Cure: chmod 600 {path}; if they did read it, make a new one with: rfid3 keys new"
        )
    try:
        private = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path, "private") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _not_a_key(path, "private")
    return Key(key_id(private.public_key()), path, private)


def find_key(keys: Path, identity: str) -> Key:
    """The private key of this id, or of the file's name such as ``machine``. Raises KeyProblem."""
    for path in sorted(keys.glob(f"*{PRIVATE_SUFFIX}")):
        if path.stem == identity:
            return load_key(path)
    for path in sorted(keys.glob(f"*{PRIVATE_SUFFIX}")):
        key = load_key(path)
        if key.id == identity:
            return key
    raise KeyProblem(
        f"{keys}: no private key {identity}.\nCure: rfid3 keys list shows the keys here"
    )


def private_keys(keys: Path) -> tuple[list[Key], list[KeyProblem]]:
    """Every key that can sign here, and what is wrong with the other files."""
    found: list[Key] = []
    wrong: list[KeyProblem] = []
    for path in sorted(keys.glob(f"*{PRIVATE_SUFFIX}")):
        try:
            found.append(load_key(path))
        except KeyProblem as problem:
            wrong.append(problem)
    return found, wrong


def load_public(path: Path) -> Trusted:
    """A public key from its PEM file. Raises KeyProblem."""
    try:
        public = serialization.load_pem_public_key(_read(path))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path, "public") from error
    if not isinstance(public, Ed25519PublicKey):
        raise _not_a_key(path, "public")
    return Trusted(key_id(public), path, public)


def trusted_keys(trusted: Path) -> tuple[dict[str, Trusted], list[KeyProblem]]:
    """The believed keys of a folder by id, and what is wrong with the other ``*.pub`` files."""
    found: dict[str, Trusted] = {}
    wrong: list[KeyProblem] = []
    for path in sorted(trusted.glob(f"*{PUBLIC_SUFFIX}")):
        try:
            key = load_public(path)
        except KeyProblem as problem:
            wrong.append(problem)
        else:
            found[key.id] = key
    return found, wrong


def trust(keys: Path, source: Path) -> Trusted:
    """Believe the public key in ``source``: a copy goes to ``trusted/<id>.pub``. Raises KeyProblem."""
    key = load_public(source)
    path = keys / TRUSTED / f"{key.id}{PUBLIC_SUFFIX}"
    with contextlib.suppress(FileExistsError):
        _write(path, public_pem(key.public), 0o644)
    return Trusted(key.id, path, key.public)


def remove(keys: Path, identity: str, *, private: bool = False) -> list[Path]:
    """Stop believing the key ``identity``; with ``private`` also delete its pair. The files removed."""
    believed, _ = trusted_keys(keys / TRUSTED)
    gone = [key.path for key in believed.values() if key.id == identity]
    if private:
        pairs = [key.path for key in private_keys(keys)[0] if key.id == identity]
        gone += [p for path in pairs for p in (path, path.with_suffix(PUBLIC_SUFFIX))]
    removed = [path for path in gone if path.exists()]
    for path in removed:
        path.unlink()
    return removed


def sign(content: bytes, key: Key) -> bytes:
    """What ``manifest.sig`` holds for a manifest of these bytes."""
    return msgspec.json.encode(Signature(key.id, key.private.sign(content).hex()))


def verify(content: bytes, signature: bytes, trusted: dict[str, Trusted]) -> str:
    """The id of the trusted key that signed ``content``. Raises Untrusted, BadSignature."""
    try:
        claim = msgspec.json.decode(signature, type=Signature)
        raw = bytes.fromhex(claim.signature)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadSignature(f"it cannot be read: {error}") from error
    if msgspec.json.encode(Signature(claim.key, raw.hex())) != signature:
        raise BadSignature("it is not written as we write it")  # one signature has one form
    key = trusted.get(claim.key)
    if key is None:
        known = ", ".join(sorted(trusted)) or "none"
        raise Untrusted(f"it names the key {claim.key[:64]!r}; trusted here: {known}")
    try:
        key.public.verify(raw, content)
    except InvalidSignature as error:
        raise BadSignature(f"the key {key.id} did not sign these bytes") from error
    return key.id


def public_pem(public: Ed25519PublicKey) -> bytes:
    """A public key as its file holds it."""
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise KeyProblem(
            f"{path}: the key cannot be read: {error.strerror}.\n"
            "Cure: check the path and its permissions; rfid3 keys list shows the keys here"
        ) from error
    if len(content) > FILE_MAX_BYTES:
        raise _not_a_key(path, "public")
    return content


def _not_a_key(path: Path, half: str) -> KeyProblem:
    return KeyProblem(
        f"{path}: this is not a {half} Ed25519 key in PEM.\n"
        "Cure: rfid3 keys new makes a pair; the file that ends in .pub is its public half"
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """All or nothing, and never over an existing file. Raises FileExistsError, KeyProblem."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.link(scratch, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise KeyProblem(
            f"{path}: the key cannot be written: {error.strerror}.\n"
            "Cure: run it as the user whose folder this is, and leave some room on the disk"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink()
