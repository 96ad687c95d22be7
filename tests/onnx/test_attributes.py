"""The attributes of LSTM, GRU and RNN that ONNX's conformance cases leave out: in float, in integers and in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnc.compiler import build
from rnnc.net import Array
from rnnc.options import Options
from rnnc.streams import run_net, run_qnet
from rnnc.verification.metrics import sqnr_db
from tests.support.operators import quantized
from tests.support.packages import Built, package
from tests.support.recurrent import DEFAULT, OUTPUTS, Layer, imported, layer, model, results

LIMIT = 1e-5
FLOAT32 = 1e-7
"""What float32 makes of numbers around 1, however small the result."""
STEPS = 17
ACTIVATIONS: dict[str, tuple[list[float], list[float]]] = {
    "Sigmoid": ([], []),
    "Tanh": ([], []),
    "Relu": ([], []),
    "HardSigmoid": ([0.3], [0.4]),
    "LeakyRelu": ([0.2], []),
    "ThresholdedRelu": ([0.15], []),
    "Elu": ([0.7], []),
    "Softsign": ([], []),
    "Softplus": ([], []),
    "ScaledTanh": ([0.8], [0.9]),
    "Affine": ([0.4], [0.1]),
}
"""ONNX's activations with an alpha and a beta."""


def activations(names: Sequence[str]) -> dict[str, Any]:
    """The three attributes for these functions, each with its parameters."""
    alpha = [a for n in names for a in ACTIVATIONS[n][0]]
    beta = [b for n in names for b in ACTIVATIONS[n][1]]
    lists = {"activations": list(names), "activation_alpha": alpha, "activation_beta": beta}
    return {key: value for key, value in lists.items() if value}


def every_activation() -> dict[str, Layer]:
    """Each function in each place."""
    found = {}
    for op_type, default in DEFAULT.items():
        for place in range(len(default)):
            for name in ACTIVATIONS:
                chosen = [*default[:place], name, *default[place + 1 :]]
                found[f"{op_type}_{name}_{place}"] = layer(op_type, activations(chosen), seed=place, spread=0.2)
        if len(default) > 1:
            found[f"{op_type}_all_others"] = layer(
                op_type, activations(["HardSigmoid", "ScaledTanh", "Elu"][: len(default)])
            )
    return found


def every_choice() -> dict[str, Layer]:
    """Attributes and optional inputs, alone and together."""
    found = {
        "LSTM_peepholes": layer("LSTM", optional=("B", "P")),
        "LSTM_coupled": layer("LSTM", {"input_forget": 1}),
        "LSTM_coupled_peepholes_clip": layer("LSTM", {"input_forget": 1, "clip": 0.4}, optional=("B", "P")),
        "LSTM_peepholes_start": layer("LSTM", optional=("B", "P", "initial_h", "initial_c")),
        "LSTM_start_c": layer("LSTM", optional=("B", "initial_c")),
        "GRU_after": layer("GRU", {"linear_before_reset": 1}),
        "GRU_after_clip_relu": layer(
            "GRU", {"linear_before_reset": 1, "clip": 0.5, **activations(["Sigmoid", "Relu"])}
        ),
    }
    for op_type in DEFAULT:
        found[f"{op_type}_clip"] = layer(op_type, {"clip": 0.3})
        found[f"{op_type}_no_bias"] = layer(op_type, optional=())
        found[f"{op_type}_start_h"] = layer(op_type, optional=("initial_h",))
        for direction in ("reverse", "bidirectional"):
            found[f"{op_type}_{direction}"] = layer(op_type, {"direction": direction}, optional=("B", "initial_h"))
        for k in range(1, 4):
            for outputs in combinations(OUTPUTS[: 3 if op_type == "LSTM" else 2], k):
                found[f"{op_type}_gives_{'_'.join(outputs)}"] = layer(op_type, outputs=outputs)
                found[f"{op_type}_both_give_{'_'.join(outputs)}"] = layer(
                    op_type, {"direction": "bidirectional"}, outputs=outputs
                )
    pairs = ["HardSigmoid", "Tanh", "Sigmoid", "ScaledTanh"]
    found["GRU_unlike_directions"] = layer("GRU", {"direction": "bidirectional", **activations(pairs)})
    found["RNN_unlike_directions"] = layer("RNN", {"direction": "bidirectional", **activations(["Tanh", "Affine"])})
    return found


