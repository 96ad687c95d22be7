"""Random graphs over a sequence, streamed in random chunks, give what onnxruntime gives to the whole, edges included."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings

from tests.support.sequences import STEPS, compiles, follows
from tests.support.strategies import choices, shown
from tests.support.streaming_graphs import draw


@settings(max_examples=120)
@given(choices())
def test_chunks_equal_the_whole(choose: Random) -> None:
    follows(shown(draw(choose, STEPS)))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices())
def test_the_c_of_random_graphs(tmp_path: Path, choose: Random) -> None:
    """In a folder that each of them overwrites."""
    compiles(follows(shown(draw(choose, STEPS))), tmp_path)
