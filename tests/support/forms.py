"""The forms of operators that docs/supported.md lists: small files of one form each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from rnnc.options import Options
from tests.support import bands
from tests.support.control_forms import control
from tests.support.graphs import Builder
from tests.support.recurrent import DEFAULT, Layer, layer, model
from tests.support.sums import forms as summed
from tests.support.supported import Form
from tests.support.unrolled import forms as unrolled

Nodes = Callable[[Builder], str]
STEPS = 12
TIME = Options(time_axis={"x": 1})
ROW_NUMBERS = ("ArgMax", "ArgMin")


# --------------------------------------------------------------------------- files


def frames(nodes: Nodes, *frame: int, types: str = "f", opset: int = 21) -> Callable[[], bytes]:
    """A file over x ``[1, time, *frame]``; ``nodes`` gives its result."""

    def content() -> bytes:
        b = Builder()
        y = nodes(b)
        content = b.model({"x": (1, STEPS, *(frame or (6,)))}, [y], types, opset)
        return _typed(content) if b.nodes[-1].op_type in ROW_NUMBERS else content

    return content


def _typed(content: bytes) -> bytes:
    """The file with row numbers as its output."""
    proto = ModelProto.FromString(content)
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return bytes(proto.SerializeToString())


def channels(nodes: Nodes, *rest: int) -> Callable[[], bytes]:
    """A file over x ``[1, 4, time, *rest]``: channels first."""

    def content() -> bytes:
        b = Builder()
        y = nodes(b)
        return b.model({"x": (1, 4, STEPS, *rest)}, [y])

    return content


def node(op_type: str, *constants: Any, **attributes: Any) -> Nodes:
    """One node over x and constants."""
    return lambda b: b.op(op_type, "x", *(b.const(c) for c in constants), **attributes)


def first(op_type: str, outputs: int, *constants: Any, **attributes: Any) -> Nodes:
    """The first output of a node of several."""
    return lambda b: b.ops(op_type, outputs, "x", *(b.const(c) for c in constants), **attributes)[0]


def over_frames(operator: str, what: str, nodes: Nodes, *frame: int, types: str = "f") -> Form:
    """A form over frames, time on axis 1."""
    return Form(operator, what, frames(nodes, *frame, types=types), TIME)


def over_time(operator: str, what: str, nodes: Nodes, *rest: int) -> Form:
    """A form with channels first, time on axis 2."""
    return Form(operator, what, channels(nodes, *rest), Options(time_axis={"x": 2}))


def in_windows(operator: str, what: str, nodes: Nodes, *frame: int) -> Form:
    """A form over frames, compiled with --window."""
    return Form(operator, f"{what} with --window", frames(nodes, *frame), Options(time_axis={"x": 1}, window=STEPS))


def of_layer(made: Layer, what: str, window: bool = False) -> Form:
    """A form of LSTM, GRU or RNN."""
    return Form(made.op_type, what, lambda: model([made], STEPS), Options(window=STEPS if window else 0))


# --------------------------------------------------------------------------- forms


def recurrent() -> list[Form]:
    """The recurrent operators."""
    forms = []
    for op_type in DEFAULT:
        extra = ("initial_h", "initial_c") if op_type == "LSTM" else ("initial_h",)
        forms += [
            of_layer(layer(op_type), "defaults"),
            of_layer(layer(op_type, optional=()), "without B"),
            of_layer(layer(op_type, optional=("B", *extra)), f"{' and '.join(extra)} constant"),
            of_layer(layer(op_type, {"clip": 0.5}), "clip"),
            of_layer(layer(op_type, {"layout": 1}), "layout=1"),
            of_layer(layer(op_type, outputs=("Y_h",)), "Y_h"),
        ]
        forms += [_lengths(op_type, STEPS), _lengths(op_type, STEPS - 2)]
        forms += _own(op_type)
        for direction in ("reverse", "bidirectional"):
            made = layer(op_type, {"direction": direction})
            forms += [
                of_layer(made, f"direction={direction}"),
                of_layer(made, f"direction={direction} with --window", window=True),
            ]
        forms += _activations(op_type)
    what = "over the last state of another, repeated"
    windows = [(what, 0), (f"{what} with --window", STEPS)]
    return [*forms, *bands.forms(), *(Form("RNN", text, _decoder, Options(window=w)) for text, w in windows)]


def _decoder() -> bytes:
    """A second layer, over what the first one gives in the end."""
    b = Builder()
    weights = [[b.const(np.ones((1, 4, n)) / 8) for n in (columns, 4)] for columns in (6, 4)]
    _, last = b.ops("RNN", 2, "x", *weights[0], hidden_size=4)
    y = b.ops("RNN", 1, b.op("Expand", last, b.const(np.array([STEPS, 1, 4]))), *weights[1], hidden_size=4)[0]
    return b.model({"x": (STEPS, 1, 6)}, [y])


def _own(op_type: str) -> list[Form]:
    """What only one of them has."""
    if op_type == "LSTM":
        return [
            of_layer(layer(op_type, optional=("B", "P")), "P (peepholes)"),
            of_layer(layer(op_type, {"input_forget": 1}), "input_forget=1"),
            of_layer(layer(op_type, outputs=("Y_c",)), "Y_c"),
        ]
    if op_type == "GRU":
        return [of_layer(layer(op_type, {"linear_before_reset": k}), f"linear_before_reset={k}") for k in (0, 1)]
    return []


def _lengths(op_type: str, length: int) -> Form:
    made = layer(op_type)
    constants = {**made.constants, "sequence_lens": np.array([length])}
    what = "as long as the sequence" if length == STEPS else "shorter"
    return of_layer(Layer(op_type, constants, made.attributes, made.outputs), f"sequence_lens {what}")


def _activations(op_type: str) -> list[Form]:
    """Each of ONNX's activations as the last function of the node."""
    names = (
        *("Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh"),
        *("Softplus", "Softsign", "ThresholdedRelu"),
    )
    default = DEFAULT[op_type]
    return [
        of_layer(layer(op_type, {"activations": [*default[:-1], name]}, spread=0.2), f"activations: {name}")
        for name in names
    ]


