"""Every pointwise and vector operator as a case: a few ONNX nodes over x, how x is spread, and the SQNR it must reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from rnnc.frontend.read.load import load
from rnnc.frontend.stream.streaming import to_stream
from rnnc.net import Net
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.streams import run_net, run_qnet
from tests.support.graphs import Builder
from tests.support.models import IR
from tests.support.nets import to_integers
from tests.support.packages import check_together, package

Array = np.ndarray[Any, Any]
Nodes = Callable[[Builder, str], str]
STEPS = 48


@dataclass(frozen=True)
class Case:
    """An operator over x ``[1, time, *frame]``.

    Args:
        nodes: adds its nodes to a builder that has the tensor named; returns the result's name.
        sqnr: dB of the integers against float, at least, on normal noise of deviation ``spread``.
        kind: of the op that must come of it; "" where it is not looked at.
        index: whether the result is a row number.
        truth: whether it is a truth value.
    """

    name: str
    nodes: Nodes
    sqnr: float
    frame: tuple[int, ...] = (6,)
    spread: float = 1.0
    kind: str = ""
    index: bool = False
    truth: bool = False
    opset: int = 21

    def __str__(self) -> str:
        return self.name


def op(op_type: str, *constants: Any, **attributes: Any) -> Nodes:
    """One node over x and constants."""
    return lambda b, x: b.op(op_type, x, *(b.const(c) for c in constants), **attributes)


def model(cases: Sequence[Case], steps: int = STEPS, columns: int = 0) -> bytes:
    """All cases, of one frame, side by side over one x; with ``columns`` over a Dense layer ``[columns] -> frame``."""
    b = Builder()
    frame = cases[0].frame
    source = "x"
    if columns:
        source = b.op("MatMul", "x", b.const(b.weights(columns, *frame)))
    results = list[str]()
    for case in cases:
        result = case.nodes(b, source)
        results.append(b.op("Identity", result, out=f"y_{len(results)}"))
    types = [TensorProto.INT64 if c.index else TensorProto.BOOL if c.truth else TensorProto.FLOAT for c in cases]
    graph = b.graph({"x": (1, steps, *((columns,) if columns else frame))}, [])
    graph.output.extend(helper.make_tensor_value_info(n, t, None) for n, t in zip(results, types, strict=True))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", cases[0].opset)], ir_version=IR)
    return bytes(proto.SerializeToString())


def imported(content: bytes) -> Net:
    """The network of a model, time on axis 1 of x."""
    options = Options(time_axis={"x": 1})
    return to_stream(load(content, options), options)


def reference(content: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """onnxruntime on whole sequences, each input ``[1, time, *frame]``."""
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
    got = run_net(net, {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in inputs.items()})
    worst = 0.0
    for name, y in got.items():
        r = want[name].astype(np.float64).reshape(y.shape)
        worst = max(worst, float(np.abs(y - r).max() / max(np.abs(r).max(), 1e-6)))
    return worst


def sequence(net: Net, spread: float = 1.0, steps: int = STEPS, seed: int = 0) -> dict[str, Array]:
    """Noise ``[1, steps, *frame]`` in float32 for each input of a net, and row numbers."""
    rng = np.random.default_rng(seed)

    def values(shape: tuple[int, ...], rows: int) -> Array:
        return rng.integers(0, rows, shape) if rows else (rng.standard_normal(shape) * spread).astype(np.float32)

    return {v.name: values((1, steps, *v.shape), v.rows) for v in net.inputs}


def quantized(net: Net, inputs: Mapping[str, Array] | None, options: Options = Options()) -> QNet:  # noqa: B008
    """The network in integers, calibrated on ``[1, time, *frame]``, or on nothing."""
    data = None if inputs is None else {k: np.moveaxis(v, 0, 1) for k, v in inputs.items()}
    return to_integers(net, data, options)


def sqnr(net: Net, qnet: QNet, inputs: Mapping[str, Array]) -> float:
    """dB of the worst output, pooled over its elements, each element's mean left out."""
    lanes = {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in inputs.items()}
    want = run_net(net, lanes)
    got = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in lanes.items()})
    worst = 200.0
    for output in qnet.outputs:
        r = want[output.name]
        y = qnet.formats[output.value].dequantize(got[output.name])
        noise = float(((y - r) ** 2).sum())
        if noise:
            worst = min(worst, float(10 * np.log10(((r - r.mean(0)) ** 2).sum() / noise)))
    return worst


