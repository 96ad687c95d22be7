"""Weights that are zero in blocks: found, kept by rounding, left out where that pays, and reported."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.backend.lower import lower
from rnnc.backend.sparse import pack_sparse_columns, pack_sparse_words
from rnnc.backend.targets import TARGETS
from rnnc.ops.dense import QDense
from rnnc.ops.units import QRecurrent
from rnnc.qnet import QNet
from rnnc.report.zeros import sparse_content, sparse_lines
from rnnc.row_forms import kept_blocks, pruned, together
from tests.support.packages import package
from tests.support.pruned import dense, layers, prune, quantized


def test_blocks_of_four_rows_and_columns() -> None:
    rows = np.zeros((6, 8), np.int64)
    rows[5, 7] = 1
    assert kept_blocks(rows).tolist() == [[False, False], [False, True]]


def test_zeros_of_a_gate_are_blocks_of_units() -> None:
    gates = prune(np.ones((2, 8, 8)), np.random.default_rng(0), 0.5)
    by_unit = gates.swapaxes(0, 1).reshape(16, 8)
    assert np.array_equal(pruned(by_unit, 2), by_unit == 0)
    assert not pruned(prune(np.ones((16, 16)), np.random.default_rng(0), 0.2), 1).any()


@pytest.mark.parametrize("calibrated", [False, True])
def test_rounding_keeps_zeros_that_were_pruned(calibrated: bool) -> None:
    """GPTQ carries errors into columns that follow, and would fill them."""
    net = layers()
    first, second = quantized(net, calibrated=calibrated).ops[:2]
    assert isinstance(first, QDense) and isinstance(second, QRecurrent)
    weights = net.ops[0].column_weights(0)
    assert weights is not None and np.array_equal(kept_blocks(first.rows.block.weights), kept_blocks(weights))
    assert not first.rows.block.weights[pruned(weights, 1)].any()
    sparse = second.without_zeros(lambda rows, _: tuple(kept_blocks(r).mean() < 0.5 for r, _ in rows))
    assert isinstance(sparse, QRecurrent) and sparse.loops[0].forms == (("sparse",) * 4,) * 2


def test_rows_with_blocks_left_out_are_computed_as_whole_batches_of_units() -> None:
    assert together(4, (("int8",) * 4, ("sparse",) * 4)) == 1


def test_words_of_a_block_lie_behind_what_says_where_its_columns_are() -> None:
    rows = np.zeros((8, 12), np.int64)
    rows[:4, 8:] = 5
    words = pack_sparse_words(rows, lambda block: block.ravel())
    assert words[:4].tolist() == [20, 0, 3, 0] and words[4:8].tolist() == [16, 0, 0, 0]
    assert words[8:24].tolist() == [5] * 16
    assert words[24:28].tolist() == [20, 0, 3, 0] and not words[28:].any() and len(words) == 48


@pytest.mark.parametrize(("columns", "number"), [(256, 1), (260, 2)])
def test_numbers_of_columns_take_a_byte_or_two(columns: int, number: int) -> None:
    rows = np.zeros((4, columns), np.int64)
    rows[1, -1] = 7
    packed = pack_sparse_columns(rows)
    assert len(packed) == 4 + 8 * number + 32 and packed[0] == 1
    assert packed[4 + 8 * number + 8 + 3] == 7 and np.count_nonzero(packed[4 + 8 * number :]) == 1


def _sparse(qnet: QNet, target: str) -> list[str]:
    return [a.symbol for a in lower(qnet, target).arrays if a.whole]


def test_blocks_are_left_out_where_that_saves_instructions() -> None:
    """Too few zeros, and columns that make no whole blocks, are stored."""
    assert _sparse(quantized(dense(64, 64, 0.5)), "cortex-m4") == ["net_d_w"]
    assert not _sparse(quantized(dense(64, 64, 0.05)), "cortex-m4")
    assert not _sparse(quantized(dense(64, 63, 0.5)), "cortex-m4")
    sparse, rows = TARGETS["cortex-m55"].sparse, prune(np.ones((64, 64), np.int64), np.random.default_rng(0), 0.5)
    assert sparse and [sparse.choose([(rows, bits)], False)[0] for bits in (16, 8)] == [True, False]


def test_a_loop_of_assembly_is_given_up_only_for_more_than_it_saves() -> None:
    sparse = TARGETS["cortex-m4"].sparse
    assert sparse
    rows = [(prune(np.ones((16, 16), np.int64), np.random.default_rng(0), 0.3), 16)]
    assert sparse.choose(rows, False) == (True,) and sparse.choose(rows, True) == (False,)


def test_the_report_says_what_is_left_out_and_what_is_stored_all_the_same() -> None:
    qnet = quantized(dense(64, 64, 0.5))
    (left,) = sparse_content(lower(qnet, "cortex-m4"))
    assert left["left_out"] and left["zero_blocks"] == 0.5 and left["bytes_saved"] == 4096 - left["bytes"] > 1000
    (stored,) = sparse_content(lower(qnet, "cortex-m0"))
    assert not stored["left_out"] and stored["bytes"] == 4096 and stored["bytes_saved"] == 0
    report = {"target": "cortex-m0", "cost": {"sparse": [left, stored]}}
    first, second = sparse_lines(report)
    assert first == ["zeros", f"-{left['bytes_saved']:,} B", "blocks of 4 x 4 zeros are left out of d (50 %)"]
    assert second[1:] == ["stored", "blocks of 4 x 4 zeros in d (50 %): leaving them out gains nothing on cortex-m0"]
    assert sparse_content(lower(quantized(dense(64, 64, 0.0)), "cortex-m4")) == []


def test_the_c_says_which_rows_lack_their_zeros() -> None:
    program, files = package(quantized(dense(64, 64, 0.5)), target="cortex-m4")
    assert "without their 4 x 4 blocks of zeros; -127 .. " in files["net.c"]
    assert any(a.whole > a.bytes for a in program.arrays)
