"""A frame at a time: the same as all at once, and an answer as soon as a row has come in."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from onnx import helper

import rnnc
from rnnc.data import Frame, csv_rows, read_data
from rnnc.errors import DataError
from rnnc.package import Package
from rnnc.report.plot import plot_signals
from rnnc.verification.engines import Engine
from rnnc.verification.live import LiveEngine
from rnnc.verification.traces import Signal
from tests.conftest import require
from tests.support.models import model
from tests.support.small import FEATURES, small

Array = np.ndarray[Any, Any]
STEPS = 21


def _recording(steps: int = STEPS, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((steps, FEATURES)).astype(np.float32)


def _conv(stride: int, pad: int) -> bytes:
    """A Conv over time of 5 frames: it looks ahead where it is padded at the end, and is slower where it has a stride."""
    weights = np.random.default_rng(3).standard_normal((4, FEATURES, 5)) / 3
    conv = helper.make_node("Conv", ["x", "W"], ["y"], kernel_shape=[5], strides=[stride], pads=[pad, pad])
    return model([conv], {"x": [1, FEATURES, "time"]}, {"y": [1, 4, "out"]}, {"W": weights})


def _compiled(name: str) -> Package:
    options: dict[str, Any] = {} if name == "small" else {"time_axis": {"x": 2}}
    content = {"small": small(), "ahead": _conv(1, 2), "slower": _conv(3, 0)}[name]
    return rnnc.compile_model(content, verify=False, **options)


@pytest.mark.parametrize("engine", get_args(LiveEngine))
@pytest.mark.parametrize("name", ["small", "ahead", "slower"])
def test_frame_by_frame_is_the_same_as_all_at_once(name: str, engine: LiveEngine) -> None:
    package, x = _compiled(name), _recording()
    want = package.simulate(x, engine)["y"].reshape(-1, package.program.outputs[0].size)
    with package.stream(engine) as stream:
        ticks = [stream.step({"x": frame})["y"] for frame in x] + [t["y"] for t in stream.flush()]
    assert np.allclose(np.concatenate(ticks), want, rtol=0, atol=1e-12 if engine == "float" else 0)
    if name == "slower":
        assert [len(t) for t in ticks[:8]] == [0, 0, 0, 0, 1, 0, 0, 1]
    if name == "ahead":
        assert len(ticks[0]) == 0 and sum(map(len, ticks)) == STEPS


def test_a_pipe_answers_row_by_row(tmp_path: Path) -> None:
    """The second row is written only when the answer to the first has been read."""
    require("cc")
    (tmp_path / "net.onnx").write_bytes(small())
    command = [sys.executable, "-m", "rnnc", "simulate", "net.onnx", "--input", "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    x, want = _recording(3), _compiled("small").simulate(_recording(3))["y"]
    with subprocess.Popen(command, cwd=tmp_path, text=True, bufsize=1, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline().strip() == "y[0],y[1]"
        for row, y in zip(x, want, strict=True):
            process.stdin.write(",".join(f"{v:.9g}" for v in row) + "\n")
            process.stdin.flush()
            answer = [float(v) for v in process.stdout.readline().split(",")]
            assert answer == pytest.approx(y.ravel(), rel=1e-5, abs=1e-6)
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_rows_come_as_soon_as_their_line_is_there() -> None:
    given: list[int] = []

    def lines() -> Any:
        for k in range(3):
            given.append(k)
            yield f"{k},{k + 1}\n"

    rows = csv_rows(lines(), Frame("x", (2,), (2,)), [])
    assert next(rows) == [0, 1] and given == [0]
    assert next(rows) == [1, 2] and given == [0, 1]


def test_a_bad_row_is_named_by_its_line() -> None:
    notes: list[str] = []
    rows = csv_rows(["\n", "a;b\n", "1;2\n", "\n", "3;x\n"], Frame("x", (2,), (2,)), notes)
    assert next(rows) == [1, 2] and notes == ["columns a, b are input x"]
    with pytest.raises(DataError, match="line 5, column b: 'x' is not a number"):
        next(rows)


def _wav(samples: Array) -> bytes:
    data = (samples * 32768).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("hop", "count", "rest"), [(0, 3, 3), (2, 10, 1), (4, 6, 0), (7, 3, 5)])
def test_frames_of_a_wav_overlap_by_the_hop(hop: int, count: int, rest: int, tmp_path: Path) -> None:
    samples = np.arange({0: 27, 2: 27, 4: 28, 7: 27}[hop]) / 64
    (tmp_path / "a.wav").write_bytes(_wav(samples))
    data = read_data(tmp_path / "a.wav", [Frame("x", (8,), (8,), hop=hop)])
    (frames,) = data.sequences["x"]
    assert frames.shape == (count, 8)
    for k, frame in enumerate(frames):
        assert np.allclose(frame, samples[k * (hop or 8) :][:8])
    assert (f"the last {rest} samples" in " ".join(data.notes)) is bool(rest)


def test_a_wav_shorter_than_a_frame_gives_none(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(_wav(np.zeros(5)))
    with pytest.raises(DataError, match="is empty"):
        read_data(tmp_path / "a.wav", [Frame("x", (8,), (8,), hop=2)])


# ------------------------------------------------------------------- traces and the plot


@pytest.mark.parametrize("engine", get_args(Engine))
def test_traces_hold_inputs_states_and_outputs(engine: Engine) -> None:
    package = rnnc.compile_model(small(), {"x": _recording(60)}, verify=False)
    x = [_recording(12, 1), _recording(9, 2)]
    signals = {(s.kind, s.name): s for s in package.traces({"x": x}, engine)}
    assert np.array_equal(signals["input", "x"].values, np.concatenate(x))
    states = [s for (kind, _), s in signals.items() if kind == "state"]
    assert {s.values.shape for s in states} == {(21, 4)} and len(states) == 2
    y = signals["output", "y"]
    assert y.at.tolist() == list(range(21)) and y.values.shape == (21, 2)
    assert (y.reference is None) is (engine == "onnxruntime")
    if y.reference is not None:
        assert 0 <= np.abs(y.values - y.reference).max() < 0.05


def test_traces_of_values_that_come_late_and_seldom() -> None:
    slower = {s.name: s for s in _compiled("slower").traces({"x": [_recording(), _recording()]})}
    assert slower["y"].at.tolist() == [4, 7, 10, 13, 16, 19, 25, 28, 31, 34, 37, 40]
    ahead = {s.name: s for s in _compiled("ahead").traces({"x": [_recording()]})}
    assert ahead["y"].at.tolist() == list(range(2, STEPS)), "what comes in a flush is left out"


def test_a_plot_of_many_and_few_elements(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    at = np.arange(30.0)
    wide, narrow = np.random.default_rng(0).standard_normal((30, 40)), np.zeros((30, 3))
    reference = narrow + 0.1
    reference[3] = np.nan
    signals = [
        Signal("x", "input", at, wide),
        Signal("s", "state", at, narrow),
        Signal("y", "output", at, narrow, reference),
    ]
    plot_signals(signals, [0, 10, 20], str(tmp_path / "out.png"), "title")
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"
