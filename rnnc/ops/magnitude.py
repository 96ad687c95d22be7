"""Magnitude: ``sqrt(a^2 + b^2 + epsilon)``, as in a spectrum. The squares stay in 32 bits, and the root is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints, multiplier, uint32
from rnnc.functions import scaled_root
from rnnc.interval import Interval
from rnnc.net import Array, Probe, Quantizer, States, no_probe
from rnnc.ops.elementwise import (
    Binary,
    Combination,
    Loops,
    at_least,
    broadcast_scale,
    check_loops,
    operands,
    reach_of,
    shrink,
    table_shape,
)
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles


@dataclass(frozen=True, eq=False)
class Magnitude(Binary):
    """``y = sqrt(a^2 + b^2 + epsilon)``."""

    epsilon: float
    kind: ClassVar[str] = "magnitude"

    def of(self, a: Array, b: Array) -> Array:
        return np.asarray(np.sqrt(a**2 + b**2 + self.epsilon))

    def interval(self, a: Interval, b: Interval) -> Interval:
        return Interval(np.zeros(len(a.lo)), np.sqrt(a.magnitude**2 + b.magnitude**2 + self.epsilon))

    def quantize(self, q: Quantizer) -> QMagnitude:
        sources = (q.input(0), q.input(1))
        y = q.output()
        return QMagnitude(self, self.inputs, (at_least(y, _unit(self, sources) / 2**10),), sources)

    def describe(self) -> str:
        return f"sqrt(a^2 + b^2) of {list(self.shape)}"


def _unit(op: Magnitude, sources: tuple[Format, Format]) -> Floats:
    """The LSB in which both operands are squared, ``[*shape]``: neither passes 2^15."""
    a, b = (
        scale * np.ceil((reach_of(f) + abs(f.zero_point)) / 32768)
        for scale, f in zip(op.scales(sources), sources, strict=True)
    )
    return np.asarray(np.maximum(a, b))


@dataclass(frozen=True, eq=False)
class QMagnitude(QOp):
    """Both operands in one LSB, squared and summed as uint32, the root with 16 bits, a 15-bit multiplier."""

    op: Magnitude
    sources: tuple[Format, Format]

    @cached_property
    def combinations(self) -> list[Combination]:
        """For each operand the factor to the common LSB."""
        unit = _unit(self.op, self.sources)
        gains = [scale / unit for scale in self.op.scales(self.sources)]
        pairs = zip(gains, self.sources, strict=True)
        return [Combination.of(g[None], -g * f.zero, [reach_of(f)]) for g, f in pairs]

    @cached_property
    def root(self) -> tuple[Ints, Ints, Ints]:
        """Epsilon in squares of the common LSB, and m and p from it to the output, ``[*shape]``."""
        unit = _unit(self.op, self.sources)
        m, p = multiplier((unit / broadcast_scale(self.formats[0], self.op.shape, self.op.shape)).ravel())
        epsilon = np.minimum(np.round(self.op.epsilon / unit**2), 2**31 - 2**17).astype(np.int64)
        return epsilon, m.reshape(unit.shape), p.reshape(unit.shape)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        lines = zip("ab", self.combinations, self.op.operands(inputs), strict=True)
        a, b = (line(x, what=f"sum {n}") for n, line, x in lines)
        epsilon, m, p = self.root
        squares = uint32(a * a + b * b + epsilon, f"{self.name} squares")
        return [np.minimum(scaled_root(squares, np.zeros_like(m), m, p), self.formats[0].hi)]

    def bounds(self) -> list[Bound]:
        pairs = zip("ab", self.combinations, self.sources, strict=True)
        sums = [Bound(self.name, f"sum {n}", line.worst([reach_of(f)])) for n, line, f in pairs]
        return [*sums, Bound(self.name, "squares", 2 * 32769**2 + int(self.root[0].max()), 33)]

    def calls(self) -> list[KernelCall]:
        op = self.op
        lines = [(line.offset, *line.factors, line.shift) for line in self.combinations]
        small = table_shape(op.shape, *lines[0], *lines[1], *self.root)
        loops = Loops.over(op.shape, *op.shapes, small)
        assert loops is not None

        def table(name: str, ctype: str, columns: Sequence[Ints], comment: str) -> Constant:
            return Constant(f"{self.name}_{name}", ctype, np.stack([shrink(c, small) for c in columns], 1), comment)

        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("lines_a", table("a", "rnnc_line", lines[0], "to the common LSB")),
            ("lines_b", table("b", "rnnc_line", lines[1], "to the common LSB")),
            ("roots", table("s", "rnnc_root", self.root, "epsilons, multipliers and shifts")),
            ("a_bits", self.sources[0].bits),
            ("b_bits", self.sources[1].bits),
            ("hi", self.formats[0].hi),
        )
        args = (Arg("input", "0"), Arg("input", "1"), Arg("output", "0"))
        return [KernelCall("rnnc_magnitude", "magnitude.h", "rnnc_magnitude_params", fields, args, tables=("root",))]


@handles("Magnitude")
def from_node(node: Node, trace: Tracer) -> None:
    """The canonical form of a root of two squares: inputs a and b, attribute epsilon."""
    result, (a, b) = operands(node, trace)
    shapes = check_loops(node, trace, result, a, b)
    epsilon = float(node.attributes["epsilon"])
    op = trace.add(node, Magnitude, [a.value, b.value], shapes=shapes, shape=result.frame, epsilon=epsilon)
    trace.result(node, 0, replace(result, value=op.outputs[0]))
