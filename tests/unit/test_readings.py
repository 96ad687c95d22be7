"""What is assumed about the axes of a file of fixed length is said; what is refused names a way out."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import rnnc
from rnnc.backend.layouts import LAYOUTS
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.reasons import ADVICE
from rnnc.frontend.stream.streaming import to_stream
from rnnc.options import Options
from rnnc.report.cautions import reading_notes
from tests.support.graphs import Builder
from tests.support.windows import T, autoencoder, layer

SHAPE = (1, 4, 3)


def cumulated(b: Builder) -> None:
    b.op("CumSum", "x", b.const(np.array(1)), out="y")


def pooled(b: Builder) -> None:
    both = layer(b, "x", "GRU")[0]
    b.op("Tanh", both, out="y")


def notes(make: Callable[[Builder], None], options: Options | None = None) -> list[str]:
    """What is said of the axes of x ``SHAPE``."""
    b, options = Builder(), options or Options()
    make(b)
    graph = load(b.model({"x": SHAPE}, ["y"]), options)
    return list(reading_notes(graph, to_stream(graph, options), options))


def test_a_reading_that_nothing_speaks_for_names_the_axis_of_time() -> None:
    (note,) = notes(cumulated)
    assert "axis 2 of input 'x' [1, 4, 3] is taken as time" in note and "--time-axis x=none" in note
    assert not notes(cumulated, Options(time_axis={"x": 2}))


def test_a_layer_over_time_speaks_for_its_axis() -> None:
    assert not notes(pooled)


def test_layers_along_the_frames_of_a_fixed_length_name_the_axis_of_time() -> None:
    from tests.unit.test_layers_of_one_step import dual_path

    graph = load(dual_path(T), Options())
    (note, *_) = reading_notes(graph, to_stream(graph, Options()), Options())
    assert "axis 1 of input 'x'" in note and "runs along each frame" in note


@pytest.mark.parametrize(("divisor", "is_mean"), [(4, True), (3, False), (12, False)])
def test_a_sum_is_a_mean_only_where_it_is_divided_by_as_many(divisor: int, is_mean: bool) -> None:
    b = Builder()
    total = b.op("ReduceSum", "x", b.const(np.array([1])), keepdims=0)
    b.op("Div", total, b.const(np.float32(divisor)), out="y")
    graph = load(b.model({"x": SHAPE}, ["y"]), Options())
    kinds = [op.kind for op in to_stream(graph, Options()).ops]
    assert ("scale" not in kinds) == is_mean


def test_every_operator_that_is_refused_has_a_way_out() -> None:
    assert all(re.match(r"[A-Z].*[.]$", hint) for _, hint in ADVICE.values())


def test_what_gives_a_window_s_answer_whole_says_so() -> None:
    package = rnnc.compile_model(autoencoder(3), window=T, name="net", verify=False)
    for layout in set(LAYOUTS) - {"plain"}:
        whole = re.findall(r"comes whole, with the last frame, (.*)\.", str(package.arranged(layout)["README.md"]))
        assert whole == [f"{'from this package as ' * (layout in ('blob', 'wasm'))}over the serial line"]
    assert package.files["net.h"].count("comes whole, with the last frame") == 1
