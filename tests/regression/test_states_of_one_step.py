"""In a file of one step the output at every step equals the final state: it must stay an output, whatever comes first."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import Builder
from tests.support.imports import import_error

LIMIT = 1e-5


def step(names: tuple[str, str], state: str, *, first: str, squeezed: bool) -> bytes:
    """A GRU over x ``[1, 1, 3]``: its Y and its Y_h under two names, in either order, Y in the shape of Y_h or flat."""
    b = Builder()
    weights = [b.const(b.weights(1, 9, 3)), b.const(b.weights(1, 9, 3))]
    y, last = b.ops("GRU", 2, "x", *weights, "", "", state, hidden_size=3)
    flat = np.array([1, 3]) if squeezed else np.array([1, 1, 3])
    b.op("Reshape", y, b.const(flat), out=names[0])
    b.op("Identity", last, out=names[1])
    order = names if first == "y" else names[::-1]
    return b.model({"x": (1, 1, 3), state: (1, 1, 3)}, order)


@pytest.mark.parametrize("squeezed", [False, True])
@pytest.mark.parametrize("first", ["y", "state"])
@pytest.mark.parametrize(
    ("names", "state"),
    [(("y", "h_out"), "h_in"), (("output", "hn"), "h0"), (("out0", "out1"), "in1"), (("gru_Y", "gru_Y_h"), "start")],
    ids=lambda v: v if isinstance(v, str) else v[0],
)
def test_the_state_is_hidden_and_the_output_kept(
    names: tuple[str, str], state: str, first: str, squeezed: bool
) -> None:
    error, net = import_error(step(names, state, first=first, squeezed=squeezed))
    assert [o.name for o in net.outputs] == [names[0]]
    assert [s.alias for s in net.states()] == [state]
    assert error <= LIMIT


def test_two_layers_of_one_size() -> None:
    """Each state is fed by its own layer, and y, which equals the second's, stays."""
    b = Builder()
    first, second = ([b.const(b.weights(1, 3, 3)) for _ in range(2)] for _ in range(2))
    between, one = b.ops("RNN", 2, "x", *first, "", "", "a", hidden_size=3)
    frame = b.op("Squeeze", between, b.const(np.array([1])))
    y, two = b.ops("RNN", 2, frame, *second, "", "", "b", hidden_size=3)
    for tensor, name in ((y, "y"), (two, "b_next"), (one, "a_next")):
        b.op("Reshape", tensor, b.const(np.array([1, 1, 3])), out=name)
    states = {"a": (1, 1, 3), "b": (1, 1, 3)}
    error, net = import_error(b.model({"x": (1, 1, 3), **states}, ["y", "b_next", "a_next"]))
    assert [o.name for o in net.outputs] == ["y"] and {s.alias for s in net.states()} == {"a", "b"}
    assert error <= LIMIT
