"""What the integers are worth on data that are run for another purpose than to verify: simulated, benched, tuned on.

Answers that are there already cost one run of onnxruntime to judge. Why they are no better than fair is looked for over the
first steps only, as that takes many runs in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnc.fixed import Floats
from rnnc.package import Package
from rnnc.quantization.calibrate import Sequences
from rnnc.verification.cause import diagnose
from rnnc.verification.metrics import difference
from rnnc.verification.occupancy import Occupancy, input_occupancy
from rnnc.verification.reference import Reference, run_reference
from rnnc.verification.session import Session
from rnnc.verification.verdict import Verdict, judge
from rnnc.verification.verify import Measurement, OutputFigures, import_problem, measure

MOST_OP_STEPS, MOST_MACS = 3_000, 5e8
"""What the first steps may cost: how often ops step, and multiply-accumulates."""
FARTHER = 4
"""So many times as many are tried where those show nothing."""
FEWEST_STEPS, MOST_SEQUENCES = 256, 16
WHY = "rnnc verify with these data as --input says why."


@dataclass(frozen=True, eq=False)
class _Answers:
    outputs: tuple[OutputFigures, ...]
    occupancy: tuple[Occupancy, ...]


def judge_answers(package: Package, sequences: Sequences, answers: Mapping[str, Sequence[Floats]]) -> str:
    """What to tell of the integers' answers to sequences, ``[ticks, size]`` of each by output; "" where they are good.

    Raises RnncError where onnxruntime cannot be asked.
    """
    qnet = package.program.qnet
    reference = run_reference(Session(package.model.content, qnet.net, package.options), sequences)
    if any(start for _, start in reference.origins):  # pieces from reset, past which the answers go on
        return judge_start(package, sequences)
    seen = _Answers(_figures(package, reference, answers), input_occupancy(qnet, sequences))
    whole = judge(qnet, seen, of_user=False)
    if whole.level in (None, "good"):
        return ""
    over = f"over all {_count(sequences):,} steps"
    for share in (1, FARTHER):
        measured = _measure_start(package, sequences, share)
        early = judge(qnet, measured, of_user=False)
        if measured.import_fault or measured.float32.parts_at is not None:
            return _warning(package, measured, early, "")
        if early.level not in (None, "good"):
            return _warning(package, measured, whole, over)
    return f"{whole.level} {over}: {whole.why}; the first {measured.steps:,} are good. {WHY}"


def judge_start(package: Package, sequences: Sequences) -> str:
    """What to tell of the integers over the first steps of sequences; "" where they are good.

    Raises RnncError where onnxruntime cannot be asked.
    """
    measured = _measure_start(package, sequences)
    return _warning(package, measured, judge(package.program.qnet, measured, of_user=False), "")


def _figures(
    package: Package, reference: Reference, answers: Mapping[str, Sequence[Floats]]
) -> tuple[OutputFigures, ...]:
    net, found = package.program.qnet.net, []
    for o in net.outputs:
        points, kept = reference.outputs[o.name], [answers[o.name][i] for i, _ in reference.origins]
        r, y, index = points.reference, points.of(kept), net.values[o.value].dtype == "index"
        found.append(OutputFigures(o.name, points, y, difference(r, y, index=index), None))
    return tuple(found)


def _measure_start(package: Package, sequences: Sequences, share: float = 1) -> Measurement:
    qnet, model = package.program.qnet, package.model.content
    net, lanes = qnet.net, min(MOST_SEQUENCES, len(next(iter(sequences.values()))))
    macs = sum(call.macs for op in qnet.ops for call in op.calls())
    most = int(share * min(MOST_OP_STEPS / max(len(qnet.ops), 1), MOST_MACS / max(macs * lanes, 1)))
    if net.overlaps:
        most = most * net.every // net.window
    whole = Session(model, net, package.options).fixed_time or 0
    steps = max(most, FEWEST_STEPS, whole, net.window + net.every)
    first = {name: [s[:steps] for s in all_[:lanes]] for name, all_ in sequences.items()}
    return measure(model, net, qnet, package.ranges, first, package.options)


def _warning(package: Package, measured: Measurement, verdict: Verdict, over: str) -> str:
    """The verdict with the cause that the first steps show; ``over``: what it is of, "" for these steps themselves."""
    if measured.import_fault:
        return import_problem(measured)
    calibration = package.data.sequences if package.ranges.measured else None
    found = diagnose(verdict, package.program.qnet, measured, package.options, calibration, measured.float32.parts_at)
    if not found.cause:
        return ""
    first = f"over the first {measured.steps:,} steps"
    where = f"{over}, its cause {first}" if over else first
    return f"{found.level} {where}: {found.why}; {found.cause}. {found.cure}"


def _count(sequences: Sequences) -> int:
    return sum(map(len, next(iter(sequences.values()))))
