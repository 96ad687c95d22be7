"""Gather with constant indices. (A table looked up by computed indices arrives as ``Embedding``.)"""

from __future__ import annotations

import numpy as np

from rnnc.ops.slice import gather
from rnnc.tracing import Node, Tracer, handles


@handles("Gather")
def from_node(node: Node, trace: Tracer) -> None:
    """A selection along an axis."""
    x, indices = trace.input(node, 0), trace.constant(node, 1)
    assert x is not None and indices is not None
    gather(node, trace, x, np.asarray(indices, np.int64))
