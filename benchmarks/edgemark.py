"""The recurrent rows of EdgeMark and a published FastGRNN, rebuilt and measured; writes docs/edgemark.md.

python benchmarks/edgemark.py

EdgeMark (arXiv 2502.01700) measured TensorFlow Lite Micro on a NUCLEO-L4R5ZI. Its models are not published as files: these
are nets with the same numbers of parameters, which agree to the last one, and random weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from _cells import Cell, cell_net
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

import rnnc
from rnnc.backend.emit import emit
from rnnc.backend.lower import lower
from rnnc.fixed import Floats
from rnnc.net import Net, Op, Output, Value
from rnnc.ops.dense import Dense
from rnnc.ops.embedding import Embedding
from rnnc.options import Options
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.certify import certify
from rnnc.quantization.quantize import quantize
from rnnc.verification.bench import random_sequences
from rnnc.verification.emulator import find_board, measure, require_tools
from rnnc.verification.golden import golden

PAGE = Path(__file__).resolve().parent.parent / "docs" / "edgemark.md"
TARGET, MHZ, STEPS = "cortex-m4", 120, 100


@dataclass(frozen=True)
class Row:
    """A published row.

    Args:
        parameters, macs: of the model; of a whole sequence.
        columns, hidden, outputs: of the net that is rebuilt: its inputs (or columns of the embedding), units, and answers.
        words: rows of the embedding, 0 for none.
        published: of float and of int8: milliseconds of a sequence, kB of flash, kB of RAM; None where it did not run.
    """

    name: str
    cell: Cell
    parameters: int
    macs: int
    columns: int
    hidden: int
    outputs: int
    words: int
    published: tuple[tuple[int, int, int] | None, tuple[int, int, int]]


ROWS = (
    Row("RNN Simple 1", "rnn", 8_288, 827_200, 32, 64, 32, 0, ((107, 219, 113), (293, 591, 103))),
    Row("RNN Simple 2", "rnn", 32_960, 3_292_800, 64, 128, 64, 0, (None, (293, 615, 106))),
    Row("Shakespeare 1", "rnn", 12_513, 1_056_300, 32, 64, 65, 65, ((141, 252, 128), (168, 621, 108))),
    Row("Shakespeare 2", "rnn", 37_249, 3_321_900, 64, 128, 65, 65, ((377, 348, 176), (323, 645, 108))),
    Row("LSTM", "lstm", 26_912, 2_702_400, 32, 64, 32, 0, ((362, 473, 269), (565, 770, 258))),
    Row("GRU", "gru", 20_896, 2_094_400, 32, 64, 32, 0, ((277, 497, 299), (374, 810, 295))),
)

HEAD = f"""# EdgeMark's recurrent networks

EdgeMark (arXiv 2502.01700) compared inference engines on a NUCLEO-L4R5ZI (Cortex-M4F,
{MHZ} MHz). Of those it tried, TensorFlow Lite Micro alone could run recurrent networks. This page, written by
`python benchmarks/edgemark.py`, puts rnnc's figures beside the published ones.

| model | parameters | TFLM float: ms / flash kB / RAM kB | int8 | rnnc: ms | flash B | RAM B | instructions a step |
|---|---|---|---|---|---|---|---|
"""
NOTES = f"""
rnnc's ms are for {STEPS} steps and are an estimate: cycles of Arm's table of the Cortex-M4 for the instructions that
QEMU executes, at {MHZ} MHz, memory without wait states. The L4R5's flash has wait states behind an accelerator, so a
board needs somewhat more. Flash is weights, tables and code; RAM is the state of one stream, scratch, and the deepest
stack.

**What is assumed.**

- The models are rebuilt from their numbers of parameters, with random weights: one RNN, GRU or LSTM layer and a Dense
  layer; the Shakespeare models begin with an embedding of 65 characters. The numbers agree to the last parameter, but
  another structure may have the same. Nothing is said of accuracy.
- The published multiply-accumulates are {STEPS} times those of such a step, within 3 %, so a sequence is taken to have
  {STEPS} steps with the Dense layer at each.
- EdgeMark's flash and RAM are the difference to an empty program, and its network takes a whole sequence at once.
  rnnc's keeps its state from step to step: the answer to a new sample costs one step, not {STEPS}.
- EdgeMark is taken to have run at the board's highest clock, {MHZ} MHz.
- Weights are int8 (`--weights 8`), activations int16.

# A FastGRNN on an ATmega328P

arXiv 2606.17249 has a FastGRNN for activity recognition (HAPT, 50 Hz) with low-rank
and sparse matrices in Q15, 566 B of weights, on an ATmega328P at 16 MHz: 9.21 ms a sample, 147,000 cycles. rnnc's
cycles are counted by simavr, for every instruction of a step.

