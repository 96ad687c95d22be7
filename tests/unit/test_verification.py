"""session.py, oracle.py, batches.py and verify.py: onnxruntime asked in every form in which a file can be given."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import rnnc
from rnnc.clock import Clock
from rnnc.errors import DataError, UnreadableModel, VerificationError
from rnnc.options import Options
from rnnc.package import Package
from rnnc.streams import run_net
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.reference import PREFIX_POINTS, run_reference
from rnnc.verification.session import Axes, Session
from rnnc.verification.single import Fault
from tests.support.graphs import Builder
from tests.support.layers import layer
from tests.support.models import Array
from tests.support.nets import draw
from tests.support.small import HIDDEN, recording, small


def session(model: bytes, options: Options = Options()) -> Session:  # noqa: B008
    return Session(model, rnnc.load_net(model, options), options)


def sequences(*lengths: int) -> dict[str, list[Array]]:
    return {"x": [recording(n, seed) for seed, n in enumerate(lengths)]}


def plain(x: Array) -> Array:
    """The small net's y ``[steps, 2]`` by a plain run of onnxruntime."""
    engine = ort.InferenceSession(small(), providers=["CPUExecutionProvider"])
    return np.asarray(engine.run(["y"], {"x": x[:, None]})[0])[:, 0]


def test_more_values_than_the_net_gives_are_no_comparison() -> None:
    """A net that answers every second step says nothing of what the file answers at the others."""

    def form(every: int) -> bytes:
        b = Builder()
        h = b.op("Squeeze", layer(b, "GRU", "x")[0], b.const(np.array([1])))
        bounds = [b.const(np.array([n])) for n in (0, 12, 0, every)]
        b.op("Slice", h, *bounds, out="y")
        return b.model({"x": [12, 1, 3]}, ["y"])

    with pytest.raises(UnreadableModel, match=r"gives 12 values of 'y' .* 6\n"):
        run_reference(Session(form(1), rnnc.load_net(form(2)), Options()), {"x": [recording(24, 0)]})


# ------------------------------------------------------------------- axes and states


@pytest.mark.parametrize(
    ("form", "axes"),
    [
        ({}, Axes(0)),
        ({"batch_first": True}, Axes(1)),
        ({"batch": "batch"}, Axes(0)),
        ({"batch": "batch", "batch_first": True}, Axes(1)),
        ({"batch": "N", "time": "L", "batch_first": True, "last": True}, Axes(1)),
        ({"time": 9}, Axes(0)),
        ({"time": 9, "batch_first": True}, Axes(1)),
        ({"time": 1, "explicit": True}, Axes(0)),
        ({"batch": 2}, Axes(0, 1)),
        ({"batch": 2, "time": 9, "batch_first": True}, Axes(1, 0)),
        ({"batch": "batch", "time": 1, "explicit": True}, Axes(0)),
    ],
)
def test_time_and_batch_are_found(form: dict[str, Any], axes: Axes) -> None:
    assert session(small(**form)).axes == {"x": axes}


@pytest.mark.parametrize("bias", [0.1, 100.0])
def test_time_is_found_where_outputs_are_decisions(bias: float) -> None:
    """A decision that few steps change, and one that none changes."""
    rng = np.random.default_rng(0)
    b = Builder()
    weights = [b.const(rng.standard_normal((1, 3, n)) / 2) for n in (5, 3)]
    y = b.op("RNN", b.op("Transpose", "x", perm=[1, 0, 2]), *weights, hidden_size=3)
    b.op("Cast", b.op("Greater", y, b.const(np.array(-bias))), to=1, out="k")
    assert session(b.model({"x": [1, 12, 5]}, ["k"])).axes == {"x": Axes(1)}


def test_an_open_batch_of_a_single_step_is_no_time_axis() -> None:
    """A cell in primitive operators broadcasts one state over any number of frames: that is a batch."""
    rng = np.random.default_rng(0)
    b = Builder()
    w, r = (b.const(rng.standard_normal((n, 3)) / 2) for n in (5, 3))
    b.op("Tanh", b.op("Add", b.op("MatMul", "x", w), b.op("MatMul", "h", r)), out="h_next")
    b.op("Relu", "h_next", out="y")
    assert session(b.model({"x": ["a", 5], "h": ["b", 3]}, ["y", "h_next"])).axes == {"x": Axes(None)}


