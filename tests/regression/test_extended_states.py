"""States in 32 bits, and what reads them.

One that can grow far beyond where a squashing function is flat lost its small values on the way to that function. One that
was reshaped before a Dense reached it in 32 bits: the C read it as 16.
"""

from __future__ import annotations

import numpy as np

import rnnc
from tests.support.graphs import Builder

X, H = 5, 4


def integrator() -> bytes:
    """``c' = 0.999 c + W x``, ``y = tanh(c')``: under constant inputs c reaches a thousand times what noise makes of it."""
    b = Builder()
    kept = b.op("Mul", "c", b.const(np.array(0.999)))
    b.op("Add", kept, b.op("MatMul", "x", b.const(b.weights(X, H, scale=0.01))), out="c_next")
    b.op("Tanh", "c_next", out="y")
    return b.model({"x": [1, X], "c": [1, H]}, ["y", "c_next"])


def test_the_squashing_of_an_extended_state_without_data() -> None:
    package = rnnc.compile_model(integrator())
    verify = package.report["verify"]
    assert verify["c_equals_oracle"]
    assert verify["outputs"][0]["sqnr_same_weights_db"] > 50


def test_an_extended_state_that_is_reshaped_first() -> None:
    b = Builder()
    added = b.op("Reshape", b.op("MatMul", "x", b.const(b.weights(X, 6))), b.const(np.array([1, 2, 3])))
    b.op("Add", b.op("Mul", "s", b.const(np.array(0.9))), added, out="s_next")
    turned = b.op("Transpose", "s_next", perm=[0, 2, 1])
    flat = b.op("Reshape", turned, b.const(np.array([1, 6])), out="z")
    b.op("MatMul", flat, b.const(b.weights(6, H)), out="y")
    package = rnnc.compile_model(b.model({"x": [1, X], "s": [1, 2, 3]}, ["y", "z", "s_next"]))
    verify = package.report["verify"]
    assert verify["c_equals_oracle"]
    assert min(o["sqnr_same_weights_db"] for o in verify["outputs"]) > 35


def test_a_battery_counter_after_40_000_steps_of_less_than_half_an_lsb_of_16_bits() -> None:
    """Charge, then discharge, by 0.45 / 32767 of full scale a step: the C is within 0.5 % of float all the way."""
    b = Builder()
    charge = b.op("Add", "s", b.op("Mul", "x", b.const(np.array(0.45 / 32767))))
    b.op("Clip", charge, b.const(np.array(0.0)), b.const(np.array(1.0)), out="s_next")
    x = np.where(np.arange(40_000) < 30_000, 1.0, -1.0).astype(np.float32)[:, None]
    package = rnnc.compile_model(b.model({"x": [1, 1], "s": [1, 1]}, ["s_next"]), {"x": x[:400]}, verify=False)
    got = package.simulate({"x": x})["s_next"].ravel()
    want = np.cumsum(x.astype(np.float64)) * 0.45 / 32767
    assert want.max() > 0.4 and np.abs(got - want).max() < 0.005


def test_an_average_of_10_000_steps_that_is_calibrated_on_600() -> None:
    """What reads it had room for twice what 600 steps show, a twentieth of what it comes to."""
    b = Builder()
    leak = np.array([0.99, 0.9999])
    new = b.op("Mul", b.op("Add", "x", b.const(np.array(1.0))), b.const(1 - leak))
    b.op("Add", b.op("Mul", "s", b.const(leak)), new, out="s_next")
    b.op("MatMul", "s_next", b.const(np.array([[1.0, 0.5], [0.3, -1.0]])), out="y")
    content = b.model({"x": [1, 2], "s": [1, 2]}, ["y", "s_next"])
    x = np.random.default_rng(0).standard_normal((24_000, 2)).astype(np.float32)
    package = rnnc.compile_model(content, {"x": x[:600]}, verify=False)
    told = "state 's' still rises when the longest recording ends, after 600 steps"
    assert any(note.startswith(told) and "17 times over" in note for note in package.notes), package.notes
    got = package.simulate({"x": x})["y"].reshape(-1, 2)[12_000:]
    fast, slow = (filtered(x[:, k] + 1.0, a) for k, a in enumerate(leak))
    want = np.stack([fast + 0.3 * slow, 0.5 * fast - slow], 1)[12_000:]
    assert (10 * np.log10(want.var(0) / ((got - want) ** 2).mean(0))).min() > 30


def filtered(x: np.ndarray, leak: float) -> np.ndarray:
    """``s' = leak s + (1 - leak) x`` from 0, in blocks of a thousand steps."""
    decay, parts, s = leak ** np.arange(1, 1001), [], 0.0
    for block in x.astype(np.float64).reshape(-1, 1000):
        parts.append(decay * (s + np.cumsum((1 - leak) * block / decay)))
        s = float(parts[-1][-1])
    return np.concatenate(parts)
