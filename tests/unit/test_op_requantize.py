"""Requantize: the same value in another format, to half an LSB, saturated."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.fixed import GATE, Format
from rnnc.ops.requantize import QRequantize, Requantize

FULL = Format(16, np.array([1e-3]))
BY_ELEMENT = Format(16, np.array([1e-3, 3e-4, 0.7, 1.0]))
COARSE8 = Format(8, np.array([0.25]), 0, -127, 127)
SHIFTED8 = Format(8, np.array([0.1]), -128, -128, 127)
EXTENDED = Format(32, np.array([1e-3 / 2**14]), 0, -(32767 << 14), 32767 << 14)


def requantized(source: Format, target: Format, real: np.ndarray) -> np.ndarray:
    op = QRequantize(Requantize("requantize0", ("x",), ("y",)), ("x",), (target,), source, real.shape[-1])
    assert all(b.worst < 2 ** (b.bits - 1) for b in op.bounds())
    (y,) = op.step([source.quantize(real)], {}, 0)
    assert y.min() >= target.lo and y.max() <= target.hi
    return target.dequantize(y)


@pytest.mark.parametrize("target", [FULL, BY_ELEMENT, COARSE8, SHIFTED8, GATE])
@pytest.mark.parametrize("source", [FULL, BY_ELEMENT, COARSE8, SHIFTED8, EXTENDED])
def test_the_nearest_value_in_the_other_format(source: Format, target: Format) -> None:
    """To half an LSB of the target, half one of an extended source's upper half, and the multiplier's 15 bits."""
    real = np.random.default_rng(1).uniform(-40, 40, (200, 1, 4))
    held = source.dequantize(source.quantize(real))
    lo, hi = (target.dequantize(np.full((1, 1, 4), end)) for end in (target.lo, target.hi))
    want = np.clip(held, lo, hi)
    got = requantized(source, target, real)
    halved = source.scale_for(4) * 2**14 if source.bits == 32 else 0.0
    assert np.all(np.abs(got - want) <= (halved + target.scale_for(4)) / 2 + np.abs(want) * 2.0**-14 + 1e-12)


def test_extremes_saturate() -> None:
    ends = np.array([[[-1e9, 1e9, -32.768, 32.767]]])
    assert requantized(FULL, COARSE8, ends).ravel().tolist() == [-31.75, 31.75, -31.75, 31.75]