def every_opset() -> dict[str, Layer]:
    """Each opset that ONNX's operators changed in, and the first and last that must be read."""
    return {
        f"{op_type}_opset{opset}": layer(op_type, outputs=("Y", "Y_h"), opset=opset)
        for op_type in DEFAULT
        for opset in (7, 8, 9, 11, 12, 13, 14, 17, 21, 22, 23)
    }


def every_layout() -> dict[str, Layer]:
    """The batch before time, which onnxruntime refuses."""
    found = {}
    for op_type in DEFAULT:
        for direction in ("forward", "reverse", "bidirectional"):
            found[f"{op_type}_layout1_{direction}"] = layer(
                op_type,
                {"layout": 1, "direction": direction},
                optional=("B", "initial_h"),
                outputs=OUTPUTS[: 3 if op_type == "LSTM" else 2],
            )
    return found


def lengths() -> dict[str, Layer]:
    """A constant sequence_lens: as long as the sequence, and shorter; in both directions."""
    found = {}
    for op_type in DEFAULT:
        for length in (STEPS, STEPS - 5):
            for direction in ("forward", "bidirectional"):
                made = layer(op_type, {"direction": direction}, outputs=("Y", "Y_h"))
                constants = {**made.constants, "sequence_lens": np.array([length])}
                found[f"{op_type}_{direction}_of_{length}"] = Layer(op_type, constants, made.attributes, made.outputs)
    return found


CHOICES = {**every_activation(), **every_choice(), **every_opset(), **lengths()}


def noise(steps: int = STEPS, columns: int = 3) -> Array:
    """X ``[steps, columns]``."""
    return np.random.default_rng(5).standard_normal((steps, columns)).astype(np.float32)


def same(got: dict[str, Array], want: dict[str, Array]) -> None:
    """The same names, and values within 1e-5 of the largest."""
    assert set(got) == set(want)
    for name, values in want.items():
        r = np.asarray(values, np.float64).ravel()
        np.testing.assert_allclose(
            got[name], r, rtol=0, atol=max(LIMIT * float(np.abs(r).max()), FLOAT32), err_msg=name
        )


ENDS_OLDER = {"RNN_unlike_directions": (1, 29)}
"""What versions of onnxruntime before these die of."""


@pytest.mark.parametrize("name", CHOICES)
def test_net_equals_onnxruntime(name: str) -> None:
    """And so does the specification, which stands in where onnxruntime refuses."""
    least, found = ENDS_OLDER.get(name, (0, 0)), version("onnxruntime")
    if tuple(map(int, found.split(".")[:2])) < least:
        pytest.skip(f"onnxruntime {found} ends the process on this file")
    made, x = CHOICES[name], noise()
    want = made.onnxruntime(x)
    same(results(imported([made], STEPS), x), want)
    same({n: a.ravel() for n, a in made.specified(x).items()}, want)


@pytest.mark.parametrize("name", every_layout())
def test_batch_first_equals_the_specification(name: str) -> None:
    made, x = every_layout()[name], noise()
    with pytest.raises(Exception, match=r"(?i)layout"):
        made.onnxruntime(x)
    same(results(imported([made], STEPS), x), made.specified(x))


SAMPLED = {
    (op_type, backward): {
        name: made
        for name, made in CHOICES.items()
        if made.op_type == op_type
        and made.backward == backward
        and made.opset == 22
        and "sequence_lens" not in made.constants
    }
    for op_type in DEFAULT
    for backward in (False, True)
}
SQNR = 40.0
SQNR_OF_A_JUMP = 20.0
"""ThresholdedRelu jumps by its alpha where the rounded preactivation is on the other side of it."""
SEQUENCES = 10


