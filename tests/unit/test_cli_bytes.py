"""What compile writes depends on the model, the data and the options, and on nothing else: not on where, nor on names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from onnx import ModelProto

from tests.conftest import require
from tests.support.small import FEATURES, small

ROOT = Path(__file__).parents[2]
HOSTILE = {"x": '*/ int evil; /*"', "y": "a\nb\\", "h": "名 %s {{ x }}", "hn": "int", "c": "m_t", "cn": "??/"}


def compile_in(folder: Path, *words: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """``rnnc compile m.onnx`` in a folder, by another process."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "rnnc", "compile", "m.onnx", *words]
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_byte_is_the_same_in_another_folder_and_with_another_hash_seed(tmp_path: Path) -> None:
    require("gcc")
    written = []
    for seed, name in (("1", "here"), ("4711", "some where/else")):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "m.onnx").write_bytes(small())
        np.savez(folder / "calib.npz", x=np.random.default_rng(0).standard_normal((200, FEATURES)).astype(np.float32))
        done = compile_in(folder, "--calib", "calib.npz", "-o", f"out {seed}", seed=seed)
        assert done.returncode == 0, done.stderr
        written.append(files_of(folder / f"out {seed}"))
    assert written[0] == written[1]
    assert {"m.c", "m.h", "m_state.c", "m_float.h", "m_selftest.c", "report.json", "report.html"} <= set(written[0])


def test_hostile_names_in_a_file(tmp_path: Path) -> None:
    """They come out as they are in the report, and in no other file of C but as a plain comment or identifier."""
    require("gcc")
    model = ModelProto.FromString(small(explicit=True))
    for value in (*model.graph.input, *model.graph.output):
        value.name = HOSTILE[value.name]
    for k, node in enumerate(model.graph.node):
        node.name = f"*/{k}"
        for names in (node.input, node.output):
            names[:] = [HOSTILE.get(n, n) for n in names]
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    states = [f"{HOSTILE[s]}={HOSTILE[f'{s}n']}" for s in ("h", "c")]
    done = compile_in(tmp_path, "--state", states[0], "--state", states[1], "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [port["name"] for port in (*report["inputs"], *report["outputs"])] == [HOSTILE["x"], HOSTILE["y"]]
    assert report["verify"]["c_equals_oracle"] is True
    c = {n: t for n, t in files_of(tmp_path / "m").items() if n.endswith((".c", ".h"))}
    assert all(text.isascii() for text in c.values())
