"""Room for states that start from what another network has found out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnc.net import Net
from rnnc.quantization.calibrate import Ranges


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
