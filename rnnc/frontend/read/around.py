"""What files hold that no network needs: maps of class scores, rounding to 8 bits and back, an operator that is not ONNX's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.read import limits

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

ZIP_MAP = "ZipMap"
CLASSIFIERS = "ai.onnx.ml"
"""The domain of operators that exporters of classifiers put at the end."""

ERFC = "Erfc"
"""Of TensorFlow: 1 - erf(x); tf2onnx, and Keras with it, leave it in files, for GELU."""


def without_erfc(model: ModelProto) -> None:
    """Write Erfc with operators of ONNX, in place."""
    from onnx import helper, numpy_helper

    graph = model.graph
    if not any(node.op_type == ERFC for node in graph.node):
        return
    nodes, one = list(graph.node), f"{ERFC}:one"
    graph.initializer.append(numpy_helper.from_array(np.asarray(1, np.float32), one))
    del graph.node[:]
    for node in nodes:
        if node.op_type == ERFC:
            erf = f"{node.output[0]}:erf"
            graph.node.append(helper.make_node("Erf", list(node.input), [erf], name=f"{node.name}:erf"))
            node.CopyFrom(helper.make_node("Sub", [one, erf], list(node.output), name=node.name))
        graph.node.append(node)


def without_maps(model: ModelProto) -> bool:
    """Give the scores themselves where an output is a list of maps from classes to scores, in place; whether one is."""
    from onnx import TensorProto, helper

    graph = model.graph
    maps = [
        n for n in graph.node if n.op_type == ZIP_MAP and n.domain == CLASSIFIERS and len(n.input) == len(n.output) == 1
    ]
    for node in maps:
        outputs = [o for o in graph.output if o.name == node.output[0]]
        if not outputs:
            continue
        outputs[0].CopyFrom(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None))
        node.CopyFrom(helper.make_node("Identity", list(node.input), list(node.output), name=node.name))
    return bool(maps)


def without_rounding(model: ModelProto) -> bool:
    """Take pairs of QuantizeLinear and DequantizeLinear out, in place; whether there are any.

    What a pair clips, a Clip does: exporters leave a ReLU to it. Only pairs of one constant scale are taken out.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = limits.constants(graph)
    makers = {name: node for node in graph.node for name in node.output}
    found = False
    for back in [n for n in graph.node if n.op_type == "DequantizeLinear"]:
        there = makers.get(back.input[0])
        if there is None or there.op_type != "QuantizeLinear":
            continue
        ends = _limits(there, back, constants)
        if ends is None:
            continue
        names = [f"{back.output[0]}.{end}" for end in ("lowest", "highest")]
        graph.initializer.extend(
            numpy_helper.from_array(np.asarray(x, np.float32), n) for x, n in zip(ends, names, strict=True)
        )
        back.CopyFrom(helper.make_node("Clip", [there.input[0], *names], list(back.output), name=back.name))
        found = True
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    for node in [n for n in graph.node if n.op_type == "QuantizeLinear" and not used.intersection(n.output)]:
        graph.node.remove(node)
    return found


def _limits(there: NodeProto, back: NodeProto, constants: dict[str, NDArray[Any]]) -> tuple[float, float] | None:
    """The real numbers that a pair clips to; None where it is none of one constant scale and type."""
    pairs = [[constants.get(name) for name in node.input[1:]] for node in (there, back)]
    (scale, *zero), (scale_back, *zero_back) = pairs
    if scale is None or scale_back is None or scale.size != 1 or not np.array_equal(scale, scale_back):
        return None
    if len(zero) != 1 or len(zero_back) != 1 or zero[0] is None or zero_back[0] is None:
        return None
    if not np.array_equal(zero[0], zero_back[0]) or zero[0].size != 1 or not np.issubdtype(zero[0].dtype, np.integer):
        return None
    kind = np.iinfo(zero[0].dtype)
    step, at = float(scale.ravel()[0]), int(zero[0].ravel()[0])
    return (int(kind.min) - at) * step, (int(kind.max) - at) * step
