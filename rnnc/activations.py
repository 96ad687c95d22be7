"""The activations of ONNX's recurrent operators, in real numbers and in integers.

Source: ONNX operators LSTM, GRU, RNN, section *activation functions*. The integer forms take a preactivation of 12 fraction
bits and give a number with LSB 2^(exponent - 15), clipped to what the function and the format can hold: 2^15 for functions
bounded by 2^exponent, so that a gate's 1.0 is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from rnnc import fixed
from rnnc.fixed import Floats, Ints, int32, mul15, round_half_up, shift_round

TABLES_OF = {"tanh": ("tanh", "slope"), "relu": (), "sigmoid": ("sigmoid", "slope")}
"""What each reads of the tables of runtime_c/lut.h."""
GATE_TABLES = ("sigmoid", "tanh", "slope")

_PARAMETERS = {
    "affine": (1.0, 0.0),
    "elu": (1.0, 0.0),
    "hardsigmoid": (0.2, 0.5),
    "leakyrelu": (0.01, 0.0),
    "relu": (0.0, 0.0),
    "scaledtanh": (1.0, 1.0),
    "sigmoid": (0.0, 0.0),
    "softplus": (0.0, 0.0),
    "softsign": (0.0, 0.0),
    "tanh": (0.0, 0.0),
    "thresholdedrelu": (1.0, 0.0),
}
"""Default alpha and beta of each function."""
_TAKES = {"affine": 2, "elu": 1, "hardsigmoid": 2, "leakyrelu": 1, "scaledtanh": 2, "thresholdedrelu": 1}
"""How many of the node's alphas and betas each function uses up: alpha, or alpha and beta."""

CURVE_ENDS = (4.0, 16.0, 64.0, 256.0)
CURVE_ERROR = 1.0
"""Largest error of a chord, in LSB of the output."""
FINEST_STEP, COARSEST_STEP = 4, 14
"""log2 of a segment's step, in units of 2^-12."""


@dataclass(frozen=True)
class Activation:
    """A function of ONNX's list, lower case, with its parameters."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    def __call__(self, x: Floats) -> Floats:
        """In real numbers, elementwise, in the type of ``x``."""
        return np.asarray(_FUNCTIONS[self.name](x, self.alpha, self.beta), x.dtype)

    @property
    def limits(self) -> tuple[float, float]:
        """Bounds of its values, infinite where there are none."""
        a, b = self.alpha, self.beta
        inf = np.inf
        table: dict[str, tuple[float, float]] = {
            "elu": (-abs(a), inf),
            "hardsigmoid": (0.0, 1.0),
            "leakyrelu": (-inf, inf) if a > 0 else (0.0, inf),
            "relu": (0.0, inf),
            "scaledtanh": (-abs(a), abs(a)),
            "sigmoid": (0.0, 1.0),
            "softplus": (0.0, inf),
            "softsign": (-1.0, 1.0),
            "tanh": (-1.0, 1.0),
            "thresholdedrelu": (0.0, inf) if a >= 0 else (a, inf),
            "affine": (-inf, inf) if a else (b, b),
        }
        return table[self.name]

    @property
    def slope(self) -> float:
        """Of a function that is linear, where it is no constant."""
        return self.alpha if self.name == "affine" else 1.0

    def exponent(self, reach: float) -> int:
        """The smallest e >= 0 for which 2^e holds its values: their bound, or ``reach`` where that is less."""
        bound = min(max(abs(v) for v in self.limits), reach)
        return max(0, int(np.ceil(np.log2(max(bound, 1e-9)))))

    def integer(self, exponent: int) -> IntegerActivation:
        """The integer form whose LSB is 2^(exponent - 15)."""
        return IntegerActivation.build(self, exponent)


SIGMOID, TANH, RELU = Activation("sigmoid"), Activation("tanh"), Activation("relu")
IDENTITY = Activation("affine", 1.0)


def read_activations(names: list[str], alphas: list[float], betas: list[float]) -> tuple[Activation, ...]:
    """The node's activations with the parameters that belong to each; KeyError where a name is unknown."""
    alpha, beta, result = list(alphas), list(betas), []
    for name in (n.lower() for n in names):
        a, b = _PARAMETERS[name]
        takes = _TAKES.get(name, 0)
        if takes >= 1 and alpha:
            a = alpha.pop(0)
        if takes >= 2 and beta:
            b = beta.pop(0)
        result.append(Activation(name, float(a), float(b)))
    return tuple(result)


