"""Tiny ONNX models, built with onnx.helper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
OPSET, IR = 20, 10


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    constants: Mapping[str, Array],
    name: str = "tiny",
) -> bytes:
    """A checked model; floats are stored as float32, integers as int64."""

    def tensor(key: str, value: Array) -> onnx.TensorProto:
        value = np.asarray(value)
        return numpy_helper.from_array(value.astype(np.int64 if value.dtype.kind == "i" else np.float32), key)

    graph = helper.make_graph(
        list(nodes),
        name,
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in inputs.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in outputs.items()],
        [tensor(k, v) for k, v in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def recurrent(
    kind: str,
    weights: Array,
    recurrence: Array,
    bias: Array,
    initial: Sequence[Array] = (),
    input_name: str = "x",
    output_name: str = "y",
    **attributes: Any,
) -> bytes:
    """One LSTM, GRU or RNN: x ``[time, 1, columns]`` to every hidden state ``[time, 1, 1, hidden]``.

    Args:
        weights: ``[gates * hidden, columns]``.
        recurrence: ``[gates * hidden, hidden]``.
        bias: ``[2 * gates * hidden]``.
        initial: initial_h, then initial_c, ``[hidden]`` each; zero where left out.
    """
    hidden, columns = recurrence.shape[1], weights.shape[1]
    constants = {"W": weights[None], "R": recurrence[None], "B": bias[None]}
    names = [input_name, "W", "R", "B", ""]
    for key, value in zip(("h0", "c0"), initial, strict=False):
        constants[key] = np.asarray(value)[None, None]
        names.append(key)
    node = helper.make_node(kind, names, [output_name], name=f"the {kind}", hidden_size=hidden, **attributes)
    return model([node], {input_name: ["time", 1, columns]}, {output_name: ["time", 1, 1, hidden]}, constants)
