"""What data and graphs cost grows with their size: recordings of very unlike lengths, chains of thousands of operators."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from rnnc.compiler import load_net
from rnnc.frontend.read.simplify import _slim
from rnnc.net import Array
from rnnc.options import Options
from rnnc.quantization import calibrate as calibration
from rnnc.quantization.calibrate import FEWEST_NOISE_STEPS, NOISE_STEPS, calibrate, later_ranges, noise_steps
from rnnc.quantization.survey import LANES, PIECE, alike
from tests.support.graphs import Builder
from tests.support.small import recording, small

SMOOTH = (
    *("Neg", "Abs", "Sign", "Exp", "Sqrt", "Log", "Reciprocal", "Floor", "Ceil", "Round", "Sin", "Cos", "LeakyRelu"),
    *("Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Gelu", "Mish"),
)


def _unlike(count: int, longest: int) -> dict[str, list[Array]]:
    return {"x": [recording(1, seed) for seed in range(count)] + [recording(longest)]}


def test_one_long_recording_beside_many_short_ones_runs_by_itself() -> None:
    """Side by side they would hold 161 x 1,000 steps; all steps are seen all the same."""
    net, x = load_net(small()), _unlike(160, 1_000)
    groups = calibration.of_like_lengths(x)
    assert [len(g["x"]) for g in groups] == [160, 1]
    found = calibrate(net, x, Options())
    together = calibrate(net, {"x": [np.concatenate(x["x"])]}, Options())
    assert np.array_equal(found.peaks["x"], together.peaks["x"])
    assert len(found.samples["x"]) <= 1_160
    later = later_ranges(net, x)
    assert np.array_equal(later.peaks["x"], found.peaks["x"]) and not later.samples


def test_recordings_of_like_lengths_run_side_by_side() -> None:
    x = {"x": [recording(n) for n in (200, 300, 900)]}
    assert calibration.of_like_lengths(x) == [x]


def test_builds_are_compared_on_pieces_of_recordings_of_very_unlike_lengths() -> None:
    net, x = load_net(small()), _unlike(8, 3 * PIECE)
    assert alike(net, {"x": x["x"][:8]}) == {"x": x["x"][:8]}
    pieces = alike(net, x)["x"]
    assert len(pieces) <= LANES and max(map(len, pieces)) == PIECE


def test_networks_of_many_ops_get_less_noise() -> None:
    b, x = Builder(), "x"
    for _ in range(320):
        x = b.op("Neg", b.op("Relu", x))
    b.op("Identity", x, out="y")
    many = load_net(b.model({"x": (1, 4)}, ["y"]))
    assert noise_steps(load_net(small())) == NOISE_STEPS
    assert FEWEST_NOISE_STEPS <= noise_steps(many) < NOISE_STEPS


def test_onnxslim_has_nothing_to_do_where_it_is_not_asked() -> None:
    """Each operator twice: none is joined with its like or left out."""
    b, x = Builder(), "x"
    for kind in SMOOTH:
        x = b.op(kind, b.op(kind, x))
    for kind in ("Max", "Min", "PRelu"):
        x = b.op(kind, x, b.const(np.full(4, 0.5)))
    b.op("Identity", x, out="y")
    model = ModelProto.FromString(b.model({"x": (1, 4)}, ["y"], opset=20))
    slim, notes = _slim(model)
    before, after = ([n.op_type for n in m.graph.node if n.op_type != "Identity"] for m in (model, slim))
    assert not notes and after == before