def check_c(qnet: QNet, folder: Path, steps: int = 200) -> None:
    """The C equals the oracle over inputs to the extremes, without a warning, under address and undefined sanitizers."""
    check_together([package(qnet, steps=steps)], folder)


# --------------------------------------------------------------------------- what is built


def _positive(then: Callable[[Builder, str], str], epsilon: float = 0.05) -> Nodes:
    return lambda b, x: then(b, b.op("Add", b.op("Abs", x), b.const(epsilon)))


def _with_itself(op_type: str) -> Nodes:
    """x with itself turned around along its last axis."""

    def nodes(b: Builder, x: str) -> str:
        ends = [b.const(np.array([v])) for v in (-1, -(2**31), -1, -1)]
        return b.op(op_type, x, b.op("Slice", x, *ends))

    return nodes


def _quotient(b: Builder, x: str) -> str:
    return b.op("Div", x, b.op("Add", b.op("Abs", b.op("Neg", x)), b.const(0.5)))


def _broadcast(b: Builder, x: str) -> str:
    mean = b.op("ReduceMean", x, b.const(np.array([2])), keepdims=1)
    return b.op("Mul", b.op("Sub", x, mean), b.op("ReduceMax", x, b.const(np.array([3])), keepdims=1))


def _halves(op_type: str) -> Nodes:
    def nodes(b: Builder, x: str) -> str:
        return b.op(op_type, *b.ops("Split", 2, x, axis=2, num_outputs=2))

    return nodes


def _magnitude(b: Builder, x: str) -> str:
    real, imaginary = b.ops("Split", 2, x, axis=2, num_outputs=2)
    squares = b.op("Add", b.op("Pow", real, b.const(2.0)), b.op("Mul", imaginary, imaginary))
    return b.op("Sqrt", squares)


def _two_limits(op_type: str, lo: float, hi: float) -> Nodes:
    def nodes(b: Builder, x: str) -> str:
        return b.op(op_type, b.op("Greater", x, b.const(lo)), b.op("Less", x, b.const(hi)))

    return nodes


def _with_sine(op_type: str) -> Nodes:
    """A function of what lies within -0.9 .. 0.9."""
    return lambda b, x: b.op(op_type, b.op("Mul", b.op("Sin", x), b.const(0.9)))


def _where(other: Nodes) -> Nodes:
    """x where it is positive, what ``other`` makes of it else."""
    return lambda b, x: b.op("Where", b.op("Greater", x, b.const(0.0)), x, other(b, x))


_G = np.array([0.5, 1.0, 2.0, 0.25, 1.5, 3.0])
_B = np.array([0.1, -0.2, 0.0, 0.3, 1.0, -1.0])
LAST = np.array([-1])

