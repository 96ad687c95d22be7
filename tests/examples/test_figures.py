"""The READMEs of the examples say what figures.json holds."""

from __future__ import annotations

import json

import pytest

from examples.common import EXAMPLES, HERE, find_task
from examples.figures import fill, table


@pytest.mark.parametrize("name", EXAMPLES)
def test_readme_shows_the_measured_figures(name: str) -> None:
    networks = json.loads((HERE / name / "figures.json").read_text())
    readme = (HERE / name / "README.md").read_text()
    assert [n["model"] for n in networks] == [n.model for n in find_task(name).NETWORKS]
    assert fill(readme, "figures", table(find_task(name).METRIC, networks)) == readme
    assert "end of figures" in readme


@pytest.mark.parametrize("name", EXAMPLES)
def test_measured_a16_is_as_near_to_onnxruntime_as_promised(name: str) -> None:
    for network in json.loads((HERE / name / "figures.json").read_text()):
        score = network["score"]
        assert find_task(name).METRIC.close(score["a16"], score["onnxruntime"])
        assert abs(score["float"] - score["onnxruntime"]) <= 2e-3 * score["onnxruntime"]


def test_the_index_names_all() -> None:
    index = (HERE / "README.md").read_text()
    assert all(f"[{name}]({name}/README.md)" in index for name in EXAMPLES)
