"""A constant sequence_lens of 1 was taken for a single step by itself, and the recording for one frame."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.imports import import_error

T, H = 17, 3


@pytest.mark.parametrize("length", [1, 2, T - 1])
def test_a_sequence_that_is_cut_to_a_few_steps_is_still_a_stream(length: int) -> None:
    rng = np.random.default_rng(length)
    w, r = (rng.standard_normal((1, 3 * H, n)).astype(np.float32) for n in (1, H))
    constants = {"w": w, "r": r, "lens": np.array([length], np.int32)}
    node = helper.make_node("GRU", ["x", "w", "r", "", "lens"], ["y", "y_h"], hidden_size=H)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [T, 1, 1])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", "y_h")],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    error, net = import_error(model.SerializeToString())
    assert error < 1e-5 and net.values[net.inputs[0].name].size == 1
