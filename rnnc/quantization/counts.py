"""What 16 bits count: elements of a value, steps of a history."""

from __future__ import annotations

from rnnc.errors import Refused
from rnnc.net import MOST_COUNTED, MOST_ELEMENTS, Net
from rnnc.qnet import QOp


def check_counts(net: Net) -> None:
    """Raise Refused where 16 bits do not count the elements of a value or of a history, or the steps until a value is due."""
    for op in net.ops:
        where = f"{op.name}, {op.describe()}"
        try:
            op.states()
        except Refused as error:
            error.where = where
            raise
        for value in (net.values[name] for name in op.outputs):
            if value.size > MOST_ELEMENTS:
                what = f"gives {value.size:,} elements in one step; {MOST_ELEMENTS:,} are supported"
                raise Refused(what, where=where, hint="A smaller layer, or leave it outside: --output TENSOR.")
    for value in net.inputs:
        if value.size > MOST_ELEMENTS:
            what = f"has {value.size:,} elements in one step; {MOST_ELEMENTS:,} are supported"
            raise Refused(what, where=f"input {value.name!r}", hint="If they are a sequence: --time-axis INPUT=AXIS.")
    steps = max(net.window, net.drain_steps, *(max(v.clock.rate, v.clock.phase) for v in net.values.values()))
    if steps > MOST_COUNTED:
        raise Refused(f"it counts {steps} steps; {MOST_COUNTED} are supported", hint="Take shorter windows or strides.")


def check_states(op: QOp) -> None:
    """Raise Refused where a state counts further than its type."""
    for state in op.states():
        most = (1 << (state.format.bits - 1)) - 1
        if state.format.hi > most:
            raise Refused(f"it keeps {state.format.hi} steps; {most} are supported", hint="Take shorter windows.")
