"""Networks that are each no better than fair or poor for one reason, with the data that show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tests.support.graphs import Builder
from tests.support.layers import squeezed
from tests.support.models import Array

FED_BACK = ["--state", "s=sn"]


@dataclass(frozen=True)
class Fault:
    """A model, arrays for ``--calib`` and ``--input``, options, and what must be said of it."""

    model: bytes
    calib: Array
    test: Array
    level: str
    words: str
    advice: str
    options: list[str] = field(default_factory=list)


def _gru(b: Builder, x: str, columns: int, hidden: int, weights: Array, recurrence: Array) -> str:
    """``[time, hidden]`` of a GRU over ``[time, 1, columns]``."""
    w, r = b.const(weights.reshape(1, 3 * hidden, columns)), b.const(recurrence.reshape(1, 3 * hidden, hidden))
    return squeezed(b, squeezed(b, b.ops("GRU", 2, x, w, r, hidden_size=hidden)[0]))


def _noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unlike_outputs() -> Fault:
    """Pressure around 101,325 and humidity of 0 .. 1 in one tensor."""
    b = Builder(1)
    h = _gru(b, "x", 3, 8, b.weights(24, 3), b.weights(24, 8, scale=0.3))
    y = b.op("Add", b.op("MatMul", h, b.const(b.weights(8, 2) * [300, 0.3])), b.const(np.array([101325.0, 0.5])))
    model = b.model({"x": ["time", 1, 3]}, [b.op("Identity", y, out="y")])
    x = _noise(300, 3)
    words = r"units share the range of output y: y\[1\] varies"
    return Fault(model, x, x, "poor", words, "Leave out --output-scale y=", ["--output-scale", "y=common"])


def unlike_inputs() -> Fault:
    """The network takes pressure and humidity as they are, and normalises them inside."""
    b = Builder(2)
    mean, deviation = b.const(np.array([101325.0, 0.5])), b.const(np.array([300.0, 0.01]))
    z = b.op("Div", b.op("Sub", "x", mean), deviation)
    h = _gru(b, z, 2, 8, b.weights(24, 2), b.weights(24, 8, scale=0.3))
    model = b.model({"x": ["time", 1, 2]}, [b.op("MatMul", h, b.const(b.weights(8, 1)), out="y")])
    x = (_noise(300, 2) * [300, 0.01] + [101325, 0.5]).astype(np.float32)
    words = r"units share the range of input x: x\[1\] varies"
    return Fault(model, x, x, "poor", words, "Leave out --input-range x=", ["--input-range", "x=-102000:102000"])


def offset_input() -> Fault:
    """One quantity that moves little around a large mean."""
    b = Builder(3)
    z = b.op("Sub", "x", b.const(np.array([1000.0])))
    h = _gru(b, z, 1, 8, b.weights(24, 1), b.weights(24, 8, scale=0.3))
    model = b.model({"x": ["time", 1, 1]}, [b.op("MatMul", h, b.const(b.weights(8, 1)), out="y")])
    x = 1000 + 0.1 * _noise(300, 1)
    given = ["--input-range", "x=-1001:1001"]
    return Fault(model, x, x, "poor", "an offset takes the range of input x", r"--input-affine x=S0/S1/", given)


def beyond_calibration() -> Fault:
    """The recordings are five times louder than those of the calibration."""
    b = Builder(4)
    h = _gru(b, "x", 2, 8, b.weights(24, 2, scale=0.2), b.weights(24, 8, scale=0.2))
    model = b.model({"x": ["time", 1, 2]}, [b.op("MatMul", h, b.const(b.weights(8, 2)), out="y")])
    x = _noise(300, 2)
    return Fault(
        model, x, 8 * x, "poor", r"input x went beyond its calibration: [\d.]+% of its numbers", "--input-range x=LO:HI"
    )


def rising_state() -> Fault:
    """A sum that was calibrated on a thirtieth of what it is run for."""
    b = Builder(5)
    b.op("Add", "s", b.op("Mul", "x", b.const(np.array(0.01))), out="sn")
    b.op("Mul", "sn", b.const(np.array(2.0)), out="y")
    x = (1 + 0.1 * _noise(1000)).astype(np.float32)
    words = r"state s was clipped in [\d.]+% of its numbers \(it holds ±[\d.]+\), and it was still rising"
    return Fault(
        b.model({"x": [1, 1], "s": [1, 1]}, ["y", "sn"]),
        x[:33],
        x,
        "poor",
        words,
        "as long as it runs without a reset",
    )


def quiet_element() -> Fault:
    """A state of 32 bits, of which one element that was quiet in the calibration leaves the 16 bits that a layer reads."""
    b = Builder(8)
    b.op("Add", b.op("Mul", "s", b.const(np.array([0.5, 0.5]))), "x", out="sn")
    b.op("MatMul", "sn", b.const(np.array([[0.4], [0.8]])), out="y")
    x = _noise(400, 2) * np.array([1, 0.02], np.float32)
    model = b.model({"x": [1, 2], "s": [1, 2]}, ["y", "sn"])
    words = (
        r"state s as dense0 reads it went beyond its range: [\d.]+% of its numbers were clipped \(it holds ±0\.\d+\)"
    )
    options = ["--state", "s=sn", "--input-range", "x=-5:5"]
    return Fault(
        model, x, x * np.array([1, 12], np.float32), "poor", words, "Calibrate with data that drives it as far", options
    )


def rounded_gate() -> Fault:
    """A GRU of which only the update gate has weights that 8 bits do not hold exactly."""
    b = Builder(6)
    w, r = (b.rng.integers(-1, 2, (72, n)) / 2 for n in (2, 24))
    w[:24], r[:24] = b.weights(24, 2), b.weights(24, 24)
    w[48] = r[48] = 0  # unit 0 stays zero
    r[:24, 0] = 16.0  # and takes the levels that the others need
    h = _gru(b, "x", 2, 24, w, r)
    model = b.model({"x": ["time", 1, 2]}, [b.op("MatMul", h, b.const(np.full((24, 1), 0.5)), out="y")])
    x = _noise(400, 2)
    return Fault(
        model, x, x, "fair", r"the (int8|rounded) weights of gru0 \(.*\), its update gate most", "--weights 16"
    )


COPIES = 22
OBSERVER = np.array([[1.0, 0.01, 0.0], [0.0, 1.0, 0.01], [0.0, 0.0, 0.999]])
GAINS = np.array([[0.05], [0.1], [0.02]])


def slow_recurrence(copies: int = COPIES) -> Fault:
    """Observers of position, velocity and bias, s' = s A + z L, too many for 32-bit weights; an eigenvalue is near 1."""
    b = Builder(7)
    matrix = np.kron(np.eye(copies), (OBSERVER - GAINS @ OBSERVER[:1]).T)
    gains = np.tile(GAINS, (copies, 1)).T
    q = b.op("Add", b.op("MatMul", "s", b.const(matrix)), b.op("MatMul", "z", b.const(gains)), out="sn")
    b.op("Mul", q, b.const(np.array(1.0)), out="y")
    z = (500 * np.sin(np.arange(1000) / 100) + 800 + _noise(1000)).astype(np.float32)
    words = r"an eigenvalue near 1 \(0\.99\d+\), in which errors last for about \d+ steps: .* int8 weights of dense0"
    return Fault(
        b.model({"z": [1, 1], "s": [1, 3 * copies]}, ["y", "sn"]),
        z,
        z,
        "poor",
        words,
        r"Export the update as s \+",
        FED_BACK,
    )


