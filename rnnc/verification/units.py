"""Channels that do not fit the LSB that they have: units that are unlike, or an offset that takes the range."""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Floats
from rnnc.quantization.heads import UNLIKE

NORMALISE = "Feed it normalised by channel, (x - mean) / deviation, or make an input of its own of each quantity."
BY_CHANNEL = (
    "calibration data give each channel its own scale and offset, as does --input-affine INPUT=S0/S1/..,O0/O1/.."
)
APART = (
    "Give each quantity an output of its own, or let the network scale the channels to like ranges, and undo that in the "
    "firmware."
)
DIFFERENCE = "Let the network answer with the difference from its mean, and add the mean in the firmware."
NARROW = "Its range is wide for what it does: calibrate with data like these."


def crowded_input(name: str, seen: Floats, scale: Floats, given: str, *, calibrated: bool) -> tuple[str, str]:
    """What is wrong with an input ``[n, channels]`` of which the rounding costs most, and what to do.

    Args:
        given: the option that sets its format, "" where data or the default do.
        calibrated: there are calibration data.
    """
    words, fault = _crowding("input", name, seen, scale, None)
    if fault == "wide":
        return words, NARROW
    by_channel = BY_CHANNEL.replace("INPUT", name)
    if given:
        return words, f"Leave out {given} {name}=...: {by_channel}."
    return words, NORMALISE if calibrated else f"Give --calib DATA: {by_channel}."


def crowded_output(name: str, reference: Floats, scale: Floats, channel: int | None, given: str) -> tuple[str, str]:
    """The same of an output, of which ``channel`` was found too coarse; ``given``: the option that sets its format, or ""."""
    words, fault = _crowding("output", name, reference, scale, channel)
    if given and fault != "wide":
        return words, f"Leave out {given} {name}=...: each channel gets a scale and an offset of its own then."
    return words, {"units": APART, "offset": DIFFERENCE, "wide": NARROW}[fault]


def _crowding(what: str, name: str, x: Floats, scale: Floats, channel: int | None) -> tuple[str, str]:
    """In words, and which of "units", "offset", "wide" it is."""
    span, reach = np.ptp(x, axis=0), np.abs(x).max(0)
    k = int(np.argmin(np.where(span > 0, span, np.inf) / scale)) if channel is None else channel
    most = int(np.argmax(reach))
    one = name if len(span) == 1 else f"{name}[{k}]"
    varies = f"{one} varies by {span[k]:.3g}, {span[k] / scale[k]:,.3g} of its LSBs"
    if reach[most] > UNLIKE * reach[k]:
        loud = f"{name}[{most}] reaches {reach[most]:.6g}"
        return f"channels of unlike units share the range of {what} {name}: {varies}, and {loud}", "units"
    if reach[k] > UNLIKE * span[k]:
        return f"an offset takes the range of {what} {name}: {varies}, around {x[:, k].mean():.6g}", "offset"
    loud_span = int(np.argmax(span))
    if span[loud_span] > UNLIKE * span[k]:
        return (
            f"channels of unlike units share the range of {what} {name}: {varies}, and {name}[{loud_span}] by "
            f"{span[loud_span]:.3g}",
            "units",
        )
    return f"{what} {name} hardly uses its range: {varies}", "wide"
