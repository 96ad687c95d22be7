"""Lengths of open axes that the graph itself tells, the features that a layer's weights take say, or that --bind says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import UsageError
from rnnc.frontend.read.fold import RECURRENT
from rnnc.frontend.read.limits import constants, copied

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

FEWEST_COPIES = 3
"""Steps that a file takes out of an open axis one by one, where they are an unrolled loop over all of it."""
Dims = list[int | str]
"""The shape of a tensor: lengths, the symbols of open axes, "" for what is not known."""


def fix_lengths(model: ModelProto, bind: Mapping[str, float], where: str) -> bool:
    """Write into the inputs the lengths of open axes that INPUT.AXIS=N or the graph tells; whether there are any.

    Raises UsageError where INPUT.AXIS is an axis of another length.
    """
    lengths: dict[str, int] = {}
    copy = _named(model)
    shapes = {v.name: v.type.tensor_type.shape.dim for v in copy.graph.input}
    for name, value in bind.items():
        if at := addressed(copy.graph, name):
            dim = shapes[at[0]][at[1]]
            if value < 1 or value != int(value) or (dim.dim_value and dim.dim_value != value):
                has = f"that axis has length {dim.dim_value}" if dim.dim_value else "a length is a positive integer"
                raise UsageError(f"--bind {name}={value:g}: {has}", where=where)
            lengths.update({dim.dim_param: int(value)} if dim.dim_param else {})
    demands = _demanded(copy)
    lengths = {s: n for s, n in demands.items() if s not in bind and n > 0} | lengths
    for value, named in zip(model.graph.input, copy.graph.input, strict=True):
        for dim, symbol in zip(
            value.type.tensor_type.shape.dim, (d.dim_param for d in named.type.tensor_type.shape.dim), strict=True
        ):
            if symbol in lengths:
                dim.dim_value = lengths[symbol]
    return bool(lengths)


def addressed(graph: GraphProto, name: str) -> tuple[str, int] | None:
    """The input and the axis that "INPUT.AXIS" names; None where it names none."""
    inputs = {v.name: v for v in graph.input}
    found = re.fullmatch(r"(.+)\.(\d+)", name)
    if found is None or name in inputs or found[1] not in inputs:
        return None
    dims = inputs[found[1]].type.tensor_type.shape.dim
    if int(found[2]) >= len(dims) or any(
        d.dim_param == name for v in inputs.values() for d in v.type.tensor_type.shape.dim
    ):
        return None
    return found[1], int(found[2])


def _named(model: ModelProto) -> ModelProto:
    """A copy in which every open axis has a symbol, so that inference follows it."""
    copy = copied(model)
    for value in copy.graph.input:
        for i, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_value <= 0 and not dim.dim_param:
                dim.dim_param = f"{value.name}[{i}]"
    return copy


def _demanded(model: ModelProto) -> dict[str, int]:
    """The length that every reader of an open axis asks for, by symbol; those on which readers disagree are left out.

    A leading axis is taken as 1 where a Reshape takes several open axes together.
    """
    from onnx import shape_inference

    inputs = {v.name: v.type.tensor_type.shape.dim for v in model.graph.input}
    symbols = {d.dim_param for dims in inputs.values() for d in dims if d.dim_param}
    if not symbols:
        return {}
    try:
        inferred = shape_inference.infer_shapes(model)
    except Exception:
        return {}
    batch = frozenset(dims[0].dim_param for dims in inputs.values() if len(dims) > 1)
    weights = constants(model.graph)
    shapes: dict[str, Dims] = {
        v.name: [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim]
        for v in [*inferred.graph.input, *inferred.graph.value_info]
        if v.type.tensor_type.HasField("shape")
    }
    found: dict[str, set[int]] = {}
    made = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        before = made.get(node.input[0]) if node.op_type == "Gemm" else None
        if before is not None and before.op_type in ("Reshape", "Flatten"):
            asked = _of_flattened(node, shapes.get(before.input[0], []), weights, batch)
        elif node.op_type == "Reshape" and len(node.input) > 1 and node.input[1] in weights:
            target = [int(n) for n in weights[node.input[1]].ravel()]
            asked = _of_reshape(shapes.get(node.input[0], []), target, batch)
        else:
            asked = _of_weights(node, shapes, weights)
        for symbol, length in asked:
            found.setdefault(symbol, set()).add(length)
    for symbol, length in _of_copies(model.graph.node, shapes, weights):
        found.setdefault(symbol, set()).add(length)
    return {s: lengths.pop() for s, lengths in found.items() if s in symbols and len(lengths) == 1}


def _of_weights(
    node: NodeProto, shapes: Mapping[str, Dims], weights: Mapping[str, NDArray[Any]]
) -> Iterator[tuple[str, int]]:
    """What a layer's constant weights ask of the axes of its first input."""
    x = shapes.get(node.input[0], []) if node.input else []
    if len(node.input) < 2 or node.input[1] not in weights or not x:
        return
    w = weights[node.input[1]].shape
    attributes = {a.name: a.i for a in node.attribute}
    if node.op_type in RECURRENT and len(w) == 3:
        yield from _ask(x, -1, w[2])
    elif node.op_type == "MatMul" and len(w) >= 2:
        yield from _ask(x, -1, w[-2])
    elif node.op_type == "Gemm" and len(w) == 2:
        yield from _ask(x, 0 if attributes.get("transA", 0) else -1, w[attributes.get("transB", 0)])
    elif node.op_type == "Conv" and len(x) > 1:
        yield from _ask(x, 1, w[1] * attributes.get("group", 1))
    elif node.op_type == "LayerNormalization":
        for axis in range(1, len(w) + 1):
            yield from _ask(x, -axis, w[-axis])


