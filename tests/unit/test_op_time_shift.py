"""Steps added to or dropped from a sequence, and padding within frames, against onnxruntime, and in C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.clock import Clock
from rnnc.errors import Refused
from tests.support.graphs import Builder
from tests.support.sequences import STEPS, compiles, follows, imported, over_time


def cut(start: int, end: int, step: int = 1, axis: int = 1) -> Any:
    """Adds a Slice."""

    def nodes(b: Builder, x: str) -> str:
        return b.op("Slice", x, *(b.const(np.array([v])) for v in (start, end, axis, step)))

    return nodes


def pad(before: int, after: int, **attributes: Any) -> Any:
    """Adds a Pad of axis 1."""
    return lambda b, x: b.op("Pad", x, b.const(np.array([0, before, 0, 0, after, 0])), **attributes)


def model(nodes: Any, then: str = "Tanh", steps: int | str = STEPS) -> bytes:
    """x ``[1, time, 3]`` through nodes, then an operator."""
    b = Builder()
    b.op(then, nodes(b, "x"), out="y")
    return b.model({"x": (1, steps, 3)}, ["y"])


ENDS = [
    ("drop the first", cut(3, 2**31), Clock(1, 3, 0)),
    ("drop the last", cut(0, -2), Clock(1, 2, 2)),
    ("drop both", cut(1, -3), Clock(1, 4, 3)),
    ("every third", cut(0, 2**31, 3), Clock(3, 0, 0)),
    ("every second from the third on", cut(2, 2**31, 2), Clock(2, 2, 0)),
    ("zeros before", pad(3, 0), Clock()),
    ("zeros after", pad(0, 2), Clock()),
    ("zeros around", pad(2, 3), Clock()),
    ("a step later", pad(1, -1), Clock()),
    ("a step sooner", pad(-1, 1), Clock(1, 1, 0)),
    ("negative padding", pad(-2, -1), Clock(1, 3, 1)),
]


@pytest.mark.parametrize(("nodes", "clock"), [e[1:] for e in ENDS], ids=[e[0] for e in ENDS])
def test_ends(nodes: Any, clock: Clock, tmp_path: Path) -> None:
    net = follows(model(nodes))
    assert net.values[net.outputs[0].value].clock == clock
    compiles(net, tmp_path)


def test_zeros_joined_to_a_sequence() -> None:
    b = Builder()
    x = b.op("Concat", b.const(np.zeros((1, 2, 3))), "x", axis=1)
    b.op("Tanh", x, out="y")
    follows(b.model({"x": (1, STEPS, 3)}, ["y"]))


def test_a_padded_convolution_is_one_op() -> None:
    """Causal padding in front of a convolution; what a convolution padded at both ends gives too much, dropped."""

    def causal(b: Builder, x: str) -> str:
        x = b.op("Pad", x, b.const(np.array([0, 0, 4, 0, 0, 0])))
        return b.op("Conv", x, b.const(b.weights(3, 3, 3)), dilations=[2])

    def chomped(b: Builder, x: str) -> str:
        x = b.op("Conv", x, b.const(b.weights(3, 3, 3)), dilations=[2], pads=[4, 4])
        return b.op("Relu", cut(0, -4, axis=2)(b, x))

    for nodes in (causal, chomped):
        net = follows(over_time(nodes))
        assert [op.kind for op in net.ops] == ["conv"]
        assert net.values[net.outputs[0].value].clock == Clock()
        assert net.drain_steps == 0


def test_convolutions_that_start_later_or_end_sooner(tmp_path: Path) -> None:
    def nodes(b: Builder, x: str) -> str:
        x = b.op("Conv", x, b.const(b.weights(3, 3, 3)), pads=[2, 3])
        x = cut(2, -1, axis=2)(b, x)
        x = b.op("Conv", x, b.const(b.weights(3, 3, 2)), strides=[2], pads=[0, 2])
        return str(cut(1, 2**31, axis=2)(b, x))

    net = follows(over_time(nodes))
    assert [op.kind for op in net.ops] == ["conv", "conv"]
    compiles(net, tmp_path)


def test_a_slice_with_an_end_that_the_padding_does_not_hold(tmp_path: Path) -> None:
    def nodes(b: Builder, x: str) -> str:
        x = b.op("Conv", x, b.const(b.weights(3, 3, 3)), pads=[2, 1])
        return str(cut(0, -3, axis=2)(b, x))

    compiles(follows(over_time(nodes)), tmp_path)


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap", "constant"])
def test_frames(mode: str, tmp_path: Path) -> None:
    b = Builder()
    x = b.op("Pad", "x", b.const(np.array([0, 0, 2, 0, 0, 3])), mode=mode)
    x = b.op("Unsqueeze", x, b.const(np.array([1])))
    x = b.op("Conv", x, b.const(b.weights(4, 1, 1, 5)), strides=[1, 2])
    b.op("Transpose", x, out="y", perm=[0, 2, 1, 3])
    net = follows(b.model({"x": (1, STEPS, 7)}, ["y"]))
    assert not net.states()
    compiles(net, tmp_path)


def test_constants_around_frames(tmp_path: Path) -> None:
    b = Builder()
    pads = b.const(np.array([0, 0, 1, 0, 0, 0, 2, 3]))
    b.op("Tanh", b.op("Pad", "x", pads, b.const(np.float32(0.5))), out="y")
    compiles(follows(b.model({"x": (1, STEPS, 2, 4)}, ["y"])), tmp_path)


@pytest.mark.parametrize("pads", [[0, 0, 1, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0, 2]])
def test_zeros_around_frames_become_the_padding_of_a_convolution(pads: list[int]) -> None:
    def nodes(b: Builder, x: str) -> str:
        return b.op("Conv", b.op("Pad", x, b.const(np.array(pads))), b.const(b.weights(3, 2, 3, 3)))

    net = follows(over_time(nodes, 2, 5))
    assert [op.kind for op in net.ops] == ["conv"]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (pad(2, 0, mode="edge"), "pads a sequence"),
        (pad(0, 2, mode="reflect"), "pads a sequence"),
        (lambda b, x: b.op("Pad", x, b.const(np.array([0, 1, 0, 0, 0, 0])), b.const(np.float32(1))), "with 1"),
        (lambda b, x: b.op("Gather", x, b.const(np.array([3, 1, 2])), axis=1), "takes steps 3, 1, 2"),
        (lambda b, x: b.op("Gather", x, b.const(np.array(0)), axis=1), "takes the first step of a sequence by itself"),
        (
            lambda b, x: b.op("Gather", x, b.const(np.array(-2)), axis=1),
            "takes the step 1 before the last of a sequence",
        ),
        (lambda b, x: b.op("Sub", x, cut(0, 1)(b, x)), "takes the first step of a sequence by itself"),
    ],
)
def test_refused(nodes: Any, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        imported(model(nodes))


@pytest.mark.parametrize("nodes", [cut(0, 5), cut(-5, 2**31)])
def test_an_open_length_cannot_say_which_steps(nodes: Any) -> None:
    with pytest.raises(Refused, match="depends on the length"):
        imported(model(nodes, steps="time"))
