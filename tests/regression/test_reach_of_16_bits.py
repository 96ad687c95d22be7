"""What the C counts in 16 bits, and what a multiplier of 15 bits holds: refused with the layer named, never cut off."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from rnnc.backend.structs import count_nearest_limit, widths
from rnnc.compiler import compile_model
from rnnc.errors import Refused
from rnnc.net import MOST_ELEMENTS
from tests.support.models import model

node = helper.make_node


def dense(rows: int) -> bytes:
    weights = np.ones((2, rows), np.float32)
    return model([node("MatMul", ["x", "K"], ["y"])], {"x": ["time", 1, 2]}, {"y": ["time", 1, rows]}, {"K": weights})


def test_a_layer_of_65535_rows_is_refused() -> None:
    """Its C read past the end of the weights: a loop over groups of rows never ended."""
    with pytest.raises(Refused, match="gives 65,535 elements in one step") as refused:
        compile_model(dense(65_535), verify=False)
    assert refused.value.where.startswith("dense0")


def test_the_limit_leaves_room_for_the_widest_group_of_rows() -> None:
    assert MOST_ELEMENTS + 64 <= 1 << 16


def test_a_dilation_of_70000_steps_is_refused() -> None:
    """It was cut to 16 bits in a struct."""
    nodes = [
        node("Transpose", ["x"], ["xt"], perm=[1, 2, 0]),
        node("Conv", ["xt", "K"], ["c"], dilations=[70_000], pads=[70_000, 0]),
        node("Transpose", ["c"], ["y"], perm=[2, 0, 1]),
    ]
    content = model(nodes, {"x": ["time", 1, 1]}, {"y": ["time", 1, 1]}, {"K": np.ones((1, 1, 2), np.float32)})
    with pytest.raises(Refused, match="looks 70,000 steps of 1 elements back") as refused:
        compile_model(content, verify=False)
    assert refused.value.where.startswith("conv0")


WINDOW = (("dilation", 70_000), ("taps", 2), ("stride_width", -1))
FIELDS = [("window", WINDOW), ("rows", 65_535), ("zero_point", -32_769), ("x_bits", 8), ("lo", -(1 << 31))]


def test_fields_of_structs_are_compared_with_their_c_types() -> None:
    found = [(w.field, w.value, w.ctype) for w in widths("rnnc_conv_params", FIELDS) if not w.fits]
    assert found == [
        ("dilation", 70_000, "uint16_t"),
        ("stride_width", -1, "uint16_t"),
        ("rows", 65_535, "uint16_t"),
        ("zero_point", -32_769, "int16_t"),
    ]


def test_a_count_leaves_room_for_the_widest_group() -> None:
    """A loop that takes 64 at once goes up to 63 past the count before it ends."""
    nearest = count_nearest_limit("rnnc_conv_params", [("rows", MOST_ELEMENTS), ("channels", 3)])
    assert nearest and (nearest.field, nearest.most) == ("rows", MOST_ELEMENTS) and nearest.fits and nearest.used == 1


def test_the_report_says_which_count_of_each_op_is_nearest_its_limit() -> None:
    counts = compile_model(dense(1000), verify=False).report["counts"]
    assert {"op": "dense0", "field": "rows", "type": "uint16_t", "value": 1000, "most": MOST_ELEMENTS} in counts


def test_a_norm_of_what_never_moves_is_refused_by_name() -> None:
    """All its features are alike, so that its result is 0: no multiplier reaches an LSB that small."""
    nodes = [
        node("LayerNormalization", ["x", "g"], ["n"]),
        node("RNN", ["n", "W", "R"], ["y"], hidden_size=2),
    ]
    weights = {"g": np.ones(3), "W": np.ones((1, 2, 3)), "R": np.ones((1, 2, 2))}
    content = model(nodes, {"x": ["time", 1, 3]}, {"y": ["time", 1, 1, 2]}, weights)
    with pytest.raises(Refused, match="15-bit multiplier") as refused:
        compile_model(content, np.ones((50, 3), np.float32), verify=False)
    assert refused.value.where.startswith("norm0")
    assert "hardly moves" in refused.value.hint
