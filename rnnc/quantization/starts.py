"""Room for how streams start: anywhere in a recording, and from states that another network has found out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnc.net import Array, Net
from rnnc.quantization.calibrate import Ranges, Sequences
from rnnc.streams import start_net

STARTS, STEPS = 32, 8
"""At how many places of the calibration data streams start, and how many steps each is followed."""
SHARE, MOST = 1 / 4, 8.0
"""What a start counts for beside a peak, which is given headroom; by how much it raises the peak of an element at most,
unless others of its value reach more."""


def room_for_starts(net: Net, ranges: Ranges, calibration: Sequences) -> Ranges:
    """The ranges, widened where a stream that starts elsewhere in the calibration data reaches far more than was seen.

    Recordings start in silence more often than a device does: a layer that first meets a signal with empty caches may reach
    many times what it ever does later.
    """
    if not net.states() or net.window:
        return ranges
    pieces = _pieces(calibration)
    seen: dict[str, Array] = {}

    def note(name: str, ticks: Array) -> None:
        size = int(np.prod(ticks.shape[2:], dtype=np.int64))  # no tick may come in so few steps
        highest = np.abs(ticks.reshape(ticks.shape[0] * ticks.shape[1], size)).max(0, initial=0.0)
        seen[name] = np.maximum(seen.get(name, 0.0), highest)

    with np.errstate(over="ignore", invalid="ignore"):
        start_net(net, len(next(iter(pieces.values()))[0]), note).advance(pieces)
    for name, peak in ranges.peaks.items():
        if name in seen and np.all(np.isfinite(seen[name])):
            most = np.maximum(peak * MOST, peak.max(initial=0.0))
            ranges.peaks[name] = np.maximum(peak, np.minimum(seen[name] * SHARE, most))
    return ranges


def _pieces(calibration: Sequences) -> dict[str, Array]:
    """Evenly spaced pieces of all sequences, ``[steps, starts, *shape]`` of each input."""
    lengths = [len(s) for s in next(iter(calibration.values()))]
    steps = min(STEPS, max(lengths))
    places = [(i, at) for i, n in enumerate(lengths) for at in range(n - steps + 1)]
    chosen = [places[k] for k in np.unique(np.linspace(0, len(places) - 1, STARTS).astype(int))]
    return {name: np.stack([all_[i][at : at + steps] for i, at in chosen], 1) for name, all_ in calibration.items()}


def make_room(net: Net, ranges: Ranges, starts: Mapping[str, float]) -> Ranges:
    """The ranges, widened where states may start from larger values than were seen.

    Args:
        starts: the largest magnitudes by the name of the state input.
    """
    fed_back = {f.state.name for f in net.feedback}
    owners = {s.name: op.name for op in net.ops for s in op.states()}
    for state in net.states():
        if state.alias not in starts:
            continue
        name = state.name
        key = name if name in fed_back else f"{owners[name]}.{name.removeprefix(owners[name] + '_')}"
        if key in ranges.peaks:
            ranges.peaks[key] = np.maximum(ranges.peaks[key], starts[state.alias])
    return ranges
