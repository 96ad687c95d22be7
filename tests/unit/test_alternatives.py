"""Alternatives beside the build in report.html: what they say of bytes and dB is what their builds measure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.package import Package
from tests.support.small import FEATURES, small

Array = np.ndarray[Any, Any]
NEAR = 0.05
"""dB between a reference in float64 and one in float32."""


def _data() -> dict[str, Array]:
    """Recordings so short that they are compared whole."""
    return {"x": np.random.default_rng(0).standard_normal((20, 24, FEATURES)).astype(np.float32)}


@pytest.fixture(scope="module")
def package() -> Package:
    return rnnc.compile_model(small(), _data(), min_sqnr=0, weights="8")


@pytest.mark.parametrize(
    ("flag", "changed"), [("--weights 16", {"weights": "16"}), ("--precision a8", {"precision": "a8"})]
)
def test_an_alternative_s_figures_are_those_of_its_own_build(
    package: Package, flag: str, changed: dict[str, Any]
) -> None:
    assert package.alternatives
    found = next(b for b in package.alternatives.builds if b.flag == flag)
    report = rnnc.compile_model(small(), _data(), min_sqnr=0, **{"weights": "8", **changed}).report
    cost, (output,) = report["cost"], report["verify"]["outputs"]
    assert package.alternatives.steps == report["verify"]["steps"]
    assert found.flash == cost["flash_weights"] + cost["flash_tables"]
    assert found.ram == cost["ram_state"] + cost["ram_scratch"]
    assert found.sqnr_db == pytest.approx(output["sqnr_db"], abs=NEAR)


def test_the_build_itself_stands_first_and_only_once(package: Package) -> None:
    assert package.alternatives
    assert [b.flag for b in package.alternatives.builds] == ["", "--precision a8", "--weights 16"]
    assert package.alternatives.builds[0].sqnr_db == pytest.approx(
        package.report["verify"]["outputs"][0]["sqnr_db"], abs=NEAR
    )


def test_the_written_report_shows_them_and_what_was_never_run_has_none(package: Package) -> None:
    page = package.live_page()
    assert "<code>--weights 16</code>" in page and "over 480 steps" in page
    assert "Alternatives" not in rnnc.compile_model(small(), _data(), verify=False).live_page()


def test_a_large_network_s_are_left_to_tune(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnc.verification.alternatives.MOST_WEIGHTS", 10)
    assert rnnc.compile_model(small(), _data(), min_sqnr=0).alternatives is None
