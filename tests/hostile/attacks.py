"""The attacks, a function each in one table: every one of them spoils a good draft for sure.

Three kinds: bytes changed without the key, folders that are not what they seem, and models that are
bad though a trusted key signed them.
"""

import os
from collections.abc import Callable
from random import Random

import msgspec
import numpy as np
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)

from edge.inference.drift import Bins
from edge.inference.manifest import (
    ENTITIES,
    GOLDEN,
    MANIFEST,
    MODEL,
    SIGNATURE,
    Column,
    Entities,
    Golden,
    Tensor,
)
from tests.hostile.draft import Draft

Attack = Callable[[Draft, Random], None]


# --- bytes changed by who has no key ---------------------------------------------------------------


def _some(draft: Draft, random: Random) -> str:
    return random.choice(sorted(draft.files))


def flip(draft: Draft, random: Random) -> None:
    """A few bits, near each other."""
    name = _some(draft, random)
    data = bytearray(draft.files[name])
    at = random.randrange(len(data))
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        data[min(len(data) - 1, at + random.randrange(4))] ^= 1 << random.randrange(8)
    draft.files[name] = bytes(data)


def cut(draft: Draft, random: Random) -> None:
    name = _some(draft, random)
    draft.files[name] = draft.files[name][: random.randrange(len(draft.files[name]))]


def grow(draft: Draft, random: Random) -> None:
    name = _some(draft, random)
    draft.files[name] += random.randbytes(random.choice((1, 16, 4096)))


def blank(draft: Draft, random: Random) -> None:
    name = _some(draft, random)
    data = bytearray(draft.files[name])
    at = random.randrange(len(data))
    data[at : at + 64] = random.choice((b"\0", b"\xff")) * len(data[at : at + 64])
    draft.files[name] = bytes(data)


def swap(draft: Draft, random: Random) -> None:
    """Two files of the folder, by name."""
    a, b = random.sample(sorted(draft.files), 2)
    draft.files[a], draft.files[b] = draft.files[b], draft.files[a]


def exchange(draft: Draft, random: Random) -> None:
    """A file of another good model."""
    name = random.choice(sorted(draft.files.keys() & draft.others.keys()))
    draft.files[name] = draft.others[name]


def replace(draft: Draft, random: Random) -> None:
    """A bad file, and a manifest that speaks of it, but the old signature."""
    name = random.choice([n for n in sorted(draft.files) if n not in (MANIFEST, SIGNATURE)])
    draft.files[name] = random.randbytes(random.randrange(1, 4096))
    draft.refit()


def same_size(draft: Draft, random: Random) -> None:
    """Noise instead of a file, as long as the file."""
    name = random.choice([n for n in sorted(draft.files) if n not in (MANIFEST, SIGNATURE)])
    draft.files[name] = random.randbytes(len(draft.files[name]))


