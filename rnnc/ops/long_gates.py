"""Which layers need gates of 30 fraction bits: those whose units mostly keep nearly all of their state, step after step.

A gate of 15 fraction bits has few levels near 1: with 1 - f = 2^-12 it is off by a part in 16, and so is where the state goes.
Where only some units do so, as in most trained layers, the answers gain less than a third of a dB, and a step costs more.
"""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Floats
from rnnc.net import Quantizer

SELDOM = 2.0**-9
"""What half of the units lose less of in a step, where 15 fraction bits are too few for them: 64 levels."""
SELDOM_FINE = 2.0**-6
"""The same in the finer form."""


def wants_long(q: Quantizer, gate: str, preactivation: Floats) -> bool:
    """Whether half of the units keep their states so long.

    Args:
        gate: the operand that is what is kept of the state.
        preactivation: the gate's where x and h are 0 ``[hidden]``, which stands in for calibration data.
    """
    kept = q.samples(gate)
    lost = 1 / (1 + np.exp(preactivation)) if kept is None else np.median(1 - kept, axis=0)
    return bool(np.median(lost) < (SELDOM_FINE if q.fine else SELDOM))