def parameters_used(names: list[str]) -> tuple[int, int]:
    """How many of a node's alphas and betas these functions use up."""
    takes = [_TAKES.get(n.lower(), 0) for n in names]
    return sum(n >= 1 for n in takes), sum(n >= 2 for n in takes)


_FUNCTIONS: dict[str, Callable[[Floats, float, float], Floats]] = {
    "affine": lambda x, a, b: a * x + b,
    "elu": lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "leakyrelu": lambda x, a, b: np.where(x < 0, a * x, x),
    "relu": lambda x, a, b: np.maximum(x, 0),
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "sigmoid": lambda x, a, b: 0.5 * (1 + np.tanh(0.5 * x)),
    "softplus": lambda x, a, b: np.logaddexp(0, x),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "tanh": lambda x, a, b: np.tanh(x),
    "thresholdedrelu": lambda x, a, b: np.where(x > a, x, 0),
}


@dataclass(frozen=True)
class Piece:
    """``y = (u p / 2^15) / 2^s + offset``, |u| <= 32768."""

    u: int
    s: int
    offset: int

    @staticmethod
    def line(slope: float, intercept: float, exponent: int) -> Piece:
        """``slope x + intercept`` from 12 fraction bits to LSB 2^(exponent - 15)."""
        gain = slope * 2.0 ** (3 - exponent)
        s = 15 if gain == 0 else int(np.clip(-np.ceil(np.log2(abs(gain))), -10, 15))
        return Piece(
            int(np.clip(round(gain * 2.0 ** (s + 15)), -32768, 32768)), s, round(intercept * 2.0 ** (15 - exponent))
        )

    def __call__(self, p: Ints) -> Ints:
        y = mul15(np.asarray(self.u), p)
        scaled = shift_round(y, self.s) if self.s >= 0 else np.clip(y, -(2**20), 2**20) << -self.s
        return int32(scaled + self.offset, "piece")


@dataclass(frozen=True)
class Segment:
    """Knots at ``first + k 2^step`` (units of 2^-12); the first of them is ``offset`` in the table."""

    first: int
    step: int
    offset: int