def _of_integers(b: Builder) -> str:
    """As onnxruntime's quantize_dynamic writes a MatMul."""
    q, scale, zero = b.ops("DynamicQuantizeLinear", 3, "x")
    y = b.op("MatMulInteger", q, b.const(np.ones((6, 3), np.int8)), zero)
    return b.op("Mul", b.op("Cast", y, to=TensorProto.FLOAT), b.op("Mul", scale, b.const(0.01)))


def products() -> list[Form]:
    """Products with weights, products of computed tensors, and tables."""

    def gram(b: Builder) -> str:
        return b.op("MatMul", b.op("Transpose", "x", perm=[0, 2, 1]), "x")

    w = np.ones((6, 3))
    return [
        over_frames("MatMul", "by a constant", node("MatMul", w)),
        over_frames("MatMul", "by a constant, Add of a constant", lambda b: b.op("Add", node("MatMul", w)(b), b.const(w[0]))),
        over_frames("MatMul", "a constant by it", lambda b: b.op("MatMul", b.const(np.ones((5, 6))), "x"), 6, 3),
        over_frames("MatMul", "of two computed tensors", lambda b: b.op("MatMul", "x", "x"), 4, 4),
        over_frames("DynamicQuantizeLinear, MatMulInteger", "by a constant", _of_integers),
        over_frames("MatMul", "over all steps of two tensors", gram),
        in_windows("MatMul", "over all steps of two tensors", gram),
        over_frames("Einsum", "one contraction with a constant matrix", node("Einsum", w, equation="bti,io->bto")),
        over_frames("Einsum", "no sum, with a constant", node("Einsum", w, equation="bti,io->btio")),
        Form("Gemm", "alpha, beta, transB, C", _gemm, Options()),
        over_frames("Gather", "rows of a constant table (embedding)", lambda b: b.op("Gather", b.const(w), "x"), types="i"),
        over_frames("OneHot", "along a new last axis", _one_hot, types="i"),
    ]  # fmt: skip