| | bytes of weights | cycles a sample | ms at 16 MHz |
|---|---|---|---|
| published | 566 | 147,000 | 9.21 |
"""
FAST_NOTES = """
The network is rebuilt as nearly as the published size tells: 6 inputs, {HIDDEN} units, matrices of rank {RANKS[0]} over
the input and {RANKS[1]} over the state, all dense (no sparsity), and {CLASSES} classes: {count} numbers, where 566 B of
Q15 are 283. Its weights are random; nothing is said of accuracy. rnnc's bytes hold the rows' scales and biases as well.
"""
INPUTS, HIDDEN, RANKS, CLASSES = 6, 16, (2, 3), 6


def net(row: Row) -> Net:
    """The network, with random weights."""
    rng = np.random.default_rng(7)
    layer = cell_net(row.cell, row.columns, row.hidden)

    def draw(*shape: int) -> Floats:
        return np.asarray(rng.uniform(-1, 1, shape) / np.sqrt(row.hidden))

    dense = Dense("dense0", ("y",), ("z",), draw(row.outputs, row.hidden), draw(row.outputs), (row.outputs,))
    output = (Output("z", "z"),)
    if not row.words:
        return Net(row.cell, layer.inputs, (*layer.ops, dense), output)
    table = Embedding("embedding0", ("id",), ("x",), draw(row.words, row.columns), (row.columns,))
    return Net(row.cell, (Value("id", (1,), "index", rows=row.words),), (table, *layer.ops, dense), output)


def parameters(ops: Sequence[Op]) -> int:
    """Numbers that are trained; an RNN or LSTM of Keras has one bias, a GRU two."""
    names = ("weights", "recurrence", "bias", "bias_x", "bias_h", "table")
    return sum(int(np.size(getattr(op, name))) for op in ops for name in names if hasattr(op, name))


def line(row: Row) -> str:
    """The row of the page."""
    made, options = net(row), Options(weights="8", name=row.cell)
    assert parameters(made.ops) == row.parameters, (row.name, parameters(made.ops))
    qnet = quantize(made, calibrate(made, None, options), options)
    certify(qnet)
    program = lower(qnet, TARGET)
    files = emit(program, golden(qnet, random_sequences(qnet)))
    found = measure(program, files, find_board(TARGET))
    assert found.equal and found.cycles and found.instructions
    macs = program.cost.macs * STEPS
    assert abs(macs - row.macs) < 0.03 * row.macs, (row.name, macs)
    flash = found.footprint.weights + found.footprint.tables + found.footprint.code
    ram = found.footprint.ram_state + found.footprint.ram_scratch + (found.stack_bound or found.stack)
    ms = found.cycles.most * STEPS / MHZ / 1e3
    theirs = [" / ".join(map(str, p)) if p else "did not run" for p in row.published]
    cells = [row.name, f"{row.parameters:,}", *theirs, f"**{ms:.1f}**", f"{flash:,}", f"{ram:,}"]
    return f"| {' | '.join([*cells, f'{found.instructions.median:,}'])} |\n"


def fast_grnn() -> tuple[bytes, int]:
    """The FastGRNN (Kusupati et al. 2018) as a Scan, and how many numbers it has."""
    rng = np.random.default_rng(7)
    shapes = {
        **{"w1": (INPUTS, RANKS[0]), "w2": (RANKS[0], HIDDEN), "u1": (HIDDEN, RANKS[1]), "u2": (RANKS[1], HIDDEN)},
        **{"bz": (HIDDEN,), "bn": (HIDDEN,), "d": (HIDDEN, CLASSES), "bd": (CLASSES,)},
    }
    arrays = {name: (rng.standard_normal(shape) / 2).astype(np.float32) for name, shape in shapes.items()}
    scalars = {"zeta": np.float32(0.9), "nu": np.float32(0.05), "one": np.float32(1)}
    steps = [
        *[("MatMul", "x w1", "wx"), ("MatMul", "wx w2", "a"), ("MatMul", "h u1", "uh"), ("MatMul", "uh u2", "b")],
        *[
            ("Add", "a b", "s"),
            ("Add", "s bz", "sz"),
            ("Sigmoid", "sz", "z"),
            ("Add", "s bn", "sn"),
            ("Tanh", "sn", "n"),
        ],
        *[("Sub", "one z", "left"), ("Mul", "left zeta", "scaled"), ("Add", "scaled nu", "share")],
        *[("Mul", "share n", "new"), ("Mul", "z h", "old"), ("Add", "new old", "next"), ("Identity", "next", "out")],
    ]

    def tensor(name: str, *shape: int | str) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    body = helper.make_graph(
        [helper.make_node(op, read.split(), [give]) for op, read, give in steps],
        "step",
        [tensor("h", HIDDEN), tensor("x", INPUTS)],
        [tensor("next", HIDDEN), tensor("out", HIDDEN)],
    )
    nodes = [
        helper.make_node("Scan", ["h0", "frames"], ["last", "hidden"], body=body, num_scan_inputs=1),
        helper.make_node("MatMul", ["hidden", "d"], ["scores"]),
        helper.make_node("Add", ["scores", "bd"], ["logits"]),
    ]
    given = {**arrays, **scalars, "h0": np.zeros(HIDDEN, np.float32)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in given.items()]
    graph = helper.make_graph(
        nodes, "fastgrnn", [tensor("frames", "time", INPUTS)], [tensor("logits", "time", CLASSES)], constants
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString(), sum(a.size for a in arrays.values()) + 2


def fast_line(weights: Literal["8", "16"]) -> str:
    """The FastGRNN on an AVR, in clock cycles."""
    content, _ = fast_grnn()
    made = rnnc.compile_model(content, name="fastgrnn", target="avr", weights=weights, verify=False)
    found = measure(made.program, made.files, find_board("avr"))
    assert found.equal and found.cycles and not found.cycles.estimate
    cycles = found.cycles.most
    cells = f"rnnc, int{weights} weights | {found.footprint.weights:,} | {cycles:,} | {cycles / 16e3:.2f}"
    return f"| {cells} |\n"


if __name__ == "__main__":
    for each in (TARGET, "avr"):
        require_tools(find_board(each))
    notes = FAST_NOTES.format(HIDDEN=HIDDEN, RANKS=RANKS, CLASSES=CLASSES, count=fast_grnn()[1])
    PAGE.write_text(HEAD + "".join(map(line, ROWS)) + NOTES + fast_line("8") + fast_line("16") + notes)
