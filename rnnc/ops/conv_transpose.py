"""ConvTranspose, which a stream cannot compute."""

from __future__ import annotations

from rnnc.tracing import Node, Tracer, handles


@handles("ConvTranspose")
def from_transposed(node: Node, trace: Tracer) -> None:
    """Refused: it writes more steps than it reads."""
    trace.refuse(
        node,
        "a transposed convolution gives more steps or positions than it takes, and adds them up where they overlap",
        "Use a plain convolution, or compile the part before it.",
    )
