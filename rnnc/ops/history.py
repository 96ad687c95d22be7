"""The newest frames of a value, kept from step to step: what convolutions and pools over time read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.clock import Timing
from rnnc.errors import Refused
from rnnc.fixed import Format
from rnnc.net import MOST_COUNTED, Array, State
from rnnc.ops.geometry import Geometry
from rnnc.qnet import Arg, KernelCall, QState
from rnnc.tracing import InitialState


def history_state(name: str, geometry: Geometry, initial: InitialState | None = None, fill: float = 0.0) -> State:
    """The state: ``[frames, size]``, oldest first, ``fill`` or what the graph keeps in a cache of its own.

    Raises Refused where it is longer than the C can count.
    """
    shape = (geometry.frames, geometry.size)
    if max(shape) > MOST_COUNTED:
        what = (
            f"looks {geometry.frames - 1:,} steps of {geometry.size:,} elements back: the C counts to {MOST_COUNTED:,}"
        )
        raise Refused(what, where=name, hint="Shorten the kernel, its dilation, or the padding.")
    if initial is None:
        return State(name, shape, np.full(shape, fill))
    return State(name, shape, initial.value.reshape(shape), initial.alias, initial.window)


def history_qstate(state: State, form: Format) -> QState:
    """The same in integers: filled with the zero point where nothing has come yet."""
    scale = np.tile(form.scale_for(state.shape[1]), state.shape[0])
    whole = replace(form, scale=scale)
    return QState(state.name, state.shape, whole, whole.quantize(state.initial), state.alias, state.window)


def push_call(name: str, geometry: Geometry, form: Format, outside: int) -> KernelCall:
    """Push input 0, or past its end ``outside``, into the history ``name``."""
    return KernelCall(
        "rnnc_history",
        "history.h",
        "rnnc_history_params",
        (("frames", geometry.frames), ("size", geometry.size), ("bits", form.bits), ("outside", outside)),
        (Arg("input", "0"), Arg("state", name)),
        when="tick",
    )


def newest(history: Array, x: Array) -> Array:
    """The history ``[lanes, frames, size]`` one frame ``[lanes, ...]`` later."""
    return np.concatenate([history[:, 1:], x.reshape(len(x), 1, -1)], axis=1)


def due_ticks(x: Array, timing: Timing, tick: int) -> Array:
    """Of ticks ``[ticks, lanes, ...]``, the first of which is ``tick``, those that give a value: ``[due, lanes, size]``."""
    due = [k for k in range(len(x)) if timing.due(tick + k)]
    return x.reshape(*x.shape[:2], int(np.prod(x.shape[2:])))[due]
