"""The module of WebAssembly with its script, as Node.js runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import rnnc
from rnnc.errors import MissingTool
from rnnc.streams import run_qnet
from tests.conftest import require
from tests.support.models import model
from tests.support.packages import run
from tests.support.small import recording, small

STREAMS = """
import { readFile } from "node:fs/promises";
import { INPUTS, OUTPUTS, Stream, load, toIntegers, toReals } from "./index.mjs";

const frames = JSON.parse(await readFile("frames.json"));
const module = await load(await readFile("fan.wasm"));
const [one, other] = [new Stream(module), new Stream(module)];
const answers = frames.map((frame) => {
  const x = toIntegers(INPUTS[0], frame);
  const [y] = one.step(x);
  other.restore(one.save());
  return [Array.from(x), Array.from(y), Array.from(toReals(OUTPUTS[0], y))];
});
const last = toIntegers(INPUTS[0], frames[0]);
const refused = [(saved) => saved.fill(0, 0, 4), (saved) => saved.subarray(0, 9), (saved) => saved.fill(1, 14, 15)];
const said = refused.map((damage) => {
  try {
    other.restore(damage(one.save()));
    return "";
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify({ answers, said, same: `${one.step(last)}` === `${other.step(last)}` }));
"""


def test_node_has_the_oracle_s_bits_and_states_are_kept(tmp_path: Path) -> None:
    require("node")
    require("clang")
    package = rnnc.compile_model(small(), verify=False, name="fan")
    folder = package.write(tmp_path / "fan", "wasm")
    assert run(["node", "selftest.mjs"], folder) == "fan_selftest: 0\n"
    x = recording(20)
    (folder / "frames.json").write_text(json.dumps(x.tolist()))
    (folder / "streams.mjs").write_text(STREAMS)
    found = json.loads(run(["node", "streams.mjs"], folder))
    qnet = package.program.qnet
    counts = qnet.formats[package.program.inputs[0].value].quantize(x)
    taken, given, reals = (np.array(part) for part in zip(*found["answers"], strict=True))
    assert np.array_equal(taken, counts)
    (y,) = run_qnet(qnet, {"x": counts[:, None]}).values()
    assert np.array_equal(given, y[:, 0])
    assert np.allclose(reals, package.simulate(x)[package.program.outputs[0].name])
    assert found["same"]
    assert found["said"] == [f"fan: the saved state is {why}" for why in ("foreign", "cut short", "corrupt")]
    before = (folder / "fan.wasm").read_bytes()
    (folder / "fan.wasm").unlink()
    run(["make"], folder)
    assert (folder / "fan.wasm").read_bytes() == before


def test_loops_that_copy_compile_without_a_c_library() -> None:
    """clang makes calls of memmove of them; here they put the columns of a picture together for a Conv."""
    require("wasm-ld")
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)) / 5
    conv = helper.make_node("Conv", ["x", "W"], ["y"], kernel_shape=[3, 3])
    content = model([conv], {"x": [1, 3, 32, 32]}, {"y": [1, 4, 30, 30]}, {"W": weights})
    package = rnnc.compile_model(content, verify=False)
    assert 'id="live-section"' in package.live_page()


def test_without_clang_there_is_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    package = rnnc.compile_model(small(), verify=False, name="fan")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingTool, match="clang and wasm-ld make the module"):
        package.arranged("wasm")
