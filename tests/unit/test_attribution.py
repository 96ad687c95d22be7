"""What each layer costs: one thing at a time, and the layer at fault is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.net import Net, Op, Output, Value
from rnnc.ops.dense import Dense
from rnnc.ops.lstm import Lstm
from rnnc.options import Options
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.inputs import INPUT_HEADROOM
from rnnc.quantization.quantize import quantize
from rnnc.streams import run_net, run_qnet
from rnnc.tracing import InitialState
from rnnc.verification.attribution import ByTable, affordable_steps, attribute, by_table, excerpts, over_same_steps
from rnnc.verification.batches import batches
from rnnc.verification.host import run_oracle
from rnnc.verification.metrics import sqnr_db
from rnnc.verification.occupancy import Counting
from tests.support.nets import draw, noise, to_integers
from tests.support.small import recording, small

Array = np.ndarray[Any, Any]
STEPS = 96


def _sequences(net: Net, spread: float = 1.0, lanes: int = 2) -> dict[str, list[Array]]:
    data = noise(net, STEPS, lanes=lanes)
    return {k: [v[:, i] * spread for i in range(lanes)] for k, v in data.items()}


@pytest.mark.parametrize(
    "layers", [["lstm", "dense"], ["gru_after", "rnn", "dense"], ["gru_before"], ["dense", "dense"]]
)
def test_all_layers_in_integers_are_the_integers(layers: list[str]) -> None:
    net = draw(7, layers)
    qnet = to_integers(net, noise(net, STEPS))
    found = attribute(qnet, _sequences(net, lanes=1), STEPS)
    x = noise(net, STEPS, lanes=1)
    want = run_net(net, x)["y"].reshape(STEPS, -1)
    ints = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in x.items()})["y"]
    got = qnet.formats[qnet.outputs[0].value].dequantize(ints).reshape(STEPS, -1)
    assert found.steps == STEPS
    requantized = len(qnet.ops) > len(net.ops)  # there the value goes from format to format in one rounding, not in two
    assert found.network == pytest.approx(sqnr_db(want, got), abs=1.0 if requantized else 1e-9)


def _lstm_and_two_dense() -> Net:
    """LSTM 3 -> 8, Dense 8 -> 6, Dense 6 -> 4, weights by the fan-in."""
    rng = np.random.default_rng(0)
    zero = InitialState(np.zeros(8), "")
    w, r, b = rng.standard_normal((4, 8, 3)), rng.standard_normal((4, 8, 8)) / 3, np.zeros((4, 8))
    lstm = Lstm("lstm0", ("x",), ("h",), w, r, b, zero, zero)
    dense0 = Dense("dense0", ("h",), ("a",), rng.standard_normal((6, 8)) / 3, np.zeros(6), (6,))
    dense1 = Dense("dense1", ("a",), ("b",), rng.standard_normal((4, 6)) / 3, np.zeros(4), (4,))
    return Net("sound", (Value("x", (3,)),), (lstm, dense0, dense1), (Output("y", "b"),))


def test_each_part_is_there_where_the_layer_has_it() -> None:
    net = _lstm_and_two_dense()
    found = attribute(to_integers(net, noise(net, STEPS)), _sequences(net), STEPS)
    lstm, dense, _ = found.layers
    assert lstm.tables is not None and lstm.weights is not None and lstm.activations is not None
    assert dense.tables is None and dense.weights is not None
    assert lstm.layer is not None and lstm.layer < lstm.tables
    (x,) = found.inputs
    assert x.weights is None and x.layer == x.activations


@pytest.mark.parametrize("culprit", ["dense0", "dense1"])
def test_the_layer_at_fault_is_named(culprit: str) -> None:
    """Rows with one huge weight, on what is always 0, have no bits left for the others."""
    net = _lstm_and_two_dense()

    def spoiled(op: Op) -> Op:
        if not isinstance(op, Dense) or op.name != culprit:
            return op
        weights = op.weights.copy()
        weights[:, 0] = 1000.0
        return replace(op, weights=weights)

    silent = replace(net.ops[0], recurrence=np.zeros((4, 8, 8)))  # type: ignore[call-arg]
    silent.weights[:, 0] = 0.0  # type: ignore[attr-defined]
    ops = tuple(spoiled(op) for op in (silent, *net.ops[1:]))
    first_dense = replace(ops[1], weights=ops[1].weights * (np.arange(6) > 0)[:, None])  # type: ignore[attr-defined,call-arg]
    changed = replace(net, ops=(ops[0], first_dense, ops[2]))
    qnet = quantize(changed, calibrate(changed, None, Options()), Options())
    worst = attribute(qnet, _sequences(changed), STEPS).worst
    assert worst is not None and worst.name == culprit
    assert worst.weights == pytest.approx(worst.layer, abs=0.1)


def test_the_table_of_an_lstm() -> None:
    net = draw(3, ["lstm"])
    x = np.linspace(-9, 9, 1001)
    tabled = by_table(net.ops[0])
    assert tabled is not net.ops[0]
    sigmoid, tanh, _ = tabled.activations  # type: ignore[attr-defined]
    assert isinstance(sigmoid, ByTable) and 0 < np.abs(sigmoid(x) - 1 / (1 + np.exp(-x))).max() < 2**-13
    assert isinstance(tanh, ByTable) and 0 < np.abs(tanh(x) - np.tanh(x)).max() < 2**-12
    dense = draw(3, ["dense"]).ops[0]
    assert by_table(dense) is dense


def test_excerpts_cover_long_sequences() -> None:
    net = draw(3, ["lstm"], columns=2)
    short = {"x": [np.arange(10).reshape(5, 2), np.arange(14).reshape(7, 2)]}
    whole = excerpts(short, net, 8)
    assert [len(s) for s in whole.sequences["x"]] == [5, 7] and whole.skips == [0, 0]
    x = np.arange(2000).reshape(1000, 2)
    cut = excerpts({"x": [x]}, net, 200)
    assert max(len(s) for s in cut.sequences["x"]) <= 200 and cut.skips == [0] + [50] * (len(cut.skips) - 1)
    assert np.array_equal(np.concatenate([s[n:] for s, n in zip(cut.sequences["x"], cut.skips, strict=True)]), x)
    assert len(excerpts({"x": [x]}, net, 20).skips) == 32


def test_large_networks_are_not_measured_unasked() -> None:
    assert affordable_steps(to_integers(draw(3, ["lstm", "dense"]))) > 400
    assert affordable_steps(to_integers(draw(3, ["lstm", "dense"] * 8))) == 0, "many layers"
    few, many = (affordable_steps(to_integers(draw(3, ["lstm"], columns=n))) for n in (3, 30_000))
    assert many < few / 5, "many weights"


def test_saturation_is_counted_where_it_happens() -> None:
    net = draw(5, ["lstm", "dense"], columns=3)
    ranges = calibrate(net, _sequences(net), Options())
    qnet = quantize(net, ranges, Options())

    def run(spread: float) -> dict[str, tuple[float, float]]:
        data = _sequences(net)
        data["x"] = [s * np.array([1.0, spread, 1.0]) for s in data["x"]]
        counting = Counting(qnet, ranges.bounds)
        for batch in batches(data, net):
            run_oracle(qnet, batch, counting.observer(batch))
        found = {o.value: o for o in counting.found()}
        assert found["x"].ticks == 2 * STEPS
        assert spread == 1 or (found["x"].saturated > 0).tolist() == [False, True, False]
        return {name: (o.used, o.share_saturated) for name, o in found.items()}

    calm, loud = run(1.0), run(20.0)
    assert calm["x"] == pytest.approx((1 / INPUT_HEADROOM, 0.0), abs=0.01)
    assert loud["x"][0] == 1.0 and loud["x"][1] > 0.1
    assert loud["lstm0.y"][1] == 0.0, "a tanh fills its range by nature"


def test_all_layers_together_are_verifys_figure_over_the_same_pieces() -> None:
    package = rnnc.build(small(), {"x": recording(400)}, Options())
    assert package.verified is not None
    measured, qnet = package.verified.measured, package.program.qnet
    found = over_same_steps(attribute(qnet, {"x": [recording(400)]}, 12), measured, qnet.net)
    steps = [t for _, a, b in found.stretches for t in range(a, b)]
    assert len(steps) == found.steps < 400
    (o,) = measured.outputs
    assert found.network == sqnr_db(o.asked.reference[steps], o.got[steps]) != o.difference.sqnr_db
