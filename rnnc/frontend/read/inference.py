"""onnx's shape inference, and what it would spend: sizes are looked at before anything of that size is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import UnreadableModel
from rnnc.frontend.read.fold import fold
from rnnc.frontend.read.limits import MAX_ELEMENTS, first_line, node_label, opset_of, subgraphs
from rnnc.tracing import Node

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

Arrays = dict[str, NDArray[Any]]
MOST_PROPAGATED = 1 << 16
"""Elements of a shape whose values inference follows: it makes them one by one."""
MAX_PRODUCTS = 1 << 34
"""Multiplications of one sequence, which onnxruntime runs several times: about two seconds each."""
MAX_ITERATIONS = 1 << 21
"""Nodes that a Loop of constant length runs through in all."""
PRODUCTS = {"MatMul", "Gemm", "Conv", "ConvTranspose", "LSTM", "GRU", "RNN"}
SMALL = 64
"""Elements of a tensor that lengths are computed with."""
ARITHMETIC = {
    *(
        "Constant",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Mod",
        "Neg",
        "Abs",
        "Max",
        "Min",
        "Floor",
        "Ceil",
        "Pow",
        "Cast",
        "Identity",
    ),
    *("Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "ReduceProd", "ReduceSum", "ReduceMax"),
}
"""Operators that lengths are computed with."""
UNFIT = "its shapes do not fit together"


def infer_shapes(model: ModelProto, where: str = "", *, strict: bool = False) -> ModelProto:
    """The model with the shapes that follow from its inputs', also where they are computed in the graph.

    Raises UnreadableModel where a tensor is larger, or a loop longer, than any network of a microcontroller has.
    Whatever onnx raises where shapes do not fit together is passed on.
    """
    from onnx import TensorProto, shape_inference

    plain = shape_inference.infer_shapes(model, strict_mode=strict)
    _check_sizes(plain, where)
    _check_products(plain, where)
    endless = [n for graph in subgraphs(model.graph, where) for n in graph.node if n.op_type in ("Range", "Loop")]
    lengths = _lengths(plain) if endless else {}
    for node in endless:
        if node.op_type == "Range":
            spent, limit, what = _elements_of_range(node, lengths), MAX_ELEMENTS, "elements of a range"
        else:
            spent, limit, what = _nodes_of_loop(node, lengths), MAX_ITERATIONS, "nodes that a loop runs through"
        if spent > limit:
            at = f"{where}: {node_label(node)}" if where else ""
            raise UnreadableModel(f"{spent:,} {what} are more than {limit:,}", where=at)
    whole = (TensorProto.INT64, TensorProto.INT32)
    vectors = (v for v in _values(plain) if v.type.tensor_type.elem_type in whole and len(dims(v)) == 1)
    if any(_elements(v) > MOST_PROPAGATED for v in vectors):
        return plain
    inferred = shape_inference.infer_shapes(model, strict_mode=strict, data_prop=True)
    _check_sizes(inferred, where)
    return inferred


def _values(model: ModelProto) -> list[ValueInfoProto]:
    return [*model.graph.input, *model.graph.value_info, *model.graph.output]


def dims(value: ValueInfoProto) -> list[int]:
    """The lengths of a tensor's axes, 0 where they are open."""
    return [d.dim_value for d in value.type.tensor_type.shape.dim]


def _elements(value: ValueInfoProto) -> int:
    return _count(dims(value))


def _check_sizes(inferred: ModelProto, where: str) -> None:
    for value in _values(inferred):
        elements = _elements(value)
        if elements > MAX_ELEMENTS:
            what = f"{elements:,} elements are more than {MAX_ELEMENTS:,}"
            raise UnreadableModel(what, where=f"{where}: tensor {value.name!r}" if where else f"tensor {value.name!r}")


# --------------------------------------------------------------------------- ranges and loops


def _check_products(inferred: ModelProto, where: str) -> None:
    """Raise UnreadableModel where the nodes whose shapes are known multiply more often than a sequence may take."""
    shapes = {v.name: dims(v) for v in _values(inferred)}
    total = 0
    for graph in subgraphs(inferred.graph, ""):
        shapes |= {i.name: list(i.dims) for i in graph.initializer}
        for node in graph.node:
            total += _products(node, shapes)
            if total > MAX_PRODUCTS:
                what = f"{total:,} multiplications for one sequence are more than {MAX_PRODUCTS:,}"
                raise UnreadableModel(what, where=f"{where}: {node_label(node)}" if where else node_label(node))


