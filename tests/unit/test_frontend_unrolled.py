"""Unrolled cells of any kind become one step with its states; a recording that would become one frame is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.net import Net
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.unrolled import CELLS, H, T, Unrolled, X, unrolled_cell

LIMIT = 1e-5


def states(net: Net) -> int:
    """How many states a net has."""
    return len(net.feedback) + sum(len(op.states()) for op in net.ops)


@pytest.mark.parametrize(
    ("start", "result"), [("zeros", "all"), ("folded", "all"), ("folded", "last"), ("input", "all"), ("input", "last")]
)
@pytest.mark.parametrize("cell", CELLS)
def test_one_step_a_frame(cell: str, start: str, result: str) -> None:
    error, net = import_error(unrolled_cell(cell, start, result))
    assert error < LIMIT
    assert [v.shape for v in net.inputs] == [(X,)]
    assert net.outputs[0].kind == ("last" if result == "last" else "stream")
    assert 1 <= states(net) <= len(CELLS[cell][1])


# --------------------------------------------------------------------------- what a step reads

READS = [
    (range(0, 24, 2), 1),
    (range(1, 24, 3), 1),
    (range(0, 23, 3), 1),
    (range(5, 24), 1),
    (range(12), 1),
    (range(0, 24, 4), 4),
    (range(0, 24, 4), 3),
    (range(2, 22, 4), 2),
    (range(22), 3),
    (range(0, 22, 2), 4),
    (range(0, 18, 3), 8),
]
"""The first steps of what the steps of a loop read, and how many steps each reads."""


def reading(starts: range | list[int], width: int, result: str) -> bytes:
    """x ``[1, 24, X]``, tanh(W flat(x[t : t + width]) + R h) for t of ``starts``: all, or the last."""
    b, every, axis = Unrolled(), list[str](), np.asarray([1])
    for t in starts:
        ends = (b.const(np.asarray([n])) for n in (t, t + width))
        part = b.op("Flatten", b.op("Slice", "x", *ends, b.const(axis)))
        h = every[-1] if every else b.const(np.zeros((1, H)))
        every.append(b.op("Tanh", b.op("Add", b.rows("w", part, width * X, H), b.rows("r", h, H, H))))
    joined = b.op("Concat", *(b.op("Unsqueeze", h, b.const(axis)) for h in every), axis=1)
    b.op("Identity", joined if result == "all" else every[-1], out="y")
    return b.model({"x": (1, 24, X)}, ["y"])


@pytest.mark.parametrize("result", ["all", "last"])
@pytest.mark.parametrize(("starts", "width"), READS)
def test_a_loop_over_every_so_many_steps_blocks_or_windows_runs_once_for_each(
    starts: range, width: int, result: str
) -> None:
    error, net = import_error(reading(starts, width, result))
    assert error < LIMIT
    assert states(net) and net.length == 24
    assert net.outputs[0].kind == ("last" if result == "last" else "stream")


def test_steps_read_in_any_order_are_no_frame() -> None:
    with pytest.raises(Refused, match="along axis 1 of input 'x' the file applies the same weights 4 times"):
        rnnc.load_net(reading([0, 3, 1, 2, 7, 4, 5, 6, 11, 8], 1, "last"))


# --------------------------------------------------------------------------- copies that differ

Loop = Callable[[Unrolled, int, str, list[str]], str]
"""From step and x to h, given those before."""


def recording(loop: Loop, steps: int = 8, result: str = "all") -> bytes:
    """x ``[1, steps, X]``, h of each step joined, or the last."""
    b, every = Unrolled(), list[str]()
    zero = b.const(np.zeros((1, H)))
    for t in range(steps):
        x = b.op("Gather", "x", b.const(np.asarray(t)), axis=1)
        every.append(loop(b, t, x, every or [zero]))
    axes = b.const(np.asarray([1]))
    joined = b.op("Concat", *(b.op("Unsqueeze", h, axes) for h in every), axis=1)
    b.op("Identity", joined if result == "all" else every[-1], out="y")
    return b.model({"x": (1, steps, X)}, ["y"])


def plain(b: Unrolled, x: str, h: str) -> str:
    """tanh(W x + R h)."""
    return b.op("Tanh", b.op("Add", b.rows("w", x, X, H), b.rows("r", h, H, H)))


def decaying(b: Unrolled, t: int, x: str, before: list[str]) -> str:
    """A factor of each step's own."""
    return b.op("Mul", plain(b, x, before[-1]), b.const(np.float32(1 / (t + 1))), out=f"factor{t}")


