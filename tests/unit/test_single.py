"""Float32 apart: the import is judged until float32 and float64 part; what is right passes, every planted fault is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.activations import SIGMOID, TANH
from rnnc.compiler import build
from rnnc.net import Net, State
from rnnc.ops.delay import Delay
from rnnc.options import Options
from rnnc.report.terminal import summary
from rnnc.streams import run_net, stream_net
from rnnc.tracing import InitialState
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.reference import Points, run_reference
from rnnc.verification.session import Session
from rnnc.verification.single import EXACT, PARTED, Judged, judge, run_single, single, with_sources
from tests.support.graphs import Builder
from tests.support.models import recurrent
from tests.support.nets import draw, noise
from tests.support.operators import CASES, imported, model, sequence

HIDDEN, FEATURES, SOON = 16, 4, 18
RNG_SEED = 5


def _layer(kind: str, gates: int, **attributes: Any) -> bytes:
    rng = np.random.default_rng(RNG_SEED)
    w, r = (rng.standard_normal((gates * HIDDEN, n)) / np.sqrt(HIDDEN) for n in (FEATURES, HIDDEN))
    states = 2 if kind == "LSTM" else 1
    initial = [rng.uniform(-0.5, 0.5, HIDDEN) for _ in range(states)]
    return recurrent(kind, w, r, rng.standard_normal(2 * gates * HIDDEN) * 0.3, initial, **attributes)


def _chaotic() -> bytes:
    """A recurrence with a gain of 2.2: differences grow until nothing is left of what was the same."""
    rng = np.random.default_rng(0)
    r = rng.standard_normal((32, 32)) * 2.2 / np.sqrt(32)
    w, bias = rng.uniform(-0.18, 0.18, (32, 1)), rng.uniform(-0.18, 0.18, 64)
    return recurrent("RNN", w, r, bias)


def _conv_gru() -> bytes:
    """A Conv that looks ahead beside its input, a GRU of both, a linear head."""
    b = Builder(3)
    conv = b.op("Conv", "x", b.const(b.weights(FEATURES, FEATURES, 3)), b.const(b.weights(FEATURES)), pads=[1, 1])
    both = b.op("Transpose", b.op("Add", conv, "x"), perm=[2, 0, 1])
    gates = [b.const(b.weights(1, *shape)) for shape in ((3 * HIDDEN, FEATURES), (3 * HIDDEN, HIDDEN), (6 * HIDDEN,))]
    h = b.op("GRU", both, *gates, hidden_size=HIDDEN, linear_before_reset=1)
    b.op("MatMul", b.op("Squeeze", h, b.const(np.array([1]))), b.const(b.weights(HIDDEN, 3)), out="y")
    return b.model({"x": [1, FEATURES, "time"]}, ["y"])


def _cell() -> bytes:
    """A cell of its own whose state the caller feeds back: h' = (1 - z) h + 0.9 z tanh(W x + R h + b)."""
    b = Builder(4)
    w, r, wz = (b.const(b.weights(n, HIDDEN)) for n in (FEATURES, HIDDEN, FEATURES))
    z = b.op("Sigmoid", b.op("Add", b.op("MatMul", "x", wz), b.const(b.weights(HIDDEN))))
    inner = b.op("Add", b.op("MatMul", "x", w), b.op("MatMul", "h", r))
    n = b.op("Tanh", b.op("Add", inner, b.const(b.weights(HIDDEN))))
    keep = b.op("Mul", b.op("Sub", b.const(np.array(1.0)), z), "h")
    b.op("Add", keep, b.op("Mul", z, b.op("Mul", n, b.const(np.array(0.9)))), out="h_next")
    b.op("Relu", "h_next", out="y")
    return b.model({"x": [1, FEATURES], "h": [1, HIDDEN]}, ["y", "h_next"])


NETS: dict[str, Callable[[], bytes]] = {
    "lstm": lambda: _layer("LSTM", 4),
    "gru_after": lambda: _layer("GRU", 3, linear_before_reset=1),
    "gru_before": lambda: _layer("GRU", 3),
    "rnn": lambda: _layer("RNN", 1),
    "conv_gru": _conv_gru,
    "cell": _cell,
    "chaotic": _chaotic,
}


