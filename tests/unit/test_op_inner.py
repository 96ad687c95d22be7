"""Recurrent layers inside a frame: over bands with a state each, and along an axis of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import rnnc
from rnnc.backend.lower import lower
from rnnc.errors import Refused
from rnnc.ops.inner import Inner, QInner
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.streams import run_net, run_qnet
from tests.support.bands import BANDS, COLUMNS, FILES, HIDDEN, along, dual_path, layer, shaped
from tests.support.graphs import Builder
from tests.support.imports import import_error
from tests.support.operators import check_c, quantized, sequence

LIMIT = 1e-5


def inner(content: bytes) -> list[Inner]:
    return [op for op in rnnc.load_net(content).ops if isinstance(op, Inner)]


@pytest.mark.parametrize("name", [name for name in FILES if "layout" not in name])
def test_a_layer_inside_a_frame_is_the_file_s(name: str) -> None:
    error, net = import_error(FILES[name](), steps=24)
    assert error < LIMIT
    assert any(isinstance(op, Inner) for op in net.ops)


def test_layout_1_scans_the_same_frame() -> None:
    """onnxruntime has no layout=1; the file with layout=0 is its twin."""
    twins = [rnnc.load_net(along("RNN", layout=k)) for k in (0, 1)]
    x = np.random.default_rng(0).standard_normal((9, 1, BANDS, COLUMNS))
    first, second = (run_net(net, {"x": x})["y"] for net in twins)
    np.testing.assert_allclose(first, second, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "profile"),
    [*((name, "a16") for name in FILES), *((name, "a8") for name in ("dual_path_lstm", "reset_after"))],
)
def test_its_c_equals_the_oracle(name: str, profile: Literal["a16", "a8"], tmp_path: Path) -> None:
    net = rnnc.load_net(FILES[name]())
    check_c(quantized(net, sequence(net, steps=40), Options(precision=profile)), tmp_path)


def test_bands_have_a_state_each_and_a_scan_of_the_frame_has_none() -> None:
    forward, backward, bands = inner(dual_path())
    assert [(op.count, op.bands, op.kept) for op in (forward, backward, bands)] == [
        (BANDS, 1, False),
        (BANDS, 1, False),
        (1, BANDS, True),
    ]
    assert not forward.states() and [s.shape for s in bands.states()] == [(BANDS * HIDDEN,)]


def test_its_bounds_are_those_of_its_layer() -> None:
    """A search finds the worst of a layer in an endless stream (test_certificate.py), not in the few steps of a frame."""
    for op in integers(dual_path()).ops:
        if isinstance(op, QInner):
            assert op.bounds() and op.bounds() == op.layer.bounds(), op.op.describe()


def integers(content: bytes) -> QNet:
    net = rnnc.load_net(content)
    return quantized(net, sequence(net, steps=200))


def test_integers_are_near_the_float_net() -> None:
    net = rnnc.load_net(dual_path())
    data = sequence(net, steps=200)
    qnet = quantized(net, data)
    fed = {name: np.asarray(x)[0][:, None] for name, x in data.items()}
    given = {name: qnet.formats[name].quantize(x) for name, x in fed.items()}
    want = run_net(net, fed)["y"]
    got = qnet.formats[qnet.outputs[0].value].dequantize(run_qnet(qnet, given)["y"])
    error = np.mean((got.reshape(want.shape) - want) ** 2) / np.var(want)
    assert -10 * np.log10(error) > 40


def test_weights_are_stored_once_for_all_bands() -> None:
    """Five bands take as many bytes of weights as one stream of one band does."""
    program = lower(integers(dual_path()))
    of_bands = sum(a.bytes for a in program.arrays if "inner2" in a.symbol)
    one = Builder()
    y, last = layer(one, "GRU", "x", 2 * HIDDEN, ("h",))
    model = one.model({"x": [1, 1, 2 * HIDDEN], "h": [1, 1, HIDDEN]}, [y, one.op("Identity", last, out="h_out")])
    assert of_bands == sum(a.bytes for a in lower(integers(model)).arrays if "gru0" in a.symbol)


def test_calls_of_a_step_do_not_grow_with_the_bands() -> None:
    calls = [c for c in lower(integers(dual_path())).calls if c.op == "inner2"]
    assert [c.times for c in calls] == [(BANDS,)] * len(calls)
    macs = [sum(c.macs for c in op.calls()) for op in integers(dual_path()).ops if op.name == "inner2"]
    assert macs == [BANDS * 3 * HIDDEN * 3 * HIDDEN]


def test_the_certificate_is_that_of_the_layer() -> None:
    (op,) = (q for q in integers(dual_path()).ops if q.name == "inner2")
    assert op.bounds() and all(b.op == "inner2" for b in op.bounds())


def test_a_sequence_of_fixed_length_is_no_frame_that_is_scanned() -> None:
    """A layer along the only axis with elements is over time; backwards, it needs a window."""
    b = Builder()
    y, *_ = layer(b, "GRU", "x", COLUMNS, direction="bidirectional")
    with pytest.raises(Refused, match="cannot stream"):
        rnnc.load_net(b.model({"x": [12, 1, COLUMNS]}, [y]))


def test_a_scan_of_the_frame_that_goes_on_from_the_last_frame_is_refused() -> None:
    """Its state would be that of the last band of the frame before: no layer keeps such a state."""
    b = Builder()
    y, last = layer(b, "GRU", "x", COLUMNS, ("h",))
    b.op("Add", b.op("ReduceMean", y), "s", out="s_out")
    model = b.model(
        {"x": [BANDS, 1, COLUMNS], "h": [1, 1, HIDDEN], "s": [1]}, ["s_out", b.op("Identity", last, out="h_out")]
    )
    with pytest.raises(Refused):
        rnnc.load_net(model, Options(time_axis={"x": None}))


def test_the_axis_may_be_named_as_no_time() -> None:
    """A file without states whose layer scans each frame compiles where the user says that it is one step."""
    b = Builder()
    y, *_ = layer(b, "GRU", "x", COLUMNS)
    b.op("MatMul", shaped(b, y, 1, BANDS * HIDDEN), b.const(b.weights(BANDS * HIDDEN, 2)), out="y")
    content = b.model({"x": [BANDS, 1, COLUMNS]}, ["y"])
    net = rnnc.load_net(content, Options(time_axis={"x": None}))
    assert [v.shape for v in net.inputs] == [(BANDS, COLUMNS)]


def test_offsets_of_all_bands_fold_into_the_layer() -> None:
    (op,) = inner(along())
    reduced = op.less([np.tile([0.5, -1.0, 2.0], BANDS)])
    assert reduced is not None and reduced[1] is None
    x = np.random.default_rng(0).standard_normal((1, 1, BANDS * COLUMNS))
    (want,), (got,) = op.step([x + np.tile([0.5, -1.0, 2.0], BANDS)], {}, 0), reduced[0].step([x], {}, 0) or []
    np.testing.assert_allclose(got, want, atol=1e-12)
    assert op.less([np.arange(BANDS * COLUMNS, dtype=float)]) is None


def test_a_state_of_the_frame_that_is_not_zero_starts_every_frame() -> None:
    (op,) = inner(FILES["last_of_frame"]())
    x = np.random.default_rng(0).standard_normal((3, 1, BANDS * COLUMNS))
    together = op.step([x], {}, 0)[0]
    alone = np.concatenate([op.step([x[k : k + 1]], {}, 0)[0] for k in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    zero = replace(op, layer=replace(op.layer, initial_h=replace(op.layer.initial_h, value=np.zeros(HIDDEN))))
    assert not np.allclose(zero.step([x], {}, 0)[0], together)


def test_bands_with_a_state_each_are_told_as_what_a_batch_looks_like() -> None:
    told = [rnnc.compile_model(content, verify=False).notes for content in (dual_path(), along())]
    assert [any(f"on {BANDS} rows of each frame" in note for note in notes) for notes in told] == [True, False]
