"""States that a file of one step works on before its layer takes them: h (1 - done), and its like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.compiler import compile_model
from rnnc.errors import DataError, Refused
from rnnc.net import Net
from rnnc.options import Options
from rnnc.quantization.calibrate import calibrate, noise_sequences
from rnnc.verification.session import Session
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.operators import check_c, quantized, sequence, sqnr
from tests.support.sequences import imported

X, H = 3, 4
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
LIMIT = 1e-5
MASKS = ("times", "chosen", "first", "learned")


def policy(op_type: str, mask: str = "times", *, squashed: bool = True, **attributes: object) -> bytes:
    """x ``[1, 1, X]``, h (and c) ``[1, 1, H]`` and done ``[1, 1, 1]`` to y and the next states.

    Args:
        mask: "times" 1 - done; 0 is "chosen" where done; as "times", of the "first" state alone; a "learned" state where done.
        squashed: done is clipped to 0..1 in the file, so that noise does not let the state grow.
    """
    b = Builder(4)
    done = b.op("Clip", "done", b.const(0.0), b.const(1.0)) if squashed else "done"
    states = ["h", "c"] if op_type == "LSTM" else ["h"]
    starts = []
    for k, state in enumerate(states):
        if mask == "first" and k:
            starts.append(state)
        elif mask in ("times", "first"):
            starts.append(b.op("Mul", state, b.op("Sub", b.const(1.0), done)))
        else:
            other = b.const(b.weights(1, 1, H) if mask == "learned" else np.zeros((1, 1, H)))
            starts.append(b.op("Where", b.op("Greater", done, b.const(0.5)), other, state))
    weights = [b.const(b.weights(1, GATES[op_type] * H, n)) for n in (X, H)]
    y, *finals = b.ops(op_type, 1 + len(states), "x", *weights, "", "", *starts, hidden_size=H, **attributes)
    for state, final in zip(states, finals, strict=True):
        b.op("Identity", final, out=f"{state}_n")
    b.op("MatMul", y, b.const(b.weights(H, 2)), out="y")
    shapes = {"x": [1, 1, X], **{s: [1, 1, H] for s in states}, "done": [1, 1, 1]}
    return b.model(shapes, ["y", *(f"{s}_n" for s in states)])


def step(content: bytes) -> Net:
    return imported(content, time_axis={})


CASES = [(kind, mask) for kind in GATES for mask in MASKS if kind == "LSTM" or mask != "first"]


@pytest.mark.parametrize(("kind", "mask"), CASES)
def test_it_is_what_onnxruntime_gives(kind: str, mask: str) -> None:
    error, net = import_error(policy(kind, mask))
    assert error < LIMIT
    assert kinds(net).count("started") == 1
    assert [v.name for v in net.inputs] == ["x", "done"] and [o.name for o in net.outputs] == ["y"]


@pytest.mark.parametrize("precision", ["a16", "a8"])
@pytest.mark.parametrize(("kind", "mask"), [("RNN", "times"), ("GRU", "chosen"), ("LSTM", "times"), ("LSTM", "first")])
def test_c_is_the_oracle(kind: str, mask: str, precision: Any, tmp_path: Path) -> None:
    net = step(policy(kind, mask))
    check_c(quantized(net, sequence(net, steps=100), Options(precision=precision)), tmp_path, 60)


@pytest.mark.parametrize(("kind", "mask"), CASES)
def test_integers_follow(kind: str, mask: str) -> None:
    net = step(policy(kind, mask))
    data = sequence(net, steps=300)
    assert sqnr(net, quantized(net, data), data) > 40


def test_without_data_what_multiplies_a_state_stays_within_0_and_1() -> None:
    """Noise of +-16 would make the state grow by 17 a step."""
    net = step(policy("GRU", squashed=False))
    ranges = calibrate(net, None, Options())
    noise = noise_sequences(net, ranges)
    assert ranges.factors == {"done"}
    assert 0 <= float(np.min(noise["done"])) <= float(np.max(noise["done"])) <= 1
    assert not calibrate(step(policy("GRU")), None, Options()).factors


def test_data_that_lets_a_state_grow_is_told() -> None:
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((400, X)), "done": np.full((400, 1), -900.0)}
    with pytest.raises(DataError, match="becomes infinite"):
        compile_model(policy("LSTM", squashed=False), data, verify=False)


def test_a_sequence_that_works_on_its_state_is_refused_with_a_way_on() -> None:
    b = Builder(5)
    kept = b.op("Sub", b.const(1.0), b.op("Slice", "x", *(b.const(np.array([n])) for n in (0, 1, 0))))
    start = b.op("Mul", "h", b.op("ReduceMean", kept, b.const(np.array([2])), keepdims=1))
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (X, H)]
    b.ops("GRU", 2, "x", *weights, "", "", start, hidden_size=H)
    y = b.nodes[-1].output[0]
    b.op("Identity", y, out="y")
    with pytest.raises(Refused) as refused:
        step(b.model({"x": [12, 1, X], "h": [1, 1, H]}, ["y"]))
    assert "the first step of a sequence by itself" in refused.value.what
    assert "an input of its own" in refused.value.hint and "--window" not in refused.value.hint


@pytest.mark.parametrize(("kind", "mask"), CASES)
def test_the_reference_goes_on_from_one_step_to_the_next(kind: str, mask: str) -> None:
    """What the layer keeps is set at every step: the file hides no state."""
    content = policy(kind, mask)
    session = Session(content, step(content), Options())
    assert session.pairs == {state: f"{state}_n" for state in (["h", "c"] if kind == "LSTM" else ["h"])}


def test_verify_compares_one_stream() -> None:
    package = compile_model(policy("GRU"), time_axis={})
    assert package.report["verify"]["compared"] == "one stream of 1024 steps"


def banded(op_type: str) -> bytes:
    """x ``[1, 1, B X]`` in bands, each with its state h (and c) ``[1, B, H]``, set to 0 where done ``[1, 1, 1]``."""
    b, bands = Builder(6), 3
    rows = b.op("Reshape", "x", b.const(np.array([1, bands, X])))
    states = ["h", "c"] if op_type == "LSTM" else ["h"]
    kept = b.op("Sub", b.const(1.0), b.op("Clip", "done", b.const(0.0), b.const(1.0)))
    weights = [b.const(b.weights(1, GATES[op_type] * H, n)) for n in (X, H)]
    starts = [b.op("Mul", state, kept) for state in states]
    y, *finals = b.ops(op_type, 1 + len(states), rows, *weights, "", "", *starts, hidden_size=H)
    for state, final in zip(states, finals, strict=True):
        b.op("Identity", final, out=f"{state}_n")
    b.op("ReduceMean", y, b.const(np.array([2])), out="y")
    shapes = {"x": [1, 1, bands * X], **{state: [1, bands, H] for state in states}, "done": [1, 1, 1]}
    return b.model(shapes, ["y", *(f"{s}_n" for s in states)])


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_states_of_bands_are_set_as_well(kind: str, tmp_path: Path) -> None:
    error, net = import_error(banded(kind))
    assert error < LIMIT and kinds(net).count("started") == 1
    net = step(banded(kind))
    check_c(quantized(net, sequence(net, steps=60)), tmp_path, 20)
