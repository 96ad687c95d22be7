"""Random graphs over a sequence, streamed in random chunks, give what onnxruntime gives to the whole, edges included."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sequences import STEPS, compiles, follows
from tests.support.streaming_graphs import draw


@settings(max_examples=60)
@given(st.randoms(use_true_random=True))
def test_chunks_equal_the_whole(choose: Random) -> None:
    follows(draw(choose, STEPS))


@pytest.mark.parametrize("seed", range(4))
def test_the_c_of_random_graphs(seed: int, tmp_path: Path) -> None:
    compiles(follows(draw(Random(seed), STEPS)), tmp_path)
