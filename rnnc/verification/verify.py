"""The three comparisons, each error where it belongs.

import          the net in float64 against onnxruntime
quantization    the integers against onnxruntime, and against the net with the same quantized weights
code            the C against the integers: bit for bit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rnnc.backend.program import Program
from rnnc.fixed import Floats
from rnnc.net import Array, Net
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, Sequences
from rnnc.streams import run_net
from rnnc.verification.batches import Batch, batches, by_sequence
from rnnc.verification.host import HostPackage, Mismatch, OracleRun, first_difference, run_oracle
from rnnc.verification.locate import locate
from rnnc.verification.matching import Span
from rnnc.verification.metrics import ErrorFigures, difference, sqnr_db
from rnnc.verification.occupancy import Counting, Occupancy
from rnnc.verification.reference import Points, run_reference
from rnnc.verification.score import Recorded, Task
from rnnc.verification.session import Session
from rnnc.verification.single import Fault, Float32, judge, run_single, with_sources
from rnnc.verification.warm_up import WarmUp


@dataclass(frozen=True)
class OutputFigures:
    """How far one output's integers are from onnxruntime.

    Args:
        asked: where onnxruntime was asked, and what it answered, as far as that can be judged (``single``).
        got: what the integers say there, ``[points, size]``, real units.
        same_weights: SQNR against the net with the same weights; None where that is not asked for.
    """

    name: str
    asked: Points
    got: Floats
    difference: ErrorFigures
    same_weights: float | None

    @property
    def points(self) -> int:
        """How many values were compared."""
        return len(self.got)


@dataclass(frozen=True, eq=False)
class Measurement:
    """The integers and the net against onnxruntime.

    Args:
        steps: steps run in all.
        dropped: steps at the ends of sequences that a fixed length leaves over.
        spans: of each sequence that was run, which of the data's it is of, from which step on, and up to which.
        import_max_rel: worst output's max |net - onnxruntime| / max |onnxruntime| over what is judged, None for nothing.
        import_fault: where that is first more than float32 explains, None for nowhere.
        float32: how far the net in float32 is from itself in float64, and where they part.
        runs: what the oracle computed, for the C to be held against.
        occupancy: how much of each value's range was used.
        compared: in words, which use of the network.
    """

    steps: int
    dropped: int
    spans: tuple[Span, ...]
    import_max_rel: float | None
    import_fault: Fault | None
    float32: Float32
    outputs: tuple[OutputFigures, ...]
    runs: tuple[OracleRun, ...]
    occupancy: tuple[Occupancy, ...]
    compared: str

    @property
    def notes(self) -> list[str]:
        """What was left out, for the user."""
        left = f"{self.dropped} trailing steps do not fill a complete input block and were ignored"
        return [*([left] if self.dropped else []), *filter(None, [str(self.float32)])]

    @property
    def summary(self) -> str:
        """One line: the error of the integers against onnxruntime, for the banner of the generated files."""
        known = [f"{o.name} {o.difference.sqnr_db:.1f} dB" for o in self.outputs if o.difference.sqnr_db is not None]
        f = self.float32
        over = f"{self.steps} steps" if f.parts_at is None else f"{f.judged} values, until float32 and float64 part"
        return f"SQNR against onnxruntime over {over}: {', '.join(known)}" if known else ""


@dataclass(frozen=True, eq=False)
class Verification:
    """The measurement, where the C first differs from the oracle ("" for nowhere), and how well both do by the user's data.

    ``warm_up`` is of each output by name, as far as it was measured.
    """

    measured: Measurement
    difference: str
    task: Task | None = None
    recorded: tuple[Recorded, ...] = ()
    warm_up: Mapping[str, WarmUp] = field(default_factory=dict)

    def problems(self, min_sqnr: float | None = None) -> list[str]:
        """What is not as it must be; ``min_sqnr`` in dB."""
        found = []
        if self.difference:
            found.append(f"the C differs from the oracle: {self.difference}")
        if self.measured.import_fault:
            found.append(import_problem(self.measured))
        for o in self.measured.outputs:
            if min_sqnr is not None and o.difference.sqnr_db is not None and o.difference.sqnr_db < min_sqnr:
                found.append(f"SQNR of {o.name!r} is {o.difference.sqnr_db:.1f} dB, below {min_sqnr:g} dB")
        return found


def import_problem(measured: Measurement) -> str:
    """What is wrong with an import that is more than float32 explains from onnxruntime."""
    return f"the import differs from onnxruntime by {measured.import_max_rel:.3g}: first at {measured.import_fault}"


def measure(
    model: bytes,
    net: Net,
    qnet: QNet,
    ranges: Ranges,
    sequences: Sequences,
    options: Options,
    *,
    same_weights: bool = True,
) -> Measurement:
    """Run onnxruntime, the net, the net with quantized weights, and the integers over the same sequences.

    Args:
        same_weights: whether to run the net with quantized weights, which tells rounding of weights from all else.

    Raises DataError where the sequences are shorter than what the file takes at once.
    """
    reference = run_reference(Session(model, net, options), sequences)
    groups = batches(reference.sequences, net)
    counting = Counting(qnet, ranges.bounds)
    runs = tuple(run_oracle(qnet, batch, counting.observer(batch), counting.watcher(batch)) for batch in groups)
    integers = real_outputs(qnet, [(run.batch, run.outputs) for run in runs])
    watched, same = with_sources(net), _float(qnet.dequantized(), groups) if same_weights else {}
    judged = judge(net, _float(watched, groups), run_single(watched, groups), reference.outputs)
    figures = []
    for o in net.outputs:
        points, index = reference.outputs[o.name].kept(judged.kept[o.name]), net.values[o.value].dtype == "index"
        r, y = points.reference, points.of(integers[o.name])
        alike = None if index or not len(r) or not same else sqnr_db(points.of(same[o.name]), y)
        figures.append(OutputFigures(o.name, points, y, difference(r, y, index=index), alike))
    steps = sum(map(sum, (b.lengths for b in groups)))
    lengths = map(len, next(iter(reference.sequences.values())))
    return Measurement(
        steps,
        reference.dropped,
        tuple((i, start, start + n) for (i, start), n in zip(reference.origins, lengths, strict=True)),
        judged.error,
        judged.fault,
        judged.float32,
        tuple(figures),
        runs,
        counting.found(),
        reference.compared,
    )


def _float(net: Net, groups: Sequence[Batch]) -> dict[str, list[Floats]]:
    return by_sequence(net, [(b, run_net(net, b.inputs)) for b in groups])


def real_outputs(qnet: QNet, found: Sequence[tuple[Batch, Mapping[str, Array]]]) -> dict[str, list[Floats]]:
    """Integer outputs of batches, ``[ticks, lanes, *shape]``, as ``[ticks, size]`` of each sequence in real units."""
    formats = {o.name: qnet.formats[o.value] for o in qnet.outputs}
    return by_sequence(qnet.net, [(b, {n: f.dequantize(y[n]) for n, f in formats.items()}) for b, y in found])


def compare_c(program: Program, files: Mapping[str, str], runs: Sequence[OracleRun]) -> str:
    """Build the C, run every oracle run and its self-test; the first op that differs, and where, "" for none.

    Raises MissingTool without a compiler, VerificationError where the C does not compile.
    """
    with HostPackage(program, files, tested=True) as host:
        wrong = ((first_difference(host, run), run) for run in runs)
        found = next((_located(program, files, run, where) for where, run in wrong if where), "")
        return found or host.selftest()


def _located(program: Program, files: Mapping[str, str], run: OracleRun, found: Mismatch) -> str:
    """The first op that differs, where the same C does so while each op is looked at."""
    first = locate(program, files, run, found.lane, found.step)
    if first:
        return f"{first}. It shows in {found.where}"
    kept = ", in how windows are kept" if program.overlap else ""
    around = f"the fault is in what writes them out{kept}, or in what the C compiler makes of the step"
    return f"{found.where}; no value or state differs where each is looked at: {around}"