@cache
def content(name: str) -> bytes:
    return NETS[name]()


@cache
def net_of(name: str) -> Net:
    return rnnc.load_net(content(name))


def judged(name: str, net: Net, steps: int, size: float = 1.0) -> Judged:
    """What holds of ``net`` as the import of a file."""
    x = size * np.random.default_rng(1).standard_normal((steps, *net.inputs[0].shape))
    reference = run_reference(Session(content(name), net, Options()), {net.inputs[0].name: [x.astype(np.float32)]})
    groups, watched = batches(reference.sequences, net), with_sources(net)
    exact = by_sequence(watched, [(b, run_net(watched, b.inputs)) for b in groups])
    return judge(net, exact, run_single(watched, groups), reference.outputs)


# ------------------------------------------------------------------- what is right passes


@pytest.mark.parametrize("name", NETS)
def test_a_right_import_passes_over_a_long_stream(name: str) -> None:
    found = judged(name, net_of(name), 8000, 0.1 if name == "chaotic" else 1.0)
    assert found.fault is None and found.error is not None
    assert (found.float32.parts_at is not None) == (name == "chaotic")
    if found.float32.parts_at is None:
        assert found.float32.judged == found.float32.points == 8000 and found.float32.max_rel < PARTED
    else:
        assert found.float32.judged == found.float32.parts_at - 1 > SOON


def test_a_chaotic_network_compiles_and_the_parting_is_told() -> None:
    x = 0.1 * np.random.default_rng(1).standard_normal((400, 1)).astype(np.float32)
    package = build(content("chaotic"), {"x": x}, Options(name="m"))
    assert package.verified is not None and not package.verified.problems()
    figures = package.report["verify"]
    step = figures["float32"]["parts_at"]
    assert package.verified.measured.outputs[0].points == step - 1
    assert any(note.startswith(f"float32 and float64 part at step {step}: {step - 1} of 400") for note in package.notes)
    assert f"over the {step - 1} of 400 values before float32 and float64 part" in summary(
        package.report, package.program
    )
    assert f"part at step {step}" in package.files["report.html"]
    assert f"over {step - 1} values, until float32 and float64 part" in package.files["m.c"]


def test_a_network_that_parts_at_once_is_told_to_be_beyond_judging() -> None:
    b = Builder()
    b.op("Sin", b.op("Mul", "x", b.const(np.array(1e7))), out="y")
    x = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    package = build(b.model({"x": ["time", 1, 2]}, ["y"]), {"x": x}, Options(name="m"))
    assert package.verified is not None and not package.verified.problems()
    figures = package.report["verify"]
    assert figures["import_max_rel"] is None and figures["outputs"][0]["sqnr_db"] is None
    assert (figures["float32"]["parts_at"], figures["float32"]["judged"]) == (1, 0)
    assert any("part at step 1: 0 of 40 values come before that" in note for note in package.notes)
    assert "within - of onnxruntime" in summary(package.report, package.program)


# ------------------------------------------------------------------- what is wrong does not

Change = Callable[[Any], dict[str, Any]]


def gates(order: list[int], *names: str) -> Change:
    return lambda op: {n: getattr(op, n)[order] for n in names or ("weights", "recurrence", "bias")}


def scaled(name: str, factor: float) -> Change:
    return lambda op: {name: getattr(op, name) * factor}


def _one_weight(op: Any) -> dict[str, Any]:
    """A single weight of the recurrence off by 1e-3 of the largest."""
    changed = op.recurrence.copy()
    changed.flat[0] += 1e-3 * np.abs(changed).max()
    return {"recurrence": changed}


def _input_dropped(op: Any) -> dict[str, Any]:
    changed = op.weights.copy()
    changed[..., 0] = 0
    return {"weights": changed}


def _transposed(op: Any) -> dict[str, Any]:
    return {"recurrence": np.swapaxes(op.recurrence, -1, -2)}


