"""Sigmoids that keep nearly all of a state of plain arithmetic, or let little in: they have all bits."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from rnnc.net import Net, Op
from rnnc.ops.long_gates import SELDOM
from rnnc.ops.long_squash import LongSquash
from rnnc.ops.squash import Squash
from rnnc.quantization.calibrate import Ranges
from rnnc.quantization.extend import extended_values


def with_long_gates(net: Net, ranges: Ranges) -> Net:
    """The net whose sigmoids have all bits where calibration shows that an element is typically so near 0 or 1, and a state
    of plain arithmetic is multiplied by it or by 1 less it."""
    near = [op for op in net.ops if isinstance(op, Squash) and op.function == "sigmoid" and _near_its_ends(op, ranges)]
    if not near:
        return net
    extended = extended_values(net)
    chosen = {op.name: _with_all_bits(op) for op in near if _keeps(net, op.outputs[0], extended)}
    return replace(net, ops=tuple(chosen.get(op.name, op) for op in net.ops))


def _with_all_bits(op: Squash) -> LongSquash:
    return LongSquash(**{f.name: getattr(op, f.name) for f in fields(op)})


def _near_its_ends(op: Op, ranges: Ranges) -> bool:
    seen = ranges.samples.get(op.outputs[0])
    if seen is None or not len(seen):
        return False
    middle = np.median(seen, axis=0)
    return bool(np.any(np.minimum(middle, 1 - middle) < SELDOM))


def _keeps(net: Net, gate: str, extended: set[str]) -> bool:
    """Whether an extended value is a product with the gate, or with 1 less it."""
    names = set(net.passed(gate))
    for op in net.ops:
        if op.kind == "affine" and names.intersection(op.inputs):
            names.update(net.passed(op.outputs[0]))
    return any(op.kind == "mul" and names.intersection(op.inputs) and op.outputs[0] in extended for op in net.ops)
