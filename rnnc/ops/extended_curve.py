"""A smooth function on the way of a state of plain arithmetic: chords between knots of 32 bits, close where it bends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import groupby

import numpy as np

from rnnc.fixed import Floats, Format, Ints, int32
from rnnc.functions import mul30
from rnnc.net import Array, Probe, States, no_probe
from rnnc.ops.extended import EXTENDED_BITS, EXTENDED_MAX, GAIN_BITS, LIFT, lift
from rnnc.qnet import Arg, Bound, Constant, KernelCall, QOp

MOST_CHORDS = 256
FINEST = 8
"""log2 of the shortest chord, in LSBs of the lifted input."""
NEAR_ENOUGH = 2.0**-21
"""Of the largest output: an error that is not worth another chord."""
WITHIN = np.arange(1, 16) / 16
"""Where along a chord its error is looked at."""
Cell = tuple[int, int]
"""The first input of a chord, and log2 of its length."""


@dataclass(frozen=True, eq=False)
class QExtendedCurve(QOp):
    """``y = T[k] + (T[k + 1] - T[k]) f``, y extended; ``function``: in real numbers."""

    function: Callable[[Floats], Floats]
    name_of_function: str
    x: Format
    size: int

    def _wanted(self, x: Floats) -> Floats:
        """The function in LSBs of the output, saturated, at lifted inputs."""
        lsb = self.x.scale[0] / (1 if self.x.bits == 32 else 2**LIFT)
        y = self.function((x - self.x.residual * (1 if self.x.bits == 32 else 2**LIFT)) * lsb)
        return np.asarray(np.clip(y / self.formats[0].scale[0], -EXTENDED_MAX, EXTENDED_MAX))

    @cached_property
    def cells(self) -> list[Cell]:
        """The chords in order: the one with the largest error is halved until none has one worth it."""
        worst = [self._judged((-EXTENDED_MAX, EXTENDED_BITS + 1))]
        heapify(worst)
        while len(worst) < MOST_CHORDS and -worst[0][0] > NEAR_ENOUGH * EXTENDED_MAX:
            _, (first, step) = heappop(worst)
            for half in (first, first + (1 << (step - 1))):
                heappush(worst, self._judged((half, step - 1)))
        return sorted(cell for _, cell in worst)

    def _judged(self, cell: Cell) -> tuple[float, Cell]:
        first, step = cell
        left, right = self._wanted(np.array([first, first + (1 << step)], np.float64))
        inner = self._wanted(first + WITHIN * (1 << step))
        error = float(np.abs(left + (right - left) * WITHIN - inner).max())
        return (-error if step > FINEST else 0.0), cell

    @cached_property
    def knots(self) -> Ints:
        """T: the function at the ends of the chords, moved so that the errors of those beside it lie on both sides."""
        first = np.array([f for f, _ in self.cells] + [EXTENDED_MAX], np.float64)
        y = self._wanted(first)
        above = (y[:-1] + y[1:]) / 2 - self._wanted((first[:-1] + first[1:]) / 2)
        moved = y - (np.append(above, 0.0) + np.insert(above, 0, 0.0)) / 4
        return np.clip(np.round(moved), -EXTENDED_MAX, EXTENDED_MAX).astype(np.int64)

    @cached_property
    def segments(self) -> Ints:
        """Chords of one length that follow each other: ``[n, 3]`` first input, first knot, log2 of the length."""
        rows, knot = [], 0
        for step, cells in groupby(self.cells, key=lambda c: c[1]):
            found = list(cells)
            rows.append([found[0][0], knot, step])
            knot += len(found)
        return np.array(rows, np.int64)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = np.minimum(lift(inputs[0], self.x), EXTENDED_MAX - 1)
        first, knot, step = self.segments[np.searchsorted(self.segments[:, 0], x, side="right") - 1].T
        first, knot, step = (np.reshape(a.T, x.shape) for a in (first, knot, step))
        at = x - first
        k, rest = knot + (at >> step), at & ((np.int64(1) << step) - 1)
        left = self.knots[k]
        y = int32(left + mul30(rest << (GAIN_BITS - step), int32(self.knots[k + 1] - left, "chord")), "curve")
        return [np.clip(y, self.formats[0].lo, self.formats[0].hi)]

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "chord", int(np.abs(np.diff(self.knots)).max()), 31)]

    def calls(self) -> list[KernelCall]:
        n, f = self.name, self.name_of_function
        first = "first (LSB of x), knot, log2 of the length"
        fields = (
            ("segments", Constant(f"{n}_s", "rnnc_segment", self.segments, first, "table")),
            ("knots", Constant(f"{n}_t", "int32_t", self.knots, f"{f} at the ends of chords, LSB of y", "table")),
            ("n_segments", len(self.segments)),
            ("size", self.size),
            ("x_bits", self.x.bits),
            ("x_zero", self.x.zero_point),
            ("lo", self.formats[0].lo),
            ("hi", self.formats[0].hi),
        )
        args, function = (Arg("input", "0"), Arg("output", "0")), "rnnc_extended_curve"
        return [KernelCall(function, "extended_curve.h", f"{function}_params", fields, args)]
