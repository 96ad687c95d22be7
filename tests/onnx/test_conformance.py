"""ONNX's own conformance cases of LSTM, GRU and RNN (onnx.backend.test): in float, in integers and in C.

A case gives W, R and the rest as inputs and runs several sequences at once. Here they are constants, as in every trained
file, and each sequence of the batch is a stream of its own.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from rnnc.net import Array
from rnnc.streams import run_qnet
from tests.support.operators import quantized
from tests.support.packages import Built, package
from tests.support.recurrent import Layer, imported, results

LIMIT = 1e-5
ARITHMETIC = 1e-3
"""Of the largest output: the integers against the same rounded weights in float."""
MODULES = ("lstm", "gru", "rnn")
BATCHED = {"sequence_lens", "initial_h", "initial_c"}


def conformance_cases() -> dict[str, Any]:
    """The cases by name: importing these modules adds theirs to the package's list."""
    package_of_cases = import_module("onnx.backend.test.case.node")
    for module in MODULES:
        import_module(f"onnx.backend.test.case.node.{module}")
    found = getattr(package_of_cases, "_NodeTestCases")  # noqa: B009  no public name
    return {c.name: c for c in found if c.model.graph.node[0].op_type in ("LSTM", "GRU", "RNN")}


CASES = conformance_cases()


def read(case: Any) -> tuple[Layer, Array, dict[str, Array]]:
    """The layer of a case, X ``[lanes, steps, columns]``, and the results that ONNX wants, ``[lanes, size]``."""
    node = case.model.graph.node[0]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items() if k != "hidden_size"}
    layout = attributes.get("layout", 0)
    inputs, outputs = case.data_sets[0]
    given = dict(zip([n for n in node.input if n], inputs, strict=True))
    wanted = dict(zip([n for n in node.output if n], outputs, strict=True))
    batch = 0 if layout else 1
    constants = {n: a for n, a in given.items() if n != "X"}
    for n in BATCHED & constants.keys():
        axis = 0 if n == "sequence_lens" else batch
        constants[n] = np.take(given[n], [0], axis)
        assert np.all(given[n] == constants[n]), "all sequences start alike and are equally long"
    places = {"Y": 0 if layout else 2, "Y_h": batch, "Y_c": batch}
    expected = {n: np.moveaxis(a, places[n], 0).reshape(a.shape[places[n]], -1) for n, a in wanted.items()}
    return Layer(node.op_type, constants, attributes, list(wanted)), np.moveaxis(given["X"], batch, 0), expected


def rounding(layer: Layer, x: Array) -> float:
    """Three deviations of what weights rounded to 8 bits change a preactivation by, over all steps; no function is steeper
    than 1, and |h| <= 1."""
    length = {"W": float(np.sqrt((x**2).sum(-1)).max()), "R": float(np.sqrt(layer.constants["R"].shape[2]))}
    lsb = {n: float(np.abs(layer.constants[n]).max()) / 127 for n in length}
    return float(3 * x.shape[1] * sum(lsb[n] / np.sqrt(12) * length[n] for n in length))


def test_there_are_18() -> None:
    assert len(CASES) == 18


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path) -> None:
    layer, x, expected = read(CASES[name])
    net = imported([layer], x.shape[1])
    qnet = quantized(net, {"X": x})
    integers = qnet.formats["X"].quantize(np.moveaxis(x, 0, 1))
    answers = run_qnet(qnet, {"X": integers})
    built = Built(*package(qnet, steps=x.shape[1]), tmp_path)
    for lane, sequence in enumerate(x):
        exact, same_weights = results(net, sequence), results(qnet.dequantized(), sequence)
        c = built.new().run({"X": integers[:, lane]})
        assert set(exact) == set(expected)
        for o in qnet.outputs:
            want, got = expected[o.name][lane], answers[o.name][:, lane]
            largest = float(np.abs(expected[o.name]).max())
            np.testing.assert_allclose(exact[o.name], want, rtol=0, atol=LIMIT * largest)
            np.testing.assert_array_equal(c[o.name].ravel(), got.ravel())
            y = qnet.formats[o.value].dequantize(got[-1] if o.kind == "last" else got)
            np.testing.assert_allclose(y.ravel(), same_weights[o.name], rtol=0, atol=ARITHMETIC * largest)
            np.testing.assert_allclose(y.ravel(), want, rtol=0, atol=rounding(layer, x))
