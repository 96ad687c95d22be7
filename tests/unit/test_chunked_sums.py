"""Mamba-2 in chunks: a window holds it as it is written; without one it is refused."""

from __future__ import annotations

import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.options import Options
from tests.support.chunked import T, chunked_model
from tests.support.imports import import_error


@pytest.mark.parametrize("chunk", [4, T])
def test_a_window_holds_all_chunks(chunk: int) -> None:
    error, net = import_error(chunked_model(chunk), Options(window=T), steps=2 * T)
    assert error < 1e-6 and net.window == T
    assert [(o.kind, o.ticks) for o in net.outputs] == [("window", 0)]


def test_its_c_has_the_bits_of_the_oracle() -> None:
    package = rnnc.compile_model(chunked_model(4), window=T, name="net")
    assert package.report["verify"]["c_equals_oracle"]


@pytest.mark.parametrize("chunk", [4, T])
def test_as_a_stream_it_is_refused_by_a_reason_of_its_own(chunk: int) -> None:
    """And not taken for a network whose one frame is the whole recording."""
    with pytest.raises(Refused, match="takes exponentials of running sums"):
        rnnc.load_net(chunked_model(chunk))