def _of_flattened(
    gemm: NodeProto, x: Dims, weights: Mapping[str, NDArray[Any]], batch: frozenset[str]
) -> Iterator[tuple[str, int]]:
    """What a layer that is given all steps of a sequence side by side asks of their number: its columns for each step."""
    others, known = [n for n in x if isinstance(n, str) and n not in batch], [n for n in x if isinstance(n, int)]
    if gemm.input[1] in weights and len(others) == 1 and others[0] and len(x) > 2:
        columns = weights[gemm.input[1]].shape[1 if any(a.name == "transB" and a.i for a in gemm.attribute) else 0]
        steps, rest = divmod(columns, max(int(np.prod(known, dtype=np.int64)), 1))
        if steps > 1 and not rest:
            yield others[0], steps


def _of_copies(
    nodes: Iterable[NodeProto], shapes: Mapping[str, Dims], weights: Mapping[str, NDArray[Any]]
) -> Iterator[tuple[str, int]]:
    """What a loop that an exporter unrolled asks of its axis: each step is taken out by itself, from the first on."""
    taken: dict[str, set[int]] = {}
    for node in nodes:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        x = shapes.get(node.input[0], []) if node.input else []
        symbol = x[axis] if -len(x) <= axis < len(x) else ""
        if not isinstance(symbol, str) or not symbol:
            continue
        sizes = [weights[n].ravel() for n in node.input[1:2] if n in weights]
        sizes += [np.array(a.ints) for a in node.attribute if a.name == "split"]
        if node.op_type == "Split" and sizes and len(sizes[0]) >= FEWEST_COPIES:
            yield symbol, int(sizes[0].sum())
        elif node.op_type == "Gather" and sizes and sizes[0].size == 1:
            taken.setdefault(symbol, set()).add(int(sizes[0][0]))
    for symbol, steps in taken.items():
        if len(steps) >= FEWEST_COPIES and steps == set(range(len(steps))):
            yield symbol, len(steps)


def _ask(x: Dims, axis: int, length: int) -> Iterator[tuple[str, int]]:
    symbol = x[axis]
    if isinstance(symbol, str) and symbol:
        yield symbol, length


def _of_reshape(x: Dims, target: list[int], batch: frozenset[str]) -> Iterator[tuple[str, int]]:
    """What a Reshape to a shape without open places asks of the one open axis that is no batch."""
    kept = [n if n else x[i] if i < len(x) else "" for i, n in enumerate(target)]
    lengths = [n for n in kept if isinstance(n, int)]
    if len(lengths) < len(kept) or min(lengths, default=-1) < 1 or "" in x:
        return
    others = [n for n in x if isinstance(n, str) and n not in batch]
    known = int(np.prod([n for n in x if isinstance(n, int)], dtype=np.int64))
    whole = int(np.prod(lengths, dtype=np.int64))
    if len(others) == 1 and known and whole % known == 0:
        yield others[0], whole // known