ZERO = InitialState(np.zeros(HIDDEN))
FAULTS: list[tuple[str, str, str, Change]] = [
    ("lstm", "input and forget gates swapped", "lstm0", gates([2, 1, 0, 3])),
    ("lstm", "output gate and candidate swapped", "lstm0", gates([0, 3, 2, 1])),
    ("lstm", "bias dropped", "lstm0", scaled("bias", 0)),
    ("lstm", "forget gate's bias dropped", "lstm0", lambda op: {"bias": op.bias * [[1], [1], [0], [1]]}),
    ("lstm", "transposed recurrence", "lstm0", _transposed),
    ("lstm", "initial state ignored", "lstm0", lambda op: {"initial_h": ZERO, "initial_c": ZERO}),
    ("lstm", "sigmoid for tanh", "lstm0", lambda op: {"activations": (SIGMOID, SIGMOID, TANH)}),
    ("lstm", "coupled gates", "lstm0", lambda op: {"coupled": True}),
    ("lstm", "a clip", "lstm0", lambda op: {"clip": 1.0}),
    ("lstm", "peepholes", "lstm0", lambda op: {"peepholes": np.full((3, HIDDEN), 0.01)}),
    ("lstm", "one weight off by 1e-3", "lstm0", _one_weight),
    ("gru_after", "reset before for after", "gru0", lambda op: {"reset_after": False}),
    ("gru_before", "reset after for before", "gru0", lambda op: {"reset_after": True}),
    ("gru_after", "update and reset gates swapped", "gru0", gates([1, 0, 2], "weights", "recurrence")),
    ("gru_after", "recurrent bias dropped", "gru0", scaled("bias_h", 0)),
    ("gru_after", "weights off by 1e-3", "gru0", scaled("weights", 1.001)),
    ("gru_after", "update gate negated", "gru0", lambda op: {"weights": op.weights * [[[-1]], [[1]], [[1]]]}),
    ("gru_before", "tanh for sigmoid", "gru0", lambda op: {"activations": (TANH, TANH)}),
    ("rnn", "recurrence negated", "rnn0", scaled("recurrence", -1)),
    ("rnn", "initial state ignored", "rnn0", lambda op: {"initial_h": ZERO}),
    ("rnn", "one weight off by 1e-3", "rnn0", _one_weight),
    ("conv_gru", "taps in reverse", "conv0", lambda op: {"weights": op.weights[:, ::-1]}),
    ("conv_gru", "taps one step late", "conv0", lambda op: {"weights": np.roll(op.weights, 1, 1)}),
    ("cell", "transposed recurrence", "dense2", lambda op: {"weights": op.weights.T}),
    ("cell", "tanh for sigmoid", "squash0", lambda op: {"function": "tanh"}),
    ("cell", "a sign of the sum", "add1", lambda op: {"subtract": True}),
    ("cell", "bias dropped", "affine0", scaled("offset", 0)),
    ("cell", "a gain far too large", "dense2", scaled("weights", 1e9)),
    ("conv_gru", "bias of the Conv dropped", "conv0", scaled("bias", 0)),
    ("conv_gru", "linear head off by 1e-3", "dense0", scaled("weights", 1.001)),
    ("conv_gru", "transposed recurrence", "gru0", _transposed),
    ("chaotic", "recurrence negated", "rnn0", scaled("recurrence", -1)),
    ("chaotic", "transposed recurrence", "rnn0", _transposed),
    ("chaotic", "bias dropped", "rnn0", scaled("bias", 0)),
    ("chaotic", "input dropped", "rnn0", _input_dropped),
    ("chaotic", "one weight off by 1e-3", "rnn0", _one_weight),
    ("chaotic", "sigmoid for tanh", "rnn0", lambda op: {"activation": SIGMOID}),
    ("chaotic", "input off by 1e-3", "rnn0", scaled("weights", 1.001)),
]


def planted(net: Net, name: str, change: Change) -> Net:
    """The net with a fault in one op."""
    return replace(net, ops=tuple(replace(op, **change(op)) if op.name == name else op for op in net.ops))


