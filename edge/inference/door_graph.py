"""What a graph may be: which operators, which tensors, which inputs and outputs. Nothing is run here.

Only in the door's subprocess and in the trainer: parsing what a stranger wrote is a risk of its own.
Everything is refused that is not on a list: no operator may call itself, wait, read a file, or make
an output larger than the shapes of its inputs allow, whatever the values in them.
"""

import math
from collections.abc import Iterator

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from edge.inference.door import Reason, Refused
from edge.inference.manifest import MODEL, Manifest, Tensor

ML = "ai.onnx.ml"
OPSETS: dict[str, range] = {"": range(17, 24), ML: range(3, 4)}
"""Domain -> operator sets that this version knows."""
IR_VERSIONS = range(8, 12)
NODES_MAX = 20_000

_CORE = """
    Abs Add And ArgMax ArgMin Cast Ceil Clip Concat Constant Cos CumSum Div Einsum Equal Erf
    Exp Flatten Floor Gather GatherElements Gemm Greater GreaterOrEqual HardSigmoid Identity
    IsInf IsNaN Less LessOrEqual Log LogSoftmax MatMul Max Mean Min Mul Neg Not Or Pow
    Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare Relu Reshape Round Shape Sigmoid Sign Sin Slice Softmax Softplus
    Split Sqrt Squeeze Sub Sum Tanh TopK Transpose Unsqueeze Where Xor
"""
OPERATORS: dict[str, frozenset[str]] = {
    "": frozenset(_CORE.split()),
    ML: frozenset({"TreeEnsembleRegressor"}),
}
"""Domain -> operators that a model may use."""

TREE_LISTS: dict[str, frozenset[str]] = {
    "nodes_": frozenset(
        f"nodes_{name}"
        for name in (
            "treeids",
            "nodeids",
            "featureids",
            "modes",
            "values",
            "truenodeids",
            "falsenodeids",
        )
    ),
    "target_": frozenset(f"target_{name}" for name in ("treeids", "nodeids", "ids", "weights")),
}
"""Attributes of a tree ensemble: lists that run along each other, and which there must be."""

WIDTHS: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.UINT8: 1,
}
"""Element types of constants -> bytes."""

PLAIN = frozenset(
    {
        AttributeProto.FLOAT,
        AttributeProto.INT,
        AttributeProto.STRING,
        AttributeProto.TENSOR,
        AttributeProto.FLOATS,
        AttributeProto.INTS,
        AttributeProto.STRINGS,
    }
)
"""Kinds of attributes: no graph inside a node, no type, no sparse tensor."""


def examine(content: bytes, manifest: Manifest, model_max_bytes: int) -> None:
    """Raises Refused for the first thing that is wrong with the graph."""
    model = parse(content)
    _opsets(model)
    _shell(model)
    _tensors(model.graph, model_max_bytes)
    if len(model.graph.node) > NODES_MAX:
        raise Refused(Reason.GRAPH, MODEL, f"more than {NODES_MAX:,} nodes")
    for node in model.graph.node:
        _node(node)
    _interface(model.graph, manifest)


def parse(content: bytes) -> ModelProto:
    """The model. Raises Refused, also for fields that this version does not know."""
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise Refused(Reason.GRAPH, MODEL, f"it is no ONNX model: {error}") from error
    known = ModelProto()
    known.CopyFrom(model)
    known.DiscardUnknownFields()
    if known.ByteSize() != model.ByteSize():
        raise Refused(Reason.GRAPH, MODEL, "it has fields that this version does not know")
    return model


def _opsets(model: ModelProto) -> None:
    if model.ir_version not in IR_VERSIONS:
        raise Refused(Reason.OPSET, MODEL, f"IR version {model.ir_version} is not known")
    seen: set[str] = set()
    for opset in model.opset_import:
        if opset.domain not in OPSETS or opset.domain in seen:
            raise Refused(Reason.OPSET, MODEL, f"domain {opset.domain!r} is not known, or twice")
        if opset.version not in OPSETS[opset.domain]:
            name = opset.domain or "ai.onnx"
            raise Refused(Reason.OPSET, MODEL, f"{name} {opset.version} is not known")
        seen.add(opset.domain)
    if "" not in seen:
        raise Refused(Reason.OPSET, MODEL, "it names no operator set")


def _shell(model: ModelProto) -> None:
    """What our exporter never writes is not accepted either."""
    graph = model.graph
    foreign = {
        "functions of its own": model.functions,
        "training information": model.training_info,
        "device configuration": model.configuration,
        "sparse constants": graph.sparse_initializer,
        "quantisation notes": graph.quantization_annotation,
    }
    for what, found in foreign.items():
        if len(found):
            raise Refused(Reason.GRAPH, MODEL, f"it has {what}")


