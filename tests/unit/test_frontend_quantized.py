"""Files that onnxruntime quantized dynamically are read as the floats that they stand for, and a note says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto
from onnxruntime.quantization import QuantType, quantize_dynamic

from rnnc.compiler import compile_model, load_net
from rnnc.errors import Refused
from rnnc.frontend.read.load import load
from rnnc.options import Options
from rnnc.streams import run_net
from tests.support.graphs import Builder
from tests.support.imports import kinds
from tests.support.windows import T, by_step, layer


def network(direction: str = "forward") -> bytes:
    b = Builder()
    units = 8 if direction == "bidirectional" else 4
    h = by_step(b, layer(b, "x", "LSTM", direction=direction)[0], units)
    hidden = b.op("Relu", b.op("MatMul", h, b.const(b.weights(units, 5))))
    b.op("MatMul", hidden, b.const(b.weights(5, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def rounded(content: bytes, folder: Path, **options: Any) -> bytes:
    """The file as ``quantize_dynamic`` makes it."""
    (folder / "float.onnx").write_bytes(content)
    quantize_dynamic(folder / "float.onnx", folder / "rounded.onnx", **options)
    return (folder / "rounded.onnx").read_bytes()


def operators(content: bytes) -> set[str]:
    return {n.op_type for n in ModelProto.FromString(content).graph.node}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("weights", [QuantType.QInt8, QuantType.QUInt8])
def test_the_layers_have_the_file_s_own_weights(per_channel: bool, weights: QuantType, tmp_path: Path) -> None:
    """Within half an LSB of 8 bits of those that were quantized."""
    content = rounded(network(), tmp_path, per_channel=per_channel, weight_type=weights)
    assert {"DynamicQuantizeLSTM", "MatMulInteger"} <= operators(content)
    nets = [load_net(c, Options()) for c in (network(), content)]
    assert kinds(nets[0]) == kinds(nets[1])
    x = np.random.default_rng(0).standard_normal((T, 1, 3))
    want, got = (run_net(net, {"x": x})["y"] for net in nets)
    assert 0 < np.abs(got - want).max() < 0.03 * np.abs(want).max()


def test_verification_asks_onnxruntime_without_the_rounding_and_a_note_says_so(tmp_path: Path) -> None:
    package = compile_model(rounded(network(), tmp_path))
    assert package.verified is not None and not package.verified.problems()
    assert (package.verified.measured.import_max_rel or 0) < 1e-6
    assert any("DynamicQuantizeLinear" in note and "compiled without that rounding" in note for note in package.notes)


def test_both_directions_in_a_window(tmp_path: Path) -> None:
    content = rounded(network("bidirectional"), tmp_path)
    net = load_net(content, Options(window=T))
    assert kinds(net).count("lstm") == 2


def test_a_convolution_of_integers_is_one_of_floats() -> None:
    """As exporters of whole-integer networks write it."""
    b = Builder()
    x = b.op("Transpose", "x", perm=[0, 2, 1])
    q, scale, zero = b.ops("DynamicQuantizeLinear", 3, x)
    weights = np.random.default_rng(0).integers(-127, 127, (4, 3, 1)).astype(np.int8)
    y = b.op("ConvInteger", q, b.const(weights), zero)
    y = b.op("Mul", b.op("Cast", y, to=1), b.op("Mul", scale, b.const(np.asarray(0.01))))
    b.op("Identity", by_step(b, layer(b, b.op("Transpose", y, perm=[0, 2, 1]), "GRU", 4)[0]), out="y")
    content = b.model({"x": (1, T, 3)}, ["y"])
    graph = load(content, Options())
    assert "ConvInteger" not in {n.op_type for n in graph.nodes}
    assert "gru" in kinds(load_net(content))


def test_integers_that_are_read_otherwise_are_refused() -> None:
    b = Builder()
    q, scale, zero = b.ops("DynamicQuantizeLinear", 3, "x")
    b.op("DequantizeLinear", q, scale, zero, out="y")
    with pytest.raises(Refused, match="quantized on the way"):
        load_net(b.model({"x": (1, T, 3)}, ["y"]))


def test_weights_of_other_types_are_refused() -> None:
    """A layer by that name with the weights of an LSTM."""
    b = Builder()
    layer(b, "x", "LSTM")
    model = ModelProto.FromString(b.model({"x": (1, T, 3)}, [b.nodes[-1].output[0]]))
    model.graph.node[1].op_type, model.graph.node[1].domain = "DynamicQuantizeLSTM", "com.microsoft"
    model.opset_import.add(domain="com.microsoft", version=1)
    with pytest.raises(Refused, match="not an 8-bit constant"):
        load_net(model.SerializeToString())
