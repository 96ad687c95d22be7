"""Counts of a convolution's edges in a forged state: two of one array, each with a limit of its own; 0 has no table."""

from __future__ import annotations

from itertools import count, islice
from pathlib import Path

from rnnc.ops.edges import Edges
from rnnc.qnet import QNet
from tests.property.test_sanitizers import stream_under_sanitizers
from tests.support.covering import drawn

SOME = 2


def of_sizes(tail: bool) -> list[QNet]:
    """Networks with steps before the start, and with or without some past the end."""
    nets = (drawn(seed, "edges") for seed in count())
    return list(
        islice((q for q in nets if any(isinstance(o.op, Edges) and (len(o.op.ends) > 0) == tail for o in q.ops)), SOME)
    )


def test_no_table_is_read_past_its_end(tmp_path: Path) -> None:
    stream_under_sanitizers([*of_sizes(False), *of_sizes(True)], tmp_path)
