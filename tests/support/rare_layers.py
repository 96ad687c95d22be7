"""Layers that random networks have only where they are asked for: padding of what has an offset, entries at computed places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnc.ops.conv import Conv
from rnnc.ops.dense import Dense
from rnnc.ops.edges import split_padding
from rnnc.ops.geometry import Axis, Geometry
from rnnc.ops.place import PickAt, PutAt
from rnnc.ops.reshape import Reshape
from rnnc.ops.round import Round

if TYPE_CHECKING:
    from tests.support.nets import Sketch

CALLED = 16
"""Rows that a dense layer takes at once."""


def edges(s: Sketch) -> None:
    """A padded convolution over time of a value less an offset."""
    n, h, kernel = s.name("conv"), s.width(), int(s.rng.integers(2, 4))
    before = int(s.rng.integers(1, kernel))
    geometry = Geometry(channels=s.size, time=Axis(kernel, before=before, after=kernel - 1 - before))
    weights = s.weights(h, kernel * s.size).reshape(h, kernel, s.size, 1, 1)
    conv = Conv(n, (s.value,), (f"{n}.y",), weights, s.bias(h), geometry, 1, (h,), bool(s.rng.integers(2)))
    ops = split_padding(
        conv, s.rng.standard_normal(s.size), [f"{n}_{part}" for part in ("edges", "add", "clip", "affine")]
    )
    assert ops is not None
    s.ops.extend(ops[:-1])
    s.add(ops[-1], h)


def at_positions(s: Sketch) -> None:
    """One layer at each of some positions of a vector."""
    positions, columns, h = int(s.rng.integers(2, 4)), s.width(), int(s.rng.choice([CALLED, s.width()]))
    first, n, flat = s.name("dense"), s.name("spread"), s.name("reshape")
    wide = positions * columns
    s.add(Dense(first, (s.value,), (f"{first}.y",), s.weights(wide, s.size), s.bias(wide), (positions, columns)), wide)
    s.add(Dense(n, (s.value,), (f"{n}.y",), s.weights(h, columns), s.bias(h), (positions, h)), positions * h)
    s.add(Reshape(flat, (s.value,), (f"{flat}.y",), (positions * h,)), positions * h)


def placed(s: Sketch) -> None:
    """An entry of a vector set at a computed place, and two entries read at others."""
    x, count = s.value, s.size

    def computed(rows: int) -> str:
        n = s.name("dense")
        s.ops.append(Dense(n, (x,), (f"{n}.y",), s.weights(rows, count), s.bias(rows), (rows,)))
        return f"{n}.y"

    def place(rows: int) -> str:
        n, number = s.name("round"), computed(rows)
        s.ops.append(Round(n, (number,), (f"{n}.y",), "Round", (rows,), count))
        return f"{n}.y"

    put, pick = s.name("putat"), s.name("pickat")
    s.ops.append(PutAt(put, (x, computed(1), place(1)), (f"{put}.y",), 1, count, 1, 1, (count,)))
    s.add(PickAt(pick, (f"{put}.y", place(2)), (f"{pick}.y",), 1, count, 1, 2, (2,)), 2)