def test_time_is_found_where_a_file_answers_after_many_frames() -> None:
    """Convolutions without padding refuse short sequences."""
    b = Builder()
    y = b.op("Transpose", "x", perm=[0, 2, 1])
    for _ in range(3):
        y = b.op("Conv", y, b.const(b.weights(5, 5, 9)))
    weights = [b.const(b.weights(1, 3, n)) for n in (5, 3)]
    states = b.op("RNN", b.op("Transpose", y, perm=[2, 0, 1]), *weights, hidden_size=3)
    b.op("Squeeze", states, b.const(np.array([1])), out="y")
    assert session(b.model({"x": ["p", "q", 5]}, ["y"])).axes == {"x": Axes(1)}


def test_a_single_step_without_states_in_an_open_batch() -> None:
    """Nothing tells the axes apart: the leading one is the batch."""
    b = Builder()
    weights = [b.const(b.weights(1, 3, n)) for n in (5, 3)]
    y = b.op("RNN", b.op("Transpose", "x", perm=[1, 0, 2]), *weights, hidden_size=3)
    b.op("Squeeze", y, b.const(np.array([0, 1])), out="y")
    assert session(b.model({"x": ["any", 1, 5]}, ["y"])).axes == {"x": Axes(1)}


def test_a_named_time_axis_is_taken() -> None:
    assert session(small(batch="a", time="b"), Options(time_axis={"x": 0})).axes == {"x": Axes(0)}


@pytest.mark.parametrize("outputs", [("y", "hn", "cn"), ("cn", "y", "hn"), ("hn", "cn", "y")])
@pytest.mark.parametrize("form", [{}, {"time": 1}, {"time": 5, "last": True}, {"batch": 2}])
def test_states_are_paired_whatever_the_order(outputs: tuple[str, ...], form: dict[str, Any]) -> None:
    assert session(small(explicit=True, outputs=outputs, **form)).pairs == {"h": "hn", "c": "cn"}


def test_a_state_that_the_file_keeps_has_no_pair() -> None:
    assert session(small()).pairs is None
    assert session(small(explicit=True, outputs=("y", "hn"))).pairs is None


def test_a_file_that_onnxruntime_refuses_is_unreadable() -> None:
    with pytest.raises(UnreadableModel, match="onnxruntime cannot load it"):
        Session(b"nonsense", rnnc.load_net(small()), Options())


# ------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"batch_first": True},
        {"explicit": True},
        {"explicit": True, "time": 1},
        {"batch": "batch", "explicit": True},
    ],
)
def test_a_stream_output_is_compared_at_every_step(form: dict[str, Any]) -> None:
    data = sequences(7, 30)
    reference = run_reference(session(small(**form)), data)
    points = reference.outputs["y"]
    assert points.sequence == [0] * 7 + [1] * 30 and points.tick == [*range(7), *range(30)]
    assert np.allclose(points.reference, np.concatenate([plain(x) for x in data["x"]]), atol=1e-6)


def test_an_exposed_state_is_fed_back_k_steps_at_a_time() -> None:
    reference = run_reference(session(small(4, explicit=True)), sequences(11))
    assert reference.dropped == 3 and reference.outputs["y"].tick == [*range(8)]
    assert np.allclose(reference.outputs["y"].reference, plain(recording(11))[:8], atol=1e-6)


def test_a_fixed_length_cuts_and_starts_anew() -> None:
    reference = run_reference(session(small(4)), sequences(11, 3))
    assert reference.dropped == 6 and [len(s) for s in reference.sequences["x"]] == [4, 4]
    assert np.allclose(reference.outputs["y"].reference[4:], plain(recording(11)[4:8]), atol=1e-6)


def test_sequences_shorter_than_a_fixed_length_are_refused() -> None:
    with pytest.raises(DataError, match="takes 9 steps at once and the longest sequence has 8"):
        run_reference(session(small(9)), sequences(8, 3))


def test_a_last_output_is_asked_at_every_step_where_the_state_is_exposed() -> None:
    points = run_reference(session(small(last=True, explicit=True)), sequences(20)).outputs["y"]
    assert points.tick == [*range(20)]
    assert np.allclose(points.reference, plain(recording(20)), atol=1e-6)


@pytest.mark.parametrize("count", [1, 3, 100])
def test_a_last_output_is_asked_at_ends_and_prefixes_else(count: int) -> None:
    data = sequences(*[70] * count)
    points = run_reference(session(small(last=True)), data).outputs["y"]
    assert len(points.tick) >= PREFIX_POINTS
    assert {s for s, t in zip(points.sequence, points.tick, strict=True) if t == 69} == set(range(count))
    exact = [plain(data["x"][s])[t] for s, t in zip(points.sequence, points.tick, strict=True)]
    assert np.allclose(points.reference, exact, atol=1e-6)