@dataclass(frozen=True, eq=False)
class IntegerActivation:
    """An activation from 12 fraction bits to LSB 2^(exponent - 15), clipped to ``lo..hi``.

    kind "tanh", "sigmoid": the table of fixed.py, and a shift. "relu": from the output's own LSB.
    "pieces": a line on each side of ``threshold``.
    "curve": chords between knots; the first and last knot hold beyond the table.
    """

    kind: Literal["tanh", "sigmoid", "relu", "pieces", "curve"]
    exponent: int
    lo: int
    hi: int
    threshold: int = 0
    pieces: tuple[Piece, ...] = (Piece(0, 0, 0), Piece(0, 0, 0))
    segments: tuple[Segment, ...] = ()
    knots: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @staticmethod
    def build(activation: Activation, exponent: int) -> IntegerActivation:
        """See ``Activation.integer``."""
        scale = 2.0 ** (15 - exponent)
        lo, hi = (int(np.clip(round(np.clip(v, -1e6, 1e6) * scale), -32768, 32768)) for v in activation.limits)
        if activation.name in ("tanh", "sigmoid"):
            return IntegerActivation("tanh" if activation.name == "tanh" else "sigmoid", exponent, lo, hi)
        a, b = activation.alpha, activation.beta
        lines = {
            "relu": (0.0, (0.0, 0.0), (1.0, 0.0)),
            "leakyrelu": (0.0, (a, 0.0), (1.0, 0.0)),
            "thresholdedrelu": (a, (0.0, 0.0), (1.0, 0.0)),
            "hardsigmoid": (0.0, (a, b), (a, b)),
            "affine": (0.0, (a, b), (a, b)),
        }
        if activation.name in lines:
            threshold, below, above = lines[activation.name]
            at = int(np.floor(threshold * 4096)) + (activation.name == "thresholdedrelu")
            pieces = (Piece.line(*below, exponent), Piece.line(*above, exponent))
            return IntegerActivation("pieces", exponent, lo, hi, at, pieces)
        segments, knots = _curve(activation, scale, lo, hi)
        return IntegerActivation("curve", exponent, lo, hi, segments=segments, knots=knots)

    @property
    def named(self) -> bool:
        """Whether it is one of RNNC_TANH, RNNC_RELU and RNNC_SIGMOID, which rnnc_activate takes."""
        return self.kind == "relu" or (self.kind in ("tanh", "sigmoid") and self.exponent == 0)

    def __call__(self, p: Ints) -> Ints:
        """Elementwise, |p| <= 2^30."""
        if self.kind == "tanh":
            y = shift_round(fixed.tanh(fixed.clip(p, -fixed.TANH_MAX, fixed.TANH_MAX)), self.exponent)
        elif self.kind == "sigmoid":
            y = shift_round(fixed.sigmoid(p), self.exponent)
        elif self.kind == "relu":
            y = p
        elif self.kind == "pieces":
            y = np.where(p < self.threshold, self.pieces[0](p), self.pieces[1](p))
        else:
            y = self.interpolate(p)
        return fixed.clip(y, self.lo, self.hi)

    def interpolate(self, p: Ints) -> Ints:
        """The chords of a curve, not clipped to ``lo..hi``."""
        last = self.segments[-1]
        end = last.first + ((len(self.knots) - 1 - last.offset) << last.step)
        p = np.clip(p, self.segments[0].first, end - 1)
        which = np.searchsorted(np.array([s.first for s in self.segments]), p, side="right") - 1
        first, step, offset = (
            np.array([getattr(s, n) for s in self.segments])[which] for n in ("first", "step", "offset")
        )
        k = offset + ((p - first) >> step)
        f = (p - first) & ((1 << step) - 1)
        left = self.knots[k]
        return np.asarray(left + shift_round_each((self.knots[k + 1] - left) * f, step))


def shift_round_each(x: Ints, n: Ints) -> Ints:
    """``shift_round`` with a shift >= 1 for each element."""
    return np.asarray((x + (np.int64(1) << (n - 1))) >> n)


def _curve(activation: Activation, scale: float, lo: int, hi: int) -> tuple[tuple[Segment, ...], Ints]:
    """Knots so close that a chord errs by at most CURVE_ERROR, in segments that widen away from 0."""
    ends = [-e for e in reversed(CURVE_ENDS)] + list(CURVE_ENDS)
    segments: list[Segment] = []
    knots: list[int] = []
    for left, right in pairwise(ends):
        step = _step(activation, scale, left, right)
        x = np.arange(int(left * 4096), int(right * 4096) + 1, 1 << step) / 4096
        y = np.clip(round_half_up(activation(x) * scale), lo, hi)
        segments.append(Segment(int(left * 4096), step, max(len(knots) - 1, 0)))
        knots = knots[:-1] + y.tolist()
    return tuple(segments), np.array(knots, np.int64)


def _step(activation: Activation, scale: float, left: float, right: float) -> int:
    """The widest step, as log2 of units of 2^-12, whose chords are near enough."""
    for step in range(COARSEST_STEP, FINEST_STEP, -1):
        x = np.arange(int(left * 4096), int(right * 4096) + 1, 1 << step) / 4096
        middle = (x[:-1] + x[1:]) / 2
        chord = (activation(x[:-1]) + activation(x[1:])) / 2
        top = 32768 / scale
        near = np.abs(activation(middle)) < 2 * top
        if np.all(np.abs(chord - activation(middle))[near] * scale <= CURVE_ERROR):
            return step
    return FINEST_STEP