ARITHMETIC = [
    Case("mul_constants", op("Mul", _G), 80, kind="scale"),
    Case("div_constant", op("Div", 3.0), 80, kind="scale"),
    Case("mul_signed", op("Mul", _B), 70, kind="affine"),
    Case("add_constants", op("Add", _B), 75, kind="affine"),
    Case("constant_minus", lambda b, x: b.op("Sub", b.const(1.0), x), 75, kind="affine"),
    Case("standardised", lambda b, x: b.op("Div", b.op("Sub", x, b.const(_B)), b.const(_G)), 75),
    Case("neg", op("Neg"), 78, kind="affine"),
    Case("add", _with_itself("Add"), 72, kind="add"),
    Case("sub", _with_itself("Sub"), 72, kind="add"),
    Case("mul", _with_itself("Mul"), 62, kind="mul"),
    Case("sum_of_three", lambda b, x: b.op("Sum", x, b.op("Relu", x), b.op("Neg", x)), 70, kind="add"),
    Case("mean_of_two", lambda b, x: b.op("Mean", b.op("Abs", x), x), 70, kind="add"),
    Case("max_of_three", lambda b, x: b.op("Max", b.op("Neg", x), x, b.const(0.5)), 70),
    Case("max", _with_itself("Max"), 75, kind="minmax"),
    Case("outer_constant", lambda b, x: b.op("Einsum", x, b.const(_B), equation="btf,f->btf"), 70),
    Case("min", _with_itself("Min"), 75, kind="minmax"),
    Case("div", _quotient, 66, kind="div"),
    Case("constant_over", _positive(lambda b, x: b.op("Div", b.const(2.0), x), 1.0), 60, kind="power"),
    Case("square", op("Pow", 2.0), 62, kind="mul"),
    Case("cube", op("Pow", 3.0), 55, kind="power"),
]
ACTIVATIONS = [
    Case("relu", op("Relu"), 78, kind="clip"),
    Case("clip", op("Clip", np.float32(-0.5), np.float32(1.5)), 75, kind="clip"),
    Case("leaky_relu", op("LeakyRelu", alpha=0.1), 75, kind="leaky_relu"),
    Case("prelu", op("PRelu", _G - 1), 72, kind="leaky_relu"),
    Case("abs", op("Abs"), 75, kind="leaky_relu"),
    Case("hard_sigmoid", op("HardSigmoid", alpha=0.2, beta=0.5), 76, kind="affine"),
    Case("hard_swish", op("HardSwish"), 72, spread=3.0, kind="mul"),
    Case("elu", op("Elu", alpha=1.5), 74, spread=2.0, kind="curve"),
    Case("celu", op("Celu", alpha=0.5), 72, kind="curve"),
    Case("selu", op("Selu"), 74, spread=2.0, kind="curve"),
    Case("softplus", op("Softplus"), 71, spread=2.0, kind="curve"),
    Case("softsign", op("Softsign"), 71, spread=2.0, kind="curve"),
    Case("gelu", op("Gelu"), 71, spread=2.0, kind="curve"),
    Case("gelu_tanh", op("Gelu", approximate="tanh"), 71, spread=2.0, kind="curve"),
    Case("mish", op("Mish"), 71, spread=2.0, kind="curve"),
    Case("erf", op("Erf"), 74, kind="curve"),
    Case("exp", op("Exp"), 55, spread=0.7, kind="curve"),
    Case("sin", op("Sin"), 70, kind="curve"),
    Case("cos", op("Cos"), 68, kind="curve"),
    Case("atan", op("Atan"), 74, kind="curve"),
    Case("asinh", op("Asinh"), 72, kind="curve"),
    Case("sinh", op("Sinh"), 60, spread=0.7, kind="curve"),
    Case("cosh", op("Cosh"), 55, spread=0.7, kind="curve"),
    Case("asin", _with_sine("Asin"), 60, kind="curve"),
    Case("acos", _with_sine("Acos"), 60, kind="curve"),
    Case("acosh", lambda b, x: b.op("Acosh", b.op("Add", b.op("Abs", x), b.const(1.5))), 60, kind="curve"),
    Case("max_of_vector", op("Max", _B), 70),
    Case("min_of_vector", op("Min", _G), 70),
    Case("floor", op("Floor"), 25, spread=3.0, kind="round"),
    Case("ceil", op("Ceil"), 25, spread=3.0, kind="round"),
    Case("round", op("Round"), 25, spread=3.0, kind="round"),
]