def unnoticed(draft: Draft, random: Random) -> None:
    """The last bit of one golden answer: no check but the sum over the file can see it."""
    raw = next(iter(draft.golden().outputs.values()))
    data = bytearray(draft.files[GOLDEN])
    at = data.index(raw)
    data[at + 4 * random.randrange(len(raw) // 4)] ^= 1
    draft.files[GOLDEN] = bytes(data)


def edit(draft: Draft, random: Random) -> None:
    """The manifest says something else, under the old signature."""
    _edit(draft, random)


def stranger(draft: Draft, random: Random) -> None:
    """The same, signed by a key nobody trusts."""
    _edit(draft, random)
    draft.sign(draft.stranger)


def borrowed_name(draft: Draft, random: Random) -> None:
    """Signed by a stranger who names the trusted key."""
    _edit(draft, random)
    draft.sign(draft.stranger)
    claim = msgspec.json.decode(draft.files[SIGNATURE])
    draft.files[SIGNATURE] = msgspec.json.encode(claim | {"key": draft.trusted.id})


def restyled(draft: Draft, random: Random) -> None:
    """The same signature, written otherwise."""
    raw = draft.files[SIGNATURE]
    claim = msgspec.json.decode(raw)
    draft.files[SIGNATURE] = random.choice(
        (
            raw + b"\n",
            b" " + raw,
            msgspec.json.encode(claim | {"signature": claim["signature"].upper()}),
            msgspec.json.encode(claim | {"signature": " " + claim["signature"]}),
            msgspec.json.encode(dict(reversed(claim.items()))),
        )
    )


def _edit(draft: Draft, random: Random) -> None:
    told = draft.manifest
    changes = random.choice(
        (
            {"notes": "better than it is"},
            {"metrics": {"pr_auc": 0.99}},
            {"catalogue": "0" * 32},
            {"kind": "other"},
            {"features": told.features[::-1]},
            {"columns": [*told.columns, Column(name="z", unit="1")]},
            {"files": told.files[::-1] if len(told.files) > 1 else []},
        )
    )
    draft.manifest = msgspec.structs.replace(told, **changes)


# --- folders that are not what they seem ------------------------------------------------------------


def symlink(draft: Draft, random: Random) -> None:
    """A file lies outside, and a link to it inside."""
    name = _some(draft, random)

    def leave(folder) -> None:
        outside = folder.parent.parent / "outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    draft.leave.append(leave)


def hardlink(draft: Draft, random: Random) -> None:
    """A file has a second name outside."""
    name = _some(draft, random)
    draft.leave.append(lambda folder: os.link(folder / name, folder.parent.parent / "outside"))


def linked_folder(draft: Draft, random: Random) -> None:
    def leave(folder) -> None:
        folder.rename(folder.parent.parent / "elsewhere")
        folder.symlink_to(folder.parent.parent / "elsewhere")

    draft.leave.append(leave)


def pipe(draft: Draft, random: Random) -> None:
    """A pipe nobody writes to: who reads it waits for ever."""
    name = _some(draft, random)

    def leave(folder) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    draft.leave.append(leave)


def folder_inside(draft: Draft, random: Random) -> None:
    name = _some(draft, random)

    def leave(folder) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    draft.leave.append(leave)


def extra_file(draft: Draft, random: Random) -> None:
    name = random.choice(("weights.bin", "model.onnx.data", ".hidden", "model.pkl", "\x01", "é"))
    draft.files[name] = random.randbytes(16)


def missing_file(draft: Draft, random: Random) -> None:
    del draft.files[_some(draft, random)]


def odd_name(draft: Draft, random: Random) -> None:
    """The signed manifest names a file that lies elsewhere."""
    told = draft.manifest
    name = random.choice(
        ("../model.onnx", "/etc/passwd", "a/../model.onnx", "..", "", "model.onnx\0")
    )
    file = msgspec.structs.replace(told.files[0], name=name)
    draft.tell(files=random.choice(([*told.files, file], [file, *told.files[1:]])))


def huge_size(draft: Draft, random: Random) -> None:
    """The signed manifest promises a file of terabytes."""
    told = draft.manifest
    size = random.choice((1 << 40, 1 << 62, -1))
    files = [msgspec.structs.replace(file, size_bytes=size) for file in told.files]
    draft.tell(files=files)


def elsewhere(draft: Draft, random: Random) -> None:
    """A good model under another's name."""
    if random.random() < 0.5:
        draft.service = random.choice(("pricing", "packs", "demand"))
    else:
        draft.version = random.choice(("latest", "20300101T000000Z-" + draft.version[-8:]))


# --- bad, though a trusted key signed it -------------------------------------------------------------


def _spoil_node(draft: Draft, random: Random) -> tuple[ModelProto, NodeProto]:
    model = draft.model()
    return model, random.choice([n for n in model.graph.node if n.op_type != "Identity"])


def unknown_operator(draft: Draft, random: Random) -> None:
    model, node = _spoil_node(draft, random)
    node.op_type = random.choice(
        ("Evil", "RandomNormal", "Loop", "If", "Scan", "NonZero", "", "Resize")
    )
    draft.put(model)


def foreign_domain(draft: Draft, random: Random) -> None:
    model, node = _spoil_node(draft, random)
    node.domain = random.choice(("com.microsoft", "evil", "ai.onnx.preview.training"))
    if random.random() < 0.5:
        model.opset_import.append(helper.make_opsetid(node.domain, 1))
    draft.put(model)


def _end(model: ModelProto) -> NodeProto:
    """The node that gives ``y``."""
    return next(node for node in model.graph.node if node.output[0] == "y")


def _same_value_branch() -> GraphProto:
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node("Identity", ["outer"], ["inner"])], "b", [], [value])


