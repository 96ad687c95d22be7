"""What --bind fixes vanishes: scalars, the branches that they decide, the integers and booleans that compute with them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

import rnnc
from rnnc.errors import Refused
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds

X, H = 3, 4
LIMIT = 1e-5


def gru(b: Builder, x: str, seed: int, out: str) -> str:
    """A GRU over ``[time, 1, X]``, ``[time, 1, H]``; the weights are the seed's."""
    rng = np.random.default_rng(seed)
    w, r = (b.const(rng.standard_normal((1, 3 * H, n)) / 2) for n in (X, H))
    y = b.ops("GRU", 2, x, w, r, hidden_size=H)[0]
    return b.op("Squeeze", y, b.const(np.array([1])), out=out)


def branch(seed: int, name: str) -> object:
    """One branch of an If: a GRU with weights of its own over the x of outside."""
    b = Builder(prefix=f"{name}_")
    gru(b, "x", seed, f"{name}_y")
    return b.graph({}, [f"{name}_y"])


def by_rate(dtype: str, shape: list[int], nested: bool = False) -> bytes:
    """Networks for 16000 and 8000 Hz in one file, as voice detectors come."""
    b = Builder()
    wide = {"i": np.int64, "f": np.float32}[dtype]
    rate = b.op("Reshape", "sr", b.const(np.zeros(0, np.int64))) if shape else "sr"
    which = b.op("Equal", rate, b.const(np.asarray(16000, wide)))
    other = b.op("Not", b.op("Equal", rate, b.const(np.asarray(8000, wide))))
    condition = b.op("And", b.op("Or", which, other), which)
    second = branch(2, "low")
    if nested:
        inner = Builder(prefix="inner_")
        choice = inner.op("Not", condition)
        inner.nodes.append(
            helper.make_node("If", [choice], ["inner_y"], then_branch=second, else_branch=branch(3, "never"))
        )
        second = inner.graph({}, ["inner_y"])
    b.nodes.append(
        helper.make_node("If", [condition], ["h"], name="by rate", then_branch=branch(1, "high"), else_branch=second)
    )
    b.op("MatMul", "h", b.const(b.weights(H, 2)), out="y")
    return b.model({"x": ["time", 1, X], "sr": shape}, ["y"], f"f{dtype}")


@pytest.mark.parametrize("rate", [16000, 8000])
@pytest.mark.parametrize(("dtype", "shape"), [("i", []), ("i", [1]), ("f", [])])
@pytest.mark.parametrize("nested", [False, True])
def test_a_bound_rate_leaves_one_branch(rate: int, dtype: str, shape: list[int], nested: bool) -> None:
    error, net = import_error(by_rate(dtype, shape, nested), Options(bind={"sr": rate}))
    assert kinds(net) == ["gru", "dense"] and error < LIMIT
    assert [v.name for v in net.inputs] == ["x"]


def test_an_open_branch_says_what_to_do() -> None:
    with pytest.raises(Refused, match=r"'by rate' \(If\)(.|\n)*bind=\{'sr': VALUE\}"):
        rnnc.load_net(by_rate("i", []))


def test_a_branch_that_no_single_number_decides_is_not_to_be_bound() -> None:
    b = Builder(0)
    loud = b.op("Greater", b.op("ReduceMax", "x", keepdims=0), b.const(1.0))
    b.nodes.append(helper.make_node("If", [loud], ["y"], then_branch=branch(1, "a"), else_branch=branch(2, "b")))
    with pytest.raises(Refused, match="Export one branch: what decides it is not a single number"):
        rnnc.load_net(b.model({"x": ["time", 1, X]}, ["y"]))


def test_integers_and_booleans_fold_away() -> None:
    """Lengths computed from shapes, compared, selected by Where, and a scale made from a bound number."""
    b = Builder()
    length = b.op("Gather", b.op("Shape", "x"), b.const(np.asarray(0)), axis=0)
    enough = b.op("Greater", length, b.const(np.asarray(0)))
    features = b.op("Where", enough, b.const(np.asarray(X)), b.const(np.asarray(1)))
    one = b.op("Unsqueeze", features, b.const(np.array([0])))
    target = b.op("Concat", b.const(np.array([-1, 1])), one, axis=0)
    scale = b.op("Div", b.op("Cast", "sr", to=TensorProto.FLOAT), b.const(np.array(16000.0)))
    x = b.op("Reshape", b.op("Mul", "x", scale), target)
    ranged = b.op("Range", b.const(np.asarray(0)), b.const(np.asarray(2)), b.const(np.asarray(1)))
    columns = b.op("Gather", gru(b, x, 5, "h"), ranged, axis=2)
    b.op("Mul", columns, b.op("Cast", enough, to=TensorProto.FLOAT), out="y")
    model = b.model({"x": ["time", 1, X], "sr": []}, ["y"], "fi")
    error, net = import_error(model, Options(bind={"sr": 8000}))
    assert error < LIMIT and "gru" in kinds(net) and net.inputs[0].shape == (X,)


def test_batch_is_1_whether_bound_or_not() -> None:
    b = Builder()
    b.op("MatMul", gru(b, "x", 1, "h"), b.const(b.weights(H, 2)), out="y")
    model = b.model({"x": ["time", "batch", X]}, ["y"])
    for bind in ({}, {"batch": 1.0}):
        net = rnnc.load_net(model, Options(bind=bind))
        assert kinds(net) == ["gru", "dense"] and net.inputs[0].shape == (X,)
