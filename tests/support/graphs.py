"""Building ONNX graphs node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.models import IR, OPSET, Array

TYPES = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}


class Builder:
    """A graph under construction: tensors are named when they are made."""

    def __init__(self, seed: int = 0, prefix: str = "") -> None:
        self.rng = np.random.default_rng(seed)
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}

    def op(self, op_type: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """A node of one output; returns the output's name."""
        out = out or f"{self.prefix}{op_type.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [out], name=f"n_{out}", **attributes))
        return out

    def ops(self, op_type: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """A node of several outputs."""
        names = [f"{self.prefix}{op_type.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op_type, list(inputs), names, name=f"n_{names[0]}", **attributes))
        return names

    def const(self, value: Any) -> str:
        """A constant; floats are stored as float32."""
        array = np.asarray(value)
        name = f"{self.prefix}k{len(self.constants)}"
        self.constants[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
        return name

    def weights(self, *shape: int, scale: float = 0.5) -> Array:
        """Random numbers."""
        return self.rng.standard_normal(shape) * scale

    def graph(
        self, inputs: Mapping[str, Sequence[int | str]], outputs: Sequence[str], types: str = ""
    ) -> onnx.GraphProto:
        """The graph; ``types`` has f, i or b for each input (default f)."""
        kinds = types or "f" * len(inputs)
        return helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info(k, TYPES[t], s) for (k, s), t in zip(inputs.items(), kinds, strict=True)],
            [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
            [numpy_helper.from_array(v, k) for k, v in self.constants.items()],
        )

    def model(
        self, inputs: Mapping[str, Sequence[int | str]], outputs: Sequence[str], types: str = "", opset: int = OPSET
    ) -> bytes:
        """The model."""
        graph = self.graph(inputs, outputs, types)
        return bytes(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR).SerializeToString()
        )
