"""Mamba-2 in chunks: a window holds it as it is written; without one it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.options import Options
from tests.support.chunked import T, chunked_model
from tests.support.imports import import_error
from tests.support.operators import check_c, quantized, sequence


@pytest.mark.parametrize("chunk", [4, T])
def test_a_window_holds_all_chunks(chunk: int) -> None:
    error, net = import_error(chunked_model(chunk), Options(window=T), steps=2 * T)
    assert error < 1e-6 and net.window == T
    assert [(o.kind, o.ticks) for o in net.outputs] == [("window", 0)]


def test_its_c_has_the_bits_of_the_oracle(tmp_path: Path) -> None:
    net = rnnc.load_net(chunked_model(4), Options(window=T))
    check_c(quantized(net, sequence(net, steps=2 * T)), tmp_path, T)


@pytest.mark.parametrize("chunk", [4, T])
def test_as_a_stream_it_is_refused_by_a_reason_of_its_own(chunk: int) -> None:
    """And not taken for a network whose one frame is the whole recording."""
    with pytest.raises(Refused, match=f"takes exponentials of running sums.* window={T} compiles it"):
        rnnc.load_net(chunked_model(chunk))
