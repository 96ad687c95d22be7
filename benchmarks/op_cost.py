"""Instructions of one op, from the call of a package's step to its return, on several cores.

python benchmarks/op_cost.py [--target cortex-m4]... [--op "mul 64"]...
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from rnnc.backend.emit import Golden, emit
from rnnc.backend.lower import lower
from rnnc.compiler import compile_model
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.streams import run_qnet
from rnnc.verification.bench import board_of, random_sequences
from rnnc.verification.emulator import TargetMeasurement, measure

TARGETS = ("cortex-m4", "cortex-m55", "rv32imc", "avr", "portable")
STEPS = 12
Constants = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Row:
    """A network of one op.

    Args:
        inputs: name and shape of a step's frame, the batch of 1 and the time axis left out.
        nodes: op type, inputs, attributes; each node reads what the one before it gives where it names "".
        layout: shape of a tensor of the file, "T" for time.
        formats: of the output, Qm.n, where that is what is measured.
    """

    inputs: Mapping[str, tuple[str | int, ...]]
    nodes: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...]
    constants: Callable[[np.random.Generator], Constants] = lambda _: {}
    formats: int | None = None


def _weights(**shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Constants]:
    return lambda rng: {n: rng.uniform(-0.3, 0.3, shape).astype(np.float32) for n, shape in shapes.items()}


SEQUENCE_64 = (1, "T", 64)
TWO = {"a": SEQUENCE_64, "b": SEQUENCE_64}
ROWS: dict[str, Row] = {
    "depthwise k3, 64 channels": Row(
        {"a": (1, 64, "T")},
        (("Conv", ("a", "w", "c"), {"group": 64, "pads": [2, 0]}),),
        _weights(w=(64, 1, 3), c=(64,)),
    ),
    "mul 64": Row(TWO, (("Mul", ("a", "b"), {}),)),
    "add 64": Row(TWO, (("Add", ("a", "b"), {}),)),
    "rescale 1,024": Row({"a": (1, "T", 1024)}, (("Identity", ("a",), {}),), formats=9),
    "Dense 64x64": Row(
        {"a": SEQUENCE_64}, (("MatMul", ("a", "w"), {}), ("Add", ("", "c"), {})), _weights(w=(64, 64), c=(64,))
    ),
    "norm 64": Row(
        {"a": SEQUENCE_64}, (("LayerNormalization", ("a", "w", "c"), {"axis": -1}),), _weights(w=(64,), c=(64,))
    ),
    "magnitude 64": Row(
        TWO,
        (("Mul", ("a", "a"), {}), ("Mul", ("b", "b"), {}), ("Add", ("$0", "$1"), {}), ("Sqrt", ("",), {})),
    ),
    "softmax 64": Row({"a": SEQUENCE_64}, (("Softmax", ("a",), {"axis": -1}),)),
}


def model(row: Row) -> bytes:
    """The ONNX file of a row."""
    nodes, last = [], ""
    for i, (kind, inputs, attributes) in enumerate(row.nodes):
        names = [f"v{n[1:]}" if n.startswith("$") else n or last for n in inputs]
        last = "y" if i == len(row.nodes) - 1 else f"v{i}"
        nodes.append(helper.make_node(kind, names, [last], **attributes))
    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(shape)) for n, shape in row.inputs.items()]
    shape = next(iter(row.inputs.values()))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))
    constants = [numpy_helper.from_array(c, n) for n, c in row.constants(np.random.default_rng(0)).items()]
    graph = helper.make_graph(nodes, "op", given, [result], constants)
    opset = [helper.make_opsetid("", 21)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())


def integers(row: Row) -> QNet:
    """The row's network in integers, without data: inputs are Q4.11."""
    formats = {} if row.formats is None else {"y": row.formats}
    options = Options(output_format=formats, weights="8")
    return compile_model(model(row), options=options, verify=False).program.qnet


def cost(qnet: QNet, target: str) -> TargetMeasurement:
    """What a step costs; stops where a bit differs from the oracle's."""
    program = lower(qnet, target, "op")
    real = random_sequences(qnet, STEPS)
    inputs = {v.name: qnet.formats[v.name].quantize(real[v.name][0]) for v in qnet.inputs}
    outputs = run_qnet(qnet, {name: x[:, None] for name, x in inputs.items()})
    expected = Golden(inputs, {name: y[:, 0] for name, y in outputs.items()})
    measured = measure(program, emit(program, expected), board_of(target))
    if not measured.equal:
        raise SystemExit(f"{qnet} on {target} differs from the oracle")
    return measured


def counted(name: str, targets: Sequence[str] = TARGETS) -> list[str]:
    """For each target ``median/most; bytes of code`` of an op."""
    qnet, cells = integers(ROWS[name]), []
    for target in targets:
        m = cost(qnet, target)
        assert m.instructions
        cells.append(f"{m.instructions.median:,}/{m.instructions.most:,}; {m.footprint.code:,}")
    return cells


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each op: median and most instructions of a step, and bytes of code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", choices=TARGETS, help="measure this core alone; may be repeated")
    parser.add_argument("--op", action="append", choices=ROWS, help="measure this op alone; may be repeated")
    chosen = parser.parse_args(arguments)
    targets = chosen.target or TARGETS
    print(f"{'op':<26}" + "".join(f"{t:>24}" for t in targets))
    print(f"{'':<26}" + "".join(f"{'median/most; code B':>24}" for _ in targets))
    for name in chosen.op or ROWS:
        print(f"{name:<26}" + "".join(f"{c:>24}" for c in counted(name, targets)), flush=True)


if __name__ == "__main__":
    main()
