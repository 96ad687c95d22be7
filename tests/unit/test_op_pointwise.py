"""Pointwise ops: what arithmetic with constants comes down to, how near the curves are, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.fixed import Format, OverflowInOracle
from rnnc.net import Net, Output, Value
from rnnc.ops.clip import Clip
from rnnc.ops.curve import Curve, QCurve
from rnnc.ops.elementwise import Combination, Loops, at_least, table_shape
from rnnc.options import Options
from rnnc.quantization.calibrate import Ranges
from rnnc.quantization.quantize import quantize
from rnnc.streams import run_net, run_qnet
from tests.support.graphs import Builder
from tests.support.operators import STEPS, Case, import_error, imported, model, op, quantized, sequence

RNG = np.random.default_rng(0)


def net_of(nodes: Any, frame: tuple[int, ...] = (6,)) -> Net:
    """The network of a few nodes over x."""
    return imported(model([Case("case", nodes, 0, frame)]))


def kinds(net: Net) -> list[str]:
    """Its ops."""
    return [o.kind for o in net.ops]


# --------------------------------------------------------------------------- constants


def test_a_positive_factor_costs_nothing() -> None:
    net = net_of(op("Mul", np.linspace(0.1, 2, 6)))
    qnet = quantized(net, sequence(net))
    assert kinds(net) == ["scale"]
    assert [call for q in qnet.ops for call in q.calls()] == []


def test_a_factor_of_one_and_a_sum_with_zero_are_nothing() -> None:
    net = net_of(lambda b, x: b.op("Relu", b.op("Add", b.op("Mul", x, b.const(1.0)), b.const(np.zeros(6)))))
    assert kinds(net) == ["clip"]


def test_a_chain_of_constants_is_one_op() -> None:
    def chain(b: Builder, x: str) -> str:
        y = b.op("Sub", b.const(1.0), b.op("Mul", x, b.const(-2.0)))
        return b.op("Clip", b.op("Div", y, b.const(4.0)), b.const(0.0), b.const(1.0))

    net = net_of(chain)
    assert kinds(net) == ["affine"]
    (y,) = run_net(net, {"x": np.array([[[-1.0, 0.0, 0.3, 5.0, -9.0, 0.1]]])}).values()
    assert np.allclose(y.ravel(), [0, 0.25, 0.4, 1, 0, 0.3])


def test_epsilon_below_a_root_is_added_with_more_bits_than_x_has() -> None:
    net = net_of(lambda b, x: b.op("Sqrt", b.op("Add", b.op("Abs", x), b.const(1e-6))))
    assert kinds(net) == ["leaky_relu", "power"]
    qnet = quantized(net, sequence(net))
    x = np.zeros((1, 1, 6), np.int64)
    y = qnet.formats[qnet.outputs[0].value].dequantize(run_qnet(qnet, {"x": x})["y_0"])
    assert np.abs(y - 1e-3).max() < 1e-4


def test_roots_of_sums_of_squares_keep_the_squares_in_32_bits() -> None:
    last = np.array([-1])
    net = net_of(lambda b, x: b.op("Sqrt", b.op("ReduceMean", b.op("Mul", x, x), b.const(last), keepdims=0)))
    assert kinds(net) == ["reduce"]
    assert net.ops[0].describe().startswith("l2")


@pytest.mark.parametrize(
    "nodes",
    [
        op("Div", 0.0),
        op("Pow", np.linspace(1, 2, 6)),
        lambda b, x: b.op("Cast", b.op("ArgMax", x, axis=-1, select_last_index=1), to=1),
        op("ReduceL2", np.array([1])),
        op("Softmax", axis=1),
        lambda b, x: b.ops("TopK", 2, x, b.const(np.array([2])))[0],
        lambda b, x: b.op("Clip", x, b.const(np.float32(2)), b.const(np.float32(1))),
    ],
    ids="div_by_0 pow_of_vector last_argmax length_over_time softmax_over_time topk clip".split(),
)
def test_what_cannot_be_is_refused_with_the_node_s_name(nodes: Any) -> None:
    with pytest.raises(Refused, match="node 'n_"):
        net_of(nodes)


def test_a_value_that_16_bits_cannot_count_is_refused() -> None:
    x = Value("x", (300, 220))
    net = Net("large", (x,), (Clip("clip0", ("x",), ("y",), 0.0, 1.0),), (Output("y", "y"),))
    with pytest.raises(Refused, match="66,000 elements"):
        quantize(net, Ranges(False, {}, {}), Options())


def test_a_constant_that_differs_from_step_to_step_is_refused() -> None:
    with pytest.raises(Refused, match="from step to step"):
        net_of(op("Add", np.arange(STEPS, dtype=np.float64)[:, None]))


# --------------------------------------------------------------------------- curves


@pytest.mark.parametrize(
    ("name", "reach", "lsbs"),
    [
        ("Elu", 8, 1.2),
        ("Softplus", 8, 1.1),
        ("Gelu", 8, 1.2),
        ("Mish", 8, 1.3),
        ("Erf", 4, 1.6),
        ("Sin", 4, 1.6),
        ("Softsign", 8, 7.0),
    ],
)
def test_curves_err_by_so_many_lsbs(name: str, reach: float, lsbs: float) -> None:
    net = net_of(op(name))
    (curve,) = net.ops
    assert isinstance(curve, Curve)
    top = float(np.abs(curve.function(np.linspace(-reach, reach, 999))).max())
    q = QCurve(curve, ("x",), (Format(16, np.array([top / 32767])),), Format(16, np.array([reach / 32767])), 6)
    assert q.error <= lsbs
    assert len(q.table[0]) <= 513


def test_a_curve_over_8_bits_is_a_table_of_its_values() -> None:
    (curve,) = net_of(op("Exp")).ops
    assert isinstance(curve, Curve)
    x, y = Format(8, np.array([0.02])), Format(16, np.array([0.001]))
    q = QCurve(curve, ("x",), (y,), x, 6)
    knots, shift = q.table
    assert shift == 0 and len(knots) == 257
    assert q.error <= 0.5


def test_a_curve_saturates_where_its_format_ends() -> None:
    (curve,) = net_of(op("Exp")).ops
    assert isinstance(curve, Curve)
    x, y = Format(16, np.array([1e-3])), Format(16, np.array([1e-3]))
    q = QCurve(curve, ("x",), (y,), x, 6)
    (got,) = q.step([np.array([[[-32768, 0, 3000, 4000, 32767]]])], {}, 0) or []
    assert got[0, 0, 0] == 0 and got[0, 0, 4] == 32767 and got[0, 0, 3] >= 32760
    assert np.abs(got[0, 0, 1:3] - [1000, 20086]).max() <= 30


# --------------------------------------------------------------------------- broadcasting


def test_loops_join_axes_that_all_operands_walk_evenly() -> None:
    loops = Loops.over((4, 5), (4, 5), (4, 5))
    assert loops is not None and loops.counts == (1, 1, 20)
    loops = Loops.over((4, 5), (4, 5), (4, 1))
    assert loops is not None and loops.counts == (1, 4, 5) and loops.steps == ((0, 5, 1), (0, 1, 0))
    assert Loops.over((2, 3, 4, 5), (2, 1, 4, 1), (1, 3, 1, 5)) is None


def test_a_table_holds_only_what_differs() -> None:
    rows = np.broadcast_to(np.arange(4)[:, None], (4, 5))
    assert table_shape((4, 5), rows) == (4, 1)
    assert table_shape((4, 5), np.ones((4, 5))) == (1, 1)
    assert table_shape((4, 5), rows, rows.T[:1].repeat(4, 0).T[:, :1] * np.ones((4, 5))) == (4, 1)


@pytest.mark.parametrize("gain", [1e-9, 1e-4, 0.5, 0.999999, 1.0, 3.7, 1000.0, 32000.0])
def test_combinations_are_within_half_an_lsb_and_2_to_the_minus_15(gain: float) -> None:
    line = Combination.of(np.array([[gain]]), np.array([0.25]), [32768])
    x = RNG.integers(-32768, 32768, 4000)
    wanted = gain * x + 0.25
    near = np.abs(wanted) < 2.0**31 / 2.0 ** line.shift[0]
    error = np.abs(line(x[:, None])[:, 0] - wanted)[near]
    assert np.all(error <= 0.51 + np.abs(wanted[near]) * 2.0**-15)
    assert line.worst([32768]) < 2**31


def test_a_gain_beyond_15_bits_is_a_fault_of_the_oracle() -> None:
    with pytest.raises(OverflowInOracle):
        Combination.of(np.array([[40000.0]]), np.zeros(1), [32768])


def test_formats_can_be_made_coarser() -> None:
    uniform = at_least(Format(16, np.array([0.5])), np.array([0.1, 0.7]))
    assert uniform.scale.tolist() == [0.7]
    each = at_least(Format(16, np.array([0.5, 0.2])), np.array([0.1, 0.7]))
    assert each.scale.tolist() == [0.5, 0.7]


# --------------------------------------------------------------------------- division


def test_division_by_zero_saturates() -> None:
    b = Builder()
    y = b.op("Div", b.op("Abs", "x"), "x")
    net = imported(_two(b, y))
    qnet = quantized(net, {"x": np.full((1, STEPS, 3), 0.5, np.float32)})
    form = qnet.formats[qnet.outputs[0].value]
    y0 = run_qnet(qnet, {"x": np.array([[[0, 5, -5]]])})[net.outputs[0].name].ravel()
    assert y0[0] == 0
    assert np.allclose(form.dequantize(y0[1:]), [1, -1], atol=1e-3)


def _two(b: Builder, y: str) -> bytes:
    return b.model({"x": (1, STEPS, 3)}, [y])


def test_case_of_three_axes_equals_onnxruntime() -> None:
    case = Case("three", op("Mul", np.linspace(-1, 1, 3)[:, None]), 0, (2, 3, 4))
    content = model([case])
    net = imported(content)
    assert import_error(content, net, sequence(net)) <= 1e-6
