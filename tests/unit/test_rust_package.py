"""The crate: cargo builds it without a registry, and its own tests pass on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rnnc
from rnnc.backend.layouts import Contents, arrange
from rnnc.errors import UsageError
from rnnc.files import write_files
from tests.conftest import require
from tests.support.nets import draw, to_integers
from tests.support.packages import contents, package, run
from tests.support.windows import T, autoencoder


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


VALUE_BY_VALUE = """
use rnnc_net::{Stream, X_LEN, Y_LEN};

#[test]
fn value_by_value_is_the_same_as_at_once() {
    let (mut whole, mut parts) = (Stream::new(), Stream::new());
    let (mut y, mut value, mut given) = ([0; Y_LEN], [0; Y_LEN / TICKS], 0);
    for t in 0..TICKS {
        let x = [(t * 300) as i16; X_LEN];
        assert_eq!(whole.step(&x, &mut y), parts.feed(&x));
    }
    while parts.next(&mut value) != 0 {
        assert_eq!(value, y[given..given + value.len()]);
        given += value.len();
    }
    assert!(given == Y_LEN && y.iter().any(|v| *v != 0));
}
"""


def test_an_answer_is_given_value_by_value(tmp_path: Path) -> None:
    require("cargo")
    done = rnnc.compile_model(autoencoder(3), window=T, name="net", verify=False)
    write_files(tmp_path, {**done.arranged("rust"), "tests/next.rs": VALUE_BY_VALUE.replace("TICKS", str(T))})
    assert "1 passed" in run(["cargo", "test", "--offline", "--quiet", "--target-dir", "target"], tmp_path)
