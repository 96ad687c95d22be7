"""What onnxruntime is not asked to run: it would end the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper

from rnnc.errors import UnreadableModel
from rnnc.frontend.read.running import DoesNotRun, has_short_list, older, run
from rnnc.net import Net
from rnnc.options import Options
from rnnc.verification.session import Session


def rnn(direction: str, alphas: Sequence[float] | None) -> bytes:
    """X [3, 1, 2] through an RNN of two units, with ``activation_alpha`` as given."""
    directions = 2 if direction == "bidirectional" else 1
    lists: dict[str, Any] = (
        {} if alphas is None else {"activation_alpha": alphas, "activation_beta": [0.5] * directions}
    )
    names = ["Tanh", "Affine"][-directions:]
    node = helper.make_node(
        "RNN", ["X", "W", "W"], ["Y"], hidden_size=2, direction=direction, activations=names, **lists
    )
    weights = helper.make_tensor("W", TensorProto.FLOAT, (directions, 2, 2), [0.25] * 4 * directions)
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "XY")
    graph = helper.make_graph([node], "rnn", [x], [y], [weights])
    opsets = [helper.make_opsetid("", 22)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


WHOLE = [("bidirectional", [1.0, 1.0]), ("bidirectional", None), ("forward", [1.0]), ("reverse", None)]


def test_an_older_onnxruntime_is_not_given_an_rnn_with_a_short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    file = rnn("bidirectional", [1.0])
    monkeypatch.setattr(onnxruntime, "__version__", "1.28.2")
    with pytest.raises(DoesNotRun, match=r"1\.28\.2 does not read an RNN whose activation_alpha"):
        run(ModelProto.FromString(file), {"X": np.zeros((3, 1, 2), np.float32)}, ["Y"])
    with pytest.raises(UnreadableModel, match=r"1\.28\.2 does not read an RNN"):
        Session(file, Net("none", (), (), ()), Options())


@pytest.mark.parametrize(("direction", "alphas"), WHOLE)
def test_an_rnn_with_a_value_for_each_direction_or_no_list_runs_everywhere(
    direction: str, alphas: list[float] | None
) -> None:
    model = ModelProto.FromString(rnn(direction, alphas))
    assert not has_short_list(model)
    assert run(model, {"X": np.ones((3, 1, 2), np.float32)}, ["Y"])["Y"].shape[0] == 3


def test_versions_are_compared_as_numbers() -> None:
    assert older("1.9.0", (1, 29)) and older("1.28.0", (1, 29))
    assert not older("1.29.0.dev1+cpu", (1, 29)) and not older("2.0.0", (1, 29))