def test_lanes_are_streams_of_their_own() -> None:
    data = sequences(6, 8, 6, 8, 6)
    reference = run_reference(session(small(batch=2)), data)
    points = reference.outputs["y"]
    for i, x in enumerate(data["x"]):
        at = [k for k, s in enumerate(points.sequence) if s == i]
        assert [points.tick[k] for k in at] == [*range(len(x))]
        assert np.allclose(points.reference[at], plain(x), atol=1e-6)


# ------------------------------------------------------------------- lanes of unlike length


def test_batches_keep_every_sequence_and_pad_little() -> None:
    net = rnnc.load_net(small())
    lengths = [1, 2, 3, 7, 8, 100, 60, 64]
    groups = batches(sequences(*lengths), net)
    assert sorted(i for b in groups for i in b.members) == [*range(8)]
    assert all(b.steps < 2 * min(b.lengths) for b in groups)


def test_batches_give_what_single_runs_give() -> None:
    net = rnnc.load_net(small())
    data = sequences(3, 17, 30, 1)
    found = by_sequence(net, [(b, run_net(net, b.inputs)) for b in batches(data, net)])["y"]
    for x, y in zip(data["x"], found, strict=True):
        alone = run_net(net, {"x": x[:, None].astype(np.float64)})["y"][:, 0]
        assert np.allclose(y, alone, rtol=0, atol=1e-12)


# ------------------------------------------------------------------- the verdict


@pytest.fixture(scope="module")
def package() -> Package:
    return rnnc.build(small(), {"x": recording(400)}, Options(), test={"x": recording(300, seed=1)})


def test_the_figures_of_a_good_package(package: Package) -> None:
    assert package.verified is not None
    measured = package.verified.measured
    assert (measured.steps, measured.dropped, package.verified.difference) == (300, 0, "")
    assert (measured.import_max_rel or 0) < 1e-5
    output = measured.outputs[0]
    assert output.points == 300 and output.difference.sqnr_db is not None and output.same_weights is not None
    assert output.same_weights > output.difference.sqnr_db > 30
    package.check(min_sqnr=30)


def test_a_low_sqnr_is_a_verification_error(package: Package) -> None:
    with pytest.raises(VerificationError, match=r"SQNR of 'y' is \d+\.\d dB, below 150 dB"):
        package.check(min_sqnr=150)


def test_an_inexact_import_is_a_verification_error(package: Package) -> None:
    assert package.verified is not None
    measured = replace(package.verified.measured, import_max_rel=2e-5, import_fault=Fault("y", 0, 7, 2e-5, 1e-5))
    said = replace(package.verified, measured=measured).problems()[0]
    assert said == (
        "the import differs from onnxruntime by 2e-05: "
        "first at output 'y', sequence 0, step 7: 2e-05, where float32 explains 1e-05"
    )


def test_a_changed_weight_in_the_c_is_found(package: Package) -> None:
    from rnnc.verification.verify import compare_c

    assert package.verified is not None
    name = f"{package.name}.c"
    start = package.files[name].index("_w[")
    text = package.files[name][start:].replace("127", "126", 1)
    files = {**package.files, name: package.files[name][:start] + text}
    where = compare_c(package.program, files, package.verified.measured.runs)
    first = r"lstm0 \(LSTM .*, 'cell' in the file\) differs first: .*, element \d+: C -?\d+, oracle -?\d+, step 1 of"
    assert re.match(first, where), where
    assert where.endswith("It shows in the states of sequence 0 after step 1")


def test_a_changed_golden_vector_fails_the_selftest(package: Package) -> None:
    from rnnc.verification.verify import compare_c

    assert package.verified is not None
    name = f"{package.name}_selftest.c"
    text = re.sub(r"(out_y\w*\[\d+\] = \{\s+)", r"\g<1>1 + ", package.files[name])
    files = {**package.files, name: text}
    assert "_selftest fails: step 1" in compare_c(package.program, files, package.verified.measured.runs)


def test_c_that_does_not_compile_is_a_verification_error(package: Package) -> None:
    from rnnc.verification.host import HostPackage

    with pytest.raises(VerificationError, match="does not compile"):
        HostPackage(package.program, {**package.files, f"{package.name}.c": "nonsense"})


def test_ticks_of_a_net_count_from_its_clock() -> None:
    net = draw(0)
    output = net.outputs[0]
    assert net.values[output.value].clock == Clock() and [net.ticks(output, n) for n in (0, 1, 5)] == [0, 1, 5]


def test_the_small_net_has_what_these_tests_assume() -> None:
    assert len(rnnc.load_net(small()).states()) == 2 and rnnc.load_net(small()).states()[0].shape == (HIDDEN,)
