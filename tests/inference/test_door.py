"""The door lets in good models only, says why not, and never loads what it did not look at."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from edge.__main__ import Parser
from edge.cli import models_verify
from edge.inference import door
from edge.inference.door import CURES, Limits, Reason, Refused, Verdict
from edge.inference.door_graph import ML, OPERATORS
from edge.inference.manifest import GOLDEN, MANIFEST, MODEL
from tests.hostile import attacks
from tests.hostile.draft import Draft, contents
from tests.hostile.run import LIMITS, Siege

ROOT = Path(__file__).resolve().parents[2]
LINEAR, TREES = 0, 1


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Siege:
    return Siege(tmp_path_factory.mktemp("siege"), seed=1)


def fresh(siege: Siege, which: int) -> Draft:
    folder = siege.originals[which]
    files, others = siege.files[which], siege.files[1 - which]
    return Draft(folder.parent.name, folder.name, dict(files), siege.key, siege.stranger, others)


def ask(siege: Siege, folder: Path, limits: Limits = LIMITS, *broken: str) -> Verdict:
    """The door's word; ``broken`` is a line of Python that runs in the check before it starts."""
    program = (
        ("-c", "; ".join(("import os", IMPORT, *broken, "d.main()"))) if broken else door.PROGRAM
    )
    return door.inspect_many([folder], siege.trusted, limits, program)[0]


IMPORT = "from edge.inference import door_check as d"


def test_good_models_come_in_and_load_as_they_were_inspected(siege: Siege) -> None:
    for folder, files in zip(siege.originals, siege.files, strict=True):
        verdict = door.inspect(folder, siege.trusted, LIMITS)
        assert verdict.ok, verdict
        assert verdict.key == siege.key.id
        assert 0 < verdict.p50_us <= verdict.p99_us
        assert set(verdict.sha256) == set(files)
        loaded = door.load_verified(folder, verdict)
        assert loaded.model == files[MODEL]
        assert loaded.manifest == verdict.manifest
        assert (loaded.entities is None) == (not loaded.manifest.side)
        assert loaded.golden.rows >= 64


# --- every reason can be given -----------------------------------------------------------------------


def _odd_tree(feature: int) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        model = draft.model()
        node = next(n for n in model.graph.node if n.op_type == "TreeEnsembleRegressor")
        held = {a.name: a for a in node.attribute}
        inner = [i for i, m in enumerate(held["nodes_modes"].strings) if m != b"LEAF"]
        for i in inner:
            held["nodes_featureids"].ints[i] = feature
        draft.put(model)

    return spoil


def by(attack: attacks.Attack) -> Callable[[Draft], None]:
    return lambda draft: attack(draft, Random(5))


