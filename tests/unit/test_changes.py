"""--compare: what changed since an earlier report; report.json is what docs/report.schema.json says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.errors import DataError
from rnnc.package import Package
from rnnc.report.changes import changes, read_report
from tests.support.schema import faults
from tests.support.small import FEATURES, small
from tests.unit.test_cli import rnnc as run

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/report.schema.json").read_text())


@pytest.fixture(scope="module")
def package() -> Package:
    return rnnc.compile_model(small(), {"x": np.random.default_rng(0).standard_normal((120, FEATURES))})


def _changed(report: dict[str, Any], **figures: Any) -> dict[str, Any]:
    """A report with other figures, each ``part__key``."""
    other = copy.deepcopy(report)
    for name, value in figures.items():
        part, _, key = name.rpartition("__")
        (other[part] if part else other)[key] = value
    return other


def test_the_same_build_changed_nothing(package: Package) -> None:
    assert changes(package.report, copy.deepcopy(package.report)) == []


def test_less_flash_is_better_and_less_sqnr_worse(package: Package) -> None:
    now = copy.deepcopy(package.report)
    now["cost"]["flash_weights"] -= 100
    now["verify"]["outputs"][0]["sqnr_db"] -= 3.0
    sqnr, weights = changes(package.report, now)
    assert (sqnr.what, sqnr.difference, sqnr.better) == ("y: SQNR", "-3", False)
    assert weights.what == "weights" and weights.difference.startswith("-100 (-") and weights.better
    assert weights.after == f"{now['cost']['flash_weights']:,} B"


def test_what_the_caller_must_know_is_a_change(package: Package) -> None:
    now = copy.deepcopy(package.report)
    now["inputs"][0] |= {"name": "u"}
    now["outputs"][0] |= {"scale": 0.5, "kind": "last"}
    found = {c.what: (c.before, c.after) for c in changes(package.report, now)}
    assert found["input x"] == ("there", "not there") and found["input u"] == ("not there", "there")
    assert found["output y: scale"][1] == "0.5" and found["output y: kind"] == ("stream", "last")


def test_what_was_not_measured_before_is_no_better_and_no_worse(package: Package) -> None:
    (change,) = changes(package.report, _changed(package.report, cost__milliseconds=0.25))
    assert (change.before, change.after, change.better) == ("\N{EN DASH}", "0.25 ms", None)


def test_it_is_in_the_report_in_the_page_and_on_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(small())
    assert run("compile", "net.onnx", "--no-verify", "--weights", "16", "-o", "a").code == 0
    again = run("compile", "net.onnx", "--no-verify", "-o", "b", "--compare", "a/report.json")
    assert again.code == 0 and "changed" in again.out and "int16 weights" in again.out
    report = json.loads((tmp_path / "b/report.json").read_text())
    assert "weights" in [c["what"] for c in report["changes"]] and not list(faults(report, SCHEMA, SCHEMA))
    assert "What changed" in (tmp_path / "b/report.html").read_text()
    same = run("compile", "net.onnx", "--no-verify", "-o", "c", "--compare", "b/report.json")
    assert "nothing changed since the earlier build" in same.out
    several = run("compile", "net.onnx", "other.onnx", "--compare", "b/report.json")
    assert several.code == 2 and "--compare is for one network" in several.err


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read"), ("{", "is not JSON"), ('{"networks": []}', "is no report of a network")],
    ids=["missing", "no JSON", "several"],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read_report(tmp_path / "report.json")


def test_reports_are_what_the_schema_says(package: Package) -> None:
    assert list(faults(package.report, SCHEMA, SCHEMA)) == []
    assert list(faults(rnnc.compile_model(small(), verify=False, window=8).report, SCHEMA, SCHEMA)) == []


def test_the_schema_notices_what_is_missing_new_or_of_another_type(package: Package) -> None:
    for other in (
        {k: v for k, v in package.report.items() if k != "cost"},
        _changed(package.report, surprise=1),
        _changed(package.report, cost__macs="many"),
        _changed(package.report, verify__verdict="splendid"),
    ):
        assert list(faults(other, SCHEMA, SCHEMA))
