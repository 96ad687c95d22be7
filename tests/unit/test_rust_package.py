"""The crate: cargo builds it without a registry, and its own tests pass on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnc.backend.layouts import Contents, arrange
from rnnc.errors import UsageError
from rnnc.files import write_files
from tests.conftest import require
from tests.support.nets import draw, to_integers
from tests.support.packages import contents, package, run


@pytest.mark.parametrize(("layers", "target"), [(["gru_after", "dense"], "cortex-m4"), (["shift", "pool"], "portable")])
def test_cargo_test_passes_offline(layers: list[str], target: str, tmp_path: Path) -> None:
    require("cargo")
    program, files = package(to_integers(draw(3, layers)), "fan", target)
    write_files(tmp_path, arrange("rust", contents(program), files))
    deny = tmp_path / "src/lib.rs"
    deny.write_text(deny.read_text().replace("#![no_std]", "#![no_std]\n#![deny(warnings)]"))
    out = run(["cargo", "test", "--offline", "--quiet", "--target-dir", "target"], tmp_path)
    assert "2 passed" in out
    found = json.loads(run(["cargo", "metadata", "--offline", "--format-version", "1", "--no-deps"], tmp_path))
    assert found["packages"][0]["version"] == "1.2.3" and not found["packages"][0]["dependencies"]


def test_a_crate_holds_one_network() -> None:
    program, files = package(to_integers(draw(3, ["dense"])), "fan")
    with pytest.raises(UsageError, match="several networks"):
        arrange("rust", Contents("both", (program, program), ("a.onnx", "b.onnx"), "1.0.0"), files)
