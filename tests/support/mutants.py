"""Damaged ONNX files: one seed, one mutant. Most are changed as messages, so that they still parse; some as bytes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from random import Random
from typing import TypeVar

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

T = TypeVar("T")
HOSTILE = [
    "",
    "a\nb",
    "*/ int evil = 1; /*",
    "x" * 5000,
    "int",
    "\x00",
    "é∂",
    "../../etc",
    "%s%n",
    "{{7*7}}",
    "a-b",
    '"',
    "\\",
]
OPERATORS = (
    "LSTM GRU RNN Conv Add MatMul Softmax Gather Loop Scan If Nonsense Reshape Transpose Concat Slice Einsum".split()
)
NUMBERS = [0, -1, 1, 2, 7, 2**31, 2**62, -(2**63)]
REALS = [float("nan"), float("inf"), 3e38, 1e20, -1e30, 1e-40, 0.0]
LENGTHS = [0, -1, 1, 2, 3, 64, 2**20, 2**40]
TYPES = [*range(24), 99]
NAMED = [("axis", 3), ("hidden_size", 0), ("direction", "reverse"), ("perm", [0, 0, 1]), ("clip", -1.0), ("layout", 1)]


def mutant(content: bytes, seed: int) -> bytes:
    """A damaged copy of a model's file."""
    rng = Random(seed)
    if rng.random() < 0.1:
        return _bytes(bytearray(content), rng)
    model = ModelProto.FromString(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(CHANGES)(model, rng)
    return bytes(model.SerializeToString())


def _bytes(content: bytearray, rng: Random) -> bytes:
    for _ in range(rng.randrange(1, 9)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)


def _nodes(graph: GraphProto) -> list[NodeProto]:
    """All nodes, those of graphs within them included; never none."""
    inner = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return [*graph.node, *(node for g in inner for node in _nodes(g))]


def _any(items: Iterable[T], rng: Random, otherwise: T) -> T:
    found = list(items)
    return rng.choice(found) if found else otherwise


def _node(model: ModelProto, rng: Random) -> NodeProto:
    return _any(_nodes(model.graph), rng, NodeProto())


def _weight(model: ModelProto, rng: Random) -> TensorProto:
    weights: Iterable[TensorProto] = model.graph.initializer
    return _any(weights, rng, TensorProto())


def _input(model: ModelProto, rng: Random) -> ValueInfoProto:
    inputs: Iterable[ValueInfoProto] = model.graph.input
    return _any(inputs, rng, ValueInfoProto())


def _a_name(model: ModelProto, rng: Random) -> str:
    outputs: list[str] = [name for node in _nodes(model.graph) for name in node.output]
    return rng.choice([*HOSTILE, *outputs])


def wire(model: ModelProto, rng: Random) -> None:
    """Another tensor, or none, where a node reads or writes one: cycles, gaps, second definitions."""
    node = _node(model, rng)
    names = rng.choice([node.input, node.output])
    if names and rng.random() < 0.8:
        names[rng.randrange(len(names))] = _a_name(model, rng)
    elif names:
        del names[rng.randrange(len(names))]
    else:
        names.append(_a_name(model, rng))


def operator(model: ModelProto, rng: Random) -> None:
    """Another operator or domain."""
    node = _node(model, rng)
    if rng.random() < 0.8:
        node.op_type = rng.choice(OPERATORS)
    else:
        node.domain = "com.microsoft"


def attribute(model: ModelProto, rng: Random) -> None:
    """An attribute gone, added, or of another value."""
    node = _node(model, rng)
    if not node.attribute or rng.random() < 0.3:
        node.attribute.append(helper.make_attribute(*rng.choice(NAMED)))
        return
    changed = rng.choice(list(node.attribute))
    if rng.random() < 0.3:
        node.attribute.remove(changed)
    elif changed.ints:
        changed.ints[rng.randrange(len(changed.ints))] = rng.choice(NUMBERS)
    elif changed.s:
        changed.s = rng.choice([b"", b"\xff\xfe", b"reverse", b"bidirectional", b"SAME_UPPER"])
    else:
        changed.i, changed.f = rng.choice(NUMBERS), rng.choice(REALS)


def order(model: ModelProto, rng: Random) -> None:
    """A node gone, moved, or there twice."""
    nodes = model.graph.node
    if not nodes:
        return
    at = rng.randrange(len(nodes))
    node = copy.deepcopy(nodes[at])
    if rng.random() < 0.7:
        del nodes[at]
    if rng.random() < 0.7:
        nodes.insert(rng.randrange(len(nodes) + 1), node)


def dims(model: ModelProto, rng: Random) -> None:
    """Dimensions or a type that a weight's data do not have."""
    weight = _weight(model, rng)
    if rng.random() < 0.3:
        weight.data_type = rng.choice(TYPES)
    else:
        weight.dims[:] = [rng.choice([*weight.dims, *LENGTHS]) for _ in range(rng.randrange(5))]


def data(model: ModelProto, rng: Random) -> None:
    """A weight's numbers: one absurd, or some missing."""
    weight = _weight(model, rng)
    if rng.random() < 0.3:
        weight.raw_data = weight.raw_data[: rng.randrange(len(weight.raw_data) + 1)]
    elif weight.data_type == TensorProto.FLOAT and weight.raw_data:
        array = np.frombuffer(weight.raw_data[: len(weight.raw_data) // 4 * 4], np.float32).copy()
        array[rng.randrange(len(array))] = rng.choice(REALS)
        weight.raw_data = array.tobytes()


def weights(model: ModelProto, rng: Random) -> None:
    """A weight gone, there twice, of another name, or of another shape."""
    if not model.graph.initializer:
        return
    weight = _weight(model, rng)
    change = rng.randrange(4)
    if change == 0:
        model.graph.initializer.remove(weight)
    elif change == 1:
        model.graph.initializer.append(weight)
    elif change == 2:
        weight.name = rng.choice(HOSTILE)
    else:
        weight.CopyFrom(numpy_helper.from_array(np.zeros(rng.choice([(), (0,), (1, 2, 3)]), np.float32), weight.name))


def ports(model: ModelProto, rng: Random) -> None:
    """Inputs and outputs: names, lengths, ranks, types, none."""
    graph, tensor = model.graph, _input(model, rng).type.tensor_type
    change = rng.randrange(6)
    if change == 0 and tensor.shape.dim:
        rng.choice(list(tensor.shape.dim)).dim_value = rng.choice(LENGTHS)
    elif change == 1:
        tensor.elem_type = rng.choice(TYPES)
    elif change == 2:
        tensor.shape.dim.add().dim_param = rng.choice(HOSTILE)
    elif change == 3 and graph.output:
        graph.output[0].name = _a_name(model, rng)
    elif change == 4:
        del graph.output[:]
    else:
        _input(model, rng).name = rng.choice(HOSTILE)


def versions(model: ModelProto, rng: Random) -> None:
    """Another opset or IR version."""
    model.ir_version = rng.choice([-1, 0, 3, model.ir_version, 99])
    for opset in model.opset_import:
        opset.version = rng.choice([-1, 0, 1, 7, 11, 13, 19, 22, 2**31])


def names(model: ModelProto, rng: Random) -> None:
    """Every tensor of another name, consistently: the file stays valid."""
    chosen: dict[str, str] = {}

    def renamed(name: str) -> str:
        return name and chosen.setdefault(name, f"{rng.choice(HOSTILE)}{len(chosen)}")

    for node in _nodes(model.graph):
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
        node.name = rng.choice(HOSTILE)
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.name = renamed(value.name)
    model.graph.name = rng.choice(HOSTILE)


CHANGES: list[Callable[[ModelProto, Random], None]] = [
    *(wire, operator, attribute, attribute, order, dims),
    *(data, weights, ports, ports, versions, names, names),
]