def clockwork(b: Unrolled, t: int, x: str, before: list[str]) -> str:
    """Every other step does more."""
    h = plain(b, x, before[-1])
    return b.op("Tanh", b.rows("v", h, H, H), out=f"more{t}") if t % 2 else h


def remote(b: Unrolled, t: int, x: str, before: list[str]) -> str:
    """The state of three steps before."""
    return plain(b, x, before[-3] if t > 2 else before[0])


def phased(b: Unrolled, t: int, x: str, before: list[str]) -> str:
    """Openness by time, which the exporter folded: more nodes have constants of their own than weights of all steps."""
    h, k = plain(b, x, before[-1]), np.linspace(0.1, 0.9, H) * (t + 1) / 9
    for part, name in ((k, "openness"), (1 - k / 2, "leak"), (1 + k, "gain")):
        h = b.op("Mul", h, b.const(part.astype(np.float32)), out=f"{name}{t}")
    return b.op("Add", h, b.op("Mul", before[-1], b.const((1 - k).astype(np.float32))))


LOOPS = [(decaying, "n_factor"), (clockwork, "tanh|matmul|more"), (remote, "n_"), (phased, "n_")]


@pytest.mark.parametrize(("loop", "node"), LOOPS)
def test_copies_that_differ_are_refused_by_name(loop: Loop, node: str) -> None:
    with pytest.raises(Refused, match="along axis 1 of input 'x' the file repeats one body 8 times") as refused:
        rnnc.load_net(recording(loop))
    assert any(part in refused.value.where for part in node.split("|")) and "--time-axis x=none" in refused.value.hint


def taking_turns(cells: int, steps: int, result: str) -> bytes:
    """Several cells of weights of their own in turn."""

    def turns(b: Unrolled, t: int, x: str, before: list[str]) -> str:
        k = t % cells
        return b.op("Tanh", b.op("Add", b.rows(f"w{k}", x, X, H), b.rows(f"r{k}", before[-1], H, H)))

    return recording(turns, steps, result)


@pytest.mark.parametrize(("cells", "steps"), [(2, 8), (2, 12), (3, 12), (4, 20)])
def test_cells_that_take_turns_run_each_once_a_block(cells: int, steps: int) -> None:
    error, net = import_error(taking_turns(cells, steps, "last"))
    assert error < LIMIT and states(net) and net.outputs[0].kind == "last"


@pytest.mark.parametrize(("cells", "steps"), [(2, 8), (3, 12), (2, 13)])
def test_cells_that_take_turns_are_refused_where_each_step_answers_or_the_last_block_is_cut(
    cells: int, steps: int
) -> None:
    with pytest.raises(Refused, match=f"a body of {cells} steps, and the copy of this node is {cells} steps on"):
        rnnc.load_net(taking_turns(cells, steps, "last" if steps % cells else "all"))


def test_a_chain_of_which_no_step_comes_again_is_one_frame() -> None:
    """Each step has weights of its own: no body is repeated."""

    def chain(b: Unrolled, t: int, x: str, before: list[str]) -> str:
        return b.op("Tanh", b.op("Add", b.rows(f"w{t}", x, X, H), b.rows(f"r{t}", before[-1], H, H)))

    net = rnnc.load_net(recording(chain))
    assert not net.states() and net.inputs[0].shape == (8, X)


def test_one_frame_where_it_is_meant() -> None:
    net = rnnc.load_net(recording(decaying), Options(time_axis={"x": None}))
    assert net.inputs[0].shape == (8, X) and not states(net)


def test_a_cell_that_is_recognised_is_one_frame_as_well_where_it_is_meant() -> None:
    error, net = import_error(unrolled_cell("where"), Options(time_axis={"x": None}))
    assert net.inputs[0].shape == (T, X) and error < LIMIT


