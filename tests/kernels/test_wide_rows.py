"""Rows of int16 weights beside rows of int8, over any operand: the C of every packing against the oracle, with sanitizers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from rnnc.backend.lower import lower
from rnnc.backend.pack import int16_bytes
from rnnc.backend.targets import TARGETS
from rnnc.errors import Refused
from rnnc.net import Net, Output, Value
from rnnc.ops.dense import Dense
from rnnc.options import Precision
from rnnc.qnet import QNet, WeightRows
from rnnc.row_forms import runs, together
from tests.support.nets import draw_integers, to_integers
from tests.support.packages import check_together, package
from tests.support.wide import lengthy, ragged, wide_functions, widened

LAYERS = (
    *("lstm", "lstm_general", "gru_after", "gru_before", "rnn"),
    *("dense", "conv", "depthwise", "along_frame", "window_dense"),
)
PACKINGS = {t.isa: name for name, t in TARGETS.items()}
"""A target for each packing."""
AVR_COLUMNS = 256
"""RNNC_AVR_COLUMNS: its sums hold no more."""


def some_wide(layer: str) -> QNet:
    """A network of a layer, some of whose rows are wide."""
    for seed in range(100):
        qnet = widened(draw_integers(seed, (layer,)), np.random.default_rng(seed))
        if wide_functions(qnet):
            return qnet
    raise AssertionError(layer)


@cache
def networks() -> list[QNet]:
    """One of each layer, one of ragged rows, and some of more columns than an AVR's sums hold."""
    return [*map(some_wide, LAYERS), ragged(), *(lengthy(300, precision) for precision in get_args(Precision))]


@pytest.mark.parametrize("target", PACKINGS.values())
def test_c_of_every_packing_is_the_oracle(target: str, tmp_path: Path) -> None:
    """Those of few columns by themselves, too: an AVR's kernels are told how many there are."""
    built = [package(qnet, f"net{k}", target, steps=8) for k, qnet in enumerate(networks())]
    check_together(built, tmp_path)
    if TARGETS[target].told_columns:
        few = [one for one in built if max((o.columns for o in one[0].operands), default=0) <= AVR_COLUMNS]
        assert len(LAYERS) <= len(few) < len(built)
        check_together(few, tmp_path)


def test_rows_of_one_width_are_one_product() -> None:
    assert runs(("int8", "int8", "int16")) == [(0, 2, "int8"), (2, 1, "int16")]
    assert runs(("int16",) * 4) == [(0, 4, "int16")]
    assert together(4, ()) == 4 and together(4, (("int8",) * 4, ("int16",) * 4)) == 4
    assert together(4, (("int16", "int16", "int8", "int8"), ("int8",) * 4)) == 2
    assert together(3, (("int8", "int8", "int16"), ("int8",) * 3)) == 1


def test_a_layer_whose_operands_are_wide_as_a_whole_computes_as_many_units_at_once_as_without() -> None:
    qnet = widened(draw_integers(0, ("lstm",)), np.random.default_rng(0), 1.0)
    (source,) = wide_functions(qnet)
    assert "batch = RNNC_BATCH(4)" in source and source.count("rnnc_product_wide(") == 2
    assert "rnnc_product(" not in source and "rnnc_lstm_units(" in source


def test_int16_weights_are_said_in_the_c_with_their_range_and_counted_as_two_bytes() -> None:
    narrow = draw_integers(0, ("dense",))
    wide = widened(narrow, np.random.default_rng(0), 1.0)
    few, many = (package(qnet, "net", "portable") for qnet in (narrow, wide))
    (rows,) = (v for op in wide.ops for call in op.calls() for _, v in call.fields if isinstance(v, WeightRows))
    lo, hi = int(rows.blocks[0].min()), int(rows.blocks[0].max())
    assert max(-lo, hi) > 127
    assert (
        f"int16, low byte first; {lo} .. {hi} */" in many[1]["net.c"] and "int16" not in few[1]["net.c"].split("/*")[3]
    )
    assert many[0].cost.flash_weights - few[0].cost.flash_weights == rows.blocks[0].size


def test_weights_of_16_bits_that_a_target_s_compilers_do_not_take_are_refused_with_the_way_out() -> None:
    layer = Dense("d", ("x",), ("y",), np.ones((200, 100)), np.zeros(200), shape=(200,))
    qnet = to_integers(Net("net", (Value("x", (100,)),), (layer,), (Output("y", "y"),)))
    assert lower(qnet, "avr").cost.flash_weights < 2**15
    with pytest.raises(Refused, match="the array net_d_w needs 40000 B") as caught:
        lower(widened(qnet, np.random.default_rng(0), 1.0), "avr")
    assert caught.value.hint == "Weights of 8 bits, a smaller layer, or another target."


def test_bytes_of_an_int16_come_low_first() -> None:
    assert int16_bytes(np.array([1, -2, 0x1234])).tolist() == [1, 0, -2, -1, 0x34, 0x12]
