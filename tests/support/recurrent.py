"""ONNX's LSTM, GRU and RNN: a specification in NumPy, and single nodes with their weights as constants.

The specification follows the equations of the operators' documentation (ONNX operators LSTM, GRU, RNN). onnxruntime agrees
with it, and refuses layout 1 (a test holds the two together); ``onnx.reference`` ignores activations, clip and
input_forget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnnc.activations import read_activations
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.streaming import to_stream
from rnnc.net import Net
from rnnc.options import Options
from rnnc.streams import run_net
from tests.support.models import IR
from tests.support.operators import reference

Array = np.ndarray[Any, Any]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
DEFAULT = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OUTPUTS = ("Y", "Y_h", "Y_c")


@dataclass(frozen=True, eq=False)
class Layer:
    """One recurrent node over a batch of 1.

    Args:
        constants: its inputs but X, by ONNX's names.
        outputs: which of Y, Y_h, Y_c the file has.
    """

    op_type: str
    constants: Mapping[str, Array]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[str] = ("Y",)
    opset: int = 22

    @property
    def columns(self) -> int:
        """Features of X."""
        return int(self.constants["W"].shape[2])

    @property
    def layout(self) -> int:
        """1 where the batch comes before time."""
        return int(self.attributes.get("layout", 0))

    @property
    def backward(self) -> bool:
        """Whether it needs the whole sequence."""
        return str(self.attributes.get("direction", "forward")) != "forward"

    def parts(self, prefix: str = "") -> tuple[onnx.NodeProto, dict[str, Array], list[str]]:
        """The node over X, its constants and its outputs, under prefixed names."""
        names = ["X"] + [prefix + n if n in self.constants else "" for n in INPUTS[1:]]
        while not names[-1]:
            names.pop()
        results = [prefix + n if n in self.outputs else "" for n in OUTPUTS]
        while not results[-1]:
            results.pop()
        hidden = self.constants["R"].shape[2]
        node = helper.make_node(
            self.op_type, names, results, name=f"{prefix}node", hidden_size=hidden, **self.attributes
        )
        return node, {prefix + n: stored(n, a) for n, a in self.constants.items()}, [n for n in results if n]

    def onnxruntime(self, x: Array) -> dict[str, Array]:
        """onnxruntime's results for X ``[steps, columns]``; layout 0."""
        return reference(model([self], len(x)), {"X": x})

    def specified(self, x: Array) -> dict[str, Array]:
        """The specification's results, in ONNX's shapes, for X ``[steps, columns]``."""
        directions = {"forward": [1], "reverse": [-1], "bidirectional": [1, -1]}
        order = directions[self.attributes.get("direction", "forward")]
        ends = [self._direction(k, step, np.asarray(x, np.float64)) for k, step in enumerate(order)]
        y, h, c = (np.stack([end[i] for end in ends]) for i in range(3))
        found = {"Y": y.transpose(1, 0, 2)[:, :, None], "Y_h": h[:, None], "Y_c": c[:, None]}
        if self.layout:
            found = {n: np.moveaxis(a, 2 if n == "Y" else 1, 0) for n, a in found.items()}
        return {n: found[n] for n in self.outputs}

    def _direction(self, k: int, step: int, x: Array) -> tuple[Array, Array, Array]:
        """Y ``[steps, hidden]`` in the order of X, Y_h and Y_c of direction k."""
        own = {n: np.asarray(a, np.float64)[k] for n, a in self.constants.items() if n in ("W", "R", "B", "P")}
        hidden = own["R"].shape[1]
        h, c = (self._initial(n, k, hidden) for n in ("initial_h", "initial_c"))
        length = int(self.constants["sequence_lens"][0]) if "sequence_lens" in self.constants else len(x)
        y = np.zeros((len(x), hidden))
        for t in range(length)[::step]:
            h, c = self._step(own, k, x[t], h, c)
            y[t] = h
        return y, h, c

    def _initial(self, name: str, k: int, hidden: int) -> Array:
        if name not in self.constants:
            return np.zeros(hidden)
        state = np.moveaxis(self.constants[name], 1, 0) if self.layout else self.constants[name]
        return np.asarray(state[k, 0], np.float64)

    def _step(self, own: Mapping[str, Array], k: int, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """One step: ONNX's gate orders are i o f c (LSTM) and z r h (GRU)."""
        gates = GATES[self.op_type]
        w, r = (own[n].reshape(gates, -1, own[n].shape[1]) for n in "WR")
        bx, bh = own.get("B", np.zeros(2 * w.shape[0] * w.shape[1])).reshape(2, gates, -1)
        call = self._activations(k)
        if self.op_type == "RNN":
            return call[0](self._clip(w[0] @ x + r[0] @ h + bx[0] + bh[0])), c
        if self.op_type == "GRU":
            z, reset = (call[0](self._clip(w[g] @ x + r[g] @ h + bx[g] + bh[g])) for g in (0, 1))
            after = self.attributes.get("linear_before_reset", 0)
            inner = reset * (r[2] @ h + bh[2]) if after else r[2] @ (reset * h) + bh[2]
            return (1 - z) * call[1](self._clip(w[2] @ x + inner + bx[2])) + z * h, c
        p = own.get("P", np.zeros(3 * len(h))).reshape(3, -1)
        pre = [w[g] @ x + r[g] @ h + bx[g] + bh[g] for g in range(4)]
        i = call[0](self._clip(pre[0] + p[0] * c))
        f = 1 - i if self.attributes.get("input_forget", 0) else call[0](self._clip(pre[2] + p[2] * c))
        c = f * c + i * call[1](self._clip(pre[3]))
        return call[0](self._clip(pre[1] + p[1] * c)) * call[2](c), c

    def _activations(self, k: int) -> Any:
        count = len(DEFAULT[self.op_type])
        names = list(self.attributes.get("activations", DEFAULT[self.op_type] * (k + 1)))
        alphas, betas = (list(self.attributes.get(f"activation_{p}", [])) for p in ("alpha", "beta"))
        return read_activations(names, alphas, betas)[k * count : (k + 1) * count]

    def _clip(self, x: Array) -> Array:
        limit = self.attributes.get("clip", 0.0)
        return np.clip(x, -limit, limit) if limit else x


def model(layers: Sequence[Layer], steps: int) -> bytes:
    """A file of layers side by side over X ``[steps, 1, columns]``, or with the batch first; prefixes where several."""
    parts = [each.parts(f"l{k}_" if len(layers) > 1 else "") for k, each in enumerate(layers)]
    first = layers[0]
    shape = (1, steps, first.columns) if first.layout else (steps, 1, first.columns)
    graph = helper.make_graph(
        [node for node, _, _ in parts],
        "layers",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for _, _, results in parts for n in results],
        [numpy_helper.from_array(a, n) for _, constants, _ in parts for n, a in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", first.opset)], ir_version=IR)
    return bytes(proto.SerializeToString())


def imported(layers: Sequence[Layer], steps: int) -> Net:
    """The network of ``model``, with a window where a layer runs backwards."""
    options = Options(window=steps if any(each.backward for each in layers) else 0)
    return to_stream(load(model(layers, steps), options), options)


def results(net: Net, x: Array) -> dict[str, Array]:
    """What a net answers to X ``[steps, columns]``: every step, or the last where that is the answer; flattened."""
    found = run_net(net, {"X": np.asarray(x, np.float64)[:, None]})
    return {o.name: (found[o.name][-1] if o.kind == "last" else found[o.name]).ravel() for o in net.outputs}


def stored(name: str, array: Array) -> Array:
    """A constant in the type that ONNX asks for."""
    return np.asarray(array, np.int32 if name == "sequence_lens" else np.float32)


def layer(
    op_type: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    optional: Sequence[str] = ("B",),
    outputs: Sequence[str] = ("Y",),
    opset: int = 22,
    columns: int = 3,
    hidden: int = 4,
    seed: int = 0,
    spread: float = 0.5,
) -> Layer:
    """A node of normally distributed weights with the optional inputs named."""
    rng = np.random.default_rng(seed)
    attributes = dict(attributes or {})
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = GATES[op_type] * hidden
    state = (1, directions, hidden) if attributes.get("layout") else (directions, 1, hidden)
    shapes = {
        "W": (directions, rows, columns),
        "R": (directions, rows, hidden),
        "B": (directions, 2 * rows),
        "initial_h": state,
        "initial_c": state,
        "P": (directions, 3 * hidden),
    }
    constants = {
        n: (rng.standard_normal(s) * spread).astype(np.float32) for n, s in shapes.items() if n in ("W", "R", *optional)
    }
    return Layer(op_type, constants, attributes, outputs, opset)
