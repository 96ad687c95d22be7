"""Smooth functions of one number by a table: chords between 2^k + 1 knots over all that the input's format holds.

The knots are the least-squares fit to the function at every integer input, so that the error of a chord is spread to both
sides of it. The table is the smallest of 16 to 512 chords whose largest error is one LSB of the output; where 512 do not
reach that, ``QCurve.error`` tells the largest error in LSBs. An 8-bit input has one entry for each of its values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import erf, pi, sqrt
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints, int32, shift_round
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Probe, Quantizer, States, no_probe
from rnnc.ops.elementwise import Pointwise, operands
from rnnc.ops.extended import is_extended
from rnnc.ops.extended_curve import QExtendedCurve
from rnnc.ops.extended_exp import QExtendedExp
from rnnc.qnet import Arg, Bound, Constant, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles

FEWEST, MOST = 4, 9
"""log2 of the number of chords."""
LARGEST_ERROR = 1.0
FAR = 1e4


@dataclass(frozen=True)
class Function:
    """A function of one number: its values, where it turns, and bounds that hold everywhere."""

    name: str
    call: Callable[[Floats], Floats]
    turns: tuple[float, ...] = ()
    limits: tuple[float, float] = (-np.inf, np.inf)

    def __call__(self, x: Array) -> Floats:
        """Elementwise, in the type of ``x``."""
        with np.errstate(over="ignore"):
            return np.asarray(self.call(x), x.dtype)

    def range(self, lo: Floats, hi: Floats) -> tuple[Floats, Floats]:
        """Bounds over each interval; what is large at +-FAR has no bound beyond."""
        at = [lo, hi, *(np.clip(t, lo, hi) for t in self.turns)]
        values = np.stack([self._end(x) for x in at])
        return np.clip(values.min(0), *self.limits), np.clip(values.max(0), *self.limits)

    def _end(self, x: Floats) -> Floats:
        y = self(np.clip(x, -FAR, FAR))
        return np.where((np.abs(x) > FAR) & (np.abs(y) > FAR / 10), np.copysign(np.inf, y), y)


_each_erf = np.vectorize(erf, otypes=[np.float64])


def _erf(x: Floats) -> Floats:
    return np.asarray(_each_erf(x), x.dtype)


def _elu(alpha: float) -> Function:
    return Function("elu", lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x))


def _celu(alpha: float) -> Function:
    return Function("celu", lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x))


def _selu(alpha: float, gamma: float) -> Function:
    return Function("selu", lambda x: gamma * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x))


def _gelu(approximate: str) -> Function:
    if approximate == "tanh":
        return Function("gelu", lambda x: 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), (-0.752,))
    return Function("gelu", lambda x: 0.5 * x * (1 + _erf(x / sqrt(2))), (-0.7518,))


def _swish(alpha: float) -> Function:
    return Function("swish", lambda x: 0.5 * x * (1 + np.tanh(0.5 * alpha * x)), (-1.27846 / alpha,))


def _softplus(x: Floats) -> Floats:
    return np.logaddexp(0, x)


def _sine(name: str, call: Callable[[Floats], Floats]) -> Function:
    return Function(name, call, tuple(np.arange(-8, 9) * np.pi / 2), (-1.0, 1.0))


FUNCTIONS: dict[str, Callable[[Node], Function]] = {
    "Acos": lambda n: Function("acos", lambda x: np.arccos(np.clip(x, -1, 1))),
    "Acosh": lambda n: Function("acosh", lambda x: np.arccosh(np.maximum(x, 1))),
    "Asin": lambda n: Function("asin", lambda x: np.arcsin(np.clip(x, -1, 1))),
    "Asinh": lambda n: Function("asinh", np.arcsinh),
    "Atan": lambda n: Function("atan", np.arctan),
    "Celu": lambda n: _celu(float(n.attributes.get("alpha", 1.0))),
    "Cosh": lambda n: Function("cosh", np.cosh, (0.0,)),
    "Cos": lambda n: _sine("cos", np.cos),
    "Elu": lambda n: _elu(float(n.attributes.get("alpha", 1.0))),
    "Erf": lambda n: Function("erf", _erf),
    "Exp": lambda n: Function("exp", np.exp),
    "Gelu": lambda n: _gelu(str(n.attributes.get("approximate", "none"))),
    "Mish": lambda n: Function("mish", lambda x: x * np.tanh(_softplus(x)), (-1.1924,)),
    "Selu": lambda n: _selu(float(n.attributes.get("alpha", 1.6732632)), float(n.attributes.get("gamma", 1.0507010))),
    "Sinh": lambda n: Function("sinh", np.sinh),
    "Sin": lambda n: _sine("sin", np.sin),
    "Softplus": lambda n: Function("softplus", _softplus),
    "Swish": lambda n: _swish(float(n.attributes.get("alpha", 1.0))),
    "Softsign": lambda n: Function("softsign", lambda x: x / (1 + np.abs(x))),
}
"""By ONNX operator. Outside of where it is defined, a function is what it is at the end."""


@dataclass(frozen=True, eq=False)
class Curve(Pointwise):
    """``y = function(x)``."""

    function: Function
    kind: ClassVar[str] = "curve"

    @property
    def extends(self) -> bool:
        return True

    @property
    def reads_extended(self) -> bool:
        """An exponential: it makes factors of differences."""
        return self.function.name == "exp"

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self.function(inputs[0])]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval(*self.function.range(inputs[0].lo, inputs[0].hi))]

    def accepts(self, index: int) -> Accept:
        return "common"

    def quantize(self, q: Quantizer) -> QOp:
        y = q.extended() or q.output()
        if not y.uniform:
            y = replace(y, scale=y.scale.max())
        if self.reads_extended and (is_extended(y) or is_extended(q.input(0))):
            return QExtendedExp(self, self.inputs, (y,), q.input(0), int(np.size(q.peak(0))))
        if is_extended(y):
            f = self.function
            return QExtendedCurve(self, self.inputs, (y,), f, f.name, q.input(0), int(np.size(q.peak(0))))
        return QCurve(self, self.inputs, (y,), q.input(0), int(np.size(q.peak(0))))

    def describe(self) -> str:
        return self.function.name


@dataclass(frozen=True, eq=False)
class QCurve(QOp):
    """``i = x - lowest; y = T[i >> shift]`` and a chord to the next knot."""

    op: Curve
    x: Format
    size: int

    @cached_property
    def wanted(self) -> Floats:
        """The function at every integer input, in LSBs of the output, saturated."""
        x, y = self.x, self.formats[0]
        integers = np.arange(-(1 << (x.bits - 1)), 1 << (x.bits - 1))
        lsbs = self.op.function((integers - x.zero) * x.scale[0]) / y.scale[0] + y.zero_point
        return np.asarray(np.clip(lsbs, y.lo, y.hi))

    @cached_property
    def table(self) -> tuple[Ints, int]:
        """Knots and the shift."""
        if self.x.bits == 8:
            return self._fit(0), 0
        for chords in range(FEWEST, MOST):
            shift = self.x.bits - chords
            knots = self._fit(shift)
            if self._largest_error(knots, shift) <= LARGEST_ERROR:
                return knots, shift
        shift = self.x.bits - MOST
        return self._fit(shift), shift

    @property
    def error(self) -> float:
        """The largest error over all inputs, in LSBs of the output."""
        return self._largest_error(*self.table)

    def _largest_error(self, knots: Ints, shift: int) -> float:
        return float(np.abs(_interpolate(knots, shift, np.arange(len(self.wanted))) - self.wanted).max())

    def _fit(self, shift: int) -> Ints:
        """The knots of the broken line that has the least squared error over all integer inputs."""
        width = 1 << shift
        wanted = self.wanted.reshape(-1, width)
        right = np.arange(width) / width
        left = 1 - right
        n = len(wanted) + 1
        normal, target = np.zeros((n, n)), np.zeros(n)
        k = np.arange(n - 1)
        normal[k, k] += left @ left
        normal[k + 1, k + 1] += right @ right
        normal[k, k + 1] += left @ right
        normal[k + 1, k] += left @ right
        target[:-1] += wanted @ left
        target[1:] += wanted @ right
        if width == 1:
            normal[-1, -1], target[-1] = 1.0, wanted[-1, 0]
        knots = np.linalg.solve(normal, target)
        return np.clip(np.round(knots), self.formats[0].lo, self.formats[0].hi).astype(np.int64)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [_interpolate(*self.table, inputs[0] + (1 << (self.x.bits - 1)))]

    def bounds(self) -> list[Bound]:
        knots, shift = self.table
        return [Bound(self.name, "chord", int(np.abs(np.diff(knots)).max() << shift) + (1 << shift >> 1))]

    def calls(self) -> list[KernelCall]:
        knots, shift = self.table
        fields = (
            ("knots", Constant(f"{self.name}_t", "int16_t", knots, f"{self.op.function.name} at its knots", "table")),
            ("size", self.size),
            ("x_bits", self.x.bits),
            ("shift", shift),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        return [KernelCall("rnnc_curve", "curve.h", "rnnc_curve_params", fields, args)]


def _interpolate(knots: Ints, shift: int, i: Ints) -> Ints:
    """The broken line through knots 2^shift apart at the unsigned numbers i."""
    k, f = i >> shift, i & ((1 << shift) - 1)
    return np.asarray(knots[k] + shift_round(int32((knots[k + 1] - knots[k]) * f, "chord"), shift))


@handles(*FUNCTIONS)
def from_node(node: Node, trace: Tracer) -> None:
    """The operators of ``FUNCTIONS``."""
    result, (x,) = operands(node, trace)
    op = trace.add(node, Curve, [x.value], function=FUNCTIONS[node.op_type](node))
    trace.result(node, 0, replace(result, value=op.outputs[0]))