def _remove(name: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        del draft.files[name]

    return spoil


def _append(draft: Draft) -> None:
    draft.files[MODEL] += b"\0"


def _one_bit(draft: Draft) -> None:
    data = bytearray(draft.files[MODEL])
    data[len(data) // 2] ^= 1
    draft.files[MODEL] = bytes(data)


def _lenient(draft: Draft) -> None:
    told = msgspec.structs.replace(draft.golden(), tolerance=1.0)
    draft.files[GOLDEN] = msgspec.msgpack.encode(told)
    draft.refit()
    draft.sign()


SPOILT: dict[Reason, Callable[[Draft], None]] = {
    Reason.NOT_A_FOLDER: by(attacks.linked_folder),
    Reason.MISSING_FILE: _remove(MODEL),
    Reason.UNEXPECTED_FILE: by(attacks.extra_file),
    Reason.NOT_A_FILE: by(attacks.symlink),
    Reason.HARD_LINK: by(attacks.hardlink),
    Reason.WRONG_SIZE: _append,
    Reason.MANIFEST: by(attacks.odd_name),
    Reason.UNTRUSTED: by(attacks.stranger),
    Reason.BAD_SIGNATURE: by(attacks.borrowed_name),
    Reason.ALTERED: _one_bit,
    Reason.WRONG_PLACE: by(attacks.elsewhere),
    Reason.CATALOGUE: by(attacks.catalogue),
    Reason.FEATURE: by(attacks.features),
    Reason.GRAPH: by(attacks.functions),
    Reason.OPSET: by(attacks.opset),
    Reason.OPERATOR: by(attacks.harmless_if),
    Reason.EXTERNAL_DATA: by(attacks.hidden_external_data),
    Reason.TENSOR: by(attacks.huge_tensor),
    Reason.INTERFACE: by(attacks.interface),
    Reason.ENTITIES: by(attacks.entities),
    Reason.GOLDEN: _lenient,
    Reason.DOES_NOT_LOAD: _odd_tree(-1),
    Reason.DOES_NOT_RUN: _odd_tree(10_000),
    Reason.WRONG_ANSWER: by(attacks.wrong_answers),
    Reason.NOT_FINITE: by(attacks.ruined_by_a_sensor),
    Reason.OUT_OF_RANGE: by(attacks.out_of_range),
    Reason.OUT_OF_MEMORY: by(attacks.hungry),
}
"""By what is in the folder."""

LIMITED: dict[Reason, tuple[Limits, tuple[str, ...]]] = {
    Reason.TOO_BIG: (msgspec.structs.replace(LIMITS, model_max_bytes=100), ()),
    Reason.TOO_SLOW: (msgspec.structs.replace(LIMITS, row_p50_us=0.001), ()),
    Reason.OUT_OF_TIME: (
        msgspec.structs.replace(LIMITS, seconds=1.0),
        ("d.CHECKS['graph'] = lambda case: any(iter(int, 1))",),
    ),
    Reason.CRASHED: (LIMITS, ("d.CHECKS['graph'] = lambda case: os.abort()",)),
    Reason.NO_CHECK: (LIMITS, ("os._exit(3)",)),
}
"""By what is allowed, or by what happens to the process that looks at a good folder."""


def test_every_reason_has_a_test_and_a_cure() -> None:
    assert {*SPOILT, *LIMITED, Reason.UNREADABLE} == set(Reason) == set(CURES)


@pytest.mark.parametrize("reason", SPOILT)
def test_each_fault_is_refused_for_its_reason(siege: Siege, tmp_path: Path, reason: Reason) -> None:
    draft = fresh(siege, TREES)
    SPOILT[reason](draft)
    verdict = ask(siege, draft.write(tmp_path))
    assert verdict.reason == reason, verdict
    assert not verdict.ok
    assert verdict.where
    assert verdict.cure == CURES[reason]
    with pytest.raises(Refused):
        door.load_verified(tmp_path / draft.service / draft.version, verdict)


@pytest.mark.parametrize("reason", LIMITED)
def test_each_limit_is_kept(siege: Siege, reason: Reason) -> None:
    limits, broken = LIMITED[reason]
    assert ask(siege, siege.originals[LINEAR], limits, *broken).reason == reason


def test_what_the_daemons_user_may_not_read_is_told(siege: Siege, tmp_path: Path) -> None:
    folder = fresh(siege, LINEAR).write(tmp_path)
    (folder / MODEL).chmod(0)
    if os.geteuid() != 0:
        assert ask(siege, folder).reason == Reason.UNREADABLE
        return
    for path in (folder, *folder.parents):  # root may read everything: be somebody else
        if path.is_relative_to(tmp_path.parent.parent.parent) and path.owner() == "root":
            path.chmod(path.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            door.read_folder(folder, LIMITS)
        except Refused as refused:
            os._exit(42 if refused.reason == Reason.UNREADABLE else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_a_process_that_dies_does_not_take_the_next_folder_with_it(siege: Siege) -> None:
    program = (
        "-c",
        f"import os; {IMPORT}; old = d.CHECKS['graph']; "
        "d.CHECKS['graph'] = lambda c: old(c) if c.manifest.service == 'quality' else os.abort(); "
        "d.main()",
    )
    first, second = door.inspect_many(siege.originals, siege.trusted, LIMITS, program)
    assert first.reason == Reason.CRASHED
    assert second.ok


def test_the_process_that_looks_can_open_nothing(siege: Siege) -> None:
    tried = "d.CHECKS['graph'] = lambda case: "
    for what in ("open('/etc/hostname')", "__import__('socket').socket()", "os.open('/', 0)"):
        verdict = ask(siege, siege.originals[LINEAR], LIMITS, "import socket", tried + what)
        assert verdict.reason == Reason.CRASHED
        assert "Too many open files" in verdict.detail


# --- nothing between the look and the load ------------------------------------------------------------


@pytest.mark.parametrize("name", [MODEL, MANIFEST, "manifest.sig", "golden.msgpack"])
def test_what_changes_after_the_verdict_is_not_loaded(
    siege: Siege, tmp_path: Path, name: str
) -> None:
    folder = fresh(siege, LINEAR).write(tmp_path)
    verdict = ask(siege, folder)
    assert verdict.ok
    data = bytearray((folder / name).read_bytes())
    data[-2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(Refused):
        door.load_verified(folder, verdict)


def test_the_daemons_side_of_the_door_imports_nothing_heavy() -> None:
    code = (
        "import sys, edge.inference.door\n"
        "print([m for m in ('onnx','onnxruntime','cryptography','google') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- many mutants, and proof that they would be noticed -----------------------------------------------


def test_no_mutant_comes_in(siege: Siege) -> None:
    number = int(os.environ.get("HOSTILE_N", "5000"))
    report = siege.run(number)
    assert report.accepted == []
    assert report.unanswered == []
    assert report.controls_refused == []
    assert report.mutants == number
    if number >= 5_000:
        assert set(report.attacks) == set(attacks.ATTACKS)


@pytest.mark.parametrize(
    ("check", "attack"),
    [
        ("signature", "borrowed_name"),
        ("files", "unnoticed"),
        ("place", "elsewhere"),
        ("catalogue", "catalogue"),
        ("shapes", "duplicate_columns"),
        ("told", "untenable"),
        ("graph", "harmless_if"),
        ("entities", "entities"),
        ("probes", "ruined_by_a_sensor"),
    ],
)
def test_a_check_that_is_missing_turns_the_siege_red(siege: Siege, check: str, attack: str) -> None:
    program = ("-c", f"{IMPORT}; del d.CHECKS[{check!r}]; d.main()")
    lame = Siege.__new__(Siege)
    lame.__dict__.update(siege.__dict__, program=program, root=siege.root / check)
    assert lame.batch(range(24), attack).accepted
    assert siege.batch(range(24), attack).accepted == []


# --- documents and command line -----------------------------------------------------------------------


def test_the_page_names_every_reason_and_operator() -> None:
    page = (ROOT / "docs/models.md").read_text()
    listed = page.partition("<!-- operators -->")[2].partition("<!-- end -->")[0]
    assert set(listed.replace(".", "").replace(",", " ").split()) == OPERATORS[""]
    assert all(name in page for name in OPERATORS[ML])
    assert [reason for reason in Reason if f"`{reason}`" not in page] == []


def test_verify_tells_reason_and_cure(
    siege: Siege, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[storage]\ndirectory = "{siege.root}"\n')
    bad = fresh(siege, LINEAR)
    _one_bit(bad)
    folders = [str(siege.originals[LINEAR]), str(bad.write(tmp_path))]
    parser = Parser(prog="models")
    models_verify.add_parser(parser.add_subparsers())
    args = parser.parse_args(["verify", *folders, "-c", str(config)])
    assert models_verify.run(args) == 1
    out = capsys.readouterr().out
    assert f"{folders[0]}: good, signed by {siege.key.id}" in out
    assert "altered (model.onnx)" in out
    assert "Cure:" in out


def test_contents_of_originals_are_what_was_published(siege: Siege) -> None:
    assert [contents(folder) for folder in siege.originals] == siege.files
    assert np.isnan(np.frombuffer(fresh(siege, LINEAR).golden().inputs["x"], "<f4")).any()
