"""Models that look across time steps: compared over whole sequences, cut anyhow, in float, in integers and in C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rnnc.frontend.read.load import load
from rnnc.frontend.stream.streaming import to_stream
from rnnc.net import Net
from rnnc.options import Options
from rnnc.streams import run_net, run_qnet, stream_net, stream_qnet
from rnnc.verification.metrics import sqnr_db
from tests.support.graphs import Builder
from tests.support.nets import integers
from tests.support.operators import check_c, quantized, reference, sequence

Array = np.ndarray[Any, Any]
LIMIT = 1e-5
STEPS = 24
Nodes = Callable[[Builder, str], str]


def over_time(nodes: Nodes, channels: int = 3, *width: int, steps: int = STEPS) -> bytes:
    """x ``[1, time, channels, ...]`` turned to ``[1, channels, time, ...]``; what ``nodes`` make of it turned back to y."""
    b = Builder()
    rest = list(range(3, 3 + len(width)))
    x = b.op("Transpose", "x", perm=[0, 2, 1, *rest])
    b.op("Transpose", nodes(b, x), out="y", perm=[0, 2, 1, *rest])
    return b.model({"x": (1, steps, channels, *width)}, ["y"])


def imported(content: bytes, **options: Any) -> Net:
    """The network of a model; time is axis 1 of x where it is not said otherwise."""
    chosen = Options(**{"time_axis": {"x": 1}, **options})
    return to_stream(load(content, chosen), chosen)


def follows(content: bytes, **options: Any) -> Net:
    """The network, which over a sequence must give what onnxruntime gives, edges included, however it is cut."""
    net = imported(content, **options)
    data = sequence(net, steps=STEPS)
    want = reference(content, data)
    got = run_net(net, _lanes(data))
    for o in net.outputs:
        y, r = got[o.name], want[o.name].astype(np.float64)
        if o.kind == "last":
            y = y[-1:]
        assert y.size == r.size, f"{o.name}: {y.shape}, onnxruntime {r.shape}"
        limit = LIMIT * max(float(np.abs(r).max()), 1e-6)
        np.testing.assert_allclose(y.ravel(), r.ravel(), rtol=0, atol=limit)
    _same_in_pieces(net, _lanes(data))
    return net


def _lanes(data: Mapping[str, Array]) -> dict[str, Array]:
    return {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in data.items()}


def _same_in_pieces(net: Net, data: Mapping[str, Array]) -> None:
    whole, cut = stream_net(net), stream_net(net)
    want, late = whole.advance(data), whole.drain()
    ends = [0, *np.sort(np.random.default_rng(1).integers(0, STEPS + 1, 5)).tolist(), STEPS]
    parts = [cut.advance({k: v[a:b] for k, v in data.items()}) for a, b in pairwise(ends) if b > a]
    for name, y in want.items():
        np.testing.assert_allclose(np.concatenate([p[name] for p in parts]), y, atol=1e-12)
    for name, y in cut.drain().items():
        np.testing.assert_allclose(y, late[name], atol=1e-12)


def compiles(net: Net, folder: Path, steps: int = STEPS, precision: Any = "a16") -> None:
    """The C equals the oracle to the end of the sequence, and the oracle does not depend on how it is cut."""
    qnet = quantized(net, sequence(net, steps=4 * steps), Options(precision=precision))
    check_c(qnet, folder, steps)
    x = integers(qnet, steps)
    want, cut = run_qnet(qnet, x), stream_qnet(qnet)
    parts = [cut.advance({k: v[t : t + 1] for k, v in x.items()}) for t in range(steps)]
    late = cut.drain()
    for name, y in want.items():
        np.testing.assert_array_equal(np.concatenate([*(p[name] for p in parts), late[name]]), y)


def arithmetic_sqnr(net: Net, precision: Any = "a16") -> float:
    """dB of the integers against the same quantized weights in float, on noise: the arithmetic apart from rounding."""
    data = sequence(net, steps=512)
    qnet = quantized(net, data, Options(precision=precision))
    want = run_net(qnet.dequantized(), _lanes(data))
    got = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in _lanes(data).items()})
    worst = 200.0
    for o in qnet.outputs:
        r, y = want[o.name], qnet.formats[o.value].dequantize(got[o.name])
        worst = min(worst, sqnr_db(r.reshape(len(r), -1), y.reshape(len(r), -1)) or 0.0)
    return worst
