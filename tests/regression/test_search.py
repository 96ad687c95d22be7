"""--search compares builds by what they answer: once it saw no answers of windows as long as their sequences."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.options import Options
from rnnc.quantization.search import best
from tests.support.nets import draw, noise, to_integers


@pytest.mark.parametrize("layers", [("backward", "lstm", "dense"), ("lstm", "window_dense"), ("lstm", "dense")])
def test_the_better_build_is_found(layers: tuple[str, ...]) -> None:
    net = draw(2, layers)  # whose Dense layers are not dead
    data = noise(net, 40, 1, lanes=20)
    builds = [to_integers(net, data, Options(precision=p)) for p in ("a8", "a16")]
    sequences = {k: [v[:, i] for i in range(20)] for k, v in data.items()}
    with np.errstate(all="raise"):
        assert best(net, builds, sequences) is builds[1]
