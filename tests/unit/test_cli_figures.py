"""What commands measure, on 80 columns and as JSON: verify --by-layer, and bench."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rnnc.cli import app
from rnnc.cli.bench import table
from tests.conftest import require


def _run(*words: str) -> Any:
    answer = CliRunner().invoke(app, [*words])
    assert answer.exit_code == 0, answer.stderr
    return answer


@pytest.mark.usefixtures("with_net")
def test_losses_by_layer_as_a_table() -> None:
    text = _run("verify", "net.onnx", "--calib", "calib.npy", "--by-layer").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "over all 120 steps that were compared" in text
    layers, blocks = text.split("by layer")[1].split("weights (--wide)")
    head, *rows = layers.splitlines()
    assert head.split() == ["what", "weights", "activations", "tables", "layer"]
    assert [
        row.split()[0] for row in rows if row.split()[:1] and row.split()[0] in {"x", "lstm0", "dense0", "all"}
    ] == [*("x", "lstm0", "dense0", "all")]
    names = [row.split()[0] for row in blocks.splitlines()[1:] if row.strip()[:1].isalpha()]
    assert names == [*(f"lstm0.{gate}.{operand}" for operand in "xh" for gate in "iofc"), "dense0"]


@pytest.mark.usefixtures("with_net")
def test_losses_by_layer_as_json() -> None:
    plain = json.loads(_run("verify", "net.onnx", "--calib", "calib.npy", "--json").stdout)
    assert "by_layer" not in plain["verify"], "unasked the report has the keys that it always has"
    asked = json.loads(_run("verify", "net.onnx", "--calib", "calib.npy", "--by-layer", "--json").stdout)
    found = asked["verify"]["by_layer"]
    assert [loss["name"] for loss in found["layers"]] == ["lstm0", "dense0"]
    assert set(found["layers"][0]) == {
        "name",
        "what",
        *(f"{p}_db" for p in ("weights", "activations", "tables", "layer")),
    }
    assert found["steps"] == 120 and found["network_db"] == asked["verify"]["outputs"][0]["sqnr_db"]


def test_the_table_of_bench_is_80_columns_wide() -> None:
    figures: dict[str, Any] = {
        "median": 1234567,
        "max": 1234567,
        "stack": 99999,
        "stack_bound": None,
        "c_equals_oracle": False,
        "peers": {},
        "optimize": "-O2",
        "cycles": [{"core": "cortex-m33", "min": 1, "median": 1234567, "max": 1234567, "estimate": False}],
    }
    sizes = dict.fromkeys(("flash_code", "flash_tables", "flash_weights", "ram_state", "ram_scratch"), 123456)
    lines = table([{"target": "cortex-m33", **figures, **sizes}]).splitlines()
    assert max(map(len, lines)) <= 81 and all("  " in line or " " in line for line in lines)
    assert len(lines[1].split()) == 10 and len(lines) == 3, "figures do not run into each other"


def test_bench_writes_the_report_with_its_counts(with_net: Path) -> None:
    require("qemu-system-arm")
    require("arm-none-eabi-gcc")
    answer = _run(
        "bench", "net.onnx", "--calib", "calib.npy", "--target", "cortex-m0", "--report", "measured.html", "--json"
    )
    report = json.loads(answer.stdout)
    (counted,) = report["cost"]["instructions"]
    page = (with_net / "measured.html").read_text()
    assert "Instructions of a step on cortex-m0" in page and f"{counted['median']:,}" in page
    assert sum(counted["functions"].values()) == pytest.approx(counted["median"], rel=0.05)
    assert {"lstm0", "dense0"} <= set(counted["ops"]) <= {*(op["op"] for op in report["certificate"]), "step"}
    assert sum(counted["ops"].values()) == pytest.approx(counted["median"], rel=0.05)
    assert counted["ops"]["lstm0"] > 3 * counted["ops"]["dense0"], "a cell of 4 units and 3 inputs, a layer of 2"
    assert "By operation" in page and f"{counted['ops']['dense0']:,}" in page