@pytest.mark.parametrize(("name", "what", "op", "change"), FAULTS, ids=[f"{n}-{w}" for n, w, _, _ in FAULTS])
def test_a_wrong_import_is_caught_soon(name: str, what: str, op: str, change: Change) -> None:
    found = judged(name, planted(net_of(name), op, change), 60, 0.1 if name == "chaotic" else 1.0)
    assert found.fault is not None and found.fault.step <= SOON, what
    assert found.fault.error > found.fault.allowed >= EXACT and found.error is not None and found.error > EXACT


class Late(Delay):
    """A delay that is one step too long."""

    def states(self) -> tuple[State, ...]:
        queue, count = super().states()
        return queue, replace(count, initial=np.ones(1))


def test_a_delay_off_by_one_is_caught() -> None:
    net = net_of("conv_gru")
    late = tuple(
        Late(o.name, o.inputs, o.outputs, o.capacity + 1, o.size) if isinstance(o, Delay) else o for o in net.ops
    )
    found = judged("conv_gru", replace(net, ops=late), 60)
    assert found.fault is not None and found.fault.step <= 3


# ------------------------------------------------------------------- where it parts


def test_nothing_is_judged_from_the_step_on_at_which_float32_and_float64_part() -> None:
    net, x = net_of("rnn"), np.zeros((9, HIDDEN))
    exact, narrow = {"y": [x + 1]}, {"y": [x + 1]}
    narrow["y"][0] = x + 1 + 1e-6 * np.arange(9)[:, None]
    narrow["y"][0][5:] += PARTED
    asked = Points([0] * 9, [*range(9)], [*(x + 1)])
    for k, error, step in ((4, 60e-6, None), (4, 70e-6, 5), (5, 0.01, None), (0, 0.9e-5, None), (0, 1.1e-5, 1)):
        asked.values[k] = x[k] + 1 + error
        found = judge(net, exact, narrow, {"y": asked})
        asked.values[k] = x[k] + 1
        assert found.float32.parts_at == 6 and found.kept["y"].tolist() == [True] * 5 + [False] * 4
        assert (found.fault and found.fault.step) == step, (k, error)


def test_each_start_is_judged_by_itself_and_nothing_judged_is_told_as_such() -> None:
    net, x = net_of("rnn"), np.ones((4, HIDDEN))
    asked = Points([0] * 4 + [1] * 4, [*range(4)] * 2, [*x, *x])
    exact, narrow = {"y": [x, x]}, {"y": [x, x + 2 * PARTED]}
    found = judge(net, exact, narrow, {"y": asked})
    assert found.kept["y"].tolist() == [True] * 4 + [False] * 4 and found.float32.parts_at == 1 and found.error == 0
    found = judge(net, exact, {"y": [x + 1, x + 1]}, {"y": asked})
    assert found.error is None and found.float32.judged == 0


def test_windows_are_judged_whole() -> None:
    b = Builder()
    weights = [b.const(b.weights(2, *shape)) for shape in ((3, 2), (3, 3))]
    b.op("RNN", "x", *weights, hidden_size=3, direction="bidirectional", out="y")
    net = rnnc.load_net(b.model({"x": ["time", 1, 2]}, ["y"]), Options(window=4))
    x = np.ones((8, net.values[net.outputs[0].value].size))
    narrow = x.copy()
    narrow[6] += 2 * PARTED
    found = judge(net, {"y": [x]}, {"y": [narrow]}, {"y": Points([0] * 8, [*range(8)], [*x])})
    assert found.float32.parts_at == 4 and found.kept["y"].tolist() == [True] * 4 + [False] * 4


