"""How wide weights and gates are, why, and what it takes: as JSON, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnc.fixed import FINER, GATE_FRACTION
from rnnc.ops.units import QRecurrent
from rnnc.qnet import QNet
from rnnc.quantization.choice import Choice
from rnnc.quantization.survey import BlockCost
from rnnc.verification.attribution import Attribution
from rnnc.verification.verify import Verification

GAP = 5.0
"""dB that held-out data may stay below the calibration data without a word."""
UNLIKE = "They are not alike, or the calibration data are few; weights are rounded for what these show."
MOST_NAMED = 8
FINE_COST = "some 1 to 6 % more instructions; with gates in vectors, as on cortex-m55, up to twice as many"


def widths_content(choice: Choice, qnet: QNet) -> dict[str, Any]:
    """Which blocks are int16; bytes of weights, and of a build without those that were chosen; dB on the calibration data."""
    return {
        "wide": [b.name for b in qnet.blocks if b.wide],
        "fine": sorted(choice.fine),
        "bytes": choice.size.target,
        "bytes_unwidened": choice.narrow_size.target,
        "target_db": choice.target,
        "calibration_db": _rounded(choice.reached),
        "calibration_outputs_db": {name: _rounded(db) for name, db in choice.decibels.items()},
        "calibration_db_unwidened": _rounded(choice.narrow_reached),
    }


def blocks_content(costs: Sequence[BlockCost], qnet: QNet) -> list[dict[str, Any]]:
    """Each block of weights: SQNR at the worst output if it alone is int8, and all that is rounded."""
    wide = {b.name for b in qnet.blocks if b.wide}
    return [
        {"name": c.name, "weights": c.block.weights, "bits": 16 if c.name in wide else 8, "int8_db": _rounded(c.db)}
        for c in costs
    ]


def wide_names(qnet: QNet) -> str:
    """The int16 blocks in words: whole layers by their name."""
    layers: dict[str, list[bool]] = {}
    for b in qnet.blocks:
        layers.setdefault(b.name.split(".")[0], []).append(b.wide)
    names = [layer for layer, wide in layers.items() if all(wide)]
    names += [b.name for b in qnet.blocks if b.wide and b.name.split(".")[0] not in names]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def target_notes(choice: Choice, qnet: QNet) -> list[str]:
    """Which gates are wide, which blocks were not tried, and what became of --min-sqnr where it was asked for."""
    return [*_wide_gates(qnet), *_untried(choice), *_reached(choice, qnet)]


def _wide_gates(qnet: QNet) -> list[str]:
    return [
        f"{op.name} ({op.op.describe()}) keeps nearly all of its state from step to step: its gates have 30 fraction bits "
        "for that, and a step takes more instructions than with 15"
        for op in qnet.ops
        if isinstance(op, QRecurrent) and op.unit.long
    ]


def _untried(choice: Choice) -> list[str]:
    left = [cost.name for cost in choice.costs if not cost.tried]
    if not left:
        return []
    what = f"{len(left)} of {len(choice.costs)} blocks of weights, the largest, were not tried in int16"
    taken = f"{len(choice.wide.intersection(left))} of these are int16 all the same, the smallest first"
    return [f"{what}: the network feeds so much back that each trial is slow. {taken}; --weights 16 takes all"]


def _reached(choice: Choice, qnet: QNet) -> list[str]:
    if choice.target is None or choice.reached is None or choice.narrow_reached is None:
        return []
    asked = f"--min-sqnr {choice.target:g}:"
    narrow, added = choice.narrow_size.target, choice.size.target - choice.narrow_size.target
    if not added:
        return [f"{asked} {choice.reached:.1f} dB on the calibration data without any more int16 weights"]
    takes = f"{added:,} B more weights (+{added / narrow:.1%}), int16 in {wide_names(qnet)}{_finer(choice)}"
    verb = "give" if choice.reached >= choice.target else "give no more than"
    return [
        f"{asked} {takes}, {verb} {choice.reached:.1f} dB on the calibration data, where int8 gives "
        f"{choice.narrow_reached:.1f}"
    ]


def _finer(choice: Choice) -> str:
    """The layers of the finer form, and what it costs."""
    if not choice.fine:
        return ""
    layers = ", ".join(sorted(choice.fine))
    return f", and preactivations of {GATE_FRACTION + FINER} fraction bits in {layers} ({FINE_COST})"


def missed(choice: Choice, verified: Verification, least: float) -> list[str]:
    """Each output of less than ``least`` dB, and what it has on the calibration data where these reach it."""
    found = verified.problems(least)
    for name, calibration, db in _parted(choice, verified, 0.0):
        if db < least <= calibration:
            found.append(f"on the calibration data {name!r} has {calibration:.1f} dB, {calibration - db:.1f} dB more")
    return found


def what_limits(choice: Choice, attribution: Attribution | None, *, all_wide: bool, calibrated: bool) -> str:
    """Why --min-sqnr is not reached, and what to do: other data than the calibration's, or what costs most.

    Args:
        all_wide: all weights are int16.
        calibrated: with the user's own data.
    """
    if choice.target is None:
        return ""
    if choice.reached is not None and choice.reached >= choice.target:
        wider = "" if all_wide else ", or widen more than those ask for: --weights 16"
        return f"{UNLIKE} Give --calib more recordings, such as these{wider}."
    worst = attribution.worst if attribution else None
    first = "" if calibrated or all_wide else "Without --calib nothing is widened: give recordings. "
    if worst is None or worst.layer is None:
        return f"{first}rnnc verify --by-layer says what limits it."
    parts = {"weights": worst.weights, "activations and arithmetic": worst.activations, "tables": worst.tables}
    known = {part: db for part, db in parts.items() if db is not None}
    part = min(known, key=lambda p: known[p], default="")
    return (
        f"{first}{worst.name} limits it: alone it leaves {worst.layer:.1f} dB{f', by its {part} most' if part else ''}."
    )


def gap_cautions(choice: Choice, verified: Verification | None, *, tested: bool) -> list[str]:
    """What to say where held-out data do far worse than the calibration data, nothing where they do not.

    Nor where an output misses the target that the calibration data reach: the error says it (``missed``).
    """
    parted = _parted(choice, verified, GAP) if tested and verified else []
    if choice.target is None or not parted or any(db < choice.target <= known for _, known, db in parted):
        return []
    each = ", ".join(f"{name} {known:.1f} and {db:.1f} dB ({known - db:.1f} less)" for name, known, db in parted)
    return [f"on the calibration data and on these: {each}. {UNLIKE} Give --calib more recordings."]


def _parted(choice: Choice, verified: Verification, least: float) -> list[tuple[str, float, float]]:
    """The outputs that have so many dB less on what was verified: by name, dB on the calibration data, and dB on these."""
    found = [(o.name, choice.decibels.get(o.name), o.difference.sqnr_db) for o in verified.measured.outputs]
    return [(n, known, db) for n, known, db in found if known is not None and db is not None and known - db > least]


def _rounded(db: float | None) -> float | None:
    return None if db is None else float(f"{db:.5g}")
