"""The value of a node whose inputs are all constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.tracing import Graph, Node

LEFT = ("LSTM", "GRU", "RNN", "Loop", "Scan", "If")
"""What onnx.reference does not compute, or not right."""
RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")


def fold(node: Node, inputs: Sequence[NDArray[Any] | None], opset: int) -> list[NDArray[Any]] | None:
    """Compute a node with onnx.reference; None where that cannot be done."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "Dense":
        x, weights, bias = inputs
        if x is None or weights is None or bias is None or x.shape[-1:] != weights.shape[-1:]:
            return None
        return [np.asarray(x @ weights.T + bias, x.dtype)]
    if node.op_type == "Embedding":
        table, rows = inputs
        return None if table is None or rows is None else [table[np.clip(rows, 0, len(table) - 1)]]
    if node.op_type in RANDOM + LEFT or any(isinstance(v, Graph) for v in node.attributes.values()):
        return None
    attributes = {k: numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v for k, v in node.attributes.items()}
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(inputs)]
    outputs = [f"y{i}" for i in range(len(node.outputs))]
    proto = helper.make_node(node.op_type, names, outputs, **attributes)
    newest = 18 if opset < 18 else opset
    graph = helper.make_graph(
        [proto],
        "constants",
        [helper.make_empty_tensor_value_info(n) for n in names if n],
        [helper.make_empty_tensor_value_info(n) for n in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", newest)])
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, {n: a for n, a in zip(names, inputs, strict=True) if n})
    except Exception:
        return None
    return [np.asarray(r) for r in results]
