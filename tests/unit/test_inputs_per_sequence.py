"""Inputs that the file has once for a whole sequence: given again at every step."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.options import Options
from rnnc.verification.reference import run_reference
from rnnc.verification.session import Session
from tests.support.graphs import Builder
from tests.support.imports import import_error

T, X, H, C = 11, 5, 4, 3
LIMIT = 1e-5


def conditioned(repeat: str, steps: int | str) -> bytes:
    """A GRU of ``x [1, steps, X]`` and a context ``[1, C]`` that each step sees."""
    b = Builder()
    context = b.op("Unsqueeze", b.op("Gemm", "context", b.const(b.weights(C, 2))), b.const(np.array([1])))
    if repeat == "Expand":
        length = b.op("Slice", b.op("Shape", "x"), b.const(np.array([1])), b.const(np.array([2])))
        one, two = b.const(np.array([1])), b.const(np.array([2]))
        context = b.op("Expand", context, b.op("Concat", one, length, two, axis=0))
    elif repeat == "Tile":
        context = b.op("Tile", context, b.const(np.array([1, T, 1])))
    if repeat == "last":
        joined = "x"
    elif repeat == "broadcast":
        joined = b.op("Add", b.op("MatMul", "x", b.const(b.weights(X, 2))), context)
    else:
        joined = b.op("Concat", "x", context, axis=2)
    width = {"last": X, "broadcast": 2}.get(repeat, X + 2)
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (width, H)]
    y = b.op("GRU", b.op("Transpose", joined, perm=[1, 0, 2]), *weights, hidden_size=H)
    y = b.op("Squeeze", y, b.const(np.array([1])))
    if repeat == "last":
        end = b.op("Gather", y, b.const(np.array(-1)), axis=0)
        y = b.op("Concat", end, b.op("Squeeze", context, b.const(np.array([1]))), axis=1)
    b.op("MatMul", y, b.const(b.weights(H + (2 if repeat == "last" else 0), 2)), out="y")
    return b.model({"x": [1, steps, X], "context": [1, C]}, ["y"])


@pytest.mark.parametrize(
    ("repeat", "steps"),
    [("Tile", T), *((repeat, steps) for repeat in ("Expand", "broadcast", "last") for steps in (T, "time"))],
)
def test_a_context_of_the_whole_sequence(repeat: str, steps: int | str) -> None:
    error, net = import_error(conditioned(repeat, steps), steps=3 * T)
    assert error < LIMIT
    assert {v.name: v.per_sequence for v in net.inputs} == {"x": False, "context": True}
    assert net.outputs[0].kind == ("last" if repeat == "last" else "stream")


def repeated(
    kind: str,
    shape: list[int | str],
    *,
    width: int = X,
    steps: int = T,
    units: int = H,
    result: str = "y",
    extra: bool = False,
) -> bytes:
    """A GRU that is given ``steps`` times one vector of ``width``; ``result`` as GRU names it, y or y_h."""
    b = Builder()
    lanes = shape[0] if len(shape) > 1 and isinstance(shape[0], int) else 1
    vector = b.op("Reshape", "z", b.const(np.array([-1, 1, width])))
    if kind == "Tile":
        sequence = b.op("Tile", vector, b.const(np.array([1, steps, 1])))
    else:
        sequence = b.op("Expand", vector, b.const(np.array([1, steps, 1])))
    turned = b.op("Transpose", sequence, perm=[1, 0, 2])
    weights = [b.const(b.weights(1, 3 * units, n)) for n in (width, units)]
    start = b.const(np.full((1, lanes, units), 0.25)) if isinstance(shape[0], int) else ""
    y, y_h = b.ops("GRU", 2, turned, *weights, "", "", start, hidden_size=units)
    if result == "y":
        by_step = b.op("Transpose", b.op("Squeeze", y, b.const(np.array([1]))), perm=[1, 0, 2])
        b.op("MatMul", by_step, b.const(b.weights(units, units)), out="y")
    else:
        b.op("Squeeze", y_h, b.const(np.array([0])), out="y")
    if extra:
        b.op("MatMul", b.op("Reshape", "z", b.const(np.array([-1, width]))), b.const(b.weights(width, 2)), out="once")
    return b.model({"z": shape}, ["once", "y"] if extra else ["y"])


@pytest.mark.parametrize("kind", ["Tile", "Expand"])
@pytest.mark.parametrize("shape", [[X], [1, X], [4, X], ["batch", X], [1, 1, X]])
def test_a_vector_repeated_for_a_recurrent_layer(kind: str, shape: list[int | str]) -> None:
    error, net = import_error(repeated(kind, shape), steps=3 * T)
    assert error < LIMIT
    assert [(v.shape, v.per_sequence) for v in net.inputs] == [((X,), True)]
    assert [o.kind for o in net.outputs] == ["stream"]


@pytest.mark.parametrize(("width", "steps", "units"), [(1, 7, 3), (6, 6, 6), (6, 6, 3), (3, 6, 6)])
def test_a_repeated_vector_of_any_width(width: int, steps: int, units: int) -> None:
    error, _ = import_error(repeated("Tile", [1, width], width=width, steps=steps, units=units), steps=3 * steps)
    assert error < LIMIT


def test_a_result_of_the_vector_beside_the_steps() -> None:
    error, _ = import_error(repeated("Expand", [1, X], extra=True), steps=3 * T)
    assert error < LIMIT


def test_the_c_of_a_repeated_vector() -> None:
    data = np.random.default_rng(3).standard_normal((20 * T, X))
    verify = rnnc.compile_model(repeated("Tile", [1, X]), {"z": data}).report["verify"]
    assert verify["c_equals_oracle"]
    assert verify["steps"] == 20 * T
    assert verify["import_max_rel"] < LIMIT
    assert verify["outputs"][0]["sqnr_same_weights_db"] > 50


def test_all_steps_of_a_repeated_vector_are_compared() -> None:
    model = repeated("Tile", [1, X], extra=True)
    net = rnnc.load_net(model)
    reference = run_reference(Session(model, net, Options()), {"z": [np.ones((2 * T + 3, X))]})
    assert len(reference.outputs["y"].values) == 2 * T
    assert reference.dropped == 3


def test_a_repeated_vector_with_the_last_state_alone_is_refused() -> None:
    with pytest.raises(Refused, match=f"answers once, after {T} steps with one input"):
        rnnc.load_net(repeated("Tile", [1, X], result="y_h"))


def test_what_no_layer_scans_is_no_sequence() -> None:
    b = Builder()
    features = b.op("MatMul", "z", b.const(b.weights(X, 6)))
    apart = b.op("Reshape", features, b.const(np.array([1, 2, 1, 3, 1])))
    b.op("Expand", apart, b.const(np.array([4, 2, 5, 3, 6])), out="y")
    with pytest.raises(Refused, match="along several axes"):
        rnnc.load_net(b.model({"z": [1, X]}, ["y"]))


def constant_sequence(start: str) -> bytes:
    """A GRU of T steps of zeros, from a state that is "zero", "computed" from z, or an "input"; z joins its results."""
    b = Builder()
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (X, H)]
    first = b.op("Unsqueeze", b.op("MatMul", "z", b.const(b.weights(C, H))), b.const(np.array([0])))
    state = {"zero": "", "computed": first, "input": "h0"}[start]
    y = b.op("GRU", b.const(np.zeros((T, 1, X))), *weights, "", "", state, hidden_size=H)
    b.op("Add", b.op("Squeeze", y, b.const(np.array([1]))), first, out="y")
    return b.model({"z": [1, C]} | ({"h0": [1, 1, H]} if start == "input" else {}), ["y"])


@pytest.mark.parametrize("start", ["computed", "input"])
def test_a_constant_sequence_is_refused(start: str) -> None:
    with pytest.raises(Refused, match=rf"scans a constant \[{T}, 1, {X}\]"):
        rnnc.load_net(constant_sequence(start))


def test_a_constant_sequence_from_a_constant_state_is_folded() -> None:
    error, net = import_error(constant_sequence("zero"))
    assert error < LIMIT
    assert not net.states()
