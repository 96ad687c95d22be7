"""Files that onnxruntime quantized dynamically: weights of 8 bits, and activations rounded as they come, read as floats.

``DynamicQuantizeLinear`` gives x as it is with a scale of 1, so that what follows it (integers times both scales) holds for
the real numbers; ``MatMulInteger`` and ``ConvInteger`` become products with the weights less their zero point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused
from rnnc.frontend.read.limits import constants, node_label

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

DYNAMIC = "DynamicQuantize"
"""How the names of these operators begin, those of onnxruntime's own included."""
RUNTIME = "com.microsoft"
PRODUCTS = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
Arrays = Mapping[str, NDArray[Any]]


def without_dynamic(model: ModelProto, where: str) -> None:
    """Put floats in the place of what is quantized dynamically, in place.

    Raises Refused where weights are not constant, or what is rounded is read otherwise.
    """
    graph = model.graph
    dynamic = [n for n in graph.node if n.op_type == DYNAMIC + "Linear" and not n.domain]
    layers = [n for n in graph.node if n.op_type == DYNAMIC + "LSTM" and n.domain == RUNTIME]
    if not dynamic and not layers:
        return
    known = constants(graph)
    rounded = {n.output[0] for n in dynamic}
    for node in list(graph.node):
        if rounded.intersection(node.input):
            _product(graph, node, rounded, known, where)
    for node in dynamic:
        _as_it_is(graph, node)
    for node in layers:
        _layer(graph, node, known, where)


def _weights(node: NodeProto, known: Arrays, where: str, *places: int) -> NDArray[Any]:
    """Weights less their zero point, times their scale if there is one: ``places`` of the three; -1 for no scale."""
    arrays = [known.get(node.input[i]) if 0 <= i < len(node.input) and node.input[i] else None for i in places]
    weights, scale, zero = arrays
    if weights is None or weights.dtype not in (np.int8, np.uint8):
        what = "its weights are not an 8-bit constant"
        raise Refused(what, where=f"{where}: {node_label(node)}", hint="Export it in float: rnnc quantizes it itself.")
    real = weights.astype(np.float64)
    real = real if zero is None else real - _along(zero, real)
    return (real if scale is None else real * _along(scale, real)).astype(np.float32)


def _along(parameter: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """One number, or one for each of the last axis (and of the first, of directions)."""
    array = parameter.astype(np.float64)
    if array.size == 1:
        return array.reshape(())
    middle = (1,) * (weights.ndim - array.ndim)
    if array.shape == weights.shape[:1] and weights.ndim == 3:
        return array.reshape(-1, 1, 1)
    return array.reshape(*array.shape[:-1], *middle, array.shape[-1])


def _stored(graph: GraphProto, name: str, array: NDArray[Any]) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def _product(graph: GraphProto, node: NodeProto, rounded: set[str], known: Arrays, where: str) -> None:
    """A product of integers as one of floats."""
    from onnx import helper

    if node.op_type not in PRODUCTS or node.input[0] not in rounded or rounded.intersection(node.input[1:]):
        what = "reads what is quantized on the way (DynamicQuantizeLinear)"
        hint = "Export it in float: rnnc quantizes it itself."
        raise Refused(what, where=f"{where}: {node_label(node)}", hint=hint)
    zero = known.get(node.input[3]) if len(node.input) > 3 else None
    if node.op_type == "ConvInteger" and zero is not None and zero.size > 1:
        what, hint = "its weights have a zero point for each channel", "Export it in float: rnnc quantizes it itself."
        raise Refused(what, where=f"{where}: {node_label(node)}", hint=hint)
    weights = _weights(node, known, where, 1, -1, 3)
    inputs = [node.input[0], _stored(graph, f"{node.output[0]}.weights", weights)]
    fresh = helper.make_node(PRODUCTS[node.op_type], inputs, list(node.output), name=node.name)
    fresh.attribute.extend(node.attribute)
    node.CopyFrom(fresh)


def _as_it_is(graph: GraphProto, node: NodeProto) -> None:
    """x itself, a scale of 1 and a zero point of 0."""
    from onnx import helper

    x, (y, scale, zero) = node.input[0], node.output
    _stored(graph, scale, np.asarray(1, np.float32))
    _stored(graph, zero, np.asarray(0, np.uint8))
    node.CopyFrom(helper.make_node("Identity", [x], [y], name=node.name))


def _layer(graph: GraphProto, node: NodeProto, known: Arrays, where: str) -> None:
    """LSTM, with its weights turned round: they lie as ``[directions, columns, rows]``."""
    from onnx import helper

    inputs: Sequence[str] = [*node.input, *[""] * (12 - len(node.input))]
    turned = [np.swapaxes(_weights(node, known, where, *at), 1, 2) for at in ((1, 8, 9), (2, 10, 11))]
    stem = node.output[0] or node.name or node.input[1]
    names = [_stored(graph, f"{stem}.{k}", np.ascontiguousarray(w)) for k, w in zip("WR", turned, strict=True)]
    fresh = helper.make_node("LSTM", [inputs[0], *names, *inputs[3:8]], list(node.output), name=node.name)
    fresh.attribute.extend(node.attribute)
    node.CopyFrom(fresh)
