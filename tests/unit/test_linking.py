"""Two networks compiled together: what the first has found out is where the second starts."""

from __future__ import annotations

import ctypes
import json
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnc.backend.link import Conversion
from rnnc.cli import app
from rnnc.errors import UsageError
from rnnc.fixed import Format
from rnnc.linking import Linked, compile_linked
from rnnc.options import Options, Precision
from tests.support.graphs import Builder
from tests.support.models import Array
from tests.support.packages import WARNINGS, run
from tests.support.small import FEATURES, HIDDEN, recording, small

LINKS = {"hn": "h", "cn": "c"}
HAND = """void hand(const int16_t *h, const int32_t *c, second_t *s);
void hand(const int16_t *h, const int32_t *c, second_t *s) { first_to_second(h, c, s); }
"""
HAND_ONE = """void hand(const int16_t *h, second_t *s);
void hand(const int16_t *h, second_t *s) { first_to_second(h, s); }
"""
SIZES = """
size_t sizes(int k);
size_t sizes(int k) { return k ? sizeof(second_t) : sizeof(first_t); }
"""


def files(folder: Path) -> tuple[Path, Path]:
    """first.onnx and second.onnx."""
    paths = folder / "first.onnx", folder / "second.onnx"
    for path in paths:
        path.write_bytes(small(explicit=True))
    return paths


def library(linked: Linked, folder: Path, hand: str = HAND) -> ctypes.CDLL:
    linked.write(folder)
    (folder / "wrapper.c").write_text(f'#include "first_to_second.h"\n{hand}{SIZES}')
    names = ("first", "second")
    sources = [f"{n}/{n}{part}.c" for n in names for part in ("", "_state")]
    includes = ["-I.", *(f"-I{n}" for n in names)]
    run(["gcc", *WARNINGS, "-O1", "-shared", "-fPIC", *includes, *sources, "wrapper.c", "-o", "linked.so"], folder)
    return ctypes.CDLL(str(folder / "linked.so"))


