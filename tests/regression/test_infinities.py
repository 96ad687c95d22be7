"""Networks whose outputs may be infinite in floating point: a logarithm of 0 is told, and ends no command by itself."""

from __future__ import annotations

import numpy as np

from rnnc.compiler import build
from rnnc.options import Options
from rnnc.report.charts import Series, lines
from rnnc.verification.metrics import difference, relative_error
from tests.support.graphs import Builder


def test_a_logarithm_of_zero_is_a_problem_and_no_fault() -> None:
    b = Builder()
    b.op("Add", b.op("Log", b.op("Relu", "x")), b.const(np.array(1.0)), out="y")
    package = build(b.model({"x": (1, "time", 4)}, ["y"]), None, Options(name="m"))
    assert package.verified is not None
    problems = package.verified.problems()
    assert len(problems) == 1 and "differs from onnxruntime by inf" in problems[0]
    figures = package.report["verify"]
    assert figures["import_max_rel"] is None
    assert figures["outputs"][0]["sqnr_db"] is None and figures["outputs"][0]["max_abs"] is None


def test_equal_infinities_are_no_difference() -> None:
    reference = np.array([[1.0, -np.inf], [2.0, 4.0]])
    assert relative_error(reference, reference.copy()) == 0.0
    assert relative_error(reference, reference + np.array([[0.5, 0.0], [0.0, 0.0]])) == 0.125
    assert relative_error(reference, np.where(np.isinf(reference), -30.0, reference)) == np.inf
    assert difference(reference, reference).rms is None


def test_a_chart_leaves_out_what_is_not_finite() -> None:
    x = np.arange(4.0)
    drawn = lines([Series("error", x, np.array([0.0, np.inf, 1.0, np.nan]))], "steps", "error")
    assert "nan" not in drawn and "inf" not in drawn and "<svg" in drawn
    assert lines([Series("error", x, np.full(4, np.inf))], "steps", "error") == ""
