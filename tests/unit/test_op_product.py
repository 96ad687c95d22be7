"""Products of two computed tensors: MatMul, Gemm and Einsum, in integers of 16 and of 8 bits, proved by the worst case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.compiler import compile_stages
from rnnc.errors import Refused
from rnnc.fixed import Format
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.streaming import to_stream
from rnnc.ops.product import MatrixProduct, QMatrixProduct
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.operators import Case, check_c, import_error, imported, model, quantized, sequence
from tests.support.sequences import LIMIT

FRAME = (2, 3, 4)


def turned(b: Builder, x: str, *perm: int) -> str:
    return b.op("Transpose", x, perm=[0, 1, *(p + 2 for p in perm)])


def shared(b: Builder, x: str) -> str:
    return b.op("MatMul", turned(b, x, 0, 2, 1), b.op("ReduceMax", x, b.const(np.array([2]))))


def by(equation: str, *perm: int) -> Case:
    """Einsum of x and x turned round."""
    return Case(equation, lambda b, x: b.op("Einsum", x, turned(b, x, *perm), equation=equation), 60, FRAME)


PATTERNS = [
    Case("in groups", lambda b, x: b.op("MatMul", x, turned(b, x, 0, 2, 1)), 60, FRAME),
    Case("a shared matrix", shared, 60, FRAME),
    by("abhsd,abhdt->abhst", 0, 2, 1),
    by("abhsd,abhtd->abths", 0, 1, 2),
    by("abhsd,abhtd->absht", 0, 1, 2),
]


@pytest.mark.parametrize("case", PATTERNS, ids=str)
def test_every_pattern_is_one_product_and_as_in_onnxruntime(case: Case) -> None:
    net = imported(content := model([case]))
    assert any(isinstance(op, MatrixProduct) for op in net.ops)
    assert import_error(content, net, sequence(net)) < LIMIT


def test_a_gemm_of_computed_matrices_is_turned_scaled_and_added() -> None:
    b = Builder()
    h = b.op("Reshape", b.op("Tanh", "x"), b.const(np.array([3, 4])))
    b.op("Gemm", h, h, b.op("ReduceSum", h, b.const(np.array([1]))), transB=1, alpha=0.5, beta=2.0, out="y")
    options = Options(time_axis={"x": None})
    net = to_stream(load(b.model({"x": (1, 12)}, ["y"]), options), options)
    x = np.random.default_rng(0).standard_normal((12,))
    h0 = np.tanh(x).reshape(3, 4)
    (product,) = (op for op in net.ops if isinstance(op, MatrixProduct))
    np.testing.assert_allclose(product.step([h0[None, None], h0.T[None, None]], {}, 0)[0][0, 0], h0 @ h0.T)
    assert [op.kind for op in net.ops].count("product") == 1


@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_c_equals_oracle_in_groups_of_either_width(precision: str, tmp_path: Path) -> None:
    """Over a Dense layer, which gives 8 bits in the a8 profile."""

    def gram(b: Builder, x: str) -> str:
        split = b.op("Reshape", x, b.const(np.array([0, 0, *FRAME])))
        return b.op("MatMul", split, turned(b, split, 0, 2, 1))

    net = imported(model([Case("gram", gram, 40, (24,))], columns=5))
    qnet = quantized(net, sequence(net, steps=60), Options(precision=precision))  # type: ignore[arg-type]
    (product,) = (op for op in qnet.ops if isinstance(op, QMatrixProduct))
    assert {f.bits for f in product.sources} == {8 if precision == "a8" else 16}
    check_c(qnet, tmp_path)


@pytest.mark.parametrize("inner", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("bits", [(16, 16), (8, 16), (8, 8)])
def test_the_worst_case_is_reached_and_no_larger_sum_is_possible(inner: int, bits: tuple[int, int]) -> None:
    """The extremes of both operands, with a zero point that makes one of them larger than 2^15."""
    a, b = (Format(n, np.ones(1) * 2.0**-n, -100 if n == 16 else 5, -(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in bits)
    op = MatrixProduct("p", ("a", "b"), ("y",), a=(1, inner), b=(inner, 1), shape=())
    q = QMatrixProduct(op, op.inputs, (Format(16, np.array([inner / 2.0**15])),), (a, b))
    bound = {x.accumulator: x.worst for x in q.bounds()}
    ends = [[np.full((1, 1, inner), end) for end in (f.lo, f.hi)] for f in (a, b)]
    largest = 0
    for x in ends[0]:
        for y in ends[1]:
            u, v = ((k - f.zero_point) >> s for k, f, s in zip((x, y), (a, b), q.shifts, strict=True))
            total = int(np.abs(((u * v) >> q.down).sum() << q.up))
            largest = max(largest, total)
            q.step([x, y], {}, 0)
    assert 0.4 * bound["sum"] < largest <= bound["sum"] <= 2**30


def test_a_product_over_all_steps_needs_a_window() -> None:
    b = Builder()
    turned_x = b.op("Transpose", "x", perm=[0, 2, 1])
    b.op("MatMul", turned_x, "x", out="y")
    content = b.model({"x": (1, 12, 3)}, ["y"])
    with pytest.raises(Refused, match=r"sums up over all steps(.|\n)*window=12"):
        to_stream(load(content, Options(time_axis={"x": 1})), Options(time_axis={"x": 1}))
    done = compile_stages(content, None, Options(time_axis={"x": 1}, window=12))
    assert done.net.window == 12 and any(op.kind == "product" for op in done.net.ops)
