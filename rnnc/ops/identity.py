"""Nodes that change nothing: Identity, Dropout in inference, and Cast between floats or between integers."""

from __future__ import annotations

from rnnc.tracing import Node, Tracer, handles

FLOATS = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
INTEGERS = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 12: "uint32", 13: "uint64"}


@handles("Identity", "Dropout")
def from_node(node: Node, trace: Tracer) -> None:
    """The input itself."""
    x = trace.input(node, 0)
    assert x is not None
    trace.result(node, 0, x)


@handles("Cast")
def from_cast(node: Node, trace: Tracer) -> None:
    """A cast that keeps what the numbers mean; numbers to row numbers and back are refused."""
    x = trace.input(node, 0)
    assert x is not None
    to = int(node.attributes["to"])
    dtype = trace.value(x.value).dtype
    if (to in FLOATS and dtype == "real") or (to in INTEGERS and dtype == "index"):
        trace.result(node, 0, x)
        return
    names = FLOATS | INTEGERS | {9: "bool"}
    trace.refuse(node, f"casts {'row numbers' if dtype == 'index' else 'numbers'} to {names.get(to, to)}")
