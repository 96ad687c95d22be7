"""onnx's shape inference, and what it would spend: sizes are looked at before anything of that size is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import UnreadableModel
from rnnc.frontend.fold import fold
from rnnc.frontend.limits import MAX_ELEMENTS, first_line, node_label, subgraphs
from rnnc.tracing import Node

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

MOST_PROPAGATED = 1 << 16
"""Elements of a shape whose values inference follows: it makes them one by one."""
MAX_ITERATIONS = 1 << 21
"""Nodes that a Loop of constant length runs through in all."""
SMALL = 64
"""Elements of a tensor that lengths are computed with."""
ARITHMETIC = {
    *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Max", "Min", "Floor", "Ceil", "Pow", "Cast", "Identity"),
    *("Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "ReduceProd", "ReduceSum", "ReduceMax"),
}
"""Operators that lengths are computed with."""


def infer_shapes(model: ModelProto, where: str = "", *, strict: bool = False) -> ModelProto:
    """The model with the shapes that follow from its inputs', also where they are computed in the graph.

    Raises UnreadableModel where a tensor is larger, or a loop longer, than any network of a microcontroller has.
    Whatever onnx raises where shapes do not fit together is passed on.
    """
    from onnx import shape_inference

    plain = shape_inference.infer_shapes(model, strict_mode=strict)
    _check_sizes(plain, where)
    lengths = _Lengths(plain)
    for graph in subgraphs(model.graph, where):
        for node in graph.node:
            spent = lengths.range(node) if node.op_type == "Range" else lengths.loop(node)
            limit = MAX_ELEMENTS if node.op_type == "Range" else MAX_ITERATIONS
            if spent > limit:
                what = "elements of a range" if node.op_type == "Range" else "nodes that a loop runs through"
                raise UnreadableModel(
                    f"{spent:,} {what} are more than {limit:,}", where=f"{where}: {node_label(node)}" if where else ""
                )
    if any(spent > MOST_PROPAGATED for spent in lengths.integers()):
        return plain
    inferred = shape_inference.infer_shapes(model, strict_mode=strict, data_prop=True)
    _check_sizes(inferred, where)
    return inferred


def _check_sizes(inferred: ModelProto, where: str) -> None:
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        elements = _elements(value)
        if elements > MAX_ELEMENTS:
            what = f"{elements:,} elements are more than {MAX_ELEMENTS:,}"
            raise UnreadableModel(what, where=f"{where}: tensor {value.name!r}" if where else f"tensor {value.name!r}")


def _elements(value: ValueInfoProto) -> int:
    elements = 1
    for dim in value.type.tensor_type.shape.dim:
        elements *= max(dim.dim_value, 1)
    return elements


class _Lengths:
    """The small tensors of a graph that ranges and loops take their lengths from."""

    def __init__(self, inferred: ModelProto) -> None:
        graph = inferred.graph
        self.opset = max((o.version for o in inferred.opset_import if o.domain in ("", "ai.onnx")), default=1)
        self.values = [*graph.input, *graph.value_info, *graph.output]
        self.shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in self.values}
        self.known: dict[str, NDArray[Any] | None] = {}
        self.nodes: dict[str, NodeProto] = {}
        self.constants: dict[str, Any] = {}
        for part in subgraphs(graph, ""):
            self.constants |= {i.name: i for i in part.initializer}
            self.nodes |= {name: node for node in part.node for name in node.output if name}

    def integers(self) -> Iterator[int]:
        """The sizes of vectors of whole numbers."""
        from onnx import TensorProto

        whole = (TensorProto.INT64, TensorProto.INT32)
        for value in self.values:
            if value.type.tensor_type.elem_type in whole and len(value.type.tensor_type.shape.dim) == 1:
                yield _elements(value)

    def range(self, node: NodeProto) -> int:
        """How many elements a Range has; 0 where that is not known."""
        start, limit, delta = (self._scalar(name) for name in node.input)
        if start is None or limit is None or not delta:
            return 0
        count = np.ceil((float(limit) - float(start)) / float(delta))
        return int(count) if np.isfinite(count) else MAX_ELEMENTS + 1

    def loop(self, node: NodeProto) -> int:
        """How many nodes a Loop that runs to its end goes through; 0 where its condition or length is computed."""
        if node.op_type != "Loop":
            return 0
        count = self._scalar(node.input[0])
        body = next((a.g for a in node.attribute if a.name == "body"), None)
        if count is None or body is None or not _goes_on(body):
            return 0
        return max(int(count), 0) * max(len(body.node), 1)

    def _scalar(self, name: str) -> Any:
        array = self._value(name)
        return array.ravel()[0] if array is not None and array.size else None

    def _value(self, name: str) -> NDArray[Any] | None:
        """A small tensor, None where it is not known; what it is computed of comes first, without recursion."""
        todo, waiting = [name], {name}
        while todo:
            current = todo[-1]
            node = self.nodes.get(current)
            first = [n for n in node.input if n and n not in self.known] if node and node.op_type in ARITHMETIC else []
            if current in self.known or not first:
                self.known.setdefault(current, self._compute(current, node))
                todo.pop()
            else:
                self.known |= dict.fromkeys(waiting.intersection(first))  # a cycle
                todo += [n for n in first if n not in waiting]
                waiting.update(first)
        return self.known[name]

    def _compute(self, name: str, node: NodeProto | None) -> NDArray[Any] | None:
        from onnx import numpy_helper

        if name in self.constants:
            small = np.prod(self.constants[name].dims, dtype=np.float64) <= SMALL
            return numpy_helper.to_array(self.constants[name]) if small else None
        if node is None:
            return None
        if node.op_type == "Shape":
            return self._shape(node)
        if node.op_type == "Constant":
            tensor = next((a.t for a in node.attribute if a.name == "value"), None)
            plain = [np.asarray(a.i if a.name == "value_int" else a.ints) for a in node.attribute if "int" in a.name]
            array = numpy_helper.to_array(tensor) if tensor is not None else plain[0] if plain else None
            return array if array is not None and array.size <= SMALL else None
        return self._arithmetic(name, node) if node.op_type in ARITHMETIC else None

    def _shape(self, node: NodeProto) -> NDArray[Any] | None:
        dims = self.shapes.get(node.input[0], [])
        ends: Mapping[str, int] = {a.name: a.i for a in node.attribute}
        return np.asarray(dims[ends.get("start", 0) : ends.get("end", len(dims))]) if all(dims) else None

    def _arithmetic(self, name: str, node: NodeProto) -> NDArray[Any] | None:
        arrays = [self.known.get(n) if n else None for n in node.input]
        if any(n and x is None for n, x in zip(node.input, arrays, strict=True)):
            return None
        attributes = {a.name: _plain(a) for a in node.attribute}
        plain = Node(node.name, node.op_type, "", tuple(node.input), tuple(node.output), attributes)
        results = fold(plain, arrays, self.opset)
        found = dict(zip(node.output, results or [], strict=False)).get(name)
        return found if found is not None and found.size <= SMALL else None


def _plain(attribute: AttributeProto) -> Any:
    from onnx import helper

    return helper.get_attribute_value(attribute)


def _goes_on(body: GraphProto) -> bool:
    """Whether a loop's body only passes the condition on, or says that it goes on."""
    made = {name: node for node in body.node for name in node.output}
    name = body.output[0].name
    while name in made and made[name].op_type == "Identity":
        name = made[name].input[0]
    given = len(body.input) > 1 and name == body.input[1].name
    return given or name in {i.name for i in body.initializer} or (name in made and made[name].op_type == "Constant")


def inferred(model: ModelProto, where: str) -> ModelProto:
    """As ``infer_shapes``; raises UnreadableModel also where shapes do not fit together."""
    try:
        return infer_shapes(model, where)
    except UnreadableModel:
        raise
    except Exception as error:
        raise UnreadableModel(f"its shapes do not fit together: {first_line(error)}", where=where) from error
