"""What elementwise operations share: operands that broadcast, loops that walk through them, factors to an output's LSB."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnc.fixed import Floats, Format, Ints, OverflowInOracle, int32, round_half_up
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, States, Value, no_probe
from rnnc.qnet import Constant
from rnnc.tracing import Node, Traced, Tracer, join

Shape = tuple[int, ...]
FACTOR_MAX = 32767
"""Largest magnitude of a multiplier, int16."""
SHIFT_MAX = 30
LOOPS = 3


def operands(node: Node, trace: Tracer, count: int = 0) -> tuple[Traced, list[Traced]]:
    """What an elementwise node gives (its value still to be set), and its first ``count`` inputs, or all."""
    tensors = []
    for index in range(count or len(node.inputs)):
        tensor = trace.input(node, index)
        if tensor is None:
            trace.refuse(node, f"input {index} is missing")
        if tensor.kind != "static" and trace.value(tensor.value).dtype == "index":
            trace.refuse(
                node, "computes with row numbers", "They can be looked up in a table (Gather) and nothing else."
            )
        tensors.append(tensor)
    return join(node, trace, *tensors), tensors


@dataclass(frozen=True, eq=False)
class Pointwise(Op):
    """An op that makes each element of its output from the same element of its input."""

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", inputs[0].shape)]


@dataclass(frozen=True, eq=False)
class Binary(Op):
    """An op that makes each element of its output from one of a and one of b, which broadcast to each other.

    Args:
        shapes: of a and b on the axes of the result, 1 where one is broadcast.
        shape: of the result.

    Inputs: a, b.
    """

    shapes: tuple[Shape, Shape]
    shape: Shape

    @abstractmethod
    def of(self, a: Array, b: Array) -> Array:
        """The result, element by element, in real numbers."""

    @abstractmethod
    def interval(self, a: Interval, b: Interval) -> Interval:
        """Bounds of the result, given those of the operands for every element of it."""

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self.of(*self.operands(inputs))]

    def operands(self, inputs: Sequence[Array]) -> tuple[Array, Array]:
        """a and b as ``[ticks, lanes, *shapes]``."""
        a, b = (broadcast(x, shape) for x, shape in zip(inputs, self.shapes, strict=True))
        return a, b

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        a, b = (broadcast_interval(x, shape, self.shape) for x, shape in zip(inputs, self.shapes, strict=True))
        return [self.interval(a, b)]

    def scales(self, sources: tuple[Format, Format]) -> tuple[Floats, Floats]:
        """The LSBs of a and b for every element of the result, ``[*shape]``."""
        a, b = (broadcast_scale(f, shape, self.shape) for f, shape in zip(sources, self.shapes, strict=True))
        return a, b


def aligned(result: Traced, tensor: Traced) -> Shape:
    """The shape of an operand's value on the axes of the result's value: 1 where it is broadcast."""
    lead = len(result.shape) - len(tensor.shape)
    return tuple(tensor.shape[i - lead] if i >= lead else 1 for i in result.frame_axes)


def aligned_constant(result: Traced, tensor: Traced) -> Floats:
    """A constant operand on the axes of the result's value."""
    assert tensor.const is not None
    return np.asarray(tensor.const, np.float64).reshape(aligned(result, tensor))


def check_loops(node: Node, trace: Tracer, result: Traced, a: Traced, b: Traced) -> tuple[Shape, Shape]:
    """The shapes of two operands as ``aligned``; refused where three loops cannot walk through them."""
    shapes = aligned(result, a), aligned(result, b)
    if Loops.over(result.frame, *shapes) is None:
        trace.refuse(node, f"broadcasts {list(a.shape)} and {list(b.shape)} in a pattern that is not supported")
    return shapes


def product_interval(a: Interval, b: Interval) -> Interval:
    """Bounds of a b; 0 times infinity is 0."""
    with np.errstate(over="ignore", invalid="ignore"):  # intervals may be endless
        corners = np.stack([x * y for x in (a.lo, a.hi) for y in (b.lo, b.hi)])
    ends = np.where(np.isnan(corners), 0.0, corners)
    return Interval(ends.min(0), ends.max(0))


def broadcast(x: Array, shape: Shape) -> Array:
    """``[ticks, lanes, ...]`` of an operand as ``[ticks, lanes, *shape]``, ``shape`` as ``aligned`` gives it."""
    return x.reshape(*x.shape[:2], *shape)


def broadcast_interval(x: Interval, operand: Shape, shape: Shape) -> Interval:
    """An operand's bounds for every element of the result."""
    return Interval(*(np.broadcast_to(side.reshape(operand), shape).ravel() for side in (x.lo, x.hi)))


def broadcast_scale(form: Format, operand: Shape, shape: Shape) -> Floats:
    """An operand's LSB for every element of the result, ``[*shape]``."""
    size = int(np.prod(operand, dtype=np.int64))
    return np.broadcast_to(form.scale_for(size).reshape(operand), shape)


def at_least(form: Format, lsb: Floats) -> Format:
    """The format with an LSB no finer than ``lsb``, which is one number or ``[*shape]`` of the value.

    A preactivation's LSB is fixed: where it is too fine, the result is 16 bits wide.
    """
    if form.bits == 32:
        return form if np.max(lsb) <= form.scale[0] else Format(16, np.array([np.max(lsb)]))
    if form.uniform:
        return replace(form, scale=np.maximum(form.scale, np.max(lsb)))
    return replace(
        form, scale=np.maximum(form.scale, np.ravel(np.broadcast_to(lsb, np.shape(lsb) or form.scale.shape)))
    )


