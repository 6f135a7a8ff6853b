"""Keys: made, kept from others, trusted, removed; signatures hold for exact bytes only."""

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from edge.__main__ import main
from edge.inference import keys


def test_a_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    key = keys.new_key(tmp_path / "keys")
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.path.parent.stat().st_mode) == 0o700
    assert key.path.name == f"{key.id}.pem"


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    key = keys.new_key(tmp_path)
    key.path.chmod(0o640)
    with pytest.raises(keys.KeyProblem, match="chmod 600"):
        keys.load_key(key.path)


def test_the_machines_key_is_made_once_and_trusted(tmp_path: Path) -> None:
    first, again = keys.machine_key(tmp_path), keys.machine_key(tmp_path)
    assert first.id == again.id
    assert set(keys.trusted_keys(tmp_path / keys.TRUSTED)[0]) == {first.id}


def test_trust_taken_from_the_machines_key_is_not_given_back(tmp_path: Path) -> None:
    key = keys.machine_key(tmp_path)
    keys.remove(tmp_path, key.id)
    assert keys.machine_key(tmp_path).id == key.id
    assert keys.trusted_keys(tmp_path / keys.TRUSTED)[0] == {}


def test_two_who_need_the_machines_key_at_once_get_the_same(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(keys.machine_key(tmp_path).id))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {keys.machine_key(tmp_path).id}
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    before = keys.new_key(tmp_path, "shop")
    with pytest.raises(FileExistsError):
        keys.new_key(tmp_path, "shop")
    assert keys.load_key(before.path).id == before.id


def test_a_signature_is_of_these_bytes_by_this_key(tmp_path: Path) -> None:
    key, other = keys.machine_key(tmp_path), keys.new_key(tmp_path)
    trusted, _ = keys.trusted_keys(tmp_path / keys.TRUSTED)
    signature = keys.sign(b"manifest", key)
    assert keys.verify(b"manifest", signature, trusted) == key.id
    with pytest.raises(keys.BadSignature):
        keys.verify(b"manifesT", signature, trusted)
    with pytest.raises(keys.Untrusted, match=key.id):
        keys.verify(b"manifest", keys.sign(b"manifest", other), trusted)
    claim = msgspec.json.decode(keys.sign(b"manifest", other)) | {"key": key.id}
    with pytest.raises(keys.BadSignature):
        keys.verify(b"manifest", msgspec.json.encode(claim), trusted)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"null", b'{"key":"a","signature":"xyz"}', b"\xff"]
)
def test_what_is_no_signature_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises((keys.BadSignature, keys.Untrusted)):
        keys.verify(b"manifest", content, {})


@pytest.mark.parametrize("change", ["space", "upper"])
def test_a_signature_has_one_form(tmp_path: Path, change: str) -> None:
    key = keys.machine_key(tmp_path)
    trusted, _ = keys.trusted_keys(tmp_path / keys.TRUSTED)
    signature = keys.sign(b"manifest", key)
    claim = msgspec.json.decode(signature)
    other = {
        "space": signature + b" ",
        "upper": msgspec.json.encode(claim | {"signature": claim["signature"].upper()}),
    }[change]
    with pytest.raises(keys.BadSignature, match="not written"):
        keys.verify(b"manifest", other, trusted)


def test_a_key_of_another_kind_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "ec.pub"
    path.write_bytes(
        generate_private_key(SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(keys.KeyProblem, match="Ed25519"):
        keys.trust(tmp_path, path)


def test_one_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    key = keys.machine_key(tmp_path)
    (tmp_path / keys.TRUSTED / "noise.pub").write_bytes(b"noise")
    found, wrong = keys.trusted_keys(tmp_path / keys.TRUSTED)
    assert set(found) == {key.id}
    assert len(wrong) == 1
    assert "noise.pub" in str(wrong[0])


# --- the command line --------------------------------------------------------------------------------


@pytest.fixture
def at(tmp_path: Path) -> list[str]:
    """``-c`` with a configuration that keeps everything below ``tmp_path``."""
    config = tmp_path / "config.toml"
    config.write_text(f'[storage]\ndirectory = "{tmp_path / "var"}"\n')
    return ["-c", str(config)]


def test_a_key_made_there_is_trusted_here(
    tmp_path: Path, at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    public = keys.new_key(tmp_path / "workstation", "w").path.with_suffix(".pub")
    assert main(["keys", "list", *at]) == 0
    assert "no keys yet" in capsys.readouterr().out
    assert main(["keys", "trust", str(public), *at]) == 0
    identity = keys.load_public(public).id
    assert main(["keys", "list", *at]) == 0
    assert f"{identity}  trusted" in capsys.readouterr().out
    assert main(["keys", "remove", identity, *at]) == 0
    assert main(["keys", "remove", identity, *at]) == 1
    assert "not trusted here" in capsys.readouterr().err


def test_a_new_key_says_where_its_halves_are(
    tmp_path: Path, at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "new", "--name", "shop", *at]) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "var/keys/shop.pem") in out
    assert (tmp_path / "var/keys/shop.pub").exists()
    assert main(["keys", "new", "--name", "shop", *at]) == 1
    assert "Cure:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "../shop", ".shop", "a/b", "a\nb"])
def test_a_keys_name_is_a_file_name(
    at: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "new", "--name", name, *at]) == 2
    assert "is no name" in capsys.readouterr().err


def test_keys_are_told_to_programs_too(
    tmp_path: Path, at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str) -> dict[str, Any]:
        assert main(["keys", *words, "--json", *at]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    assert told("list")["keys"] == []
    made = told("new", "--name", "shop")
    row = {"id": made["id"], "trusted": False, "signs_with": made["private"]}
    assert told("list")["keys"] == [row]
    assert told("trust", made["public"])["id"] == made["id"]
    assert told("list")["keys"] == [row | {"trusted": True}]
    assert told("remove", made["id"])["removed"]


def test_a_file_that_is_no_key_is_told_with_the_cure(
    tmp_path: Path, at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.pub").write_text("hello")
    assert main(["keys", "trust", str(tmp_path / "x.pub"), *at]) == 1
    error = capsys.readouterr().err
    assert "x.pub" in error
    assert "Cure:" in error