def _tensors(graph: GraphProto, model_max_bytes: int) -> None:
    total, names = 0, set()
    for tensor in all_tensors(graph):
        total += tensor_bytes(tensor)
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in names:
            raise Refused(Reason.TENSOR, tensor.name or "?", "it has no name, or one name twice")
        names.add(tensor.name)
    if total > model_max_bytes:
        raise Refused(Reason.TOO_BIG, MODEL, f"its constants are {total:,} bytes")


def all_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Constants, and the tensors in attributes, of graphs in attributes too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else [])
            yield from attribute.tensors
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from all_tensors(inner)


def tensor_bytes(tensor: TensorProto) -> int:
    """Size of a constant; Raises Refused when its data are elsewhere, or are not of its shape."""
    name = tensor.name or "a constant"
    if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
        raise Refused(Reason.EXTERNAL_DATA, name, "its values are in another file")
    width = WIDTHS.get(tensor.data_type)
    if width is None:
        raise Refused(Reason.TENSOR, name, f"element type {tensor.data_type} is not allowed")
    if tensor.HasField("segment"):
        raise Refused(Reason.TENSOR, name, "it is a piece of a tensor")
    if any(size < 0 for size in tensor.dims) or len(tensor.dims) > 8:
        raise Refused(Reason.TENSOR, name, f"shape {list(tensor.dims)[:9]} is none")
    count: int = math.prod(tensor.dims)
    typed = (tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data)
    held = sum(len(values) for values in typed)
    matches = len(tensor.raw_data) == count * width if tensor.raw_data else held == count
    if not matches or len(tensor.string_data) or len(tensor.uint64_data):
        raise Refused(Reason.TENSOR, name, f"its values do not fill the shape {list(tensor.dims)}")
    return count * width


def _node(node: NodeProto) -> None:
    where = f"{node.op_type} {node.name}".strip()
    domain = "" if node.domain == "ai.onnx" else node.domain
    if node.op_type not in OPERATORS.get(domain, ()) or node.overload:
        origin = f" of {node.domain!r}" if node.domain else ""
        raise Refused(
            Reason.OPERATOR, where, f"the operator {node.op_type!r}{origin} is not allowed"
        )
    for attribute in node.attribute:
        if attribute.type not in PLAIN or attribute.ref_attr_name:
            raise Refused(Reason.OPERATOR, where, f"attribute {attribute.name!r} is not plain")
    if domain == ML:
        _trees(node, where)


def _trees(node: NodeProto, where: str) -> None:
    """Each list is as long as its fellows, and each tree leads down, so that every walk ends.

    onnxruntime 1.31 takes a ``nodes_missing_value_tracks_true`` that is too short without a word.
    """
    held = {a.name: a.ints or a.floats or a.strings for a in node.attribute}
    for kind, needed in TREE_LISTS.items():
        lengths = {len(values) for name, values in held.items() if name.startswith(kind)}
        if len(lengths) != 1 or not needed <= held.keys():
            raise Refused(Reason.TENSOR, where, f"its {kind}* lists are not told completely")
    ids, trees = (np.array(held[f"nodes_{what}ids"], np.int64) for what in ("node", "tree"))
    if len(set(zip(trees.tolist(), ids.tolist(), strict=True))) != len(ids):
        raise Refused(Reason.TENSOR, where, "one node twice")
    inner = np.array([mode != b"LEAF" for mode in held["nodes_modes"]])
    for side in ("true", "false"):
        children = np.array(held[f"nodes_{side}nodeids"], np.int64)
        if (children[inner] <= ids[inner]).any():
            raise Refused(Reason.TENSOR, where, "a tree does not lead down")


def _interface(graph: GraphProto, manifest: Manifest) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    taken = [value for value in graph.input if value.name not in constants]
    if len(taken) != len(graph.input):
        raise Refused(Reason.INTERFACE, MODEL, "an input has a default")
    _compare("takes", taken, manifest.inputs)
    _compare("gives", list(graph.output), manifest.outputs)


def _compare(verb: str, values: list[ValueInfoProto], tensors: list[Tensor]) -> None:
    have = {value.name: value for value in values}
    told = {tensor.name: tensor for tensor in tensors}
    if len(have) != len(values) or set(have) != set(told):
        said = f"the graph {verb} {sorted(have)}, the manifest says {sorted(told)}"
        raise Refused(Reason.INTERFACE, MODEL, said)
    for name, tensor in told.items():
        kind = have[name].type
        if not kind.HasField("tensor_type") or kind.tensor_type.elem_type != TensorProto.FLOAT:
            raise Refused(Reason.INTERFACE, name, "it is not float32")
        shape: list[str | int] = [
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
            for dim in kind.tensor_type.shape.dim
        ]
        if not kind.tensor_type.HasField("shape") or not _agree(shape, tensor.shape):
            raise Refused(Reason.INTERFACE, name, f"its shape is {shape}, told {tensor.shape}")


def _agree(shape: list[str | int], told: list[str | int]) -> bool:
    """A number is that number; a letter is anything that varies."""
    return len(shape) == len(told) and all(
        a == b if isinstance(b, int) else isinstance(a, str)
        for a, b in zip(shape, told, strict=True)
    )