COMPARISONS = [
    Case("greater", op("Greater", 0.3), 20, kind="compare", truth=True),
    Case("less_or_equal_by_element", op("LessOrEqual", _B), 20, kind="compare", truth=True),
    Case("above_a_constant", lambda b, x: b.op("Less", b.const(0.3), x), 20, kind="compare", truth=True),
    Case("not", lambda b, x: b.op("Not", b.op("Less", x, b.const(_B))), 20, kind="compare", truth=True),
    Case("not_zero", lambda b, x: b.op("Not", b.op("Equal", b.op("Relu", x), b.const(0.0))), 20, truth=True),
    Case("compared", _with_itself("Greater"), 20, kind="compare", truth=True),
    Case("between", _two_limits("And", -0.4, 0.6), 20, kind="minmax", truth=True),
    Case("on_either_side", _two_limits("Or", 0.6, -0.4), 20, kind="minmax", truth=True),
    Case("one_of_both", _two_limits("Xor", 0.6, 0.9), 20, kind="add", truth=True),
    Case("as_a_number", lambda b, x: b.op("Cast", b.op("Greater", x, b.const(0.3)), to=TensorProto.FLOAT), 20),
    Case("where", _where(lambda b, x: b.op("Neg", x)), 60),
    Case("where_constants", lambda b, x: b.op("Where", b.op("Less", x, b.const(0.1)), b.const(_G), b.const(-0.5)), 20),
    Case("where_or_zero", _where(lambda b, x: b.const(np.float32(0.0))), 70),
    Case("where_by_element", lambda b, x: b.op("Where", b.const(_B > 0), x, b.op("Abs", x)), 70),
    Case("thresholded_relu", op("ThresholdedRelu", alpha=0.4), 30),
    Case("shrink", op("Shrink", lambd=0.3, bias=0.3), 60),
    Case("hard_shrink", op("Shrink", lambd=0.3), 30),
    Case("sign", op("Sign"), 20),
    Case("remainder", lambda b, x: b.op("Mod", x, b.const(0.75), fmod=1), 15),
]


def _gated(before: Nodes, function: str = "Sigmoid") -> Nodes:
    return lambda b, x: b.op(function, before(b, x))