def _gemm() -> bytes:
    b = Builder()
    y = b.op("Gemm", "x", b.const(np.ones((3, 6))), b.const(np.ones(3)), transB=1, alpha=0.5, beta=2.0)
    return b.model({"x": ("time", 6)}, [y])


def _one_hot(b: Builder) -> str:
    return b.op("OneHot", "x", b.const(np.array(5)), b.const(np.array([0.0, 1.0])))


def _conv(b: Builder, groups: int = 1, kernel: int = 3, **attributes: Any) -> str:
    return b.op("Conv", "x", b.const(b.weights(4, 4 // groups, kernel)), group=groups, **attributes)


def convolutions() -> list[Form]:
    """Along time."""

    def frequency(b: Builder) -> str:
        return b.op("Conv", "x", b.const(b.weights(3, 4, 3, 2)), pads=[2, 0, 0, 0], strides=[1, 2])

    return [
        over_time("Conv", "along time, causal padding", lambda b: _conv(b, pads=[2, 0])),
        over_time("Conv", "along time, same padding", lambda b: _conv(b, pads=[1, 1])),
        over_time("Conv", "along time, no padding", _conv),
        over_time("Conv", "auto_pad=SAME_UPPER", lambda b: _conv(b, auto_pad="SAME_UPPER")),
        over_time("Conv", "dilations", lambda b: _conv(b, dilations=[2], pads=[4, 0])),
        over_time("Conv", "strides", lambda b: _conv(b, strides=[2], pads=[2, 0])),
        over_time("Conv", "group (depthwise)", lambda b: _conv(b, groups=4, pads=[2, 0])),
        over_time("Conv", "over time and frequency", frequency, 8),
        over_time("ConvTranspose", "along time", lambda b: b.op("ConvTranspose", "x", b.const(b.weights(4, 2, 3)))),
        over_time("MaxPool", "along time", node("MaxPool", kernel_shape=[2])),
        over_time("MaxPool", "strides", node("MaxPool", kernel_shape=[2], strides=[2])),
        over_time("AveragePool", "along time", node("AveragePool", kernel_shape=[2], strides=[2])),
        over_time("AveragePool", "pads, count_include_pad=0", node("AveragePool", kernel_shape=[3], pads=[1, 1])),
        over_time("GlobalAveragePool", "over time", node("GlobalAveragePool")),
        over_time("GlobalMaxPool", "over time", node("GlobalMaxPool")),
        over_time("Pad", "constant, before the first step", node("Pad", np.array([0, 0, 2, 0, 0, 0]))),
        over_frames("Pad", "constant, along features", node("Pad", np.array([0, 0, 2, 0, 0, 1]))),
        over_frames("Pad", "reflect, along features", node("Pad", np.array([0, 0, 2, 0, 0, 1]), mode="reflect")),
        over_frames("Pad", "edge, along features", node("Pad", np.array([0, 0, 2, 0, 0, 1]), mode="edge")),
        over_frames("Pad", "reflect, along time", node("Pad", np.array([0, 2, 0, 0, 1, 0]), mode="reflect")),
        in_windows("Pad", "reflect, along time", node("Pad", np.array([0, 2, 0, 0, 1, 0]), mode="reflect")),
    ]


def norms() -> list[Form]:
    """Normalisation."""
    ones = np.ones(6)
    whole = np.ones(4)
    return [
        over_time("BatchNormalization", "inference", node("BatchNormalization", *[whole] * 4)),
        over_frames("LayerNormalization", "axis=-1", node("LayerNormalization", ones, ones)),
        over_frames("LayerNormalization", "axis=1: over time", node("LayerNormalization", np.ones((STEPS, 6)), axis=1)),
        Form("RMSNormalization", "axis=-1", frames(node("RMSNormalization", ones), opset=23), TIME),
        over_time("InstanceNormalization", "over time", node("InstanceNormalization", whole, whole)),
        over_frames("GroupNormalization", "over features and time", node("GroupNormalization", ones, ones, num_groups=2)),
        over_frames("LpNormalization", "p=2", node("LpNormalization", axis=2)),
        over_frames("LpNormalization", "p=1", node("LpNormalization", axis=2, p=1)),
        over_frames("ReduceMean, Sub, Mul, Sqrt, Div", "a norm written out", _norm),
        over_frames("Softmax", "axis=-1", node("Softmax", axis=-1)),
        over_frames("Softmax", "over time", node("Softmax", axis=1)),
        in_windows("Softmax", "over time", node("Softmax", axis=1)),
        over_frames("Softmax, Mul, ReduceSum", "attention pooling over time", _pooled),
        over_frames("LogSoftmax", "axis=-1", node("LogSoftmax", axis=-1)),
    ]  # fmt: skip


def _pooled(b: Builder) -> str:
    shares = b.op("Softmax", b.op("MatMul", "x", b.const(np.ones((6, 1)))), axis=1)
    return b.op("ReduceSum", b.op("Mul", shares, "x"), b.const(np.array([1])))


def _norm(b: Builder) -> str:
    last = b.const(np.array([-1]))
    centred = b.op("Sub", "x", b.op("ReduceMean", "x", last))
    variance = b.op("ReduceMean", b.op("Mul", centred, centred), last)
    return b.op("Div", centred, b.op("Sqrt", b.op("Add", variance, b.const(1e-5))))


UNARY = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor"),
    *("Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round"),
    *("Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh"),
    "ThresholdedRelu",
)  # fmt: skip


def pointwise() -> list[Form]:
    """Element by element."""
    c = np.linspace(-1.0, 2.0, 6)
    forms = [*map(_unary, UNARY), over_frames("Gelu", "approximate=tanh", node("Gelu", approximate="tanh"))]
    for name in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        forms += [
            over_frames(name, "with a constant number", node(name, 0.5)),
            over_frames(name, "with a constant vector", node(name, c)),
            over_frames(name, "of two computed tensors", _with_gate(name)),
        ]
    return [
        *forms,
        over_frames("Sum, Mean", "of any number of tensors", lambda b: b.op("Mean", "x", b.op("Relu", "x"), "x")),
        over_frames("Pow", "by one constant number", node("Pow", 3.0)),
        over_frames("Pow", "by a constant vector", node("Pow", c)),
        over_frames("Clip", "constant limits", node("Clip", np.float32(-1), np.float32(1))),
        over_frames("PRelu", "constant slopes", node("PRelu", c)),
        over_frames("Mod", "of numbers", node("Mod", 2.0, fmod=1)),
    ]


def _with_gate(name: str) -> Nodes:
    return lambda b: b.op(name, "x", b.op("Sigmoid", "x"))


def _unary(name: str) -> Form:
    opset = 24 if name == "Swish" else 21
    return Form(name, "", frames(node(name), opset=opset), TIME)


def _reduced(what: str, before: str, axis: int) -> Nodes:
    return lambda b: b.op(what, b.op(before, "x"), b.const(np.array([axis])), keepdims=0)


def reductions() -> list[Form]:
    """Along features, and along time."""
    forms = []
    for name in ("Sum", "Mean", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp", "Prod"):
        what = f"Reduce{name}"
        for axis, where in ((2, "along features"), (1, "along time")):
            forms.append(over_frames(what, where, _reduced(what, "Abs" if name == "LogSum" else "Neg", axis)))
    return [
        *forms,
        over_frames("ArgMax", "along features", node("ArgMax", axis=-1, keepdims=0)),
        over_frames("ArgMax", "select_last_index=1", node("ArgMax", axis=-1, keepdims=0, select_last_index=1)),
        over_frames("ArgMin", "along features", node("ArgMin", axis=-1, keepdims=0)),
        over_frames("TopK", "", first("TopK", 2, np.array([2]))),
        over_frames("CumSum", "along features", node("CumSum", np.array(2))),
        over_frames("CumSum", "along time", node("CumSum", np.array(1))),
        in_windows("CumSum", "along time", node("CumSum", np.array(1))),
    ]


def comparisons() -> list[Form]:
    """Truth values are numbers."""

    def logic(name: str) -> Nodes:
        return lambda b: b.op(name, b.op("Greater", "x", b.const(0.0)), b.op("Less", "x", b.const(1.0)))

    def where(b: Builder) -> str:
        return b.op("Where", b.op("Greater", "x", b.const(0.0)), "x", b.op("Neg", "x"))

    orders = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    return [
        *(over_frames(name, "with a constant", node(name, 0.5)) for name in orders),
        over_frames("Greater", "of two computed tensors", lambda b: b.op("Greater", "x", b.op("Tanh", "x"))),
        over_frames("Not", "", lambda b: b.op("Not", b.op("Greater", "x", b.const(0.0)))),
        *(over_frames(name, "", logic(name)) for name in ("And", "Or", "Xor")),
        over_frames("Where", "condition computed", where),
        over_frames("Where", "condition constant", lambda b: b.op("Where", b.const(np.arange(6) > 2), "x", b.op("Neg", "x"))),
        over_frames("Cast", "between floats", node("Cast", to=TensorProto.FLOAT16)),
        over_frames("Cast", "numbers to truth values", node("Cast", to=TensorProto.BOOL)),
        over_frames("Cast", "truth values to numbers", lambda b: b.op("Cast", node("Greater", 0.0)(b), to=TensorProto.FLOAT)),
        over_frames("Cast", "numbers to integers", node("Cast", to=TensorProto.INT64)),
    ]  # fmt: skip


def shapes() -> list[Form]:
    """What moves elements."""
    one, last = np.array([1]), np.array([-1])
    return [
        over_frames("Transpose", "time and batch", node("Transpose", perm=[1, 0, 2])),
        over_frames("Transpose", "within a frame", node("Transpose", perm=[0, 1, 3, 2]), 3, 4),
        over_frames("Reshape", "within a frame", node("Reshape", np.array([1, STEPS, 3, 2]))),
        over_frames("Reshape, Dense", "all steps side by side", _flattened),
        over_frames("Squeeze, Unsqueeze, Flatten", "axes of length 1", node("Squeeze", np.array([0]))),
        over_frames("Concat", "along features", lambda b: b.op("Concat", "x", b.op("Neg", "x"), axis=2)),
        over_frames("Concat", "along time", lambda b: b.op("Concat", "x", "x", axis=1)),
        over_frames("Split", "along features", first("Split", 2, axis=2, num_outputs=2)),
        over_frames("Slice", "along features", node("Slice", one, np.array([5]), np.array([2]), np.array([2]))),
        over_frames("Slice", "the last step", node("Slice", last, np.array([2**31]), one)),
        over_frames("Slice", "backwards in time", node("Slice", last, np.array([-(2**31)]), one, last)),
        over_frames("Gather", "constant indices of features", node("Gather", np.array([4, 1]), axis=2)),
        over_frames("Gather", "the last step", node("Gather", np.array(-1), axis=1)),
        over_frames("GatherElements", "the same places of every row", node("GatherElements", _everywhere(), axis=1)),
        over_frames("Expand, Tile", "along features", node("Tile", np.array([1, 1, 2]))),
        over_frames("Dropout", "inference", first("Dropout", 1)),
    ]


def _everywhere() -> Any:
    """The last step for every feature."""
    return np.full((1, 1, 6), STEPS - 1)


def _flattened(b: Builder) -> str:
    flat = b.op("Reshape", "x", b.const(np.array([1, -1])))
    return b.op("MatMul", flat, b.const(np.ones((6 * STEPS, 2))))


SECTIONS: Sequence[tuple[str, Callable[[], list[Form]]]] = (
    ("Recurrent", recurrent),
    ("Products and tables", products),
    ("Convolutions and pools", convolutions),
    ("Norms and softmax", norms),
    ("Element by element", pointwise),
    ("Reductions", reductions),
    ("Comparisons", comparisons),
    ("Moving elements", shapes),
    ("Loops, states and other domains", control),
    ("Unrolled loops", unrolled),
    ("Linear recurrences written as sums", summed),
)
