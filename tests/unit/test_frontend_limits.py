"""What a file may hold: each thing that is unsafe or foreign is refused by its own message, before it is computed with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, TrainingInfoProto, helper, numpy_helper

from rnnc.errors import ModelError, Refused, UnreadableModel
from rnnc.frontend.read import limits
from rnnc.frontend.read.limits import check_limits
from tests.support.small import small


def _sparse() -> TensorProto:
    values = numpy_helper.from_array(np.ones(1, np.float32), "values")
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64), "at"), [4])


def training(m: ModelProto) -> None:
    m.training_info.append(TrainingInfoProto())


def no_nodes(m: ModelProto) -> None:
    del m.graph.node[:]


def sparse_weights(m: ModelProto) -> None:
    m.graph.sparse_initializer.append(_sparse())


def sparse_attribute(m: ModelProto) -> None:
    m.graph.node.append(helper.make_node("Constant", [], ["s"], sparse_value=_sparse()))


def nan_in_an_attribute(m: ModelProto) -> None:
    value = numpy_helper.from_array(np.array([np.nan], np.float32), "v")
    m.graph.node.append(helper.make_node("Constant", [], ["v"], value=value))


def negative_dimension(m: ModelProto) -> None:
    m.graph.initializer[0].dims[0] = -1


def many_axes(m: ModelProto) -> None:
    m.graph.initializer[0].dims.extend([1] * limits.MAX_RANK)


def more_elements_than_allowed(m: ModelProto) -> None:
    m.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def more_elements_than_data(m: ModelProto) -> None:
    m.graph.initializer[0].dims[:] = [1 << 12, 1 << 12]


def strings(m: ModelProto) -> None:
    m.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [1], cast(Any, [b"text"])))


def unknown_type(m: ModelProto) -> None:
    m.graph.initializer[0].data_type = 99


def absurd_input(m: ModelProto) -> None:
    m.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -5


def input_of_many_axes(m: ModelProto) -> None:
    for _ in range(limits.MAX_RANK):
        m.graph.input[0].type.tensor_type.shape.dim.add(dim_value=1)


def no_operator_set(m: ModelProto) -> None:
    del m.opset_import[:]


REFUSALS: list[tuple[Callable[[ModelProto], None], type[ModelError], str]] = [
    (training, Refused, "training information"),
    (no_nodes, Refused, "no nodes"),
    (sparse_weights, Refused, "sparse weights"),
    (sparse_attribute, Refused, "sparse tensors"),
    (nan_in_an_attribute, Refused, "NaN or infinite"),
    (negative_dimension, UnreadableModel, "absurd dimensions"),
    (many_axes, UnreadableModel, "absurd dimensions"),
    (more_elements_than_allowed, UnreadableModel, "elements are more than"),
    (more_elements_than_data, UnreadableModel, "does not fill its shape"),
    (strings, Refused, "strings"),
    (unknown_type, UnreadableModel, "cannot be read"),
    (absurd_input, UnreadableModel, "absurd dimensions"),
    (input_of_many_axes, UnreadableModel, "absurd dimensions"),
    (no_operator_set, UnreadableModel, "holds no ONNX model"),
]


@pytest.mark.parametrize(("damage", "kind", "message"), REFUSALS, ids=lambda x: getattr(x, "__name__", None))
def test_refused(damage: Callable[[ModelProto], None], kind: type[ModelError], message: str) -> None:
    model = ModelProto.FromString(small())
    check_limits(model, "m.onnx")
    damage(model)
    with pytest.raises(kind, match=message) as refused:
        check_limits(model, "m.onnx")
    assert str(refused.value).startswith("m.onnx")


def test_too_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelProto.FromString(small())
    monkeypatch.setattr(limits, "MAX_NODES", len(model.graph.node) - 1)
    with pytest.raises(UnreadableModel, match="more than 2 nodes"):
        check_limits(model, "m.onnx")
