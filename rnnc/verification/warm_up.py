"""After how many steps from reset an answer can be trusted: when it agrees with that of a stream that has run for long."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np

from rnnc.net import Array, Net, Output
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import run_net

STARTS = 16
"""Streams that are reset, at steps spread over the data."""
LONGEST = 512
"""Steps that each of them is followed for."""
FEWEST = 16
MOST_MACS = 10**9
"""Of all these streams together."""
AGREE = 0.01
"""Of a channel's standard deviation: how near a stream that was reset is to the endless one."""


@dataclass(frozen=True)
class WarmUp:
    """Steps from reset until an output agrees with the endless stream and goes on to.

    Args:
        median, worst: over ``starts`` resets spread over the data; None where more than ``followed`` steps are needed.
    """

    median: int | None
    worst: int | None
    starts: int
    followed: int


def warm_up(net: Net, sequences: Sequences, macs: int) -> dict[str, WarmUp]:
    """Reset streams on the way through the longest sequence, and follow them beside the one that goes on, in float64.

    Args:
        sequences: ``[steps, *shape]`` of each input, real units.
        macs: of one step.

    Returns what was found of each output by name; nothing where the network has no state or starts each window anew, and
    where the longest sequence is too short.
    """
    length = max(map(len, sequences[net.inputs[0].name]))
    most = min(length // 3, LONGEST, MOST_MACS // (STARTS * max(macs, 1)))
    rate = lcm(*(max(v.clock.rate, 1) for v in net.values.values()))
    if net.window or not net.states() or most < max(FEWEST, 2 * rate):
        return {}
    longest = {name: next(s for s in each if len(s) == length)[: 3 * most] for name, each in sequences.items()}
    starts = np.unique(np.linspace(most, 2 * most, STARTS).astype(int) // rate * rate)
    endless = run_net(net, {name: s[:, None] for name, s in longest.items()})
    fresh = run_net(net, {name: np.stack([s[k : k + most] for k in starts], 1) for name, s in longest.items()})
    return {o.name: _warm_up(net, o, endless[o.name][:, 0], fresh[o.name], starts, most) for o in net.outputs}


def _warm_up(net: Net, output: Output, endless: Array, fresh: Array, starts: Array, most: int) -> WarmUp:
    """Of one output: ``endless [ticks, *shape]``, and ``fresh [ticks, starts, *shape]`` from each start on."""
    clock = net.values[output.value].clock
    every = max(clock.rate, 1)
    spread = 0.0 if net.values[output.value].dtype == "index" else AGREE * endless.std(0)
    steps = []
    for lane, start in enumerate(starts // every):
        wanted = endless[start : start + max(0, -(-(most - clock.phase) // every))]
        apart = (np.abs(fresh[: len(wanted), lane] - wanted) > spread).reshape(len(wanted), -1).any(1)
        last = int(np.flatnonzero(apart)[-1]) if apart.any() else -1
        steps.append(clock.phase + every * (last + 1) if last + 1 < len(wanted) else most + 1)
    middle, worst = int(np.ceil(np.median(steps))), max(steps)
    return WarmUp(middle if middle <= most else None, worst if worst <= most else None, len(starts), most)