def pointer(a: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(a.ctypes.data)


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Linked:
    return compile_linked(*files(tmp_path_factory.mktemp("models")), LINKS, {"x": recording(400)}, verify=False)


def test_the_second_starts_where_the_first_ended(linked: Linked, tmp_path: Path) -> None:
    """first over 30 steps, second over 20 more: what one network gives over 50."""
    c = library(linked, tmp_path)
    first, second = (np.zeros(c.sizes(k), np.uint8) for k in (0, 1))
    c.first_reset(pointer(first))
    ports = {p.name: p for p in linked.first.program.outputs}
    x = recording(50)
    y, h, cell = np.zeros(2, np.int16), np.zeros(HIDDEN, np.int16), np.zeros(HIDDEN, np.int32)
    arguments: dict[str, Array] = {"y": y, "hn": h, "cn": cell}
    takes = linked.first.program.inputs[0].format
    for row in x[:30]:
        frame = takes.quantize(row).astype(np.int16)
        c.first_step(pointer(first), pointer(frame), *(pointer(arguments[name]) for name in ports))
    c.hand(pointer(h), pointer(cell), pointer(second))
    got = []
    takes = linked.second.program.inputs[0].format
    for row in x[30:]:
        c.second_step(pointer(second), pointer(takes.quantize(row).astype(np.int16)), pointer(y))
        got.append(linked.second.program.outputs[0].format.dequantize(y.astype(np.int64)))
    session = onnxruntime.InferenceSession(small(explicit=True))
    zero = np.zeros((1, 1, HIDDEN), np.float32)
    want = session.run(["y"], {"x": x[:, None].astype(np.float32), "h": zero, "c": zero})[0][30:, 0]
    assert float(np.abs(np.array(got) - want).max()) < 0.02 * float(np.abs(want).max())


def gru() -> bytes:
    """x ``[1, 1, FEATURES]``, h to y, h_out."""
    b = Builder(3)
    parts = [b.const(b.weights(1, 3 * HIDDEN, n)) for n in (FEATURES, HIDDEN)]
    b.ops("GRU", 2, "x", *parts, b.const(b.weights(1, 6 * HIDDEN)), "", "h", hidden_size=HIDDEN, linear_before_reset=1)
    b.op("Identity", b.nodes[-1].output[1], out="h_out")
    b.op("Reshape", b.nodes[-2].output[0], b.const(np.array([1, HIDDEN])), out="y")
    return b.model({"x": [1, 1, FEATURES], "h": [1, 1, HIDDEN]}, ["y", "h_out"])


@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_a_gru_whose_state_has_more_bits_than_its_output(precision: Precision, tmp_path: Path) -> None:
    paths = tmp_path / "first.onnx", tmp_path / "second.onnx"
    for path in paths:
        path.write_bytes(gru())
    both = compile_linked(*paths, {"h_out": "h"}, {"x": recording(400)}, Options(precision=precision), verify=False)
    c = library(both, tmp_path / "out", HAND_ONE)
    first, second = (np.zeros(c.sizes(k), np.uint8) for k in (0, 1))
    port = both.first.program.inputs[0].format
    c.first_reset(pointer(first))
    y, h = np.zeros(HIDDEN, np.int16), np.zeros(HIDDEN, np.int16)
    arguments: dict[str, Array] = {"y": y, "h_out": h}
    order = [p.name for p in both.first.program.outputs]
    for row in recording(30):
        c.first_step(
            pointer(first), pointer(port.quantize(row).astype(np.int16)), *(pointer(arguments[n]) for n in order)
        )
    c.hand(pointer(h), pointer(second))
    state = np.zeros(HIDDEN, np.int32)
    c.second_get_h(pointer(second), pointer(state))
    form = next(m.state.format for m in both.second.program.members if m.state.alias == "h")
    given_ = next(p.format for p in both.first.program.outputs if p.name == "h_out").dequantize(h.astype(np.int64))
    assert np.abs(form.dequantize(state.astype(np.int64)) - given_).max() < 2.0**-14


def test_the_c_converts_as_the_oracle(linked: Linked, tmp_path: Path) -> None:
    c = library(linked, tmp_path)
    second = np.zeros(c.sizes(1), np.uint8)
    ports = {p.name: p for p in linked.first.program.outputs}
    states = {m.state.alias: m.state.format for m in linked.second.program.members}
    rng = np.random.default_rng(0)
    for top in (1 << 12, 1 << 28, 2**31 - 1):
        h = rng.integers(-32767, 32768, HIDDEN).astype(np.int16)
        cell = np.array([-top, top, *rng.integers(-top, top, HIDDEN - 2)]).astype(np.int32)
        c.hand(pointer(h), pointer(cell), pointer(second))
        for given_, output, alias, kind in ((h, "hn", "h", np.int16), (cell, "cn", "c", np.int32)):
            got = np.zeros(HIDDEN, kind)
            getattr(c, f"second_get_{alias}")(pointer(second), pointer(got))
            by = Conversion.of(ports[output].format, states[alias], np.arange(HIDDEN))
            assert got.tolist() == by.apply(given_.astype(np.int64)).tolist()


def signed(bits: int, scale: float) -> Format:
    """An integer of any value of so many bits."""
    top = (1 << (bits - 1)) - 1
    return Format(bits, np.array([scale]), 0, -top, top)


@given(st.sampled_from([16, 32]), st.sampled_from([16, 32]), st.data())
def test_a_conversion_keeps_the_value(first: int, second: int, data: st.DataObject) -> None:
    """Within half an LSB of the result, 14 bits of the value and, of an int32, two LSBs of it; or saturated."""
    a = signed(first, 2.0 ** data.draw(st.floats(-30, 0)))
    b = signed(second, a.scale[0] * 2.0 ** data.draw(st.floats(-14, 16)))
    x = data.draw(st.integers(a.lo, a.hi))
    y = int(Conversion.of(a, b, np.arange(1)).apply(np.array([x]))[0])
    ratio = a.scale[0] / b.scale[0]
    coarse = 2 * ratio if first == 32 else 0
    assert abs(y) <= b.hi
    assert abs(y - np.clip(x * ratio, b.lo, b.hi)) <= 0.5 + coarse + abs(x * ratio) * 2.0**-13


def context(folder: Path) -> tuple[Path, Path]:
    """A second network that is given the result of the first at each step."""
    b = Builder()
    joined = b.op("Concat", "x", "context", axis=1)
    w, r, bias = b.weights(1, 3 * 5, 2 + FEATURES), b.weights(1, 3 * 5, 5), b.weights(1, 6 * 5)
    step = b.op("Unsqueeze", joined, b.const(np.array([0])))
    b.ops("GRU", 2, step, b.const(w), b.const(r), b.const(bias), "", "h", hidden_size=5)
    b.op("Squeeze", b.nodes[-1].output[0], b.const(np.array([0, 1])), out="y")
    b.op("Identity", b.nodes[-2].output[1], out="h_out")
    first, second = folder / "first.onnx", folder / "second.onnx"
    first.write_bytes(small(last=True))
    second.write_bytes(b.model({"x": [1, FEATURES], "context": [1, 2], "h": [1, 1, 5]}, ["y", "h_out"]))
    return first, second


def test_a_result_that_is_an_input_of_the_second(tmp_path: Path) -> None:
    linked = compile_linked(*context(tmp_path), {"y": "context"}, verify=False)
    text = linked.header["first_to_second.h"]
    assert "first_to_second_context(const int16_t from_y[2], int16_t value[2])" in text
    linked.write(tmp_path / "out")
    command = ["gcc", *WARNINGS, "-Ifirst", "-Isecond", "-x", "c", "-fsyntax-only", "first_to_second.h"]
    subprocess.run([w for w in command if w], cwd=tmp_path / "out", check=True)


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"nothing": "h"}, "nothing"),
        ({"hn": "nothing"}, "no state or input 'nothing'(.|\n)*It has h, c, x"),
        ({"y": "h"}, "2 elements go to 4"),
    ],
)
def test_links_that_cannot_be(links: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        compile_linked(*files(tmp_path), links, verify=False)


def test_an_option_that_names_no_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither network has an input 'z'"):
        compile_linked(*files(tmp_path), LINKS, options=Options(input_range={"z": (-1, 1)}))


def test_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One object on stdout; each banner says the whole command; data for the other network is no remark."""
    first, second = context(tmp_path)
    rng = np.random.default_rng(0)
    x, given_ = rng.standard_normal((40, FEATURES)), rng.standard_normal((40, 2))
    np.savez(tmp_path / "calib.npz", x=x, context=given_, label=np.zeros(40))
    command = ["compile", str(first), str(second), "--link", "y=context", "--calib", str(tmp_path / "calib.npz")]
    with pytest.raises(SystemExit) as ended:
        app([*command, "-o", str(tmp_path / "out"), "--json", "--no-verify"])
    assert ended.value.code == 0
    said = capfd.readouterr()
    report = json.loads(said.out)
    assert [n["name"] for n in report["networks"]] == ["first", "second"]
    assert report["link"] == {"name": "first_to_second", "pairs": {"y": "context"}}
    assert "label" in said.err and "ignored: context" not in said.err
    text = (tmp_path / "out/second/second.c").read_text()
    assert "rnnc compile first.onnx second.onnx --link y=context --calib calib.npz" in text
