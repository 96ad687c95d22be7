"""Explicit states: which input is fed back from which output."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused, UsageError
from rnnc.frontend.read.naming import related
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.imports import import_error
from tests.support.layers import LIMIT, H, T, X, layer, squeezed
from tests.support.models import Array


def with_states(
    shape: list[int | str], outputs: tuple[str, str] = ("hn", "cn")
) -> tuple[Builder, dict[str, list[int | str]]]:
    b = Builder()
    y, h, c = layer(b, "LSTM", "x", ("h0", "c0"))
    b.op("Identity", h, out=outputs[0])
    b.op("Identity", c, out=outputs[1])
    b.op("MatMul", squeezed(b, y), b.const(b.weights(H, 2)), out="y")
    return b, {"x": shape, "h0": [1, 1, H], "c0": [1, 1, H]}


@pytest.mark.parametrize("shape", [["time", 1, X], [1, 1, X], [T, 1, X]])
@pytest.mark.parametrize("names", [("hn", "cn"), ("cn", "hn"), ("out1", "out2")])
def test_states_are_paired_by_dataflow(shape: list[int | str], names: tuple[str, str]) -> None:
    b, inputs = with_states(shape, names)
    error, net = import_error(b.model(inputs, ["y", *names]))
    assert error < LIMIT
    assert [o.name for o in net.outputs] == ["y"] and [v.name for v in net.inputs] == ["x"]
    assert [s.alias for s in net.states()] == ["h0", "c0"]


def test_final_states_without_initial_ones_are_results() -> None:
    b = Builder()
    y, h, c = layer(b, "LSTM", "x")
    b.op("Identity", h, out="hn")
    b.op("Squeeze", c, b.const(np.array([0])), out="cn")
    b.op("Identity", squeezed(b, y), out="y")
    error, net = import_error(b.model({"x": ["time", 1, X]}, ["y", "hn", "cn"]))
    assert error < LIMIT
    assert {o.name: o.kind for o in net.outputs} == {"y": "stream", "hn": "last", "cn": "last"}


def test_initial_states_without_final_ones_start_at_zero() -> None:
    b, inputs = with_states(["time", 1, X])
    net = rnnc.load_net(b.model(inputs, ["y"]))
    assert [s.alias for s in net.states()] == ["h0", "c0"] and not any(s.initial.any() for s in net.states())


def test_packed_states() -> None:
    """Two layers in one input, by layer; the layers' order in it is not that of the graph."""
    b = Builder()
    parts = b.ops("Split", 2, "h", axis=0, num_outputs=2)
    y0, h0 = layer(b, "GRU", "x", (parts[1],))
    y1, h1 = layer(b, "GRU", squeezed(b, y0), (parts[0],), columns=H)
    b.op("Concat", h1, h0, out="hn", axis=0)
    b.op("Identity", squeezed(b, y1), out="y")
    error, net = import_error(b.model({"x": [1, 1, X], "h": [2, 1, H]}, ["y", "hn"]))
    assert error < LIMIT and [o.name for o in net.outputs] == ["y"]
    windows = [s.window for s in net.states() if s.window is not None]
    assert [w.tolist() for w in windows] == [list(range(H, 2 * H)), list(range(H))]


def test_packed_states_in_another_order_are_no_pair() -> None:
    b = Builder()
    parts = b.ops("Split", 2, "h", axis=0, num_outputs=2)
    y0, h0 = layer(b, "GRU", "x", (parts[0],))
    y1, h1 = layer(b, "GRU", squeezed(b, y0), (parts[1],), columns=H)
    b.op("Concat", h1, h0, out="swapped", axis=0)
    b.op("Identity", squeezed(b, y1), out="y")
    net = rnnc.load_net(b.model({"x": ["time", 1, X], "h": [2, 1, H]}, ["y", "swapped"]))
    assert {o.name: o.kind for o in net.outputs} == {"y": "stream", "swapped": "last"}


def learned(b: Builder) -> Array:
    return b.weights(1, 1, H)


def test_learned_initial_state() -> None:
    b = Builder()
    b.op("Identity", squeezed(b, layer(b, "GRU", "x", (b.const(learned(b)),))[0]), out="y")
    error, net = import_error(b.model({"x": ["time", 1, X]}, ["y"]))
    assert error < LIMIT and net.states()[0].initial.any()


