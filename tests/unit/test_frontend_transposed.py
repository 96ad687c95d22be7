"""Transposed convolutions, and caches that ScatterND updates: what streaming denoisers are written with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds

LIMIT = 1e-5
CHANNELS, BANDS = 4, 9


def over_bands(kernel: tuple[int, ...], bias: bool = True, **attributes: Any) -> bytes:
    """ConvTranspose over x ``[time, channels, bands]``: time is the batch."""
    b = Builder()
    groups = attributes.get("group", 1)
    inputs = [b.const(b.weights(CHANNELS, 6 // groups, *kernel))] + ([b.const(b.weights(6))] if bias else [])
    b.op("ConvTranspose", "x", *inputs, out="y", **attributes)
    return b.model({"x": ["time", CHANNELS, BANDS]}, ["y"])


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [2, 1]},
        {"group": 2, "pads": [1, 1]},
        {"dilations": [2], "pads": [2, 2]},
        {"strides": [2], "pads": [1, 1]},
        {"strides": [2], "pads": [2, 1], "output_padding": [1], "group": 2},
        {"strides": [3], "dilations": [2]},
    ],
    ids=str,
)
def test_a_transposed_convolution_over_bands(attributes: dict[str, Any]) -> None:
    error, net = import_error(over_bands((3,), **attributes), steps=7)
    assert error < LIMIT
    assert "conv" in kinds(net)


def test_a_transposed_convolution_over_bands_and_a_cache_of_frames() -> None:
    """One step whose cache holds the frames before: pads cut the result to one frame."""
    b = Builder()
    joined = b.op("Concat", "cache", "x", axis=2, out="joined")
    weights = b.const(b.weights(CHANNELS, 1, 3, 3))
    b.op("ConvTranspose", joined, weights, out="y", group=CHANNELS, dilations=[2, 1], pads=[4, 1, 4, 1])
    b.op("Slice", joined, *(b.const(np.array([k])) for k in (1, 5, 2)), out="cache_out")
    shape = {"x": [1, CHANNELS, 1, BANDS], "cache": [1, CHANNELS, 4, BANDS]}
    error, _ = import_error(b.model(shape, ["y", "cache_out"]), steps=12)
    assert error < LIMIT


@pytest.mark.parametrize("pads", [[0, 0], [2, 0], [1, 1]])
def test_a_transposed_convolution_along_time_gives_the_steps_that_it_adds_late(pads: list[int]) -> None:
    b = Builder()
    b.op("ConvTranspose", "x", b.const(b.weights(CHANNELS, 2, 3)), out="y", pads=pads)
    error, _ = import_error(b.model({"x": [1, CHANNELS, "time"]}, ["y"]), Options(time_axis={"x": 2}), steps=30)
    assert error < LIMIT


def test_a_stride_along_time_is_refused() -> None:
    b = Builder()
    b.op("ConvTranspose", "x", b.const(b.weights(CHANNELS, 2, 3)), out="y", strides=[2])
    with pytest.raises(Refused, match="more steps"):
        rnnc.load_net(b.model({"x": [1, CHANNELS, "time"]}, ["y"]), Options(time_axis={"x": 2}))


def places(axis: int, first: int, last: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The full indices of the entries ``first .. last - 1`` of an axis."""
    chosen = [np.arange(first, last) if a == axis else np.arange(n) for a, n in enumerate(shape)]
    return np.stack(np.meshgrid(*chosen, indexing="ij"), -1)


@pytest.mark.parametrize(("first", "last"), [(0, 2), (1, 3), (2, 4), (0, 4)])
def test_neighbouring_entries_of_an_axis_that_scatternd_sets(first: int, last: int) -> None:
    b, shape = Builder(), (2, 4, 3)
    wide = b.op(
        "Reshape", b.op("MatMul", "x", b.const(b.weights(5, 6 * (last - first)))), b.const(np.array([2, -1, 3]))
    )
    updates = b.op("Mul", wide, b.const(np.array(0.5)))
    b.op("ScatterND", "h", b.const(places(1, first, last, shape)), updates, out="h_out")
    b.op("ReduceSum", b.op("Tanh", "h_out"), b.const(np.array([1])), keepdims=0, out="y")
    error, net = import_error(b.model({"x": [1, 5], "h": list(shape)}, ["y", "h_out"]), steps=8)
    assert error < LIMIT
    assert ("layout" in kinds(net)) == (last - first < shape[1])


@pytest.mark.parametrize("sets", ["ScatterND", "ScatterElements"])
def test_states_of_several_layers_in_one_cache_that_each_updates_in_turn(sets: str) -> None:
    """The second layer starts from its row of the cache after the first has set its own."""
    b = Builder()
    x, cache, rows = "x", "cache", []
    for k in range(3):
        start = b.op("Gather", cache, b.const(np.array(k)), axis=0)
        weights = [b.const(b.weights(1, 12, n)) for n in (4, 4)]
        y, last = b.ops("GRU", 2, x, *weights, "", "", start, hidden_size=4)
        x = b.op("Squeeze", y, b.const(np.array([1])))
        row = b.op("Reshape", last, b.const(np.array([1, 1, 1, 4])))
        at = np.array([[k]]) if sets == "ScatterND" else np.full((1, 1, 1, 4), k)
        cache = b.op(sets, cache, b.const(at), row)
        rows.append(row)
    outputs = [b.op("Identity", x, out="y"), b.op("Identity", cache, out="cache_out")]
    error, net = import_error(b.model({"x": [1, 1, 4], "cache": [3, 1, 1, 4]}, outputs), steps=12)
    assert error < LIMIT
    assert kinds(net).count("gru") == 3 and not net.feedback


def test_a_table_of_indices_gathers_neighbours_of_a_frame() -> None:
    b = Builder()
    table = np.arange(7)[None] + np.arange(3)[:, None]
    y = b.op("Gather", "x", b.const(table), axis=2)
    b.op("MatMul", y, b.const(b.weights(7, 2)), out="y")
    error, _ = import_error(b.model({"x": ["time", 2, 9]}, ["y"]), steps=8)
    assert error < LIMIT
