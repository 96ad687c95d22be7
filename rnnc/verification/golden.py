"""Golden vectors: what a package's self-test, and the benchmarks on emulated parts, feed and expect."""

from __future__ import annotations

import numpy as np

from rnnc.backend.emit import Golden
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import run_qnet

GOLDEN_STEPS = 32


def golden(qnet: QNet, sequences: Sequences) -> Golden:
    """The first steps of a sequence (repeated where it is short) in integers, and what the oracle answers."""
    clocks = [qnet.values[o.value].clock for o in qnet.outputs]
    net = qnet.net
    enough = net.window + net.every if net.overlaps else net.window
    steps = max(GOLDEN_STEPS, enough, *(c.phase + c.rate for c in clocks))
    first = {v.name: np.resize(sequences[v.name][0], (steps, *v.shape)) for v in qnet.inputs}
    inputs = {name: qnet.formats[name].quantize(x) for name, x in first.items()}
    outputs = run_qnet(qnet, {name: x[:, None] for name, x in inputs.items()})
    return Golden(inputs, {name: y[:, 0] for name, y in outputs.items()})
