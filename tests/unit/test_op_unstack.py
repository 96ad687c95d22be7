"""A window's result as a sequence again: frame after frame once the window is full, or one repeated."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.ops.stack import Stack
from rnnc.ops.unstack import Unstack
from tests.support.graphs import Builder
from tests.support.sequences import imported
from tests.support.windows import KINDS, T, by_step, layer


def unstacked(kind: str) -> list[Unstack]:
    return [op for op in imported(KINDS[kind](), window=T).ops if isinstance(op, Unstack)]


def test_a_vector_that_is_repeated_is_kept_once() -> None:
    (op,) = unstacked("autoencoder")
    assert (op.count, op.ticks, op.size) == (1, T, 4)
    (op,) = unstacked("forecast")
    assert (op.count, op.ticks, op.size) == (1, 5, 4)


def test_what_a_decoder_starts_from_waits_for_its_first_step() -> None:
    assert [(op.count, op.size) for op in unstacked("decoder_of_the_end")] == [(1, 4), (1, 4)]


def test_frames_that_differ_are_all_kept() -> None:
    (op,) = unstacked("normalised_over_time")
    assert (op.count, op.ticks, op.size) == (T, T, 3)


def test_the_last_frame_is_given_from_its_tick_on() -> None:
    op = Unstack("u", ("x", "t"), ("y",), count=3, ticks=5, shape=(2,))
    state = {s.name: s.initial[None] for s in op.states()}
    nothing = np.zeros((0, 1, 6))
    assert op.step([np.arange(6.0).reshape(1, 1, 6), nothing], state, 0)[0].shape == (0, 1, 2)
    (y,) = op.step([nothing, np.zeros((2, 1, 1))], state, 1)
    (z,) = op.step([nothing, np.zeros((3, 1, 1))], state, 1)
    np.testing.assert_array_equal(np.concatenate([y, z])[:, 0], [[0, 1], [2, 3], [4, 5], [4, 5], [4, 5]])


def test_a_stream_is_kept_once_for_all_that_need_the_whole_of_it() -> None:
    b = Builder()
    h = by_step(b, layer(b, "x", "GRU")[0])
    total, shares = b.op("CumSum", h, b.const(np.asarray(1))), b.op("Softmax", h, axis=1)
    b.op("Add", total, shares, out="y")
    net = imported(b.model({"x": (1, T, 3)}, ["y"]), window=T)
    assert sum(isinstance(op, Stack) for op in net.ops) == 1


def test_without_a_window_the_refusal_names_the_one_that_compiles() -> None:
    for kind in ("self_attention", "autoencoder", "padded_by_its_ends", "normalised_over_time"):
        with pytest.raises(Refused) as refused:
            imported(KINDS[kind]())
        assert f"--window {T}" in refused.value.hint, kind


def test_what_no_window_can_give_is_not_offered_one() -> None:
    b = Builder()
    h = by_step(b, layer(b, "x", "GRU")[0])
    b.op("TopK", b.op("Softmax", h, axis=1), b.const(np.array([2])), out="y")
    b.nodes[-1].output.append("places")
    with pytest.raises(Refused) as refused:
        imported(b.model({"x": (1, T, 3)}, ["y"]))
    assert "--window" not in refused.value.hint
    with pytest.raises(Refused, match="sorting"):
        imported(b.model({"x": (1, T, 3)}, ["y"]), window=T)


def test_a_window_of_another_length_is_told() -> None:
    with pytest.raises(Refused, match=f"takes {T} steps"):
        imported(KINDS["self_attention"](), window=T - 1)
