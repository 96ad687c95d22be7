"""An ONNX message to plain dataclasses, in the form of the newest opset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused, UnreadableModel
from rnnc.frontend.read.inference import infer_shapes
from rnnc.frontend.read.limits import first_line, node_label, opset_of
from rnnc.tracing import Graph, Node, Tensor

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

REDUCTIONS = ("Mean", "Sum", "Max", "Min", "Prod", "SumSquare", "L1", "L2", "LogSumExp")
MOVED: dict[str, dict[str, int]] = {
    "Squeeze": {"axes": 1},
    "Unsqueeze": {"axes": 1},
    "Split": {"split": 1},
    "Slice": {"starts": 1, "ends": 2, "axes": 3},
    "Pad": {"pads": 1, "value": 2},
    "Clip": {"min": 1, "max": 2},
    "TopK": {"k": 1},
    "Dropout": {"ratio": 1},
    **{f"Reduce{what}": {"axes": 1} for what in REDUCTIONS},
}
"""Attributes that newer opsets have as an input, with its position."""
FLOAT_MOVED = {"value", "min", "max", "ratio"}
FLATTENING = {"Softmax": 13, "LogSoftmax": 13, "Hardmax": 13}
"""Operators that before an opset take all axes from ``axis`` (default 1) on as one."""


def convert(
    model: ModelProto, name: str, file: str, wanted: tuple[str, ...], time: int, notes: tuple[str, ...]
) -> Graph:
    """A simplified model as a Graph; raises UnreadableModel where it contradicts itself."""
    from onnx import shape_inference

    try:
        inferred = infer_shapes(model, file)
    except shape_inference.InferenceError as error:
        raise UnreadableModel(f"its types do not fit together: {first_line(error)}", where=file) from error
    opset = opset_of(model)
    graph = _Converter(opset, file).graph(inferred.graph)
    return replace(graph, name=name, time=time, file=file, wanted=wanted, notes=notes)


class _Converter:
    def __init__(self, opset: int, file: str) -> None:
        self.opset = opset
        self.file = file
        self.count = 0

    def graph(self, proto: GraphProto) -> Graph:
        from onnx import numpy_helper

        constants = {i.name: numpy_helper.to_array(i) for i in proto.initializer}
        shapes = {name: array.shape for name, array in constants.items()}
        for value in [*proto.input, *proto.value_info, *proto.output]:
            shape = _shape(value)
            if shape is not None:
                shapes.setdefault(value.name, shape)
        nodes: list[Node] = []
        for node in proto.node:
            if node.op_type == "Constant":
                constants[node.output[0]] = _constant(node)
                shapes[node.output[0]] = constants[node.output[0]].shape
            else:
                nodes.append(self.node(node, constants, shapes))
        inputs = tuple(_tensor(v, shapes) for v in proto.input if v.name not in constants)
        outputs = tuple(_tensor(v, shapes) for v in proto.output)
        return Graph(proto.name, tuple(nodes), inputs, outputs, constants, shapes, self.opset)

    def node(self, proto: NodeProto, constants: dict[str, NDArray[Any]], shapes: dict[str, tuple[int, ...]]) -> Node:
        attributes = {a.name: self.attribute(a) for a in proto.attribute if a.name not in ("metadata_props",)}
        inputs = list(proto.input)
        for key, position in MOVED.get(proto.op_type, {}).items():
            if key not in attributes:
                continue
            inputs += [""] * (position + 1 - len(inputs))
            self.count += 1
            inputs[position] = f"{proto.output[0]}.{key}.{self.count}"
            value = attributes.pop(key)
            dtype = np.float32 if key in FLOAT_MOVED else np.int64
            constants[inputs[position]] = np.asarray(value, dtype)
        if self.opset < FLATTENING.get(proto.op_type, 0):
            attributes["axis"] = self._flattened_axis(proto, attributes, shapes)
        return Node(proto.name, proto.op_type, "", tuple(inputs), tuple(proto.output), attributes)

    def attribute(self, proto: AttributeProto) -> Any:
        """Plain Python: str, int, float, numpy array, Graph, or a list of these."""
        from onnx import AttributeProto, helper, numpy_helper

        if proto.type == AttributeProto.GRAPH:
            return self.graph(proto.g)
        if proto.type == AttributeProto.GRAPHS:
            return [self.graph(g) for g in proto.graphs]
        if proto.type == AttributeProto.TENSOR:
            return numpy_helper.to_array(proto.t)
        value = helper.get_attribute_value(proto)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, Iterable):
            return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in value]
        return value

    def _flattened_axis(self, proto: NodeProto, attributes: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> int:
        """The one axis that is longer than 1 among those that an old softmax takes together."""
        shape = shapes.get(proto.input[0], ())
        axis = int(attributes.get("axis", 1))
        together = [i for i in range(axis % max(len(shape), 1), len(shape)) if shape[i] != 1]
        if not shape or len(together) > 1:
            raise Refused(
                f"normalises several axes of {list(shape)} together, as opset {self.opset} does",
                where=f"{self.file}: {node_label(proto)}",
                hint="Export with opset 13 or newer.",
            )
        return together[0] if together else len(shape) - 1


def _constant(node: NodeProto) -> NDArray[Any]:
    from onnx import helper, numpy_helper

    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return numpy_helper.to_array(value)
    return np.asarray(value, np.float32 if "float" in attribute.name else np.int64)


def _shape(value: ValueInfoProto) -> tuple[int, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or any(not d.HasField("dim_value") for d in kind.shape.dim):
        return None
    return tuple(int(d.dim_value) for d in kind.shape.dim)


def _tensor(value: ValueInfoProto, shapes: dict[str, tuple[int, ...]]) -> Tensor:
    from onnx import helper

    elem = value.type.tensor_type.elem_type
    dtype = str(np.dtype(helper.tensor_dtype_to_np_dtype(elem))) if elem else "float32"
    return Tensor(value.name, shapes.get(value.name, ()), dtype)
