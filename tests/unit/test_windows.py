"""Windows of T steps every K: the file's own answer to each of them, in every engine, in C as in the oracle."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

import rnnc
from rnnc.backend.emit.usage import usage
from rnnc.backend.lower import lower
from rnnc.cli import app
from rnnc.errors import Refused, UsageError
from rnnc.options import Options
from rnnc.package import Package
from rnnc.qnet import QNet
from rnnc.report.terminal import description, summary
from rnnc.streams import Windows, run_net, run_qnet, start_net, start_qnet
from rnnc.verification.engines import Engine
from tests.support.nets import integers
from tests.support.operators import quantized, sequence
from tests.support.packages import WARNINGS, Built, blob_of, package, run
from tests.support.sequences import LIMIT, imported
from tests.support.windows import KINDS, T, many_to_many, many_to_one, outputs_of_unlike_rates

Array = np.ndarray[Any, Any]
HOPS = (1, 3, 5, T)
"""Every step, one that divides T, one that does not, and T itself."""
STEPS = 3 * T + 2


def answers_of_the_file(content: bytes, x: Array, hop: int) -> dict[str, Array]:
    """What onnxruntime says of every window of ``x [lanes, steps, ...]``: ``[windows, lanes, ticks, size]`` by output."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    other = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs() if i.name != "x"}
    lanes, found = len(x), []
    for first in range(0, x.shape[1] - T + 1, hop):
        found.append(dict(zip(names, session.run(None, {"x": x[:, first : first + T], **other}), strict=True)))
    return {name: np.stack([f[name].reshape(lanes, -1) for f in found]) for name in names}


@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_network_gives_the_file_s_answer_to_every_window(kind: str, hop: int) -> None:
    content, lanes = KINDS[kind](), 3 if kind == "three_lanes" else 1
    net = imported(content, hop=hop, time_axis={})
    data = np.stack([sequence(net, steps=STEPS, seed=seed)["x"][0] for seed in range(lanes)])
    want = answers_of_the_file(content, data, hop)
    got = run_net(net, {"x": np.moveaxis(data, 0, 1).astype(np.float64)})
    assert net.window == T and net.every == hop
    for o in net.outputs:
        count = (STEPS - T) // hop + 1
        assert o.kind == "window" and len(got[o.name]) == count * max(o.ticks, 1) == net.ticks(o, STEPS)
        y = got[o.name].reshape(count, -1, lanes, net.values[o.value].size).swapaxes(1, 2).reshape(count, lanes, -1)
        np.testing.assert_allclose(y, want[o.name], atol=LIMIT * float(np.abs(want[o.name]).max()), rtol=0)


@cache
def in_integers(kind: str, hop: int, precision: Any = "a16") -> QNet:
    net = imported(KINDS[kind](), hop=hop, time_axis={})
    return quantized(net, sequence(net, steps=8 * T), Options(precision=precision))


@pytest.mark.parametrize(("kind", "hop"), [(kind, HOPS[k % 3]) for k, kind in enumerate(KINDS)] + [("many_to_one", 7)])
def test_the_c_equals_the_oracle_wherever_it_is_saved_copied_and_restored(kind: str, hop: int, tmp_path: Path) -> None:
    """After each step the stream moves: into a restored blob, or byte by byte into other memory."""
    qnet = in_integers(kind, hop, "a8" if hop == 3 else "a16")
    program, files = package(qnet, steps=T + hop)
    built, x, oracle = Built(program, files, tmp_path), integers(qnet, STEPS), start_qnet(qnet)
    c = built.new()
    for t in range(STEPS):
        other = built.new()
        if t % 2:
            assert other.restore(c.save()) == 0
        else:
            other.memory[:] = c.memory
        c = other
        want = {k: v.ravel() for k, v in oracle.advance({k: v[t : t + 1] for k, v in x.items()}).items()}
        got = c.step({k: v[t, 0] for k, v in x.items()})
        assert bool(got) == (t + 1 >= T and (t + 1 - T) % hop == 0)
        for name, y in got.items():
            np.testing.assert_array_equal(y, want[name])
        assert c.save() == blob_of(program, oracle, {k: v[: t + 1] for k, v in x.items()}, c.save()[:12])


def test_what_takes_less_memory_is_chosen(tmp_path: Path) -> None:
    """Frames are kept where they are small beside the states, states where few windows are under way."""
    few, many = (lower(in_integers("many_to_one", hop)).overlap for hop in (6, 1))
    assert few is not None and many is not None
    assert (few.lanes, few.frames, few.steps) == (2, 0, 2)
    assert (many.lanes, many.frames, many.steps) == (1, T, T)


