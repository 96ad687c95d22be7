"""The number format of each input: what the user says of it, or what calibration data need, channel by channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import DataError
from rnnc.fixed import Floats, Format
from rnnc.net import Array, Net, Value
from rnnc.ops.offset import Offset
from rnnc.ops.reshape import Reshape
from rnnc.ops.scale import Scale
from rnnc.options import Options, input_q
from rnnc.quantization.channels import by_channel

DEFAULT_INPUT_FRACTION = 11
"""Inputs that nothing is known about are Q4.11, +-16."""
INPUT_HEADROOM = 2.0
PEAKED = 0.9
"""A channel may become as peaked as this quantile of the channels is in the calibration data, up to twice its own peak."""
MANY = 10
"""Of fewer channels that quantile would be the most peaked one: their own peaks count."""
INPUT_FLOOR = 1 / 256
"""Of the largest channel: the least range of one of many channels that calibration data leave at rest mostly."""
AT_REST = 16.0
"""A channel whose peak is more than so many times its RMS is at rest mostly."""
UNSEEN_FLOOR = 1 / 4
"""Of the largest channel: the range of a channel that calibration data leave at zero throughout."""


def offset_of(net: Net, value: Value) -> Floats:
    """What an input is read less, ``[elements]``: 0 where it is read as it is."""
    for op in net.ops:
        if isinstance(op, Offset) and op.inputs == (value.name,):
            return -op.offset.ravel()
    return np.zeros(value.size)


def effects(net: Net, value: Value) -> Floats:
    """The largest weight that meets each element of an input in rows that read it, ``[elements]``; 0 where none is known."""
    found = np.zeros(value.size)
    todo = [(value.name, np.ones(value.size))]
    while todo:
        name, gain = todo.pop()
        for op in net.ops:
            if name not in op.inputs:
                continue
            weights = op.column_weights(op.inputs.index(name))
            if weights is not None:
                found = np.maximum(found, np.abs(weights).max(0) * gain)
            elif isinstance(op, Offset | Reshape):
                todo.append((op.outputs[0], gain))
            elif isinstance(op, Scale):
                todo.append((op.outputs[0], gain * op.gain.ravel()))
    return found


def input_format(net: Net, value: Value, calibration: Mapping[str, Sequence[Array]] | None, options: Options) -> Format:
    """The format of an input, with the offset that the net reads it less.

    Raises DataError where the calibration data leave it at zero, UsageError where an option has too few or many channels.
    """
    name, offset = value.name, offset_of(net, value)
    if value.dtype == "index":
        return Format.rows(value.rows)
    if name in options.input_format:
        return Format.q(*input_q(options.input_format[name]))
    if name in options.input_affine:
        scale = by_channel("--input-affine", value, options.input_affine[name][0])
        return Format(16, scale, 0, -32768, 32767, offset=offset)
    if name in options.input_range:
        ends = [by_channel("--input-range", value, end) for end in options.input_range[name]]
        return Format(16, np.abs(np.stack(ends) - offset).max(0) / 32767, offset=offset)
    if calibration is None:
        return Format.q(DEFAULT_INPUT_FRACTION)
    seen = np.concatenate([s.reshape(len(s), -1) for s in calibration[name]]).astype(np.float64)
    if not seen.any():
        raise DataError(f"input {name!r} is zero throughout the calibration data")
    room = INPUT_HEADROOM * expected_peak(np.abs(seen - offset))
    still = (offset != 0) & (np.ptp(seen, axis=0) == 0)
    return Format(
        16, np.where(still, _room_at_rest(effects(net, value), room, offset, still), room) / 32767, offset=offset
    )


def _room_at_rest(weights: Floats, room: Floats, offset: Floats, still: NDArray[np.bool_]) -> Floats:
    """What channels that never moved have room for: as much effect as the others had, and no more than their own size."""
    known = ~still & (weights > 0)
    most = np.abs(offset)
    if not known.any():
        return most
    effect = (weights * room)[known].max()
    return np.asarray(np.minimum(most, np.where(weights > 0, effect / np.maximum(weights, 1e-30), most)))


def expected_peak(seen: Floats) -> Floats:
    """The largest magnitude of each channel, ``[channels]``, given the magnitudes ``[n, channels]`` of calibration data.

    A channel that moves has a unit of its own, however small beside the others. One of many whose peak is low beside its
    RMS, as others' are not, has not met its loudest frame yet (spectra, mostly).
    """
    peak, rms = seen.max(0), np.sqrt((seen**2).mean(0))
    if not peak.any():
        return np.asarray(peak)
    known = peak[peak > 0]
    largest = known.max() if known.max() * INPUT_FLOOR <= np.median(known) else np.median(known)
    peak_or_floor = np.where(peak == 0, UNSEEN_FLOOR * largest, peak)
    if len(peak) < MANY:
        return np.asarray(peak_or_floor)
    crest = np.quantile((peak / np.maximum(rms, 1e-30))[peak > 0], PEAKED)
    floor = np.where(peak > AT_REST * rms, INPUT_FLOOR * peak.max(), 0.0)
    return np.asarray(np.maximum(np.clip(crest * rms, peak_or_floor, 2 * peak_or_floor), floor))