def harmless_if(draft: Draft, random: Random) -> None:
    """An ``If`` that answers what the model did: right in everything but the list."""
    model = draft.model()
    end = _end(model)
    before = end.input[0]
    branch = _same_value_branch()
    branch.node[0].input[0] = before
    yes = numpy_helper.from_array(np.array(random.random() < 0.5), "yes")
    model.graph.initializer.append(yes)
    model.graph.node.remove(end)
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    )
    draft.put(model)


def loop_bomb(draft: Draft, random: Random) -> None:
    """A loop that ends in some thousand years, before the answer."""
    model = draft.model()
    names = [helper.make_tensor_value_info(n, t, []) for n, t in (("i", 7), ("c", 9))]
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, None)
    kept = helper.make_tensor_value_info("kept", TensorProto.BOOL, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["kept"]),
            helper.make_node("Identity", ["state"], ["inner"]),
        ],
        "body",
        [*names, state],
        [kept, value],
    )
    end = _end(model)
    before = end.input[0]
    model.graph.node.remove(end)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(1 << 60, np.int64), "times"),
            numpy_helper.from_array(np.array(True), "go"),
        ]
    )
    model.graph.node.append(helper.make_node("Loop", ["times", "go", before], ["y"], body=body))
    draft.put(model)


def external_data(draft: Draft, random: Random) -> None:
    """Weights in a file elsewhere: by path, by hard link, or a piece of the model itself."""
    model = draft.model()
    if not model.graph.initializer:
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "w"))
    tensor = random.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    place = random.choice(("/etc/passwd", "../outside", MODEL, "weights.bin", "/proc/self/mem"))
    tensor.external_data.add(key="location", value=place)
    if random.random() < 0.7:
        tensor.data_location = TensorProto.EXTERNAL
    draft.put(model)


def hidden_external_data(draft: Draft, random: Random) -> None:
    """The same in an attribute."""
    model = draft.model()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))
    draft.put(model)


def huge_tensor(draft: Draft, random: Random) -> None:
    """A shape of terabytes with few bytes in it."""
    model = draft.model()
    dims = random.choice(([1 << 40], [1 << 20, 1 << 20], [1 << 62, 4], [-1], [3, 1 << 31]))
    model.graph.initializer.append(
        TensorProto(name="w", data_type=1, dims=dims, raw_data=b"\0" * 12)
    )
    draft.put(model)


def odd_tensor(draft: Draft, random: Random) -> None:
    """Text, complex numbers, pieces, two under one name."""
    model = draft.model()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], raw_data=b"\0" * 4)
    spoil = random.randrange(4)
    if spoil == 0:
        tensor.data_type = random.choice((TensorProto.STRING, TensorProto.COMPLEX64, 99, 0))
    elif spoil == 1:
        tensor.segment.begin = 1
    elif spoil == 2:
        model.graph.initializer.append(tensor)
    else:
        tensor.string_data.append(b"x")
    model.graph.initializer.append(tensor)
    draft.put(model)


def graph_attribute(draft: Draft, random: Random) -> None:
    """A graph, a type or a sparse tensor in a node that needs none."""
    model, node = _spoil_node(draft, random)
    kind = random.choice((AttributeProto.GRAPH, AttributeProto.TYPE_PROTO, AttributeProto.GRAPHS))
    node.attribute.append(AttributeProto(name="body", type=kind, g=_same_value_branch()))
    draft.put(model)


def opset(draft: Draft, random: Random) -> None:
    model = draft.model()
    spoil = random.randrange(4)
    if spoil == 0:
        model.opset_import[0].version = random.choice((1, 7, 99))
    elif spoil == 1:
        del model.opset_import[:]
    elif spoil == 2:
        model.ir_version = random.choice((0, 3, 99))
    else:
        model.opset_import.append(helper.make_opsetid("", 18))
    draft.put(model)


def functions(draft: Draft, random: Random) -> None:
    """An operator of its own, defined in the file."""
    model = draft.model()
    opsets = [helper.make_opsetid("", 21)]
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("own", "Same", ["a"], ["b"], body, opsets))
    draft.put(model)


def shell(draft: Draft, random: Random) -> None:
    """Parts of the format that no exporter of ours writes."""
    model = draft.model()
    spoil = random.randrange(3)
    if spoil == 0:
        model.training_info.add()
    elif spoil == 1:
        model.graph.sparse_initializer.add()
    else:
        model.graph.quantization_annotation.add(tensor_name="x")
    draft.put(model)