def short_state() -> Fault:
    """A state of charge: the largest of it and itself leaves it 16 bits, and a step moves it by less than one of them."""
    b = Builder(8)
    total = b.op("Sub", "s", b.op("Mul", "x", b.const(np.array(2.0**-15))))
    kept = b.op("Clip", total, b.const(np.array(0.0)), b.const(np.array(1.0)))
    b.op("ReduceMax", b.op("Concat", kept, kept, axis=1), b.const(np.array([1])), keepdims=1, out="sn")
    b.op("Mul", "sn", b.const(np.array(1.0)), out="y")
    x = np.where(np.arange(1000) % 500 < 250, -0.875, 0.5).astype(np.float32)
    return Fault(
        b.model({"x": [1, 1], "s": [1, 1]}, ["y", "sn"]),
        x,
        x,
        "poor",
        r"an eigenvalue near 1 \(1\), in which errors do not fade",
        "leaves state s 16 bits",
        FED_BACK,
    )


def wrong_classes() -> Fault:
    """Scores that lie so close together that the largest is another one in integers."""
    b = Builder(9)
    h = _gru(b, "x", 2, 8, b.weights(24, 2), b.weights(24, 8, scale=0.3))
    logits = b.op("MatMul", h, b.const(b.weights(8, 1) @ np.ones((1, 4)) + 2e-4 * b.weights(8, 4)))
    model = b.model({"x": ["time", 1, 2]}, [b.op("Softmax", logits, axis=-1, out="y")])
    x = _noise(300, 2)
    return Fault(model, x, x, "poor", r"y has its largest score in the same place in \d\d\.\d% of its answers", "")


FAULTS: dict[str, Callable[[], Fault]] = {
    f.__name__: f
    for f in (
        *(unlike_outputs, unlike_inputs, offset_input, beyond_calibration, rising_state, quiet_element),
        *(rounded_gate, slow_recurrence, short_state, wrong_classes),
    )
}