def cache_model(state: str, output: str) -> bytes:
    """A convolution that keeps its last frames itself: the cache is a state of two axes."""
    b = Builder()
    joined = b.op("Concat", state, b.op("Reshape", "x", b.const(np.array([1, X, 1]))), axis=2)
    ends = [b.const(np.array([v])) for v in (1, 5, 2)]
    b.op("Slice", joined, *ends, out=output)
    conv = b.op("Conv", joined, b.const(b.weights(H, X, 5)))
    b.op("Reshape", conv, b.const(np.array([1, H])), out="y")
    return b.model({"x": [1, X], state: [1, X, 4]}, ["y", output])


@pytest.mark.parametrize("names", [("cache", "cache_out"), ("cache_in", "new_cache"), ("past_0", "present_0")])
def test_caches_are_paired_by_name(names: tuple[str, str]) -> None:
    error, net = import_error(cache_model(*names))
    assert error < LIMIT
    assert [f.state.alias for f in net.feedback] == [names[0]] and [o.name for o in net.outputs] == ["y"]


def test_states_by_option() -> None:
    model = cache_model("a", "b")
    net = rnnc.load_net(model)
    assert not net.feedback and len(net.inputs) == 2
    error, net = import_error(model, Options(states={"a": "b"}))
    assert error < LIMIT and [f.state.alias for f in net.feedback] == ["a"]
    paired = cache_model("cache", "cache_out")
    assert len(rnnc.load_net(paired, Options(states={"cache": "none"})).inputs) == 2
    for wrong in ({"z": "b"}, {"a": "z"}, {"a": "y"}):
        with pytest.raises(UsageError):
            rnnc.load_net(model, Options(states=wrong))


def test_outputs_by_option_keep_the_states() -> None:
    b, inputs = with_states(["time", 1, X])
    b.op("Softmax", "y", out="p", axis=-1)
    error, net = import_error(b.model(inputs, ["p", "hn", "cn"]), Options(outputs=("y",)))
    assert error < LIMIT and [o.name for o in net.outputs] == ["y"]


def test_nothing_but_the_state_comes_out() -> None:
    b = Builder()
    b.op("Identity", layer(b, "GRU", "x", ("h",))[1], out="hn")
    error, net = import_error(b.model({"x": [1, 1, X], "h": [1, 1, H]}, ["hn"]))
    assert error < LIMIT and [o.name for o in net.outputs] == ["hn"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("h", "h_out"),
        ("h0", "hn"),
        ("hidden_in", "hidden_out"),
        ("cache_0", "next_cache_0"),
        ("stateIn", "stateOut"),
        ("x_prev", "x_next"),
        ("past.1.key", "present.1.key"),
        ("gru/h_0", "gru/h_n"),
    ],
)
def test_names_of_a_state(name: str, other: str) -> None:
    assert related(name, other)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("x", "y"),
        ("audio_in", "audio_out"),
        ("input", "output"),
        ("cache_0", "next_cache_1"),
        ("h", "c"),
        ("x", "x_out"),
        ("x", "next_x"),
    ],
)
def test_names_of_other_things(name: str, other: str) -> None:
    assert not related(name, other)


def test_a_delay_line_is_a_state() -> None:
    """Token shift: the next state is the input itself."""
    b = Builder()
    b.op("Add", b.op("Mul", "x", b.const(b.weights(X))), b.op("Mul", "prev_x", b.const(b.weights(X))), out="y")
    b.op("Identity", "x", out="next_x")
    error, net = import_error(b.model({"x": [1, X], "prev_x": [1, X]}, ["y", "next_x"]))
    assert error < LIMIT and [f.state.alias for f in net.feedback] == ["prev_x"]


def test_a_state_that_is_not_the_layers_own() -> None:
    b = Builder()
    y, h = layer(b, "GRU", "x", ("h",))
    b.op("Mul", h, b.const(np.array(0.5)), out="h_out")
    b.op("Identity", squeezed(b, y), out="y")
    model = b.model({"x": ["time", 1, X], "h": [1, 1, H]}, ["y", "h_out"])
    assert {o.name: o.kind for o in rnnc.load_net(model).outputs} == {"y": "stream", "h_out": "last"}
    with pytest.raises(Refused, match="not the final state"):
        rnnc.load_net(model, Options(states={"h": "h_out"}))
