"""After how many steps from reset an output agrees with the endless stream: on networks whose memory is known."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import rnnc
from tests.support.models import model
from tests.support.small import recording, small


def _leak(pole: float, stride: int = 1) -> bytes:
    """``y = pole y' + x`` of ``x [time, 1, 1]``, which forgets by ``pole`` a step; of every ``stride``-th frame's mean."""
    weights = {"W": np.ones((1, 1, 1)), "R": np.full((1, 1, 1), pole)}
    nodes = [helper.make_node("RNN", ["z", "W", "R"], ["Y"], hidden_size=1, activations=["Relu"])]
    nodes += [helper.make_node("Squeeze", ["Y", "axis"], ["y"])]
    if stride == 1:
        nodes.insert(0, helper.make_node("Identity", ["x"], ["z"]))
    else:
        nodes.insert(0, helper.make_node("Transpose", ["p"], ["z"], perm=[2, 0, 1]))
        nodes.insert(0, helper.make_node("AveragePool", ["t"], ["p"], kernel_shape=[stride], strides=[stride]))
        nodes.insert(0, helper.make_node("Transpose", ["x"], ["t"], perm=[1, 2, 0]))
    return model(nodes, {"x": ["time", 1, 1]}, {"y": ["out", 1, 1]}, {**weights, "axis": np.array([1])})


def _found(content: bytes, x: np.ndarray, **options: object) -> dict[str, int | None] | None:
    package = rnnc.build(content, x, rnnc.Options(**options))  # type: ignore[arg-type]
    found: dict[str, int | None] | None = package.report["verify"]["outputs"][0]["warm_up"]
    return found


def _positive(steps: int) -> np.ndarray:
    return np.abs(np.random.default_rng(1).standard_normal((steps, 1)))


def _needed(pole: float, x: np.ndarray) -> float:
    """Steps: what is missing after n of them is pole ** n of the state's mean, and 1 % of its deviation may be."""
    y = np.zeros(len(x) + 1)
    for k in range(len(x)):
        y[k + 1] = pole * y[k] + x[k]
    settled = y[len(x) // 2 :]
    return float(np.log(0.01 * settled.std() / settled.mean()) / np.log(pole))


@pytest.mark.parametrize("pole", [0.5, 0.9])
def test_a_leak_is_warm_when_it_has_forgotten_its_start(pole: float) -> None:
    x = _positive(600)
    needed = _needed(pole, x[:, 0])
    found = _found(_leak(pole), x)
    assert found is not None and found["starts"] == 16 and found["followed"] == 200
    assert found["median"] is not None and found["worst"] is not None
    assert abs(found["median"] - needed) <= 3 and found["median"] <= found["worst"] <= needed + 8


def test_an_integrator_is_never_warm() -> None:
    assert _found(_leak(1.0), _positive(150)) == {"median": None, "worst": None, "starts": 16, "followed": 50}


def test_steps_are_counted_at_the_input_where_the_output_is_slower() -> None:
    x = _positive(600)
    needed = _needed(0.5, x.reshape(-1, 4).mean(1))
    found = _found(_leak(0.5, stride=4), x)
    assert found is not None and found["median"] is not None
    assert (found["median"] - 3) % 4 == 0 and abs(found["median"] - 3 - 4 * needed) <= 8


def test_windows_and_networks_without_memory_have_none() -> None:
    x = recording(90)
    assert _found(small(time=10), x, window=10) is None
    nodes = [helper.make_node("MatMul", ["x", "D"], ["y"])]
    plain = model(nodes, {"x": ["time", 3]}, {"y": ["time", 2]}, {"D": np.ones((3, 2))})
    assert _found(plain, x, time_axis={"x": 0}) is None


def test_short_recordings_have_none() -> None:
    assert _found(small(), recording(40)) is None


def test_it_is_said_in_the_terminal_and_in_the_report() -> None:
    from rnnc.report.terminal import summary

    package = rnnc.compile_model(small(), recording(120))
    warm = package.report["verify"]["outputs"][0]["warm_up"]
    text = f"{warm['median']} steps after a reset; at the worst of 16 resets, {warm['worst']}"
    assert text in " ".join(summary(package.report, package.program).split())
    assert text in package.files["report.html"]