def test_row_numbers_part_where_the_numbers_do_that_they_are_chosen_from() -> None:
    net = imported(model([case for case in CASES if case.name == "argmax"]))
    name, steps = net.outputs[0].name, [*range(50)]
    x = np.random.default_rng(0).standard_normal((50, 6))
    k, wrong = x.argmax(1)[:, None], (x.argmax(1)[:, None] + 1) % 6
    source = with_sources(net).outputs[-1].name
    narrow = np.where(np.arange(50)[:, None] < 30, x, x + 1)
    asked = Points([0] * 50, steps, [*np.where(np.arange(50)[:, None] < 30, k, wrong)])
    found = judge(net, {name: [k], source: [x]}, {name: [k], source: [narrow]}, {name: asked})
    assert found.fault is None and found.float32.parts_at == 31 and found.error == 0
    found = judge(net, {name: [k], source: [x]}, {name: [k], source: [x]}, {name: asked})
    assert found.fault is not None and found.fault.step == 31 and found.error == 0.4


def test_a_decision_that_float32_makes_otherwise_does_not_end_the_comparison() -> None:
    """A comparison jumps at its limit; what it compares has not parted."""
    net = imported(model([case for case in CASES if case.name in ("greater", "between")]))
    watched = with_sources(net)
    assert len(net.outputs) == 2 and len(watched.outputs) >= 4
    exact = {name: [y[:, 0].reshape(40, -1)] for name, y in run_net(watched, noise(net, 40)).items()}
    narrow = {name: [y[0].copy()] for name, y in exact.items()}
    asked = {o.name: Points([0] * 40, [*range(40)], [*exact[o.name][0].copy()]) for o in net.outputs}
    for o in net.outputs:
        narrow[o.name][0][7, 0] = 1 - narrow[o.name][0][7, 0]
        asked[o.name].values[7][0] = narrow[o.name][0][7, 0]
    found = judge(net, exact, narrow, asked)
    assert found.fault is None and found.error == 0 and found.float32.parts_at is None
    for k in range(40):
        asked[net.outputs[0].name].values[k] = 1 - asked[net.outputs[0].name].values[k]
    found = judge(net, exact, narrow, asked)
    assert found.fault is not None and found.error is not None and found.error > 0.9


# ------------------------------------------------------------------- float32 is float32


class Watched(np.ndarray[Any, Any]):
    """An array that does not become float64 in any operation of NumPy's."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **named: Any) -> Any:
        plain = [x.view(np.ndarray) if isinstance(x, Watched) else x for x in inputs]
        if "out" in named:
            named["out"] = tuple(y.view(np.ndarray) if isinstance(y, Watched) else y for y in named["out"])
        result = getattr(ufunc, method)(*plain, **named)
        for y in result if isinstance(result, tuple) else (result,):
            assert getattr(y, "dtype", None) != np.float64, f"{ufunc.__name__} gives float64"
        return result.view(Watched) if isinstance(result, np.ndarray) else result


def stays_single(net: Net, x: dict[str, Any]) -> None:
    def seen(name: str, value: Any) -> None:
        assert value.dtype != np.float64, name

    stream = stream_net(single(net), next(iter(x.values())).shape[1], seen, dtype=np.float32)
    stream.advance({k: v if v.dtype.kind == "i" else v.astype(np.float32).view(Watched) for k, v in x.items()})
    stream.drain()
    assert {name for name, s in stream.state.items() if s.dtype != np.float32} == set()


def test_every_operator_computes_in_float32() -> None:
    for case in CASES:
        net = imported(model([case]))
        stays_single(net, sequence(net, case.spread, steps=6))


def test_random_networks_compute_in_float32() -> None:
    rng = np.random.default_rng(0)
    for seed in range(50):
        net = draw(seed)
        lanes = (12, 2)
        stays_single(
            net,
            {
                v.name: rng.integers(0, v.rows, (*lanes, *v.shape))
                if v.dtype == "index"
                else rng.standard_normal((*lanes, *v.shape))
                for v in net.inputs
            },
        )


def test_what_an_output_is_decided_by_takes_a_walk_and_not_a_tree_of_walks() -> None:
    """Each of 60 sums reads the one before twice: 2^60 ways lead back to the input."""
    b = Builder()
    value = "x"
    for k in range(60):
        value = b.op("Add", b.op("Tanh", value), b.op("Neg", value), out="y" if k == 59 else "")
    net = rnnc.load_net(b.model({"x": [1, 3]}, ["y"]))
    assert with_sources(net).outputs == net.outputs
