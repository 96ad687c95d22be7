"""Random graphs over a sequence, asked about windows of any hop: the file's answer to each of them, and the C the oracle's."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
from hypothesis import HealthCheck, given, settings

from rnnc.net import Net
from rnnc.options import Options
from rnnc.streams import run_net
from tests.support.operators import check_c, quantized, reference, sequence
from tests.support.sequences import LIMIT, imported
from tests.support.strategies import choices, shown
from tests.support.streaming_graphs import draw


def answers(choose: Random) -> tuple[Net, int]:
    """A random network with windows, each of whose answers is onnxruntime's, and how many steps a window has."""
    steps = choose.choice([8, 13, 24])
    content, hop = shown(draw(choose, steps)), choose.randint(1, steps)
    net = imported(content, window=steps, hop=hop)
    data = sequence(net, steps=3 * steps - 1, seed=choose.randint(0, 99))
    got = run_net(net, {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in data.items()})
    (o,) = net.outputs
    y = got[o.name].reshape((2 * steps - 1) // hop + 1, -1)
    for k, answer in enumerate(y):
        want = reference(content, {n: v[:, k * hop : k * hop + steps] for n, v in data.items()})[o.name].ravel()
        np.testing.assert_allclose(answer, want, rtol=0, atol=LIMIT * max(float(np.abs(want).max()), 1e-6))
    return net, steps


@settings(max_examples=40)
@given(choices())
def test_every_window_is_answered_as_the_file_does(choose: Random) -> None:
    answers(choose)


@settings(max_examples=7, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices())
def test_the_c_of_random_windows(tmp_path: Path, choose: Random) -> None:
    """In a folder that each of them overwrites."""
    net, steps = answers(choose)
    qnet = quantized(net, sequence(net, steps=8 * steps), Options(precision=choose.choice(["a16", "a8"])))
    check_c(qnet, tmp_path, steps + 2 * net.every)
