"""Files of a package that once were incomplete or said too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnc.backend.identity import model_id
from rnnc.net import Net
from rnnc.ops.gru import Gru
from tests.support.nets import draw, to_integers
from tests.support.packages import Built, package


def test_a_package_that_counts_and_computes_nothing(tmp_path: Path) -> None:
    """What only the step's own statements use is emitted too: fixed.h of a network that only turns a window around."""
    program, files = package(to_integers(draw(77, ("backward",))), "net")
    assert set(program.headers) == {"queue.h"}
    Built(program, files, tmp_path)


def _with_bias(net: Net, unit: int, value: float) -> Net:
    (gru,) = net.ops
    assert isinstance(gru, Gru)
    bias = gru.bias_x.copy()
    bias[0, unit] = value
    return replace(net, ops=(replace(gru, bias_x=bias),))


def test_every_constant_of_a_large_layer_is_in_the_id_of_its_blobs() -> None:
    """A blob of a network that differs in one bias among many is foreign."""
    net = draw(3, ("gru_after",), columns=2)
    (gru,) = net.ops
    assert isinstance(gru, Gru)
    rng, hidden = np.random.default_rng(0), 400
    large = replace(
        gru,
        weights=rng.standard_normal((3, hidden, 2)),
        recurrence=rng.standard_normal((3, hidden, hidden)) / 20,
        bias_x=np.zeros((3, hidden)),
        bias_h=np.zeros((3, hidden)),
        initial_h=replace(gru.initial_h, value=np.zeros(hidden)),
    )
    net = replace(net, ops=(large,))
    ids = {model_id(to_integers(_with_bias(net, 200, bias))) for bias in (0.0, 0.01)}
    assert len(ids) == 2
