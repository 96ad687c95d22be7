"""What publishing needs: the CI action's script, issue forms, the conda recipe, the version in the changelog."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import rnnc
from tests.support.small import small

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "packaging/action/compile.sh"


def _run(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """The action's script on a model in a folder."""
    command = folder / "bin/rnnc"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rnnc "$@"\n')
    command.chmod(0o755)
    (folder / "net.onnx").write_bytes(small())
    paths = {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    files = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    environment = {**os.environ, **paths, **files, "MODEL": "net.onnx", **given}
    return subprocess.run(
        ["bash", str(SCRIPT)], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_the_action_says_what_a_network_costs(tmp_path: Path) -> None:
    done = _run(tmp_path, ARGUMENTS="--no-verify --weights 8")
    assert done.returncode == 0, done.stderr
    comment = (tmp_path / "rnnc-comment.md").read_text()
    assert comment.startswith("### rnnc: net.onnx") and "flash" in comment and "multiply-accumulates" in comment
    assert "what to do next" not in comment and "wrote" in comment
    assert (tmp_path / "summary").read_text() == comment
    assert (tmp_path / (tmp_path / "output").read_text().strip().removeprefix("report=")).is_file()


def test_the_action_fails_where_rnnc_does_and_says_so(tmp_path: Path) -> None:
    done = _run(tmp_path, ARGUMENTS="--no-verify --max-ram 1")
    assert done.returncode == 1
    comment = (tmp_path / "rnnc-comment.md").read_text()
    assert "above --max-ram 1" in comment and "rnnc ended with exit code 1." in comment


@pytest.mark.parametrize("form", sorted(ROOT.glob(".github/ISSUE_TEMPLATE/[!c]*.yml")), ids=lambda p: p.stem)
def test_issue_forms_are_whole(form: Path) -> None:
    content = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= set(content)
    ids = [field["id"] for field in content["body"]]
    assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in content["body"])


def test_the_action_s_inputs_are_those_that_its_script_reads() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (step,) = [s for s in action["runs"]["steps"] if s.get("id") == "compile"]
    assert all(name in SCRIPT.read_text() for name in step["env"])
    used = set(re.findall(r"inputs\.(\w+)", (ROOT / "action.yml").read_text()))
    assert used == set(action["inputs"])


def test_the_conda_recipe_asks_for_what_the_wheel_asks_for() -> None:
    recipe = (ROOT / "packaging/conda/meta.yaml").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[(.*?)\]", project, re.M | re.S)
    assert listed
    wanted = re.findall(r'"(\w+)([^"]*)"', listed[1])
    run = recipe.split("  run:")[1].split("test:")[0]
    assert [(n, v) for n, v in wanted if f"- {n} {v}" not in run] == []
    assert f'version = "{rnnc.__version__}"' in recipe


def test_the_changelog_names_this_version() -> None:
    assert re.search(
        rf"^(## \[{re.escape(rnnc.__version__)}\]|First version, {re.escape(rnnc.__version__)}\.)",
        (ROOT / "CHANGELOG.md").read_text(),
        re.M,
    )
