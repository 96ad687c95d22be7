"""Random graphs over a sequence, asked about windows of any hop: the file's answer to each of them, and the C the oracle's."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from rnnc.net import Net
from rnnc.options import Options
from rnnc.streams import run_net
from tests.support.operators import check_c, quantized, reference, sequence
from tests.support.sequences import LIMIT, imported
from tests.support.streaming_graphs import draw


def answers(seed: int) -> tuple[Net, int]:
    """A random network with windows, each of whose answers is onnxruntime's, and how many steps a window has."""
    choose = Random(seed)
    steps = choose.choice([8, 13, 24])
    content, hop = draw(choose, steps), choose.randint(1, steps)
    net = imported(content, window=steps, hop=hop)
    data = sequence(net, steps=3 * steps - 1, seed=seed)
    got = run_net(net, {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in data.items()})
    (o,) = net.outputs
    y = got[o.name].reshape((2 * steps - 1) // hop + 1, -1)
    for k, answer in enumerate(y):
        want = reference(content, {n: v[:, k * hop : k * hop + steps] for n, v in data.items()})[o.name].ravel()
        np.testing.assert_allclose(answer, want, rtol=0, atol=LIMIT * max(float(np.abs(want).max()), 1e-6))
    return net, steps


@pytest.mark.parametrize("seed", range(24))
def test_every_window_is_answered_as_the_file_does(seed: int) -> None:
    answers(seed)


@pytest.mark.parametrize("seed", range(200, 206))
def test_the_c_of_random_windows(seed: int, tmp_path: Path) -> None:
    net, steps = answers(seed)
    qnet = quantized(net, sequence(net, steps=8 * steps), Options(precision="a8" if seed % 2 else "a16"))
    check_c(qnet, tmp_path, steps + 2 * net.every)
