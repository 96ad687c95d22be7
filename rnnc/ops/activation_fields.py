"""An integer activation as the C struct rnnc_activation (runtime_c/activation.h)."""

from __future__ import annotations

import numpy as np

from rnnc.activations import KIND, IntegerActivation
from rnnc.qnet import Constant, Field


def activation_field(function: IntegerActivation, name: str) -> tuple[Field, ...]:
    """The struct's initialiser; ``name`` prefixes its tables."""
    segments: int | Constant = 0
    knots: int | Constant = 0
    if function.kind == "curve":
        rows = np.array([[s.first, s.offset, s.step] for s in function.segments])
        segments = Constant(
            f"{name}_segments", "rnnc_segment", rows, "first (12 fraction bits), knot, log2 step", "table"
        )
        knots = Constant(f"{name}_knots", "int32_t", function.knots, f"LSB 2^{function.exponent - 15}", "table")
    below, above = function.pieces
    return (
        ("kind", KIND[function.kind]),
        ("exponent", function.exponent),
        ("lo", function.lo),
        ("hi", function.hi),
        ("threshold", function.threshold),
        ("below", (("u", below.u), ("s", below.s), ("offset", below.offset))),
        ("above", (("u", above.u), ("s", above.s), ("offset", above.offset))),
        ("segments", segments),
        ("knots", knots),
        ("n_segments", len(function.segments)),
        ("n_knots", len(function.knots)),
    )
