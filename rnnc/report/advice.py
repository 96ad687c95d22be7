"""Plain sentences: what limits the network's accuracy, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnnc.backend.program import Program
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
"""dB within which a part explains what its layer loses."""
GOOD_ENOUGH = 60.0
"""dB above which nobody asks what could be better."""


def advice(
    program: Program,
    options: Options,
    calibrated: bool,
    verified: Verification | None,
    attribution: Attribution | None,
    verdict: Verdict | None = None,
) -> list[str]:
    """The most important first; empty where there is nothing to say."""
    found = list(_found(program, options, calibrated, verified, attribution, verdict))
    return found or ["Nothing stands out."]


def _found(
    program: Program,
    options: Options,
    calibrated: bool,
    verified: Verification | None,
    attribution: Attribution | None,
    verdict: Verdict | None = None,
) -> Iterator[str]:
    if verified is None:
        yield "Nothing was compared: without --no-verify the C is run on this machine and held against onnxruntime."
    elif verified.difference:
        yield f"The C differs from the oracle ({verified.difference}): do not use it, and report it."
    yield from restart_cautions(program)
    if verdict and verdict.cause:
        yield f"{verdict.text[0].upper()}{verdict.text[1:]}. {verdict.cure}"
    if not calibrated:
        yield (
            "Ranges come from noise and weights are rounded to nearest. --calib DATA with a few thousand typical steps fits "
            "the ranges and rounds weights against what flows through them, which is worth about 10 dB."
        )
    if verified:
        occupancy = verified.measured.occupancy
        yield from range_cautions([o for o in occupancy if not o.producer and not o.state], options, calibrated)
        yield from verdict.states if verdict else ()
        yield from _inner(occupancy)
        if verified.measured.steps < FEW_STEPS:
            yield f"Only {verified.measured.steps} steps were compared: --input DATA of rnnc verify takes more."
    if attribution:
        yield from _layers(attribution, options, calibrated)
    if verified:
        yield from _rare(verified.measured.occupancy)
    if options.precision == "a8":
        yield "Profile a8 feeds back 8 bits: for forecasts and slow signals take a16."


def restart_cautions(program: Program) -> Iterator[str]:
    """What to know of a network that was trained on windows and goes on past them."""
    steps = program.qnet.net.restarts
    if steps:
        yield (
            f"the network starts anew every {steps} steps in the file; this C goes on, which the file never does. For the "
            f"file's answers call {program.name}_reset every {steps} steps, or compile with --window {steps} --hop K: the "
            f"answer to the newest {steps} frames every K steps."
        )


def range_cautions(inputs: Sequence[Occupancy], options: Options, calibrated: bool) -> Iterator[str]:
    """What data say of the ranges of inputs: those that are clipped more than a little, or hardly use theirs."""
    for o in inputs:
        if o.share_saturated >= RARELY:
            cure = widen(o.value, options)
            yield f"Input {o.value} was clipped in {_share(o)}{_channels(o)}: it holds ±{_room(o)}. {cure}"
        elif not o.saturated.any() and o.used < HARDLY_USED and o.value not in options.input_affine:
            bits = int(-np.log2(max(o.used, 2**-15)))
            cure = _narrower(o.value, options, calibrated)
            yield f"Input {o.value} uses {o.used:.2g} of its range: {bits} of 16 bits lie idle.{cure}"


def _inner(occupancy: Sequence[Occupancy]) -> Iterator[str]:
    """Values within the network that are clipped more than a little, the worst named."""
    clipped = sorted(
        (o for o in occupancy if o.producer and not o.state and o.share_saturated >= RARELY),
        key=lambda o: -o.share_saturated,
    )
    if clipped:
        worst = ", ".join(f"{o.value} in {_share(o)} (it holds ±{_room(o)})" for o in clipped[:MOST_NAMED])
        more = f", and {len(clipped) - MOST_NAMED} more" if len(clipped) > MOST_NAMED else ""
        yield f"Values within the network were clipped: {worst}{more}. Calibrate with data that drives it as far."


def _rare(occupancy: Sequence[Occupancy]) -> Iterator[str]:
    rare = [o.value for o in occupancy if 0 < o.share_saturated < RARELY]
    if rare:
        yield f"Clipped less than once in {round(1 / RARELY):,} numbers, which hardly matters: {', '.join(rare)}."


def _share(o: Occupancy) -> str:
    return f"{o.share_saturated:.2%} of its numbers"


def _room(o: Occupancy) -> str:
    return f"{float(o.available.max()):.4g}{' around its offset' if o.format.offset.any() else ''}"


def _narrower(name: str, options: Options, calibrated: bool) -> str:
    given = given_by(name, options)
    if given:
        return f" {given} {name}=... says so: a narrower one puts them to use."
    return "" if calibrated else " --calib, or --input-range, puts them to use."


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
    text = f"{worst.name} ({worst.what}) costs most: in integers alone it leaves {worst.layer:.1f} dB"
    yield f"{text}. {_cure(worst, options, calibrated)}"


def _cure(worst: Loss, options: Options, calibrated: bool) -> str:
    layer = worst.layer or 0.0
    if worst.weights is not None and worst.weights < layer + DOMINATES:
        if not calibrated:
            return "It is the rounding of its weights: calibration data is what improves that."
        more = "" if options.search else "; --search 8 tries other row scales and keeps the best"
        return f"It is the rounding of its weights, 8 bits each: longer calibration data may help{more}."
    if worst.weights is None and worst.tables is None and worst.activations is not None:
        return "It is the input's own resolution and range."
    if worst.tables is not None and worst.tables < layer + DOMINATES:
        return "It is the tables of its functions, which are as fine as they get."
    if options.precision == "a8":
        return "It is the resolution of its activations: a16 has 256 times as much."
    return "It is the resolution of its activations: data that fits the ranges more closely helps."
