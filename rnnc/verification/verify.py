"""The three comparisons, each error where it belongs.

import          the net in float64 against onnxruntime
quantization    the integers against onnxruntime, and against the net with the same quantized weights
code            the C against the integers: bit for bit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnc.backend.lower import Program
from rnnc.errors import VerificationError
from rnnc.fixed import Floats
from rnnc.net import Clock, Net, QNet, run_net
from rnnc.options import Options
from rnnc.quantization.calibrate import Sequences
from rnnc.verification.batches import Batch, batches, by_sequence
from rnnc.verification.host import HostPackage, OracleRun, first_difference, run_oracle, selftest
from rnnc.verification.metrics import Difference, difference, relative_error, sqnr_db
from rnnc.verification.oracle import ask
from rnnc.verification.session import Session

IMPORT_LIMIT = 1e-5
"""The largest ``import_max_rel`` that is rounding of float32 and no error."""


@dataclass(frozen=True)
class OutputFigures:
    """How far one output's integers are from onnxruntime; ``same_weights``: SQNR against the net with the same weights."""

    name: str
    points: int
    difference: Difference
    same_weights: float | None


@dataclass(frozen=True, eq=False)
class Measurement:
    """The integers and the net against onnxruntime.

    Args:
        steps: steps run in all.
        dropped: steps at the ends of sequences that a fixed length leaves over.
        import_max_rel: worst output's max |net - onnxruntime| / max |onnxruntime|.
        runs: what the oracle computed, for the C to be held against.
    """

    steps: int
    dropped: int
    import_max_rel: float
    outputs: tuple[OutputFigures, ...]
    runs: tuple[OracleRun, ...]

    @property
    def summary(self) -> str:
        """One line: the error of the integers against onnxruntime, for the banner of the generated files."""
        known = [f"{o.name} {o.difference.sqnr_db:.1f} dB" for o in self.outputs if o.difference.sqnr_db is not None]
        return f"SQNR against onnxruntime over {self.steps} steps: {', '.join(known)}" if known else ""


def measure(model: str | bytes, net: Net, qnet: QNet, sequences: Sequences, options: Options) -> Measurement:
    """Run onnxruntime, the net, the net with quantized weights, and the integers over the same sequences.

    Raises DataError where the sequences are shorter than what the file takes at once.
    """
    reference = ask(Session(model, net, options), sequences, options.window)
    groups = batches(reference.sequences, net.inputs)
    runs = tuple(run_oracle(qnet, batch) for batch in groups)
    integers = _real(qnet, runs)
    exact, same = _float(net, groups), _float(qnet.dequantized(), groups)
    figures, worst = [], 0.0
    for o in net.outputs:
        points, index = reference.outputs[o.name], net.values[o.value].dtype == "index"
        r, y = points.reference, points.of(integers[o.name])
        worst = max(worst, relative_error(r, points.of(exact[o.name]), index=index))
        alike = None if index or not len(r) else sqnr_db(points.of(same[o.name]), y)
        figures.append(OutputFigures(o.name, len(r), difference(r, y, index=index), alike))
    return Measurement(sum(map(sum, (b.lengths for b in groups))), reference.dropped, worst, tuple(figures), runs)


def _float(net: Net, groups: Sequence[Batch]) -> dict[str, list[Floats]]:
    return by_sequence([(b, run_net(net, b.inputs)) for b in groups], _clocks(net))


def _real(qnet: QNet, runs: Sequence[OracleRun]) -> dict[str, list[Floats]]:
    """The oracle's outputs in real units."""
    found = []
    for run in runs:
        values = {o.name: qnet.formats[o.value].dequantize(run.outputs[o.name]) for o in qnet.outputs}
        found.append((run.batch, values))
    return by_sequence(found, _clocks(qnet.net))


def _clocks(net: Net) -> Mapping[str, Clock]:
    return {o.name: net.values[o.value].clock for o in net.outputs}


def compare_c(program: Program, files: Mapping[str, str], runs: Sequence[OracleRun]) -> str:
    """Build the C, run its self-test and every oracle run; where it first differs, "" for nowhere.

    Raises MissingTool without a compiler.
    """
    with HostPackage(program, files) as host:
        for run in runs:
            where = first_difference(host, run)
            if where:
                return where
    try:
        selftest(program, files)
    except VerificationError as error:
        return str(error)
    return ""