def unknown_fields(draft: Draft, random: Random) -> None:
    """Bytes that are well-formed, and mean something only to somebody else."""
    draft.files[MODEL] += bytes([0xC2, 0x3E, 0x04]) + random.randbytes(4)
    draft.refit()
    draft.sign()


def no_model(draft: Draft, random: Random) -> None:
    draft.files[MODEL] = random.choice((b"", b"ORTM", b"\x80\x04N.", random.randbytes(512)))
    draft.refit()
    draft.sign()


def interface(draft: Draft, random: Random) -> None:
    """The graph takes or gives something else than the manifest says."""
    model = draft.model()
    spoil = random.randrange(5)
    if spoil == 0:
        model.graph.input[0].name = "z"
    elif spoil == 1:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value += 1
    elif spoil == 2:
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    elif spoil == 3:
        model.graph.output.append(
            helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n", 1])
        )
    else:
        del model.graph.output[0].type.tensor_type.shape.dim[0]
    draft.put(model)


def _before_end(draft: Draft, operator: str, constant: float) -> None:
    """One more operation on the answer."""
    model = draft.model()
    end = _end(model)
    model.graph.initializer.append(numpy_helper.from_array(np.array(constant, np.float32), "extra"))
    added = helper.make_node(operator, [end.input[0], "extra"], ["nearly"])
    end.input[0] = "nearly"
    model.graph.node.insert(len(model.graph.node) - 1, added)
    draft.put(model)


def wrong_answers(draft: Draft, random: Random) -> None:
    """Shifted, scaled or constant."""
    operator, constant = random.choice((("Add", 0.01), ("Mul", 1.01), ("Mul", 0.0), ("Pow", 2.0)))
    _before_end(draft, operator, constant)


def not_finite(draft: Draft, random: Random) -> None:
    constant = random.choice((float("nan"), float("inf")))
    _before_end(draft, random.choice(("Add", "Mul", "Sub")), constant)


def ruined_by_a_sensor(draft: Draft, random: Random) -> None:
    """Right on golden rows; a number from a broken sensor makes it NaN."""
    model = draft.model()
    end = _end(model)
    zero = numpy_helper.from_array(np.array(0.0, np.float32), "zero")
    floor = numpy_helper.from_array(np.array(1e8, np.float32), "floor")
    axes = numpy_helper.from_array(np.array([1], np.int64), "axes")
    model.graph.initializer.extend([zero, floor, axes])
    model.graph.node.remove(end)
    model.graph.node.extend(
        [
            helper.make_node("IsNaN", ["x"], ["gone"]),
            helper.make_node("Where", ["gone", "zero", "x"], ["known"]),
            helper.make_node("Sub", ["known", "floor"], ["above"]),
            helper.make_node("Max", ["above", "zero"], ["much"]),
            helper.make_node("Mul", ["much", "much"], ["more"]),
            helper.make_node("Exp", ["more"], ["big"]),
            helper.make_node("Sub", ["big", "big"], ["nothing"]),
            helper.make_node("ReduceMax", ["nothing", "axes"], ["worst"], keepdims=1),
            helper.make_node("Add", [end.input[0], "worst"], ["y"]),
        ]
    )
    draft.put(model)


def out_of_range(draft: Draft, random: Random) -> None:
    """Answers as told, but the columns promise another range."""
    told = draft.manifest
    columns = [msgspec.structs.replace(c, lowest=1e6, highest=2e6) for c in told.columns]
    draft.tell(columns=columns)


