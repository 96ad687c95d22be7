"""Equal constants, and nodes that compute the same of the same tensors, become one, in one pass over the model.

onnxslim does this as well, by comparing each with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnc.frontend.read.fold import RANDOM

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Names = dict[str, str]
"""What a tensor is called from now on."""


def share(model: ModelProto) -> ModelProto:
    """The model, changed in place; what an input or output is called stays."""
    graph = model.graph
    fixed = {v.name for v in (*graph.input, *graph.output)}
    names: Names = {}
    _share_constants(graph, fixed, names)
    seen: dict[object, NodeProto] = {}
    rest: list[NodeProto] = []
    for node in graph.node:
        _rename(node, names)
        if not _is_copy(node, seen, fixed, names):
            rest.append(node)
    if len(rest) < len(graph.node):
        copies = [type(n).FromString(n.SerializeToString()) for n in rest]
        del graph.node[:]
        graph.node.extend(copies)
    return model


def _share_constants(graph: GraphProto, fixed: set[str], names: Names) -> None:
    """Keep the first of equal constants."""
    seen: dict[object, str] = {}
    rest: list[TensorProto] = []
    for tensor in graph.initializer:
        content = tensor.raw_data or _nameless(tensor)
        first = seen.setdefault((tensor.data_type, tuple(tensor.dims), content), tensor.name)
        if first != tensor.name and tensor.name not in fixed:
            names[tensor.name] = first
        else:
            rest.append(tensor)
    if names:
        copies = [type(t).FromString(t.SerializeToString()) for t in rest]
        del graph.initializer[:]
        graph.initializer.extend(copies)


def _nameless(tensor: TensorProto) -> bytes:
    copy = type(tensor)()
    copy.CopyFrom(tensor)
    copy.ClearField("name")
    return bytes(copy.SerializeToString())


def _is_copy(node: NodeProto, seen: dict[object, NodeProto], fixed: set[str], names: Names) -> bool:
    """Whether another node gives what this one does: then its results take the other's names."""
    inner = any(a.HasField("g") or a.graphs for a in node.attribute)
    if inner or node.op_type in RANDOM or not node.input:
        return False
    attributes = tuple(sorted(a.SerializeToString() for a in node.attribute))
    given = tuple(bool(o) for o in node.output)
    first = seen.setdefault((node.op_type, node.domain, tuple(node.input), attributes, given), node)
    if first is node or not fixed.isdisjoint(node.output):
        return False
    names.update((mine, its) for mine, its in zip(node.output, first.output, strict=True) if mine)
    return True


def _rename(node: NodeProto, names: Names) -> None:
    """Give the tensors that a node and its subgraphs read their names."""
    for i, name in enumerate(node.input):
        if name in names:
            node.input[i] = names[name]
    for attribute in node.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            for inner in graph.node:
                _rename(inner, names)
            for output in graph.output:
                output.name = names.get(output.name, output.name)
