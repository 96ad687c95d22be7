"""The wheel holds all that rnnc needs: installed away from the checkout, it compiles and shows its example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.small import small

ROOT = Path(__file__).parents[2]


def _wheel(source: Path, folder: Path) -> Path:
    """The wheel of a checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel unpacks to; its dependencies are this environment's."""
    if not os.environ.get("CI"):
        pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(_wheel(ROOT, folder)) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def _rnnc(installed: Path, folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "rnnc", *words]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_runs_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", "import rnnc; print(rnnc.__file__)"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_it_compiles(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(small())
    report = json.loads(_rnnc(installed, tmp_path, "compile", "net.onnx", "--target", "cortex-m4", "--json"))
    assert report["verify"]["c_equals_oracle"] and (tmp_path / "net/net.h").is_file()


def test_it_shows_its_example(installed: Path, tmp_path: Path) -> None:
    assert "right majorities" in _rnnc(installed, tmp_path, "demo")
    assert (tmp_path / "gesture/gesture.h").is_file()


def test_it_holds_no_tests_and_no_caches(installed: Path) -> None:
    names = [str(p.relative_to(installed)) for p in installed.rglob("*") if p.is_file()]
    assert any(n.startswith("rnnc/_data/templates/") for n in names)
    assert any(n.startswith("rnnc/_data/runtime_c/isa/") for n in names)
    assert not [n for n in names if n.startswith("tests/") or ("__pycache__" in n and "_data" in n)]


def test_a_copy_elsewhere_with_other_times_gives_the_same_bytes(installed: Path, tmp_path: Path) -> None:
    (first,) = installed.parent.glob("*.whl")
    copy = tmp_path / "elsewhere"
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("rnnc", "templates", "runtime_c", "examples/gesture"):
        shutil.copytree(ROOT / name, copy / name, ignore=skip, copy_function=shutil.copyfile)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copyfile(ROOT / name, copy / name)
    assert _wheel(copy, tmp_path / "dist").read_bytes() == first.read_bytes()