def table_shape(shape: Shape, *tables: Ints | Floats) -> Shape:
    """The smallest shape that broadcasts to ``shape`` and tells all that arrays ``[*shape]`` hold."""
    small = []
    for axis, n in enumerate(shape):
        same = all(np.array_equal(t, np.broadcast_to(t.take([0], axis), t.shape)) for t in tables)
        small.append(1 if same else n)
    return tuple(small)


def shrink(table: Ints, shape: Shape) -> Ints:
    """The part of an array that a ``table_shape`` keeps, flattened."""
    return np.asarray(table[tuple(slice(0, n) for n in shape)]).ravel()


@dataclass(frozen=True)
class Loops:
    """Up to three nested loops over the elements of a result, with the step of each operand in each loop."""

    counts: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]

    @staticmethod
    def over(shape: Shape, *operands: Shape) -> Loops | None:
        """Loops over ``[*shape]``; each operand's shape has as many axes, of the same length or 1. None for more than three."""
        counts: list[int] = []
        steps: list[list[int]] = [[] for _ in operands]
        strides = [_strides(o) for o in operands]
        for axis, n in enumerate(shape):
            if n == 1:
                continue
            here = [s[axis] for s in strides]
            if counts and all(steps[k][-1] == here[k] * n for k in range(len(operands))):
                counts[-1] *= n
                for k, step in enumerate(here):
                    steps[k][-1] = step
                continue
            counts.append(n)
            for k, step in enumerate(here):
                steps[k].append(step)
        missing = LOOPS - len(counts)
        if missing < 0:
            return None
        return Loops((*[1] * missing, *counts), tuple((*[0] * missing, *s) for s in steps))

    def fields(self, *names: str) -> tuple[tuple[str, int], ...]:
        """The initialiser of the C struct rnnc_loops, an operand under each name."""
        pairs = [("count", self.counts), *zip(names, self.steps, strict=True)]
        return tuple((f"loops.{name}[{i}]", n) for name, numbers in pairs for i, n in enumerate(numbers))


def _strides(shape: Shape) -> list[int]:
    """The step of each axis in a C-ordered array, 0 where the axis is broadcast."""
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(0 if n == 1 else step)
        step *= n
    return steps[::-1]


@dataclass(frozen=True, eq=False)
class Combination:
    """``y = (sum_k x_k factors_k + offset) >> shift`` for each element: a weighted sum in 32 bits with 15-bit factors.

    ``factors [operands, *shape]`` int16, ``offset`` int32, ``shift`` 0..30, ``[*shape]``.
    """

    factors: Ints
    offset: Ints
    shift: Ints

    @staticmethod
    def of(gains: Floats, offset: Floats, reach: Sequence[int]) -> Combination:
        """The combination nearest to ``round(sum_k gain_k x_k + offset)``.

        Args:
            gains: real, output LSBs per LSB of each operand, ``[operands, *shape]``, |gain| < 2^15.
            offset: output LSBs, ``[*shape]``.
            reach: the largest |x_k| of each operand.
        """
        limits = np.array(reach, np.float64).reshape(-1, *(1 for _ in range(gains.ndim - 1)))
        largest = np.maximum(np.abs(gains).max(0), 1e-30)
        shift = np.clip(14 - np.floor(np.log2(largest)), 0, SHIFT_MAX).astype(np.int64)
        for _ in range(SHIFT_MAX):
            worst = (np.abs(np.round(gains * 2.0**shift)) * limits).sum(0) + np.abs(offset) * 2.0**shift + 2.0**shift
            tight = (np.abs(np.round(gains * 2.0**shift)).max(0) > FACTOR_MAX) | (worst >= 2.0**31)
            if not tight.any():
                break
            shift = np.maximum(shift - tight, 0)
        factors = round_half_up(gains * 2.0**shift)
        if np.abs(factors).max(initial=0) > FACTOR_MAX:
            raise OverflowInOracle(f"a gain of {np.abs(gains).max():.3g} is too large for a 15-bit multiplier")
        bias = round_half_up(offset * 2.0**shift) + ((np.int64(1) << shift) >> 1)
        return Combination(factors, bias, shift)

    def table(self, name: str) -> tuple[Constant, Shape]:
        """The C array of rnnc_line (one operand) or rnnc_sum (two), and the shape of what it tells apart."""
        small = table_shape(self.shift.shape, *self.factors, self.offset, self.shift)
        columns = [shrink(t, small) for t in (self.offset, *self.factors, self.shift)]
        ctype = "rnnc_line" if len(self.factors) == 1 else "rnnc_sum"
        return Constant(name, ctype, np.stack(columns, 1), "offset, factors, shift"), small

    def __call__(self, *operands: Ints, what: str = "sum") -> Ints:
        total = self.offset
        for factor, x in zip(self.factors, operands, strict=True):
            total = int32(total + int32(x * factor, what), what)
        return np.asarray(total >> self.shift)

    def worst(self, reach: Sequence[int]) -> int:
        """The largest magnitude that the sum can have at any point."""
        limits = np.array(reach, np.int64).reshape(-1, *(1 for _ in range(self.factors.ndim - 1)))
        return int(((np.abs(self.factors) * limits).sum(0) + np.abs(self.offset)).max(initial=0))


def reach_of(form: Format) -> int:
    """The largest magnitude of an integer of this format; of 8 or 16 bits whatever the caller stores there."""
    return form.amax
