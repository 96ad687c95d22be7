"""States of unlike units that the graph feeds back from a layer: an LSB for each channel, which the layer computes as well."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from rnnc.fixed import Floats, Format
from rnnc.net import Feedback, Net
from rnnc.quantization.calibrate import Ranges
from rnnc.quantization.heads import ROOM, UNLIKE

STATE_HEADROOM = 2.0
SMALLEST_STATE = 2.0**-20
"""Room for a state that was always 0."""


def unlike_state(net: Net, ranges: Ranges, feedback: Feedback) -> Format | None:
    """The int16 format of a state that a layer computes from rows of weights, if the ranges of its channels are unlike."""
    state, following = feedback.state, feedback.next
    names = {following, *net.passed(following)}
    if not ranges.measured or not any(op.kind == "dense" and names.intersection(op.outputs) for op in net.ops):
        return None
    reach = STATE_HEADROOM * np.maximum(ranges.peaks[state.name], ranges.peaks[following])
    limit = np.maximum(np.minimum(ranges.bounds[following].magnitude, reach), np.abs(state.initial).ravel())
    largest = float(limit.max(initial=0.0))
    limit = np.where(limit > 0, np.maximum(limit, SMALLEST_STATE), largest)
    return Format(16, limit / 32767) if largest > UNLIKE * float(limit.min()) else None


def made_for_state(net: Net, ranges: Ranges, name: str, extended: Collection[str], reach: Floats) -> Format | None:
    """The format of a layer's output that is the next value of such a state; None of another.

    Args:
        reach: the largest magnitude that its accumulators hold, ``[elements]`` or one for all.
    """
    for f in net.feedback:
        if f.next not in extended and name in (f.next, *net.passed(f.next)):
            form = unlike_state(net, ranges, f)
            if form is not None:
                return Format(16, np.maximum(form.scale, np.where(np.isfinite(reach), reach, 0.0) / (ROOM * 32767)))
    return None