HEADS = [
    Case("sigmoid_of_sum", _gated(_with_itself("Add")), 74, kind="squash"),
    Case("tanh_of_product", _gated(_with_itself("Mul"), "Tanh"), 70, kind="squash"),
    Case("sigmoid_of_affine", _gated(op("Add", _B)), 74, kind="squash"),
    Case("tanh_of_norm", _gated(op("LayerNormalization", _G, _B), "Tanh"), 70, kind="squash"),
    Case("softmax_of_product", lambda b, x: b.op("Softmax", b.op("Mul", x, b.const(_B)), axis=-1), 66, kind="softmax"),
    Case("softmax_of_sum", lambda b, x: b.op("Softmax", _with_itself("Add")(b, x), axis=-1), 70, kind="softmax"),
    Case("sigmoid", op("Sigmoid"), 75, kind="squash"),
    Case("tanh", op("Tanh"), 76, kind="squash"),
    Case("silu", lambda b, x: b.op("Mul", x, b.op("Sigmoid", x)), 68, spread=2.0),
    Case("softmax", op("Softmax", axis=-1), 72, spread=2.0, kind="softmax"),
    Case("log_softmax", op("LogSoftmax", axis=-1), 64, spread=2.0, kind="softmax"),
    Case("argmax", op("ArgMax", axis=-1, keepdims=0), 20, kind="argmax", index=True),
    Case("argmin", op("ArgMin", axis=-1, keepdims=1), 20, kind="argmax", index=True),
]
POWERS = [
    Case("sqrt", _positive(lambda b, x: b.op("Sqrt", x)), 68, kind="power"),
    Case("root_of_a_power", _positive(lambda b, x: b.op("Pow", x, b.const(0.3))), 63, kind="power"),
    Case("inverse_root", _positive(lambda b, x: b.op("Reciprocal", b.op("Sqrt", x)), 0.3), 60, kind="power"),
    Case("reciprocal", _positive(lambda b, x: b.op("Reciprocal", x), 0.3), 55, kind="power"),
    Case("log", _positive(lambda b, x: b.op("Log", x)), 62, kind="log"),
    Case("log1p", _positive(lambda b, x: b.op("Log", b.op("Add", x, b.const(1.0)))), 68, kind="log"),
]
NORMS = [
    Case("layer_norm", op("LayerNormalization", _G, _B), 74, kind="norm"),
    Case("layer_norm_small", op("LayerNormalization", _G, _B, epsilon=1e-2), 64, spread=1e-2, kind="norm"),
    Case("shares", op("LpNormalization", axis=2, p=1), 60, kind="div"),
    Case("lp_norm", op("LpNormalization", axis=2), 74, kind="norm"),
]
REDUCTIONS = [
    Case("sum", op("ReduceSum", LAST, keepdims=0), 70, kind="reduce"),
    Case("mean", op("ReduceMean", LAST, keepdims=1), 70, kind="reduce"),
    Case("sum_square", op("ReduceSumSquare", LAST, keepdims=0), 62, kind="reduce"),
    Case("log_sum", lambda b, x: b.op("ReduceLogSum", b.op("Exp", x), b.const(LAST)), 50, spread=0.7, kind="log"),
    Case("l1", op("ReduceL1", LAST, keepdims=0), 66, kind="reduce"),
    Case("l2", op("ReduceL2", LAST, keepdims=0), 66, kind="reduce"),
    Case("largest", op("ReduceMax", LAST, keepdims=0), 72, kind="reduce"),
    Case("smallest", op("ReduceMin", LAST, keepdims=1), 72, kind="reduce"),
]
MATRICES = [
    Case("broadcast", _broadcast, 58, (4, 5)),
    Case("magnitude_of_halves", _magnitude, 70, (4, 5), kind="magnitude"),
    Case("max_of_halves", _halves("Max"), 74, (4, 5), kind="minmax"),
    Case("add_rows", op("Add", np.linspace(-1, 1, 5)), 74, (4, 5), kind="affine"),
    Case("add_columns", op("Add", np.linspace(-1, 1, 4)[:, None]), 74, (4, 5), kind="affine"),
    Case("mul_columns", op("Mul", np.linspace(0.1, 2, 4)[:, None]), 78, (4, 5), kind="scale"),
    Case("prelu_columns", op("PRelu", np.linspace(-0.5, 0.5, 4)[:, None]), 74, (4, 5), kind="leaky_relu"),
    Case("softmax_first", op("Softmax", axis=2), 74, (4, 5), kind="softmax"),
    Case("log_softmax_last", op("LogSoftmax", axis=3), 64, (4, 5), kind="softmax"),
    Case("argmax_first", op("ArgMax", axis=2, keepdims=1), 20, (4, 5), kind="argmax", index=True),
    Case(
        "layer_norm_both", op("LayerNormalization", np.ones((4, 5)), np.zeros((4, 5)), axis=2), 74, (4, 5), kind="norm"
    ),
    Case("lp_norm_first", op("LpNormalization", axis=2), 72, (4, 5), kind="norm"),
    Case("sum_first", op("ReduceSum", np.array([2]), keepdims=0), 72, (4, 5), kind="reduce"),
    Case("gram", lambda b, x: b.op("MatMul", x, b.op("Transpose", x, perm=[0, 1, 3, 2])), 62, (4, 5), kind="product"),
    Case("sum_so_far", op("CumSum", np.asarray(2), exclusive=1), 40, (4, 5), kind="dense"),
    Case("l2_both", op("ReduceL2", np.array([2, 3]), keepdims=1), 62, (4, 5), kind="reduce"),
]


GROUPS: dict[str, list[Case]] = {
    "arithmetic": ARITHMETIC,
    "activations": ACTIVATIONS,
    "comparisons": COMPARISONS,
    "heads": HEADS,
    "powers": POWERS,
    "norms": NORMS,
    "reductions": REDUCTIONS,
    "matrices": MATRICES,
}
CASES = [case for cases in GROUPS.values() for case in cases]
