"""A network that gives its input back has no op: what one op costs on average was divided by their number, 0."""

from __future__ import annotations

import rnnc
from rnnc.judging import judge_start
from rnnc.options import Options
from tests.conftest import require
from tests.support.graphs import Builder


def test_an_input_that_is_the_output() -> None:
    require("gcc")
    b = Builder()
    b.op("Identity", "x", out="y")
    package = rnnc.build(b.model({"x": ["time", 1, 3]}, ["y"]), None, Options())
    assert package.verdict is not None and package.verdict.level == "good" and not package.program.qnet.ops
    assert judge_start(package, package.data.sequences) == ""
