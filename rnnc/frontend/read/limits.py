"""What a file may hold: checked on the parsed message before any array is made of it.

onnx.checker accepts external data, NaN weights, sizes that do not fit their data, and graphs nested without end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused, UnreadableModel

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

MAX_FILE_BYTES = 256 << 20
MAX_NODES = 50_000
MAX_DEPTH = 8
MAX_GRAPHS = 128
"""Graphs in a file: simplifying takes some milliseconds and a run of onnxruntime for each."""
MAX_RANK = 16
MAX_ELEMENTS = 1 << 26
"""Of one tensor, a constant or what a node computes."""

NUMBERS = frozenset((*range(1, 8), 9, 10, 11, 12, 13, 16))
"""TensorProto.DataType of FLOAT, the integers, BOOL, FLOAT16, DOUBLE and BFLOAT16."""

STANDARD_DOMAINS = ("", "ai.onnx")


def check_limits(model: ModelProto, where: str) -> None:
    """Raise UnreadableModel or Refused where a message is unsafe to take in."""
    if not model.HasField("graph") or not model.opset_import:
        hint = "Export the network with torch.onnx.export or tf2onnx."
        raise UnreadableModel("the file holds no ONNX model", where=where, hint=hint)
    if model.training_info:
        raise Refused("the file holds training information", where=where, hint="Export the network for inference.")
    if not model.graph.node:
        raise Refused("the graph has no nodes", where=where, hint="It computes nothing: look at the export.")
    if not model.graph.output:
        raise Refused("the graph has no outputs", where=where, hint="Export it with its results as outputs.")
    count = 0
    graphs = [
        *subgraphs(model.graph, where),
        *(g for f in model.functions for n in f.node for g in inner_graphs(n, where)),
    ]
    if len(graphs) > MAX_GRAPHS:
        raise UnreadableModel(f"{len(graphs):,} graphs inside nodes are more than {MAX_GRAPHS}", where=where)
    for graph in graphs:
        count += len(graph.node)
        if count > MAX_NODES:
            raise UnreadableModel(f"more than {MAX_NODES} nodes", where=where)
        _check_graph(graph, where)
    _check_arity(graphs, model, where)


def _check_arity(graphs: Iterable[GraphProto], model: ModelProto, where: str) -> None:
    """Raise UnreadableModel where a standard node has fewer inputs or outputs than its operator; nothing checks it later."""
    from onnx import defs

    opset = opset_of(model)
    for node in (n for graph in graphs for n in graph.node if n.domain in STANDARD_DOMAINS):
        try:
            schema = defs.get_schema(node.op_type, opset, "")
        except Exception:  # of no such operator or version onnx.checker says more
            continue
        for what, given, least in (
            ("inputs", node.input, schema.min_input),
            ("outputs", node.output, schema.min_output),
        ):
            if len(given) < least:
                message = f"the model is not valid ONNX: it has {len(given)} {what}, its operator {least} or more"
                raise UnreadableModel(message, where=f"{where}: {node_label(node)}")


def opset_of(model: ModelProto) -> int:
    """The version of the standard operators that a model is written in."""
    return max((o.version for o in model.opset_import if o.domain in STANDARD_DOMAINS), default=1)


def subgraphs(graph: GraphProto, where: str, depth: int = 0) -> Iterator[GraphProto]:
    """The graph and all graphs inside its nodes; raises UnreadableModel where they nest too deeply."""
    if depth > MAX_DEPTH:
        raise UnreadableModel(f"graphs are nested more than {MAX_DEPTH} deep", where=where)
    yield graph
    for node in graph.node:
        yield from inner_graphs(node, where, depth + 1)


def inner_graphs(node: NodeProto, where: str, depth: int = 1) -> Iterator[GraphProto]:
    """All graphs inside a node, as ``subgraphs``."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from subgraphs(attribute.g, where, depth)
        for graph in attribute.graphs:
            yield from subgraphs(graph, where, depth)


