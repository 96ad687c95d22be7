"""One state that holds several delay lines, each computed from those before it: elements that move and keep their formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnc.lines import packed_states
from rnnc.net import Net
from rnnc.order import circles, divided
from rnnc.quantization.extend import extended_values
from tests.support.graphs import Builder
from tests.support.imports import import_error
from tests.support.operators import check_c, quantized, sequence, sqnr

C, TAPS, STEPS = 3, 3, 40
SPREAD = np.array([1.0, 10.0, 0.1])
ENOUGH = 36.0


def piece(b: Builder, x: str, start: int, end: int, axis: int) -> str:
    """A slice along an axis."""
    return b.op("Slice", x, *(b.const(np.array([v])) for v in (start, end, axis)))


def caches(layers: int, leaky: bool = False) -> bytes:
    """Convolutions over time, the newest frames of all in one state ``[layers, 1, C, TAPS - 1]``.

    leaky: what the first keeps is added to what it kept: that state follows from itself.
    """
    b, x, kept = Builder(), "", list[str]()
    for k in range(layers):
        old = b.op("Squeeze", piece(b, "cache", k, k + 1, 0), b.const(np.array([0])))
        if k == 0:
            x = b.op("Unsqueeze", "x", b.const(np.array([2])))
        if leaky and k == 0:
            x = b.op("Add", x, b.op("Mul", piece(b, old, TAPS - 2, TAPS - 1, 2), b.const(np.array(0.5))))
        frames = b.op("Concat", old, x, axis=2)
        kept.append(b.op("Unsqueeze", piece(b, frames, 1, TAPS, 2), b.const(np.array([0]))))
        weights = b.weights(C, C, TAPS) * SPREAD[:, None, None]
        weights /= SPREAD[None, :, None] if k else 1
        x = b.op("LeakyRelu", b.op("Conv", frames, b.const(weights), b.const(b.weights(C))))
    b.op("Concat", *kept, axis=0, out="cache_out")
    b.op("Squeeze", x, b.const(np.array([2])), out="y")
    return b.model({"x": [1, C], "cache": [layers, 1, C, TAPS - 1]}, ["y", "cache_out"])


def test_delay_lines_in_one_state_keep_16_bits_by_channel(tmp_path: Path) -> None:
    error, net = import_error(caches(3), None, steps=STEPS)
    assert error < 1e-5
    assert [f.state.name for f in net.feedback] == ["cache_0", "cache_1", "cache_2"]
    assert all(f.state.alias == "cache" for f in net.feedback)
    assert all(not fed or len(ops) <= 1 for ops, fed in divided(net.ops, fed_of(net), net.values))
    assert not extended_values(net)
    qnet = quantized(net, sequence(net, steps=8 * STEPS))
    forms = [f.state.format for f in qnet.feedback]
    assert all(form.bits == 16 for form in forms)
    assert forms[1].scale.max() > 30 * forms[1].scale.min()
    by_channel = forms[1].scale.reshape(C, TAPS - 1)
    assert np.all(by_channel == by_channel[..., :1])
    assert not any(q.op.kind == "requantize" and "cache" in q.outputs[0] for q in qnet.ops)
    assert sqnr(net, qnet, sequence(net, steps=4 * STEPS, seed=1)) > ENOUGH
    check_c(qnet, tmp_path, STEPS)


def fed_of(net: Net) -> list[tuple[str, str]]:
    """The states that are fed back, and what they are set to."""
    return [(f.state.name, f.next) for f in net.feedback]


def test_what_comes_into_each_element_is_followed_through_the_line() -> None:
    _, net = import_error(caches(2), None, steps=STEPS)
    written = np.array([packed_states(net)[f"cache_{k}"] for k in range(2)]).reshape(2, C, TAPS - 1)
    assert np.all(written == written[..., :1])
    assert len(np.unique(written)) == 2 * C


def test_a_state_of_which_an_element_follows_from_itself_is_extended() -> None:
    _, net = import_error(caches(2, leaky=True), None, steps=STEPS)
    assert not packed_states(net)
    assert "cache" in extended_values(net)


def test_nodes_that_follow_from_each_other_stand_together_behind_what_they_follow() -> None:
    found = circles([[1], [2, 4], [3], [1], [], [0, 5], []])
    at = {n: k for k, circle in enumerate(found) for n in circle}
    assert [sorted(c) for c in found if len(c) > 1] == [[1, 2, 3]]
    assert at[5] < at[0] < at[1] < at[4]
    assert sorted(at) == list(range(7))
