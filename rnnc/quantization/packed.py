"""Formats of what states keep that only move their elements: one for each channel of what comes into them."""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Floats
from rnnc.lines import MovedElements, moves, packed_states
from rnnc.net import Net
from rnnc.quantization.calibrate import Ranges

FINEST_COPY = 1 / 1024
"""Of the largest element: the range of one that is hardly ever more than 0, in an int16 copy or state by element."""
SMALLEST = 2.0**-20
"""Room for what was always 0."""


def line_scales(net: Net, ranges: Ranges, headroom: float) -> dict[str, Floats]:
    """The LSB of each element of states that are parts of one in the file and only move, and of what moves into them.

    Args:
        headroom: room by what a value reaches.
    """
    parts = {f.state.name for f in net.feedback if f.state.window is not None}
    packed = {name: written for name, written in packed_states(net).items() if name in parts} if parts else {}
    if not packed:
        return {}
    origins = MovedElements(net)
    scale = np.zeros(origins.size)
    for name, n in origins.first.items():
        value = net.values[name]
        rows = _room(name, value.size, ranges, headroom).reshape(value.shape[0] if value.shape else 1, -1)
        scale[n : n + value.size] = np.broadcast_to(rows.max(1, keepdims=True), rows.shape).ravel() / 32767
    for f in net.feedback:
        if f.state.name in packed:
            scale[origins.of[f.state.name]] = scale[packed[f.state.name]]
    makers = {name: op for op in net.ops for name in op.outputs}
    found = {name: scale[origins.of[name]] for name in packed}
    todo = [f.next for f in net.feedback if f.state.name in packed]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = scale[origins.of[name]]
            todo += makers[name].inputs if name in makers and moves(makers[name]) else []
    return found


def _room(name: str, size: int, ranges: Ranges, headroom: float) -> Floats:
    """What each element of a value may reach where a state keeps it, ``[elements]``; an input's is that of its format."""
    if name in ranges.inputs:
        form = ranges.inputs[name]
        return np.asarray(form.scale_for(size) * form.hi)
    room = np.minimum(ranges.bounds[name].magnitude, headroom * ranges.reach(name))
    return np.maximum(room, max(float(room.max(initial=0.0)) * FINEST_COPY, SMALLEST))
