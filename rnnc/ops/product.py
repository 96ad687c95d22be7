"""Matrix product: matrices multiplied that are both computed (MatMul and Einsum of attention), group by group.

    y_ij = sum_k a_ik b_kj

Each product of 16-bit numbers is shifted as far down as the sum needs to stay within 2^30: nothing is lost that the
operands' own LSBs told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format, Ints, int32, mul15, multiplier
from rnnc.interval import Interval
from rnnc.net import MOST_COUNTED, Accept, Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.elementwise import Loops, at_least, reach_of
from rnnc.ops.layout import strides
from rnnc.qnet import Arg, Bound, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles, join

SUM = 2**30


@dataclass(frozen=True, eq=False)
class MatrixProduct(Op):
    """``y = a b`` in each group.

    Args:
        a: shape of a's value as ``[*groups, rows, inner]``; groups of length 1 are shared.
        b: shape of b's value as ``[*groups, inner, columns]``.
        shape: of the output, ``[*groups, rows, columns]`` without axes of length 1.

    Inputs: a, b.
    """

    a: tuple[int, ...]
    b: tuple[int, ...]
    shape: tuple[int, ...]
    kind: ClassVar[str] = "product"

    @property
    def groups(self) -> tuple[int, ...]:
        """The axes of groups."""
        return np.broadcast_shapes(self.a[:-2], self.b[:-2])

    @property
    def inner(self) -> int:
        """How many products are summed up."""
        return self.a[-1]

    @property
    def loops(self) -> Loops | None:
        """Loops over groups; None where one loop (the last of three) does not walk through them."""
        loops = Loops.over(self.groups, self.a[:-2], self.b[:-2])
        return loops if loops and loops.counts[:2] == (1, 1) else None

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].size == np.prod(self.a) and inputs[1].size == np.prod(self.b), (
            f"{self.name}: {self.a} {self.b}"
        )
        return [Value("", self.shape)]

    def operands(self, inputs: Sequence[Array]) -> tuple[Array, Array]:
        """a and b as ``[ticks, lanes, *groups, rows, inner]`` and ``[ticks, lanes, *groups, inner, columns]``."""
        a, b = (x.reshape(*x.shape[:2], *shape) for x, shape in zip(inputs, (self.a, self.b), strict=True))
        return a, b

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        a, b = self.operands(inputs)
        return [np.matmul(a, b)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        a, b = self.operands([x.magnitude[None, None] for x in inputs])
        with np.errstate(over="ignore", invalid="ignore"):  # intervals may be endless
            reach = np.nan_to_num(np.matmul(a, b), nan=np.inf).ravel()
        positive = all(bool(np.all(x.lo >= 0)) for x in inputs)
        return [Interval(np.zeros_like(reach) if positive else -reach, reach)]

    def accepts(self, index: int) -> Accept:
        return "common"

    def quantize(self, q: Quantizer) -> QMatrixProduct:
        sources = (q.input(0), q.input(1))
        result = QMatrixProduct(self, self.inputs, (Format(16, np.ones(1)),), sources)
        y = q.output(axis=None, int32=True)
        return replace(result, formats=(at_least(y, np.asarray(result.lsb)),))

    def describe(self) -> str:
        return f"{list(self.a)} times {list(self.b)}"


@dataclass(frozen=True, eq=False)
class QMatrixProduct(QOp):
    """An int32 sum of products, each shifted by ``down``, the sum by ``up``; then a 15-bit multiplier to the output's LSB."""

    op: MatrixProduct
    sources: tuple[Format, Format]

    @property
    def shifts(self) -> tuple[int, int]:
        """1 for an operand whose distance from its zero point can pass 2^15: its lowest bit is dropped."""
        a, b = (int(reach_of(f) + abs(f.zero_point) > 32768) for f in self.sources)
        return a, b

    @property
    def reach(self) -> int:
        """The largest magnitude of a product."""
        a, b = ((reach_of(f) + abs(f.zero_point)) >> s for f, s in zip(self.sources, self.shifts, strict=True))
        return a * b + 1  # rounding down, a shifted operand may be one below its negated reach

    @property
    def down(self) -> int:
        """By how many bits each product is shifted."""
        return next(n for n in range(32) if self.op.inner * ((self.reach >> n) + 1) <= SUM)

    @property
    def up(self) -> int:
        """By how many bits the sum is shifted up, where it is small."""
        return next(n for n in range(30, -1, -1) if (self.op.inner * ((self.reach >> self.down) + 1)) << n <= SUM)

    @property
    def lsb(self) -> float:
        """The LSB of the sum when it is multiplied: the finest one of the output."""
        unit = float(self.sources[0].scale[0] * self.sources[1].scale[0])
        return unit * 2.0 ** (sum(self.shifts) + self.down - self.up)

    @cached_property
    def multiplier(self) -> tuple[int, int]:
        """m and p of ``y = sum m / 2^(15 + p)``."""
        m, p = multiplier(np.array([min(self.lsb / float(self.formats[0].scale[0]) * 2.0**15, 32767.0)]))
        return int(m[0]), int(p[0])

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        a, b = (
            (x - f.zero_point) >> shift
            for x, f, shift in zip(self.op.operands(inputs), self.sources, self.shifts, strict=True)
        )
        m, p = self.multiplier
        total = mul15(np.asarray(m), int32(self._sum(a, b) << self.up, f"{self.name} sum"))
        y = self.formats[0]
        scaled = int32(total + ((1 << p) >> 1), f"{self.name} rounding") >> p
        return [np.clip(scaled + y.zero_point, y.lo, y.hi)]

    def _sum(self, a: Ints, b: Ints) -> Ints:
        """The sum of products, each shifted."""
        if not self.down:
            return int32(np.matmul(a, b), f"{self.name} sum")
        total = np.zeros((), np.int64)
        for k in range(self.op.inner):
            part = int32(a[..., :, k : k + 1] * b[..., k : k + 1, :], f"{self.name} product")
            total = int32(total + (part >> self.down), f"{self.name} sum")
        return total

    def bounds(self) -> list[Bound]:
        total = (self.op.inner * ((self.reach >> self.down) + 1)) << self.up
        return [
            Bound(self.name, "product", self.reach),
            Bound(self.name, "sum", total),
            Bound(self.name, "rounding", total + (1 << self.multiplier[1] >> 1)),
        ]

    def calls(self) -> list[KernelCall]:
        op, y = self.op, self.formats[0]
        loops, (a, b), (m, p) = op.loops, self.sources, self.multiplier
        assert loops is not None
        groups, (a_group, b_group) = loops.counts[-1], (step[-1] for step in loops.steps)
        (a_row, a_inner), (b_inner, b_column) = strides(op.a)[-2:], strides(op.b)[-2:]
        fields = (
            *(("groups", groups), ("rows", op.a[-2]), ("inner", op.inner), ("columns", op.b[-1])),
            *(("a_group", a_group * op.a[-2] * op.inner), ("a_row", a_row), ("a_inner", a_inner)),
            *(("b_group", b_group * op.inner * op.b[-1]), ("b_inner", b_inner), ("b_column", b_column)),
            *(("a_bits", a.bits), ("b_bits", b.bits), ("y_bits", y.bits)),
            *(("a_shift", self.shifts[0]), ("b_shift", self.shifts[1]), ("down", self.down), ("up", self.up)),
            *(("a_zero", a.zero_point), ("b_zero", b.zero_point), ("y_zero", y.zero_point)),
            *(("m", m), ("p", p), ("lo", y.lo), ("hi", y.hi)),
        )
        args = (Arg("input", "0"), Arg("input", "1"), Arg("output", "0"))
        macs = int(np.prod(op.groups, dtype=np.int64)) * op.a[-2] * op.inner * op.b[-1]
        return [KernelCall("rnnc_matmul", "matmul.h", "rnnc_matmul_params", fields, args, macs=macs)]


