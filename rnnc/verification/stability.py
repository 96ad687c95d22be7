"""Whether a linear recurrence, or one of ReLU, that forgets in float still forgets once its weights are rounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnnc.fixed import Floats
from rnnc.net import Net, Op
from rnnc.ops.rnn import Rnn
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import interval_bounds
from rnnc.streams import stream_net
from rnnc.verification.verdict import Verdict

MOST_ELEMENTS = 512
"""States of more elements are not looked at: their matrix takes as many runs."""
STABLE = 1 - 1e-6
CURE = "Take --weights 16: the layer's weights then have 16 bits. Or train it with a recurrence that forgets sooner."


def keep_stability(verdict: Verdict, qnet: QNet) -> Verdict:
    """The verdict, which is poor where rounding has made a recurrence grow without end that fades in float."""
    for where, wanted, got in recurrences(qnet):
        before, after = spectral_radius(wanted), spectral_radius(got)
        if before <= STABLE and after >= 1:
            cause = (
                f"{where} fades in float (spectral radius {before:.5f}), and its rounded weights do not ({after:.5f})"
            )
            return replace(verdict, level="poor", why="a recurrence has become unstable", cause=cause, cure=CURE)
    return verdict


def spectral_radius(matrix: Floats) -> float:
    """The largest magnitude of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(matrix)).max(initial=0.0))


def recurrences(qnet: QNet) -> Iterator[tuple[str, Floats, Floats]]:
    """The matrices of what no function bounds, as they should be and as rounded: of layers, and of fed-back states together."""
    rounded = qnet.dequantized()
    for op, other in zip(qnet.net.ops, rounded.ops, strict=True):
        pair = _matrix(op), _matrix(other)
        if pair[0] is not None and pair[1] is not None:
            yield f"the recurrence of {op.name}", pair[0], pair[1]
    names = _unbounded(qnet)
    if qnet.net.window or not names or not any(_rounds(q.op, q.dequantized()) for q in qnet.ops):
        return
    wanted, got = (_jacobian(net, names) for net in (qnet.net, rounded))
    if np.isfinite(wanted).all() and np.isfinite(got).all():
        yield f"the state {', '.join(names)}", wanted, got


def _matrix(op: Op) -> Floats | None:
    return op.linear_recurrence if isinstance(op, Rnn) and op.recurrence.shape[0] <= MOST_ELEMENTS else None


def _rounds(op: Op, rounded: Op) -> bool:
    """Whether rounded weights may lie on the way of a fed-back state."""
    return op is not rounded and not op.states()


def _unbounded(qnet: QNet) -> list[str]:
    """The fed-back states that nothing bounds; none where they are too many."""
    bounds = interval_bounds(qnet.net, {v.name: qnet.formats[v.name] for v in qnet.inputs})
    chosen = [f.state for f in qnet.net.feedback if np.isinf(bounds[f.next].magnitude).any()]
    size = sum(int(np.prod(s.shape, dtype=np.int64)) for s in chosen)
    return [s.name for s in chosen] if size <= MOST_ELEMENTS else []


def _jacobian(net: Net, names: list[str]) -> Floats:
    """What each element of some states adds to each in a step, at 0 and on inputs of 0: ``[from, to]``."""
    shapes = {f.state.name: f.state.shape for f in net.feedback if f.state.name in names}
    sizes = [int(np.prod(shapes[n], dtype=np.int64)) for n in names]
    lanes = np.concatenate([np.zeros((1, sum(sizes))), np.eye(sum(sizes))])
    stream = stream_net(net, len(lanes))
    for n, part in zip(names, np.split(lanes, np.cumsum(sizes)[:-1], 1), strict=True):
        stream.state[n] = part.reshape(len(lanes), *shapes[n])
    frames = {
        v.name: np.zeros((1, len(lanes), *v.shape), np.int64 if v.dtype == "index" else float) for v in net.inputs
    }
    stream.advance(frames)
    after = np.concatenate([stream.state[n].reshape(len(lanes), -1) for n in names], 1)
    return np.asarray(after[1:] - after[0])