def copied(model: ModelProto) -> ModelProto:
    """A copy, to be changed."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def constants(graph: GraphProto) -> dict[str, NDArray[Any]]:
    """The arrays that a graph holds, by name."""
    from onnx import numpy_helper

    nodes = [n for n in graph.node if n.op_type == "Constant" and n.attribute and n.attribute[0].name == "value"]
    tensors = {i.name: i for i in graph.initializer} | {n.output[0]: n.attribute[0].t for n in nodes}
    return {name: numpy_helper.to_array(t) for name, t in tensors.items()}


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """The constants of a graph, those that are attributes too; not those of graphs inside its nodes."""
    yield from graph.initializer
    for attribute in (a for node in graph.node for a in node.attribute):
        yield from [attribute.t] * attribute.HasField("t")
        yield from attribute.tensors


def ancestry(graph: GraphProto, names: Iterable[str], stops: Collection[str] = ()) -> set[str]:
    """Some tensors and all that they are computed from, not followed further through nodes of the operators ``stops``."""
    producers = {name: node for node in graph.node for name in node.output if node.op_type not in stops}
    queue = list(names)
    found = set(queue)
    while queue:
        node = producers.get(queue.pop())
        fresh = set(node.input) - found if node is not None else set()
        found |= fresh
        queue += fresh
    return found


def node_label(node: NodeProto) -> str:
    """How messages name a node."""
    name = node.name or (node.output[0] if node.output else "")
    return f"node {name!r} ({node.op_type})"


def check_inlined_size(model: ModelProto, where: str) -> None:
    """Raise UnreadableModel where a model-local function calls itself, or where inlining them all makes too large a graph."""
    functions = {(f.domain, f.name): f for f in model.functions}
    calls = {key: _calls(f.node, where) for key, f in functions.items()}
    nodes, sizes = dict.fromkeys(functions, 0), dict.fromkeys(functions, 0)
    try:
        order = list(
            TopologicalSorter({key: called.keys() & functions.keys() for key, called in calls.items()}).static_order()
        )
    except CycleError as error:
        raise UnreadableModel("a model-local function calls itself", where=where) from error
    for key, called in [*((key, calls[key]) for key in order), (("", ""), _calls(model.graph.node, where))]:
        nodes[key] = sum(n * nodes.get(callee, 1) for callee, n in called.items())
        own = functions[key].ByteSize() if key in functions else 0
        sizes[key] = own + sum(n * sizes.get(callee, 0) for callee, n in called.items())
        if nodes[key] > MAX_NODES or sizes[key] > MAX_FILE_BYTES:
            name = f"function {key[1]!r}" if key in functions else "the graph"
            what = f"{name} comes to {nodes[key]:,} nodes and {sizes[key] >> 20:,} MiB with all that it calls"
            raise UnreadableModel(f"{what}: more than {MAX_NODES:,} nodes or {MAX_FILE_BYTES >> 20} MiB", where=where)


def _calls(nodes: Iterable[NodeProto], where: str) -> Counter[tuple[str, str]]:
    """How often nodes, and those of graphs inside them, call each operator or function."""
    called = Counter[tuple[str, str]]()
    for node in nodes:
        called[node.domain, node.op_type] += 1
        called.update((n.domain, n.op_type) for graph in inner_graphs(node, where) for n in graph.node)
    return called


def check_domains(model: ModelProto, where: str) -> None:
    """Refuse operators that the ONNX standard does not define; model-local functions must be inlined before."""
    for graph in subgraphs(model.graph, where):
        for node in graph.node:
            if node.domain not in STANDARD_DOMAINS:
                raise Refused(
                    f"the operator is of the custom domain {node.domain!r}",
                    where=f"{where}: {node_label(node)}",
                    hint="Export with standard ONNX operators only, before any optimisation for one runtime.",
                )


def _check_graph(graph: GraphProto, where: str) -> None:
    if graph.sparse_initializer:
        raise Refused("sparse weights are not supported", where=where, hint="Store the weights as dense tensors.")
    for tensor in graph.initializer:
        _check_tensor(tensor, f"{where}: weight {tensor.name!r}")
    for node in graph.node:
        names = (node.name, node.op_type, node.domain, *node.input, *node.output)
        if not all(isinstance(name, str) for name in names):  # what protobuf makes of bytes that are no UTF-8
            raise UnreadableModel("a name is not valid UTF-8", where=f"{where}: {node_label(node)}")
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise Refused(
                    "sparse tensors are not supported",
                    where=f"{where}: {node_label(node)}",
                    hint="Store them as dense tensors.",
                )
            _check_numbers(attribute, node, where)
            for tensor in [attribute.t] * attribute.HasField("t") + list(attribute.tensors):
                _check_tensor(tensor, f"{where}: {node_label(node)}: attribute {attribute.name!r}")
    for value in graph.input:
        element = value.type.tensor_type.elem_type
        if value.type.HasField("tensor_type") and element not in NUMBERS:
            raise UnreadableModel(
                f"its elements are of type {element}, which is not numeric", where=f"{where}: input {value.name!r}"
            )
        dims = value.type.tensor_type.shape.dim
        if len(dims) > MAX_RANK or any(d.dim_value < 0 or d.dim_value > MAX_ELEMENTS for d in dims):
            raise UnreadableModel("absurd dimensions", where=f"{where}: input {value.name!r}")


def _check_numbers(attribute: AttributeProto, node: NodeProto, where: str) -> None:
    """Refuse NaN; only bounds may be infinite."""
    numbers = np.asarray([attribute.f, *attribute.floats])
    bound = attribute.name in ("min", "max") and not np.any(np.isnan(numbers))
    if not np.all(np.isfinite(numbers)) and not bound:
        raise Refused(
            f"its attribute {attribute.name!r} is NaN or infinite",
            where=f"{where}: {node_label(node)}",
            hint="The file is damaged, or what it was exported from is: check the layer's parameters.",
        )


def _check_tensor(tensor: TensorProto, where: str) -> None:
    from onnx import TensorProto, helper, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        hint = (
            "MODEL.onnx.data beside MODEL.onnx is read; --external-data reads a file of another name there; "
            "torch.onnx.export(..., external_data=False) writes a single file."
        )
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        raise UnreadableModel(f"its data is in another file, {location!r}", where=where, hint=hint)
    if len(tensor.dims) > MAX_RANK or any(d < 0 for d in tensor.dims):
        raise UnreadableModel(f"absurd dimensions {list(tensor.dims)[:MAX_RANK]}", where=where)
    elements = prod(tensor.dims)
    if elements > MAX_ELEMENTS:
        raise UnreadableModel(f"{elements} elements are more than {MAX_ELEMENTS}", where=where)
    if tensor.data_type == TensorProto.STRING:
        raise Refused("strings are not supported", where=where, hint="Export the part that computes with numbers.")
    if not _has_data(tensor, elements):
        raise UnreadableModel(f"its data does not fill its shape {list(tensor.dims)}", where=where)
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        array = numpy_helper.to_array(tensor)
    except (KeyError, ValueError, TypeError) as error:
        raise UnreadableModel(f"its data cannot be read: {first_line(error)}", where=where) from error
    if np.issubdtype(dtype, np.floating) and not np.all(np.isfinite(array) | np.isneginf(array)):
        hint = "The training diverged, or the file is damaged: check the weights."
        raise Refused("it holds NaN or infinite numbers", where=where, hint=hint)


def _has_data(tensor: TensorProto, elements: int) -> bool:
    """Whether a tensor holds as much data as its dimensions claim: no large array may come of a small file."""
    if elements == 0:
        return True
    fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    stored = max(len(f) for f in fields)
    return 2 * len(tensor.raw_data) >= elements if tensor.HasField("raw_data") else 2 * stored >= elements


def first_line(error: Exception) -> str:
    """The first line of an exception's message, shortened."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
