"""Advice in plain sentences: what limits the network's accuracy, and what would improve it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnnc.backend.program import Program
from rnnc.flags import addressed
from rnnc.options import Options
from rnnc.verification.attribution import Attribution, Loss
from rnnc.verification.cause import RARELY, given_by, widen
from rnnc.verification.occupancy import Occupancy
from rnnc.verification.verdict import Verdict
from rnnc.verification.verify import Verification

FEW_STEPS = 512
HARDLY_USED = 1 / 16
MOST_NAMED = 3
DOMINATES = 3.0
"""A part explains the loss of its layer if it comes within so many dB."""
EIGHT_BITS = "Profile a8 feeds back 8 bits: for forecasts and slow signals use a16."
GOOD_ENOUGH = 60.0
"""Above so many dB no layer is named."""


def advice(
    program: Program,
    options: Options,
    calibrated: bool,
    verified: Verification | None,
    attribution: Attribution | None,
    verdict: Verdict | None = None,
) -> list[str]:
    """Return the advice, the most important first."""
    found = [
        *_of_verification(verified),
        *restart_cautions(program),
        *_of_ranges(options, calibrated, verified, verdict),
        *(_layers(attribution, options, calibrated) if attribution else ()),
        *(_rare(verified.measured.occupancy) if verified else ()),
        *([EIGHT_BITS] if options.precision == "a8" else ()),
    ]
    return [addressed(text) for text in found] or ["Nothing stands out."]


def _of_verification(verified: Verification | None) -> Iterator[str]:
    if verified is None:
        yield "Nothing was compared: without --no-verify the C runs on this machine and is compared with onnxruntime."
    elif verified.difference:
        yield f"The C differs from the oracle ({verified.difference}): do not use it, and report it."


def _of_ranges(
    options: Options, calibrated: bool, verified: Verification | None, verdict: Verdict | None
) -> Iterator[str]:
    """The verdict, and what the data make of the ranges."""
    if verdict and verdict.cure:
        yield f"{verdict.text[0].upper()}{verdict.text[1:]}. {verdict.cure}"
    if not calibrated:
        yield (
            "Ranges come from noise and weights are rounded to nearest. --calib DATA with a few thousand typical steps fits "
            "the ranges and rounds the weights for these data, which gains about 10 dB."
        )
    if verified:
        occupancy = verified.measured.occupancy
        yield from range_cautions([o for o in occupancy if not o.producer and not o.state], options, calibrated)
        yield from verdict.states if verdict else ()
        yield from _inner(occupancy)
        if verified.measured.steps < FEW_STEPS:
            yield f"Only {verified.measured.steps} steps were compared: --input DATA of rnnc verify takes more."


def restart_cautions(program: Program) -> Iterator[str]:
    """Yield a caution for a network that was trained on windows and continues past them."""
    steps = program.qnet.net.restarts
    if steps:
        yield (
            f"the network starts anew every {steps} steps in the file; this C goes on, which the file never does. For the "
            f"file's answers call {program.name}_reset every {steps} steps, or compile with --window {steps} --hop K: the "
            f"answer to the newest {steps} frames every K steps."
        )


def range_cautions(inputs: Sequence[Occupancy], options: Options, calibrated: bool) -> Iterator[str]:
    """Yield a caution for each input that is clipped more than rarely, or hardly uses its range."""
    for o in inputs:
        if o.share_saturated >= RARELY:
            cure = widen(o.value, options)
            yield f"Input {o.value} was clipped in {_share(o)}{_channels(o)}: it holds {o.room}. {cure}"
        elif not o.saturated.any() and o.used < HARDLY_USED and o.value not in options.input_affine:
            bits = int(-np.log2(max(o.used, 2**-15)))
            cure = _narrower(o.value, options, calibrated)
            yield f"Input {o.value} uses {o.used:.2g} of its range: {bits} of 16 bits lie idle.{cure}"


def _inner(occupancy: Sequence[Occupancy]) -> Iterator[str]:
    """Yield the inner values that are clipped more than rarely, the worst ones by name."""
    clipped = sorted(
        (o for o in occupancy if o.producer and not o.state and o.share_saturated >= RARELY),
        key=lambda o: -o.share_saturated,
    )
    if clipped:
        worst = ", ".join(f"{o.value} in {_share(o)} (it holds {o.room})" for o in clipped[:MOST_NAMED])
        more = f", and {len(clipped) - MOST_NAMED} more" if len(clipped) > MOST_NAMED else ""
        yield f"Values within the network were clipped: {worst}{more}. Calibrate with data that drives it as far."


def _rare(occupancy: Sequence[Occupancy]) -> Iterator[str]:
    rare = [o.value for o in occupancy if 0 < o.share_saturated < RARELY]
    if rare:
        yield f"Clipped less than once in {round(1 / RARELY):,} numbers, which hardly matters: {', '.join(rare)}."


def _share(o: Occupancy) -> str:
    return f"{o.share_saturated:.2%} of its numbers"


def _narrower(name: str, options: Options, calibrated: bool) -> str:
    given = given_by(name, options)
    if given:
        return f" {given} {name}=... sets it: a narrower range uses them."
    return "" if calibrated else " --calib or --input-range uses them."


def _channels(o: Occupancy) -> str:
    if o.saturated.size == 1:
        return ""
    worst = np.argsort(-o.saturated, kind="stable")[:3]
    named = ", ".join(str(int(i)) for i in worst if o.saturated[i])
    return f" (elements {named} most)" if int((o.saturated > 0).sum()) > 3 else f" (elements {named})"


def _layers(attribution: Attribution, options: Options, calibrated: bool) -> Iterator[str]:
    worst = attribution.worst
    if worst is None or worst.layer is None or (attribution.network or 0) >= GOOD_ENOUGH:
        return
    text = f"{worst.name} ({worst.what}) loses most: with only this layer in integers, {worst.layer:.1f} dB remain"
    yield f"{text}. {_cure(worst, options, calibrated)}"


def _cure(worst: Loss, options: Options, calibrated: bool) -> str:
    layer = worst.layer or 0.0
    if worst.weights is not None and worst.weights < layer + DOMINATES:
        if not calibrated:
            return "The cause is the rounding of its weights: calibration data improve it."
        more = "" if options.search else "; --search 8 tries other row scales and keeps the best"
        return f"The cause is the rounding of its weights, 8 bits each: longer calibration data may help{more}."
    if worst.weights is None and worst.tables is None and worst.activations is not None:
        return "The cause is the input's own resolution and range."
    if worst.tables is not None and worst.tables < layer + DOMINATES:
        return "The cause is the tables of its functions, which cannot be finer."
    if options.precision == "a8":
        return "The cause is the resolution of its activations: a16 has 256 times as much."
    return "The cause is the resolution of its activations: data that fit the ranges more closely help."
