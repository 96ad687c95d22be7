"""rnnc inspect: what became of each node of a file, whether it compiles or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from rnnc.errors import ModelError
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.streaming import to_stream
from rnnc.frontend.stream.survey import Finding, survey
from rnnc.options import Options
from rnnc.report.terminal import findings
from tests.support.graphs import Builder
from tests.support.operators import op


def surveyed(content: bytes, options: Options = Options()) -> dict[str, tuple[str, str]]:  # noqa: B008
    """Status and reason of each node, without its name's prefix."""
    graph = net = failed = None
    try:
        graph = load(content, options)
        net = to_stream(graph, options)
    except ModelError as error:
        failed = error
    found = survey(content, options, graph, net, failed)
    return {f.node.removeprefix("n_"): (f.status, f.why) for f in found}


def network(b: Builder, direction: str = "forward") -> str:
    """A GRU over x ``[time, 1, 4]`` with plumbing around it, a head, and what nothing reads."""
    rows = 2 if direction == "bidirectional" else 1
    shape = b.op("Shape", "x", out="shape")
    b.op("Size", shape, out="unused")
    states = [b.const(b.weights(rows, 9, k)) for k in (4, 3)]
    y, _ = b.ops("GRU", 2, "x", *states, hidden_size=3, direction=direction)
    squeezed = b.op("Reshape", y, b.const(np.array([0, -1])), out="flat")
    product = b.op("MatMul", squeezed, b.const(b.weights(3 * rows, 3)), out="product")
    added = b.op("Add", product, b.const(b.weights(3)), out="added")
    clipped = b.op("Relu", added, out="relu")
    kept = b.op("Identity", clipped, out="same")
    return b.op("Mul", kept, kept, out="y")


def test_every_node_of_a_compiled_file() -> None:
    b = Builder()
    found = surveyed(b.model({"x": ("time", 1, 4)}, [network(b)]))
    assert found == {
        "shape": ("folded", "a constant"),
        "unused": ("folded", "a constant"),
        "gru2_0": ("compiled", "gru0"),
        "flat": ("folded", "moves elements only"),
        "product": ("compiled", "dense0"),
        "added": ("compiled", "dense0"),
        "relu": ("compiled", "part of dense0"),
        "same": ("folded", "changes nothing"),
        "y": ("compiled", "mul0"),
    }


def test_the_node_in_the_way_and_what_needs_it() -> None:
    b = Builder()
    content = b.model({"x": ("time", 1, 4)}, [network(b, "bidirectional")])
    found = surveyed(content)
    assert found["gru2_0"] == ("refused", "direction='bidirectional' cannot stream")
    assert found["shape"] == ("folded", "a constant")
    assert {found[n] for n in ("product", "added", "relu", "y")} == {("not reached", "needs what is refused")}


def test_all_operators_that_are_not_supported_are_named() -> None:
    b = Builder()
    first = b.ops("TopK", 2, "x", b.const(np.array([2])))[0]
    found = surveyed(b.model({"x": (1, "time", 4)}, [b.op("Det", b.op("MatMul", first, first), out="y")]))
    assert found["topk0_0"][0] == "refused"
    assert found["y"] == ("refused", "the operator Det is not supported")


def test_a_cell_of_primitive_nodes_is_one_op() -> None:
    b = Builder()
    total = b.op("Add", b.op("MatMul", "x", b.const(b.weights(3, 4))), b.op("MatMul", "h", b.const(b.weights(4, 4))))
    state = b.op("Tanh", total, out="h_out")
    y = b.op("Mul", state, b.const(2.0), out="y")
    found = surveyed(b.model({"x": (1, 3), "h": (1, 4)}, [y, "h_out"]))
    assert found["h_out"] == ("compiled", "rnn0")
    assert {found[n] for n in ("matmul0", "matmul1", "add2")} == {("compiled", "part of rnn0")}


def test_unrolled_cells_are_their_layer_not_the_one_after() -> None:
    b = Builder()
    w, r = b.const(b.weights(3, 4)), b.const(b.weights(4, 4))
    state = ""
    for t in range(6):
        x = b.op("MatMul", b.op("Gather", "x", b.const(np.array(t)), axis=1), w)
        total = b.op("Add", x, b.op("MatMul", state, r)) if state else x
        state = b.op("Tanh", total, out=f"h{t}")
    b.op("MatMul", b.op("Mul", state, b.const(2.0), out="last"), b.const(b.weights(4, 2)), out="y")
    found = surveyed(b.model({"x": (1, 6, 3)}, ["y"]))
    layers = {name: why for name, (status, why) in found.items() if status == "compiled"}
    assert layers.pop("y") == "dense0" and layers.pop("last") == "scale0"
    assert all("rnn0" in why for why in layers.values()) and len(layers) == 6 + 6 + 5 + 5


def test_a_file_refused_as_a_whole() -> None:
    b = Builder()
    b.op("Relu", b.op("Cast", b.op("Add", "x", "x"), to=TensorProto.FLOAT), out="y")
    found = surveyed(b.model({"x": (1, "time", 4)}, ["y"], types="i"))
    assert found["y"] == ("not reached", "the file is refused as a whole")


def test_a_state_that_is_kept_inside() -> None:
    b = Builder()
    weights = [b.const(b.weights(1, 3, k)) for k in (4, 3)]
    y, last = b.ops("RNN", 2, "x", *weights, "", "", "h_in", hidden_size=3)
    b.op("Squeeze", last, out="h_out")
    b.op("Relu", y, out="y")
    found = surveyed(b.model({"x": ("time", 1, 4), "h_in": (1, 1, 3)}, ["y", "h_out"]))
    assert found["h_out"] == ("folded", "a state, kept inside")


@pytest.mark.parametrize("name", ["short", "a_very_long_name_of_a_node/" * 9, "\x1b[31mred"])
def test_the_table_has_80_columns(name: str) -> None:
    found = [Finding(name, "GroupNormalization", "refused", "it is refused for a reason that takes many words " * 3)]
    lines = findings(found).splitlines()
    assert lines[0] == "1 nodes in the file: 1 refused"
    assert all(len(line) <= 80 and line.isprintable() for line in lines)


def test_long_names_of_files_are_folded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rnnc.cli import app

    b = Builder()
    path = tmp_path / f"{'two_layers_of_a_network_' * 3}.onnx"
    path.write_bytes(b.model({"x": ("time", 1, 4)}, [network(b)]))
    app(["inspect", str(path)], standalone_mode=False)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_json_has_every_node_of_a_refused_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rnnc.cli import app

    b = Builder()
    path = tmp_path / "f.onnx"
    path.write_bytes(b.model({"x": (1, "time", 4)}, [op("Det")(b, "x")]))
    assert app(["inspect", str(path), "--json"], standalone_mode=False) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["error"]["exit_code"] == 3
    assert [n["status"] for n in answer["nodes"]] == ["refused"]