def test_cut_anyhow_windows_are_the_same() -> None:
    net = imported(many_to_many(), hop=5)
    x = {"x": np.random.default_rng(0).standard_normal((STEPS, 2, 3))}
    stream, want = start_net(net, 2), run_net(net, x)["y"]
    assert isinstance(stream, Windows)
    parts = [stream.advance({"x": x["x"][a:b]})["y"] for a, b in ((0, 1), (1, 11), (11, 13), (13, 30), (30, STEPS))]
    np.testing.assert_allclose(np.concatenate(parts), want, atol=1e-12)


@pytest.mark.parametrize("hop", [1, 5, T])
@pytest.mark.parametrize("make", [many_to_one, many_to_many, outputs_of_unlike_rates])
def test_every_engine_gives_an_array_of_one_shape(make: Any, hop: int) -> None:
    """Also where a sequence is shorter than a window."""
    compiled = rnnc.compile_model(make(), hop=hop, verify=False)
    lengths = np.array([T - 1, T, 2 * T + 3])
    x = np.random.default_rng(0).standard_normal((lengths.sum(), 3)).astype(np.float32)
    engines: tuple[Engine, ...] = ("c", "oracle", "float", "onnxruntime")
    found = {e: compiled.simulate({"x": x, "lengths": lengths}, engine=e) for e in engines}
    counts = [max(0, (n - T) // hop + 1) for n in lengths.tolist()]
    for name, y in found["c"].items():
        shapes = {engine: f[name].shape for engine, f in found.items()}
        assert len(set(shapes.values())) == 1, shapes
        if name != "lengths":
            np.testing.assert_array_equal(y, found["oracle"][name])
            np.testing.assert_allclose(found["float"][name], found["onnxruntime"][name], atol=1e-5)
    first = compiled.program.outputs[0]
    assert found["c"]["lengths"].tolist() == [n * max(first.ticks, 1) for n in counts]


def test_the_endless_form_has_one_shape_too_and_the_file_s_answers_at_their_steps() -> None:
    compiled = rnnc.compile_model(many_to_one(), verify=False)
    x = np.random.default_rng(0).standard_normal((2 * T + 5, 3)).astype(np.float32)
    c, reference = (compiled.simulate(x, engine=engine)["y"] for engine in ("c", "onnxruntime"))
    assert c.shape == reference.shape == (2 * T + 5, 2)
    assert np.flatnonzero(np.isfinite(reference[:, 0])).tolist() == [T - 1, 2 * T - 1]
    want = answers_of_the_file(many_to_one(), x[None], T)["y"][:, 0]
    np.testing.assert_allclose(reference[[T - 1, 2 * T - 1]], want, atol=1e-6)


# --------------------------------------------------------------------------- what is said


@cache
def compiled(**options: Any) -> Package:
    return rnnc.compile_model(many_to_one(), **options)


def test_a_file_that_starts_anew_is_told_apart_from_the_c_that_goes_on() -> None:
    package = compiled()
    words = f"starts anew every {T} steps in the file; this C goes on"
    ways_out = (f"model_reset every {T} steps", f"--window {T} --hop K")
    header = package.files["model.h"].replace("\n *     //", "")
    assert all(text in header for text in (words, *ways_out))
    in_python = (words, ways_out[0], f"window={T} hop=K")
    assert any(all(text in caution for text in in_python) for caution in package.cautions)
    assert words in package.files["report.html"]


def test_the_header_s_example_is_the_use_that_was_compared() -> None:
    assert f"if (++frames == {T})" in compiled().files["model.h"]
    window = compiled(hop=3).files["model.h"]
    assert "++frames" not in window and f"y: the answer to the newest {T} frames" in window
    assert f"Frame {T}, and every 3 frames after it, writes the outputs" in window


@pytest.mark.parametrize("hop", [0, 3])
@pytest.mark.parametrize("kind", ["many_to_one", "behind_a_convolution", "outputs_of_unlike_rates"])
def test_the_header_s_example_compiles(kind: str, hop: int, tmp_path: Path) -> None:
    package = rnnc.compile_model(KINDS[kind](), hop=hop, verify=False)
    package.write(tmp_path / "m")
    (tmp_path / "use.c").write_text("\n".join(usage(package.program)) + "\n")
    run(["gcc", *WARNINGS, "-Im", "-c", "use.c", "-o", "use.o"], tmp_path)


def test_verify_names_the_use_that_it_compared() -> None:
    pieces, windows = compiled(), compiled(window=T, hop=3)
    said = pieces.report["verify"]["compared"]
    assert said.startswith(f"pieces of {T} from reset") and f"not compared: the file cannot run past {T}" in said
    assert f"not compared: the file cannot run past {T}" in summary(pieces.report, pieces.program)
    assert windows.report["verify"]["compared"] == f"windows of {T} every 3"
    assert f"compared: windows of {T} every 3" in summary(windows.report, windows.program)
    stream = rnnc.compile_model(many_to_one("time"))
    assert stream.report["verify"]["compared"] == "one stream of 1024 steps" and not stream.cautions


def test_a_file_that_gives_its_state_back_is_one_stream() -> None:
    package = rnnc.compile_model(KINDS["state_in_and_out"]())
    assert package.report["verify"]["compared"].startswith("one stream of") and not package.cautions


@pytest.mark.parametrize(("hop", "kept"), [(1, f"{T} frames kept"), (6, "2 at once"), (T, "one after the other")])
def test_memory_and_cost_of_windows_are_shown(hop: int, kept: str) -> None:
    package = rnnc.compile_model(many_to_one(), hop=hop, verify=False)
    cost, one = package.report["cost"], compiled().report["cost"]
    calls = -(-T // hop)
    assert cost["windows"]["steps_a_call"] == calls and cost["macs"] == calls * one["macs"]
    for text in (summary(package.report, package.program), description(package.report, package.program)):
        assert kept in text
    assert package.report["outputs"][0]["rate"] == hop
    assert cost["ram_state"] > one["ram_state"]


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("hop", [T + 1, 1000, -1])
def test_frames_between_two_windows_would_be_lost(hop: int) -> None:
    with pytest.raises(UsageError, match=f"a window has {T} steps|negative") as error:
        rnnc.compile_model(many_to_one(), hop=hop, verify=False)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hop", "0"], "must be at least 1"),
        (["--window", "0"], "Leave it out for an endless stream"),
        (["--hop", str(T + 1)], f"a window has {T} steps"),
        (["--window", str(T), "--hop", str(T + 1)], f"1 <= K <= {T}"),
    ],
)
def test_the_command_line_ends_with_2(words: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(many_to_one())
    answer = CliRunner().invoke(app, ["compile", str(tmp_path / "m.onnx"), "-o", str(tmp_path / "m"), *words])
    assert answer.exit_code == 2 and said in answer.stderr
    assert not (tmp_path / "m").exists()


def test_the_command_line_writes_an_answer_every_k_steps(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(many_to_one())
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32))
    words = [
        "simulate",
        str(tmp_path / "m.onnx"),
        "--input",
        str(tmp_path / "x.npy"),
        "--hop",
        "5",
        "--engine",
        "oracle",
    ]
    answer = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "y.npz")])
    assert answer.exit_code == 0, answer.stderr
    assert np.load(tmp_path / "y.npz")["y"].shape == ((30 - T) // 5 + 1, 2)


def test_a_hop_alone_needs_a_file_of_fixed_length() -> None:
    with pytest.raises(UsageError, match="leaves open how many steps a sequence has") as error:
        rnnc.compile_model(many_to_one("time"), hop=3, verify=False)
    assert "--window T --hop K" in error.value.hint
    assert imported(many_to_one("time"), window=7, hop=3).window == 7


def test_a_window_of_another_length_than_the_file_s_is_refused() -> None:
    with pytest.raises(Refused, match=f"the file takes {T} steps at once, and window says 7") as error:
        imported(many_to_one(), window=7)
    assert f"--window {T}" in error.value.hint


def test_a_window_is_never_without_effect() -> None:
    """A forward-only network with --window T answers once in T steps, from the initial state each time."""
    endless, window = imported(many_to_one()), imported(many_to_one(), window=T)
    assert (endless.window, endless.restarts) == (0, T) and (window.window, window.restarts) == (T, 0)
    x = np.random.default_rng(0).standard_normal((2 * T, 1, 3))
    first, second = run_net(window, {"x": x})["y"]
    np.testing.assert_allclose(first, run_net(endless, {"x": x})["y"][T - 1], atol=1e-12)
    np.testing.assert_allclose(second, run_net(endless, {"x": x[T:]})["y"][-1], atol=1e-12)
    assert not np.allclose(second, run_net(endless, {"x": x})["y"][-1], atol=1e-3)


def test_integers_answer_each_window_alike() -> None:
    """The same window says the same, wherever it lies."""
    qnet = in_integers("many_to_many", 1)
    x = np.tile(integers(qnet, T)["x"], (3, 1, 1))
    y = run_qnet(qnet, {"x": x})["y"].reshape(-1, T, 2)
    np.testing.assert_array_equal(y[0], y[T])
    np.testing.assert_array_equal(y[0], y[2 * T])