# --------------------------------------------------------------------------- from ONNX


@handles("MatMul")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX MatMul of two computed tensors; one of them with a constant arrives as ``Dense``."""
    a, b = trace.input(node, 0), trace.input(node, 1)
    assert a is not None and b is not None
    if "static" in (a.kind, b.kind):
        trace.refuse(
            node, f"multiplies {list(a.shape)} by {list(b.shape)}, one of them constant, in a way that is not known"
        )
    vectors = len(a.shape) == 1, len(b.shape) == 1
    a = replace(a, shape=(1, *a.shape), time=None if a.time is None else 1) if vectors[0] else a
    b = replace(b, shape=(*b.shape, 1)) if vectors[1] else b
    y = _product(node, trace, a, b)
    gone = [len(y.shape) - 2] * vectors[0] + [len(y.shape) - 1] * vectors[1]
    time = None if y.time is None else y.time - sum(axis < y.time for axis in gone)
    trace.result(node, 0, replace(y, shape=tuple(n for i, n in enumerate(y.shape) if i not in gone), time=time))


def _product(node: Node, trace: Tracer, a: Traced, b: Traced) -> Traced:
    """The product of tensors ``[..., rows, inner]`` and ``[..., inner, columns]``."""
    if a.time == len(a.shape) - 1 or b.time == len(b.shape) - 2:
        trace.refuse(node, "sums up over all steps of a sequence", "A stream has one step at a time.")
    if a.time is not None and b.time is not None and a.time - len(a.shape) != b.time - len(b.shape):
        trace.refuse(node, "relates every step of a sequence to every other", "A stream has one step at a time.")
    result = join(node, trace, replace(a, shape=(*a.shape[:-1], 1)), replace(b, shape=(*b.shape[:-2], 1, b.shape[-1])))
    rank = len(result.shape)
    shapes = []
    for x in (a, b):
        lead = rank - len(x.shape)
        shapes.append((1,) * lead + tuple(1 if i == x.time else n for i, n in enumerate(x.shape)))
    op = MatrixProduct("", (a.value, b.value), ("",), a=shapes[0], b=shapes[1], shape=result.frame)
    if op.loops is None or max(int(np.prod(s, dtype=np.int64)) for s in (*shapes, result.frame)) > MOST_COUNTED:
        trace.refuse(node, f"multiplies {list(a.shape)} by {list(b.shape)}: a pattern that is not supported")
    made = trace.add(node, MatrixProduct, [a.value, b.value], a=op.a, b=op.b, shape=op.shape)
    return replace(result, value=made.outputs[0])