def _row_cost(draft: Draft, width: int, times: int) -> None:
    """Add nothing to the answer, at the price of ``times`` products [width, width] a row."""
    model = draft.model()
    end = _end(model)
    features = len(draft.manifest.features)
    constants = {
        "spread": np.full((features, width), 1e-12, np.float32),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "both": np.array([1, 2], np.int64),
        "zero": np.array(0.0, np.float32),
    }
    model.graph.initializer.extend([numpy_helper.from_array(v, k) for k, v in constants.items()])
    model.graph.node.remove(end)
    nodes = [
        helper.make_node("IsNaN", ["x"], ["gone"]),
        helper.make_node("Where", ["gone", "zero", "x"], ["known"]),
        helper.make_node("MatMul", ["known", "spread"], ["wide"]),
        helper.make_node("Unsqueeze", ["wide", "one"], ["rows"]),
        helper.make_node("Unsqueeze", ["wide", "two"], ["columns"]),
        helper.make_node("Mul", ["rows", "columns"], ["m0"]),
    ]
    nodes += [helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(times)]
    nodes += [
        helper.make_node("ReduceSum", [f"m{times}", "both"], ["sum"], keepdims=0),
        helper.make_node("Unsqueeze", ["sum", "one"], ["tall"]),
        helper.make_node("Mul", ["tall", "zero"], ["nothing"]),
        helper.make_node("Add", [end.input[0], "nothing"], ["y"]),
    ]
    model.graph.node.extend(nodes)
    draft.put(model)


def slow(draft: Draft, random: Random) -> None:
    """Right, and far too slow."""
    _row_cost(draft, 288, 8)


def hungry(draft: Draft, random: Random) -> None:
    """Right for who has gigabytes."""
    _row_cost(draft, 6_000, 1)


def tree_cycle(draft: Draft, random: Random) -> None:
    """A tree whose walk never ends, or leads out of it."""
    model = draft.model()
    node = next((n for n in model.graph.node if n.op_type == "TreeEnsembleRegressor"), None)
    if node is None:  # the linear model has none: give it one
        unknown_operator(draft, random)
        return
    held = {a.name: a for a in node.attribute}
    name = random.choice(("nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids"))
    inner = [i for i, mode in enumerate(held["nodes_modes"].strings) if mode != b"LEAF"]
    ints = held[name].ints
    if name == "nodes_featureids":
        for i in inner:
            ints[i] = random.choice((10_000, -1, 1 << 40))
    else:
        ints[random.choice(inner)] = random.choice((0, 1 << 20, -1))
    draft.put(model)


def tree_cut(draft: Draft, random: Random) -> None:
    """Lists of a tree that are not of one length."""
    model = draft.model()
    node = next((n for n in model.graph.node if n.op_type == "TreeEnsembleRegressor"), None)
    if node is None:
        wrong_answers(draft, random)
        return
    lists = [a for a in node.attribute if a.name.startswith("nodes_") and len(a.ints) > 1]
    del random.choice(lists).ints[-1]
    draft.put(model)


