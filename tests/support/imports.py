"""How far the float net is from onnxruntime on the file itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import rnnc
from rnnc.frontend.read.load import read_model, select_outputs
from rnnc.net import Array, Net
from rnnc.options import Options
from rnnc.streams import run_net
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.metrics import relative_error
from rnnc.verification.reference import run_reference
from rnnc.verification.session import Session


def import_error(model: bytes, options: Options | None = None, steps: int = 60, seed: int = 0) -> tuple[float, Net]:
    """The largest difference of any output, relative to its largest value, over random data; and the net.

    Fails where nothing was compared.
    """
    options = options or Options()
    net = rnnc.load_net(model, options)
    data = random_data(net, steps, seed)
    file = read_model(model).model
    select_outputs(file, options.outputs, "")
    session = Session(bytes(file.SerializeToString()), net, options)
    reference = run_reference(session, {name: [x] for name, x in data.items()})
    groups = batches(reference.sequences, net)
    got = by_sequence(net, [(b, run_net(net, b.inputs)) for b in groups])
    worst = 0.0
    for output in net.outputs:
        points = reference.outputs[output.name]
        assert len(points.values), f"{output.name} was not compared"
        index = net.values[output.value].dtype == "index"
        worst = max(worst, relative_error(points.reference, points.of(got[output.name]), index=index))
    return worst, net


def random_data(net: Net, steps: int, seed: int = 0) -> Mapping[str, Array]:
    """``[steps, *shape]`` of each input: normally distributed numbers, row numbers below the table's length."""
    rng = np.random.default_rng(seed)
    data: dict[str, Array] = {}
    for v in net.inputs:
        shape = (steps, *v.shape)
        data[v.name] = rng.integers(0, max(v.rows, 1), shape) if v.dtype == "index" else rng.standard_normal(shape)
    return data


def kinds(net: Net) -> list[str]:
    """The ops of a net."""
    return [op.kind for op in net.ops]