# --------------------------------------------------------------------------- what is no recording


def branches(b: Builder) -> str:
    """An ensemble, summed one after the other."""
    flat, sum_ = b.op("Flatten", "x"), ""
    for _ in range(6):
        y = b.op("MatMul", b.op("Relu", b.op("MatMul", flat, b.const(b.weights(8 * X, H)))), b.const(b.weights(H, H)))
        sum_ = b.op("Add", sum_, y) if sum_ else y
    return sum_


def perceptron(b: Builder) -> str:
    """Flatten, Dense, Dense."""
    hidden = b.op("Relu", b.op("MatMul", b.op("Flatten", "x"), b.const(b.weights(8 * X, H))))
    return b.op("MatMul", hidden, b.const(b.weights(H, H)))


def tied(b: Builder) -> str:
    """One layer again and again, along no axis of the input."""
    w, h = b.const(b.weights(H, H)), b.op("MatMul", b.op("Flatten", "x"), b.const(b.weights(8 * X, H)))
    for _ in range(8):
        h = b.op("Tanh", b.op("MatMul", h, w))
    return h


def sensors(b: Builder) -> str:
    """A branch with its own weights for each row, summed."""
    sum_ = ""
    for t in range(8):
        row = b.op("Gather", "x", b.const(np.asarray(t)), axis=1)
        y = b.op("MatMul", b.op("Relu", b.op("MatMul", row, b.const(b.weights(X, 5)))), b.const(b.weights(5, H)))
        sum_ = b.op("Add", sum_, y) if sum_ else y
    return sum_


def heads(b: Builder) -> str:
    """Hidden features cut into heads, each with its own layer."""
    hidden = b.op("MatMul", b.op("Flatten", "x"), b.const(b.weights(8 * X, 4 * H)))
    parts = b.ops("Split", 4, hidden, axis=1, num_outputs=4)
    done = [b.op("Tanh", b.op("MatMul", p, b.const(b.weights(H, 2)))) for p in parts]
    return b.op("Concat", *done, axis=1)


def separable(b: Builder) -> str:
    """A keyword spotter of 2-D convolutions."""
    y = b.op("Unsqueeze", "x", b.const(np.asarray([1])))
    y = b.op("Relu", b.op("Conv", y, b.const(b.weights(4, 1, 3, 3)), pads=[1, 1, 1, 1]))
    for _ in range(4):
        y = b.op("Relu", b.op("Conv", y, b.const(b.weights(4, 1, 3, 3)), group=4, pads=[1, 1, 1, 1]))
        y = b.op("Relu", b.op("Conv", y, b.const(b.weights(4, 4, 1, 1))))
    return b.op("Flatten", b.op("GlobalAveragePool", y))


def dilated(b: Builder) -> str:
    """A temporal convolutional network."""
    y = b.op("Transpose", "x", perm=[0, 2, 1])
    for i, n in enumerate((X, H, H)):
        y = b.op("Relu", b.op("Conv", y, b.const(b.weights(H, n, 2)), dilations=[1 << i], pads=[1 << i, 0]))
    return b.op("Transpose", y, perm=[0, 2, 1])


@pytest.mark.parametrize("net", [branches, perceptron, tied, sensors, heads, separable, dilated])
def test_no_false_refusal(net: Callable[[Builder], str]) -> None:
    b = Builder()
    b.op("Identity", net(b), out="y")
    error, _ = import_error(b.model({"x": (1, 8, X)}, ["y"]))
    assert error < LIMIT


def test_a_layer_behind_unrolled_steps_is_recognised() -> None:
    b = Unrolled()
    h = b.const(np.zeros((1, H)))
    every = []
    for t in range(T):
        h = plain(b, b.op("Gather", "x", b.const(np.asarray(t)), axis=1), h)
        every.append(h)
    y = b.op("Concat", *every, axis=0)
    b.op("MatMul", y, b.const(b.weights(H, 2)), out="y")
    error, net = import_error(b.model({"x": (1, T, X)}, ["y"]))
    assert kinds(net) == ["rnn", "dense"] and error < LIMIT