def _products(node: NodeProto, shapes: Mapping[str, list[int]]) -> int:
    """Multiplications of a node; open axes count as 1, and what has no known shape as nothing."""
    if node.op_type not in PRODUCTS or len(node.input) < 2 or not node.output:
        return 0
    first, second = (shapes.get(name, []) for name in node.input[:2])
    if not first or not second:
        return 0
    if node.op_type in ("LSTM", "GRU", "RNN"):
        recurrent = shapes.get(node.input[2], []) if len(node.input) > 2 else []
        return _count(first[:-1]) * (_count(second) + _count(recurrent))
    if node.op_type == "ConvTranspose":
        return _count(first) * _count(second[1:])
    result = _count(shapes.get(node.output[0], []))
    if node.op_type == "Conv":
        return result * _count(second[1:])
    return result * max(first[-1], 1) if len(first) > 1 else result


def _count(shape: Sequence[int]) -> int:
    return prod(max(n, 1) for n in shape)


def _elements_of_range(node: NodeProto, lengths: Arrays) -> int:
    """How many elements a Range has; 0 where that is not known."""
    start, limit, delta = (_scalar(lengths, name) for name in node.input)
    if start is None or limit is None or not delta:
        return 0
    count = np.ceil((float(limit) - float(start)) / float(delta))
    return int(count) if np.isfinite(count) else MAX_ELEMENTS + 1


def _nodes_of_loop(node: NodeProto, lengths: Arrays) -> int:
    """How many nodes a Loop that runs to its end goes through; 0 where its condition or length is computed."""
    count, body = _scalar(lengths, node.input[0]), next((a.g for a in node.attribute if a.name == "body"), None)
    if count is None or body is None or not _goes_on(body):
        return 0
    return max(int(count), 0) * max(len(body.node), 1)


def _scalar(lengths: Arrays, name: str) -> Any:
    return lengths[name].ravel()[0] if name in lengths and lengths[name].size else None


def _lengths(inferred: ModelProto) -> Arrays:
    """The small tensors that ranges and loops may take their lengths from."""
    from onnx import helper, numpy_helper

    opset = opset_of(inferred)
    shapes = {v.name: dims(v) for v in _values(inferred)}
    known: Arrays = {}
    for graph in subgraphs(inferred.graph, ""):
        small = [i for i in graph.initializer if np.prod(i.dims, dtype=np.float64) <= SMALL]
        known.update((i.name, numpy_helper.to_array(i)) for i in small)
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            plain = Node(node.name, node.op_type, "", tuple(node.input), tuple(node.output), attributes)
            if node.op_type == "Shape" and all(shapes.get(node.input[0], [0])):
                shape = shapes[node.input[0]]
                results = [np.asarray(shape[attributes.get("start", 0) : attributes.get("end", len(shape))])]
            elif node.op_type in ARITHMETIC and all(not name or name in known for name in node.input):
                results = fold(plain, [known.get(name) for name in node.input], opset) or []
            else:
                continue
            known.update((n, r) for n, r in zip(node.output, results, strict=False) if n and r.size <= SMALL)
    return known


def _goes_on(body: GraphProto) -> bool:
    """Whether a loop's body only passes the condition on, or says that it goes on."""
    made = {name: node for node in body.node for name in node.output}
    name = body.output[0].name
    while name in made and made[name].op_type == "Identity":
        name = made[name].input[0]
    given = len(body.input) > 1 and name == body.input[1].name
    return given or name in {i.name for i in body.initializer} or (name in made and made[name].op_type == "Constant")


def inferred(model: ModelProto, where: str, *, strict: bool = False) -> ModelProto:
    """As ``infer_shapes``; raises UnreadableModel also where shapes do not fit together."""
    try:
        return infer_shapes(model, where, strict=strict)
    except UnreadableModel:
        raise
    except Exception as error:
        raise UnreadableModel(f"{UNFIT}: {first_line(error)}", where=where) from error
