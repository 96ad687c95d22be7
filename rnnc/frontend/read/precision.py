"""What a file computes with, taken in single precision: weights as they are, arithmetic in float32, counts as numbers.

onnxruntime has no recurrent operators in double precision, and what it computes in half precision is 2^-11 away from what
the weights say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.read.limits import constants, subgraphs, tensors

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

NAMES = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
"""Element types of ONNX that hold real numbers."""
SINGLE, BOOL = 1, 9
INTEGERS = (2, 3, 4, 5, 6, 7, 12, 13)
"""Those that hold integers."""
WHOLE = {6: np.int32, 7: np.int64}
"""Those that row numbers of a table have."""
ROW_ARITHMETIC = {
    *("Identity", "Cast", "Add", "Sub", "Mul", "Less", "Not", "Where", "Min", "Max", "Clip"),
    *("Reshape", "Squeeze", "Unsqueeze", "Transpose"),
}
"""What exporters do to row numbers before they look them up."""
TYPED = ("to", "dtype")
"""Attributes that are an element type."""


def to_single(model: ModelProto) -> str:
    """Make all real numbers of a model float32, in place.

    Returns what its inputs, outputs and weights were beside that, "" if nothing: a single number does not count.
    """
    found: set[int] = set()
    for graph in subgraphs(model.graph, ""):
        found.update(_retype(value) for value in [*graph.input, *graph.output])
        for value in graph.value_info:
            _retype(value)
        found.update(map(_convert, tensors(graph)))
        for attribute in (a for node in graph.node for a in node.attribute):
            if attribute.name in TYPED and attribute.i in NAMES:
                attribute.i = SINGLE
    return " and ".join(sorted(NAMES[kind] for kind in found - {0, SINGLE}))


def real_inputs(model: ModelProto) -> list[str]:
    """Make the inputs of integers that the graph does nothing with but cast to float32 inputs of it, in place; their names.

    Those of truth values become numbers too: what is not 0 is true.
    """
    graph = model.graph
    readers: dict[str, list[NodeProto | None]] = {o.name: [None] for o in graph.output}
    for inner in subgraphs(graph, ""):
        for node in inner.node:
            for name in node.input:
                readers.setdefault(name, []).append(node if inner is graph else None)
    changed = _real_truths(model)
    for value in graph.input:
        nodes = readers.get(value.name, [])
        if value.type.tensor_type.elem_type in INTEGERS and nodes and all(map(_makes_single, nodes)):
            value.type.tensor_type.elem_type = SINGLE
            changed.append(value.name)
    return changed


def whole_inputs(model: ModelProto) -> list[str]:
    """Make the inputs of real numbers that the graph casts to row numbers of a table inputs of integers, in place; their names.

    Keras declares what goes into an Embedding so. A mask may compare them with constants, too; where anything else reads
    them they stay.
    """
    from onnx import numpy_helper

    graph, changed = model.graph, list[str]()
    stored = constants(graph)
    for value in [v for v in graph.input if v.type.tensor_type.elem_type == SINGLE]:
        readers = [n for n in graph.node if value.name in n.input]
        casts = [n for n in readers if n.op_type == "Cast" and _casts_to(n, WHOLE)]
        compared = [n for n in readers if n.op_type == "Equal" and any(name in stored for name in n.input)]
        if len(casts) + len(compared) < len(readers) or not _look_up(graph, casts, stored):
            continue
        kind = next(a.i for n in casts for a in n.attribute if a.name == "to")
        value.type.tensor_type.elem_type = kind
        changed.append(value.name)
        for node in compared:
            place = next(i for i, name in enumerate(node.input) if name in stored)
            whole, name = stored[node.input[place]].astype(np.int64), f"{node.output[0]}:whole"
            graph.initializer.append(numpy_helper.from_array(whole.astype(WHOLE[kind]), name))
            node.input[place] = name
    return changed


def _look_up(graph: GraphProto, casts: Sequence[NodeProto], tables: Mapping[str, NDArray[Any]]) -> bool:
    """Whether what some nodes give, and what row arithmetic makes of it, are row numbers of a table."""
    reach = {o for n in casts for o in n.output}
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in tables and node.input[1] in reach:
            return True
        reach.update(node.output if reach.intersection(node.input) and node.op_type in ROW_ARITHMETIC else ())
    return False


def _casts_to(node: NodeProto, types: Collection[int]) -> bool:
    return any(a.name == "to" and a.i in types for a in node.attribute)


def _real_truths(model: ModelProto) -> list[str]:
    """Make the inputs that are truth values numbers, which the graph compares with 0 first; their names."""
    from onnx import helper

    graph, changed = model.graph, list[str]()
    inner = {name for g in subgraphs(graph, "") if g is not graph for node in g.node for name in node.input}
    results = {o.name for o in graph.output}
    for value in graph.input:
        if value.type.tensor_type.elem_type != BOOL or value.name in inner | results:
            continue
        value.type.tensor_type.elem_type = SINGLE
        truth = f"{value.name}:truth"
        for node in graph.node:
            for i, name in enumerate(node.input):
                node.input[i] = truth if name == value.name else name
        graph.node.insert(0, helper.make_node("Cast", [value.name], [truth], name=truth, to=BOOL))
        changed.append(value.name)
    return changed


def _makes_single(node: NodeProto | None) -> bool:
    return node is not None and node.op_type == "Cast" and _casts_to(node, (SINGLE,))


def _retype(value: ValueInfoProto) -> int:
    """Set the element type of a tensor or list of tensors; what it was if it holds real numbers, else 0."""
    before = 0
    for kind in (value.type.tensor_type, value.type.sequence_type.elem_type.tensor_type):
        if kind.elem_type in NAMES:
            before = kind.elem_type
            kind.elem_type = SINGLE
    return before


def _convert(tensor: TensorProto) -> int:
    """Set the element type of a constant; what it was if it holds several real numbers, else 0."""
    from onnx import numpy_helper

    before = tensor.data_type
    if before not in NAMES or before == SINGLE:
        return 0
    with np.errstate(over="ignore"):
        array = numpy_helper.to_array(tensor).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return before if array.size > 1 else 0
