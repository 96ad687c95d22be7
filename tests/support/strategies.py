"""Random networks that shrink: hypothesis chooses every single number of their structure; weights come from a seed.

What fails is brought down to few layers of few units in their plainest form: a choice shrinks to the first of what there is,
a whole number to the lowest, and a fraction to the highest, as what is rare is asked for by ``random() < 0.1``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import onnx
from hypothesis import note, reject
from hypothesis import strategies as st

from rnnc.errors import DataError, Refused
from rnnc.net import Net
from rnnc.options import Options
from rnnc.qnet import QNet
from tests.support import nets
from tests.support.nets import LAYERS, noise, to_integers
from tests.support.wide import widened

Draw = Callable[[st.SearchStrategy[Any]], Any]
FRACTIONS = 1000
"""Steps of a fraction between 0 and 1."""
PLAINEST_FIRST = ("dense", *(layer for layer in LAYERS if layer != "dense"))
MOST_LAYERS = 3


def _print(net: Net | QNet, printer: Any, cycle: bool) -> None:
    printer.text(f"\n{net}")


for _kind in (Net, QNet):
    setattr(_kind, "_repr_pretty_", _print)  # noqa: B010  # hypothesis prints an example that fails by it


def _fraction(draw: Draw) -> float:
    """In [0, 1)."""
    return (FRACTIONS - 1 - float(draw(st.integers(0, FRACTIONS - 1)))) / FRACTIONS


class Numbers(np.random.Generator):
    """A generator whose single numbers hypothesis draws; arrays of weights come from a seed that it draws."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(np.random.PCG64(draw(st.integers(0, 1 << 20))))
        self.draw = draw

    def integers(self, low: Any, high: Any = None, size: Any = None, **rest: Any) -> Any:  # type: ignore[override]
        if size is not None:
            return super().integers(low, high, size, **rest)
        low, high = (0, low) if high is None else (low, high)
        return self.draw(st.integers(int(low), int(high) - 1))

    def random(self, size: Any = None, *rest: Any, **more: Any) -> Any:
        return _fraction(self.draw) if size is None else super().random(size, *rest, **more)

    def choice(self, a: Any, size: Any = None, replace: bool = True, p: Any = None, **rest: Any) -> Any:  # type: ignore[override]
        if size is not None:
            return super().choice(a, size, replace, p, **rest)
        return self.draw(st.sampled_from(list(a)))


class Choices(Random):
    """A ``random.Random`` whose every number hypothesis draws."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(0)
        self.draw = draw

    def __repr__(self) -> str:
        return "Choices()"

    def random(self) -> float:
        return _fraction(self.draw)

    def randint(self, a: int, b: int) -> int:
        return int(self.draw(st.integers(a, b)))

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        assert step == 1
        return self.randint(0, start - 1) if stop is None else self.randint(start, stop - 1)

    def choice(self, seq: Any) -> Any:
        return self.draw(st.sampled_from(list(seq)))

    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
        assert counts is None and k == len(population)
        return list(self.draw(st.permutations(list(population))))


def shown(content: bytes) -> bytes:
    """A model, noted with the example that fails: its nodes and the shapes of their constants."""
    graph = onnx.load_from_string(content).graph
    constants = {t.name: list(t.dims) for t in graph.initializer}
    for node in graph.node:
        attributes = ", ".join(
            f"{a.name}={onnx.helper.get_attribute_value(a)}" for a in node.attribute if a.type != a.GRAPH
        )
        note(f"{node.op_type}({attributes}) of {[constants.get(name, name) for name in node.input]}")
    return content


@st.composite
def choices(draw: Draw) -> Choices:
    """A ``Random`` that shrinks."""
    return Choices(draw)


@st.composite
def float_nets(draw: Draw) -> Net:
    """A network of one to three layers of any kind."""
    layers = draw(st.lists(st.sampled_from(PLAINEST_FIRST), min_size=1, max_size=MOST_LAYERS))
    return nets.draw(Numbers(draw), layers, rows=_fraction(draw) < 0.1)


@st.composite
def integer_nets(draw: Draw) -> QNet:
    """A network in integers: either profile, with calibration data or without, int8 or wide rows or some of each."""
    net = draw(float_nets())
    precision = draw(st.sampled_from(("a16", "a16", "a8")))
    data = noise(net, 64, draw(st.integers(0, 1 << 20))) if draw(st.booleans()) else None
    share = draw(st.sampled_from((0.0, 0.0, 0.5, 1.0)))
    try:
        qnet = to_integers(net, data, Options(precision=precision))
    except (Refused, DataError):  # DataError: a recurrence that grows without end
        return reject()
    return widened(qnet, np.random.default_rng(draw(st.integers(0, 1 << 20))), share) if share else qnet


@st.composite
def _one_more(draw: Draw, element: st.SearchStrategy[Any], among: int) -> Any:
    """None once in so many times, else an element: as one piece of what is drawn, so that shrinking can take it out."""
    return draw(element) if draw(st.sampled_from((False,) + (True,) * among)) else None


@st.composite
def batches(draw: Draw, element: st.SearchStrategy[Any], most: int) -> Sequence[Any]:
    """One to ``most`` elements, mostly near ``most``, where ``st.lists`` would give few; shrinks to one."""
    found = [draw(element)]
    while len(found) < most and (another := draw(_one_more(element, 2 * most))) is not None:
        found.append(another)
    return found