@pytest.mark.parametrize(("op_type", "backward"), SAMPLED)
def test_integers_are_accurate_and_the_c_is_equal(op_type: str, backward: bool, tmp_path: Path) -> None:
    """All choices side by side in one network."""
    names = list(SAMPLED[op_type, backward])
    net = imported(list(SAMPLED[op_type, backward].values()), STEPS)
    x = np.moveaxis(noise(STEPS * SEQUENCES)[None], 0, 1)
    qnet = quantized(net, {"X": np.moveaxis(x, 0, 1)})
    integers = {"X": qnet.formats["X"].quantize(x)}
    want, got = run_net(net, {"X": x.astype(np.float64)}), run_qnet(qnet, integers)
    low = []
    for o in qnet.outputs:
        r, y = (a.reshape(len(a), -1) for a in (want[o.name], qnet.formats[o.value].dequantize(got[o.name])))
        name, reached = names[int(o.name[1:].split("_")[0])], sqnr_db(r, y)
        if reached is None or reached < (SQNR_OF_A_JUMP if "Thresholded" in name else SQNR):
            low.append(f"{name}: {reached} dB")
    assert not low
    c = Built(*package(qnet, steps=STEPS), tmp_path).new().run({"X": integers["X"][:, 0]})
    for o in qnet.outputs:
        np.testing.assert_array_equal(c[o.name].ravel(), got[o.name].ravel(), err_msg=o.name)


@pytest.mark.parametrize("name", [n for n in lengths() if n.startswith("GRU")])
def test_lengths_in_c(name: str) -> None:
    """What a sequence ends with is not fed to the layer: the answers come so many steps later."""
    made = lengths()[name]
    figures = build(model([made], STEPS), None, Options(window=STEPS if made.backward else 0)).report["verify"]
    assert figures["c_equals_oracle"] is True and figures["import_max_rel"] <= LIMIT


@st.composite
def any_layer(draw: st.DrawFn) -> Layer:
    """Attributes, optional inputs and outputs in any combination; gates stay within 0 and 1, so that states stay finite."""
    op_type = draw(st.sampled_from(list(DEFAULT)))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    gate = st.sampled_from(["Sigmoid", "HardSigmoid"])
    other = st.sampled_from([n for n in ACTIVATIONS if n not in ("ThresholdedRelu", "Softplus", "Relu")])
    names = []
    for _ in range(2 if direction == "bidirectional" else 1):
        names += [draw(other if k else gate) for k in range(len(DEFAULT[op_type]))]
    attributes: dict[str, Any] = {"direction": direction}
    attributes |= activations(names) if op_type != "RNN" and draw(st.booleans()) else {}
    attributes |= {"clip": 0.4} if draw(st.booleans()) else {}
    attributes |= {"input_forget": 1} if op_type == "LSTM" and draw(st.booleans()) else {}
    attributes |= {"linear_before_reset": draw(st.integers(0, 1))} if op_type == "GRU" else {}
    optional = ["B", "initial_h", *(["initial_c", "P"] if op_type == "LSTM" else [])]
    results = OUTPUTS[: 3 if op_type == "LSTM" else 2]
    made = layer(
        op_type,
        attributes,
        optional=[n for n in optional if draw(st.booleans())],
        outputs=[n for n in results if draw(st.booleans())] or results,
        opset=draw(st.sampled_from([7, 14, 22])),
        seed=draw(st.integers(0, 99)),
        columns=draw(st.integers(1, 4)),
        hidden=draw(st.integers(1, 5)),
        spread=0.3,
    )
    length = draw(st.integers(1, STEPS)) if draw(st.booleans()) else 0
    constants = {**made.constants, **({"sequence_lens": np.array([length])} if length else {})}
    return replace(made, constants=constants)


@settings(max_examples=100)
@given(made=any_layer())
def test_any_combination_equals_onnxruntime(made: Layer) -> None:
    x = noise(columns=made.columns)
    same(results(imported([made], STEPS), x), made.onnxruntime(x))
