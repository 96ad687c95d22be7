"""The number format of each input: what the user says of it, or what calibration data need, channel by channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnnc.errors import DataError
from rnnc.fixed import Floats, Format
from rnnc.net import Array, Net, Value
from rnnc.ops.offset import Offset
from rnnc.options import Options
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


def input_format(
    value: Value, offset: Floats, calibration: Mapping[str, Sequence[Array]] | None, options: Options
) -> Format:
    """The format of an input that is read less ``offset [elements]``.

    Raises DataError where the calibration data leave it at zero, UsageError where an option has too few or many channels.
    """
    name = value.name
    if value.dtype == "index":
        return Format.rows(value.rows)
    if name in options.input_format:
        return Format.q(options.input_format[name])
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
    peak = expected_peak(np.abs(seen - offset))
    still = (offset != 0) & (np.ptp(seen, axis=0) == 0)
    return Format(16, np.where(still, np.abs(offset), INPUT_HEADROOM * peak) / 32767, offset=offset)


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
