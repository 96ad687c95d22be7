"""Kernels that a package makes for its recurrent layers: any activations, clips and resets side by side, without a warning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.options import Options, Precision
from tests.support.nets import noise, to_integers
from tests.support.operators import check_c
from tests.support.recurrent import Layer, imported, layer

FUNCTIONS = (
    *("Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh"),
    *("Sigmoid", "Softplus", "Softsign", "Tanh", "ThresholdedRelu"),
)
KINDS = (("LSTM", 3, "input_forget"), ("GRU", 2, "linear_before_reset"), ("RNN", 1, ""))


def drawn(kind: str, count: int, own: str, seed: int) -> Layer:
    """A node with every option that its kind has."""
    rng = np.random.default_rng(seed)
    attributes = {
        "activations": [str(f) for f in rng.choice(FUNCTIONS, count)],
        "clip": float(rng.choice([0.5, 3, 1000])),
    }
    attributes |= {own: int(rng.integers(2))} if own else {}
    optional = ("B", "initial_h", *(("P", "initial_c") if kind == "LSTM" else ()))
    return layer(kind, attributes, optional=optional, hidden=5, seed=seed, spread=float(rng.choice([0.1, 0.5])))


def accepted(one: Layer) -> bool:
    """Whether its states stay within what 32 bits hold."""
    try:
        net = imported([one], 8)
        to_integers(net, noise(net, 64))
    except Refused:
        return False
    return True


@pytest.mark.parametrize("precision", ["a16", "a8"])
@pytest.mark.parametrize(("kind", "count", "own"), KINDS, ids=[k for k, *_ in KINDS])
def test_c_is_the_oracle(kind: str, count: int, own: str, precision: Precision, tmp_path: Path) -> None:
    layers = [one for seed in range(14) if accepted(one := drawn(kind, count, own, seed))]
    net = imported(layers, 8)
    check_c(to_integers(net, noise(net, 64), Options(precision=precision)), tmp_path, 40)
