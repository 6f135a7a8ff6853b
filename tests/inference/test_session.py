"""One session: the same answers as onnxruntime's own Python, refusals as types, and who may go on meanwhile."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edge.inference.aside import off_the_loops_processor
from edge.inference.manifest import MANIFEST, MODEL, Manifest, Tensor, decode_manifest
from edge.inference.ort import Graph, OrtError, Runtime
from edge.inference.session import ModelUnusable, Session
from tests.inference import models
from tests.inference.trees import forest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path.parent for path in (ROOT / "models").glob("*/*/model.onnx"))
X, Y = Tensor(name="x", shape=["n", 4]), Tensor(name="y", shape=["n", 2])


def a_session(trees: int = 20) -> Session:
    return Session(forest(4, 2, trees), [X], Y)


def filled(session: Session, manifest: Manifest, seed: int) -> None:
    """Numbers of many sizes and gaps, as features have them."""
    rng = np.random.default_rng(seed)
    for array in session.inputs.values():
        array[...] = rng.exponential(3.0, array.shape) * 10.0 ** rng.integers(-2, 3, array.shape)
        array[rng.random(array.shape) < 0.1] = np.nan


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.parent.name)
def test_every_shipped_model_answers_bit_for_bit_as_by_onnxruntimes_own_python(
    folder: Path,
) -> None:
    content = (folder / MODEL).read_bytes()
    manifest = decode_manifest((folder / MANIFEST).read_bytes())
    output = next(tensor for tensor in manifest.outputs if tensor.name == "y")
    session = Session(content, manifest.inputs, output)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more of them add up in another order
    judge = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    by_rows = {t.name for t in manifest.inputs if isinstance(t.shape[0], str)}
    for n in (1, 7, 256, 1):
        filled(session, manifest, n)
        given = {k: v[:n] if k in by_rows else v for k, v in session.inputs.items()}
        (want,) = judge.run(["y"], given)
        session.output[:] = -9
        assert session.run(n) is None
        np.testing.assert_array_equal(session.output[:n], want)
        assert (session.output[n:] == -9).all()


def test_more_sizes_of_batches_than_stay_bound_are_answered() -> None:
    session = a_session()
    session.inputs["x"][:] = np.random.default_rng(0).exponential(9.0, (256, 4))
    assert session.run(256) is None
    want = session.output.copy()
    for n in (*range(1, 60), 1, 2):
        session.output[:] = 0
        assert session.run(n) is None
        np.testing.assert_array_equal(session.output[:n], want[:n])


def test_bytes_that_are_no_model_are_refused_with_onnxruntimes_reason() -> None:
    for content in (b"", b"\x08\x07nonsense", b"\0\0\0\0ORTM" + bytes(64)):
        with pytest.raises(ModelUnusable, match=r"onnxruntime refuses it: .+"):
            Session(content, [X], Y)


@pytest.mark.parametrize(
    ("inputs", "output", "says"),
    [
        ([Tensor(name="z", shape=["n", 4])], Y, r"takes x \(float\), not"),
        ([X], Tensor(name="z", shape=["n", 2]), r"gives y \(float\), not z"),
    ],
)
def test_other_names_than_the_manifests_are_refused(
    inputs: list[Tensor], output: Tensor, says: str
) -> None:
    with pytest.raises(ModelUnusable, match=says):
        Session(forest(4, 2, 3), inputs, output)


def test_another_width_than_the_manifests_is_trouble_and_writes_nowhere() -> None:
    for inputs, output in (
        ([Tensor(name="x", shape=["n", 3])], Y),
        ([X], Tensor(name="y", shape=["n", 1])),
        ([X], Tensor(name="y", shape=["n", 9])),
    ):
        session = Session(forest(4, 2, 3), inputs, output)
        session.output[:] = -9
        for n in (1, 4):
            trouble = session.run(n)
            assert trouble is not None
            assert (trouble.why, bool(trouble.detail)) == ("error", True)
        assert (session.output == -9).all()


MUTATE = """
import sys
import numpy as np
from edge.inference.manifest import Tensor
from edge.inference.session import ModelUnusable, Session
content, rng = bytearray(sys.stdin.buffer.read()), np.random.default_rng(0)
told = [Tensor(name="x", shape=["n", 3])], Tensor(name="y", shape=["n", 2])
refused = ran = 0
for _ in range(400):
    other = bytearray(content)
    for at in rng.integers(0, len(other), int(rng.integers(1, 4))):
        other[at] = rng.integers(0, 256)
    try:
        session = Session(bytes(other[: int(rng.integers(1, 2 * len(other)))]), *told)
    except ModelUnusable:
        refused += 1
    else:
        session.run(1)
        session.run(5)
        ran += 1
print(refused, ran, "onnxruntime" in sys.modules)
"""


def test_mutated_models_end_in_an_error_of_ours_and_its_python_is_never_imported() -> None:
    content = models.linear(models.weights(3, 2), np.zeros(2, np.float32))
    made = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MUTATE)],
        input=content,
        capture_output=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stderr.decode()
    refused, ran, imported = made.stdout.decode().split()
    assert int(refused) > 100
    assert int(ran) > 20
    assert imported == "False"
    assert not made.stderr  # what fails is told by us alone


def test_what_nobody_holds_is_given_back() -> None:
    content = forest(4, 2, 100)

    def resident_mb() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def build(times: int) -> None:
        for _ in range(times):
            session = Session(content, [X], Y)
            session.run(3)

    build(20)
    before = resident_mb()
    build(100)
    assert resident_mb() - before < 10  # one holds more than half a megabyte


def test_a_library_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "libonnxruntime.so").write_bytes(b"no library")
    for path in (tmp_path / "libonnxruntime.so", tmp_path / "none"):
        with pytest.raises(OrtError, match="cannot be opened"):
            Runtime(path)


class Counting:
    """A thread that counts whenever it is let; nobody is made to let it, as long as the block lasts."""

    def __init__(self) -> None:
        self.count = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stopped:
            self.count += 1
            time.sleep(0)  # and lets others

    def __enter__(self) -> "Counting":
        self._interval_s = sys.getswitchinterval()
        sys.setswitchinterval(60)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()
        sys.setswitchinterval(self._interval_s)

    def during(self, work: Callable[[], Any]) -> int:
        """How far it came while ``work`` was done."""
        before = self.count
        work()
        return self.count - before


def test_others_go_on_while_a_session_is_built_and_wait_while_it_runs() -> None:
    content = forest(4, 2, 1_000)
    session = Session(models.slow(4, 2), [X], Y)
    with Counting() as others:
        built = [others.during(lambda: Graph(content)) for _ in range(5)]
        ran = [others.during(lambda: session.run(2)) for _ in range(5)]
    assert max(built) > 0, built
    assert ran == [0] * 5


def test_a_build_keeps_off_the_processor_of_the_loop_and_comes_back() -> None:
    mine = os.sched_getaffinity(0)
    inside: list[set[int]] = []
    after: list[set[int]] = []

    def fails() -> None:
        with off_the_loops_processor():
            inside.append(os.sched_getaffinity(0))
            raise ZeroDivisionError

    def work() -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                fails()
            after.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert after == [mine] * 3
    for allowed in inside:
        assert allowed < mine if len(mine) > 1 else allowed == mine
        assert len(allowed) >= max(1, len(mine) - 1)


def test_the_loop_itself_never_moves() -> None:
    mine = os.sched_getaffinity(0)
    with off_the_loops_processor():
        assert os.sched_getaffinity(0) == mine
