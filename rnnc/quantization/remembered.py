"""States that remember an input as it was: they have its format, so that what it has changed by is exact.

Of 101325 +- 300 Pa less the value before, 16 bits from zero on would leave nothing. A state that is kept less the input's
offset starts at the nearest to its start that this format holds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.fixed import Floats, Format
from rnnc.net import Feedback, Net, Op
from rnnc.ops.affine import Affine
from rnnc.ops.offset import Offset
from rnnc.quantization.calibrate import Ranges
from rnnc.quantization.centre import Carrier, shifted
from rnnc.quantization.heads import free_name


def input_of(net: Net, feedback: Feedback) -> str:
    """The input that a whole state is the value of, one or more steps ago; "" of another state."""
    inputs = {v.name for v in net.inputs if v.dtype != "index"}
    nexts = {f.state.name: f.next for f in net.feedback if f.state.window is None}
    name = feedback.state.name
    for _ in net.feedback:
        name = nexts.get(name, name)
    return name if name in inputs else ""


def remembered_form(net: Net, ranges: Ranges, feedback: Feedback) -> Format | None:
    """The format of a state that an input comes into as it is: the input's, where that holds its start or an offset counts."""
    name = input_of(net, feedback)
    if not name:
        return None
    form = ranges.inputs[name]
    start = feedback.state.initial
    held = bool(np.all(form.limit(start) == start))
    return form if form.bits == 16 and (held or form.offset.any()) else None


def start_within(form: Format, start: Floats) -> Floats:
    """The start of a state, nearer to the format's offset in all elements alike where one is out of range otherwise.

    What has changed since is then too little, but in proportion: what a layer makes of it has the same sign.
    """
    if not form.offset.any():
        return start
    offset = form.offset_for(start.size).reshape(start.shape)
    room = form.scale_for(start.size).reshape(start.shape) * form.hi
    return np.asarray(offset + (start - offset) / max(1.0, float(np.max(np.abs(start - offset) / room, initial=0.0))))


def less_offsets(net: Net, ranges: Ranges) -> tuple[Net, Ranges] | None:
    """The net whose states remember inputs less their offsets, and its ranges; None where none does so already with them."""
    offsets = {
        op.inputs[0]: (op.outputs[0], -op.offset) for op in net.ops if isinstance(op, Offset) and op.offset.any()
    }
    whole = {n: x for x, (less, offset) in offsets.items() for op in net.ops for n in _restored(op, less, offset)}
    feedback = tuple(replace(f, next=whole.get(f.next, f.next)) for f in net.feedback)
    changed = replace(net, feedback=feedback)
    origins = {f.state.name: input_of(changed, f) for f in feedback}
    names = {state: x for state, x in origins.items() if x in offsets}
    if not names:
        return None
    carrier = Carrier(changed, {n: v.shape for n, v in net.values.items()}, {})
    known = ranges.copied()
    for state, x in names.items():
        fresh, offset = f"{state}.less", offsets[x][1]
        kind = free_name("offset", (*net.ops, *carrier.ops))
        carrier.ops.append(Offset(kind, (state,), (fresh,), offset=-offset))
        carrier.less[fresh], carrier.shapes[fresh] = offset.ravel(), carrier.shapes[state]
        known.also(fresh, state)
    for op in net.ops:
        carrier.add(replace(op, inputs=tuple(f"{n}.less" if n in names else n for n in op.inputs)))
    found = _read(carrier.finished(feedback))
    return found, shifted(known, carrier.less, {n: fresh for (n, _), fresh in carrier.restored.items()})


def _restored(op: Op, less: str, offset: Floats) -> tuple[str, ...]:
    """The outputs of an op that gives an input as it was, of what it is less its offset."""
    back = isinstance(op, Affine) and bool(np.all(op.gain == 1)) and (op.lo, op.hi) == (-np.inf, np.inf)
    if op.inputs != (less,) or not isinstance(op, Affine | Offset) or not (back or isinstance(op, Offset)):
        return ()
    return op.outputs if op.offset.shape == offset.shape and bool(np.all(op.offset == offset)) else ()


def _read(net: Net) -> Net:
    """The net without the copies of inputs that nothing reads any more."""
    used = {n for op in net.ops for n in op.inputs} | {o.value for o in net.outputs} | {f.next for f in net.feedback}
    return replace(
        net, ops=tuple(op for op in net.ops if not isinstance(op, Affine | Offset) or used.intersection(op.outputs))
    )
