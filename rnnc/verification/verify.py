"""The three comparisons, each error where it belongs.

import          the net in float64 against onnxruntime
quantization    the integers against onnxruntime, and against the net with the same quantized weights
code            the C against the integers: bit for bit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rnnc.backend.program import Program
from rnnc.errors import VerificationError
from rnnc.fixed import Floats
from rnnc.net import Array, Net
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, Sequences
from rnnc.streams import run_net
from rnnc.verification.batches import Batch, batches, by_sequence
from rnnc.verification.host import HostPackage, OracleRun, first_difference, run_oracle, selftest
from rnnc.verification.metrics import Difference, difference, relative_error, sqnr_db
from rnnc.verification.occupancy import Counting, Occupancy
from rnnc.verification.oracle import Points, ask
from rnnc.verification.session import Session

IMPORT_LIMIT = 1e-5
"""The largest ``import_max_rel`` that is rounding of float32 and no error."""


@dataclass(frozen=True)
class OutputFigures:
    """How far one output's integers are from onnxruntime.

    Args:
        asked: where onnxruntime was asked, and what it answered.
        got: what the integers say there, ``[points, size]``, real units.
        same_weights: SQNR against the net with the same weights.
    """

    name: str
    asked: Points
    got: Floats
    difference: Difference
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
        import_max_rel: worst output's max |net - onnxruntime| / max |onnxruntime|.
        runs: what the oracle computed, for the C to be held against.
        occupancy: how much of each value's range was used.
    """

    steps: int
    dropped: int
    import_max_rel: float
    outputs: tuple[OutputFigures, ...]
    runs: tuple[OracleRun, ...]
    occupancy: tuple[Occupancy, ...]

    @property
    def summary(self) -> str:
        """One line: the error of the integers against onnxruntime, for the banner of the generated files."""
        known = [f"{o.name} {o.difference.sqnr_db:.1f} dB" for o in self.outputs if o.difference.sqnr_db is not None]
        return f"SQNR against onnxruntime over {self.steps} steps: {', '.join(known)}" if known else ""


@dataclass(frozen=True, eq=False)
class Verification:
    """The measurement, and where the C first differs from the oracle: "" for nowhere."""

    measured: Measurement
    difference: str

    def problems(self, min_sqnr: float | None = None) -> list[str]:
        """What is not as it must be; ``min_sqnr`` in dB."""
        found = []
        if self.difference:
            found.append(f"the C differs from the oracle: {self.difference}")
        if not self.measured.import_max_rel <= IMPORT_LIMIT:
            found.append(
                f"the import differs from onnxruntime by {self.measured.import_max_rel:.3g} (limit {IMPORT_LIMIT:g})"
            )
        for o in self.measured.outputs:
            if min_sqnr is not None and o.difference.sqnr_db is not None and o.difference.sqnr_db < min_sqnr:
                found.append(f"SQNR of {o.name!r} is {o.difference.sqnr_db:.1f} dB, below {min_sqnr:g} dB")
        return found


def measure(model: bytes, net: Net, qnet: QNet, ranges: Ranges, sequences: Sequences, options: Options) -> Measurement:
    """Run onnxruntime, the net, the net with quantized weights, and the integers over the same sequences.

    Raises DataError where the sequences are shorter than what the file takes at once.
    """
    reference = ask(Session(model, net, options), sequences)
    groups = batches(reference.sequences, net)
    counting = Counting(qnet, ranges.bounds)
    runs = tuple(run_oracle(qnet, batch, counting.observer(batch), counting.watcher(batch)) for batch in groups)
    integers = real_outputs(qnet, [(run.batch, run.outputs) for run in runs])
    exact, same = _float(net, groups), _float(qnet.dequantized(), groups)
    figures, worst = [], 0.0
    for o in net.outputs:
        points, index = reference.outputs[o.name], net.values[o.value].dtype == "index"
        r, y = points.reference, points.of(integers[o.name])
        worst = max(worst, relative_error(r, points.of(exact[o.name]), index=index))
        alike = None if index or not len(r) else sqnr_db(points.of(same[o.name]), y)
        figures.append(OutputFigures(o.name, points, y, difference(r, y, index=index), alike))
    steps = sum(map(sum, (b.lengths for b in groups)))
    return Measurement(steps, reference.dropped, worst, tuple(figures), runs, counting.found())


def _float(net: Net, groups: Sequence[Batch]) -> dict[str, list[Floats]]:
    return by_sequence(net, [(b, run_net(net, b.inputs)) for b in groups])


def real_outputs(qnet: QNet, found: Sequence[tuple[Batch, Mapping[str, Array]]]) -> dict[str, list[Floats]]:
    """Integer outputs of batches, ``[ticks, lanes, *shape]``, as ``[ticks, size]`` of each sequence in real units."""
    formats = {o.name: qnet.formats[o.value] for o in qnet.outputs}
    return by_sequence(qnet.net, [(b, {n: f.dequantize(y[n]) for n, f in formats.items()}) for b, y in found])


def compare_c(program: Program, files: Mapping[str, str], runs: Sequence[OracleRun]) -> str:
    """Build the C, run every oracle run and, beside it, its self-test; where it first differs, "" for nowhere.

    Raises MissingTool without a compiler, VerificationError where the C does not compile.
    """
    with ThreadPoolExecutor(1) as beside:
        tested = beside.submit(selftest, program, files)
        with HostPackage(program, files) as host:
            found = next(filter(None, (first_difference(host, run) for run in runs)), "")
        try:
            tested.result()
        except VerificationError as error:
            return found or str(error)
    return found
