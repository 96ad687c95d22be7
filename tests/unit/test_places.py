"""Whole numbers that a step keeps: rings written and read at a place, and counters, exact however long they run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.net import Net
from rnnc.streams import run_net, run_qnet, stream_net
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.operators import check_c, quantized, sequence
from tests.support.rings import READS, WRITES, F, N, _typed, counter, halves, ring
from tests.support.sequences import imported

LIMIT = 1e-5
FILES: dict[str, Callable[[], bytes]] = {
    **{f"set by {write}": partial(ring, write) for write in WRITES},
    **{f"read {read}": partial(ring, "ScatterND", read) for read in READS if read != "all"},
    "a counter modulo": partial(ring, "ScatterElements", "in order", endless=True),
    "a counter": counter,
    "a running sum": halves,
}


def step(content: bytes, **options: Any) -> Net:
    return imported(content, time_axis={}, **options)


@pytest.mark.parametrize("kind", FILES)
def test_it_is_what_onnxruntime_gives(kind: str) -> None:
    error, net = import_error(FILES[kind](), steps=40)
    assert error < LIMIT
    assert [v.name for v in net.inputs] == ["x"] and [o.name for o in net.outputs] == ["y"]


@pytest.mark.parametrize("kind", ["set by ScatterND", "read in order", "a running sum", "a counter"])
def test_c_is_the_oracle(kind: str, tmp_path: Path) -> None:
    net = step(FILES[kind]())
    check_c(quantized(net, sequence(net, steps=60)), tmp_path, 25)


@pytest.mark.parametrize("kind", ["a counter modulo", "a running sum"])
def test_integers_are_right_long_after_what_they_were_calibrated_on(kind: str) -> None:
    net = step(FILES[kind]())
    qnet = quantized(net, sequence(net, steps=60))
    data = {k: np.moveaxis(v, 0, 1) for k, v in sequence(net, steps=700, seed=1).items()}
    want = run_net(net, data)["y"][-200:]
    y = qnet.formats[qnet.outputs[0].value].dequantize(
        run_qnet(qnet, {"x": qnet.formats["x"].quantize(data["x"])})["y"]
    )
    assert np.abs(y[-200:].ravel() - want.ravel()).max() < 0.02 * np.abs(want).max()


def test_an_entry_is_set_in_place_of_a_choice_or_a_scatter() -> None:
    for write in ("ScatterElements", "ScatterND", "ScatterND by full indices", "Where"):
        assert "putat" in kinds(step(ring(write)))
    assert "putat" not in kinds(step(ring("OneHot")))
    assert "pickat" in kinds(step(ring("ScatterND", "GatherND")))


def test_a_choice_by_a_counter_without_end_leaves_the_ring_as_it_is_once_it_has_passed() -> None:
    b = Builder(6)
    here = b.op("Reshape", b.op("Equal", b.const(np.arange(N)), "pos"), b.const(np.array([1, N, 1])))
    new = b.op("Where", here, b.op("Unsqueeze", "x", b.const(np.array([1]))), "ring", out="ring_out")
    b.op("ReduceMean", new, b.const(np.array([1])), keepdims=0, out="y")
    b.op("Add", "pos", b.const(np.array(1)), out="pos_out")
    content = _typed(b, {"x": [1, F], "ring": [1, N, F], "pos": [1]}, ["y", "ring_out", "pos_out"])
    error, net = import_error(content, steps=40)
    assert error < LIMIT and "putat" not in kinds(net)


def test_a_counter_goes_back_where_no_remainder_or_limit_tells() -> None:
    net = step(counter())
    stream = stream_net(net)
    state = next(f.state.name for f in net.feedback if f.state.alias == "count")
    largest = 0.0
    for _ in range(100):
        stream.advance({"x": np.zeros((1, 1, F))})
        largest = max(largest, float(stream.state[state].max()))
    assert 10 < largest < 30


def test_whole_numbers_over_computed_ones_are_refused() -> None:
    b = Builder(7)
    ratio = b.op("Div", "pos", b.op("Add", "pos", b.const(np.array(2))))
    b.op("Add", "x", b.op("Cast", ratio, to=1), out="y")
    b.op("Add", "pos", b.const(np.array(1)), out="pos_out")
    with pytest.raises(Refused) as refused:
        step(_typed(b, {"x": [1, F], "pos": [1]}, ["y", "pos_out"]))
    assert "divides whole numbers" in refused.value.what
