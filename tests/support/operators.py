"""Tiny ONNX models of single operators: built, imported, compared with onnxruntime, and compiled under sanitizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from rnnc.frontend.load import load
from rnnc.frontend.streaming import to_stream
from rnnc.net import Net, QNet, run_net, run_qnet
from rnnc.options import Options
from rnnc.verification.host import write_files
from tests.support.nets import to_integers
from tests.support.packages import WARNINGS, package, run

Array = np.ndarray[Any, Any]
STEPS = 48
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
MAIN = """
#include <stdio.h>
#include "{name}.h"
int {name}_selftest({name}_t *s);
int main(void)
{{
    static {name}_t s;
    int step = {name}_selftest(&s);
    if (step) {{
        printf("step %d\\n", step);
    }}
    return step != 0;
}}
"""


def node(op_type: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    """A node; inputs and outputs are names separated by blanks, ``-`` for a missing one."""
    names = ["" if n == "-" else n for n in inputs.split()]
    return helper.make_node(op_type, names, outputs.split(), **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int]],
    constants: Mapping[str, Array] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 20,
    ids: Sequence[str] = (),
) -> bytes:
    """A model of float32 inputs of the given shapes and float32 outputs; int64 what ``ids`` names."""
    values = [
        helper.make_tensor_value_info(n, TensorProto.INT64 if n in ids else TensorProto.FLOAT, list(shape))
        for n, shape in inputs.items()
    ]
    results = [
        helper.make_tensor_value_info(n, TensorProto.INT64 if n in ids else TensorProto.FLOAT, None) for n in outputs
    ]
    weights = [numpy_helper.from_array(np.asarray(c), n) for n, c in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", values, results, weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return proto.SerializeToString()


def single_op(
    op_type: str, frame: Sequence[int] = (6,), constants: Mapping[str, Array] | None = None, **attributes: Any
) -> bytes:
    """A model of one operator over x ``[1, time, *frame]``; its other inputs are ``constants``, in order."""
    extra = " ".join(constants or {})
    return model([node(op_type, f"x {extra}", **attributes)], {"x": (1, STEPS, *frame)}, constants)


def imported(content: bytes, **options: Any) -> Net:
    """The network of a model over sequences, time on axis 1 of x."""
    chosen = Options(**{"time_axis": {"x": 1}, **options})
    return to_stream(load(content, chosen), chosen)


def reference(content: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """onnxruntime on whole sequences ``[1, time, *frame]``."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    feed = {
        i.name: inputs[i.name].astype(np.int64 if i.type == "tensor(int64)" else np.float32).reshape(i.shape)
        for i in session.get_inputs()
    }
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def import_error(content: bytes, net: Net, inputs: Mapping[str, Array]) -> float:
    """The largest difference of net and onnxruntime over the largest result, of all outputs; inputs ``[1, time, *frame]``."""
    want = reference(content, inputs)
    lanes = {v.name: np.moveaxis(inputs[v.name], 0, 1).reshape(-1, 1, *v.shape) for v in net.inputs}
    got = run_net(net, lanes)
    worst = 0.0
    for name, y in got.items():
        r = want[name].astype(np.float64).reshape(y.shape)
        worst = max(worst, float(np.abs(y - r).max() / max(np.abs(r).max(), 1e-6)))
    return worst


def normal(shape: Sequence[int], spread: float = 1.0, seed: int = 0) -> Array:
    """Normal noise in float32."""
    return (np.random.default_rng(seed).standard_normal(shape) * spread).astype(np.float32)


def sequence(net: Net, spread: float = 1.0, steps: int = STEPS, seed: int = 0) -> dict[str, Array]:
    """Noise ``[1, steps, *frame]`` for each input of a net, and row numbers."""
    rng = np.random.default_rng(seed)
    return {
        v.name: rng.integers(0, v.rows, (1, steps, *v.shape))
        if v.dtype == "index"
        else (rng.standard_normal((1, steps, *v.shape)) * spread).astype(np.float32)
        for v in net.inputs
    }


def quantized(net: Net, inputs: Mapping[str, Array], **options: Any) -> QNet:
    """The network in integers, calibrated on ``[1, time, *frame]``."""
    return to_integers(net, {k: np.moveaxis(v, 0, 1) for k, v in inputs.items()}, Options(**options))


def sqnr(net: Net, qnet: QNet, inputs: Mapping[str, Array]) -> float:
    """dB of the worst output, pooled over its elements, each element's mean left out."""
    lanes = {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in inputs.items()}
    want = run_net(net, lanes)
    got = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in lanes.items()})
    worst = 200.0
    for output in net.outputs:
        r = want[output.name]
        y = qnet.formats[output.value].dequantize(got[output.name])
        noise = float(((y - r) ** 2).sum())
        if noise:
            worst = min(worst, float(10 * np.log10(((r - r.mean(0)) ** 2).sum() / noise)))
    return worst


def check_c(qnet: QNet, folder: Path, steps: int = 200) -> None:
    """The C equals the oracle over inputs to the extremes, without a warning, under address and undefined sanitizers."""
    program, files = package(qnet, steps=steps)
    n = program.name
    write_files(folder, {**files, "main.c": MAIN.format(name=n)})
    sources = [f"{n}.c", f"{n}_state.c", f"{n}_selftest.c", "main.c"]
    run(["gcc", *WARNINGS, *SANITIZERS, "-I.", *sources, "-o", folder / "check"], folder)
    run([folder / "check"], folder)