def golden(draft: Draft, random: Random) -> None:
    """Rows that prove nothing: few, lenient, whole, of another shape, or none at all."""
    told = draft.golden()
    spoil = random.randrange(6)
    if spoil == 0:
        told = msgspec.structs.replace(
            told, tolerance=random.choice((1e9, 0.01, -1.0, float("nan")))
        )
    elif spoil == 1:
        told = Golden(rows=0, inputs={}, outputs={}, tolerance=told.tolerance)
    elif spoil == 2:
        whole = {k: np.zeros(len(v) // 4, "<f4").tobytes() for k, v in told.inputs.items()}
        told = msgspec.structs.replace(told, inputs=whole)
    elif spoil == 3:
        told = msgspec.structs.replace(told, rows=told.rows + 1)
    elif spoil == 4:
        nan = {k: np.full(len(v) // 4, np.nan, "<f4").tobytes() for k, v in told.outputs.items()}
        told = msgspec.structs.replace(told, outputs=nan)
    draft.files[GOLDEN] = msgspec.msgpack.encode(told) if spoil < 5 else b"\xc1"
    draft.refit()
    draft.sign()


def entities(draft: Draft, random: Random) -> None:
    """Constants that are not the manifest's."""
    spoilt = random.choice(
        (
            Entities(keys=["a", ""], columns=["other"], values=bytes(8)),
            Entities(keys=["a", "b"], columns=draft.manifest.side, values=bytes(8)),
            Entities(keys=["", ""], columns=draft.manifest.side, values=bytes(4)),
            Entities(keys=[], columns=["none"], values=b""),
        )
    )
    draft.files[ENTITIES] = msgspec.msgpack.encode(spoilt)
    draft.refit()
    draft.sign()


def catalogue(draft: Draft, random: Random) -> None:
    """Trained on the features of another version."""
    draft.tell(catalogue="".join(random.choices("0123456789abcdef", k=32)))


def features(draft: Draft, random: Random) -> None:
    told = draft.manifest.features
    names = random.choice(("no_such_feature", told[0]))
    draft.tell(features=[*told[:-1], names])


def shapes(draft: Draft, random: Random) -> None:
    """A manifest that contradicts itself."""
    told = draft.manifest
    y = Tensor(name="y", shape=["n", len(told.columns) + 1])
    doubled = Column(name=told.columns[0].name, unit="1")
    draft.tell(
        **random.choice(
            (
                {"columns": []},
                {"columns": [*told.columns, doubled]},
                {"outputs": [y]},
                {"outputs": []},
                {"offsets": told.offsets + 1},
                {"side": [*told.side, "more"]},
                {"inputs": [*told.inputs, told.inputs[0]]},
                {"inputs": []},
            )
        )
    )


def untenable(draft: Draft, random: Random) -> None:
    """A column or a training sample that no day's close could work with; else all is right."""
    columns = draft.manifest.columns
    change = msgspec.structs.replace
    spoilt = random.choice(
        (
            change(columns[0], horizon_days=random.choice((-1.0, 401.0, 1e18))),
            change(columns[0], quantile=random.choice((0.0, 1.0, -0.5, 7.0))),
            Bins(edges=[1.0, 1.0], counts=[1, 1, 1], missing=0),
            Bins(edges=[1.0], counts=[1, 1, 1], missing=0),
            Bins(edges=[1.0], counts=[1, -1], missing=0),
            Bins(edges=[], counts=[1], missing=1 << 62),
            Bins(edges=[float(i) for i in range(20)], counts=[1] * 21, missing=0),
        )
    )
    if isinstance(spoilt, Column):
        draft.tell(columns=[spoilt, *columns[1:]])
    else:
        where = random.choice(("feature_bins", "output_bins"))
        draft.tell(**{where: {draft.manifest.features[0]: spoilt}})


def duplicate_columns(draft: Draft, random: Random) -> None:
    """A column name twice, and an answer nobody can tell from another; else all is right."""
    told = draft.manifest
    if len(told.columns) < 2:
        shapes(draft, random)
        return
    twice = [msgspec.structs.replace(c, name=told.columns[0].name) for c in told.columns]
    draft.tell(columns=twice)


def versions(draft: Draft, random: Random) -> None:
    """A format or a moment that is not ours."""
    spoil = random.randrange(3)
    if spoil == 0:
        draft.tell(format=random.choice((0, 2, 99)))
    elif spoil == 1:
        draft.tell(created_at=random.choice(("", "yesterday", "2031-01-01T00:00:00Z")))
    else:
        draft.version = draft.version[:-8] + "00000000"
        draft.tell(version=draft.version)


NO_KEY: tuple[Attack, ...] = (
    *(flip, cut, grow, blank, swap, exchange, replace, same_size, unnoticed),
    *(edit, stranger, borrowed_name, restyled),
)
FOLDERS: tuple[Attack, ...] = (
    *(symlink, hardlink, linked_folder, pipe, folder_inside, extra_file, missing_file),
    *(odd_name, huge_size, elsewhere),
)
SIGNED: tuple[Attack, ...] = (
    *(unknown_operator, foreign_domain, harmless_if, loop_bomb, external_data),
    *(hidden_external_data, huge_tensor, odd_tensor, graph_attribute, opset, functions, shell),
    *(unknown_fields, no_model, interface, wrong_answers, not_finite, ruined_by_a_sensor),
    *(out_of_range, tree_cycle, tree_cut, golden, entities, catalogue, features, shapes),
    *(untenable, duplicate_columns, versions),
)
COSTLY: tuple[Attack, ...] = (slow, hungry)
"""They take seconds to be seen through, so they are rare."""
COSTLY_EVERY = 500
ATTACKS: dict[str, Attack] = {
    attack.__name__: attack for attack in (*NO_KEY, *FOLDERS, *SIGNED, *COSTLY)
}


def choose(number: int, random: Random) -> Attack:
    """The attack of mutant ``number``: bit flips and the like are half of all."""
    if number % COSTLY_EVERY == COSTLY_EVERY - 1:
        return COSTLY[number // COSTLY_EVERY % len(COSTLY)]
    return random.choice(random.choice((NO_KEY, NO_KEY, FOLDERS, SIGNED)))
