"""What a step of known cells, layers and networks costs on microcontrollers, a line for each, beside what it may cost.

python benchmarks/op_table.py [NAME]...

A part of a name chooses lines. Networks of other people are in $RNNC_SHARED/models; without it they are left out.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import op_cost
from _cells import Cell, cell_net, cell_qnet, package

from rnnc.backend.lower import lower
from rnnc.compiler import compile_model
from rnnc.net import Net, Output, Value
from rnnc.ops.dense import Dense
from rnnc.options import Options, Precision
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.certify import certify
from rnnc.quantization.quantize import quantize
from rnnc.verification.emulator import TargetMeasurement
from rnnc.verification.rtl import CORES, simulate_cycles

ROOT = Path(__file__).resolve().parent.parent
M4, M55, RV32, AVR = "cortex-m4", "cortex-m55", "rv32imc", "avr"
MODELS = Path(os.environ.get("RNNC_SHARED", "")) / "models"
Figures = dict[str, float]
"""By core, or by what else tells them apart."""


def _instructions(qnet: QNet, *targets: str) -> Figures:
    return {t: _of(op_cost.cost(qnet, t)) for t in targets}


def _of(measured: TargetMeasurement) -> int:
    assert measured.instructions
    return measured.instructions.most


def cell(
    kind: Cell, columns: int, hidden: int, *targets: str, precision: Precision = "a16", input_format: str = ""
) -> Figures:
    """Most instructions of a step of a layer."""
    return _instructions(_cell(kind, columns, hidden, precision, input_format), *targets)


def _cell(kind: Cell, columns: int, hidden: int, precision: Precision, input_format: str) -> QNet:
    if not input_format:
        return cell_qnet(kind, columns, hidden, precision)
    options = Options(precision=precision, weights="8", input_format={"x": input_format})
    net = cell_net(kind, columns, hidden)
    qnet = quantize(net, calibrate(net, None, options), options)
    certify(qnet)
    return qnet


def cycles_on_rtl() -> Figures:
    """Most clock cycles of an LSTM on each RV32 core."""
    program, files = package(cell_qnet("lstm", 32, 64), RV32, steps=4)
    return {name: simulate_cycles(program, files, core).most for name, core in CORES.items()}


def cycles_on_avr(columns: int, hidden: int, precision: Precision, input_format: str = "") -> Figures:
    """Most clock cycles of an LSTM."""
    measured = op_cost.cost(_cell("lstm", columns, hidden, precision, input_format), AVR)
    assert measured.cycles
    return {AVR: measured.cycles.most}


@cache
def _network(path: Path, calibration: Path) -> QNet:
    return compile_model(path, calibration, Options(), verify=False).program.qnet


def network(path: Path, calibration: Path, *targets: str, by_mac: bool = False) -> Figures:
    """Most instructions of a step of a file, or of a multiply-accumulate of it."""
    if not path.exists():
        return {}
    qnet = _network(path, calibration)
    macs = lower(qnet).cost.macs
    return {t: n / macs if by_mac else n for t, n in _instructions(qnet, *targets).items()}


def other(name: str, *targets: str, by_mac: bool = False) -> Figures:
    """Of $RNNC_SHARED/models."""
    return network(MODELS / f"{name}.onnx", MODELS / f"{name}.calib.npz", *targets, by_mac=by_mac)


def example(name: str) -> Figures:
    """Of examples/, by multiply-accumulate."""
    folder = ROOT / "examples" / name
    return network(folder / f"{name}.onnx", folder / "calib.npz", M4, M55, by_mac=True)


def op(name: str, *targets: str) -> Figures:
    """Of the ops of op_cost."""
    return _instructions(op_cost.integers(op_cost.ROWS[name]), *targets)


def half_zero() -> Figures:
    """How many times as fast 256 rows of 96 columns are where half of their blocks of 4 x 4 are zero and left out."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((256, 96)) / np.sqrt(96)
    kept = rng.permutation(np.arange(64 * 24) % 2 == 0).reshape(64, 24)
    found = []
    for w in (weights, weights * np.repeat(np.repeat(kept, 4, 0), 4, 1)):
        layer = Dense("d", ("x",), ("y",), w, np.zeros(256), shape=(256,))
        net = Net("half", (Value("x", (96,)),), (layer,), (Output("y", "y"),))
        qnet = quantize(net, calibrate(net, None, Options()), Options())
        certify(qnet)
        profile = op_cost.cost(qnet, M4).profile
        found.append(sum(n for name, n in profile.items() if name.startswith("rnnc_dsp_")))
    return {M4: found[0] / found[1]}


ROWS: dict[str, tuple[Callable[[], Figures], tuple[float, ...]]] = {
    "LSTM 32,64 a16, cycles": (cycles_on_rtl, (114_000, 100_000, 135_000, 402_000)),
    "AVR LSTM 32,64 a16, cycles": (partial(cycles_on_avr, 32, 64, "a16"), (520_000,)),
    "AVR LSTM 32,64 a8, int8 input, cycles": (partial(cycles_on_avr, 32, 64, "a8", "q3.4"), (340_000,)),
    "AVR LSTM 10,20 a16, cycles": (partial(cycles_on_avr, 10, 20, "a16"), (80_000,)),
    "flashvad": (partial(other, "flashvad_stream", M4, M55, RV32), (115_000, 52_000, 240_000)),
    "silero_vad_16k_sequence, a MAC": (partial(other, "silero_vad_16k_sequence", M4, M55, by_mac=True), (1.25, 0.45)),
    "depthwise k3, 64 channels": (partial(op, "depthwise k3, 64 channels", M4, M55), (1_800, 650)),
    "mul 64": (partial(op, "mul 64", M4, M55), (1_400, 200)),
    "rescale 1,024": (partial(op, "rescale 1,024", M4, M55), (8_000, 2_000)),
    "Dense 64x64": (partial(op, "Dense 64x64", M4, M55), (5_800, 1_900)),
    "gesture, a MAC": (partial(example, "gesture"), (2.15, 0.65)),
    "wake_word, a MAC": (partial(example, "wake_word"), (1.7, 0.55)),
    "heartbeat, a MAC": (partial(example, "heartbeat"), (2.35, 0.8)),
    "LSTM 10,20": (partial(cell, "lstm", 10, 20, M4), (5_300,)),
    "GRU 10,20": (partial(cell, "gru", 10, 20, M4), (4_300,)),
    "LSTM 64,128 a8": (partial(cell, "lstm", 64, 128, M55, precision="a8"), (24_500,)),
    "GRU 64,128 a8": (partial(cell, "gru", 64, 128, M55, precision="a8"), (19_500,)),
    "256x96, half of its 4x4 blocks zero, times as fast": (half_zero, (1.6,)),
}
"""What is measured, and for each figure what it may be at most, of times at least."""


def lines(chosen: Sequence[str] = ()) -> Iterator[str]:
    """A line for each row."""
    for name, (measured, bars) in ROWS.items():
        if chosen and not any(part in name for part in chosen):
            continue
        figures = measured()
        if not figures:
            yield f"{name:<52}not measured: {MODELS} is not there"
        for (core, figure), bar in zip(figures.items(), bars, strict=False):
            digits = 3 if bar < 100 else 0
            kept = figure >= bar if name.endswith("times as fast") else figure <= bar
            shown = f"{figure:>12,.{digits}f}{bar:>12,.{min(digits, 2)}f}"
            yield f"{name:<52}{core:<12}{shown}{'' if kept else '  MISSED'}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of lines")
    for line in lines(parser.parse_args(arguments).names):
        print(line, flush=True)


if __name__ == "__main__":
    main()
