"""Linear recurrences that a file computes with sums over the whole sequence become one step; the sums stay refused else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.frontend.read.load import load
from rnnc.frontend.recurrence.sums import SUMS
from rnnc.frontend.stream.streaming import prepared
from rnnc.options import Options
from rnnc.streams import run_net
from tests.support.imports import import_error
from tests.support.sums import FORMS, Sums, decaying, log_space, selective, sums_model
from tests.support.unrolled import H, X

LIMIT = 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_a_recurrence_written_with_sums_is_one_step(form: str) -> None:
    error, net = import_error(sums_model(FORMS[form]))
    assert error < LIMIT and net.summed
    assert [v.shape for v in net.inputs] == [(X,)] and net.outputs[0].kind == "stream"
    assert len(net.feedback) == 1 and not any(op.kind in ("collect", "stack") for op in net.ops)


def test_a_long_stream_stays_finite_where_the_file_overflows() -> None:
    """The file's exp(-A) is infinite after some hundred steps: it is compared in short pieces, the net runs on."""
    error, net = import_error(sums_model(lambda b: selective(b, "product"), "T"), steps=2000)
    assert error < LIMIT
    x = np.random.default_rng(0).standard_normal((2000, 1, X))
    assert np.isfinite(run_net(net, {"x": x})["y"]).all()


def test_the_state_has_32_bits_and_the_c_is_the_oracle() -> None:
    data = np.random.default_rng(0).standard_normal((400, X))
    package = rnnc.compile_model(sums_model(lambda b: log_space(b, stabilised=True), "T"), data, weights="16")
    report = package.report["verify"]
    assert report["c_equals_oracle"] and report["import_max_rel"] < LIMIT and report["outputs"][0]["sqnr_db"] > 50
    assert [s.format.bits for s in package.program.qnet.states()] == [32]


# --------------------------------------------------------------------------- what is no recurrence


def unlike(b: Sums) -> str:
    """What the sum is multiplied by grows with another sum than what is summed up."""
    one, other = (b.summed(b.log_sigmoid(b.layer(n))) for n in "gf")
    return b.op("Mul", b.op("Exp", one), b.summed(b.op("Mul", b.layer("v"), b.inverse(other))))


def ahead(b: Sums) -> str:
    """The last step of all weighs every step: that lies in the future."""
    v = b.layer("v")
    return b.op("Mul", b.summed(v), b.cut(v, -1))


def plain(b: Sums) -> str:
    """A sum that nothing decays."""
    return b.summed(b.layer("v"))


def late(b: Sums) -> str:
    """The sum over the steps before this one decays with this one's gate."""
    a = b.summed(b.log_sigmoid(b.layer("g")), exclusive=1)
    return b.op("Mul", b.op("Exp", a), b.summed(b.op("Mul", b.layer("v"), b.inverse(a))))


@pytest.mark.parametrize("write", [unlike, ahead, plain, late])
def test_other_sums_are_refused(write: Callable[[Sums], str]) -> None:
    with pytest.raises(Refused, match=r"sums up|uses at each step"):
        rnnc.load_net(sums_model(write, "T"))


def test_powers_that_are_none_are_refused() -> None:
    """Constants over time of which no two steps have one ratio."""

    def write(b: Sums) -> str:
        b.kept["powers"] = b.const(1.0 + np.arange(12.0)[:, None] * np.ones(H))
        return decaying(b, "powers")

    with pytest.raises(Refused):
        rnnc.load_net(sums_model(write))


def test_an_infinite_weight_elsewhere_is_refused() -> None:
    with pytest.raises(Refused, match="infinite"):
        rnnc.load_net(sums_model(lambda b: b.op("Max", b.layer("v"), b.const(-np.inf))))


def test_the_rule_is_told() -> None:
    graph, _ = prepared(load(sums_model(FORMS["gates"]), Options()), Options())
    assert SUMS in {r.rule for r in graph.rewritings}
